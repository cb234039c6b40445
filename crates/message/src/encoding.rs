//! Content transfer encodings (RFC 2045 §6): base64 and quoted-printable.

use memchr::memchr;

/// How the octets of a body stand in a message (RFC 2045 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// ASCII lines, as they are; the default.
    #[default]
    SevenBit,
    /// Lines of any octets, as they are.
    EightBit,
    /// Any octets, as they are.
    Binary,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64.
    Base64,
    /// One that is not known: the content cannot be told (RFC 2045 §6.4).
    Unknown,
}

impl Encoding {
    /// The encoding of this name; case does not matter.
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

    /// Do the octets stand as they are?
    pub fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

/// What came out of decoding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Decoded {
    /// The octets, at most as many as the limit.
    pub bytes: Vec<u8>,
    /// There was more than the limit allows.
    pub cut: bool,
    /// Something was not as the encoding has it, and was passed over or taken literally.
    pub faulty: bool,
}

impl Decoded {
    /// Adds octets up to the limit; false when it is reached.
    fn add(&mut self, bytes: &[u8], limit: usize) -> bool {
        let room = limit.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        !self.cut
    }
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Marks what is no base64 digit in [`DIGITS`].
const NONE: u32 = 0xff;

/// The value of each octet as a base64 digit.
#[allow(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler, which would refuse an index out of range"
)]
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut value = 0;
    while value < 64 {
        digits[STANDARD[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Decodes base64 to at most `limit` octets.
///
/// RFC 2045 §6.8 has octets outside the alphabet ignored; white space aside they make the result faulty, as does an
/// unfinished group. Text after padding begins anew, as mailers make it that join encoded pieces.
pub fn decode_base64(input: &[u8], limit: usize) -> Decoded {
    let mut out = Decoded::default();
    out.bytes.reserve((input.len() / 4 * 3).min(limit));
    let (mut group, mut count) = (0_u32, 0);
    let mut rest = input;
    loop {
        if count == 0 {
            rest = whole_groups(rest, limit, &mut out);
        }
        let Some((octet, tail)) = rest.split_first() else { break };
        rest = tail;
        let digit = digit(*octet);
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
        } else if *octet == b'=' {
            finish(&mut out, group, count, limit);
            (group, count) = (0, 0);
        } else {
            out.faulty |= !octet.is_ascii_whitespace();
        }
    }
    out.faulty |= count != 0;
    finish(&mut out, group, count, limit);
    out
}

/// Decodes groups of four digits as long as nothing else comes, which is nearly always; gives what is left.
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

fn digit(octet: u8) -> u32 {
    DIGITS.get(usize::from(octet)).map_or(NONE, |digit| u32::from(*digit))
}

/// The last group of a text: two digits are an octet, three are two octets.
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

/// Octets in base64 with padding (RFC 4648 §4), on one line.
pub fn encode_base64(bytes: &[u8]) -> String {
    let mut out = digits(bytes, STANDARD);
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// Octets in base64 for URLs, without padding (RFC 4648 §5).
pub(crate) fn encode_base64_url(bytes: &[u8]) -> String {
    digits(bytes, URL_SAFE)
}

fn digits(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let digit = group >> (18 - 6 * place) & 0x3f;
            let octet = usize::try_from(digit).ok().and_then(|digit| alphabet.get(digit));
            out.extend(octet.map(|octet| char::from(*octet)));
        }
    }
    out
}

/// Decodes quoted-printable to at most `limit` octets.
///
/// RFC 2045 §6.7: white space at line ends goes, a line ending in `=` goes on; `=` before anything but two hexadecimal
/// digits stands for itself and makes the result faulty.
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
        let (octet, passed) = match pair {
            Some((high, low)) => (high << 4 | low, 3),
            None => {
                out.faulty = true;
                (b'=', 1)
            }
        };
        if !out.add(&[octet], limit) {
            return;
        }
        line = from.get(passed..).unwrap_or_default();
    }
    out.add(line, limit);
}

/// The value of a hexadecimal digit; RFC 2045 §6.7 wants capitals and lets readers take small letters.
pub(crate) fn hex(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The `Q` encoding of RFC 2047 §4.2: as quoted-printable without lines, and `_` for a space.
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
            assert_eq!(encode_base64_url(plain.as_bytes()), encoded.trim_end_matches('='));
            base64(encoded, plain.as_bytes(), false);
        }
        assert_eq!(encode_base64(&[0xfb, 0xff]), "+/8=");
        assert_eq!(encode_base64_url(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn accepts_broken_base64_as_far_as_it_makes_sense() {
        base64("Zm9v\r\n\tYmFy\r\n", b"foobar", false);
        base64("Zg==Zg==", b"ff", false);
        base64("Zm9v!YmFy", b"foobar", true);
        base64("Zm9vYg", b"foob", true);
        base64("Zm9vY", b"foo", true);
        base64("Z===", b"", true);
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
