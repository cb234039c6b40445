//! Writing to the journal: the one place where a full or failing disk is met, and where tests can make one.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
    sys::statvfs::statvfs,
};
use tracing::warn;

/// The disk as the journal sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<Faults>,
}

/// What a test wants to go wrong.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Octets that can still be written, if limited.
    pub(super) room: std::sync::Mutex<Option<u64>>,
    /// Syncs fail while it is set.
    pub(super) sync_fails: std::sync::atomic::AtomicBool,
    /// Writes do not return while it is set.
    pub(super) is_frozen: std::sync::Mutex<bool>,
    pub(super) thawed: std::sync::Condvar,
}

impl Disk {
    /// Sets aside room, so that later writes neither fail for want of it nor change the file's size. Where the file
    /// system cannot do that, nothing happens: the writes will tell.
    pub(super) fn allocate(&self, file: &File, from: u64, len: u64) -> io::Result<()> {
        #[cfg(test)]
        {
            // What the file has already needs no room.
            let lacks = (from + len).saturating_sub(file.metadata()?.len());
            if self.faults.room.lock().is_ok_and(|room| room.is_some_and(|room| room < lacks)) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let [from, len] = [from, len].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        loop {
            match fallocate(file, FallocateFlags::empty(), from, len) {
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
                // A signal for the process came; it says nothing about the disk.
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Bytes that can still be written on the file system of `dir`; `None` if it does not tell.
    pub(super) fn available(&self, dir: &Path) -> Option<u64> {
        #[cfg(test)]
        if let Some(room) = *self.faults.room.lock().unwrap() {
            return Some(room);
        }
        let disk = statvfs(dir).ok().filter(|disk| disk.blocks() > 0)?;
        Some(disk.blocks_available() * disk.fragment_size())
    }

    /// Fills a part of a file with zeros. Failing is harmless: what is written there later will tell.
    pub(super) fn zero(&self, file: &File, from: u64, to: u64) {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        let mut at = from;
        while at < to {
            let len = (to - at).min(ZEROS.len() as u64);
            let zeros = ZEROS.get(..len as usize).unwrap_or(&ZEROS);
            if let Err(e) = file.write_all_at(zeros, at) {
                return warn!(error = %e, "cannot write zeros ahead");
            }
            at += len;
        }
    }

    /// Gives the blocks of a part of a file back; it reads as zeros then. Where the file system cannot do that, nothing
    /// happens.
    pub(super) fn punch(&self, file: &File, from: u64, len: u64) -> io::Result<()> {
        let [offset, size] = [from, len].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(file, hole, offset, size) {
            Ok(()) => {}
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        #[cfg(test)]
        self.give_back(len);
        Ok(())
    }

    /// Plays that a part of a disk with limited room is free again.
    #[cfg(test)]
    pub(super) fn give_back(&self, len: u64) {
        if let Some(room) = self.faults.room.lock().unwrap().as_mut() {
            *room += len;
        }
    }

    /// Writes all octets at the file's cursor.
    pub(super) fn write(&self, mut file: &File, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        // Linux takes this many at once (UIO_MAXIOV).
        const AT_ONCE: usize = 1024;
        let mut slices = slices;
        while !slices.is_empty() {
            #[cfg(test)]
            {
                let frozen = self.faults.is_frozen.lock().unwrap();
                drop(self.faults.thawed.wait_while(frozen, |frozen| *frozen).unwrap());
                self.take_room(slices, &mut file)?;
            }
            let many = slices.len().min(AT_ONCE);
            let n = match file.write_vectored(slices.get(..many).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            IoSlice::advance_slices(&mut slices, n);
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.sync_fails.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("a test made the sync fail"));
        }
        file.sync_data()
    }

    /// Plays a disk with limited room: writes what fits, then fails.
    #[cfg(test)]
    fn take_room(&self, slices: &[IoSlice<'_>], file: &mut &File) -> io::Result<()> {
        let mut room = self.faults.room.lock().unwrap();
        let Some(left) = room.as_mut() else { return Ok(()) };
        let want: usize = slices.iter().map(|s| s.len()).sum();
        if want as u64 > *left {
            let all: Vec<u8> = slices.iter().flat_map(|s| s.iter().copied()).collect();
            // The caller takes this back, so the room stays what it is.
            file.write_all(&all[..*left as usize])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        *left -= want as u64;
        Ok(())
    }
}
