//! As much of Rust as the documents need: doc comments, string constants, arguments of macros.

/// The doc comment right above line `at` (from 0), as one line; attributes between are passed over.
pub(super) fn doc_above(lines: &[&str], at: usize) -> String {
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

/// The string literals of a line, with their escapes as they stand.
pub(super) fn literals(line: &str) -> Vec<&str> {
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
    text.bytes().position(|octet| {
        let ends = octet == b'"' && !escaped;
        escaped = octet == b'\\' && !escaped;
        ends
    })
}

/// The value of `const NAME: &str = "..."` in a text.
pub(super) fn constant<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("const {name}: &str ="))?;
    literals(after.split(';').next()?).first().copied()
}

/// The arguments of each `name!(..)` in a text, as they stand.
pub(super) fn macro_calls<'a>(text: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let open = format!("{name}!(");
    let whole_word = |at: &usize| {
        let before = text.get(..*at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    let starts = text.match_indices(&open).map(|(at, _)| at).filter(whole_word);
    starts.map(|at| arguments(text.get(at + open.len()..).unwrap_or_default())).collect()
}

/// Cuts `a, b(c, d), "e, f")...` into its arguments, up to the bracket that closes them.
fn arguments(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start, mut skip) = (0usize, 0, 0);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if at < skip => continue,
            b'"' => {
                let length = text.get(at + 1..).and_then(end_of_literal).unwrap_or_default();
                skip = at + length + 2;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth > 0 => depth -= 1,
            b',' | b')' if depth == 0 => {
                found.extend(text.get(start..at).map(str::trim).filter(|argument| !argument.is_empty()));
                start = at + 1;
                if octet == b')' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_arguments_over_lines_and_strings() {
        let text =
            "counter!(A);\nmy_counter!(B);\nmetrics::counter!(\n  \"x\", \"a, b)\" => f(1, 2),\n).go()";
        assert_eq!(macro_calls(text, "counter"), [vec!["A"], vec!["\"x\"", "\"a, b)\" => f(1, 2)"]]);
    }

    #[test]
    fn reads_literals_and_constants() {
        assert_eq!(literals(r#"x("a", "b\"c") + "d"#), ["a", r#"b\"c"#]);
        assert_eq!(constant("pub const N: &str =\n  \"v\"; const M: &str = \"w\";", "N"), Some("v"));
    }

    #[test]
    fn reads_docs_above_attributes() {
        let lines = ["x", "/// One", "/// two.", "#[non_exhaustive]", "A,"];
        assert_eq!(doc_above(&lines, 4), "One two.");
    }
}
