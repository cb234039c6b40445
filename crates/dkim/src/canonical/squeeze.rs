//! White space inside a body (RFC 6376 §3.4.4), many octets at a time.
//!
//! Whether an octet goes is told by the two that follow it: of a run of blanks only the last one stays, and not even
//! that one before a line end. So 64 octets are judged without a branch, which the compiler makes vector instructions
//! of, and what stays of them is copied in runs. Most blocks of most bodies stay whole: a look that is quicker still
//! passes over them.

use super::is_blank;

/// Octets judged together: one for each bit of a `u64`.
const BLOCK: usize = 64;
/// What is looked at to do so. Runs are copied as if each were a whole block, which is faster than to copy what there
/// is; so octets behind the block are read, and then two more are judged by.
const WINDOW: usize = 2 * BLOCK + 2;
/// Room for what stays of a block, and for what is copied without need.
pub(super) const ROOM: usize = 2 * BLOCK;

/// Copies `text` to `out` without the white space that does not count, and tabs as spaces; by blocks, as far as there
/// is room for them. Says how many octets were read, and how many written. `text` must not end within white space or a
/// line end: what follows it is not known.
pub(super) fn squeeze(text: &[u8], out: &mut [u8]) -> (usize, usize) {
    let (mut read, mut written) = (0, 0);
    // Changes come close together or hardly at all: after one, the quick look would be for nothing.
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

/// The end of the text as a window. What it is filled up with stays, as text does.
fn padded(rest: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    window
}

/// Does anything in the first block change? A quick look, which takes a few too many for changed.
fn may_change(window: &[u8; WINDOW]) -> bool {
    let pairs = window.array_windows().take(BLOCK);
    pairs.fold(0, |any, [a, b]| any | u8::from(*a == b'\t') | (u8::from(*a == b' ') & u8::from(*b <= b' ')))
        != 0
}

/// A bit for each octet of the first block, the first one lowest: set if the octet goes.
fn goes(window: &[u8; WINDOW]) -> u64 {
    let mut flags = [0_u8; BLOCK];
    for (flag, [a, b, c]) in flags.iter_mut().zip(window.array_windows()) {
        let line_end = u8::from(*b == b'\r') & u8::from(*c == b'\n');
        *flag = u8::from(is_blank(*a)) & (u8::from(is_blank(*b)) | line_end);
    }
    let (eights, _) = flags.as_chunks();
    eights.iter().enumerate().fold(0, |bits, (at, eight)| bits | gather(*eight) << (8 * at))
}

/// Eight octets that are 0 or 1 as the bits of one octet.
fn gather(flags: [u8; 8]) -> u64 {
    // Each factor moves one of the flags to its bit in the highest octet; nothing else meets there.
    u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Copies the octets of the first block that have their bit set. Says how many that is.
fn copy_runs(set: u64, window: &[u8; WINDOW], room: &mut [u8; ROOM]) -> usize {
    let (mut left, mut written) = (set, 0);
    while left != 0 {
        let start = left.trailing_zeros();
        let run = (left >> start).trailing_ones();
        copy_block(window.get(start as usize..), room.get_mut(written..));
        written += run as usize;
        // The carry of the addition takes the lowest run away.
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
    for octet in text {
        *octet = if *octet == b'\t' { b' ' } else { *octet };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule, octet by octet.
    fn slow(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, octet) in text.iter().enumerate() {
            let goes = match &text[at + 1..] {
                [b' ' | b'\t', ..] | [b'\r', b'\n', ..] => is_blank(*octet),
                _ => false,
            };
            if !goes {
                out.push(if *octet == b'\t' { b' ' } else { *octet });
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
    fn every_three_octets_at_every_offset() {
        let octets = b"a \t\r\n";
        for number in 0..octets.len().pow(3) {
            let three = [number % 5, number / 5 % 5, number / 25].map(|at| octets[at]);
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
