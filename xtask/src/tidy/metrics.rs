//! The rules of metrics: each name is written in one file, is described once, and has one kind.

use super::Finding;
use crate::r#gen::metrics::{MetricCall, calls};
use crate::rust::RustFile;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::collections::BTreeMap;
use syn::Lit;

/// Checks all metrics in `files`, test code aside.
pub(super) fn check(files: &[RustFile]) -> Vec<Finding> {
    let server: Vec<&RustFile> = files
        .iter()
        .filter(|file| file.path.starts_with("bin/") || file.path.starts_with("crates/"))
        .collect();
    let calls = calls(&server);
    let mut findings = check_calls(&calls);
    // The file that describes a metric is the one that may write its name.
    let mut homes: BTreeMap<&str, &str> = BTreeMap::new();
    let (described, others): (Vec<_>, Vec<_>) = calls.iter().partition(|call| call.describes);
    for call in described.into_iter().chain(others) {
        homes.entry(&call.name).or_insert(&call.path);
    }
    for file in server {
        for (line, text) in literals(file.syntax.to_token_stream()) {
            if let Some(home) = homes.get(text.as_str()).filter(|home| **home != file.path)
                && !file.is_test(line)
            {
                let text = format!("the metric `{text}` is written in {home} already; use that name");
                findings.push(Finding::new(&file.path, line, text));
            }
        }
    }
    findings
}

/// Finds metrics that are described twice, or that have two kinds.
fn check_calls(calls: &[MetricCall]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut described: BTreeMap<&str, &str> = BTreeMap::new();
    for MetricCall { name, kind, describes, path, line } in calls {
        let mut found = |text: String| findings.push(Finding::new(path, *line, text));
        let first = *kinds.entry(name).or_insert(kind);
        if first != *kind {
            found(format!("the metric `{name}` is a {first} elsewhere, and a {kind} here"));
        }
        if *describes && let Some(path) = described.insert(name, path) {
            found(format!("the metric `{name}` is described in {path} already"));
        }
    }
    findings
}

/// Returns the string literals in `tokens`, with their lines.
fn literals(tokens: TokenStream) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => found.extend(literals(group.stream())),
            TokenTree::Literal(literal) => {
                let line = literal.span().start().line;
                if let Lit::Str(text) = Lit::new(literal) {
                    found.push((line, text.value()));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    const HOME: &str = "const A: &str = \"a_total\";\nfn f() {\n    describe_counter!(A, \"A.\");\n    counter!(A).increment(1);\n}\n";

    #[track_caller]
    fn check_text(other: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| {
            RustFile::parse(&Source { path: path.to_owned(), text: text.to_owned() }).unwrap()
        };
        let files = [file("crates/x/src/metrics.rs", HOME), file("crates/y/src/b.rs", other)];
        let found: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{other}");
    }

    #[test]
    fn accepts_a_name_in_one_file() {
        check_text("fn f() {\n    gauge!(\"b\").set(1);\n    counter!(A).increment(1);\n}\n", &[]);
        check_text("#[cfg(test)]\nmod tests {\n    const A: &str = \"a_total\";\n}\n", &[]);
    }

    #[test]
    fn refuses_a_name_that_is_born_twice() {
        let twice = "the metric `a_total` is written in crates/x/src/metrics.rs already; use that name";
        check_text("const B: &str = \"a_total\";\n", &[&format!("crates/y/src/b.rs:1: {twice}")]);
        check_text("fn f() {\n    counter!(\"a_total\");\n}\n", &[&format!("crates/y/src/b.rs:2: {twice}")]);
    }

    #[test]
    fn refuses_two_descriptions_and_two_kinds() {
        check_text(
            "fn f() {\n    describe_counter!(\"b\", \"B.\");\n    describe_counter!(\"b\", \"Else.\");\n}\n",
            &["crates/y/src/b.rs:3: the metric `b` is described in crates/y/src/b.rs already"],
        );
        check_text(
            "fn f() {\n    describe_counter!(\"b\", \"B.\");\n    gauge!(\"b\").set(1);\n}\n",
            &["crates/y/src/b.rs:3: the metric `b` is a counter elsewhere, and a gauge here"],
        );
    }
}
