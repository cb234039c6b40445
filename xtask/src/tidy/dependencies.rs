//! Finds dependencies that no code names, and workspace dependencies that no manifest uses.

use super::Finding;
use crate::workspace::Source;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Packages whose library has another name than theirs.
const LIBRARIES: [(&str, &str); 1] = [("md-5", "md5")];

/// The tables of a manifest that name dependencies.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Finds dependencies of the manifest in `folder` that no file below it names. `sources` may have files of other folders.
pub(super) fn check(folder: &str, manifest: &Table, sources: &[Source]) -> Vec<Finding> {
    let below = format!("{folder}/");
    let code: Vec<&str> = sources
        .iter()
        .filter(|source| source.path.starts_with(&below) && source.path.ends_with(".rs"))
        .map(|source| source.text.as_str())
        .collect();
    let unused = dependencies(manifest).into_iter().filter(|name| {
        let library = LIBRARIES.iter().find(|(package, _)| package == name);
        let library = library.map_or_else(|| name.replace('-', "_"), |(_, library)| (*library).to_owned());
        !code.iter().any(|text| names(text, &library))
    });
    let text = |name: &str| format!("no code uses the dependency `{name}`");
    unused.map(|name| Finding::new(&format!("{folder}/Cargo.toml"), 0, text(name))).collect()
}

/// Finds dependencies of the workspace's manifest that none of `manifests` uses.
pub(super) fn check_workspace(workspace: &Table, manifests: &[Table]) -> Vec<Finding> {
    let used: BTreeSet<&str> = manifests.iter().flat_map(dependencies).collect();
    let dependencies = workspace.get("workspace").and_then(|table| table.get("dependencies"));
    let names = dependencies.and_then(Value::as_table).into_iter().flatten().map(|(name, _)| name.as_str());
    let text = |name: &str| format!("no package uses the dependency `{name}`");
    names.filter(|name| !used.contains(name)).map(|name| Finding::new("Cargo.toml", 0, text(name))).collect()
}

/// The names of all dependencies, those of tests and of single platforms included.
fn dependencies(manifest: &Table) -> BTreeSet<&str> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = std::iter::once(manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
    let kinds = tables.flat_map(|table| KINDS.map(|kind| table.get(kind)));
    let names = kinds.flatten().filter_map(Value::as_table).flatten();
    names.map(|(name, _)| name.as_str()).collect()
}

/// Does `text` name the library: `library::item`, `library!`, `use library;`, `use library as name;`?
fn names(text: &str, library: &str) -> bool {
    text.match_indices(library).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + library.len()..).unwrap_or_default();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            && ["::", "!", ";", " as "].iter().any(|mark| after.starts_with(mark))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(findings: Vec<Finding>) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check_code(dependencies: &str, code: &str, expected: &[&str]) {
        let sources = [
            Source { path: "crates/x/src/lib.rs".to_owned(), text: code.to_owned() },
            Source { path: "crates/xy/src/lib.rs".to_owned(), text: "use nom::x;".to_owned() },
        ];
        assert_eq!(texts(check("crates/x", &dependencies.parse().unwrap(), &sources)), expected, "{code}");
    }

    #[test]
    fn accepts_what_code_names() {
        for code in ["use nom::x;", "nom::x();", "nom!(x)", "use nom;", "use nom as parser;"] {
            check_code("[dependencies]\nnom = \"1\"", code, &[]);
        }
        check_code("[dependencies]\nmd-5 = \"1\"\nidna_adapter = \"1\"", "md5::x(); idna_adapter::y()", &[]);
    }

    #[test]
    fn refuses_what_no_code_names() {
        let unused = ["crates/x/Cargo.toml: no code uses the dependency `nom`"];
        for code in ["", "phenom::x();", "nominal::x();", "let nom = 1;"] {
            check_code("[dependencies]\nnom = \"1\"", code, &unused);
            check_code("[target.'cfg(unix)'.dev-dependencies]\nnom = \"1\"", code, &unused);
        }
    }

    #[test]
    fn refuses_a_workspace_dependency_without_a_user() {
        let workspace = "[workspace.dependencies]\nnom = \"1\"\nidna = \"1\"".parse().unwrap();
        let manifests = ["[dev-dependencies]\nidna.workspace = true".parse().unwrap()];
        let expected = ["Cargo.toml: no package uses the dependency `nom`"];
        assert_eq!(texts(check_workspace(&workspace, &manifests)), expected);
    }
}
