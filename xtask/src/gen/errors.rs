//! `docs/errors.md`: every stable token, and what it means.

use super::rust::{crate_of, doc_above, literals};
use super::{cell, heading};
use crate::workspace::Source;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;

/// A token: where it is born, and the doc comment of its variant.
struct Token {
    path: String,
    meaning: String,
}

pub(super) fn document(sources: &[Source]) -> Result<String> {
    let about = "Tokens stand in logs, metric labels, stored reasons and the replies of the control socket. Texts may \
                 change, tokens may not.";
    let mut out = heading("Error tokens", about);
    for (name, tokens) in tokens(sources)? {
        out += &format!("\n## {name}\n\n| token | meaning | born in |\n| --- | --- | --- |\n");
        for (token, Token { path, meaning }) in tokens {
            out += &format!("| `{token}` | {} | {path} |\n", cell(&meaning));
        }
    }
    Ok(out)
}

type Tokens = BTreeMap<String, BTreeMap<String, Token>>;

fn tokens(sources: &[Source]) -> Result<Tokens> {
    let mut found = Tokens::new();
    for source in sources.iter().filter(|source| !source.is_test() && source.path.contains("/src/")) {
        let lines: Vec<&str> = source.code().lines().collect();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let here = literals(line).into_iter().filter(|text| is_token(text, crate_of(source)));
            for token in here.filter(|_| is_birth(&lines, at)) {
                let born = Token { path: source.path.clone(), meaning: meaning(&lines, at) };
                let old =
                    found.entry(crate_of(source).to_owned()).or_default().insert(token.to_owned(), born);
                // Two variants of one kind may share their token; two files may not.
                let twice = old.is_some_and(|old| old.path != source.path);
                ensure!(!twice, "{}:{}: `{token}` is born twice", source.path, at + 1);
            }
        }
    }
    Ok(found)
}

/// `dns.label-too-long` in crate `dns`.
fn is_token(text: &str, name: &str) -> bool {
    let word = text.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    !word.is_empty()
        && word.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-')
}

/// An arm of `fn token`, or a documented row of a table that makes one: `Variant Status "token" "words"`.
fn is_birth(lines: &[&str], at: usize) -> bool {
    let line = lines.get(at).map_or("", |line| line.trim());
    line.contains("=> \"")
        || line.starts_with(|c: char| c.is_ascii_uppercase()) && !doc_above(lines, at).is_empty()
}

/// The doc comment of the variant on line `at`: above its definition, or above the line itself.
fn meaning(lines: &[&str], at: usize) -> String {
    let arm = lines.get(at).and_then(|line| line.trim().split_once(" =>"));
    let variant = arm.and_then(|(pattern, _)| pattern.split("::").nth(1));
    let Some(variant) = variant.and_then(|name| name.split(['(', ' ', '{']).next()) else {
        return doc_above(lines, at);
    };
    let defines = |line: &&str| {
        let rest = line.trim().strip_prefix(variant);
        rest.is_some_and(|rest| rest.starts_with([',', '(']) || rest.starts_with(" {"))
    };
    let definition = lines.iter().take(at).rposition(defines);
    definition.map_or_else(String::new, |definition| doc_above(lines, definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "crates/x/src/error.rs".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn finds_tokens_of_arms_and_of_tables() {
        let text = "enum Kind {\n    /// One\n    /// thing.\n    A,\n    /// Other.\n    B(u8),\n}\n\
            match self {\n    Self::A => \"x.a\",\n    Self::B(_) => \"x.b\",\n    _ => \"y.c\",\n}\n\
            kinds! {\n    /// Third.\n    C Status \"x.c-1\" \"words\"\n}\nlog(\"x.no\");\nOk(\"x.no\");\n\
            #[cfg(test)]\nmod tests {\n    Self::D => \"x.d\"\n}\n";
        let found = tokens(&[source(text)]).unwrap();
        let found: Vec<_> =
            found["x"].iter().map(|(token, born)| (token.as_str(), born.meaning.as_str())).collect();
        assert_eq!(found, [("x.a", "One thing."), ("x.b", "Other."), ("x.c-1", "Third.")]);
    }

    #[test]
    fn refuses_a_token_born_in_two_files() {
        let text = "Self::A => \"x.a\",\n";
        let other = Source { path: "crates/x/src/other.rs".to_owned(), text: text.to_owned() };
        assert!(tokens(&[source(text), other]).is_err());
    }
}
