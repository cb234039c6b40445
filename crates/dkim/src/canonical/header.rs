//! Header canonicalisation (RFC 6376 §3.4.1, §3.4.2).

use super::scan::first_change;
use crate::Canonicalization;
use crate::tags::is_fws;
use std::ops::Range;

/// Appends one field with its line end. `raw` is the field as in the message; its first `name` bytes are the name.
pub(crate) fn canonical_field(kind: Canonicalization, raw: &[u8], name: usize, out: &mut Vec<u8>) {
    match kind {
        // RFC 6376 §3.4.1: simple changes nothing.
        Canonicalization::Simple => out.extend_from_slice(raw),
        Canonicalization::Relaxed => {
            relaxed(raw, name, out);
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Appends the field that holds the signature, without a line end and without the range `removed` of `raw`: the value of
/// `b=` with all white space around it (RFC 6376 §3.7).
pub(crate) fn canonical_signature(
    kind: Canonicalization,
    raw: &[u8],
    name: usize,
    removed: Range<usize>,
    out: &mut Vec<u8>,
) {
    let before = raw.get(..removed.start).unwrap_or(raw);
    let after = raw.get(removed.end..).unwrap_or_default();
    let mut bare = Vec::with_capacity(raw.len());
    bare.extend_from_slice(before);
    bare.extend_from_slice(after.strip_suffix(b"\r\n").unwrap_or(after));
    match kind {
        Canonicalization::Simple => out.append(&mut bare),
        Canonicalization::Relaxed => relaxed(&bare, name, out),
    }
}

/// RFC 6376 §3.4.2, without the final line end.
fn relaxed(raw: &[u8], name: usize, out: &mut Vec<u8>) {
    let (name, rest) = raw.split_at_checked(name).unwrap_or((raw, b""));
    // Names to lower case; no white space before or after the colon.
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let colon = rest.iter().position(|b| *b == b':').map_or(rest.len(), |colon| colon + 1);
    let mut value = skip_blank(rest.get(colon..).unwrap_or_default());
    // White space at the end is removed, with line ends.
    let end = value.iter().rposition(|b| !is_fws(b)).map_or(0, |last| last + 1);
    value = value.get(..end).unwrap_or_default();
    while let Some(at) = first_change(value) {
        let (same, rest) = value.split_at_checked(at).unwrap_or((value, b""));
        out.extend_from_slice(same);
        value = skip_blank(rest);
        if value.len() == rest.len() {
            // A carriage return that is not part of a fold is text.
            let (bare, after) = rest.split_at_checked(1).unwrap_or((rest, b""));
            out.extend_from_slice(bare);
            value = after;
        } else {
            // Every run of white space, folded lines included, is one space.
            out.push(b' ');
        }
    }
    out.extend_from_slice(value);
}

/// Skips leading white space and folds.
fn skip_blank(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        rest = match rest {
            [b' ' | b'\t', tail @ ..] | [b'\r', b'\n', tail @ ..] => tail,
            _ => return rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, want: &str) {
        let name = raw.bytes().take_while(|b| *b != b':' && *b != b' ').count();
        let mut out = Vec::new();
        canonical_field(Canonicalization::Relaxed, raw.as_bytes(), name, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), format!("{want}\r\n"));
        out.clear();
        canonical_field(Canonicalization::Simple, raw.as_bytes(), name, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), raw);
    }

    #[test]
    fn relaxed_fields() {
        check("SUBJect \t: \tA  b\t c \r\n", "subject:A b c");
        check("A:\r\n x\r\n\ty\r\n  \r\n z\r\n", "a:x y z");
        check("A: plain text of one space only\r\n", "a:plain text of one space only");
        check("A: trailing \t \r\n", "a:trailing");
        check("A: x \r\n y\r\n", "a:x y");
        check("A:\r\n", "a:");
        check("A: \t\r\n", "a:");
        check("A: x", "a:x");
        check("A: bare\rreturn\r\n", "a:bare\rreturn");
        check("A: bare \r return\r\n", "a:bare \r return");
        check("A: x:y:z\r\n", "a:x:y:z");
        check("A: a\tb\r\n", "a:a b");
    }

    #[test]
    fn the_signature_field_loses_its_value_and_its_line_end() {
        let check = |kind, raw: &str, removed, want: &str| {
            let mut out = Vec::new();
            canonical_signature(kind, raw.as_bytes(), 1, removed, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want);
        };
        check(Canonicalization::Simple, "D: b= x y ; c=d \r\n", 5..10, "D: b=; c=d ");
        check(Canonicalization::Relaxed, "D: b= x y ; c=d \r\n", 5..10, "d:b=; c=d");
        check(Canonicalization::Relaxed, "D: a=1; b=\r\n\tx\r\n", 10..16, "d:a=1; b=");
        check(Canonicalization::Simple, "D: a=1; b=\r\n\tx\r\n", 10..16, "D: a=1; b=");
    }
}
