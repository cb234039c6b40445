//! Removing white space inside a body (RFC 6376 §3.4.4), many bytes at a time.
//!
//! Whether a byte is removed depends on the two that follow it: of a run of white space only the last byte stays, and not
//! even that before a line end. So 64 bytes are classified without a branch, which the compiler turns into vector
//! instructions, and the rest is copied in runs. Most blocks of most bodies do not change: a quicker check skips them.

use super::is_blank;

/// Bytes classified together: one for each bit of a `u64`.
const BLOCK: usize = 64;
/// Bytes that are read for a block. Each run is copied as if it were a block long, which is faster than copying its exact
/// length, so bytes behind the block are read; the two behind it also decide about its last bytes.
const WINDOW: usize = 2 * BLOCK + 2;
/// Room for the rest of a block, and for what is copied beyond a run.
pub(super) const ROOM: usize = 2 * BLOCK;

/// Copies `text` to `out` without the white space that is removed, and with tabs as spaces; by blocks, as long as `out` has
/// room. Returns how many bytes were read, and how many written. `text` must not end within white space or a line end,
/// since what follows decides about them.
pub(super) fn squeeze(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    // Changes are close together or rare: after one, the quick check would be wasted.
    let (mut near, mut ever) = (false, false);
    while let Some(rest) = text.get(read..).filter(|rest| !rest.is_empty())
        && let Some(room) = out.get_mut(written..).and_then(|out| out.first_chunk_mut())
    {
        let end;
        let window = match rest.first_chunk() {
            Some(window) => window,
            None => {
                end = padded(rest);
                &end
            }
        };
        let mut stayed = BLOCK;
        if near || may_change(window) {
            let goes = goes(window);
            (near, ever) = (goes != 0, true);
            stayed = copy_runs(!goes, window, room);
        } else {
            copy_block(Some(window), Some(room));
        }
        let padding = BLOCK.saturating_sub(rest.len());
        read += BLOCK - padding;
        written += stayed - padding;
    }
    if ever {
        tabs_to_spaces(out.get_mut(..written).unwrap_or_default());
    }
    (read, written)
}

/// Returns the end of the text as a window, padded with bytes that are not removed.
fn padded(rest: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    window
}

/// Whether anything in the first block may change: a quick check, which reports a few unchanged blocks too.
fn may_change(window: &[u8; WINDOW]) -> bool {
    let pairs = window.array_windows().take(BLOCK);
    pairs.fold(0, |any, [a, b]| any | u8::from(*a == b'\t') | (u8::from(*a == b' ') & u8::from(*b <= b' ')))
        != 0
}

/// Returns a bit for each byte of the first block, the first byte lowest: set if the byte is removed.
fn goes(window: &[u8; WINDOW]) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, [a, b, c]) in flags.iter_mut().zip(window.array_windows()) {
        let line_end = u8::from(*b == b'\r') & u8::from(*c == b'\n');
        *flag = u8::from(is_blank(*a)) & (u8::from(is_blank(*b)) | line_end);
    }
    let (eights, _) = flags.as_chunks();
    eights.iter().enumerate().fold(0, |bits, (at, eight)| bits | gather(*eight) << (8 * at))
}

/// Packs eight bytes that are 0 or 1 into the bits of one byte.
fn gather(flags: [u8; 8]) -> u64 {
    // Each factor moves one of the flags to its bit in the highest byte, and no two meet.
    u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Copies the bytes of the first block that have their bit set; returns how many.
fn copy_runs(set: u64, window: &[u8; WINDOW], room: &mut [u8; ROOM]) -> usize {
    let (mut left, mut written) = (set, 0);
    while left != 0 {
        let start = left.trailing_zeros();
        let run = (left >> start).trailing_ones();
        copy_block(window.get(start as usize..), room.get_mut(written..));
        written += run as usize;
        // The carry of the addition clears the lowest run.
        left &= left.wrapping_add(1 << start);
    }
    written
}

fn copy_block(from: Option<&[u8]>, to: Option<&mut [u8]>) {
    let from = from.and_then(|from| from.first_chunk::<BLOCK>());
    let to = to.and_then(|to| to.first_chunk_mut::<BLOCK>());
    if let Some((from, to)) = from.zip(to) {
        *to = *from;
    }
}

fn tabs_to_spaces(text: &mut [u8]) {
    for byte in text {
        *byte = if *byte == b'\t' { b' ' } else { *byte };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule, byte by byte.
    fn slow(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            let goes = match &text[at + 1..] {
                [b' ' | b'\t', ..] | [b'\r', b'\n', ..] => is_blank(*byte),
                _ => false,
            };
            if !goes {
                out.push(if *byte == b'\t' { b' ' } else { *byte });
            }
        }
        out
    }

    fn fast(text: &[u8], size: usize) -> Vec<u8> {
        let (mut rest, mut out, mut room) = (text, Vec::new(), vec![0; size]);
        while !rest.is_empty() {
            let (read, written) = squeeze(rest, &mut room);
            out.extend_from_slice(&room[..written]);
            rest = &rest[read..];
        }
        out
    }

    #[test]
    fn every_three_bytes_at_every_offset() {
        let bytes = b"a \t\r\n";
        for number in 0..bytes.len().pow(3) {
            let three = [number % 5, number / 5 % 5, number / 25].map(|at| bytes[at]);
            let text = [&b"x".repeat(80), &three[..], &b"x".repeat(200)].concat();
            for start in 0..=80 {
                assert_eq!(fast(&text[start..], 400), slow(&text[start..]), "{three:?} at {}", 80 - start);
            }
        }
    }

    #[test]
    fn every_length_and_every_room() {
        let text = b"  a\tb \r\n\tsome  words \t\r\n\r\n".repeat(12);
        for length in 0..=text.len() {
            let text = [&text[..length], b"."].concat();
            assert_eq!(fast(&text, 1000), slow(&text), "{length}");
        }
        for size in ROOM..600 {
            assert_eq!(fast(&text, size), slow(&text), "{size}");
        }
    }

    #[test]
    fn without_room_nothing_is_read() {
        assert_eq!(squeeze(b"text", &mut [0; ROOM - 1]), (0, 0));
        assert_eq!(squeeze(b"", &mut [0; ROOM]), (0, 0));
    }
}
