//! The disk: the only module of the engine that calls the file system.
//!
//! [`Disk`] finds, creates and removes files and folders by their paths; [`File`] reads and writes an open one. The engine
//! reaches files in no other way, so a model of a disk can stand in for the two. Tests already make the disk full, failing
//! or frozen through it: see [`Faults`].
//!
//! Functions that return the store's [`Result`] name the path in the error. Functions that return [`io::Result`] leave that
//! to the caller, who knows what the failure means: a missing run is damage, a missing `lock` is not.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use nix::sys::statvfs::{Statvfs, statvfs};
use tracing::warn;

use crate::error::{Error, Result};

#[cfg(test)]
mod faults;
mod file;

#[cfg(test)]
pub(super) use faults::{Faults, simulate_miss};
pub(super) use file::File;

/// A handle to the disk, to be cloned freely.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<Faults>,
}

/// An error that names `path`.
fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |e| Error::io(path.display().to_string(), e)
}

/// Opens files.
impl Disk {
    fn file(&self, inner: fs::File) -> File {
        File {
            inner,
            #[cfg(test)]
            disk: self.clone(),
        }
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        fs::File::open(path).map(|file| self.file(file))
    }

    /// Opens an existing file for writing from its beginning.
    pub(super) fn open_for_writing(&self, path: &Path) -> io::Result<File> {
        fs::File::options().write(true).open(path).map(|file| self.file(file))
    }

    /// Opens an existing file for writing behind its end.
    pub(super) fn open_for_appending(&self, path: &Path) -> io::Result<File> {
        fs::File::options().append(true).open(path).map(|file| self.file(file))
    }

    /// Opens a file for writing; creates it if it does not exist, and keeps its content if it does.
    pub(super) fn open_or_create(&self, path: &Path) -> io::Result<File> {
        let file = fs::File::options().create(true).truncate(false).write(true).open(path)?;
        Ok(self.file(file))
    }

    /// Creates an empty file, in place of any that exists.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        fs::File::create(path).map(|file| self.file(file))
    }

    /// Creates a file; fails if it exists.
    pub(super) fn create_new(&self, path: &Path) -> io::Result<File> {
        fs::File::create_new(path).map(|file| self.file(file))
    }
}

/// Whole files, by path.
impl Disk {
    /// Returns whether there is a file or a folder at `path`.
    pub(super) fn exists(&self, path: &Path) -> io::Result<bool> {
        fs::exists(path)
    }

    /// Returns the size of a file in bytes.
    pub(super) fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    /// Reads a small file entirely.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    /// Gives a file another name. The name is durable once its folder is synced.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Replaces a file in one step: a crash leaves either the old content or the new. Durable when this returns.
    pub(super) fn replace(&self, path: &Path, content: &[u8]) -> Result<()> {
        let new = path.with_extension("new");
        let write = || {
            let file = self.create(&new)?;
            file.write_all(content)?;
            file.sync_all()?;
            self.rename(&new, path)
        };
        write().map_err(at(path))?;
        self.sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))
    }

    /// Copies a file. Its content is durable when this returns, its name is not.
    pub(super) fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let copy = || {
            fs::copy(from, to)?;
            self.open(to)?.sync_all()
        };
        copy().map_err(at(to))
    }

    /// Removes a file; a missing one is no error.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path)(e)),
            _ => Ok(()),
        }
    }
}

/// Folders.
impl Disk {
    /// Creates a folder that only its owner can look into, and missing ones above it. Their names are durable when this
    /// returns.
    pub(super) fn create_dir(&self, path: &Path) -> Result<()> {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above
            && !above.exists()
        {
            self.create_dir(above)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => self.sync_dir(above.unwrap_or_else(|| Path::new("."))),
            Err(_) if path.is_dir() => Ok(()),
            Err(e) => Err(at(path)(e)),
        }
    }

    /// Removes a folder and all in it; a missing one is no error.
    pub(super) fn remove_dir(&self, path: &Path) -> Result<()> {
        match fs::remove_dir_all(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path)(e)),
            _ => Ok(()),
        }
    }

    /// Returns the paths in a folder, in no order.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path).map_err(at(path))?;
        entries.map(|entry| entry.map(|e| e.path()).map_err(at(path))).collect()
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_dir(&self, path: &Path) -> Result<()> {
        fs::File::open(path).and_then(|dir| dir.sync_all()).map_err(at(path))
    }

    /// Revokes the access of other users to a folder, if they have any.
    pub(super) fn make_private(&self, path: &Path) -> Result<()> {
        const OTHERS: u32 = 0o007;
        const OWNER: u32 = 0o700;
        let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o7777;
        if mode & OTHERS == 0 {
            return Ok(());
        }
        let shown = path.display();
        fs::set_permissions(path, fs::Permissions::from_mode(mode & OWNER)).map_err(|e| {
            let text =
                format!("{shown} is open to all users (mode {mode:04o}) and must not be: chmod 700 it");
            Error::io(text, e)
        })?;
        warn!("{shown} was open to all users (mode {mode:04o}): it is its owner's alone now");
        Ok(())
    }
}

/// Room.
impl Disk {
    /// Returns how many bytes can still be written to the file system of `dir`; `None` if it does not tell.
    pub(super) fn available(&self, dir: &Path) -> Option<u64> {
        #[cfg(test)]
        if let Some(room) = self.faults.room() {
            return Some(room);
        }
        let disk = usage(dir)?;
        Some(disk.blocks_available() * disk.fragment_size())
    }

    /// Returns the size of the file system of `dir` in bytes; `None` if it does not tell.
    pub(super) fn capacity(&self, dir: &Path) -> Option<u64> {
        let disk = usage(dir)?;
        Some(disk.blocks() * disk.fragment_size())
    }
}

fn usage(dir: &Path) -> Option<Statvfs> {
    statvfs(dir).ok().filter(|disk| disk.blocks() > 0)
}
