//! Macro strings: read (RFC 7208 §7.1) and expanded (§7.3).

use crate::received::{escaped, is_dot_atom};
use crate::{ErrorKind, Query};
use dns::{Domain, Host, Name};
use std::fmt::Write;
use std::net::IpAddr;

/// One part of a macro string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text without a `%`.
    Literal(&'a str),
    /// The text that an escape (`%%`, `%_` or `%-`) stands for.
    Escape(&'static str),
    Macro(Macro<'a>),
}

/// `%{d2r-}` and the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Macro<'a> {
    /// Lower-case.
    pub(crate) letter: u8,
    /// Whether the value is URL-escaped: the letter was upper-case.
    escaped: bool,
    /// Right-hand parts to keep.
    keep: Option<usize>,
    reversed: bool,
    delimiters: &'a str,
}

/// Iterates over the pieces of a macro string; ends after the first fault.
pub(crate) struct Pieces<'a>(&'a str);

pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces(text)
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<Piece<'a>, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (piece, rest) = match self.0.split_once('%') {
            None => (Ok(Piece::Literal(self.0)), ""),
            Some(("", rest)) => match after_percent(rest) {
                Ok((piece, rest)) => (Ok(piece), rest),
                Err(kind) => (Err(kind), ""),
            },
            Some((literal, _)) => {
                (Ok(Piece::Literal(literal)), self.0.get(literal.len()..).unwrap_or_default())
            }
        };
        self.0 = rest;
        Some(piece)
    }
}

fn after_percent(text: &str) -> Result<(Piece<'_>, &str), ErrorKind> {
    // RFC 7208 §7.3: a '%' not followed by '{', '%', '-' or '_' is a syntax error.
    let escapes = [("%", "%"), ("_", " "), ("-", "%20")];
    for (sign, meaning) in escapes {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok((Piece::Escape(meaning), rest));
        }
    }
    let inner = text.strip_prefix('{').ok_or(ErrorKind::BadMacro)?;
    let (inner, rest) = inner.split_once('}').ok_or(ErrorKind::BadMacro)?;
    Ok((Piece::Macro(read_macro(inner).ok_or(ErrorKind::BadMacro)?), rest))
}

/// RFC 7208 §7.1: macro-letter, digits, an `r`, delimiters.
fn read_macro(inner: &str) -> Option<Macro<'_>> {
    let (&sign, rest) = inner.as_bytes().split_first()?;
    let letter = sign.to_ascii_lowercase();
    if !b"slodiphcrtv".contains(&letter) {
        return None;
    }
    let rest = inner.get(inner.len() - rest.len()..)?;
    let (digits, rest) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
    // A number that overflows keeps all parts, as every number above their count does.
    let keep = (!digits.is_empty()).then(|| digits.parse().unwrap_or(usize::MAX));
    // RFC 7208 §7.3: if a DIGIT is specified, the value must be nonzero.
    if keep == Some(0) {
        return None;
    }
    let delimiters = rest.strip_prefix(['r', 'R']).unwrap_or(rest);
    if !delimiters.bytes().all(|b| b".-+,/_=".contains(&b)) {
        return None;
    }
    let reversed = delimiters.len() < rest.len();
    Some(Macro { letter, escaped: sign.is_ascii_uppercase(), keep, reversed, delimiters })
}

/// The mailbox that stands for the sender: that of MAIL FROM, or `postmaster` at the HELO domain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) localpart: &'a str,
    pub(crate) domain: &'a Domain,
}

impl Sender<'_> {
    /// Prints the mailbox as in MAIL FROM. RFC 5321 §4.1.2: a local part that is not a dot-string is quoted.
    pub(crate) fn mailbox(&self) -> String {
        if is_dot_atom(self.localpart) {
            format!("{}@{}", self.localpart, self.domain)
        } else {
            format!("\"{}\"@{}", escaped(self.localpart, "\"\\"), self.domain)
        }
    }
}

