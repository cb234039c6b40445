//! Checks the manifests against the table of the layers.

use super::Finding;
use crate::layers::{self, Rule, dependencies};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// Finds dependencies of the manifest in `folder` (`crates/dns`) that the table does not allow. Tests may depend on anything.
pub(super) fn check(folder: &str, manifest: &Table) -> Vec<Finding> {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let path = format!("{folder}/Cargo.toml");
    let found = |text: String| Finding::new(&path, 0, text);
    let Some(rule) = layers::rule(name) else {
        return vec![found(format!("`{name}` has no row in xtask/src/layers.rs"))];
    };
    let mut findings = Vec::new();
    for (dependency, value) in dependencies(manifest) {
        if rule.house.contains(&dependency) {
            continue;
        }
        if layers::rule(dependency).is_some() {
            findings.push(found(format!(
                "layer rule: `{name}` may not depend on `{dependency}` of this workspace"
            )));
            continue;
        }
        let below =
            rule.layer < layers::FIRST_WITH_RUNTIME && layers::NOT_BELOW_THE_LINE.contains(&dependency);
        match (below, allowance(rule, dependency)) {
            (true, _) | (_, None) => {
                findings.push(found(format!("layer rule: `{name}` may not depend on `{dependency}`")));
            }
            (false, Some(features)) => {
                let extra = wanted(value).into_iter().filter(|feature| !features.allows(feature));
                findings.extend(extra.map(|feature| {
                    found(format!("layer rule: `{name}` may not use `{feature}` of `{dependency}`"))
                }));
            }
        }
    }
    findings
}

/// Finds features in the workspace's manifest of packages that a row allows with some features only: every package that inherits
/// the dependency would get them.
pub(super) fn check_workspace(workspace: &Table) -> Vec<Finding> {
    let dependencies = workspace.get("workspace").and_then(|table| table.get("dependencies"));
    let dependencies = dependencies.and_then(Value::as_table).into_iter().flatten();
    let is_limited = |name: &str| {
        let mut entries = layers::RULES.iter().flat_map(|rule| rule.outside);
        entries.any(|entry| matches!(split(entry), (limited, Some(_)) if limited == name))
    };
    let with_features = dependencies.filter(|(name, value)| is_limited(name) && has_features(value));
    let text =
        |name: &str| format!("layer rule: `{name}` gets its features in the manifests of the packages");
    with_features.map(|(name, _)| Finding::new("Cargo.toml", 0, text(name))).collect()
}

fn has_features(value: &Value) -> bool {
    !wanted(value).is_empty() || value.get("default-features").and_then(Value::as_bool) != Some(false)
}

/// Finds packages and features that the table allows and the manifest does not use.
pub(super) fn check_unused(folder: &str, manifest: &Table) -> Vec<Finding> {
    let Some(rule) = layers::rule(folder.rsplit('/').next().unwrap_or(folder)) else { return Vec::new() };
    let used: BTreeMap<&str, BTreeSet<&str>> =
        dependencies(manifest).map(|(name, value)| (name, wanted(value).into_iter().collect())).collect();
    let mut unused = Vec::new();
    for entry in rule.house.iter().chain(rule.outside).filter(|entry| **entry != "*") {
        let (name, features) = split(entry);
        match used.get(name) {
            None => unused.push(name.to_owned()),
            Some(used) => {
                let features = features.into_iter().flatten().filter(|feature| !used.contains(feature));
                unused.extend(features.map(|feature| format!("{name}[{feature}]")));
            }
        }
    }
    let text =
        |unused: &String| format!("layer rule: `{}` does not use its allowance of `{unused}`", rule.name);
    unused.iter().map(|unused| Finding::new("xtask/src/layers.rs", 0, text(unused))).collect()
}

/// The features of a dependency that a row allows.
enum Features<'a> {
    All,
    These(Vec<&'a str>),
}

impl Features<'_> {
    fn allows(&self, feature: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(list) => list.contains(&feature),
        }
    }
}

