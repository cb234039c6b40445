//! Reads, writes, syncs, allocates and locks an open file.

use std::{
    fs,
    io::{self, IoSlice, IoSliceMut, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};
use rustix::io::{Errno as ReadErrno, ReadWriteFlags, preadv2};
use tracing::warn;

use crate::pending::off_runtime;

/// An open file.
#[derive(Debug)]
pub(in crate::engine::local) struct File {
    pub(super) inner: fs::File,
    #[cfg(test)]
    pub(super) disk: super::Disk,
}

/// Reading.
impl File {
    /// Returns its size in bytes.
    pub(in crate::engine::local) fn len(&self) -> io::Result<u64> {
        Ok(self.inner.metadata()?.len())
    }

    /// Reads exactly `len` bytes at `offset`. The length may come from the disk, so this allocates no more than the file
    /// can fill.
    ///
    /// Where the bytes are not in memory, other tasks of the calling worker go on elsewhere while this waits for the disk.
    pub(in crate::engine::local) fn read_at(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        /// Up to this size it is cheaper to read than to ask for the file's size first.
        const TRUSTED: u64 = 1024 * 1024;
        if len > TRUSTED
            && offset.checked_add(len).is_none_or(|end| self.len().is_ok_and(|file_len| file_len < end))
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        let done = self.read_cached(&mut bytes, offset)?;
        match bytes.get_mut(done..) {
            Some(rest) if !rest.is_empty() => off_runtime(|| {
                #[cfg(test)]
                super::faults::simulated_miss();
                self.read_exact_at(rest, offset + done as u64)
            })?,
            _ => {}
        }
        Ok(bytes)
    }

    /// Reads what the kernel has in memory, without waiting for the disk; returns how much that is. On a file system that
    /// cannot tell, this reads everything.
    fn read_cached(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        #[cfg(test)]
        if super::faults::misses() {
            return Ok(0);
        }
        match preadv2(&self.inner, &mut [IoSliceMut::new(bytes)], offset, ReadWriteFlags::NOWAIT) {
            Ok(n) => Ok(n),
            Err(ReadErrno::AGAIN | ReadErrno::INTR) => Ok(0),
            Err(_) => self.read_exact_at(bytes, offset).map(|()| bytes.len()),
        }
    }

    /// Fills `buffer` from `offset` on.
    pub(in crate::engine::local) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }

    /// Reads from `offset` until `buffer` is full or the file ends; returns how many bytes that are.
    pub(in crate::engine::local) fn read_some(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.inner.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }
}

/// Writing.
impl File {
    /// Writes all bytes at the file's cursor.
    pub(in crate::engine::local) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.write_slices(&mut [IoSlice::new(bytes)])
    }

    /// Writes all bytes of several slices at the file's cursor.
    pub(in crate::engine::local) fn write_slices(&self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Linux takes this many at once (UIO_MAXIOV).
        const AT_ONCE: usize = 1024;
        while !slices.is_empty() {
            #[cfg(test)]
            self.disk.faults.before_write(&self.inner, slices)?;
            let many = slices.len().min(AT_ONCE);
            let n = match (&self.inner).write_vectored(slices.get(..many).unwrap_or_default()) {
                Ok(0) if slices.iter().any(|slice| !slice.is_empty()) => {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            IoSlice::advance_slices(&mut slices, n);
        }
        Ok(())
    }

    /// Moves the cursor.
    pub(in crate::engine::local) fn seek(&self, offset: u64) -> io::Result<()> {
        (&self.inner).seek(SeekFrom::Start(offset)).map(drop)
    }

    /// Cuts the file, or makes it longer with zeros.
    pub(in crate::engine::local) fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    /// Makes the content durable.
    pub(in crate::engine::local) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        self.disk.faults.before_sync()?;
        self.inner.sync_data()
    }

    /// Makes the content and what the file system knows about the file durable.
    pub(in crate::engine::local) fn sync_all(&self) -> io::Result<()> {
        self.inner.sync_all()
    }
}

/// Room.
impl File {
    /// Reserves room, so that later writes neither fail for want of it nor change the file's size. Does nothing on a file
    /// system that cannot reserve: the writes themselves fail if there is no room.
    pub(in crate::engine::local) fn allocate(&self, from: u64, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.disk.faults.before_allocate(&self.inner, from + len)?;
        let [from, len] = [from, len].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        loop {
            match fallocate(&self.inner, FallocateFlags::empty(), from, len) {
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
                // A signal interrupted the call; the disk is not at fault, so try again.
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Fills a part of the file with zeros. A failure is harmless: later writes to the same place will fail too.
    pub(in crate::engine::local) fn zero(&self, from: u64, to: u64) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut at = from;
        while at < to {
            let len = (to - at).min(ZEROS.len() as u64);
            let zeros = ZEROS.get(..len as usize).unwrap_or(&ZEROS);
            if let Err(e) = self.inner.write_all_at(zeros, at) {
                return warn!(error = %e, "cannot write zeros ahead");
            }
            at += len;
        }
    }

    /// Gives the blocks of a part of the file back to the file system; that part reads as zeros then. Does nothing on a file
    /// system that cannot do that.
    pub(in crate::engine::local) fn punch(&self, from: u64, len: u64) -> io::Result<()> {
        let [offset, size] = [from, len].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.inner, hole, offset, size) {
            Ok(()) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        #[cfg(test)]
        self.disk.faults.give_back(len);
        Ok(())
    }
}

/// Locks between processes; they last until the file is closed.
impl File {
    /// Locks the file for this process alone; returns `false` if another process has locked it.
    pub(in crate::engine::local) fn try_lock(&self) -> io::Result<bool> {
        is_locked(self.inner.try_lock())
    }

    /// Locks the file together with other readers; returns `false` if a process has locked it for itself alone.
    pub(in crate::engine::local) fn try_lock_shared(&self) -> io::Result<bool> {
        is_locked(self.inner.try_lock_shared())
    }
}

fn is_locked(result: Result<(), fs::TryLockError>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(e)) => Err(e),
    }
}
