//! The lexical tokens of header values: folding white space, comments, quoted strings (RFC 5322 §3.2).

use bstr::ByteSlice;

/// May this byte stand in an atom (RFC 5322 §3.2.3)? Bytes of UTF-8 may (RFC 6532 §3.2).
pub(crate) fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

/// May this byte stand in a token: printable ASCII without tspecials (RFC 2045 §5.1)?
pub(crate) fn is_token(b: u8) -> bool {
    b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b)
}

/// A position in a header value. Every method is linear in what it consumes, and none recurses.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// A comment, quoted string or literal had no end, or a carriage return stood alone.
    pub(crate) broken: bool,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, broken: false }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Consumes `wanted` if it comes next.
    pub(crate) fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    /// Consumes bytes as long as `accepts` returns true.
    pub(crate) fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|b| !accepts(*b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }

    /// Consumes white space and line ends.
    pub(crate) fn fws(&mut self) {
        loop {
            match self.rest {
                [b' ' | b'\t' | b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => self.rest = rest,
                _ => return,
            }
        }
    }

    /// Consumes white space and comments; returns the text of the last comment.
    pub(crate) fn cfws(&mut self) -> Option<String> {
        let mut last = None;
        loop {
            self.fws();
            if self.peek() != Some(b'(') {
                return last;
            }
            last = Some(self.comment());
        }
    }

    /// Consumes a comment; the text has no outer parentheses, escapes or line ends.
    pub(crate) fn comment(&mut self) -> String {
        // RFC 5322 §3.2.2: comments nest, to any depth.
        let mut depth = 0_usize;
        let mut text = Vec::new();
        while let Some(b) = self.next() {
            match b {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\r' | b'\n' => continue,
                b'\\' => {
                    text.extend(self.next());
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if !(b == b'(' && depth == 1) {
                text.push(b);
            }
        }
        self.broken |= depth != 0;
        text.to_str_lossy().into_owned()
    }

    /// Consumes a quoted string; the text has no quotes, escapes or line ends. None if no quote comes next.
    pub(crate) fn quoted(&mut self) -> Option<Vec<u8>> {
        if !self.eat(b'"') {
            return None;
        }
        let mut text = Vec::new();
        while let Some(b) = self.next() {
            match b {
                b'"' => return Some(text),
                // RFC 5322 §3.2.4: the CRLF in any FWS that appears within the quoted string is invisible.
                b'\r' | b'\n' => {}
                b'\\' => text.extend(self.next()),
                _ => text.push(b),
            }
        }
        self.broken = true;
        Some(text)
    }

    /// Consumes an atom; empty if none comes next.
    pub(crate) fn atom(&mut self) -> &'a [u8] {
        self.take_while(is_atext)
    }
}

/// Returns bytes as text, with replacement characters for what is not UTF-8.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.to_str_lossy().into_owned()
}
