//! `cargo xtask tidy`: checks the house rules that the compiler and clippy do not know.

mod dependencies;
mod docs;
mod layers;
mod manifests;
mod metrics;
mod purity;
mod rfc;
mod shape;
mod size;
mod tokens;

use self::dependencies::FileUse;
use crate::layers::{RULES, Rule};
use crate::rust::{self, RustFile};
use crate::workspace::{Source, is_package, sources};
use anyhow::{Context, Result};
use std::fmt;
use std::fs;
use std::path::Path;
use toml::Table;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root.
    pub path: String,
    /// The line, from 1; 0 if the finding is about the whole file.
    pub line: usize,
    /// What breaks the rule.
    pub text: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// The rules for a Rust file by itself.
const CHECKS: [fn(&RustFile) -> Vec<Finding>; 4] = [docs::check, purity::check, rfc::check, size::check];

/// The files that the rules apply to.
#[derive(Debug)]
pub struct Tree {
    /// Every source, manifest, script and document, sorted by folder.
    pub sources: Vec<Source>,
}

impl Tree {
    /// Reads the tree at `root`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut found = Vec::new();
        for folder in [".ci", ".cargo", "bench", "bin", "crates", "docs", "fuzz", "xtask"] {
            found.extend(sources(root, folder, &[".rs", ".toml", ".md", ".sh", "/run", "/build"])?);
        }
        for name in [
            "Cargo.toml",
            "clippy.toml",
            "deny.toml",
            "rustfmt.toml",
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
        ] {
            if let Ok(text) = fs::read_to_string(root.join(name)) {
                found.push(Source { path: name.to_owned(), text });
            }
        }
        Ok(Self { sources: found })
    }

    fn text(&self, path: &str) -> Result<&str> {
        let source = self.sources.iter().find(|source| source.path == path);
        source.map(|source| source.text.as_str()).with_context(|| format!("{path} is not there"))
    }
}

/// Checks every file of `tree`. Returns what breaks a rule, sorted by file.
///
/// # Errors
/// A manifest is not TOML, a source is not Rust, or the list of tokens is missing.
pub fn findings(tree: &Tree) -> Result<Vec<Finding>> {
    let files = rust::parse(&tree.sources)?;
    let mut findings = manifest_findings(tree, &dependencies::used(&files))?;
    findings.extend(tree.sources.iter().flat_map(shape::check));
    for check in CHECKS {
        findings.extend(files.iter().flat_map(check));
    }
    findings.extend(purity::check_places(&files));
    findings.extend(metrics::check(&files));
    findings.extend(tokens::check(&crate::tokens::tokens(&files), tree.text(tokens::LIST)?));
    findings.sort();
    Ok(findings)
}

/// Checks the manifests of all packages, and that each row of the table of layers has a package.
fn manifest_findings(tree: &Tree, used: &[FileUse]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut rules: Vec<&Rule> = RULES.iter().collect();
    let mut seen = Vec::new();
    for Source { path, text } in &tree.sources {
        let Some(folder) = path.strip_suffix("/Cargo.toml").filter(|folder| is_package(folder)) else {
            continue;
        };
        let manifest: Table = text.parse().with_context(|| path.clone())?;
        findings.extend(layers::check(folder, &manifest));
        findings.extend(layers::check_unused(folder, &manifest));
        findings.extend(manifests::check(folder, &manifest));
        findings.extend(dependencies::check(folder, &manifest, used));
        rules.retain(|rule| !folder.ends_with(&format!("/{}", rule.name)) && folder != rule.name);
        seen.push(manifest);
    }
    let workspace = tree.text("Cargo.toml")?.parse().context("Cargo.toml")?;
    findings.extend(dependencies::check_workspace(&workspace, &seen));
    findings.extend(layers::check_workspace(&workspace));
    let text = |rule: &Rule| format!("`{}` has a row, but there is no such package", rule.name);
    findings.extend(rules.iter().map(|rule| Finding::new("xtask/src/layers.rs", 0, text(rule))));
    Ok(findings)
}