/// What the macro letters stand for (RFC 7208 §7.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    pub(crate) sender: Sender<'a>,
    /// The domain whose record is being evaluated.
    pub(crate) domain: &'a Name,
    pub(crate) ip: IpAddr,
    pub(crate) helo: Option<&'a Host>,
    /// The validated name of the address, if the text needs one and the address has one.
    pub(crate) validated: Option<&'a Name>,
    /// The receiver, and seconds since the epoch; only in explanations.
    pub(crate) explaining: Option<(Option<&'a Domain>, u64)>,
}

/// RFC 7208 §7.2, §7.3: stands for a receiver, validated name or HELO that is not known.
const UNKNOWN: &str = "unknown";

impl<'a> Values<'a> {
    /// The values in the record of `domain`.
    pub(crate) fn of(
        query: &Query<'a>,
        sender: Sender<'a>,
        domain: &'a Name,
        validated: Option<&'a Name>,
    ) -> Self {
        Self { sender, domain, ip: query.ip, helo: query.helo, validated, explaining: None }
    }

    /// Returns the text with its macros expanded.
    ///
    /// # Errors
    /// The text is not a macro string. One that was checked always is.
    pub(crate) fn expand(&self, text: &str) -> Result<String, ErrorKind> {
        let mut out = String::with_capacity(text.len());
        let mut value = String::new();
        for piece in pieces(text) {
            match piece? {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Escape(meaning) => out.push_str(meaning),
                Piece::Macro(one) => {
                    value.clear();
                    self.write(one.letter, &mut value);
                    one.transform(&value, &mut out);
                }
            }
        }
        Ok(out)
    }

    /// Writes the value of a letter, before any transformation.
    fn write(&self, letter: u8, out: &mut String) {
        let sender = self.sender;
        let written = match letter {
            b's' => write!(out, "{}@{}", sender.localpart, sender.domain),
            b'l' => out.write_str(sender.localpart),
            b'o' => out.write_str(sender.domain.as_str()),
            b'd' => out.write_str(self.domain.as_str()),
            b'i' => write_dotted(self.ip, out),
            b'c' => write!(out, "{}", self.ip),
            b'v' => out.write_str(if self.ip.is_ipv4() { "in-addr" } else { "ip6" }),
            b'p' => out.write_str(self.validated.map_or(UNKNOWN, Name::as_str)),
            b'h' => match self.helo {
                Some(helo) => write!(out, "{helo}"),
                None => out.write_str(UNKNOWN),
            },
            b'r' => {
                let receiver = self.explaining.and_then(|(receiver, _)| receiver);
                out.write_str(receiver.map_or(UNKNOWN, Domain::as_str))
            }
            _ => write!(out, "{}", self.explaining.map_or(0, |(_, seconds)| seconds)),
        };
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}

/// RFC 7208 §7.3: IPv6 in dot-format, nibble by nibble.
fn write_dotted(ip: IpAddr, out: &mut String) -> std::fmt::Result {
    match ip {
        IpAddr::V4(ip) => write!(out, "{ip}"),
        IpAddr::V6(ip) => {
            for (n, byte) in ip.octets().into_iter().enumerate() {
                let dot = if n == 0 { "" } else { "." };
                write!(out, "{dot}{:x}.{:x}", byte >> 4, byte & 15)?;
            }
            Ok(())
        }
    }
}

impl Macro<'_> {
    /// RFC 7208 §7.3: split, reverse, keep the right-hand parts, join with dots; escape at last.
    fn transform(&self, value: &str, out: &mut String) {
        let start = out.len();
        if self.keep.is_none() && !self.reversed && self.delimiters.is_empty() {
            out.push_str(value);
        } else {
            let delimiters = if self.delimiters.is_empty() { "." } else { self.delimiters };
            let mut parts: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
            if self.reversed {
                parts.reverse();
            }
            let dropped = parts.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
            for (n, part) in parts.into_iter().skip(dropped).enumerate() {
                out.push_str(if n == 0 { "" } else { "." });
                out.push_str(part);
            }
        }
        if self.escaped {
            let plain = out.split_off(start);
            escape(&plain, out);
        }
    }
}

/// RFC 3986 §2.1, §2.3: every byte that is not an unreserved character becomes `%XX`.
fn escape(plain: &str, out: &mut String) {
    for &byte in plain.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let written = write!(out, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a String takes everything");
        }
    }
}
