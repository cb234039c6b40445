//! The rules of tokens: each has a meaning and is listed in docs/errors.md. One that starts with the name of a crate is written in
//! one file only.

use super::Finding;
use crate::tokens::Token;
use std::collections::BTreeMap;

/// The list of all tokens, which `cargo xtask gen` writes.
pub(super) const LIST: &str = "docs/errors.md";

/// Checks `tokens` against the rules, and against `list`, the text of [`LIST`].
pub(super) fn check(tokens: &[Token], list: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // The file of a token is one of its own crate, if there is one.
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    let (own, foreign): (Vec<&Token>, Vec<&Token>) = tokens.iter().partition(|token| is_own(token));
    for Token { crate_name, token, path, line, meaning } in own.into_iter().chain(foreign) {
        let mut found = |text: String| findings.push(Finding::new(path, *line, text));
        let first = *files.entry(token).or_insert(path);
        let is_unique = token.strip_prefix(crate_name.as_str()).is_some_and(|rest| rest.starts_with('.'));
        if is_unique && first != path {
            found(format!("the token `{token}` is written in {first} already; use that one"));
        }
        if meaning.is_empty() {
            found(format!("the token `{token}` has no documented variant, table row or constant"));
        }
        if !list.contains(&format!("`{token}`")) {
            found(format!("the token `{token}` is not in {LIST}; run `cargo xtask gen`"));
        }
    }
    findings
}

/// Is the token written in the crate that it belongs to?
fn is_own(token: &Token) -> bool {
    token.path.split('/').nth(1) == Some(token.crate_name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(path: &str, meaning: &str) -> Token {
        Token {
            crate_name: "x".to_owned(),
            token: "x.a".to_owned(),
            path: path.to_owned(),
            line: 3,
            meaning: meaning.to_owned(),
        }
    }

    #[track_caller]
    fn check_texts(tokens: &[Token], list: &str, expected: &[&str]) {
        let found: Vec<String> = check(tokens, list).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn accepts_a_listed_token() {
        check_texts(&[token("a.rs", "One."), token("a.rs", "Two.")], "| `x.a` | One. |", &[]);
    }

    #[test]
    fn refuses_what_is_missing_or_twice() {
        check_texts(
            &[token("a.rs", "One.")],
            "| `x.a.b` | One. |",
            &["a.rs:3: the token `x.a` is not in docs/errors.md; run `cargo xtask gen`"],
        );
        check_texts(
            &[token("a.rs", "")],
            "`x.a`",
            &["a.rs:3: the token `x.a` has no documented variant, table row or constant"],
        );
        check_texts(
            &[token("a.rs", "One."), token("crates/x/b.rs", "One.")],
            "`x.a`",
            &["a.rs:3: the token `x.a` is written in crates/x/b.rs already; use that one"],
        );
    }
}
