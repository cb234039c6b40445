//! `docs/replies.md`: every reply of the SMTP server.

use super::{cell, heading};
use crate::rust::RustFile;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// The only file with reply texts.
const REPLIES: &str = "crates/smtpserver/src/replies.rs";
/// The file with the names of reply codes.
const CODES: &str = "crates/smtp-parser/src/code.rs";

pub(super) fn document(files: &[RustFile]) -> Result<String> {
    let find = |path: &str| {
        files.iter().find(|file| file.path == path).with_context(|| format!("{path} is not there"))
    };
    let about = "Every reply of the SMTP server. `{}` stands for a variable part; error replies end in the id of the \
                 connection, `(...)`, which is not shown.";
    Ok(heading("Replies", about) + &tables(find(REPLIES)?, &codes(&find(CODES)?.text))?)
}

/// Reads the numbers of the named reply codes.
fn codes(text: &str) -> BTreeMap<&str, &str> {
    let constants = text.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
    let pairs = constants.filter_map(|line| line.split_once(": Self = Self("));
    pairs.filter_map(|(name, value)| Some((name, value.strip_suffix(");")?))).collect()
}

/// Reads the `NAME: CODE status, "text";` rows of the one table, with `// ---- heading ----` between.
fn tables(file: &RustFile, codes: &BTreeMap<&str, &str>) -> Result<String> {
    const HEAD: &str = "\n| reply | text | when |\n| --- | --- | --- |\n";
    let table = file.syntax.items.iter().find_map(|item| match item {
        // The definition of a macro has a name, its call has none.
        syn::Item::Macro(call) if call.ident.is_none() => Some(call.mac.delimiter.span()),
        _ => None,
    });
    let table = table.with_context(|| format!("{} has no table of replies", file.path))?;
    let (first, last) = (table.open().end().line, table.close().start().line);
    let lines: Vec<&str> = file.text.lines().take(last - 1).skip(first).collect();
    let mut out = String::new();
    let mut at = 0;
    while let Some(line) = lines.get(at).map(|line| line.trim()) {
        let begins = at;
        at += 1;
        if let Some(title) = line.strip_prefix("// ----").and_then(|rest| rest.strip_suffix("----")) {
            out += &format!("\n## {}\n{HEAD}", title.trim());
        } else if !line.is_empty() && !line.starts_with("//") && !line.starts_with("#[") {
            // A long row takes several lines.
            let mut row = line.to_owned();
            while !row.ends_with(';') {
                row +=
                    lines.get(at).map(|line| line.trim()).with_context(|| format!("`{row}` does not end"))?;
                at += 1;
            }
            if out.is_empty() {
                out += HEAD;
            }
            out += &self::row(&row, &doc_above(&lines, begins), codes)?;
        }
    }
    Ok(out)
}

fn row(row: &str, when: &str, codes: &BTreeMap<&str, &str>) -> Result<String> {
    let (_, rest) = row.split_once(':').with_context(|| row.to_owned())?;
    let name = rest.split_whitespace().next().unwrap_or_default();
    let code = codes.get(name).with_context(|| format!("no reply code `{name}`"))?;
    let status: Vec<&str> = match rest.split_once("Some((") {
        Some((_, status)) => status.split("))").next().unwrap_or_default().split(", ").collect(),
        None => Vec::new(),
    };
    ensure!(status.is_empty() || status.len() == 2, "bad status in `{row}`");
    let class = code.get(..1).unwrap_or_default();
    let enhanced = if status.is_empty() { String::new() } else { format!(" {class}.{}", status.join(".")) };
    let text = *literals(rest).first().with_context(|| row.to_owned())?;
    // An empty text has no code span.
    let text = if text.is_empty() { String::new() } else { format!("`{}`", cell(text)) };
    Ok(format!("| {code}{enhanced} | {text} | {} |\n", cell(when)))
}

/// Returns the doc comment above line `at` (from 0), as one line. Attributes may stand between.
fn doc_above(lines: &[&str], at: usize) -> String {
    let mut doc = Vec::new();
    for line in lines.iter().take(at).rev().map(|line| line.trim()) {
        match line.strip_prefix("///") {
            Some(text) => doc.push(text.trim()),
            None if line.starts_with("#[") && doc.is_empty() => {}
            None => break,
        }
    }
    doc.reverse();
    doc.join(" ")
}

/// Returns the string literals of a line, with their escapes.
fn literals(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('"') {
        let Some(end) = end_of_literal(after) else { break };
        found.push(after.get(..end).unwrap_or_default());
        rest = after.get(end + 1..).unwrap_or_default();
    }
    found
}

fn end_of_literal(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[test]
    fn reads_the_table() {
        let codes =
            codes("    pub const OK: Self = Self(250);\n    pub const START_INPUT: Self = Self(354);\n");
        let text = "macro_rules! replies {\n    () => {};\n}\n\nreplies! {\n    // ---- one ----\n\n    /// RFC 5321 §4.2: done.\n    DONE: OK Some((1, 0)), \"fine; {}\";\n\
            \x20   /// Go.\n    GO: START_INPUT None,\n        \"go on\";\n}\n";
        let source = Source { path: "replies.rs".to_owned(), text: text.to_owned() };
        let expected = "\n## one\n\n| reply | text | when |\n| --- | --- | --- |\n\
            | 250 2.1.0 | `fine; {}` | RFC 5321 §4.2: done. |\n| 354 | `go on` | Go. |\n";
        assert_eq!(tables(&RustFile::parse(&source).unwrap(), &codes).unwrap(), expected);
    }

    #[test]
    fn refuses_a_code_without_a_name() {
        let text = "replies! {\n    DONE: NOTHING None, \"x\";\n}\n";
        let source = Source { path: "replies.rs".to_owned(), text: text.to_owned() };
        assert!(tables(&RustFile::parse(&source).unwrap(), &BTreeMap::new()).is_err());
    }

    #[test]
    fn reads_literals() {
        assert_eq!(literals(r#"x("a", "b\"c") + "d"#), ["a", r#"b\"c"#]);
    }

    #[test]
    fn reads_docs_above_attributes() {
        let lines = ["x", "/// One", "/// two.", "#[non_exhaustive]", "A,"];
        assert_eq!(doc_above(&lines, 4), "One two.");
    }
}
