//! Addresses in the fields of a report (RFC 3464 §2.3.1, RFC 6533 §3).

use super::parse::uncommented;
use smtp_parser::Path;
use std::fmt::Write;

/// Formats a path as `kind;address`. `utf8`: the report may have UTF-8.
pub(super) fn typed_path(path: &Path, utf8: bool) -> String {
    let text = match path {
        Path::Mailbox(mailbox) if utf8 => mailbox.unicode(),
        _ => {
            let text = path.to_string();
            text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(&text).to_owned()
        }
    };
    let kind = if text.is_ascii() { "rfc822" } else { "utf-8" };
    typed(kind, &text, utf8)
}

/// Formats an address of any kind as `kind;address`.
pub(super) fn typed(kind: &str, address: &str, utf8: bool) -> String {
    // Text that reads as a comment or as part of a quoted string must be escaped.
    let safe = !address.contains(char::is_control) && uncommented(address.as_bytes()) == address;
    // RFC 6533 §3: an unescaped backslash could read as the beginning of an escape.
    let bare = !kind.eq_ignore_ascii_case("utf-8") || (utf8 && safe && !address.contains('\\'));
    let plain = |c: char| match c {
        // RFC 6533 §3: these are escaped too, so that the text survives xtext.
        '\\' | '+' | '=' => false,
        '(' | ')' | '"' => safe,
        _ => {
            if c.is_ascii() {
                c.is_ascii_graphic()
            } else {
                utf8
            }
        }
    };
    if bare { format!("{kind};{address}") } else { format!("{kind};{}", escaped(address, plain)) }
}

/// RFC 6533 §3: utf-8-addr-unitext if there may be UTF-8, utf-8-addr-xtext if not.
fn escaped(address: &str, plain: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for c in address.chars() {
        if plain(c) {
            out.push(c);
        } else {
            // Writing to a String never fails.
            let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    out
}

/// Decodes the escapes of RFC 6533 §3; everything else stands for itself.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        let found = after.split_once('}').and_then(|(hex, tail)| {
            // RFC 6533 §3: two to six hexadecimal digits.
            let plain = (2..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let value = u32::from_str_radix(hex, 16).ok().filter(|_| plain)?;
            Some((char::from_u32(value)?, tail))
        });
        match found {
            Some((c, tail)) => {
                out.push(c);
                rest = tail;
            }
            None => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Returns the path of an address of kind rfc822 or utf-8.
pub(super) fn path(kind: &str, address: &str) -> Option<Path> {
    let address = match kind {
        _ if kind.eq_ignore_ascii_case("rfc822") => address.to_owned(),
        _ if kind.eq_ignore_ascii_case("utf-8") => unescaped(address),
        _ => return None,
    };
    // Some servers write angle brackets, which belong to SMTP.
    let address = address.strip_prefix('<').and_then(|a| a.strip_suffix('>')).unwrap_or(&address);
    if address.eq_ignore_ascii_case("postmaster") {
        return Some(Path::Postmaster);
    }
    if let Ok(mailbox) = address.parse() {
        return Some(Path::Mailbox(mailbox));
    }
    let (localpart, host) = address.rsplit_once('@')?;
    match host.parse().ok()? {
        dns::Host::Ip(ip) => Some(Path::Literal(localpart.parse().ok()?, ip)),
        dns::Host::Domain(_) => None,
    }
}
