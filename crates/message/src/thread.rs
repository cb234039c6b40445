//! Canonical Message-IDs and base subjects, by which messages belong to one thread.

use crate::decode_words;
use crate::lex::text;
use memchr::{memchr, memrchr};
use smtp_parser::{Dialect, Mailbox};

/// Characters of a subject that count for its base; the rest is cut off first.
pub const MAX_SUBJECT: usize = 1000;
/// Message-IDs of one References field that are kept: the last ones, which are the nearest ancestors.
pub const MAX_REFERENCES: usize = 10;
/// Longest Message-ID in a References field, in bytes. RFC 5322 §2.1.1 allows no longer line, so a longer one names no
/// message.
pub const MAX_REFERENCE: usize = 998;

/// Returns a Message-ID in the form for comparison: lower case, without brackets, without unneeded quoting. None if the
/// value has no Message-ID.
///
/// [`Dialect::Lenient`] allows text after a space behind it, because some relays add it.
///
/// ```
/// use moxd_message::canonical_message_id;
/// use smtp_parser::Dialect;
///
/// let id = canonical_message_id(b" <\"Ab.c\"@Example.ORG> (added by x)\r\n", Dialect::Lenient);
/// assert_eq!(id.as_deref(), Some("ab.c@example.org"));
/// ```
pub fn canonical_message_id(value: &[u8], dialect: Dialect) -> Option<String> {
    canonical(&written_message_id(value, dialect)?)
}

/// Returns a Message-ID as its sender wrote it, without brackets and white space. None if the value has none.
pub fn written_message_id(value: &[u8], dialect: Dialect) -> Option<String> {
    let value = text(value.trim_ascii());
    let (id, rest) = value.strip_prefix('<')?.split_once('>')?;
    let rest_allowed = rest.is_empty() || (dialect == Dialect::Lenient && rest.starts_with(' '));
    // Some mailers fold inside; white space means nothing in an identifier.
    let id: String = id.chars().filter(|c| !c.is_whitespace()).collect();
    (rest_allowed && !id.is_empty()).then_some(id)
}

/// Returns the last [`MAX_REFERENCES`] Message-IDs of a References or In-Reply-To field, canonical, in their order.
///
/// Text between them and IDs of more than [`MAX_REFERENCE`] bytes are skipped.
pub fn references(value: &[u8]) -> Vec<String> {
    let mut ids = Vec::new();
    let mut rest = value;
    while ids.len() < MAX_REFERENCES
        && let Some((before, from)) = memrchr(b'<', rest).and_then(|at| rest.split_at_checked(at))
    {
        let id = memchr(b'>', from).and_then(|end| from.get(1..end)).filter(|id| id.len() <= MAX_REFERENCE);
        ids.extend(id.and_then(|id| canonical(&text(id))));
        rest = before;
    }
    ids.reverse();
    ids
}

fn canonical(id: &str) -> Option<String> {
    let id: String = id.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    if id.is_empty() {
        return None;
    }
    // Many are no addresses, because the host has an underscore or the @ is missing; they stay as they are.
    let Ok(Mailbox { localpart, .. }) = id.parse() else { return Some(id) };
    let (_, site) = id.rsplit_once('@')?;
    // The domain is kept as it was spelled, in Unicode or not.
    Some(format!("{localpart}@{site}"))
}

/// Returns the base of a subject, for threading, and whether a prefix or suffix marks an answer or a forwarded message.
///
/// RFC 5256 §2.1; the base is in lower case with single spaces, since only comparison matters.
///
/// ```
/// assert_eq!(moxd_message::base_subject(b"Re: [list] Fwd: Hello  World (fwd)"), ("hello world".to_owned(), true));
/// ```
pub fn base_subject(value: &[u8]) -> (String, bool) {
    // RFC 5256 §2.1 (1): decode, and make all white space one space.
    let decoded: String = decode_words(value).chars().take(MAX_SUBJECT).collect();
    let subject = decoded.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut rest = subject.as_str();
    let mut answers = false;
    loop {
        // (2) trailers.
        while let Some(before) = rest.trim_end().strip_suffix("(fwd)") {
            answers = true;
            rest = before;
        }
        rest = rest.trim_end();
        // (3) to (5) leaders and blobs.
        loop {
            rest = rest.trim_start();
            if let Some(after) = leader(rest) {
                answers = true;
                rest = after;
            } else if let Some(after) = blob(rest).filter(|after| !after.is_empty()) {
                rest = after;
            } else {
                break;
            }
        }
        // (6) the wrapping of old mailers.
        match rest.strip_prefix("[fwd:").and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => {
                answers = true;
                rest = inner;
            }
            None => return (rest.to_owned(), answers),
        }
    }
}

