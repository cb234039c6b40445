//! Finds what a reader would take for an address in text that breaks the grammar.

use super::{Address, host};
use crate::lex::{Cursor, is_atext, text};

/// Does text in quotes and in comments count?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// Quoted strings and comments that are closed are no addresses; those without an end are ordinary text.
    Respected,
    /// Quotes and parentheses are ordinary characters.
    Plain,
}

/// Finds up to `limit` addresses in `input`: those in angle brackets if there are any, otherwise all. Linear in the input.
pub(crate) fn salvage(input: &[u8], quotes: Quotes, limit: usize) -> Vec<Address> {
    let mut scan =
        Scan { cursor: Cursor::new(input), quotes, comments: quotes, local: Vec::new(), gap: false };
    let (mut in_angle, mut bracketed, mut bare) = (false, Vec::new(), Vec::new());
    while let Some(b) = scan.cursor.peek() {
        match b {
            b'@' => {
                let address = scan.address();
                let found = if in_angle { &mut bracketed } else { &mut bare };
                if found.len() < limit {
                    found.extend(address);
                }
            }
            b'<' | b'>' => {
                in_angle = b == b'<';
                scan.pass();
            }
            _ => scan.step(b),
        }
    }
    if bracketed.is_empty() { bare } else { bracketed }
}

struct Scan<'a> {
    cursor: Cursor<'a>,
    /// Becomes `Plain` at the first quoted string without an end: looking for the end of each one would take quadratic
    /// time.
    quotes: Quotes,
    /// The same for comments.
    comments: Quotes,
    /// The local part if an `@` comes next.
    local: Vec<u8>,
    /// White space follows `local`.
    gap: bool,
}

impl Scan<'_> {
    /// Skips one character that belongs to no address.
    fn pass(&mut self) {
        self.cursor.next();
        self.local.clear();
    }

    /// Reads one item before an `@`: a character, a quoted string or a comment.
    fn step(&mut self, b: u8) {
        match b {
            b'"' if self.quotes == Quotes::Respected => {
                let mut ahead = self.cursor.clone();
                let quoted = ahead.quoted().unwrap_or_default();
                if ahead.broken {
                    self.quotes = Quotes::Plain;
                    return self.pass();
                }
                (self.cursor, self.local, self.gap) = (ahead, quoted, false);
            }
            b'(' if self.passes_comment() => {}
            b' ' | b'\t' | b'\r' | b'\n' => {
                self.cursor.next();
                self.gap = true;
            }
            _ if is_atext(b) || b == b'.' => {
                if std::mem::take(&mut self.gap) {
                    self.local.clear();
                }
                self.local.extend(self.cursor.next());
            }
            _ => self.pass(),
        }
    }

    /// Reads the `@` and the domain behind it.
    fn address(&mut self) -> Option<Address> {
        let mut local = std::mem::take(&mut self.local);
        self.gap = false;
        let written = loop {
            self.cursor.next();
            self.cursor.fws();
            let written = self.domain();
            // Of several domains in a row, the first one with a dot counts.
            if written.contains(&b'.') || self.cursor.peek() != Some(b'@') {
                break written;
            }
            local.push(b'@');
            local.extend_from_slice(&written);
        };
        if local.is_empty() || written.is_empty() {
            return None;
        }
        Some(Address { name: None, localpart: text(&local), site: host(&written) })
    }

    /// Reads a domain. Skips quotes and comments in it, as mail clients do.
    fn domain(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        loop {
            written.extend_from_slice(self.cursor.take_while(|b| is_atext(b) || b == b'.'));
            match self.cursor.peek() {
                Some(b'"' | b'\\') => drop(self.cursor.next()),
                Some(b'(') if self.passes_comment() => {}
                _ => return written,
            }
        }
    }

    /// Skips a comment and returns true, unless the comment has no end or is ordinary text.
    fn passes_comment(&mut self) -> bool {
        if self.comments == Quotes::Plain {
            return false;
        }
        let mut ahead = self.cursor.clone();
        ahead.comment();
        if ahead.broken {
            self.comments = Quotes::Plain;
        } else {
            self.cursor = ahead;
        }
        self.comments == Quotes::Respected
    }
}
