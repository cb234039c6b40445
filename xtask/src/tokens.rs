//! Finds tokens: stable names for errors and reasons. Most start with the name of their crate, such as `store.finding.body`;
//! a function called `token` may return shorter ones, such as `null-mx`.

use crate::rust::{RustFile, doc, string_value};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Lit, Pat};

/// Strings that look like tokens, and are something else.
const NOT_TOKENS: [&str; 1] = [
    // The name of the configuration file.
    "moxd.toml",
];

/// A string literal that is a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The crate that the token belongs to: the one that it begins with, or else the one whose function returns it.
    pub crate_name: String,
    /// The text of the literal.
    pub token: String,
    /// The file with the literal.
    pub path: String,
    /// The line of the literal, from 1.
    pub line: usize,
    /// The doc comment of the variant, table row or constant that the token stands for; empty if there is none.
    pub meaning: String,
}

/// Returns all tokens in `files`, test code aside, in the order of the files.
pub fn tokens(files: &[RustFile]) -> Vec<Token> {
    let crates = files.iter().map(RustFile::crate_name).collect();
    let mut found = Vec::new();
    for file in files {
        let mut finder = Finder {
            file,
            crates: &crates,
            variants: variants(file),
            of_type: None,
            meaning: Vec::new(),
            is_in_token_function: false,
            found: &mut found,
        };
        finder.visit_file(&file.syntax);
    }
    found
}

/// Returns the crate of a token: `dns` for `dns.label-too-long` and for `dns.a.b`; `None` if `text` is no token.
fn crate_of<'a>(text: &'a str, crates: &BTreeSet<&str>) -> Option<&'a str> {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let (name, words) = text.split_once('.')?;
    let is_token = crates.contains(name) && words.split('.').all(is_word) && !NOT_TOKENS.contains(&text);
    is_token.then_some(name)
}

/// Returns the doc comments of all variants in a file, by the names of enum and variant.
fn variants(file: &RustFile) -> BTreeMap<(String, String), String> {
    struct Variants(BTreeMap<(String, String), String>);
    impl<'ast> Visit<'ast> for Variants {
        fn visit_item_enum(&mut self, node: &'ast syn::ItemEnum) {
            for variant in &node.variants {
                let name = (node.ident.to_string(), variant.ident.to_string());
                self.0.insert(name, one_line(&doc(&variant.attrs)));
            }
        }
    }
    let mut variants = Variants(BTreeMap::new());
    variants.visit_file(&file.syntax);
    variants.0
}

fn one_line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Finder<'a> {
    file: &'a RustFile,
    crates: &'a BTreeSet<&'a str>,
    variants: BTreeMap<(String, String), String>,
    /// The type of the `impl` around, which `Self` stands for.
    of_type: Option<String>,
    /// The doc comments that the constant and the match arms around stand for, from the outside in.
    meaning: Vec<String>,
    /// Is the function around called `token`?
    is_in_token_function: bool,
    found: &'a mut Vec<Token>,
}

impl Finder<'_> {
    fn literal(&mut self, literal: &Lit, meaning: &str) {
        let token = match literal {
            Lit::Str(text) => text.value(),
            Lit::ByteStr(bytes) => String::from_utf8_lossy(&bytes.value()).into_owned(),
            _ => return,
        };
        let line = literal.span().start().line;
        let returned = || self.is_in_token_function.then(|| self.file.crate_name());
        if let Some(crate_name) = crate_of(&token, self.crates).or_else(returned)
            && !self.file.is_test(line)
        {
            let (crate_name, path) = (crate_name.to_owned(), self.file.path.clone());
            self.found.push(Token { crate_name, token, path, line, meaning: meaning.to_owned() });
        }
    }

    /// Finds tokens in a macro. In a table, each row begins with its doc comment.
    fn table(&mut self, tokens: TokenStream, around: &str) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut row = around.to_owned();
        while let Some((token, after)) = rest.split_first() {
            let doc = doc_lines(rest);
            if !doc.is_empty() {
                row = doc.join(" ");
                rest = rest.get(2 * doc.len()..).unwrap_or_default();
                continue;
            }
            match token {
                TokenTree::Group(group) => self.table(group.stream(), &row),
                TokenTree::Literal(literal) => self.literal(&Lit::new(literal.clone()), &row),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
            rest = after;
        }
    }

    /// Returns the doc comment of the variant that the pattern of an arm names.
    fn variant(&self, pattern: &Pat) -> Option<String> {
        let path = match pattern {
            Pat::Path(path) => &path.path,
            Pat::TupleStruct(pattern) => &pattern.path,
            Pat::Struct(pattern) => &pattern.path,
            Pat::Or(pattern) => return pattern.cases.iter().find_map(|case| self.variant(case)),
            Pat::Reference(pattern) => return self.variant(&pattern.pat),
            _ => return None,
        };
        let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
        let (variant, of_type) = (names.next()?, names.next()?);
        let of_type = if of_type == "Self" { self.of_type.clone()? } else { of_type };
        self.variants.get(&(of_type, variant)).filter(|doc| !doc.is_empty()).cloned()
    }

    fn within(&mut self, meaning: Option<String>, visit: impl FnOnce(&mut Self)) {
        let depth = self.meaning.len();
        self.meaning.extend(meaning);
        visit(self);
        self.meaning.truncate(depth);
    }
}

