//! The work that callers queue for the writer thread.

use std::sync::{Arc, mpsc};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    journal::{Position, frame},
    maintenance::Requests,
    sink::inline_len,
};
use crate::engine::{Batch, BodyId, CommitError};

/// A batch with its bodies may have this many bytes (our own limit; large bodies are files and do not count).
const MAX_FRAME: u64 = 32 * 1024 * 1024;

/// One thing for the writer thread to do. All but commits come from the maintenance thread.
pub(super) enum Work {
    /// Commit a batch.
    Commit(Commit, oneshot::Sender<Result<(), CommitError>>),
    /// Relocate bodies: write them again, further on, so that the segments they stand in can be removed.
    Relocate(Vec<RelocatedBody>, Answer),
    /// Begin a new segment.
    Rotate(Answer),
    /// Decide and write nothing until the other end of the channel is dropped.
    Pause(Answer, mpsc::Receiver<()>),
}

/// Where the result of a piece of work goes.
pub(super) enum Reply {
    Caller(oneshot::Sender<Result<(), CommitError>>),
    Maintenance(Answer),
}

impl Reply {
    pub(super) fn send(self, result: Result<(), CommitError>) {
        match self {
            // The caller may have stopped waiting; the commit stands all the same.
            Reply::Caller(sender) => drop(sender.send(result)),
            Reply::Maintenance(answer) => answer.send(result),
        }
    }
}

/// The answer to the maintenance thread, which waits for nothing else meanwhile: if this is dropped, it learns that the
/// result is not known.
pub(super) struct Answer {
    question: u64,
    result: Result<(), CommitError>,
    to: Arc<Requests>,
}

impl Answer {
    /// The answer to question number `question`.
    pub(super) fn new(question: u64, to: Arc<Requests>) -> Answer {
        Answer { question, result: Err(CommitError::Unknown), to }
    }

    pub(super) fn send(mut self, result: Result<(), CommitError>) {
        self.result = result;
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.to.answer(self.question, self.result);
    }
}

/// The error of a commit that the journal cannot take: no space, or a failed write.
pub(super) fn refusal(is_full: bool) -> CommitError {
    if is_full { CommitError::Full } else { CommitError::Failed }
}

/// A batch within the limits, with each body that it leaves a link to once.
pub(super) struct Commit {
    pub(super) batch: Batch,
    /// Bytes that it takes in the journal at most.
    size: u64,
}

impl Commit {
    /// Checks a batch against the limits, before anything is done for it. A message to many recipients names its body once
    /// for each of them. One that the batch removes again is not stored: no row would say that its file can be removed.
    pub(super) fn new(mut batch: Batch) -> Result<Commit, CommitError> {
        batch.prepare()?;
        let mut links = batch.ops.iter().links();
        batch.bodies.retain(|body| links.remove(&body.id()).is_some_and(|change| change > 0));
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

    /// Returns where the result goes.
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Work::Commit(_, sender) => Reply::Caller(sender),
            Work::Relocate(_, answer) | Work::Rotate(answer) | Work::Pause(answer, _) => {
                Reply::Maintenance(answer)
            }
        }
    }

    /// Bytes that it takes in the journal at most.
    pub(super) fn size(&self) -> u64 {
        match self {
            Work::Commit(commit, _) => commit.size,
            Work::Relocate(bodies, _) => frame_size(0, bodies.iter().map(|body| body.bytes.len() as u64)),
            Work::Rotate(_) | Work::Pause(..) => 0,
        }
    }
}
