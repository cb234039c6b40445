//! Content-Type, Content-Disposition, and the parameters they share (RFC 2045 §5.1, RFC 2183, RFC 2231).

use crate::charset::to_utf8;
use crate::encoding::hex;
use crate::lex::{Cursor, is_token, text};

/// Parameters of one field that are read; our own limit. Ten are many.
pub const MAX_PARAMS: usize = 100;

/// The parameters of a field, with continuations joined and charsets decoded (RFC 2231).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Returns the value of a parameter; case of the name does not matter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All parameters: names in lower case, in order of appearance.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The media type of a part (RFC 2045 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentType {
    /// Type in lower case, such as `text`.
    pub kind: String,
    /// Subtype in lower case, such as `plain`.
    pub subtype: String,
    /// The parameters.
    pub params: Params,
}

impl ContentType {
    /// Reads the value of a Content-Type field. None if it has no type and subtype.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        cursor.cfws();
        let kind = token(&mut cursor)?;
        cursor.cfws();
        cursor.eat(b'/').then_some(())?;
        cursor.cfws();
        let subtype = token(&mut cursor)?;
        Some(Self { kind, subtype, params: params(&mut cursor) })
    }
}

/// How a part is to be shown (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disposition {
    /// Type in lower case: `inline`, `attachment`, …
    pub kind: String,
    /// The parameters.
    pub params: Params,
}

impl Disposition {
    /// Reads the value of a Content-Disposition field. None if it has no type.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        cursor.cfws();
        let kind = token(&mut cursor)?;
        Some(Self { kind, params: params(&mut cursor) })
    }
}

/// A token in lower case.
fn token(cursor: &mut Cursor<'_>) -> Option<String> {
    let token = cursor.take_while(is_token);
    Some(text(&token.to_ascii_lowercase())).filter(|token| !token.is_empty())
}

/// One parameter as written, before RFC 2231 is applied.
struct Piece {
    name: String,
    /// Its place among the continuations; 0 if it has none.
    section: u32,
    /// Its value may have percent signs, and the first one a charset.
    extended: bool,
    value: Vec<u8>,
}

fn params(cursor: &mut Cursor<'_>) -> Params {
    let mut pieces = Vec::new();
    while pieces.len() < MAX_PARAMS {
        // Skip to the next semicolon.
        loop {
            cursor.cfws();
            match cursor.peek() {
                None => return join(pieces),
                Some(b';') => break,
                Some(b'"') => drop(cursor.quoted()),
                Some(_) => drop(cursor.next()),
            }
        }
        cursor.next();
        cursor.cfws();
        let Some(name) = token(cursor) else { continue };
        cursor.cfws();
        if cursor.eat(b'=') {
            cursor.cfws();
            pieces.push(piece(name, value(cursor)));
        }
    }
    join(pieces)
}

fn value(cursor: &mut Cursor<'_>) -> Vec<u8> {
    if let Some(quoted) = cursor.quoted() {
        return quoted;
    }
    // RFC 2045 §5.1: a value without quotes is a token, but spaces and specials are common in file names. Parentheses at the
    // end are a comment; those in the middle are not.
    let bare = cursor.take_while(|b| !matches!(b, b';' | b'"' | b'\r' | b'\n')).trim_ascii();
    let comment = match bare.iter().rposition(|b| matches!(b, b'(' | b')')) {
        Some(at) if bare.get(at) == Some(&b'(') || at + 1 == bare.len() => {
            bare.iter().position(|b| *b == b'(')
        }
        _ => None,
    };
    comment.and_then(|at| bare.get(..at)).unwrap_or(bare).trim_ascii_end().to_vec()
}

/// Splits `name*2*` (RFC 2231 §3, §4).
fn piece(name: String, value: Vec<u8>) -> Piece {
    let (base, extended) = name.strip_suffix('*').map_or((name.as_str(), false), |base| (base, true));
    let numbered = base.split_once('*').and_then(|(base, section)| Some((base, section.parse().ok()?)));
    let (base, section) = numbered.unwrap_or((base, 0));
    Piece { name: base.to_owned(), section, extended, value }
}

/// Joins continuations in the order of their numbers, and decodes extended values.
fn join(mut pieces: Vec<Piece>) -> Params {
    let mut params = Params::default();
    while let Some(first) = pieces.first() {
        let name = first.name.clone();
        let mut same: Vec<Piece> = pieces.extract_if(.., |piece| piece.name == name).collect();
        same.sort_by_key(|piece| piece.section);
        params.pairs.push((name, whole(&same)));
    }
    params
}

