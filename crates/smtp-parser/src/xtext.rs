//! xtext, the encoding of free text in parameter values (RFC 3461 §4).

use crate::grammar::Fault;
use crate::{SyntaxError, SyntaxErrorKind};
use bstr::BStr;
use std::borrow::Cow;
use std::fmt::Write;

/// A value in xtext, checked and still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xtext<'a>(&'a BStr);

impl<'a> Xtext<'a> {
    /// Checks text in xtext; [`xtext`] encodes other text.
    ///
    /// # Errors
    /// A `+` without two hexadecimal digits, or a character that must be encoded.
    pub fn new(encoded: &'a [u8]) -> Result<Self, SyntaxError> {
        Self::checked(encoded).map_err(|kind| Fault::new(kind, encoded).locate(encoded, None))
    }

    pub(crate) fn checked(text: &'a [u8]) -> Result<Self, SyntaxErrorKind> {
        // RFC 3461 §4: printable ASCII without "+" and "=", and "+" before two hexadecimal digits. Bytes outside
        // ASCII stand for themselves, as RFC 6533 §3 lets addresses do under SMTPUTF8.
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            rest = match first {
                b'+' => match tail {
                    [high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => tail,
                    _ => return Err(SyntaxErrorKind::BadXtext),
                },
                b'=' | 0..=b' ' | 0x7f => return Err(SyntaxErrorKind::BadXtext),
                _ => tail,
            };
        }
        Ok(Self(BStr::new(text)))
    }

    /// The encoded text.
    pub fn encoded(self) -> &'a BStr {
        self.0
    }

    /// The decoded text; borrowed where nothing was encoded.
    pub fn decode(self) -> Cow<'a, [u8]> {
        let text: &'a [u8] = self.0;
        if !text.contains(&b'+') {
            return Cow::Borrowed(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [first, tail @ ..] = rest {
            rest = match (first, tail) {
                (b'+', [high, low, tail @ ..]) => {
                    out.push(digit(*high) << 4 | digit(*low));
                    tail
                }
                _ => {
                    out.push(*first);
                    tail
                }
            };
        }
        Cow::Owned(out)
    }
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'F' => byte - b'A' + 10,
        b'a'..=b'f' => byte - b'a' + 10,
        _ => 0,
    }
}

/// `text` written as xtext.
pub fn xtext(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => out.push(char::from(byte)),
            _ => {
                // RFC 3461 §4: hexchar = "+" and two hexadecimal digits in upper case.
                let _ = write!(out, "+{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn decodes(encoded: &str, text: &[u8]) {
        assert_eq!(Xtext::new(encoded.as_bytes()).unwrap().decode(), text, "{encoded}");
    }

    #[test]
    fn decodes_what_was_encoded() {
        decodes("", b"");
        decodes("user@example.org", b"user@example.org");
        decodes("e+3Dmc2@example.com", b"e=mc2@example.com");
        decodes("+2B+2b+00+FF", b"++\0\xff");
        assert_eq!(xtext(b"a+b=c d\xff"), "a+2Bb+3Dc+20d+FF");
    }

    #[test]
    fn refuses_broken_escapes_and_bare_specials() {
        for text in ["+", "+4", "mox+4", "+GG", "+4G", "a=b", "a b", "a\tb", "\x7f"] {
            let error = Xtext::new(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), SyntaxErrorKind::BadXtext, "{text:?}");
        }
    }
}
