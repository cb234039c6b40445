//! `cargo xtask tidy`: the house rules that a compiler does not know.

mod manifests;
mod purity;
mod rfc;
mod shape;

use crate::layers;
use crate::workspace::{Source, packages, sources};
use anyhow::{Context, Result};
use std::fmt;
use std::fs;
use std::path::Path;

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the root.
    pub path: String,
    /// The line from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong.
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

/// Looks at every file of the tree at `root`.
///
/// # Errors
/// A file cannot be read, or a manifest is not TOML. What breaks a rule is a finding, not an error.
pub fn tidy(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = manifest_findings(root)?;
    for source in tree(root)? {
        findings.extend(shape::check(&source));
        if source.path.ends_with(".rs") {
            findings.extend(rfc::check(&source));
            findings.extend(purity::check(&source));
        }
    }
    findings.sort();
    Ok(findings)
}

/// The rules of the manifests alone.
///
/// # Errors
/// As [`tidy`].
pub fn manifest_findings(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let packages = packages(root)?;
    for folder in &packages {
        let path = root.join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let manifest = text.parse().with_context(|| path.display().to_string())?;
        findings.extend(layers::check(folder, &manifest));
        findings.extend(manifests::check(folder, &manifest));
    }
    for rule in layers::RULES {
        if !packages.iter().any(|folder| folder.rsplit('/').next() == Some(rule.name)) {
            let text = format!("`{}` has a row and no package", rule.name);
            findings.push(Finding::new("xtask/src/layers.rs", 0, text));
        }
    }
    Ok(findings)
}

/// Every file written by hand.
fn tree(root: &Path) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for folder in [".ci", ".cargo", "bench", "bin", "crates", "docs", "fuzz", "xtask"] {
        found.extend(sources(root, folder, &[".rs", ".toml", ".md", ".sh", "/run", "/build"])?);
    }
    for name in ["Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml", "README.md", "CHANGELOG.md"] {
        if let Ok(text) = fs::read_to_string(root.join(name)) {
            found.push(Source { path: name.to_owned(), text });
        }
    }
    Ok(found)
}
