//! Finds the code that is compiled for tests only.

use quote::ToTokens;
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token};

use super::{RustFile, string_value};

/// Lines from `first` to `last`, both included, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Lines {
    fn of(node: &dyn ToTokens) -> Self {
        let span = node.to_token_stream().span();
        Self { first: span.start().line, last: span.end().line }
    }
}

/// Is the file in a folder that cargo compiles for tests or benchmarks only, such as `crates/x/tests`? A folder called `tests`
/// below `src` is not: it is test code if its module is.
pub(super) fn is_in_test_folder(path: &str) -> bool {
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    let first = folders.split('/').find(|folder| ["src", "tests", "benches"].contains(folder));
    first.is_some_and(|folder| folder != "src")
}

/// Returns the lines of every node with a `#[cfg(test)]`, `#[test]` or the like.
pub(super) fn find(file: &syn::File) -> Vec<Lines> {
    if file.attrs.iter().any(is_for_tests) {
        return vec![Lines { first: 1, last: usize::MAX }];
    }
    let mut finder = Finder { around: Vec::new(), found: Vec::new() };
    finder.visit_file(file);
    finder.found
}

/// Keeps the nodes around the current one. An attribute belongs to the innermost of them.
struct Finder<'ast> {
    around: Vec<&'ast dyn ToTokens>,
    found: Vec<Lines>,
}

/// Implements the visits to nodes that may have attributes.
macro_rules! remember {
    ($($visit:ident: $node:ty),* $(,)?) => {
        impl<'ast> Visit<'ast> for Finder<'ast> {
            $(fn $visit(&mut self, node: &'ast $node) {
                self.around.push(node);
                visit::$visit(self, node);
                self.around.pop();
            })*

            fn visit_attribute(&mut self, attribute: &'ast Attribute) {
                if let Some(node) = self.around.last().filter(|_| is_for_tests(attribute)) {
                    self.found.push(Lines::of(node));
                }
            }
        }
    };
}

remember! {
    visit_item: Item,
    visit_impl_item: syn::ImplItem,
    visit_trait_item: syn::TraitItem,
    visit_foreign_item: syn::ForeignItem,
    visit_field: syn::Field,
    visit_variant: syn::Variant,
    visit_stmt: syn::Stmt,
    visit_arm: syn::Arm,
    visit_expr: syn::Expr,
    visit_field_value: syn::FieldValue,
    visit_field_pat: syn::FieldPat,
    visit_fn_arg: syn::FnArg,
}

/// Is it `#[test]`, `#[tokio::test]`, or a `#[cfg(..)]` that holds in tests only?
fn is_for_tests(attribute: &Attribute) -> bool {
    let path = attribute.path();
    let is_test = path.segments.last().is_some_and(|last| last.ident == "test");
    is_test || path.is_ident("cfg") && attribute.parse_args().is_ok_and(|condition| needs_test(&condition))
}

/// Does `condition` hold only if `test` does?
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
        Meta::List(list) => {
            let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(parts) = list.parse_args_with(parse) else { return false };
            if list.path.is_ident("all") {
                parts.iter().any(needs_test)
            } else {
                list.path.is_ident("any") && !parts.is_empty() && parts.iter().all(needs_test)
            }
        }
    }
}

