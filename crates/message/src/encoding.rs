//! Content transfer encodings (RFC 2045 §6): base64 and quoted-printable.

use base64::engine::{Engine as _, general_purpose::STANDARD};
use memchr::memchr;

/// How a body is encoded in a message (RFC 2045 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// ASCII lines, unencoded; the default.
    #[default]
    SevenBit,
    /// Lines of any bytes, unencoded.
    EightBit,
    /// Any bytes, unencoded.
    Binary,
    /// `=` and two hexadecimal digits for bytes that are not printable ASCII (RFC 2045 §6.7).
    QuotedPrintable,
    /// Four characters for three bytes (RFC 2045 §6.8).
    Base64,
    /// Any other encoding: the content is opaque (RFC 2045 §6.4).
    Unknown,
}

impl Encoding {
    /// Returns the encoding with this name; case does not matter.
    pub fn named(name: &[u8]) -> Self {
        match name.to_ascii_lowercase().as_slice() {
            b"7bit" => Self::SevenBit,
            b"8bit" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quoted-printable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }

    /// Is the body unencoded?
    pub fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

/// The result of decoding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Decoded {
    /// The decoded bytes, up to the limit.
    pub bytes: Vec<u8>,
    /// There were more bytes than the limit allows.
    pub cut: bool,
    /// The input broke the rules of the encoding; the broken text was skipped or taken literally.
    pub faulty: bool,
}

impl Decoded {
    /// Adds bytes up to the limit; returns false when they do not fit.
    fn add(&mut self, bytes: &[u8], limit: usize) -> bool {
        let room = limit.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        !self.cut
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Marks bytes that are no base64 digit in [`DIGITS`].
const NONE: u32 = 0xff;

/// The value of each byte as a base64 digit.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which would refuse an index out of range"
)]
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 64 {
        digits[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Decodes base64 to up to `limit` bytes.
///
/// RFC 2045 §6.8: characters outside the alphabet are ignored; those that are not white space make the result faulty, as
/// does an unfinished group. Decoding starts again after padding, because some mailers join encoded pieces. This leniency
/// is why `base64` does not decode here: it accepts no other characters, and removing them first takes longer than
/// decoding.
pub fn decode_base64(input: &[u8], limit: usize) -> Decoded {
    let mut out = Decoded::default();
    out.bytes.reserve((input.len() / 4 * 3).min(limit));
    let (mut group, mut count) = (0_u32, 0);
    let mut rest = input;
    loop {
        if count == 0 {
            rest = whole_groups(rest, limit, &mut out);
        }
        let Some((byte, tail)) = rest.split_first() else { break };
        rest = tail;
        let digit = digit(*byte);
        if digit != NONE {
            group = group << 6 | digit;
            count += 1;
            if count == 4 {
                let [_, bytes @ ..] = group.to_be_bytes();
                if !out.add(&bytes, limit) {
                    return out;
                }
                (group, count) = (0, 0);
            }
        } else if *byte == b'=' {
            finish(&mut out, group, count, limit);
            (group, count) = (0, 0);
        } else {
            out.faulty |= !byte.is_ascii_whitespace();
        }
    }
    out.faulty |= count != 0;
    finish(&mut out, group, count, limit);
    out
}

/// Decodes groups of four digits up to the first other character; returns the rest.
fn whole_groups<'i>(mut rest: &'i [u8], limit: usize, out: &mut Decoded) -> &'i [u8] {
    while let [a, b, c, d, tail @ ..] = rest {
        let [a, b, c, d] = [*a, *b, *c, *d].map(digit);
        if (a | b | c | d) == NONE || out.bytes.len() + 3 > limit {
            break;
        }
        let [_, bytes @ ..] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        out.bytes.extend_from_slice(&bytes);
        rest = tail;
    }
    rest
}

fn digit(byte: u8) -> u32 {
    DIGITS.get(usize::from(byte)).map_or(NONE, |digit| u32::from(*digit))
}

/// Decodes the last group of a text: two digits are one byte, three are two bytes.
fn finish(out: &mut Decoded, group: u32, count: usize, limit: usize) {
    match count {
        2 => {
            let [.., byte] = (group >> 4).to_be_bytes();
            out.add(&[byte], limit);
        }
        3 => {
            let [.., first, second] = (group >> 2).to_be_bytes();
            out.add(&[first, second], limit);
        }
        1 => out.faulty = true,
        _ => {}
    }
}

/// Returns the bytes in base64 with padding (RFC 4648 §4), on one line.
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes quoted-printable to up to `limit` bytes.
///
/// RFC 2045 §6.7: white space at line ends is removed, and a line that ends in `=` continues on the next one. `=` without two
/// hexadecimal digits behind it stands for itself and makes the result faulty.
pub fn decode_quoted_printable(input: &[u8], limit: usize) -> Decoded {
    let mut out = Decoded::default();
    out.bytes.reserve(input.len().min(limit));
    let mut rest = input;
    while !rest.is_empty() && !out.cut {
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = tail;
        let (content, line_end) = match line {
            [content @ .., b'\r', b'\n'] => (content, &b"\r\n"[..]),
            [content @ .., b'\n'] => (content, &b"\n"[..]),
            content => (content, &b""[..]),
        };
        let content = content.trim_ascii_end();
        match content.strip_suffix(b"=") {
            Some(soft) => quoted_line(soft, limit, &mut out),
            None => {
                quoted_line(content, limit, &mut out);
                out.add(line_end, limit);
            }
        }
    }
    out
}

fn quoted_line(mut line: &[u8], limit: usize, out: &mut Decoded) {
    while let Some(at) = memchr(b'=', line) {
        let (before, from) = line.split_at_checked(at).unwrap_or((line, &[]));
        out.add(before, limit);
        let pair = match from {
            [_, high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, passed) = match pair {
            Some((high, low)) => (high << 4 | low, 3),
            None => {
                out.faulty = true;
                (b'=', 1)
            }
        };
        if !out.add(&[byte], limit) {
            return;
        }
        line = from.get(passed..).unwrap_or_default();
    }
    out.add(line, limit);
}

/// Returns the value of a hexadecimal digit; RFC 2045 §6.7 wants capitals and allows readers to accept small letters.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Decodes the `Q` encoding of RFC 2047 §4.2: quoted-printable without lines, and `_` for a space.
pub(crate) fn decode_q(text: &[u8]) -> Vec<u8> {
    let mut out = Decoded::default();
    let mut rest = text;
    while let Some(at) = memchr(b'_', rest) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        quoted_line(before, usize::MAX, &mut out);
        out.bytes.push(b' ');
        rest = from.get(1..).unwrap_or_default();
    }
    quoted_line(rest, usize::MAX, &mut out);
    out.bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn base64(text: &str, expected: &[u8], faulty: bool) {
        let decoded = decode_base64(text.as_bytes(), 100);
        assert_eq!(
            (decoded.bytes.as_slice(), decoded.cut, decoded.faulty),
            (expected, false, faulty),
            "{text}"
        );
    }

    #[track_caller]
    fn quoted(text: &str, expected: &str, faulty: bool) {
        let decoded = decode_quoted_printable(text.as_bytes(), 100);
        let found = String::from_utf8_lossy(&decoded.bytes);
        assert_eq!((found.as_ref(), decoded.cut, decoded.faulty), (expected, false, faulty), "{text:?}");
    }

    #[test]
    fn round_trips_the_vectors_of_rfc_4648() {
        // RFC 4648 §10: test vectors.
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode_base64(plain.as_bytes()), encoded);
            base64(encoded, plain.as_bytes(), false);
        }
        assert_eq!(encode_base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn accepts_broken_base64_as_far_as_it_makes_sense() {
        base64("Zm9v\r\n\tYmFy\r\n", b"foobar", false);
        base64("Zg==Zg==", b"ff", false);
        base64("Zm9v!YmFy", b"foobar", true);
        base64("Zm9vYg", b"foob", true);
        base64("Zm9vY", b"foo", true);
        base64("Z===", b"", true);
        base64("Zm9\nvYmF\r\nyZm9v", b"foobarfoo", false);
        base64("Zm9v Ym\rFy\nZm9vZh==\nZm9v", b"foobarfooffoo", false);
        base64("Zm9vYm=\n=Zm9v", b"foobfoo", false);
    }

    #[test]
    fn decodes_quoted_printable() {
        quoted("a=3Db=c3=bc", "a=bü", false);
        quoted("soft=\r\n break= \t\r\nend", "soft breakend", false);
        quoted("trailing  \t\r\nnext\n", "trailing\r\nnext\n", false);
        quoted("a=zz=4", "a=zz=4", true);
        quoted("=", "", false);
        quoted("", "", false);
    }

    #[test]
    fn stops_at_the_limit() {
        for limit in 0..12 {
            let decoded = decode_base64(b"Zm9vYmFyZm9v", limit);
            assert_eq!((decoded.bytes.as_slice(), decoded.cut), (&b"foobarfoo"[..limit.min(9)], limit < 9));
            let decoded = decode_quoted_printable(b"fo=6Fbar\r\n", limit);
            assert_eq!((decoded.bytes.as_slice(), decoded.cut), (&b"foobar\r\n"[..limit.min(8)], limit < 8));
        }
    }
}
