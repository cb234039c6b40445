//! Simulated disk failures, for tests.

use std::{
    cell::RefCell,
    fs,
    io::{self, IoSlice, Write},
};

use parking_lot::{Condvar, Mutex};

/// The failures that a test simulates on one disk.
#[derive(Debug, Default)]
pub(in crate::engine::local) struct Faults {
    state: Mutex<State>,
    thawed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that can still be written, if limited.
    room: Option<u64>,
    sync_fails: bool,
    is_frozen: bool,
}

impl Faults {
    /// Limits how many bytes can still be written.
    pub(in crate::engine::local) fn limit_room(&self, room: Option<u64>) {
        self.state.lock().room = room;
    }

    /// Returns how many bytes can still be written, if that is limited.
    pub(in crate::engine::local) fn room(&self) -> Option<u64> {
        self.state.lock().room
    }

    /// Frees a part of a limited room again.
    pub(in crate::engine::local) fn give_back(&self, len: u64) {
        if let Some(room) = &mut self.state.lock().room {
            *room += len;
        }
    }

    /// Lets syncs of data fail, or succeed again.
    pub(in crate::engine::local) fn let_syncs_fail(&self, sync_fails: bool) {
        self.state.lock().sync_fails = sync_fails;
    }

    /// Keeps writes from returning, or lets them go on.
    pub(in crate::engine::local) fn freeze(&self, is_frozen: bool) {
        self.state.lock().is_frozen = is_frozen;
        self.thawed.notify_all();
    }

    /// Waits while the disk is frozen. With limited room, writes what fits and then fails.
    pub(super) fn before_write(&self, mut file: &fs::File, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut state = self.state.lock();
        self.thawed.wait_while(&mut state, |state| state.is_frozen);
        let Some(left) = &mut state.room else { return Ok(()) };
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        if wanted as u64 > *left {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            // The caller takes this back, so the room stays what it is.
            file.write_all(&all[..*left as usize])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        *left -= wanted as u64;
        Ok(())
    }

    /// Fails where making a file `end` bytes long takes more room than there is.
    pub(super) fn before_allocate(&self, file: &fs::File, end: u64) -> io::Result<()> {
        let lacking = end.saturating_sub(file.metadata()?.len());
        if self.room().is_some_and(|room| room < lacking) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn before_sync(&self) -> io::Result<()> {
        if self.state.lock().sync_fails {
            return Err(io::Error::other("a test made the sync fail"));
        }
        Ok(())
    }
}

thread_local! {
    /// Runs at this thread's next read, as if that read had to wait for the disk. While it is set, no read finds its bytes
    /// in memory.
    static MISS: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// Lets this thread's next read find nothing in memory, and call `wait` as it waits for the disk.
pub(in crate::engine::local) fn simulate_miss(wait: impl FnOnce() + 'static) {
    MISS.set(Some(Box::new(wait)));
}

pub(super) fn misses() -> bool {
    MISS.with_borrow(Option::is_some)
}

pub(super) fn simulated_miss() {
    if let Some(wait) = MISS.take() {
        wait();
    }
}