/// Returns what follows `*subj-blob subj-refwd` (RFC 5256 §5).
fn leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = blob(rest) {
        rest = after;
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| rest.strip_prefix(word))?.trim_start();
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// Returns what follows a text in square brackets and its white space (RFC 5256 §5, subj-blob).
fn blob(text: &str) -> Option<&str> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    (!inner.contains('[')).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(value: &str, lenient: Option<&str>, strict: Option<&str>) {
        for (dialect, expected) in [(Dialect::Lenient, lenient), (Dialect::Strict, strict)] {
            assert_eq!(canonical_message_id(value.as_bytes(), dialect).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn accepts_message_ids_in_one_form() {
        let same = |value, expected| check_id(value, Some(expected), Some(expected));
        same("<A@B.example>", "a@b.example");
        same("  <a@b>\r\n", "a@b");
        same("<\"a.b\"@c.example>", "a.b@c.example");
        same("<no-at-sign>", "no-at-sign");
        same("<a@b@c>", "a@b@c");
        same("<a@under_score>", "a@under_score");
        same("<a@[192.0.2.1]>", "a@[192.0.2.1]");
        same("<a@BÜCHER.example>", "a@bücher.example");
        same("<a@\r\n b.example>", "a@b.example");
        check_id("<a@b> (added by c)", Some("a@b"), None);
    }

    #[test]
    fn refuses_what_is_no_message_id() {
        for value in ["", "a@b", "<a@b", "<>", "< >", "<a@b>c", "x <a@b>"] {
            check_id(value, None, None);
        }
    }

    #[test]
    fn reads_references() {
        assert_eq!(references(b"<A@b> <c@d>\r\n\t<\"e\"@f>, junk <> <open"), ["a@b", "c@d", "e@f"]);
        assert_eq!(references(b"a> <b> c> <d <e>"), ["b", "e"]);
    }

    #[test]
    fn keeps_the_last_references_of_bounded_size() {
        let many: String = (0..5000).map(|n| format!("<{n}@a.example>\r\n ")).collect();
        let last: Vec<String> = (4990..5000).map(|n| format!("{n}@a.example")).collect();
        assert_eq!(references(many.as_bytes()), last);
        let long = "x".repeat(MAX_REFERENCE);
        assert_eq!(references(format!("<a> <{long}> <{long}x> <b>").as_bytes()), ["a", &long, "b"]);
        assert_eq!(references("<".repeat(1_000_000).as_bytes()), [""; 0]);
        assert_eq!(references("<>".repeat(1_000_000).as_bytes()), [""; 0]);
    }

    #[track_caller]
    fn check_subject(subject: &str, base: &str, answers: bool) {
        assert_eq!(base_subject(subject.as_bytes()), (base.to_owned(), answers), "{subject}");
    }

    #[test]
    fn finds_the_base_of_a_subject() {
        check_subject("Hello", "hello", false);
        check_subject("Re: Hello", "hello", true);
        check_subject("RE : FW:Fwd: \t Hello\r\n World", "hello world", true);
        check_subject("Re[2]: Hello", "hello", true);
        check_subject("[list] Hello", "hello", false);
        check_subject("[list] [other] Re: [list] Hello", "hello", true);
        check_subject("Hello (fwd) (FWD) ", "hello", true);
        check_subject("[Fwd: Re: Hello (fwd)]", "hello", true);
        check_subject("=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", "grüße", true);
    }

    #[test]
    fn keeps_what_only_looks_like_wrapping() {
        check_subject("", "", false);
        check_subject("Re:", "", true);
        check_subject("[only a blob]", "[only a blob]", false);
        check_subject("[a[b] c", "[a[b] c", false);
        check_subject("Regards: all", "regards: all", false);
        check_subject("[fwd: open", "[fwd: open", false);
        check_subject("Re", "re", false);
    }

    #[test]
    fn long_wrapping_costs_little() {
        let (base, answers) = base_subject("[a]".repeat(100_000).as_bytes());
        assert!(!answers && base.len() <= 3);
        let (base, answers) = base_subject("re:".repeat(100_000).as_bytes());
        assert!(answers && base.len() <= 3);
    }
}
