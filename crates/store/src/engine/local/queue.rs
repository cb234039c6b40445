//! What waits for the writer thread.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    journal::{Position, frame},
    sink::inline_len,
};
use crate::engine::{Batch, BodyId, CommitError};

/// A batch with its bodies may have this many bytes (our own limit; large bodies are files and do not count).
const MAX_FRAME: u64 = 32 * 1024 * 1024;

/// How the writer thread answers.
pub(super) type Reply = oneshot::Sender<Result<(), CommitError>>;

/// One thing for the writer thread to do.
pub(super) enum Work {
    /// Commit a batch.
    Commit(Commit, Reply),
    /// Relocate bodies: write them again, further on, so that the segments they stand in can be removed.
    Relocate(Vec<RelocatedBody>, Reply),
    /// Begin a new segment.
    Rotate(Reply),
}

/// A batch within the limits, each of its bodies once.
pub(super) struct Commit {
    pub(super) batch: Batch,
    /// Bytes that it takes in the journal at most.
    size: u64,
}

impl Commit {
    /// Checks a batch against the limits, before anything is done for it. A message to many recipients names its body once
    /// for each of them.
    pub(super) fn new(mut batch: Batch) -> Result<Commit, CommitError> {
        batch.prepare()?;
        let mut seen = HashSet::with_capacity(batch.bodies.len());
        batch.bodies.retain(|body| seen.insert(body.id()));
        let new = batch.bodies.iter().filter(|body| !body.is_stored());
        let size = frame_size(batch.ops.as_bytes().len(), new.map(inline_len));
        if size > MAX_FRAME { Err(CommitError::TooLarge) } else { Ok(Commit { batch, size }) }
    }
}

/// Bytes of a frame at most: header and filling, `ops` bytes of operations, and bodies of these sizes with their entries.
fn frame_size(ops: usize, bodies: impl Iterator<Item = u64>) -> u64 {
    const HEADER: u64 = (frame::HEADER as u64) + frame::ALIGN;
    bodies.fold(HEADER + ops as u64, |size, body| size + body + frame::MAX_ENTRY)
}

/// A body that is being relocated.
pub(super) struct RelocatedBody {
    pub(super) id: BodyId,
    /// Where it was found; if it is elsewhere by now, it stays there.
    pub(super) from: Position,
    pub(super) crc: u32,
    pub(super) bytes: Bytes,
}

impl Work {
    /// Whether it brings new mail.
    pub(super) fn brings_mail(&self) -> bool {
        matches!(self, Work::Commit(commit, _) if !commit.batch.bodies.is_empty())
    }

    /// Bytes that it takes in the journal at most.
    pub(super) fn size(&self) -> u64 {
        match self {
            Work::Commit(commit, _) => commit.size,
            Work::Relocate(bodies, _) => frame_size(0, bodies.iter().map(|body| body.bytes.len() as u64)),
            Work::Rotate(_) => 0,
        }
    }
}

/// The queue. What was put in first comes out first.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something was put in, or the queue was closed.
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Work>,
    closed: bool,
    /// Whether the writer sleeps: only then is it worth waking.
    idle: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts work in; gives it back when the queue is closed.
    pub(super) fn push(&self, work: Work) -> Result<(), Work> {
        let mut state = self.lock();
        if state.closed {
            return Err(work);
        }
        state.waiting.push(work);
        if std::mem::take(&mut state.idle) {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for work and takes all of it; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Work>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state.idle = true;
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        Some(std::mem::take(&mut state.waiting))
    }

    /// Nobody will do what waits: whoever asked for it learns that its fate is not known.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }

    /// Nothing more comes in; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }
}

/// A bell: wakes threads that wait for any of several reasons.
#[derive(Default)]
pub(super) struct Bell {
    /// How often it was rung.
    rung: Mutex<u64>,
    changed: Condvar,
}

/// How much of a bell one who waits for it has heard. Everybody hears every ring.
#[derive(Default)]
pub(super) struct Heard(u64);

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until it is rung, at most so long. What was rung since the last time is enough.
    pub(super) fn wait(&self, heard: &mut Heard, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.changed.wait_timeout_while(rung, at_most, |rung| *rung == heard.0);
        heard.0 = *result.unwrap_or_else(PoisonError::into_inner).0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_heard_by_all_who_wait() {
        let bell = Bell::default();
        let [mut first, mut second] = [Heard::default(), Heard::default()];
        bell.ring();
        // Neither of them waits for so long.
        let ages = Duration::from_secs(1_000_000);
        bell.wait(&mut first, ages);
        bell.wait(&mut second, ages);
        bell.wait(&mut first, Duration::ZERO);
        bell.ring();
        bell.wait(&mut second, ages);
        assert_eq!((first.0, second.0), (1, 2));
    }
}
