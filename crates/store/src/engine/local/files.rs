//! The few things the engine does with files, each with an error that names the file.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |e| Error::io(path.display().to_string(), e)
}

/// Makes a folder, and those above it, if they are not there; their names are durable when this returns.
pub(super) fn create_dir(path: &Path) -> Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above
        && !above.exists()
    {
        create_dir(above)?;
    }
    match fs::create_dir(path) {
        Ok(()) => sync_dir(above.unwrap_or_else(|| Path::new("."))),
        Err(_) if path.is_dir() => Ok(()),
        Err(e) => Err(io(path)(e)),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io(path))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| Error::reading(path.display().to_string(), e))
}

/// Replaces a file as a whole; durable when it returns.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let write = || {
        fs::write(&new, content)?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(io(path))?;
    sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io(path)(e)),
        _ => Ok(()),
    }
}

/// Removes a folder and all in it; one that is not there is no error.
pub(super) fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io(path)(e)),
        _ => Ok(()),
    }
}

/// The paths in a folder, in no order.
pub(super) fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).map_err(io(path))?;
    entries.map(|entry| entry.map(|e| e.path()).map_err(io(path))).collect()
}

/// Copies at most `len` octets of a file to a new one, and makes them durable.
pub(super) fn copy(from: &Path, to: &Path, len: u64) -> Result<()> {
    let copy = || {
        let mut source = File::open(from)?.take(len);
        let mut target = File::create_new(to)?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()
    };
    copy().map_err(io(to))
}

/// Exactly `len` octets at `offset`.
pub(super) fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    file.read_exact_at(&mut octets, offset)?;
    Ok(octets)
}

/// Random octets that no sender of mail can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(io(path))?;
    Ok(bytes)
}
