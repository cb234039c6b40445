//! The seam under the store: an ordered key-value engine with conditional atomic batches and message bodies.
//!
//! Other crates can implement [`Engine`]; the crate `moxd-store-conformance` tests whether they keep the rules. The seam is
//! small enough for engines of many kinds, and several machines may share one: a batch can be an SQL transaction, a body
//! an object in an object store. Five rules keep it so:
//!
//! 1. No preconditions on ranges: a row that all writers of a range write guards it.
//! 2. A row that guards others carries a unique stamp ([`Engine::stamp`]), so that equal rows are the same row. The store
//!    plans batches on the rows that earlier batches will leave if they succeed. Without a stamp, another writer could
//!    leave a row with the same bytes, and the engine would accept a batch that is planned on rows that never existed.
//! 3. No callbacks inside a commit.
//! 4. A token makes retries harmless.
//! 5. Two pages of a range need not agree with each other. The caller reads the row that guards a range first, and then
//!    the range: changes in between make the batch conflict.

use bytes::Bytes;

use crate::{
    error::{Error, ErrorKind, Result},
    pending::Pending,
};

mod batch;
mod body;
pub mod local;
mod maintenance;
pub mod memory;
mod reader;

pub use batch::{Batch, ENGINE_TABLE, MAX_BATCH, MAX_KEY, MAX_VALUE, Op, Ops, OpsIter, Precondition};
pub use body::{Body, BodyContent, BodyId, BodySink, BodyWriter, PlacedBody, Stamps};
pub use maintenance::{Copied, Maintenance};
pub use reader::BodyReader;

/// Rows to be read: those of an [`Engine`] as they are now, or those of one moment ([`Engine::snapshot`]).
pub trait ReadRows {
    /// The value of `key`, as of the last acknowledged batch.
    ///
    /// # Errors
    /// `Damaged` when the stored bytes fail their checksum, `Failed` when they cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Up to `limit` rows of `range`, in the order of `direction`. Pages of an engine's own rows need not agree with each
    /// other; those of a snapshot do.
    ///
    /// # Errors
    /// As for [`ReadRows::get`].
    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page>;

    /// The length of a stored body in bytes.
    ///
    /// # Errors
    /// `NoBody` if there is no such body; otherwise the errors of [`ReadRows::get`].
    fn body_len(&self, id: BodyId) -> Result<u64>;
}

/// Where records and bodies are kept.
pub trait Engine: ReadRows + Send + Sync + 'static {
    /// All rows as of one moment, with everything that was acknowledged before; commits go on meanwhile.
    ///
    /// # Errors
    /// As for [`ReadRows::get`]; `Full` when rows have to be written for it and there is no room.
    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>>;

    /// Applies a batch: all of it or nothing, durable when the answer is `Ok`. An engine begins with [`Batch::prepare`].
    ///
    /// The engine decides batches in the order of the calls, also if the caller does not wait in between, and if it
    /// drops the answer.
    fn commit(&self, batch: Batch) -> Pending<std::result::Result<(), CommitError>>;

    /// Bytes of a stored body from `offset` on: at least one unless the body ends there, and up to what is convenient to
    /// check and hold at once (256 KiB, or a whole body that is in one piece).
    ///
    /// # Errors
    /// `NoBody`, `Damaged` when the bytes fail their checksum, `Failed` when they cannot be read.
    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes>;

    /// A number that was never given out before and never will be again: not to another process, not after a crash.
    ///
    /// Bodies and rows that guard others take their numbers from this one sequence, so that an engine has one thing to
    /// keep unique. [`Stamps`] makes them from a count of openings.
    fn stamp(&self) -> u64;

    /// Begins a new body, with the next [`Engine::stamp`] as its number. A body that no batch has stored is gone when its
    /// last handle is dropped.
    ///
    /// By default bodies stay in memory until a batch stores them.
    fn body_writer(&self) -> BodyWriter {
        BodyWriter::in_memory(BodyId::from_u64(self.stamp()))
    }

    /// What operators need, if this engine has it: its own checks, backups and compaction.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }

    /// Finishes what is under way; later commits fail.
    fn close(&self);
}

/// Why a batch was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitError {
    /// Precondition number `i` does not hold; `preconditions.len()` stands for the batch's token.
    Conflict(usize),
    /// The batch may or may not have happened. Committing it again with the same token finds out.
    Unknown,
    /// No space; nothing happened. Later batches may succeed.
    Full,
    /// A key, a value or the whole batch is over its limit: nothing happened, and trying again is of no use.
    TooLarge,
    /// Nothing happened: a body is gone, the engine is closed, or the disk failed (see the log).
    Failed,
}

impl From<CommitError> for Error {
    fn from(e: CommitError) -> Error {
        let (kind, text) = match e {
            CommitError::Conflict(_) => (ErrorKind::Conflict, "another transaction changed the rows"),
            CommitError::Unknown => (ErrorKind::Unknown, "the engine stopped before it answered"),
            CommitError::Full => (ErrorKind::Full, "no space on the disk"),
            CommitError::TooLarge => (ErrorKind::TooLarge, "more than fits into one batch"),
            CommitError::Failed => (ErrorKind::Failed, "the batch was not written"),
        };
        Error::new(kind, text)
    }
}

/// The keys from `start` up to, and without, `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key.
    pub start: Vec<u8>,
    /// The first key behind the range; `None` for no end.
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    /// All keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { start: prefix.to_vec(), end: successor(prefix) }
    }

    /// Whether `key` is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

/// The first key behind all keys that begin with `prefix`; `None` if there is no such key.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The direction in which a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    Forward,
    /// From the greatest key down.
    Backward,
}

/// Some rows of a range.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Keys and values, in the direction of the request.
    pub rows: Vec<(Bytes, Bytes)>,
    /// Whether the range has more rows than the limit let in.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_a_prefix_behind_its_last_key() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff]), None);
        assert!(KeyRange::prefix(b"a").contains(b"a\xff\xff"));
        assert!(!KeyRange::prefix(b"a").contains(b"b"));
        assert!(KeyRange { start: vec![2], end: Some(vec![1]) }.is_empty());
    }
}