/// Returns the places of the modules that `file` declares for tests only: `crates/x/src/name/tests` for `#[cfg(test)] mod tests;`
/// in `crates/x/src/name.rs`, and the path of the file if `#[path]` names one.
pub(super) fn modules(file: &RustFile) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let inside = match name {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_owned(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let mut found = Vec::new();
    for item in &file.syntax.items {
        let Item::Mod(module) = item else { continue };
        if !module.attrs.iter().any(is_for_tests) {
            continue;
        }
        found.push(format!("{inside}/{}", module.ident));
        let paths = module.attrs.iter().filter_map(|attribute| string_value(&attribute.meta, "path"));
        found.extend(paths.map(|path| format!("{folder}/{path}")));
    }
    found
}

/// Does the file at `path` belong to one of `modules`?
pub(super) fn belongs_to(path: &str, modules: &BTreeSet<String>) -> bool {
    let mut rest = path.strip_suffix(".rs").unwrap_or(path);
    if modules.contains(path) || modules.contains(rest) {
        return true;
    }
    while let Some((folder, _)) = rest.rsplit_once('/') {
        if modules.contains(folder) {
            return true;
        }
        rest = folder;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    fn file(path: &str, text: &str) -> RustFile {
        RustFile::parse(&Source { path: path.to_owned(), text: text.to_owned() }).unwrap()
    }

    /// Test lines are those that contain `test`.
    #[track_caller]
    fn check(text: &str) {
        let file = file("crates/x/src/x.rs", text);
        for (at, line) in text.lines().enumerate() {
            assert_eq!(file.is_test(at + 1), line.contains("test"), "{line} in\n{text}");
        }
    }

    #[test]
    fn finds_items_wherever_they_are() {
        check("fn f() {}\n#[cfg(test)]\nmod tests {\n    fn test() {}\n} // test\nfn g() {}\n");
        check("#[cfg(test)]\nmod tests;\nfn g() {}\n");
        check("#[derive(Debug)] // test\n#[cfg(test)]\nstruct test;\nstruct A;\n");
        check("struct A {\n    b: u8,\n    #[cfg(test)]\n    test: u8,\n}\n");
        check("impl A {\n    #[cfg(test)]\n    fn test() {}\n    fn f() {}\n}\n");
        check(
            "fn f() {\n    a();\n    #[cfg(test)]\n    let test = 1;\n    #[cfg(test)]\n    test();\n    b();\n}\n",
        );
        check(
            "fn f() {\n    #[cfg(test)]\n    if a { // test\n        test();\n    } // test\n    b();\n}\n",
        );
        check("mod a {\n    #[tokio::test]\n    async fn test() {}\n    fn f() {}\n}\n");
    }

    #[test]
    fn reads_conditions() {
        check("#[cfg(all(unix, test))]\nfn test() {}\n");
        check("#[cfg(any(test))]\nfn test() {}\n");
        let code = ["not(test)", "any(test, feature = \"x\")", "feature = \"test\"", "unix"];
        for condition in code {
            assert!(
                !file("crates/x/src/x.rs", &format!("#[cfg({condition})]\nfn f() {{}}\n")).is_test(2),
                "{condition}"
            );
        }
    }

    #[test]
    fn knows_files_that_are_all_tests() {
        assert!(file("crates/x/tests/a.rs", "fn f() {}\n").is_test(1));
        assert!(file("crates/x/tests/common/a.rs", "fn f() {}\n").is_test(1));
        assert!(file("crates/x/benches/a.rs", "fn f() {}\n").is_test(1));
        assert!(!file("crates/x/src/a/tests/b.rs", "fn f() {}\n").is_test(1));
        assert!(file("crates/x/src/a.rs", "#![cfg(test)]\nfn f() {}\n").is_test(2));
        assert!(!file("crates/tests.rs", "fn f() {}\n").is_test(1));
    }

    #[test]
    fn follows_modules_to_their_files() {
        let declares =
            |path: &str, text: &str| modules(&file(path, text)).into_iter().collect::<BTreeSet<_>>();
        let by_path =
            declares("crates/x/src/a.rs", "#[cfg(test)]\n#[path = \"a_tests.rs\"]\nmod tests;\nmod b;\n");
        assert!(belongs_to("crates/x/src/a_tests.rs", &by_path));
        assert!(!belongs_to("crates/x/src/a/b.rs", &by_path) && !belongs_to("crates/x/src/a.rs", &by_path));
        let inside = declares("crates/x/src/a/mod.rs", "#[cfg(test)]\nmod checks;\n");
        assert!(
            belongs_to("crates/x/src/a/checks.rs", &inside)
                && belongs_to("crates/x/src/a/checks/b.rs", &inside)
        );
        assert!(!belongs_to("crates/x/src/checks.rs", &inside));
    }
}
