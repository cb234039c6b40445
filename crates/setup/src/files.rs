//! Files that appear complete or not at all.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a folder, and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o750)
        .create(path)
        .with_context(|| format!("make the folder {}", path.display()))
}

/// Writes a file under another name, and renames it into place once it is on disk.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let at = || format!("write {}", path.display());
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&new).with_context(at)?;
    file.write_all(bytes).with_context(at)?;
    file.sync_all().with_context(at)?;
    fs::rename(&new, path).with_context(at)
}
