//! Finds names that pure code must not use: runtime, sockets, files, clocks, random numbers.

use super::Finding;
use crate::layers;
use crate::rust::{Path, RustFile, paths};
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{ExprMethodCall, Ident, ItemExternCrate, UsePath, UseRename, UseTree};

/// Crates that reach the outside world. Pure code gets time, randomness and data as arguments.
const CRATES: [&str; 7] = ["getrandom", "metrics", "rand", "socket2", "tokio", "tokio_rustls", "tracing"];

/// Parts of other paths that reach it.
const NAMES: [&[&str]; 12] = [
    &["TcpListener"],
    &["TcpStream"],
    &["UdpSocket"],
    &["UnixDatagram"],
    &["UnixListener"],
    &["UnixStream"],
    &["std", "env"],
    &["std", "fs"],
    &["std", "net", "ToSocketAddrs"],
    &["std", "process"],
    &["std", "thread"],
    &["thread_local"],
];

/// The last word of a path that reads a clock, whatever name its type has here: `Instant::now`, `I::now`, `Self::now`.
const CLOCK: &str = "now";

/// Folders and files of pure code in crates that are not pure.
const PURE_PLACES: [&str; 2] = ["crates/intake/src/verdict.rs", "crates/smtpserver/src/session/"];

/// Finds impure names in `file`, if it is one of pure code.
pub(super) fn check(file: &RustFile) -> Vec<Finding> {
    if !is_pure(&file.path) {
        return Vec::new();
    }
    let paths = paths(file.syntax.to_token_stream());
    let outside_tests = paths.iter().filter(|path| !file.is_test(path.line));
    let found = outside_tests.filter_map(|path| Some((path.line, impure(path)?)));
    let mut hidden = Hidden::default();
    hidden.visit_file(&file.syntax);
    let hidden = hidden.found.into_iter().filter(|(line, _)| !file.is_test(*line));
    found
        .chain(hidden)
        .map(|(line, name)| Finding::new(&file.path, line, format!("`{name}` has no place in pure code")))
        .collect()
}

/// Finds the places of pure code that none of `files` is in, which a renamed folder would leave unchecked.
pub(super) fn check_places(files: &[RustFile]) -> Vec<Finding> {
    let is_missing = |place: &&str| !files.iter().any(|file| file.path.starts_with(*place));
    let text = |place: &str| format!("`{place}` is a place of pure code, but there is no such file");
    PURE_PLACES
        .into_iter()
        .filter(is_missing)
        .map(|place| Finding::new("xtask/src/tidy/purity.rs", 0, text(place)))
        .collect()
}

/// Finds what the words of paths do not show: crates under another name (`use std as s`, `use std::{self as s}`), and the
/// method of a time that reads the clock.
#[derive(Default)]
struct Hidden {
    found: Vec<(usize, String)>,
}

impl Hidden {
    fn renamed(&mut self, name: &Ident, new: &Ident) {
        if name == "std" || CRATES.iter().any(|known| name == known) {
            self.found.push((new.span().start().line, format!("{name} as {new}")));
        }
    }
}

impl<'ast> Visit<'ast> for Hidden {
    fn visit_use_rename(&mut self, node: &'ast UseRename) {
        self.renamed(&node.ident, &node.rename);
    }

    fn visit_use_path(&mut self, node: &'ast UsePath) {
        if let UseTree::Group(group) = &*node.tree {
            for tree in &group.items {
                if let UseTree::Rename(rename) = tree
                    && rename.ident == "self"
                {
                    self.renamed(&node.ident, &rename.rename);
                }
            }
        }
        visit::visit_use_path(self, node);
    }

    fn visit_item_extern_crate(&mut self, node: &'ast ItemExternCrate) {
        if let Some((_, new)) = &node.rename {
            self.renamed(&node.ident, new);
        }
    }

    fn visit_expr_method_call(&mut self, node: &'ast ExprMethodCall) {
        if node.method == "elapsed" && node.args.is_empty() {
            self.found.push((node.method.span().start().line, "elapsed()".to_owned()));
        }
        visit::visit_expr_method_call(self, node);
    }
}

