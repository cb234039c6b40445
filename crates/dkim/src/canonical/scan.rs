//! Finding where white space in a header has to change. Most bytes of most fields stay as they are, so this skips them in
//! large blocks, and looks closely only where it finds something.

/// Bytes of a block where changes are far apart; the compiler uses vector instructions.
const WIDE: usize = 64;
/// Bytes of a block where a change is near.
const NARROW: usize = 16;

/// Returns the offset of the first byte that relaxed canonicalisation (RFC 6376 §3.4.2) may change, judged by the byte
/// after it: a tab, a carriage return, or a space before a space, a tab or a carriage return.
pub(super) fn first_change(text: &[u8]) -> Option<usize> {
    // Changes are close together or rare, so the first bytes are scanned in small blocks.
    let mut at = skip::<NARROW>(text, 0, WIDE);
    if at >= WIDE {
        at = skip::<WIDE>(text, at, usize::MAX);
        at = skip::<NARROW>(text, at, usize::MAX);
    }
    let rest = text.get(at..)?;
    let (last, next) = (rest.last()?, rest.get(1..)?);
    let found = rest.iter().zip(next).position(|(a, b)| changes(*a, *b) != 0);
    let end = || (changes(*last, b'.') != 0).then_some(next.len());
    found.or_else(end).map(|offset| at + offset)
}

/// Skips blocks of `N` bytes from `at` on, up to the first with a change, or past `end`.
fn skip<const N: usize>(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end
        && let Some((here, next)) = block::<N>(text, at)
    {
        let found = here.iter().zip(next).fold(0, |found, (a, b)| found | changes(*a, *b));
        if found != 0 {
            break;
        }
        at += N;
    }
    at
}

/// Returns the block at `at`, and the one that begins a byte later.
fn block<const N: usize>(text: &[u8], at: usize) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.get(at..)?.first_chunk()?, text.get(at + 1..)?.first_chunk()?))
}

/// Not zero if the byte `a` may change when `b` follows. Without branches, so that the compiler can vectorise it.
fn changes(a: u8, b: u8) -> u8 {
    let fold = u8::from(a == b'\t') | u8::from(a == b'\r');
    let space = u8::from(a == b' ') & (u8::from(b == b' ') | u8::from(b == b'\t') | u8::from(b == b'\r'));
    fold | space
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_change_at_every_offset() {
        for length in 0..200 {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                text[at] = b'\t';
                assert_eq!(first_change(&text), Some(at));
                text[at] = b'\r';
                assert_eq!(first_change(&text), Some(at));
                text[at] = b' ';
                assert_eq!(first_change(&text), None);
                if at + 1 < length {
                    for next in b" \t\r" {
                        text[at + 1] = *next;
                        assert_eq!(first_change(&text), Some(at));
                    }
                }
            }
        }
    }
}
