//! Public documentation that only repeats the name of its item.

use super::Finding;
use crate::rust::{RustFile, doc};
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Visibility};

/// Words that tell nothing about an item.
const EMPTY_WORDS: [&str; 34] = [
    "a", "all", "an", "and", "are", "as", "at", "be", "by", "for", "from", "get", "has", "have", "how", "if",
    "in", "is", "it", "its", "new", "of", "on", "or", "return", "that", "the", "there", "this", "to", "was",
    "what", "which", "with",
];

/// Finds public items of `file` whose documentation only repeats their name.
pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let mut docs = Docs { file, around: Vec::new(), findings: Vec::new() };
    docs.visit_file(&file.syntax);
    docs.findings
}

struct Docs<'a> {
    file: &'a RustFile,
    /// The types and traits around the current item, and whether each is public.
    around: Vec<(Ident, bool)>,
    findings: Vec<Finding>,
}

impl Docs<'_> {
    fn item(&mut self, name: &Ident, attributes: &[Attribute]) {
        let doc = doc(attributes);
        let line = name.span().start().line;
        let around = self.around.last().map(|(name, _)| name.to_string()).unwrap_or_default();
        if !self.file.is_test(line) && repeats(&doc, &name.to_string(), &around) {
            let text = format!("the documentation of `{name}` only repeats the name: \"{doc}\"");
            self.findings.push(Finding::new(&self.file.path, line, text));
        }
    }

    fn within(&mut self, name: &Ident, is_public: bool, visit: impl FnOnce(&mut Self)) {
        self.around.push((name.clone(), is_public));
        visit(self);
        self.around.pop();
    }

    fn is_public_around(&self) -> bool {
        self.around.last().is_none_or(|(_, is_public)| *is_public)
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Does every word of `doc` occur in `name` or in the name of the type `around` it? An item with code in its documentation
/// passes: code shows how something is spelled elsewhere. So does one without documentation, which a lint of rustc finds.
fn repeats(doc: &str, name: &str, around: &str) -> bool {
    let known: BTreeSet<String> = [words(name), words(around)].concat().into_iter().collect();
    let is_empty = |word: &String| known.contains(word) || EMPTY_WORDS.map(singular).contains(&word.as_str());
    let has_code = doc.starts_with('`') || doc.contains(" `");
    !doc.is_empty() && !has_code && words(doc).iter().all(is_empty)
}

/// Splits a name or a text into words, in lower case and in the singular: `BadValues` has `bad` and `value`.
fn words(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase());
        before = c;
    }
    spaced
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| singular(word).to_owned())
        .collect()
}

/// Removes the `s` of a plural, so that `value` and `values` are the same word.
fn singular(word: &str) -> &str {
    if word.len() > 3 { word.trim_end_matches('s') } else { word }
}

/// Looks at items that have a visibility of their own.
macro_rules! look_at {
    ($($visit:ident: $node:ty),* $(,)?) => {
        $(fn $visit(&mut self, node: &'ast $node) {
            if is_public(&node.vis) {
                self.item(&node.ident, &node.attrs);
            }
            visit::$visit(self, node);
        })*
    };
}

impl<'ast> Visit<'ast> for Docs<'_> {
    look_at! {
        visit_item_const: syn::ItemConst,
        visit_item_static: syn::ItemStatic,
        visit_item_type: syn::ItemType,
        visit_item_mod: syn::ItemMod,
        visit_impl_item_const: syn::ImplItemConst,
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        if is_public(&node.vis) {
            self.item(&node.sig.ident, &node.attrs);
        }
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        if is_public(&node.vis) {
            self.item(&node.sig.ident, &node.attrs);
        }
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if self.is_public_around() {
            self.item(&node.sig.ident, &node.attrs);
        }
    }

    fn visit_field(&mut self, node: &'ast syn::Field) {
        if let Some(name) = node.ident.as_ref().filter(|_| is_public(&node.vis)) {
            self.item(name, &node.attrs);
        }
    }

    fn visit_variant(&mut self, node: &'ast syn::Variant) {
        if self.is_public_around() {
            self.item(&node.ident, &node.attrs);
        }
        visit::visit_variant(self, node);
    }

    fn visit_item_struct(&mut self, node: &'ast syn::ItemStruct) {
        if is_public(&node.vis) {
            self.item(&node.ident, &node.attrs);
        }
        self.within(&node.ident, is_public(&node.vis), |docs| visit::visit_item_struct(docs, node));
    }

    fn visit_item_enum(&mut self, node: &'ast syn::ItemEnum) {
        if is_public(&node.vis) {
            self.item(&node.ident, &node.attrs);
        }
        self.within(&node.ident, is_public(&node.vis), |docs| visit::visit_item_enum(docs, node));
    }

    fn visit_item_trait(&mut self, node: &'ast syn::ItemTrait) {
        if is_public(&node.vis) {
            self.item(&node.ident, &node.attrs);
        }
        self.within(&node.ident, is_public(&node.vis), |docs| visit::visit_item_trait(docs, node));
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        if let syn::Type::Path(path) = &*node.self_ty
            && let Some(last) = path.path.segments.last()
        {
            self.within(&last.ident, true, |docs| visit::visit_item_impl(docs, node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[track_caller]
    fn check_text(text: &str, expected: &[usize]) {
        let source = Source { path: "crates/x/src/x.rs".to_owned(), text: text.to_owned() };
        let found = check(&RustFile::parse(&source).unwrap());
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn refuses_documentation_that_only_repeats() {
        check_text("pub struct A {\n    /// The port.\n    pub port: u16,\n}\n", &[3]);
        check_text("/// A bad value.\npub struct BadValues;\n", &[2]);
        check_text("pub enum Kind {\n    /// The kind is small.\n    Small,\n}\n", &[3]);
        check_text(
            "impl Mailbox {\n    /// Returns the name of this mailbox.\n    pub fn name(&self) {}\n}\n",
            &[3],
        );
        check_text("pub trait Mailbox {\n    /// What it has.\n    fn name(&self);\n}\n", &[3]);
    }

    #[test]
    fn accepts_news_and_what_is_not_public() {
        check_text("pub struct A {\n    /// TCP port, 25 by default.\n    pub port: u16,\n}\n", &[]);
        check_text("pub enum Flag {\n    /// `$Junk`\n    Junk,\n}\n", &[]);
        check_text("struct A {\n    /// The port.\n    port: u16,\n}\n", &[]);
        check_text("enum Kind {\n    /// Small.\n    Small,\n}\n", &[]);
        check_text("#[cfg(test)]\nmod tests {\n    /// A.\n    pub fn a() {}\n}\n", &[]);
        check_text("pub fn undocumented() {}\n", &[]);
    }
}
