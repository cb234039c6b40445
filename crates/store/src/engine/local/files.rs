//! The few things the engine does with files, each with an error that names the file.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, IoSliceMut, Read},
    os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tracing::warn;

use crate::{
    error::{Error, Result},
    pending::off_runtime,
};

fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    move |e| Error::io(path.display().to_string(), e)
}

/// Makes a folder that only its owner can look into, and those above it, if they are not there; their names are durable when
/// this returns.
pub(super) fn create_dir(path: &Path) -> Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    if let Some(above) = above
        && !above.exists()
    {
        create_dir(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
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

/// Exactly `len` bytes at `offset`. The length may come from the disk: no more memory is taken than the file can fill.
pub(super) fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    /// Up to this size reading tells soon enough that the file is shorter.
    const TRUSTED: u64 = 1024 * 1024;
    if len > TRUSTED && offset.checked_add(len).is_none_or(|end| file.metadata().is_ok_and(|m| m.len() < end))
    {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
    let done = read_cached(file, &mut bytes, offset)?;
    match bytes.get_mut(done..) {
        Some(rest) if !rest.is_empty() => off_runtime(|| {
            #[cfg(test)]
            simulated_miss();
            file.read_exact_at(rest, offset + done as u64)
        })?,
        _ => {}
    }
    Ok(bytes)
}

/// Reads what is in memory already, without waiting for the disk; gives how much that is. Where the file system cannot tell,
/// this reads all of it.
fn read_cached(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(test)]
    if misses() {
        return Ok(0);
    }
    match preadv2(file, &mut [IoSliceMut::new(bytes)], offset, ReadWriteFlags::NOWAIT) {
        Ok(n) => Ok(n),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(_) => file.read_exact_at(bytes, offset).map(|()| bytes.len()),
    }
}

#[cfg(test)]
thread_local! {
    /// What the next read of this thread does that misses memory; while there is something, it does.
    static MISS: std::cell::RefCell<Option<Box<dyn FnOnce()>>> = const { std::cell::RefCell::new(None) };
}

/// The next read of this thread finds nothing in memory, and `wait`s for the disk.
#[cfg(test)]
pub(super) fn simulate_miss(wait: impl FnOnce() + 'static) {
    MISS.set(Some(Box::new(wait)));
}

#[cfg(test)]
fn misses() -> bool {
    MISS.with_borrow(Option::is_some)
}

#[cfg(test)]
fn simulated_miss() {
    if let Some(wait) = MISS.take() {
        wait();
    }
}

/// Takes a folder from other users, should they have any right to it.
pub(super) fn make_private(path: &Path) -> Result<()> {
    const OTHERS: u32 = 0o007;
    const OWNER: u32 = 0o700;
    let mode = fs::metadata(path).map_err(io(path))?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let shown = path.display();
    fs::set_permissions(path, fs::Permissions::from_mode(mode & OWNER)).map_err(|e| {
        let text = format!("{shown} is open to all users (mode {mode:04o}) and must not be: chmod 700 it");
        Error::io(text, e)
    })?;
    warn!("{shown} was open to all users (mode {mode:04o}): it is its owner's alone now");
    Ok(())
}

/// Random octets that no sender of mail can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).map_err(io(path))?;
    Ok(bytes)
}
