//! Replies: the server writes them, the client reads them.

use crate::limits::{MAX_REPLY, MAX_REPLY_LINE, MAX_REPLY_LINE_LENIENT};
use crate::{Code, EnhancedCode, SyntaxError, SyntaxErrorKind};
use bstr::BStr;
use std::borrow::Cow;
use std::fmt;

/// A reply of one or more lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Three digits, for programs (RFC 5321 §4.2).
    pub code: Code,
    /// The enhanced code (RFC 2034).
    pub enhanced: Option<EnhancedCode>,
    text: Cow<'a, [u8]>,
}

impl<'a> Reply<'a> {
    /// A reply. Each LF in `text` begins another line.
    pub fn new(code: Code, enhanced: Option<EnhancedCode>, text: impl Into<Cow<'a, str>>) -> Self {
        let text = match text.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { code, enhanced, text }
    }

    /// The text without codes, its lines joined by LF.
    pub fn text(&self) -> &BStr {
        BStr::new(&self.text)
    }

    /// The lines of the text; at least one, which may be empty.
    pub fn lines(&self) -> impl Iterator<Item = &BStr> {
        self.text.split(|&byte| byte == b'\n').map(BStr::new)
    }

    /// The reply with a text of its own.
    pub fn into_owned(self) -> Reply<'static> {
        Reply { code: self.code, enhanced: self.enhanced, text: Cow::Owned(self.text.into_owned()) }
    }

    /// Writes the reply as it goes over the wire. Wraps long lines, and replaces what is not printable ASCII by `?`, so that
    /// no text can forge a line.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let enhanced = self.enhanced.map(|code| format!("{code} ")).unwrap_or_default();
        // RFC 2034 §4: the enhanced code is on every line.
        let room = MAX_REPLY_LINE.saturating_sub(2 + 4 + enhanced.len());
        let mut lines =
            self.text.split(|&byte| byte == b'\n').flat_map(|line| Wrapped { rest: Some(line), room });
        let mut next = lines.next();
        while let Some(line) = next {
            next = lines.next();
            // RFC 5321 §4.2.1: a hyphen after the code of every line but the last.
            let separator = if next.is_some() { b'-' } else { b' ' };
            out.extend_from_slice(self.code.to_string().as_bytes());
            out.push(separator);
            out.extend_from_slice(enhanced.as_bytes());
            out.extend(line.iter().map(|&byte| if matches!(byte, b' '..=b'~') { byte } else { b'?' }));
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply<'_> {
    /// On one line, for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for (at, line) in self.lines().enumerate() {
            f.write_str(if at == 0 { " " } else { " / " })?;
            for byte in line.iter() {
                match byte {
                    b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                    _ => write!(f, "\\x{byte:02x}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({self})")
    }
}

/// A line cut into pieces of at most `room` bytes, at spaces where there are any near the end.
struct Wrapped<'a> {
    rest: Option<&'a [u8]>,
    room: usize,
}

impl<'a> Iterator for Wrapped<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        /// A piece is never made shorter than this to find a space.
        const SHORTEST: usize = 400;
        let line = self.rest.take()?;
        let Some((piece, _)) = line.split_at_checked(self.room).filter(|(_, rest)| !rest.is_empty()) else {
            return Some(line);
        };
        let cut = memchr::memrchr(b' ', piece).filter(|&at| at >= SHORTEST).unwrap_or(self.room);
        let (piece, rest) = line.split_at_checked(cut)?;
        self.rest = Some(rest);
        Some(piece)
    }
}

impl<'a> Reply<'a> {
    /// Reads one reply from the front of `bytes`; returns it with its length. `None` where it is not complete.
    ///
    /// Removes the enhanced code from each line if the first line has one of the same class as the code.
    ///
    /// # Errors
    /// The bytes are no reply, whatever may follow.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, SyntaxError> {
        let mut at = 0;
        let mut first: Option<Line<'_>> = None;
        let mut more: Vec<&[u8]> = Vec::new();
        loop {
            let start = at;
            let error = |kind| SyntaxError::new(None, kind, start, bytes.len());
            let rest = bytes.get(at..).unwrap_or_default();
            let window = rest.get(..MAX_REPLY_LINE_LENIENT).unwrap_or(rest);
            let Some(length) = memchr::memchr(b'\n', window) else {
                let full = window.len() == MAX_REPLY_LINE_LENIENT || bytes.len() >= MAX_REPLY;
                return if full { Err(error(SyntaxErrorKind::ReplyTooLong)) } else { Ok(None) };
            };
            if at + length >= MAX_REPLY {
                return Err(error(SyntaxErrorKind::ReplyTooLong));
            }
            let content = window.get(..length).unwrap_or_default();
            let line = line(content.strip_suffix(b"\r").unwrap_or(content))
                .ok_or_else(|| error(SyntaxErrorKind::BadReplyCode))?;
            at += length + 1;
            let last = line.last;
            match &first {
                None => first = Some(line),
                // RFC 5321 §4.2.1: the code of every line is the same.
                Some(first) if first.code != line.code => {
                    return Err(error(SyntaxErrorKind::MixedReplyCodes));
                }
                Some(_) => more.push(line.text),
            }
            if let Some(first) = first.take_if(|_| last) {
                return Ok(Some((assemble(&first, &more), at)));
            }
        }
    }
}

