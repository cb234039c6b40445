//! The form of a text file: no blanks at line ends, one line end at its end, and a first line that says what a crate does.

use super::Finding;
use crate::workspace::Source;

/// Checks one file.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line, text: String| findings.push(Finding::new(&source.path, line, text));
    for (at, line) in source.text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            found(at + 1, "blank at the end of the line".to_owned());
        }
    }
    if !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n")) {
        found(source.text.lines().count(), "the file does not end in one line end".to_owned());
    }
    if source.path.ends_with(".rs") {
        let is_face = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
        if is_face && !source.text.starts_with("//! ") {
            found(1, "the first line does not say what the crate does".to_owned());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[(usize, &str)]) {
        let found = check(&Source { path: path.to_owned(), text: text.to_owned() });
        let found: Vec<_> = found.iter().map(|finding| (finding.line, finding.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn accepts_a_file_in_shape() {
        check_text("crates/x/src/lib.rs", "//! What it does.\n\nfn f() {}\n", &[]);
    }

    #[test]
    fn refuses_what_is_out_of_shape() {
        check_text(
            "docs/x.md",
            "a \nb\t\nc",
            &[
                (1, "blank at the end of the line"),
                (2, "blank at the end of the line"),
                (3, "the file does not end in one line end"),
            ],
        );
        check_text("docs/x.md", "a\r\n", &[(1, "blank at the end of the line")]);
        check_text("docs/x.md", "a\n\n", &[(2, "the file does not end in one line end")]);
        check_text(
            "crates/x/src/lib.rs",
            "fn f() {}\n",
            &[(1, "the first line does not say what the crate does")],
        );
    }
}
