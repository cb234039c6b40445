//! The tree as it is: tidy, its documents and fixtures up to date.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::fs;
use std::path::Path;
use xtask::{fixtures, r#gen, tidy, workspace};

#[test]
fn the_tree_is_tidy() {
    let findings = tidy::tidy(&workspace::root()).unwrap();
    assert!(findings.is_empty(), "\n{}", findings.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn documents_are_up_to_date() {
    let root = workspace::root();
    workspace::put(&root, &r#gen::documents(&root).unwrap(), true, "cargo xtask gen").unwrap();
}

#[test]
fn fixtures_are_what_would_be_written() {
    let files = fixtures::files().unwrap();
    workspace::put(&workspace::root(), &files, true, "cargo xtask fixtures").unwrap();
    assert!(files == fixtures::files().unwrap(), "made twice, they differ");
}

#[test]
fn zones_of_the_fixtures_are_read() {
    for (path, content) in fixtures::files().unwrap() {
        if path.ends_with(".zone") {
            dns::zone::Zone::parse(&String::from_utf8(content).unwrap())
                .unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }
}

/// The manifests of this tree, copied to where they can be changed.
fn copied_manifests(to: &Path) {
    let root = workspace::root();
    for folder in workspace::packages(&root).unwrap() {
        fs::create_dir_all(to.join(&folder)).unwrap();
        fs::copy(root.join(&folder).join("Cargo.toml"), to.join(&folder).join("Cargo.toml")).unwrap();
    }
}

/// Changes one manifest of the tree and expects exactly one finding more.
#[track_caller]
fn breaks(folder: &str, find: &str, replace: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    copied_manifests(dir.path());
    let before = tidy::manifest_findings(dir.path()).unwrap();
    let manifest = dir.path().join(folder).join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    assert!(text.contains(find), "{folder} has no {find:?}");
    fs::write(&manifest, text.replacen(find, replace, 1)).unwrap();
    let mut after = tidy::manifest_findings(dir.path()).unwrap();
    after.retain(|finding| !before.contains(finding));
    let after: Vec<String> = after.iter().map(ToString::to_string).collect();
    assert_eq!(after, [format!("{folder}/Cargo.toml: {expected}")]);
}

#[test]
fn refuses_a_manifest_that_breaks_a_layer_rule() {
    let dependencies = "[dependencies]\n";
    breaks(
        "crates/spf",
        dependencies,
        "[dependencies]\ntokio.workspace = true\n",
        "layer rule: `spf` may not depend on `tokio`",
    );
    breaks(
        "crates/dmarc",
        dependencies,
        "[dependencies]\nspf.workspace = true\n",
        "layer rule: `dmarc` may not depend on `spf` of the house",
    );
    breaks(
        "crates/smtpserver",
        dependencies,
        "[dependencies]\nstore.workspace = true\n",
        "layer rule: `smtpserver` may not depend on `store` of the house",
    );
    breaks(
        "crates/dns",
        "[lints]\nworkspace = true",
        "[lints]\nworkspace = false",
        "`[lints] workspace = true` is missing",
    );
}
