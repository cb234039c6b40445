//! Room that is kept back, so that a full disk can be cleared up: removing mail writes to the journal too, and so does
//! opening the store. New mail is refused while there is no such room.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use super::{disk::Disk, files};

/// A file that takes up room until that is needed.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    len: u64,
    disk: Disk,
    /// Locked while the file is made or removed: the two must agree.
    held: Mutex<bool>,
}

impl Reserve {
    /// A reserve of `len` octets in `dir`; of none if that is zero.
    pub(super) fn new(dir: &Path, len: u64, disk: Disk) -> Reserve {
        Reserve { path: dir.join("reserve"), len, disk, held: Mutex::new(false) }
    }

    /// Makes sure that there is room, if that can be done. New mail is taken only while this holds.
    pub(super) fn hold(&self) -> bool {
        let mut held = self.held();
        if *held {
            return true;
        }
        let hold = || {
            let file = File::options().create(true).truncate(false).write(true).open(&self.path)?;
            self.disk.allocate(&file, 0, self.len)
        };
        *held = self.len == 0 || hold().is_ok();
        if !*held {
            // What could be had of it is needed elsewhere.
            self.remove();
        }
        *held
    }

    /// Gives the room free; `false` when there is none to give.
    pub(super) fn release(&self) -> bool {
        let mut held = self.held();
        let has_room = std::mem::take(&mut *held) && self.len > 0;
        if has_room {
            warn!("no room on the disk: new mail is refused until there is");
            self.remove();
        }
        has_room
    }

    fn held(&self) -> MutexGuard<'_, bool> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self) {
        if let Err(e) = files::remove(&self.path) {
            warn!(error = %e, "cannot give reserved room free");
        }
    }
}