/// Returns the features of `dependency` that the row allows; `None` if it does not allow the package.
fn allowance(rule: &Rule, dependency: &str) -> Option<Features<'static>> {
    rule.outside.iter().find_map(|entry| match split(entry) {
        (name, None) => (name == "*" || name == dependency).then_some(Features::All),
        (name, Some(features)) => (name == dependency).then_some(Features::These(features)),
    })
}

/// Splits an entry of a row: `tokio[net,sync]` is `tokio` with these two features only.
fn split(entry: &'static str) -> (&'static str, Option<Vec<&'static str>>) {
    match entry.split_once('[') {
        None => (entry, None),
        Some((name, features)) => (name, Some(features.trim_end_matches(']').split(',').collect())),
    }
}

/// Returns the features that a manifest enables.
fn wanted(value: &Value) -> Vec<&str> {
    let list = value.get("features").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(folder: &str, manifest: &str, expected: &[&str]) {
        let found = check(folder, &manifest.parse().unwrap());
        assert_eq!(
            found.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>(),
            expected,
            "{manifest}"
        );
    }

    #[test]
    fn accepts_what_the_table_allows() {
        check_text("crates/spf", "[dependencies]\ndns.workspace = true", &[]);
        check_text("crates/spf", "[dev-dependencies]\ntokio = \"1\"\ndkim = \"1\"", &[]);
        check_text(
            "crates/store",
            "[dependencies]\ntokio = { workspace = true, features = [\"sync\"] }",
            &[],
        );
        check_text("bin/moxd", "[dependencies]\nstore.workspace = true\nanything = \"1\"", &[]);
    }

    #[test]
    fn refuses_every_way_around_the_table() {
        let no_tokio = ["layer rule: `spf` may not depend on `tokio`"];
        check_text("crates/spf", "[dependencies]\ntokio = \"1\"", &no_tokio);
        check_text("crates/spf", "[build-dependencies]\ntokio = \"1\"", &no_tokio);
        check_text("crates/spf", "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"", &no_tokio);
        let sibling = ["layer rule: `spf` may not depend on `dkim` of this workspace"];
        check_text("crates/spf", "[dependencies]\ndkim.workspace = true", &sibling);
        let upwards = ["layer rule: `dns` may not depend on `moxd` of this workspace"];
        check_text("crates/dns", "[dependencies]\nmoxd = \"1\"", &upwards);
        let network = ["layer rule: `store` may not use `net` of `tokio`"];
        check_text(
            "crates/store",
            "[dependencies]\ntokio = { version = \"1\", features = [\"sync\", \"net\"] }",
            &network,
        );
        check_text("crates/new", "", &["`new` has no row in xtask/src/layers.rs"]);
    }

    #[test]
    fn refuses_features_for_all_packages_at_once() {
        let check = |value: &str| {
            let text = format!("[workspace.dependencies]\ntokio = {value}\nring = \"1\"\n");
            check_workspace(&text.parse().unwrap()).len()
        };
        assert_eq!(check("{ version = \"1\", default-features = false }"), 0);
        assert_eq!(check("{ version = \"1\", default-features = false, features = [\"net\"] }"), 1);
        assert_eq!(check("\"1\""), 1);
    }

    #[test]
    fn refuses_an_allowance_that_is_not_used() {
        let manifest = "[dependencies]\ntokio = { workspace = true, features = [\"sync\"] }\n\
            [dev-dependencies]\nring = \"1\"\n";
        let found = check_unused("crates/store", &manifest.parse().unwrap());
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        let unused = |name: &str| format!("layer rule: `store` does not use its allowance of `{name}`");
        assert!(texts.contains(&unused("tokio[rt-multi-thread]").as_str()), "{texts:?}");
        assert!(texts.contains(&unused("ring").as_str()), "for tests, it needs no allowance: {texts:?}");
        assert!(
            !texts.contains(&unused("tokio").as_str()) && !texts.contains(&unused("tokio[sync]").as_str())
        );
    }
}
