//! The tree keeps the house rules, and its documents and fixtures are up to date.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use xtask::tidy::{self, Tree};
use xtask::workspace::{self, Source};
use xtask::{fixtures, r#gen};

#[test]
fn the_tree_is_tidy() {
    let findings = tidy::findings(&Tree::read(&workspace::root()).unwrap()).unwrap();
    assert!(findings.is_empty(), "\n{}", findings.iter().map(|f| format!("{f}\n")).collect::<String>());
}

#[test]
fn documents_are_up_to_date() {
    let root = workspace::root();
    workspace::put(&root, &r#gen::documents_to_check(&root).unwrap(), true, "cargo xtask gen").unwrap();
}

#[test]
fn fixtures_are_up_to_date() {
    let files = fixtures::files().unwrap();
    workspace::put(&workspace::root(), &files, true, "cargo xtask fixtures").unwrap();
    assert!(files == fixtures::files().unwrap(), "two runs differ");
}

#[test]
fn reads_the_zones_of_the_fixtures() {
    for (path, content) in fixtures::files().unwrap() {
        if path.ends_with(".zone") {
            dns::zone::Zone::parse(&String::from_utf8(content).unwrap())
                .unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }
}

/// Changes the file at `path` and returns the findings that are new. To be quick, it checks only that file, those at `beside`,
/// the manifests, and the list of tokens.
#[track_caller]
fn new_findings(path: &str, beside: &[&str], change: impl FnOnce(&str) -> String) -> Vec<String> {
    let mut tree = Tree::read(&workspace::root()).unwrap();
    tree.sources.retain(|Source { path: found, .. }| {
        found == path
            || beside.contains(&found.as_str())
            || found.ends_with("Cargo.toml")
            || found == "docs/errors.md"
    });
    let before = tidy::findings(&tree).unwrap();
    let source = tree.sources.iter_mut().find(|source| source.path == path).unwrap();
    source.text = change(&source.text);
    let after = tidy::findings(&tree).unwrap();
    after.iter().filter(|finding| !before.contains(finding)).map(ToString::to_string).collect()
}

#[test]
fn refuses_a_clock_in_the_session() {
    let path = "crates/smtpserver/src/session/mod.rs";
    let mut last = 0;
    let found = new_findings(path, &[], |text| {
        last = text.lines().count() + 4;
        format!("{text}#[cfg(test)]\nmod more_tests;\nfn now() -> Instant {{\n    Instant::now()\n}}\n")
    });
    assert_eq!(found, [format!("{path}:{last}: `Instant::now` has no place in pure code")]);
}

#[test]
fn refuses_a_clock_under_another_name_in_the_session() {
    let path = "crates/smtpserver/src/session/mod.rs";
    let mut last = 0;
    let found = new_findings(path, &[], |text| {
        last = text.lines().count() + 7;
        let helper = "#[cfg(test)]\nmod helper {\n    pub fn now() -> I { I::now() }\n}\n";
        format!("{text}use std::time::Instant as I;\n{helper}fn now() -> I {{\n    I::now()\n}}\n")
    });
    assert_eq!(found, [format!("{path}:{last}: `I::now` has no place in pure code")]);
}

#[test]
fn refuses_a_metric_that_two_files_name() {
    let path = "crates/intake/src/verdict.rs";
    let home = "crates/smtpserver/src/driver/metrics.rs";
    let mut line = 0;
    let found = new_findings(path, &[home], |text| {
        line = text.lines().count() + 1;
        format!("{text}const A: &str = \"mox_panic_total\";\n")
    });
    let expected =
        format!("{path}:{line}: the metric `mox_panic_total` is written in {home} already; use that name");
    assert!(found.contains(&expected), "{found:?}");
}

#[test]
fn refuses_a_token_that_two_files_write() {
    let path = "crates/intake/src/verdict.rs";
    let home = "crates/store/src/error.rs";
    let found =
        new_findings(path, &[home], |text| format!("{text}/// Full.\nconst FULL: &str = \"store.full\";\n"));
    assert!(
        found.len() == 1 && found[0].contains(&format!("`store.full` is written in {home}")),
        "{found:?}"
    );
}

#[test]
fn refuses_a_function_of_81_lines() {
    let path = "crates/dns/src/lib.rs";
    let mut first = 0;
    let found = new_findings(path, &[], |text| {
        first = text.lines().count() + 1;
        format!("{text}fn long() {{\n{}}}\n", "    f();\n".repeat(79))
    });
    assert_eq!(found, [format!("{path}:{first}: `fn long` has 81 lines, more than 80")]);
}

#[test]
fn refuses_a_token_that_the_list_does_not_have() {
    let path = "crates/store/src/error.rs";
    let mut line = 0;
    let found = new_findings(path, &[], |text| {
        line = text.lines().count() + 2;
        format!("{text}/// Not in the list.\nconst NEW: &str = \"store.finding.new\";\n")
    });
    let expected = format!(
        "{path}:{line}: the token `store.finding.new` is not in docs/errors.md; run `cargo xtask gen`"
    );
    assert_eq!(found, [expected]);

    let found = new_findings("docs/errors.md", &["crates/store/src/check.rs"], |text| {
        text.replace("`store.finding.body`", "")
    });
    assert!(found.len() == 1 && found[0].contains("the token `store.finding.body` is not in"), "{found:?}");
}

/// Changes one manifest and expects exactly this finding more, apart from those about dependencies that are not used, which such a
/// change brings about as well.
#[track_caller]
fn breaks(folder: &str, find: &str, replace: &str, expected: &str) {
    let path = format!("{folder}/Cargo.toml");
    let mut found = new_findings(&path, &[], |text| {
        assert!(text.contains(find), "{folder} has no {find:?}");
        text.replacen(find, replace, 1)
    });
    found.retain(|finding| !finding.contains("uses the dependency"));
    assert_eq!(found, [expected]);
}

#[test]
fn refuses_a_manifest_that_breaks_a_layer_rule() {
    let dependencies = "[dependencies]\n";
    breaks(
        "crates/spf",
        dependencies,
        "[dependencies]\ntokio.workspace = true\n",
        "crates/spf/Cargo.toml: layer rule: `spf` may not depend on `tokio`",
    );
    breaks(
        "crates/dmarc",
        dependencies,
        "[dependencies]\nspf.workspace = true\n",
        "crates/dmarc/Cargo.toml: layer rule: `dmarc` may not depend on `spf` of this workspace",
    );
    breaks(
        "crates/smtpserver",
        dependencies,
        "[dependencies]\nstore.workspace = true\n",
        "crates/smtpserver/Cargo.toml: layer rule: `smtpserver` may not depend on `store` of this workspace",
    );
    breaks(
        "crates/dns",
        "[lints]\nworkspace = true",
        "[lints]\nworkspace = false",
        "crates/dns/Cargo.toml: `[lints] workspace = true` is missing",
    );
}

#[test]
fn refuses_an_allowance_that_no_manifest_needs() {
    breaks(
        "crates/dns",
        "idna.workspace = true\n",
        "",
        "xtask/src/layers.rs: layer rule: `dns` does not use its allowance of `idna`",
    );
}