/// One line of a reply.
struct Line<'a> {
    code: Code,
    last: bool,
    text: &'a [u8],
}

/// RFC 5321 §4.2: three digits; then a space, a hyphen, or (§4.2.1 asks clients to accept it) nothing.
fn line(line: &[u8]) -> Option<Line<'_>> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = Code::new(crate::param::digits(digits)?.parse().ok()?)?;
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    Some(Line { code, last, text })
}

fn assemble<'a>(first: &Line<'a>, more: &[&'a [u8]]) -> Reply<'a> {
    let split = |text: &'a [u8]| {
        let at = memchr::memchr(b' ', text).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(at)?;
        let code: EnhancedCode = std::str::from_utf8(word).ok()?.parse().ok()?;
        Some((code, rest.get(1..).unwrap_or_default()))
    };
    let found = split(first.text).filter(|(code, _)| code.class() == first.code.class());
    let (enhanced, text) = found.map_or((None, first.text), |(code, rest)| (Some(code), rest));
    if more.is_empty() {
        return Reply { code: first.code, enhanced, text: Cow::Borrowed(text) };
    }
    let mut joined = text.to_vec();
    for line in more {
        joined.push(b'\n');
        let same = split(line).filter(|(code, _)| Some(*code) == enhanced);
        joined.extend_from_slice(same.map_or(*line, |(_, rest)| rest));
    }
    Reply { code: first.code, enhanced, text: Cow::Owned(joined) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn writes(reply: &Reply<'_>, expected: &str) {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        assert_eq!(BStr::new(&out), BStr::new(expected));
    }

    fn not_found(text: &str) -> Reply<'_> {
        Reply::new(Code::MAILBOX_UNAVAILABLE, Some(EnhancedCode::permanent(1, 1)), text)
    }

    #[test]
    fn writes_the_codes_on_every_line() {
        writes(&Reply::new(Code::START_INPUT, None, "go on"), "354 go on\r\n");
        writes(&Reply::new(Code::CHALLENGE, None, ""), "334 \r\n");
        writes(&not_found("no such user"), "550 5.1.1 no such user\r\n");
        writes(&not_found("no\nsuch\nuser"), "550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n");
        writes(&not_found("\n"), "550-5.1.1 \r\n550 5.1.1 \r\n");
    }

    #[test]
    fn no_text_can_forge_a_line() {
        writes(&not_found("a\r\n250 ok\r\n"), "550-5.1.1 a?\r\n550-5.1.1 250 ok?\r\n550 5.1.1 \r\n");
        writes(&not_found("a\0\u{7f}\u{1b}[1mü"), "550 5.1.1 a???[1m??\r\n");
    }

    #[test]
    fn wraps_at_the_last_space_behind_byte_400() {
        let word = "a".repeat(450);
        let rest = "b".repeat(60);
        // 500 bytes fit beside the codes: 512 less CRLF, less "550 5.1.1 ".
        writes(&not_found(&"a".repeat(500)), &format!("550 5.1.1 {}\r\n", "a".repeat(500)));
        writes(&not_found(&"a".repeat(501)), &format!("550-5.1.1 {}\r\n550 5.1.1 a\r\n", "a".repeat(500)));
        writes(&not_found(&format!("{word} {rest}")), &format!("550-5.1.1 {word}\r\n550 5.1.1  {rest}\r\n"));
        let early = format!("{} {}", "a".repeat(399), "b".repeat(200));
        let (line, next) = early.split_at(500);
        writes(&not_found(&early), &format!("550-5.1.1 {line}\r\n550 5.1.1 {next}\r\n"));
    }

    #[test]
    fn wraps_as_often_as_needed() {
        let mut out = Vec::new();
        not_found(&"word ".repeat(1000)).write_to(&mut out);
        let lines: Vec<&[u8]> = out.split_inclusive(|&byte| byte == b'\n').collect();
        assert!(lines.iter().all(|line| line.len() <= MAX_REPLY_LINE));
        let (last, others) = lines.split_last().unwrap();
        assert!(last.starts_with(b"550 5.1.1 ") && others.iter().all(|line| line.starts_with(b"550-5.1.1 ")));
        assert_eq!(Reply::parse(&out).unwrap().unwrap().1, out.len());
    }

    #[test]
    fn prints_on_one_line_for_logs() {
        assert_eq!(not_found("no\nuser\u{7}").to_string(), r"550 5.1.1 no / user\x07");
    }
}
