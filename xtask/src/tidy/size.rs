//! Limits on the size of files, functions, structs and parameter lists.

use super::Finding;
use crate::rust::RustFile;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Block, Fields, FnArg, Ident, Signature};

/// Most lines of a file. Files of tests may be longer, because their tables grow by rows.
const MAX_FILE_LINES: usize = 800;
/// Most lines of a function, from its signature to its closing brace.
const MAX_FUNCTION_LINES: usize = 80;
/// Most fields of a struct or of a variant.
const MAX_FIELDS: usize = 15;
/// Most parameters of a function, without `self`.
const MAX_PARAMETERS: usize = 6;

/// Finds what is too large in `file`, test code included.
pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    let mut sizes = Sizes { file, findings: Vec::new() };
    let lines = file.text.lines().count();
    if lines > MAX_FILE_LINES && !file.is_test(1) {
        sizes.found(0, format!("{lines} lines, more than {MAX_FILE_LINES}"));
    }
    sizes.visit_file(&file.syntax);
    sizes.findings
}

struct Sizes<'a> {
    file: &'a RustFile,
    findings: Vec<Finding>,
}

impl Sizes<'_> {
    fn function(&mut self, signature: &Signature, body: Option<&Block>) {
        let name = &signature.ident;
        let first = signature.fn_token.span.start().line;
        let last = body.map_or(first, |body| body.brace_token.span.close().end().line);
        self.lines(&name.to_string(), first, last);
        let parameters = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count();
        if parameters > MAX_PARAMETERS {
            self.found(first, format!("`fn {name}` has {parameters} parameters, more than {MAX_PARAMETERS}"));
        }
    }

    /// Measures the functions among the tokens of a macro, such as the tests in `proptest!`.
    fn functions_in(&mut self, tokens: TokenStream) {
        // The line and the name of a function whose body comes next.
        let mut begun: Option<(usize, String)> = None;
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "fn" => {
                    let name = tokens.peek().map(ToString::to_string).unwrap_or_default();
                    begun = Some((word.span().start().line, name));
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => begun = None,
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace
                        && let Some((first, name)) = begun.take()
                    {
                        self.lines(&name, first, group.span_close().end().line);
                    }
                    self.functions_in(group.stream());
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn lines(&mut self, name: &str, first: usize, last: usize) {
        let lines = last + 1 - first;
        if lines > MAX_FUNCTION_LINES {
            self.found(first, format!("`fn {name}` has {lines} lines, more than {MAX_FUNCTION_LINES}"));
        }
    }

    fn fields(&mut self, name: &Ident, fields: &Fields) {
        if fields.len() > MAX_FIELDS {
            let text = format!("`{name}` has {} fields, more than {MAX_FIELDS}", fields.len());
            self.found(name.span().start().line, text);
        }
    }

    fn found(&mut self, line: usize, text: String) {
        self.findings.push(Finding::new(&self.file.path, line, text));
    }
}

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.sig, Some(&node.block));
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.sig, Some(&node.block));
        visit::visit_impl_item_fn(self, node);
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        self.function(&node.sig, node.default.as_ref());
        visit::visit_trait_item_fn(self, node);
    }

    fn visit_macro(&mut self, node: &'ast syn::Macro) {
        self.functions_in(node.tokens.clone());
    }

    fn visit_item_struct(&mut self, node: &'ast syn::ItemStruct) {
        self.fields(&node.ident, &node.fields);
        visit::visit_item_struct(self, node);
    }

    fn visit_variant(&mut self, node: &'ast syn::Variant) {
        self.fields(&node.ident, &node.fields);
        visit::visit_variant(self, node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[(usize, &str)]) {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let found = check(&RustFile::parse(&source).unwrap());
        let found: Vec<_> = found.iter().map(|finding| (finding.line, finding.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    /// A function of this many lines, with a doc comment and an attribute, which do not count.
    fn function(lines: usize) -> String {
        format!("/// Doc.\n#[inline]\npub fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2))
    }

    fn list(count: usize, item: &str) -> String {
        (0..count).map(|at| format!("a{at}{item}, ")).collect()
    }

    #[test]
    fn accepts_what_is_just_small_enough() {
        check_text("crates/x/src/f.rs", &function(80), &[]);
        check_text("crates/x/src/f.rs", &format!("a! {{ fn(u8); {{ {}}} }}\n", "b();\n".repeat(81)), &[]);
        check_text("crates/x/src/f.rs", &format!("struct A {{ {} }}\n", list(15, ": u8")), &[]);
        check_text(
            "crates/x/src/f.rs",
            &format!("trait A {{\n    fn f(&self, {});\n}}\n", list(6, ": u8")),
            &[],
        );
        check_text("crates/x/src/f.rs", &"// x\n".repeat(800), &[]);
        check_text("crates/x/tests/f.rs", &"// x\n".repeat(801), &[]);
    }

    #[test]
    fn refuses_what_is_larger() {
        check_text("crates/x/src/f.rs", &function(81), &[(3, "`fn f` has 81 lines, more than 80")]);
        let method = format!("impl A {{\n{}}}\n", function(81));
        check_text("crates/x/src/f.rs", &method, &[(4, "`fn f` has 81 lines, more than 80")]);
        let nested = format!("mod tests {{\n{}}}\n", function(81));
        let in_macro = format!("proptest! {{\n    fn g(a in 0..9) {{}}\n{}}}\n", function(81));
        check_text("crates/x/tests/f.rs", &in_macro, &[(5, "`fn f` has 81 lines, more than 80")]);
        check_text("crates/x/tests/f.rs", &nested, &[(4, "`fn f` has 81 lines, more than 80")]);
        check_text(
            "crates/x/src/f.rs",
            &format!("struct A {{ {} }}\n", list(16, ": u8")),
            &[(1, "`A` has 16 fields, more than 15")],
        );
        check_text(
            "crates/x/src/f.rs",
            &format!("fn f({}) {{}}\n", list(7, ": u8")),
            &[(1, "`fn f` has 7 parameters, more than 6")],
        );
        check_text("crates/x/src/f.rs", &"// x\n".repeat(801), &[(0, "801 lines, more than 800")]);
    }
}
