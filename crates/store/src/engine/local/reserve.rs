//! Disk space held in reserve so that a full disk can be cleared up: removing mail writes to the journal too, and so does
//! opening the store. New mail is refused while the reserve cannot be held.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::warn;

use super::{disk::Disk, maintenance::Requests};

/// This share of the reserve stays when the rest is released. A server that is killed on a full disk needs it to start
/// again; without a start no mail could be removed (our own choice: 1 MiB, of which a start writes a segment's header and
/// seldom more).
const FOR_START: u64 = 16;
/// This share of the reserve has to be free besides it before it is held again (our own choice: 2 MiB, more than maintenance
/// writes at a time). What is free on a full disk is what was just released: holding that again would take the disk for
/// one with room.
const SPARE: u64 = 8;

/// A file that takes up space until the space is needed.
pub(super) struct DiskReserve {
    path: PathBuf,
    len: u64,
    disk: Disk,
    /// Locked while the file changes, so that the two agree.
    held: Mutex<bool>,
    maintenance: Arc<Requests>,
}

impl DiskReserve {
    /// A reserve of `len` bytes in `dir`. One of zero bytes is always held.
    pub(super) fn new(dir: &Path, len: u64, disk: Disk, maintenance: Arc<Requests>) -> DiskReserve {
        DiskReserve { path: dir.join("reserve"), len, disk, held: Mutex::new(false), maintenance }
    }

    /// Holds the reserve if there is room for it, and returns whether it is held. New mail is accepted only then.
    pub(super) fn hold(&self) -> bool {
        let mut held = self.held.lock();
        if !*held {
            *held = self.len == 0 || (self.has_spare_room() && self.allocate(self.len).is_ok());
            if !*held {
                // A part of it would only take space from others.
                self.shrink();
            }
        }
        *held
    }

    /// Releases the reserve but for what a start needs, and wakes maintenance; `false` if there is nothing to release.
    pub(super) fn release(&self) -> bool {
        let mut held = self.held.lock();
        let has_room = std::mem::take(&mut *held) && self.len > 0;
        if has_room {
            warn!("no room on the disk: new mail is refused until there is");
            self.shrink();
            self.maintenance.wake();
        }
        has_room
    }

    /// Releases all of it, for a start that has no room otherwise; `false` if there is nothing to release.
    pub(super) fn release_all(&self) -> bool {
        let mut held = self.held.lock();
        *held = false;
        let len = self.disk.len(&self.path).unwrap_or(0);
        if len > 0 {
            warn!("no room on the disk: new mail is refused until there is");
            self.remove();
            #[cfg(test)]
            self.disk.faults.give_back(len);
        }
        len > 0
    }

    fn has_spare_room(&self) -> bool {
        let has = self.disk.len(&self.path).unwrap_or(0);
        let wants = self.len.saturating_sub(has) + self.len / SPARE;
        // If the file system does not tell, the attempt to allocate will.
        self.path.parent().and_then(|dir| self.disk.available(dir)).is_none_or(|available| available >= wants)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.open_or_create(&self.path)?.allocate(0, len)
    }

    /// Keeps what a start needs, or nothing if there is no room for that.
    fn shrink(&self) {
        let len = self.len / FOR_START;
        let shrink = || self.disk.open_for_writing(&self.path)?.set_len(len);
        if shrink().and_then(|()| self.allocate(len)).is_err() {
            self.remove();
        }
    }

    fn remove(&self) {
        if let Err(e) = self.disk.remove(&self.path) {
            warn!(error = %e, "cannot release the reserve");
        }
    }
}
