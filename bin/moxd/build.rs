//! Tells the program which commit it is built from, if that is known: from the variable `MOXD_COMMIT`, or from the
//! files of a git repository around it, which are read without git.

use std::fs;
use std::path::{Path, PathBuf};

/// Digits of a commit that are shown.
const DIGITS: usize = 10;

#[expect(clippy::disallowed_methods, reason = "a build script reads the environment that cargo gives it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn main() {
    println!("cargo::rerun-if-env-changed=MOXD_COMMIT");
    let known = variable("MOXD_COMMIT").or_else(|| {
        let folder = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        commit(&folder.join("../../.git"))
    });
    let commit: String =
        known.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(DIGITS).collect();
    let number = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let whole = if commit.is_empty() { number } else { format!("{number} ({commit})") };
    println!("cargo::rustc-env=MOXD_COMMIT={commit}");
    println!("cargo::rustc-env=MOXD_VERSION={whole}");
}

/// The commit of a repository, whose folder may also be a file that says where it is.
fn commit(git: &Path) -> Option<String> {
    let own = match fs::read_to_string(git) {
        Ok(text) => git.parent()?.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => git.to_owned(),
    };
    let common = fs::read_to_string(own.join("commondir"));
    let common = common.map_or_else(|_| own.clone(), |folder| own.join(folder.trim()));
    let head = read(&own.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return Some(head) };
    read(&common.join(name)).or_else(|| {
        let packed = read(&common.join("packed-refs"))?;
        packed.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' ').map(str::to_owned))
    })
}

/// A file of the repository; with a change of it this is built again.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}
