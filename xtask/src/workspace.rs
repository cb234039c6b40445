//! The source tree: where it is, and its files in an order that never changes.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing written by hand, or nothing but test data.
const PASSED_OVER: [&str; 7] = [".git", "target", "testdata", "corpus", "seeds", "artifacts", "coverage"];

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A text file of the tree.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path from the root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// All text files below `folder` of the tree at `root` that end in one of `endings`, sorted by path.
///
/// # Errors
/// A folder or file cannot be read, or is not UTF-8.
pub fn sources(root: &Path, folder: &str, endings: &[&str]) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(&root.join(folder), &mut |path| {
        let name = path.to_string_lossy();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            found.push(Source { path: relative(root, path), text });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The Rust sources of all crates and of the binary, tests included.
///
/// # Errors
/// As [`sources`].
pub fn crate_sources(root: &Path) -> Result<Vec<Source>> {
    let mut found = sources(root, "bin", &[".rs"])?;
    found.extend(sources(root, "crates", &[".rs"])?);
    Ok(found)
}

/// The folders of all packages of the workspace: `crates/dns`, `bin/moxd`, `xtask`.
///
/// # Errors
/// A folder cannot be read.
pub fn packages(root: &Path) -> Result<Vec<String>> {
    let mut found = vec!["xtask".to_owned()];
    for parent in ["bin", "crates"] {
        for entry in entries(&root.join(parent))? {
            if entry.join("Cargo.toml").is_file() {
                found.push(relative(root, &entry));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Is the folder one where packages of the workspace stand: `crates/dns`, `xtask`, but not `fuzz`?
pub fn is_package(folder: &str) -> bool {
    let parent = folder.split_once('/').map_or("", |(parent, _)| parent);
    folder == "xtask" || folder.matches('/').count() == 1 && (parent == "bin" || parent == "crates")
}

/// Calls `visit` with every file below `folder`, but for those of [`PASSED_OVER`] folders.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.is_dir() {
            visit(&path)?;
        } else if !PASSED_OVER.contains(&&*name) {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

/// What a folder holds, sorted; nothing if it is not there.
///
/// # Errors
/// It cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut found = read().with_context(|| folder.display().to_string())?;
    found.sort();
    Ok(found)
}

/// `path` from the root, with `/`.
pub fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Brings files up to date, or with `check` says which are not.
///
/// # Errors
/// A file cannot be written; with `check`, one is not as it should be.
pub fn put(root: &Path, files: &[(String, Vec<u8>)], check: bool, mend: &str) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for (path, content) in files {
        let full = root.join(path);
        if fs::read(&full).is_ok_and(|found| found == *content) {
            continue;
        }
        stale.push(path.clone());
        if !check {
            fs::create_dir_all(full.parent().unwrap_or(root))?;
            fs::write(&full, content).with_context(|| full.display().to_string())?;
        }
    }
    anyhow::ensure!(!check || stale.is_empty(), "not up to date: {}; run `{mend}`", stale.join(", "));
    Ok(stale)
}
