//! The threads that write the files of arriving bodies, and the one that syncs them.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::error;

use super::{
    super::{
        disk::{Disk, File},
        reserve::DiskReserve,
    },
    spill::Spilled,
};
use crate::error::{Error, Result, is_full};

/// How many files of arriving bodies stay open between their pieces. Beyond that each is synced and closed after a piece, so
/// that many slow senders of large messages leave descriptors to the rest of the server (our own limit).
const MAX_OPEN: usize = 32;

/// Work for a thread that writes.
#[derive(Debug)]
pub(super) enum Job {
    /// Append a piece, and answer; if the flag is set, have the file synced in the background.
    Write(Arc<Target>, Vec<u8>, bool, oneshot::Sender<Result<()>>),
    /// Append the end of a complete body, make it durable and give it its name.
    Finish(Arc<Spilled>, Vec<u8>),
    /// Remove the files of a body that no batch has stored.
    Remove([PathBuf; 2]),
}

/// Work for the thread that syncs.
#[derive(Debug)]
pub(super) enum Sync {
    /// Sync what the file has so far.
    Begin(Arc<Target>),
    /// Make it durable and give it its name.
    Place(Arc<Spilled>),
}

/// The state of a thread that writes bodies.
pub(super) struct Writer {
    pub(super) disk: Disk,
    pub(super) reserve: Arc<DiskReserve>,
    /// How many files of arriving bodies are open.
    pub(super) open: Arc<AtomicUsize>,
    pub(super) syncs: mpsc::Sender<Sync>,
}

impl Writer {
    pub(super) fn run(&self, job: Job) {
        match job {
            Job::Write(target, bytes, begins, reply) => {
                let written = self.write(&target, &bytes);
                if begins && written.is_ok() {
                    // If that thread has ended, placing the body will fail.
                    let _ = self.syncs.send(Sync::Begin(target));
                }
                // The message may have been refused meanwhile.
                let _ = reply.send(written);
            }
            // No other handle is left: the message was refused meanwhile.
            Job::Finish(spilled, _) if Arc::strong_count(&spilled) == 1 => {}
            Job::Finish(spilled, bytes) => match self.write(&spilled.target, &bytes) {
                Ok(()) => {
                    if let Err(mpsc::SendError(Sync::Place(spilled))) = self.syncs.send(Sync::Place(spilled))
                    {
                        spilled.fail();
                    }
                }
                Err(e) => spilled.refuse(&e),
            },
            Job::Remove(paths) => remove(&self.disk, &paths),
        }
    }

    /// Appends to a file, which is made with its first bytes. After a failure nothing more is written.
    fn write(&self, target: &Target, bytes: &[u8]) -> Result<()> {
        target.check()?;
        let write = || {
            let opened = match target.opened() {
                Some(opened) => opened,
                None => self.open(target)?,
            };
            opened.file.write_all(bytes)?;
            if self.open.load(Ordering::Relaxed) > MAX_OPEN {
                // Synced first: if the disk fails later, only a descriptor that is open then learns of it.
                opened.file.sync_data()?;
                target.close();
            }
            Ok(())
        };
        write().map_err(|e| {
            if is_full(&e) {
                // Small mail and the removal of mail go on with it, and maintenance looks for room.
                self.reserve.release();
            }
            target.fail(e)
        })
    }

    fn open(&self, target: &Target) -> io::Result<Arc<Opened>> {
        let is_begun = target.state.lock().is_begun;
        let file = if is_begun {
            self.disk.open_for_appending(&target.path)?
        } else if self.reserve.hold() {
            self.disk.create_new(&target.path)?
        } else {
            // There is no room for new mail.
            return Err(io::ErrorKind::StorageFull.into());
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        let opened = Arc::new(Opened { file, open: Arc::clone(&self.open) });
        *target.state.lock() = TargetState { is_begun: true, file: Some(Arc::clone(&opened)) };
        Ok(opened)
    }
}

/// Does one job of the thread that syncs.
pub(super) fn sync(job: Sync) {
    match job {
        Sync::Begin(target) => {
            if let Err(e) = target.sync() {
                error!(error = %e, "cannot sync a body");
                target.fail(e);
            }
        }
        Sync::Place(spilled) if Arc::strong_count(&spilled) == 1 => {}
        Sync::Place(spilled) => spilled.place(),
    }
}

pub(super) fn remove(disk: &Disk, paths: &[PathBuf]) {
    for path in paths {
        if let Err(e) = disk.remove(path) {
            error!(error = %e, "cannot remove a body that no batch has stored");
        }
    }
}

/// The file of a body while it arrives.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: PathBuf,
    state: Mutex<TargetState>,
    /// The first failure. A sync that succeeds after it would not mean anything.
    failure: OnceLock<io::ErrorKind>,
}

#[derive(Debug, Default)]
struct TargetState {
    /// Whether the file was created, with the first bytes.
    is_begun: bool,
    /// The file while it is open; one that is closed is synced.
    file: Option<Arc<Opened>>,
}

impl Target {
    pub(super) fn new(path: PathBuf) -> Target {
        Target { path, state: Mutex::default(), failure: OnceLock::new() }
    }

    /// Closes the file.
    pub(super) fn close(&self) {
        self.state.lock().file = None;
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some(kind) => Err(self.error((*kind).into())),
            None => Ok(()),
        }
    }

    pub(super) fn fail(&self, e: io::Error) -> Error {
        let kind = if is_full(&e) { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        self.failure.get_or_init(|| kind);
        self.error(e)
    }

    fn error(&self, e: io::Error) -> Error {
        Error::io(self.path.display().to_string(), e)
    }

    fn opened(&self) -> Option<Arc<Opened>> {
        self.state.lock().file.clone()
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.opened().map_or(Ok(()), |opened| opened.file.sync_data())
    }
}

/// An open file that is counted.
#[derive(Debug)]
struct Opened {
    file: File,
    open: Arc<AtomicUsize>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