/// Returns the value of one name: pieces 0, 1, 2, … up to the first gap. Of two pieces with the same number the first counts,
/// except that the extended form wins over the plain one for old readers (as in HTTP, RFC 6266 §4.3).
fn whole(same: &[Piece]) -> String {
    let mut bytes = Vec::new();
    let mut charset = None;
    for (section, expected) in same.chunk_by(|a, b| a.section == b.section).zip(0_u32..) {
        let Some(piece) = section.iter().find(|piece| piece.extended).or_else(|| section.first()) else {
            break;
        };
        if piece.section != expected {
            break;
        }
        let mut value = piece.value.as_slice();
        if piece.extended {
            if expected == 0 {
                // RFC 2231 §4: charset'language'text.
                let mut parts = value.splitn(3, |b| *b == b'\'');
                if let (Some(name), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                    charset = Some(text(name));
                    value = rest;
                }
            }
            percent(value, &mut bytes);
        } else {
            bytes.extend_from_slice(value);
        }
    }
    charset.and_then(|charset| to_utf8(&bytes, &charset)).unwrap_or_else(|| text(&bytes))
}

fn percent(mut value: &[u8], out: &mut Vec<u8>) {
    while let [first, rest @ ..] = value {
        let pair = match rest {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, passed) = pair.map_or((*first, 1), |(high, low)| (high << 4 | low, 3));
        out.push(byte);
        value = value.get(passed..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, kind: &str, params: &[(&str, &str)]) {
        let found = ContentType::parse(value.as_bytes()).unwrap();
        assert_eq!(format!("{}/{}", found.kind, found.subtype), kind, "{value}");
        assert_eq!(found.params.iter().collect::<Vec<_>>(), params, "{value}");
    }

    #[test]
    fn accepts_parameters_as_they_are_written() {
        check("text/plain", "text/plain", &[]);
        check("TEXT/Plain; CharSet=UTF-8", "text/plain", &[("charset", "UTF-8")]);
        check("text/plain; charset=us-ascii (Plain text)", "text/plain", &[("charset", "us-ascii")]);
        check(
            "multipart/mixed;\r\n\tboundary=\"a;b \\\"c\"; x=y;",
            "multipart/mixed",
            &[("boundary", "a;b \"c"), ("x", "y")],
        );
        check("(c) text (c) / (c) plain (c) ; (c) a (c) = (c) b", "text/plain", &[("a", "b")]);
        check("text/plain; charset=x (a\r\n comment); y=1", "text/plain", &[("charset", "x"), ("y", "1")]);
        check("text/plain; name=a (1).txt; y=b)", "text/plain", &[("name", "a (1).txt"), ("y", "b)")]);
        check("image/png; name=my file.png; x=1", "image/png", &[("name", "my file.png"), ("x", "1")]);
        check("text/plain; nonsense; ; =x; a=1", "text/plain", &[("a", "1")]);
        check("text/plain charset=utf-8; a=1", "text/plain", &[("a", "1")]);
        check("text/plain; a=1; A=2", "text/plain", &[("a", "1")]);
    }

    #[test]
    fn joins_and_decodes_the_examples_of_rfc_2231() {
        check(
            "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore\"",
            "message/external-body",
            &[("access-type", "URL"), ("url", "ftp://cs.utk.edu/pub/moore")],
        );
        check(
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "application/x-stuff",
            &[("title", "This is ***fun***")],
        );
        check(
            "application/x-stuff\r\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20;title*0*=us-ascii'en'This%20is%20even%20more%20\
             \r\n ;title*2=\"isn't it!\"",
            "application/x-stuff",
            &[("title", "This is even more ***fun*** isn't it!")],
        );
        check("a/b; f*=utf-8''%e2%82%ac; f=EUR", "a/b", &[("f", "€")]);
        check("a/b; f*=iso-8859-1''%FC; g*0=x; g*2=z", "a/b", &[("f", "ü"), ("g", "x")]);
        check("a/b; f*=%zz%4; g*1=x", "a/b", &[("f", "%zz%4"), ("g", "")]);
    }

    #[test]
    fn refuses_what_has_no_type() {
        for value in ["", "text", "text/", "/plain", "; a=b", "\"text\"/plain"] {
            assert_eq!(ContentType::parse(value.as_bytes()), None, "{value}");
        }
        assert_eq!(Disposition::parse(b" ; filename=x"), None);
    }

    #[test]
    fn parameters_are_bounded() {
        let many = format!("a/b{}", "; x*1=y; z=1".repeat(100_000));
        assert_eq!(ContentType::parse(many.as_bytes()).unwrap().params.iter().count(), 2);
    }
}
