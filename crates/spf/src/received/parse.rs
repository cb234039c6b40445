//! Parsing the field.

use super::ReceivedSpf;
use crate::{Error, ErrorKind};

/// Bytes of the longest field that is parsed; ours are far shorter.
const MAX_FIELD: usize = 16 * 1024;

impl ReceivedSpf {
    /// Parses a field, folded or not, with or without its name.
    ///
    /// It accepts what other servers are known to write: values need no quotes unless they have a space or semicolon, and
    /// comments may stand anywhere.
    ///
    /// # Errors
    /// [`ErrorKind::BadReceivedSpf`]: no result of RFC 7208 §9.1, an unclosed comment or quote, a pair without `=`.
    pub fn parse(field: &[u8]) -> Result<Self, Error> {
        let bad = || Error::new(ErrorKind::BadReceivedSpf);
        let text = str::from_utf8(field).ok().filter(|text| text.len() <= MAX_FIELD).ok_or_else(bad)?;
        read(text).ok_or_else(bad)
    }
}

fn read(text: &str) -> Option<ReceivedSpf> {
    let name = "received-spf:";
    let named = text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let mut cursor = Cursor { rest: if named { text.get(name.len()..)? } else { text } };
    cursor.comments()?;
    let result = cursor.word().parse().ok()?;
    let comment = cursor.comments()?;
    let mut pairs = Vec::new();
    while !cursor.rest.is_empty() {
        let key = cursor.take_while(|c| !is_blank(c) && c != '=' && c != ';' && c != '(').to_owned();
        if key.is_empty() {
            return None;
        }
        cursor.comments()?;
        cursor.rest = cursor.rest.strip_prefix('=')?;
        cursor.comments()?;
        let value = cursor.value()?;
        pairs.push((key, value));
        cursor.comments()?;
        // RFC 7208 §9.1: pairs are separated by semicolons; the last may have one too.
        match cursor.rest.strip_prefix(';') {
            Some(rest) => cursor.rest = rest,
            None if cursor.rest.is_empty() => {}
            None => return None,
        }
        cursor.comments()?;
    }
    Some(ReceivedSpf { result, comment, pairs })
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The rest of the text.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphabetic())
    }

    /// Skips white space and comments; returns the text of the first comment, its white space reduced to single spaces.
    fn comments(&mut self) -> Option<String> {
        let mut first = None;
        loop {
            self.take_while(is_blank);
            match self.rest.strip_prefix('(') {
                Some(rest) => {
                    self.rest = rest;
                    let comment = self.until_closed()?;
                    first.get_or_insert(comment);
                }
                None => return Some(first.unwrap_or_default()),
            }
        }
    }

    /// Takes the rest of a comment (RFC 5322 §3.2.2). Nested comments are kept with their parentheses.
    fn until_closed(&mut self) -> Option<String> {
        let (mut text, mut depth) = (String::new(), 0_usize);
        let mut characters = self.rest.chars();
        while let Some(c) = characters.next() {
            match c {
                ')' if depth == 0 => {
                    self.rest = characters.as_str();
                    return Some(
                        text.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
                    );
                }
                ')' => depth -= 1,
                '(' => depth += 1,
                _ => {}
            }
            text.push(if c == '\\' { characters.next()? } else { c });
        }
        None
    }

    /// Takes a quoted-string (RFC 5322 §3.2.4), or the text up to white space, a semicolon or a comment.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return Some(self.take_while(|c| !is_blank(c) && c != ';' && c != '(').to_owned());
        };
        let mut text = String::new();
        let mut characters = quoted.chars();
        while let Some(c) = characters.next() {
            match c {
                '"' => {
                    self.rest = characters.as_str();
                    return Some(text);
                }
                '\\' => text.push(characters.next()?),
                // RFC 5322 §3.2.4: the line ends of folding are no part of the value.
                '\r' | '\n' => {}
                c => text.push(c),
            }
        }
        None
    }
}
