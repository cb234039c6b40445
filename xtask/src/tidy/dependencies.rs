//! Finds dependencies that no code names, and workspace dependencies that no manifest uses.

use super::Finding;
use crate::rust::{RustFile, paths};
use quote::ToTokens;
use std::collections::BTreeSet;
use syn::visit::{self, Visit};
use syn::{Ident, UseName, UseRename, UseTree};
use toml::{Table, Value};

/// Packages whose library has another name than theirs.
const LIBRARIES: [(&str, &str); 1] = [("md-5", "md5")];

/// The tables of a manifest that name dependencies.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The libraries that one file names.
pub(super) struct FileUse {
    path: String,
    /// Those that code names which is not test code.
    in_code: BTreeSet<String>,
    /// Those that any line names, examples in documentation included.
    anywhere: BTreeSet<String>,
}

/// Returns the libraries that each of `files` names.
pub(super) fn used(files: &[RustFile]) -> Vec<FileUse> {
    files.iter().map(FileUse::of).collect()
}

impl FileUse {
    fn of(file: &RustFile) -> Self {
        let tokens = file.syntax.to_token_stream();
        let mut imports = Imports::default();
        imports.visit_file(&file.syntax);
        let mut named = imports.libraries;
        let paths = paths(tokens).into_iter().filter(|path| path.words.len() > 1);
        named.extend(paths.filter_map(|path| Some((path.line, path.words.into_iter().next()?))));
        // A module or an item of the same name hides the library.
        named.retain(|(_, name)| !imports.local.contains(name));
        let in_code = named.iter().filter(|(line, _)| !file.is_test(*line)).map(|(_, name)| name.clone());
        let mut anywhere: BTreeSet<String> = named.iter().map(|(_, name)| name.clone()).collect();
        anywhere.extend(examples(&file.text));
        Self { path: file.path.clone(), in_code: in_code.collect(), anywhere }
    }
}

/// Returns the first words of the paths in doc comments, whose examples are tests.
fn examples(text: &str) -> impl Iterator<Item = String> {
    let lines =
        text.lines().map(str::trim_start).filter(|line| line.starts_with("//!") || line.starts_with("///"));
    lines.flat_map(|line| {
        let names = line.split_inclusive("::").filter_map(|part| part.strip_suffix("::"));
        names.filter_map(|part| {
            part.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned)
        })
    })
}

/// Libraries that a file imports by a single word, and names that are its own.
#[derive(Default)]
struct Imports {
    /// `use nom;`, `use nom as parser;`, `extern crate nom;`, with their lines.
    libraries: Vec<(usize, String)>,
    /// Names of modules that the file declares, and of items that it imports from elsewhere in its crate.
    local: BTreeSet<String>,
}

impl Imports {
    fn tree(&mut self, tree: &UseTree, is_in_crate: bool) {
        match tree {
            UseTree::Path(path) => self.within(&path.tree, is_in_crate || is_in_crate_word(&path.ident)),
            tree => self.within(tree, is_in_crate),
        }
    }

    /// Looks at what stands below the first word of a path.
    fn within(&mut self, tree: &UseTree, is_in_crate: bool) {
        match tree {
            UseTree::Path(path) => self.within(&path.tree, is_in_crate),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.within(item, is_in_crate)),
            UseTree::Name(name) if is_in_crate => drop(self.local.insert(name.ident.to_string())),
            UseTree::Rename(rename) if is_in_crate => drop(self.local.insert(rename.rename.to_string())),
            UseTree::Name(_) | UseTree::Rename(_) | UseTree::Glob(_) => {}
        }
    }
}

/// Does a path that begins with `word` stay in its crate?
fn is_in_crate_word(word: &Ident) -> bool {
    word == "crate" || word == "self" || word == "super"
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        self.local.insert(node.ident.to_string());
        visit::visit_item_mod(self, node);
    }

    fn visit_item_use(&mut self, node: &'ast syn::ItemUse) {
        let trees = match &node.tree {
            UseTree::Group(group) => group.items.iter().collect(),
            tree => vec![tree],
        };
        for tree in trees {
            match tree {
                UseTree::Name(UseName { ident, .. }) | UseTree::Rename(UseRename { ident, .. }) => {
                    self.libraries.push((ident.span().start().line, ident.to_string()));
                }
                tree => self.tree(tree, false),
            }
        }
    }

    fn visit_item_extern_crate(&mut self, node: &'ast syn::ItemExternCrate) {
        self.libraries.push((node.ident.span().start().line, node.ident.to_string()));
    }
}

