//! Which code is compiled for tests only.

use quote::ToTokens;
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token};

use super::RustFile;

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

/// Does the folder alone say that a file holds tests or benchmarks: `crates/x/tests/..`, `crates/x/src/a/tests/..`?
pub(super) fn is_in_test_folder(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|folder| folder == "tests" || folder == "benches")
}

/// The lines of every node under a `#[cfg(test)]`, `#[test]` or the like.
pub(super) fn find(file: &syn::File) -> Vec<Lines> {
    if file.attrs.iter().any(is_for_tests) {
        return vec![Lines { first: 1, last: usize::MAX }];
    }
    let mut finder = Finder { around: Vec::new(), found: Vec::new() };
    finder.visit_file(file);
    finder.found
}

/// Remembers the nodes around the one it looks at: an attribute belongs to the innermost.
struct Finder<'ast> {
    around: Vec<&'ast dyn ToTokens>,
    found: Vec<Lines>,
}

/// Visits a node that may have attributes.
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

/// `#[test]`, `#[tokio::test]`, or a `#[cfg(..)]` that only tests fulfil.
fn is_for_tests(attribute: &Attribute) -> bool {
    let path = attribute.path();
    let is_test = path.segments.last().is_some_and(|last| last.ident == "test");
    is_test || path.is_ident("cfg") && attribute.parse_args().is_ok_and(|condition| needs_test(&condition))
}

/// Does `condition` hold in a build for tests only?
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

/// Where the modules are that `file` declares for tests alone: `crates/x/src/name/tests` for `#[cfg(test)] mod tests;` in
/// `crates/x/src/name.rs`, or a file with its ending where `#[path]` names one.
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
        found.extend(module.attrs.iter().filter_map(path_of).map(|path| format!("{folder}/{path}")));
    }
    found
}

/// The value of `#[path = "name_tests.rs"]`.
fn path_of(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(value) = &pair.value else { return None };
    match &value.lit {
        syn::Lit::Str(text) if pair.path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

/// Is the file at `path` one of `modules`, or inside one?
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