/// Returns the lines of the doc comment that `tokens` begin with. In a macro, each line has the form `#[doc = "text"]`.
fn doc_lines(tokens: &[TokenTree]) -> Vec<String> {
    let lines = tokens.chunks(2).map_while(|pair| match pair {
        [TokenTree::Punct(hash), TokenTree::Group(group)] if hash.as_char() == '#' => {
            string_value(&syn::parse2(group.stream()).ok()?, "doc").map(|line| line.trim().to_owned())
        }
        _ => None,
    });
    lines.collect()
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_lit(&mut self, node: &'ast Lit) {
        let meaning = self.meaning.last().cloned().unwrap_or_default();
        self.literal(node, &meaning);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        let around = self.meaning.last().cloned().unwrap_or_default();
        self.table(node.tokens.clone(), &around);
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let meaning = self.variant(&node.pat);
        self.within(meaning, |finder| visit::visit_arm(finder, node));
    }

    fn visit_item_const(&mut self, node: &'ast syn::ItemConst) {
        let meaning = Some(one_line(&doc(&node.attrs)));
        self.within(meaning, |finder| visit::visit_item_const(finder, node));
    }

    fn visit_impl_item_const(&mut self, node: &'ast syn::ImplItemConst) {
        let meaning = Some(one_line(&doc(&node.attrs)));
        self.within(meaning, |finder| visit::visit_impl_item_const(finder, node));
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.is_in_token_function = node.sig.ident == "token";
        visit::visit_impl_item_fn(self, node);
        self.is_in_token_function = false;
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        let before = self.of_type.take();
        if let syn::Type::Path(path) = &*node.self_ty {
            self.of_type = path.path.segments.last().map(|last| last.ident.to_string());
        }
        visit::visit_item_impl(self, node);
        self.of_type = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let source = Source { path: "crates/x/src/error.rs".to_owned(), text: text.to_owned() };
        let found = tokens(&[RustFile::parse(&source).unwrap()]);
        let found: Vec<_> =
            found.iter().map(|token| (token.token.as_str(), token.meaning.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn finds_tokens_of_match_arms() {
        let text = "enum Kind {\n    /// One\n    /// thing.\n    A,\n    /// Other.\n    B(u8),\n    C { x: u8 },\n}\n\
            impl Kind {\n    fn name(self) -> &'static str {\n        match self {\n            Self::A => \"x.a\",\n\
            Kind::B(_) => { f(); \"x.b.b-1\" }\n            Self::C { .. } => \"x.c\",\n            _ => \"y.d\",\n        }\n    }\n}\n";
        check(text, &[("x.a", "One thing."), ("x.b.b-1", "Other."), ("x.c", "")]);
    }

    #[test]
    fn finds_tokens_of_tables_constants_and_calls() {
        let table = "kinds! {\n    /// Third\n    /// one.\n    #[non_exhaustive]\n    C Status \"x.c\" \"words\"\n    /// Next.\n    D \"x.d\"\n}\n";
        check(table, &[("x.c", "Third one."), ("x.d", "Next.")]);
        check("/// Broken.\nconst A: &str = \"x.a\";\n", &[("x.a", "Broken.")]);
        check("fn f() {\n    put(b\"x.a\");\n    put!(b\"x.b\");\n}\n", &[("x.a", ""), ("x.b", "")]);
        check("fn f() {\n    log(\"x.a\");\n    warn!(\"x.b\");\n}\n", &[("x.a", ""), ("x.b", "")]);
    }

    #[test]
    fn finds_short_tokens_of_a_token_function() {
        let text = "enum Kind {\n    /// One.\n    A,\n}\nimpl Kind {\n    fn token(self) -> &'static str {\n\
            match self {\n            Self::A => \"a-b\",\n        }\n    }\n    fn name(self) -> &'static str {\n        \"c-d\"\n    }\n}\n";
        check(text, &[("a-b", "One.")]);
    }

    #[test]
    fn passes_over_tests_and_what_is_no_token() {
        check("#[cfg(test)]\nmod tests {\n    const A: &str = \"x.a\";\n}\n", &[]);
        check("/// See \"x.a\".\nconst A: [&str; 5] = [\"x\", \"x.\", \"x.A\", \"x.a b\", \"y.a\"];\n", &[]);
    }
}
