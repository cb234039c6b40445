//! Finds the paths in code, such as `std::time::Instant::now`, also in the groups of `use` and in macros.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use std::iter::Peekable;

/// A path, as the code names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The line of the first word, from 1.
    pub line: usize,
    /// `["std", "time", "Instant", "now"]`.
    pub words: Vec<String>,
}

/// Returns all paths in `tokens`. `use a::{b, c::d}` names `a::b` and `a::c::d`. A single word is a path of one word; in
/// `<T>::now` the type is a path, and `now` another with the word `<>` before it.
pub fn paths(tokens: TokenStream) -> Vec<Path> {
    let mut found = Vec::new();
    collect(tokens, &[], &mut found);
    found
}

/// The word before a path that follows a type in angle brackets.
const AFTER_TYPE: &str = "<>";

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

fn collect(tokens: TokenStream, prefix: &[String], found: &mut Vec<Path>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(end) if end.as_char() == '>' => {
                let line = end.span().start().line;
                rest(&mut tokens, line, vec![AFTER_TYPE.to_owned()], found);
            }
            // In `use a::{b as c}` the name `c` is not below `a`.
            TokenTree::Ident(word) if word == "as" && !prefix.is_empty() => {
                tokens.next();
            }
            TokenTree::Ident(first) => {
                let line = first.span().start().line;
                let mut words = prefix.to_vec();
                words.push(plain(&first));
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
            Some(TokenTree::Ident(word)) => words.push(plain(&word)),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                collect(group.stream(), &words, found);
                return;
            }
            Some(TokenTree::Group(group)) => collect(group.stream(), &[], found),
            _ => break,
        }
    }
    match words.as_slice() {
        [only] if only == AFTER_TYPE => return,
        // `a > ::b::c`: a comparison, or a type that is returned.
        [first, _, _, ..] if first == AFTER_TYPE => drop(words.remove(0)),
        _ => {}
    }
    found.push(Path { line, words });
}

/// Returns a word without the mark of a raw identifier: `fs` for `r#fs`.
fn plain(word: &Ident) -> String {
    word.to_string().trim_start_matches("r#").to_owned()
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
        check(
            "<A>::b(); <C as D>::r#e()",
            &[(1, "A"), (1, "<>::b"), (1, "C"), (1, "as"), (1, "D"), (1, "<>::e")],
        );
        check("fn f() -> ::a::B", &[(1, "fn"), (1, "f"), (1, "a::B")]);
        check("let a: ::b::C;", &[(1, "let"), (1, "a"), (1, "b::C")]);
    }
}
