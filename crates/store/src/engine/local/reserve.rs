//! Room that is kept back, so that a full disk can be cleared up: removing mail writes to the journal too, and so does
//! opening the store. New mail is refused while there is no such room.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::warn;

use super::{disk::Disk, maintenance::Requests};

/// This share stays when the rest is given free. A server that is killed on a full disk needs it to start again, or nothing
/// could be removed (our own choice: 1 MiB, of which a start writes a segment's header and seldom more).
const FOR_START: u64 = 16;
/// There has to be this share of the reserve besides it before it is set aside (our own choice: 2 MiB, more than tidying writes at a
/// time). What a full disk has is what was just given free: to set that aside again would be to call the disk roomy.
const SPARE: u64 = 8;

/// A file that takes up room until that is needed.
pub(super) struct Reserve {
    path: PathBuf,
    len: u64,
    disk: Disk,
    /// Locked while the file is made or removed: the two must agree.
    held: Mutex<bool>,
    maintenance: Arc<Requests>,
}

impl Reserve {
    /// A reserve of `len` bytes in `dir`; of none if that is zero.
    pub(super) fn new(dir: &Path, len: u64, disk: Disk, maintenance: Arc<Requests>) -> Reserve {
        Reserve { path: dir.join("reserve"), len, disk, held: Mutex::new(false), maintenance }
    }

    /// Makes sure that there is room, if that can be done. New mail is taken only while this holds.
    pub(super) fn hold(&self) -> bool {
        let mut held = self.held.lock();
        if !*held {
            *held = self.len == 0 || (self.has_spare_room() && self.allocate(self.len).is_ok());
            if !*held {
                // What could be had of it is needed elsewhere.
                self.shrink();
            }
        }
        *held
    }

    /// Gives the room free, but for what a start needs; `false` when there is none to give.
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

    /// Gives all of it free, for a start that has no room otherwise; `false` when there is none to give.
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
        // Where the file system does not tell, setting it aside does.
        self.path.parent().and_then(|dir| self.disk.available(dir)).is_none_or(|available| available >= wants)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.disk.open_or_create(&self.path)?.allocate(0, len)
    }

    /// Keeps what a start needs, or nothing where not even that can be had.
    fn shrink(&self) {
        let len = self.len / FOR_START;
        let shrink = || self.disk.open_for_writing(&self.path)?.set_len(len);
        if shrink().and_then(|()| self.allocate(len)).is_err() {
            self.remove();
        }
    }

    fn remove(&self) {
        if let Err(e) = self.disk.remove(&self.path) {
            warn!(error = %e, "cannot give reserved room free");
        }
    }
}
