//! Tag lists (RFC 6376 §3.2): the grammar that signatures, seals and key records share.

use crate::{Error, ErrorKind};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::{memchr, memchr2, memchr3};

/// Tags that one list may have. RFC 6376 §3.5 defines thirteen; others are ignored, up to this limit.
pub const MAX_TAGS: usize = 64;

/// One `name=value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a [u8],
    /// The value, without the white space around it.
    pub(crate) value: &'a [u8],
    /// Where the text after the equals sign begins in the list, white space included.
    pub(crate) start: usize,
    /// Where that text ends: at the semicolon, or the end of the list.
    pub(crate) end: usize,
}

/// A list of tags with distinct names.
#[derive(Debug)]
pub(crate) struct Tags<'a>(Vec<Tag<'a>>);

impl<'a> Tags<'a> {
    /// Parses `tag-spec *( ";" tag-spec ) [ ";" ]`.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, Error> {
        let mut tags: Vec<Tag<'a>> = Vec::with_capacity(16);
        // Nearly every list is well-formed, so the tag at fault is looked for only in one that is not.
        let printable = is_tag_value(trim(text));
        for (tag, last) in pieces(text) {
            let Some(tag) = tag else {
                // RFC 6376 §3.2: the list may end in a semicolon; nowhere else may a tag be missing.
                if last && !tags.is_empty() {
                    break;
                }
                return Err(ErrorKind::TagList.into());
            };
            if !is_tag_name(tag.name) {
                return Err(Error::about(ErrorKind::TagList, tag.name));
            }
            if !printable && !is_tag_value(tag.value) {
                return Err(Error::about(ErrorKind::TagValue, tag.name));
            }
            // RFC 6376 §3.2: tags with duplicate names must not occur; the entire list is invalid.
            if tags.iter().any(|other| other.name == tag.name) {
                return Err(Error::about(ErrorKind::DuplicateTag, tag.name));
            }
            if tags.len() == MAX_TAGS {
                return Err(ErrorKind::TooManyTags.into());
            }
            tags.push(tag);
        }
        Ok(Self(tags))
    }

    /// RFC 6376 §3.2: tag names are case-sensitive.
    pub(crate) fn tag(&self, name: &str) -> Option<Tag<'a>> {
        self.0.iter().find(|tag| tag.name == name.as_bytes()).copied()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.tag(name).map(|tag| tag.value)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&'a [u8], Error> {
        self.get(name).ok_or_else(|| Error::about(ErrorKind::MissingTag, name.as_bytes()))
    }

    /// The name of the first tag.
    pub(crate) fn first(&self) -> Option<&'a [u8]> {
        self.0.first().map(|tag| tag.name)
    }
}

/// Iterates over the parts between semicolons, each with whether it is the last; `None` for a part without equals sign.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = (Option<Tag<'_>>, bool)> {
    let mut at = Some(0);
    std::iter::from_fn(move || {
        let begin = at?;
        let rest = text.get(begin..)?;
        let length = memchr(b';', rest);
        let piece = rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest);
        at = length.map(|length| begin + length + 1);
        let tag = memchr(b'=', piece).and_then(|equals| {
            let (name, value) = (piece.get(..equals)?, piece.get(equals + 1..)?);
            let start = begin + equals + 1;
            Some(Tag { name: trim(name), value: trim(value), start, end: start + value.len() })
        });
        Some((tag.or_else(|| bare(piece)), length.is_none()))
    })
}

/// A part without equals sign is a malformed tag, unless it is blank.
fn bare(piece: &[u8]) -> Option<Tag<'_>> {
    let name = trim(piece);
    // A part with an equals sign is a tag; an empty name is refused where the tag is used.
    (!name.is_empty()).then_some(Tag { name: b"", value: name, start: 0, end: 0 })
}

/// White space that may be folded (RFC 6376 §2.8).
pub(crate) fn is_fws(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Trims folding white space at both ends.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_fws(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_fws(b)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// RFC 6376 §3.2: a letter, then letters, digits and underscores.
fn is_tag_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// RFC 6376 §3.2: printable characters, with folding white space between them. RFC 8616 §5 adds UTF-8.
fn is_tag_value(value: &[u8]) -> bool {
    // Without branches, so that the compiler can use vector instructions.
    let bad = value.iter().fold(false, |bad, b| bad | (*b == 0x7f) | ((*b < b' ') & !is_fws(b)));
    !bad && is_folded(value)
}

/// Whether every line end is CRLF and followed by white space (RFC 5322 §2.2.3).
pub(crate) fn is_folded(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        match rest.get(at..) {
            Some([b'\r', b'\n', b' ' | b'\t', tail @ ..]) => rest = tail,
            _ => return false,
        }
    }
    true
}

/// Iterates over the parts of a colon-separated list, without the white space around them.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b':').map(trim)
}

