//! Files with private keys. The server reads them at its start, usually as root, and again on reload, as the user that it has
//! become. A key that this user cannot read stays in use as it was loaded.

use crate::privileges;
use anyhow::Result;
use nix::unistd::{User, geteuid, getgrouplist};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most bytes of a key file: RSA with 16,384 bits takes some 13,000.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Identifies a version of a file, to see whether it was replaced or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Version {
    fn of(meta: &Metadata) -> Self {
        let modified = (meta.mtime(), meta.mtime_nsec());
        Self { device: meta.dev(), inode: meta.ino(), size: meta.len(), modified }
    }
}

/// The result of reading a key file.
#[derive(Debug)]
pub enum KeyFile {
    /// Its text, and its version.
    Read(Zeroizing<Vec<u8>>, Version),
    /// This process may not read the file, and keeps the key that it has loaded.
    Kept {
        /// Has the file changed since then?
        changed: bool,
    },
}

/// Reads a key file. `loaded` is the version that this process has loaded, if any.
///
/// # Errors
/// The file cannot be read, for another reason than permission or without a loaded version. The error says what to do.
pub fn read(path: &Path, loaded: Option<&Version>) -> Result<KeyFile> {
    let read = || -> io::Result<KeyFile> {
        let file = File::open(path)?;
        let version = Version::of(&file.metadata()?);
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_KEY_FILE).read_to_end(&mut text)?;
        Ok(KeyFile::Read(text, version))
    };
    match (read(), loaded) {
        (Err(error), Some(loaded)) if error.kind() == ErrorKind::PermissionDenied => {
            // If this user cannot enter the folder either, whether the file changed is not known.
            let now = std::fs::metadata(path).ok().map(|meta| Version::of(&meta));
            Ok(KeyFile::Kept { changed: now.is_some_and(|now| now != *loaded) })
        }
        (read, _) => read.map_err(|error| unread(path, &error)),
    }
}

/// Why a file cannot be read, and what to do about it. The error has the kind of the original one.
pub fn unread(path: &Path, error: &io::Error) -> anyhow::Error {
    let path = path.display();
    let text = match error.kind() {
        ErrorKind::PermissionDenied => {
            let user = privileges::name_of(geteuid().as_raw());
            format!("read {path}: {error}; {}", let_read(&path.to_string(), &user))
        }
        _ => format!("read {path}: {error}"),
    };
    io::Error::new(error.kind(), text).into()
}

/// Is permission to read the file missing?
pub fn is_denied(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// What to do so that a user can read a file.
fn let_read(path: &str, user: &str) -> String {
    format!(
        "let {user} read it (`chown {user} {path}`, or a group that {user} is in, which counts from the next start), \
         and the folders above it"
    )
}

/// The result of a reload, for the caller to report: remarks, and problems with files that stay as they were.
#[derive(Debug, Default)]
pub struct Report {
    /// Remarks: everything new is in use, or nothing changed.
    pub notes: Vec<String>,
    /// Problems: something new is not in use.
    pub problems: Vec<String>,
}

impl Report {
    /// Reports a key that stays as it was loaded.
    pub fn kept(&mut self, path: &Path, changed: bool) {
        let user = privileges::name_of(geteuid().as_raw());
        let mend = let_read(&path.display().to_string(), &user);
        let path = path.display();
        if changed {
            let text = format!(
                "{path} has changed, but {user} cannot read it: the key loaded before stays in use; {mend}"
            );
            self.problems.push(text);
        } else {
            self.notes.push(format!(
                "{user} cannot read {path}: the key that is loaded stays in use; to take new ones, {mend}"
            ));
        }
    }
}

/// The keys in use, by file. `K` is the parsed form of a key.
#[derive(Debug)]
pub struct KeyRing<K> {
    keys: HashMap<PathBuf, (Arc<K>, Version)>,
    /// The keys of the previous configuration.
    before: HashMap<PathBuf, (Arc<K>, Version)>,
    /// Remarks and problems of this reload.
    pub report: Report,
}

impl<K> Default for KeyRing<K> {
    fn default() -> Self {
        Self { keys: HashMap::new(), before: HashMap::new(), report: Report::default() }
    }
}

impl<K> KeyRing<K> {
    /// An empty ring for the next version of the configuration, which falls back on the keys of this one.
    pub fn again(&self) -> Self {
        Self { before: self.keys.clone(), ..Self::default() }
    }

    /// The key in a file; `parse` makes it from the bytes.
    ///
    /// # Errors
    /// The file cannot be read and no version of it is loaded, or `parse` says what is wrong with it.
    pub fn get(&mut self, path: &Path, parse: impl FnOnce(&[u8]) -> Result<K, String>) -> Result<Arc<K>> {
        if let Some((key, _)) = self.keys.get(path) {
            return Ok(Arc::clone(key));
        }
        let before = self.before.get(path);
        let (key, version) = match read(path, before.map(|(_, version)| version))? {
            KeyFile::Read(text, version) => {
                let key = parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
                (Arc::new(key), version)
            }
            KeyFile::Kept { changed } => {
                self.report.kept(path, changed);
                before.cloned().ok_or_else(|| unread(path, &ErrorKind::PermissionDenied.into()))?
            }
        };
        self.keys.insert(path.to_owned(), (Arc::clone(&key), version));
        Ok(key)
    }

    /// The files that a reload will read again.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.keys.keys().map(PathBuf::as_path)
    }
}

