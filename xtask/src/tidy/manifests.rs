//! The fields that every manifest must have.

use super::Finding;
use toml::{Table, Value};

/// Fields that packages inherit from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

/// Checks the manifest in `folder` against the rules for all manifests.
pub(super) fn check(folder: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |text: String| findings.push(Finding::new(&format!("{folder}/Cargo.toml"), 0, text));
    let package = manifest.get("package").and_then(Value::as_table);
    let field = |name: &str| package.and_then(|package| package.get(name));
    for name in INHERITED {
        if field(name).and_then(|value| value.get("workspace")) != Some(&Value::Boolean(true)) {
            found(format!("`{name}.workspace = true` is missing"));
        }
    }
    if field("description").and_then(Value::as_str).is_none_or(str::is_empty) {
        found("`description` is missing".to_owned());
    }
    // In a registry that many projects share, a plain name such as `store` says nothing.
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let expected = if folder.starts_with("crates/") { format!("moxd-{name}") } else { name.to_owned() };
    if field("name").and_then(Value::as_str) != Some(expected.as_str()) {
        found(format!("`name` is not `{expected}`"));
    }
    let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if lints != Some(&Value::Boolean(true)) {
        found("`[lints] workspace = true` is missing".to_owned());
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "[package]\nname = \"moxd-x\"\ndescription = \"x\"\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        publish.workspace = true\n[lints]\nworkspace = true\n";

    #[track_caller]
    fn check_text(manifest: &str, expected: &[&str]) {
        let found = check("crates/x", &manifest.parse().unwrap());
        assert_eq!(found.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn accepts_a_whole_manifest() {
        check_text(WHOLE, &[]);
    }

    #[test]
    fn refuses_what_is_missing_or_different() {
        check_text(
            &WHOLE.replace("license.workspace", "license-file.workspace"),
            &["`license.workspace = true` is missing"],
        );
        check_text(
            &WHOLE.replace("publish.workspace = true", "publish = true"),
            &["`publish.workspace = true` is missing"],
        );
        check_text(&WHOLE.replace("moxd-x", "x"), &["`name` is not `moxd-x`"]);
        check_text(
            &WHOLE.replace("description = \"x\"", "description = \"\""),
            &["`description` is missing"],
        );
        check_text(&WHOLE.replace("[lints]", "[other]"), &["`[lints] workspace = true` is missing"]);
    }
}