/// Tolerant of what other software writes: padding may be missing, and left-over bits need not be zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 with folding white space anywhere in it (RFC 6376 §2.10).
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let Some(mut at) = memchr3(b' ', b'\t', b'\r', text) else { return BASE64.decode(text).ok() };
    let mut packed = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        packed.extend_from_slice(rest.get(..at)?);
        rest = rest.get(at..)?;
        let blank = rest.iter().take_while(|b| is_fws(b)).count();
        rest = rest.get(blank..)?;
        if rest.is_empty() {
            return BASE64.decode(packed).ok();
        }
        at = memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
    }
}

/// Returns the base64 of `data` without line breaks.
pub(crate) fn encode_base64(data: &[u8]) -> String {
    BASE64.encode(data)
}

/// Parses an unsigned decimal number of up to `digits` digits; one too large for 64 bits becomes the largest.
pub(crate) fn number(text: &[u8], digits: usize) -> Option<u64> {
    if text.is_empty() || text.len() > digits {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, ErrorKind> {
        let show = |tag: &Tag<'_>| format!("{}={}", tag.name.escape_ascii(), tag.value.escape_ascii());
        Tags::parse(text.as_bytes()).map(|tags| tags.0.iter().map(show).collect()).map_err(|e| e.kind())
    }

    #[test]
    fn accepts_tag_lists() {
        let check = |text, want: &[&str]| assert_eq!(names(text).unwrap(), want, "{text}");
        check("v=1; d=a.test", &["v=1", "d=a.test"]);
        check("v=1;d=a.test;", &["v=1", "d=a.test"]);
        check(" v = 1 ;\r\n\td\r\n =\r\n\t a.test ; \r\n ", &["v=1", "d=a.test"]);
        check("n=a = b; t_1=; T_1=x", &["n=a = b", "t_1=", "T_1=x"]);
    }

    #[test]
    fn refuses_what_is_no_tag_list() {
        let check = |text, want| assert_eq!(names(text).unwrap_err(), want, "{text}");
        check("", ErrorKind::TagList);
        check(";", ErrorKind::TagList);
        check("v=1;;d=a", ErrorKind::TagList);
        check("v=1; d", ErrorKind::TagList);
        check("v=1; =x", ErrorKind::TagList);
        check("1v=1", ErrorKind::TagList);
        check("a-b=1", ErrorKind::TagList);
        check("v=1; v=1", ErrorKind::DuplicateTag);
        check("v=a\0b", ErrorKind::TagValue);
        check("v=a\rb", ErrorKind::TagValue);
        check("v=a\nb", ErrorKind::TagValue);
        check("v=a\r\nb", ErrorKind::TagValue);
        let many: Vec<String> = (0..=MAX_TAGS).map(|n| format!("t{n}=")).collect();
        check(&many.join(";"), ErrorKind::TooManyTags);
    }

    #[test]
    fn spans_cover_everything_up_to_the_semicolon() {
        let text = b"v=1; b= ab\r\n c ; d=x";
        let tag = Tags::parse(text).unwrap().tag("b").unwrap();
        assert_eq!(&text[tag.start..tag.end], b" ab\r\n c ");
    }

    #[test]
    fn base64_is_read_as_the_world_writes_it() {
        let check = |text: &str, want: Option<&[u8]>| {
            assert_eq!(decode_base64(text.as_bytes()).as_deref(), want, "{text}");
        };
        check("aGVsbG8=", Some(b"hello"));
        check("aGVsbG8", Some(b"hello"));
        check("aGV\r\n\tsb G8 =", Some(b"hello"));
        check("aGVsbG9=", Some(b"hello"));
        check("", Some(b""));
        check("aGV*", None);
        check("a", None);
    }

    #[test]
    fn numbers_have_a_length_and_never_overflow() {
        assert_eq!(number(b"0012", 12), Some(12));
        assert_eq!(number(&[b'9'; 76], 76), Some(u64::MAX));
        assert_eq!(number(&[b'9'; 77], 76), None);
        assert_eq!(number(b"", 12), None);
        assert_eq!(number(b"+1", 12), None);
    }
}
