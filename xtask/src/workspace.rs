//! The source tree: where it is, and its files, always in the same order.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with generated files or test data, which [`sources`] leaves out.
const LEFT_OUT: [&str; 7] = [".git", "target", "testdata", "corpus", "seeds", "artifacts", "coverage"];

/// Returns the root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A text file of the tree.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path from the root, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
}

/// Reads all text files below `folder` whose names end in one of `endings`, sorted by path.
///
/// # Errors
/// A folder or file cannot be read, or a file is not UTF-8.
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

/// Reads the Rust sources of all crates and of the binary, tests included.
///
/// # Errors
/// As [`sources`].
pub fn crate_sources(root: &Path) -> Result<Vec<Source>> {
    let mut found = sources(root, "bin", &[".rs"])?;
    found.extend(sources(root, "crates", &[".rs"])?);
    Ok(found)
}

/// Returns the folders of all packages of the workspace: `crates/dns`, `bin/moxd`, `xtask`.
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

/// Is `folder` the place of a package of the workspace? `crates/dns` and `xtask` are, `fuzz` is not.
pub fn is_package(folder: &str) -> bool {
    let parent = folder.split_once('/').map_or("", |(parent, _)| parent);
    folder == "xtask" || folder.matches('/').count() == 1 && (parent == "bin" || parent == "crates")
}

/// Calls `visit` with every file below `folder`, except for those in [`LEFT_OUT`] folders.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.is_dir() {
            visit(&path)?;
        } else if !LEFT_OUT.contains(&&*name) {
            walk(&path, visit)?;
        }
    }
    Ok(())
}

/// Lists a folder, sorted by name. A folder that does not exist is empty.
///
/// # Errors
/// The folder cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut found = read().with_context(|| folder.display().to_string())?;
    found.sort();
    Ok(found)
}

/// Returns `path` relative to `root`, with `/`.
pub fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Writes the files that differ from `files`, and returns their paths. With `check` it writes nothing and fails instead;
/// `command` is what the error tells to run.
///
/// # Errors
/// A file cannot be written; with `check`, a file differs.
pub fn put(root: &Path, files: &[(String, Vec<u8>)], check: bool, command: &str) -> Result<Vec<String>> {
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
    anyhow::ensure!(!check || stale.is_empty(), "not up to date: {}; run `{command}`", stale.join(", "));
    Ok(stale)
}
