//! The form of comments that name a rule of an RFC: `// RFC 5321 §4.5.3.1.4: what it says`.

use super::Finding;
use crate::rust::RustFile;

/// Finds comments that begin with an RFC and lack a section, a colon or the rule.
pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_comment = false;
    for (number, line) in file.code() {
        let comment = line.trim_start().strip_prefix("// ");
        // Only the first line of a comment counts: a later one may begin with "RFC" in the middle of a sentence.
        let begins = !std::mem::replace(&mut in_comment, comment.is_some());
        if let Some(text) = comment.filter(|text| begins && text.starts_with("RFC"))
            && !is_shaped(text)
        {
            let text = "an RFC comment has the shape `// RFC 5321 §4.5.3.1.4: what it says`";
            findings.push(Finding::new(&file.path, number, text));
        }
    }
    findings
}

/// `RFC 5321 §4.1: text`, where several places may stand before the colon: `RFC 7489 §6.3, RFC 9989 §4.7:`,
/// `RFC 8617 §5.2, step 3:`, `RFC 4422 appendix A:`, `RFC 8499 §7 (lame delegation):`. Rules that moxd does not obey yet have
/// ` todo` there.
fn is_shaped(text: &str) -> bool {
    let Some((places, says)) = text.split_once(':') else { return false };
    let mut words = places.split([' ', ',']).filter(|word| !word.is_empty());
    let begins = words.next() == Some("RFC")
        && words.next().is_some_and(is_number)
        && words.next().is_some_and(|word| is_section(word) || word == "appendix");
    let known = ["RFC", "appendix", "step", "steps", "to", "and", "todo"];
    let rest = |word: &str| {
        let bracket = word.starts_with('(') || word.ends_with(')');
        known.contains(&word) || is_number(word) || is_section(word) || is_letter(word) || bracket
    };
    begins && words.all(rest) && says.starts_with(' ') && says.len() > 1
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A section: `§4.5.3.1.4`, `§A.1`.
fn is_section(word: &str) -> bool {
    let Some(number) = word.strip_prefix('§') else { return false };
    number.split('.').all(|part| is_number(part) || is_letter(part))
}

/// An appendix: `A`, `A.1`.
fn is_letter(word: &str) -> bool {
    let mut parts = word.split('.');
    parts.next().is_some_and(|first| first.len() == 1 && first.bytes().all(|byte| byte.is_ascii_uppercase()))
        && parts.all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[test]
    fn accepts_the_shape() {
        for text in [
            "RFC 5321 §4.5.3.1.4: local part at most 64 octets.",
            "RFC 5321 §4.5.2 todo: something.",
            "RFC 9989 §4.7, RFC 7489 §6.3: unknown tags are ignored.",
            "RFC 8617 §5.2, step 3: exactly one.",
            "RFC 9990 §4, steps 5 to 8: the records.",
            "RFC 4422 appendix A: nothing.",
            "RFC 5322 §A.1 and §A.2: examples.",
            "RFC 5256 §2.1 (1): decode.",
            "RFC 8499 §7 (lame delegation): a hint.",
        ] {
            assert!(is_shaped(text), "{text}");
        }
    }

    #[test]
    fn refuses_every_other_shape() {
        for text in [
            "RFC 5321: local part",
            "RFC5321 §4.1: local part",
            "RFC 5321 4.1: local part",
            "RFC 5321 section 4.1: local part",
            "RFC 5321 §4.1",
            "RFC 5321 §4.1.",
            "RFC 5321 §4.1:",
            "RFC 5321 §4.1 wants: this",
            "RFC 5321 §: this",
        ] {
            assert!(!is_shaped(text), "{text}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_comment_counts() {
        let text = "// It is in\n// RFC 5321 somewhere.\nfn f() {}\n// RFC 5321 somewhere.\nconst A: u8 = 0;\n/// RFC 5321.\nfn g() {}\n";
        let source = Source { path: "crates/x/src/x.rs".to_owned(), text: text.to_owned() };
        let found = check(&RustFile::parse(&source).unwrap());
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [4]);
    }
}
