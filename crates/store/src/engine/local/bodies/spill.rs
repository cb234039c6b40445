//! One body on its way to a file.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{oneshot, watch};
use tracing::error;

use super::{
    BLOCK, BodyFiles,
    writing::{self, Job, Target},
};
use crate::{
    engine::BodyId,
    error::{Error, ErrorKind, Result},
    pending::Pending,
};

/// Bytes of a body that go to its file together.
const CHUNK: usize = 64 * 1024;
/// A file is synced after this many bytes, so that little is left to sync at the end.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;

/// Writes a body to its file as it arrives.
pub(in crate::engine::local) struct SpillWriter {
    spilled: Spilled,
    /// Bytes that wait to be written together.
    chunk: Vec<u8>,
    /// The piece before, until it is written.
    under_way: Option<oneshot::Receiver<Result<()>>>,
    /// Checksums of finished blocks.
    sums: Vec<u8>,
    block_crc: u32,
    unsynced: u64,
}

impl SpillWriter {
    pub(super) fn new(spilled: Spilled) -> SpillWriter {
        let (chunk, sums) = (Vec::new(), Vec::new());
        SpillWriter { spilled, chunk, under_way: None, sums, block_crc: 0, unsynced: 0 }
    }

    /// Appends bytes. The answer comes when there may be more.
    pub(in crate::engine::local) fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = BLOCK - (self.spilled.len % BLOCK as u64) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.block_crc = crc32c::crc32c_append(self.block_crc, now);
            self.spilled.len += now.len() as u64;
            if now.len() == room {
                self.close_block();
            }
            rest = later;
        }
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() < CHUNK { Pending::ready(Ok(())) } else { self.send_chunk() }
    }

    /// Hands over the bytes that wait. The answer comes when the piece before them is written: up to two are on their way.
    fn send_chunk(&mut self) -> Pending<Result<()>> {
        let chunk = std::mem::take(&mut self.chunk);
        self.unsynced += chunk.len() as u64;
        let begins = self.unsynced >= SYNC_EVERY;
        if begins {
            self.unsynced = 0;
        }
        let (reply, answer) = oneshot::channel();
        let job = Job::Write(Arc::clone(&self.spilled.target), chunk, begins, reply);
        if self.spilled.home.send(self.spilled.id, job).is_err() {
            return Pending::ready(Err(closed()));
        }
        match self.under_way.replace(answer) {
            None => Pending::ready(Ok(())),
            Some(before) => Pending::new(async { before.await.unwrap_or_else(|_| Err(closed())) }),
        }
    }

    fn close_block(&mut self) {
        self.sums.extend_from_slice(&self.block_crc.to_le_bytes());
        self.block_crc = 0;
    }

    /// The body is complete; it is made durable in the background.
    pub(in crate::engine::local) fn finish(mut self) -> Arc<Spilled> {
        if !self.spilled.len.is_multiple_of(BLOCK as u64) {
            self.close_block();
        }
        self.spilled.crc = crc32c::crc32c(&self.sums);
        self.chunk.extend_from_slice(&self.sums);
        let spilled = Arc::new(self.spilled);
        if spilled.home.send(spilled.id, Job::Finish(Arc::clone(&spilled), self.chunk)).is_err() {
            spilled.fail();
        }
        spilled
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed")
}

/// A body in a file.
#[derive(Debug)]
pub(in crate::engine::local) struct Spilled {
    id: BodyId,
    home: Arc<BodyFiles>,
    pub(super) target: Arc<Target>,
    path: PathBuf,
    pub(in crate::engine::local) len: u64,
    /// CRC-32C of the checksums.
    pub(in crate::engine::local) crc: u32,
    state: watch::Sender<Placed>,
    kept: AtomicBool,
}

/// Whether a body's file is durable under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    NotYet,
    Yes,
    Full,
    Failed,
}

impl Spilled {
    pub(super) fn new(id: BodyId, home: Arc<BodyFiles>, target: Target) -> Spilled {
        Spilled {
            id,
            path: home.path(id),
            home,
            target: Arc::new(target),
            len: 0,
            crc: 0,
            state: watch::Sender::new(Placed::NotYet),
            kept: AtomicBool::new(false),
        }
    }

    /// Makes the body durable and gives the file its name.
    pub(super) fn place(&self) {
        match self.try_place() {
            Ok(()) => drop(self.state.send_replace(Placed::Yes)),
            Err(e) => {
                error!(body = self.id.get(), error = %e, "cannot store a body");
                self.refuse(&e);
            }
        }
    }

    /// Notes that the body cannot be stored, and why.
    pub(super) fn refuse(&self, e: &Error) {
        let is_full = e.kind() == ErrorKind::Full;
        self.state.send_replace(if is_full { Placed::Full } else { Placed::Failed });
    }

    /// Notes that no thread is left to store the body.
    pub(super) fn fail(&self) {
        self.state.send_replace(Placed::Failed);
    }

    fn try_place(&self) -> Result<()> {
        let target = &self.target;
        target.sync().map_err(|e| target.fail(e))?;
        target.check()?;
        // A handle that keeps the body needs the open file no more.
        target.close();
        self.home.disk.rename(&target.path, &self.path).map_err(|e| target.fail(e))?;
        self.home.disk.sync_dir(&self.home.folder)
    }

    /// Whether it is durable.
    pub(in crate::engine::local) fn is_placed(&self) -> bool {
        *self.state.borrow() == Placed::Yes
    }

    /// Waits until it is durable.
    pub(in crate::engine::local) fn placed(&self) -> Pending<Result<()>> {
        let mut state = self.state.subscribe();
        Pending::new(async move {
            let placed = match state.wait_for(|placed| *placed != Placed::NotYet).await {
                Ok(placed) => *placed,
                Err(_) => Placed::Failed,
            };
            match placed {
                Placed::Yes => Ok(()),
                Placed::Full => Err(Error::new(ErrorKind::Full, "no room for the body")),
                Placed::Failed | Placed::NotYet => {
                    Err(Error::new(ErrorKind::Failed, "the body was not stored"))
                }
            }
        })
    }

    /// Lets the file stay: a row names it now.
    pub(in crate::engine::local) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }
}

impl Drop for Spilled {
    /// The last handle is gone: removes the file, unless a row names it.
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            let paths = [self.target.path.clone(), self.path.clone()];
            // By the thread that writes it, behind pieces that are still on their way.
            if let Err(Job::Remove(paths)) = self.home.send(self.id, Job::Remove(paths)) {
                writing::remove(&self.home.disk, &paths);
            }
        }
    }
}
