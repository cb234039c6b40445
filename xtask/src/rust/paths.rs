//! Finds the paths in code, such as `std::time::Instant::now`, also in the groups of `use` and in macros.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::iter::Peekable;

/// A path, as the code names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The line of the first word, from 1.
    pub line: usize,
    /// `["std", "time", "Instant", "now"]`.
    pub words: Vec<String>,
}

/// Returns all paths in `tokens`. `use a::{b, c::d}` names `a::b` and `a::c::d`. A single word is a path of one word.
pub fn paths(tokens: TokenStream) -> Vec<Path> {
    let mut found = Vec::new();
    collect(tokens, &[], &mut found);
    found
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

fn collect(tokens: TokenStream, prefix: &[String], found: &mut Vec<Path>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            // In `use a::{b as c}` the name `c` is not below `a`.
            TokenTree::Ident(word) if word == "as" && !prefix.is_empty() => {
                tokens.next();
            }
            TokenTree::Ident(first) => {
                let line = first.span().start().line;
                let mut words = prefix.to_vec();
                words.push(first.to_string());
                rest(&mut tokens, line, words, found);
            }
            // Brackets elsewhere do not continue a path.
            TokenTree::Group(group) => collect(group.stream(), &[], found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Reads the rest of a path, after its first word.
fn rest(tokens: &mut Tokens, line: usize, mut words: Vec<String>, found: &mut Vec<Path>) {
    while tokens.next_if(|token| is_colon(token, Spacing::Joint)).is_some()
        && tokens.next_if(|token| is_colon(token, Spacing::Alone)).is_some()
    {
        match tokens.next_if(|token| !matches!(token, TokenTree::Punct(_) | TokenTree::Literal(_))) {
            Some(TokenTree::Ident(word)) => words.push(word.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                collect(group.stream(), &words, found);
                return;
            }
            Some(TokenTree::Group(group)) => collect(group.stream(), &[], found),
            _ => break,
        }
    }
    found.push(Path { line, words });
}

fn is_colon(token: &TokenTree, spacing: Spacing) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':' && punct.spacing() == spacing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let found = paths(text.parse().unwrap());
        let found: Vec<_> = found.iter().map(|path| (path.line, path.words.join("::"))).collect();
        let expected: Vec<_> = expected.iter().map(|(line, path)| (*line, (*path).to_owned())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn puts_together_what_use_takes_apart() {
        check(
            "use std::{\n    fs,\n    net::{self, TcpStream as Stream},\n};",
            &[(1, "use"), (2, "std::fs"), (3, "std::net::self"), (3, "std::net::TcpStream")],
        );
    }

    #[test]
    fn finds_paths_in_macros_types_and_calls() {
        check("assert!(a < b::C::now());", &[(1, "assert"), (1, "a"), (1, "b::C::now")]);
        check("f(a::<b::C>(d))", &[(1, "f"), (1, "a"), (1, "b::C"), (1, "d")]);
        check("let a: ::b::C;", &[(1, "let"), (1, "a"), (1, "b::C")]);
    }
}