/// Finds dependencies of the manifest in `folder` that no file below it names. Test code alone needs a dependency for tests.
pub(super) fn check(folder: &str, manifest: &Table, files: &[FileUse]) -> Vec<Finding> {
    let below = format!("{folder}/");
    let files: Vec<&FileUse> = files.iter().filter(|file| file.path.starts_with(&below)).collect();
    let mut findings = Vec::new();
    let mut found = |text: String| findings.push(Finding::new(&format!("{folder}/Cargo.toml"), 0, text));
    for (kind, name) in kinds(manifest) {
        let library = LIBRARIES.iter().find(|(package, _)| *package == name);
        let library = library.map_or_else(|| name.replace('-', "_"), |(_, library)| (*library).to_owned());
        let is_used = if kind == "dev-dependencies" {
            files.iter().any(|file| file.anywhere.contains(&library))
        } else {
            files.iter().any(|file| file.in_code.contains(&library))
        };
        if !is_used {
            let tests =
                if files.iter().any(|file| file.anywhere.contains(&library)) { " outside tests" } else { "" };
            found(format!("no code{tests} uses the dependency `{name}`"));
        }
    }
    findings
}

/// Finds dependencies of the workspace's manifest that none of `manifests` uses.
pub(super) fn check_workspace(workspace: &Table, manifests: &[Table]) -> Vec<Finding> {
    let used: BTreeSet<&str> = manifests.iter().flat_map(kinds).map(|(_, name)| name).collect();
    let dependencies = workspace.get("workspace").and_then(|table| table.get("dependencies"));
    let names = dependencies.and_then(Value::as_table).into_iter().flatten().map(|(name, _)| name.as_str());
    let text = |name: &str| format!("no package uses the dependency `{name}`");
    names.filter(|name| !used.contains(name)).map(|name| Finding::new("Cargo.toml", 0, text(name))).collect()
}

/// Returns the names of all dependencies with their table in [`KINDS`], those of single platforms included.
fn kinds(manifest: &Table) -> BTreeSet<(&'static str, &str)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = std::iter::once(manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
    let kinds = tables.flat_map(|table| KINDS.map(|kind| (kind, table.get(kind).and_then(Value::as_table))));
    kinds
        .flat_map(|(kind, table)| table.into_iter().flatten().map(move |(name, _)| (kind, name.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Source;

    fn texts(findings: Vec<Finding>) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check_code(dependencies: &str, code: &str, expected: &[&str]) {
        let file = |path: &str, text: &str| {
            RustFile::parse(&Source { path: path.to_owned(), text: text.to_owned() }).unwrap()
        };
        let files = [file("crates/x/src/lib.rs", code), file("crates/xy/src/lib.rs", "use nom::x;")];
        let found = check("crates/x", &dependencies.parse().unwrap(), &used(&files));
        assert_eq!(texts(found), expected, "{code}");
    }

    #[test]
    fn accepts_what_code_names() {
        for code in [
            "use nom::x;",
            "fn f() { nom::x(); }",
            "a!(nom::x());",
            "use nom;",
            "use nom as parser;",
            "use {bstr::a, nom};",
            "#[nom::main]\nfn f() {}",
            "use other::nom::b;\nfn f() { nom::x(); }",
        ] {
            check_code("[dependencies]\nnom = \"1\"", code, &[]);
        }
        check_code(
            "[dependencies]\nmd-5 = \"1\"\nidna_adapter = \"1\"",
            "fn f() { md5::x(); idna_adapter::y() }",
            &[],
        );
        let tests =
            ["#[cfg(test)]\nmod tests {\n    use nom::x;\n}", "/// ```\n/// nom::x();\n/// ```\nfn f() {}"];
        for code in tests {
            check_code("[dev-dependencies]\nnom = \"1\"", code, &[]);
        }
    }

    #[test]
    fn refuses_what_no_code_names() {
        let unused = ["crates/x/Cargo.toml: no code uses the dependency `nom`"];
        for code in [
            "",
            "fn f() { phenom::x(); nominal::x(); }",
            "fn f(nom: u8) -> u8 { let nom = nom; nom as u8; return nom; }",
            "// nom::x\nconst A: &str = \"nom::x\";",
            "fn f() { crate::nom::x(); }",
            "mod nom;\nfn f() { nom::x(); }",
            "use super::nom;\nfn f() { nom::x(); }",
            "use crate::{parser as nom};\nfn f() { nom::x(); }",
        ] {
            check_code("[dependencies]\nnom = \"1\"", code, &unused);
            check_code("[target.'cfg(unix)'.dev-dependencies]\nnom = \"1\"", code, &unused);
        }
    }

    #[test]
    fn refuses_what_only_tests_name() {
        let tests = "#[cfg(test)]\nmod tests {\n    use nom::x;\n}";
        let expected = ["crates/x/Cargo.toml: no code outside tests uses the dependency `nom`"];
        check_code("[dependencies]\nnom = \"1\"", tests, &expected);
    }

    #[test]
    fn refuses_a_workspace_dependency_without_a_user() {
        let workspace = "[workspace.dependencies]\nnom = \"1\"\nidna = \"1\"".parse().unwrap();
        let manifests = ["[dev-dependencies]\nidna.workspace = true".parse().unwrap()];
        let expected = ["Cargo.toml: no package uses the dependency `nom`"];
        assert_eq!(texts(check_workspace(&workspace, &manifests)), expected);
    }
}