/// Logs a warning for each file that a reload will not be able to read.
pub fn warn_of_unreadable<'a>(files: impl Iterator<Item = &'a Path>) {
    for path in files {
        if let Err(error) = File::open(path)
            && error.kind() == ErrorKind::PermissionDenied
        {
            let user = privileges::name_of(geteuid().as_raw());
            let mend = let_read(&path.display().to_string(), &user);
            let owner = std::fs::metadata(path).map_or_else(|_| String::new(), |meta| owner_and_mode(&meta));
            tracing::warn!(
                file = %path.display(), owner, user,
                "a reload keeps what is loaded of this file and takes no new version of it: {mend}"
            );
        }
    }
}

/// Owner and mode, such as `root 0600`.
pub fn owner_and_mode(meta: &Metadata) -> String {
    format!("{} {:04o}", privileges::name_of(meta.uid()), meta.permissions().mode() & 0o7777)
}

/// A warning if other users can use or replace a private key, with the command that mends it.
pub fn exposure(path: &Path) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let mode = meta.permissions().mode();
    let shown = path.display();
    let what = if mode & 0o007 != 0 {
        "everyone on this host can use"
    } else if mode & 0o020 != 0 {
        "a group can replace"
    } else {
        return None;
    };
    Some(format!("{what} the private key {shown} (mode {:04o}); chmod 0640 {shown}", mode & 0o7777))
}

/// A warning if a reload by `user` cannot read this file, with what to do. None if the user can read it, or it does not exist.
pub fn unreadable_for(path: &Path, user: &User) -> Option<String> {
    let meta = std::fs::metadata(path).ok()?;
    let closed = closed_to(path, user)?;
    let is_file = std::path::absolute(path).is_ok_and(|path| path == closed);
    let whose = if is_file { owner_and_mode(&meta) } else { format!("in {}", closed.display()) };
    let (name, path) = (&user.name, path.display());
    Some(format!(
        "{name} cannot read {path} ({whose}): a reload keeps the version read at the start; \
         let {name} read it, with chown or a group, to take renewals without a restart"
    ))
}

/// The topmost folder on the path that this user cannot enter, or the file if the user cannot read it, by owner, group and
/// mode.
fn closed_to(path: &Path, user: &User) -> Option<PathBuf> {
    let groups = CString::new(user.name.clone()).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    let groups = groups.unwrap_or_default();
    // 4: may read, 1: may enter.
    let may = |meta: &Metadata, right: u32| {
        let mode = meta.permissions().mode();
        let shift = if meta.uid() == user.uid.as_raw() {
            6
        } else if groups.iter().any(|group| group.as_raw() == meta.gid()) {
            3
        } else {
            0
        };
        user.uid.is_root() || mode >> shift & right != 0
    };
    let path = std::path::absolute(path).ok()?;
    let folders = path.ancestors().skip(1).collect::<Vec<_>>();
    let closed =
        folders.iter().rev().find(|folder| std::fs::metadata(folder).is_ok_and(|meta| !may(&meta, 1)));
    if let Some(folder) = closed {
        return Some((*folder).to_owned());
    }
    std::fs::metadata(&path).is_ok_and(|meta| !may(&meta, 4)).then_some(path)
}
