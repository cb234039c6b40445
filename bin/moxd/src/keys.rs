//! Private keys: read at the start, as a rule by root, and again on reload by the user that the server has become. A key
//! that this user may not read stays in use as it was loaded.

use crate::privileges;
use anyhow::Result;
use dkim::SigningKey;
use nix::unistd::geteuid;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The most bytes of a key file: RSA with 16,384 bits takes some 13,000.
const MAX_KEY_FILE: u64 = 1 << 20;

/// Tells one version of a file from the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
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

/// A key file, read again.
pub(crate) enum KeyFile {
    /// Its text, and its version.
    Read(Zeroizing<Vec<u8>>, Version),
    /// This process may not read it, and has it loaded. `changed`: the file is another one now.
    Kept { changed: bool },
}

/// Reads a key. `loaded` is the version that this process has loaded, if it has.
pub(crate) fn read(path: &Path, loaded: Option<&Version>) -> Result<KeyFile> {
    let read = || -> io::Result<KeyFile> {
        let file = File::open(path)?;
        let version = Version::of(&file.metadata()?);
        let mut text = Zeroizing::new(Vec::new());
        file.take(MAX_KEY_FILE).read_to_end(&mut text)?;
        Ok(KeyFile::Read(text, version))
    };
    match (read(), loaded) {
        (Err(error), Some(loaded)) if error.kind() == ErrorKind::PermissionDenied => {
            // The folder may be closed too; then this process cannot tell.
            let now = std::fs::metadata(path).ok().map(|meta| Version::of(&meta));
            Ok(KeyFile::Kept { changed: now.is_some_and(|now| now != *loaded) })
        }
        (read, _) => read.map_err(|error| unread(path, &error)),
    }
}

/// Why a file cannot be read, and what to do about it. The error has the kind of the original one.
pub(crate) fn unread(path: &Path, error: &io::Error) -> anyhow::Error {
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

/// Could it not be read for want of permission?
pub(crate) fn is_denied(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// What to do so that a user can read a file.
fn let_read(path: &str, user: &str) -> String {
    format!(
        "let {user} read it (`chown {user} {path}`, or a group that {user} is in, which counts from the next start), \
         and the folders above it"
    )
}

/// What a reload could not take, for the caller to report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Nothing is lost.
    pub(crate) notes: Vec<String>,
    /// Something new is not in use.
    pub(crate) problems: Vec<String>,
}

impl Report {
    /// A key stayed as it was loaded.
    pub(crate) fn kept(&mut self, path: &Path, changed: bool) {
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

/// The DKIM keys in use, by file.
#[derive(Default)]
pub(crate) struct KeyRing {
    keys: HashMap<PathBuf, (Arc<SigningKey>, Version)>,
    /// Those of the configuration before.
    before: HashMap<PathBuf, (Arc<SigningKey>, Version)>,
    pub(crate) report: Report,
}

impl KeyRing {
    /// A ring for the next version of the configuration.
    pub(crate) fn again(&self) -> Self {
        Self { before: self.keys.clone(), ..Self::default() }
    }

    /// The key in a file.
    pub(crate) fn get(&mut self, path: &Path) -> Result<Arc<SigningKey>> {
        if let Some((key, _)) = self.keys.get(path) {
            return Ok(Arc::clone(key));
        }
        let before = self.before.get(path);
        let (key, version) = match read(path, before.map(|(_, version)| version))? {
            KeyFile::Read(pem, version) => {
                let bad = |why: &str| anyhow::anyhow!("{}: {why}", path.display());
                let pem = std::str::from_utf8(&pem).map_err(|_| bad("this is not PEM text"))?;
                let key = SigningKey::from_pem(pem).map_err(|error| bad(&error.to_string()))?;
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

    /// The files of all keys.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.keys.keys().map(PathBuf::as_path)
    }
}

/// Warns of files that a reload will not be able to read again.
pub(crate) fn warn_of_unreadable<'a>(files: impl Iterator<Item = &'a Path>) {
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

/// Such as `root 0600`.
pub(crate) fn owner_and_mode(meta: &Metadata) -> String {
    format!("{} {:04o}", privileges::name_of(meta.uid()), meta.permissions().mode() & 0o7777)
}