/// Returns the part of `path` that is impure.
fn impure(path: &Path) -> Option<String> {
    if path.words.len() > 1 && path.words.last().is_some_and(|last| last == CLOCK) {
        return Some(path.words.join("::"));
    }
    let mut words = path.words.iter();
    // A single word is a local name.
    if let (Some(first), Some(_)) = (words.next(), words.next())
        && CRATES.contains(&first.as_str())
    {
        return Some(first.clone());
    }
    let is_named = |name: &&&[&str]| path.words.windows(name.len()).any(|words| words == **name);
    NAMES.iter().find(is_named).map(|name| name.join("::"))
}

fn is_pure(path: &str) -> bool {
    let below = |name: &str| layers::rule(name).is_some_and(|rule| rule.layer < layers::FIRST_WITH_RUNTIME);
    let mut parts = path.split('/');
    let pure_crate =
        parts.next() == Some("crates") && parts.next().is_some_and(below) && parts.next() == Some("src");
    pure_crate || PURE_PLACES.iter().any(|place| path.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[usize]) {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        let found = check(&RustFile::parse(&source).unwrap());
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn refuses_the_outside_world_in_pure_code() {
        let session = "crates/smtpserver/src/session/mod.rs";
        check_text(session, "fn f() {\n    let now = Instant::now();\n}\n", &[2]);
        check_text("crates/spf/src/check.rs", "use tokio::net::TcpStream;\n", &[1]);
        check_text(
            "crates/dns/src/lib.rs",
            "fn f() {\n    std::fs::read(path);\n    rand::rng();\n}\n",
            &[2, 3],
        );
        check_text(
            "crates/dns/src/lib.rs",
            "use std::{\n    collections::BTreeMap,\n    fs::File,\n};\n",
            &[3],
        );
        check_text("crates/dns/src/lib.rs", "fn f() {\n    assert!(x < Instant::now());\n}\n", &[2]);
    }

    #[test]
    fn refuses_a_clock_under_every_name() {
        let session = "crates/smtpserver/src/session/mod.rs";
        for read in ["I::now()", "Self::now()", "<Instant>::now()", "<I as Clock>::now()", "start.elapsed()"]
        {
            let text = format!("use std::time::Instant as I;\nfn f() {{\n    let now = {read};\n}}\n");
            check_text(session, &text, &[3]);
        }
        check_text(session, "fn f(now: Instant) {\n    self.now = now;\n    clock.now();\n}\n", &[]);
    }

    #[test]
    fn refuses_the_outside_world_under_another_name() {
        let session = "crates/smtpserver/src/session/mod.rs";
        let renames = [
            "use std as s;",
            "use std::{self as s};",
            "use ::{std as s};",
            "extern crate std as s;",
            "use std::r#fs;",
        ];
        for rename in renames {
            check_text(session, &format!("{rename}\n"), &[1]);
        }
        check_text(session, "fn f() {\n    getrandom::fill(&mut bytes);\n}\n", &[2]);
        check_text(session, "use std::fmt as f;\nuse super::tokio_like as t;\n", &[]);
    }

    #[test]
    fn refuses_a_place_of_pure_code_that_is_gone() {
        let at =
            |path: &str| RustFile::parse(&Source { path: path.to_owned(), text: String::new() }).unwrap();
        let mut files = vec![at("crates/smtpserver/src/session/mod.rs"), at("crates/intake/src/verdict.rs")];
        assert_eq!(check_places(&files), []);
        files.pop();
        assert_eq!(check_places(&files).len(), 1);
    }

    #[test]
    fn refuses_it_below_test_code() {
        let text = "#[cfg(test)]\nmod tests;\n\nfn f() {\n    Instant::now();\n}\n";
        check_text("crates/smtpserver/src/session/mod.rs", text, &[5]);
    }

    #[test]
    fn accepts_it_in_drivers_tests_and_comments() {
        check_text("crates/smtpserver/src/driver/mod.rs", "use tokio::net::TcpStream;\n", &[]);
        check_text("crates/spf/tests/rules.rs", "use std::fs;\n", &[]);
        check_text(
            "crates/spf/src/check.rs",
            "// no tokio:: here\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
            &[],
        );
        check_text(
            "crates/spf/src/check.rs",
            "fn f(metrics: brand::Name) {\n    ring::rand::X;\n    metrics;\n}\n",
            &[],
        );
    }
}
