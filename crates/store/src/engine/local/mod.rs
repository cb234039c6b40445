//! The engine on the disk of this machine: a journal is the truth, everything else can be rebuilt from it. What is on the
//! disk, and why, is in docs/store-format.md.
//!
//! # Threads, and what each of them owns
//!
//! | thread | owns | hears through |
//! | --- | --- | --- |
//! | `store-writer` | the open end of the journal (`JournalWriter`); decides batches (`writer`) | `Inbox` of `Work` |
//! | `store-files` | all files behind it: runs, snapshots, ended segments, unlinked bodies (`maintenance`) | `Requests` |
//! | `store-bodies` (2) | the files of arriving large bodies (`BodyFiles`) | a channel each |
//! | `store-syncs` | their syncs and names | a channel |
//!
//! Callers commit through `Work`. They read without messages: rows from the `View`, of which a reader takes the state as it
//! is, and bodies from their files, which never change.
//!
//! # Who waits for whom
//!
//! | from | to | message | waits |
//! | --- | --- | --- | --- |
//! | caller | writer | commit | until the batch is durable, or refused |
//! | maintenance | writer | relocate, rotate, pause | until it is done; serves requests to flush meanwhile |
//! | writer | maintenance | flush | only while memory is full of rows |
//! | writer | maintenance | remove files, wake | no |
//! | caller | maintenance | flush, flush all, rebuild view, compact, pin | until it is done |
//! | caller | maintenance | unpin, wake | no |
//! | receiver of a body | bodies | write | until the piece before is written |
//! | bodies | syncs | begin, place | no |
//!
//! The writer waits for maintenance in one case alone, and maintenance serves that case whenever it waits itself: so the two
//! never wait for each other. A message to a thread that has ended gets an error, even if the thread panicked.
//!
//! Without messages, the threads share only the view's state, the end of what is acknowledged, whether the reserve is
//! held, and two notes that keep a failure from being reported by every reader or commit that meets it (`Shared`).
//!
//! All files are reached through `disk`, and all threads are started in `threads`.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::error;

use self::{
    bodies::BodyFiles,
    bodyrow::BodyRow,
    disk::{Disk, File},
    inbox::Inbox,
    journal::{Position, Segment},
    maintenance::Requests,
    metrics::Metrics,
    reserve::DiskReserve,
    sink::LocalSink,
    snapshot::Snapshot,
    threads::Thread,
    view::View,
    work::{Commit, Work},
};
use super::{
    Batch, BodyId, BodyWriter, CommitError, Copied, Direction, Engine, KeyRange, Maintenance, Page, ReadRows,
    Stamps,
};
use crate::{
    check::Finding,
    error::{Error, ErrorKind, Result},
    pending::{Pending, off_runtime},
};

mod apply;
mod backup;
mod bodies;
mod bodyrow;
mod disk;
pub(crate) mod fuzzing;
mod inbox;
mod journal;
mod maintenance;
mod metrics;
mod open;
mod readonly;
mod rebuild;
mod reserve;
mod sink;
mod snapshot;
mod threads;
mod verify;
mod view;
mod work;
mod writer;

pub use metrics::GROUP_BATCHES;

/// How a data directory is opened.
pub struct Options {
    /// Called with how far the start has come in reading the journal.
    pub progress: Option<Box<dyn Fn(Progress)>>,
    /// Bytes of a segment of the journal, about; less on a small disk. Space is reclaimed in units of this size.
    pub segment_size: u64,
    /// Bytes of operations that must have been journaled since the last snapshot before the next is taken for them.
    pub snapshot_min: u64,
    /// Bytes of disk space that are held in reserve for clearing up a full disk; new mail is refused when there is less.
    pub reserve: u64,
}

impl Default for Options {
    fn default() -> Options {
        const MIB: u64 = 1024 * 1024;
        Options { progress: None, segment_size: 64 * MIB, snapshot_min: 16 * MIB, reserve: 16 * MIB }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_size", &self.segment_size)
            .field("snapshot_min", &self.snapshot_min)
            .field("reserve", &self.reserve)
            .finish_non_exhaustive()
    }
}

/// How far reading the journal has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done so far.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// The local engine.
pub struct Local {
    shared: Arc<Shared>,
    /// Emptied when the engine is closed.
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    writer: Option<Thread>,
    maintainer: Option<Thread>,
    /// Held so that no other process opens the directory.
    lock: Option<File>,
}

/// State that the engine's threads and its callers share.
struct Shared {
    settings: LocalSettings,
    view: Box<dyn View>,
    bodies: Arc<BodyFiles>,
    disk: Disk,
    stamps: Stamps,
    metrics: Metrics,
    /// The inbox of the writer thread.
    work: Inbox<Work>,
    /// The inbox of the maintenance thread.
    maintenance: Arc<Requests>,
    /// The end of what is acknowledged; the writer moves it on.
    position: Mutex<Position>,
    /// New mail is accepted only while this is held.
    reserve: Arc<DiskReserve>,
    /// Held during a check: each rebuilds the view in the same folder.
    checking: Mutex<()>,
    /// A reader has met damage since the view was built. Set by readers so that only the first one reports it; cleared by the
    /// maintenance thread.
    view_is_damaged: AtomicBool,
    /// What commits are refused with because rows could not be written as a run. Set and cleared by the maintenance thread,
    /// which tries again at intervals; meanwhile the writer asks for no more attempts.
    flush_failure: Mutex<Option<CommitError>>,
}

/// Values that do not change while the engine is open.
struct LocalSettings {
    dir: PathBuf,
    journal: PathBuf,
    /// A folder where a check can build a view, to compare.
    scratch: PathBuf,
    is_read_only: bool,
    segment_size: u64,
    snapshot_min: u64,
    /// How often the journal has been opened.
    generation: u64,
}

impl Local {
    /// Opens the data directory `dir`; creates it if it does not exist.
    ///
    /// # Errors
    /// As for [`Store::open`](crate::Store::open).
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Local>> {
        open::open(dir, &options, &Disk::default())
    }

    /// Opens a data directory or a backup without changing anything in it. The view is built in `scratch`, an empty folder
    /// elsewhere. Commits and compaction fail.
    ///
    /// # Errors
    /// `Locked` when a process has it open for writing, else as for [`Local::open`].
    pub fn open_read_only(dir: &Path, scratch: &Path) -> Result<Arc<Local>> {
        readonly::open(dir, scratch)
    }
}

impl Shared {
    fn position(&self) -> Position {
        *self.position.lock()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.view.get(key).inspect_err(|e| self.note_damage(e))
    }

    /// Has the view rebuilt if an error says that it is damaged.
    fn note_damage(&self, e: &Error) {
        if e.kind() == ErrorKind::Damaged && !self.view_is_damaged.swap(true, Ordering::AcqRel) {
            error!(error = %e, "the view is damaged");
            self.maintenance.wake();
        }
    }

    fn find(&self, id: BodyId) -> Result<BodyRow> {
        find(id, |key| self.get(key))
    }

    /// Reads a body that stands in the journal.
    fn inline(&self, row: &BodyRow, place: Position) -> Result<Bytes> {
        // Its segment may be gone: an empty body keeps no byte of it live.
        if row.len == 0 {
            return Ok(Bytes::new());
        }
        let path = Segment::path(&self.settings.journal, place.segment);
        let segment = self.disk.open(&path).map_err(|e| Error::io(path.display().to_string(), e))?;
        read_inline(&segment, &path, row, place)
    }

    /// Returns bytes of a body from `offset` on.
    fn read_body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        // A body may be relocated between the two steps. That it happens twice in a row is next to impossible.
        let mut last = Error::no_body(id);
        for _ in 0..3 {
            let row = self.find(id)?;
            let read = match row.place {
                Some(place) => self.inline(&row, place).map(|bytes| {
                    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                    bytes.slice(offset..)
                }),
                None => self.bodies.read(id, &row, offset),
            };
            match read {
                Ok(bytes) => return Ok(bytes),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

/// Returns the row of a body from the rows that `get` reads.
fn find(id: BodyId, get: impl FnOnce(&[u8]) -> Result<Option<Bytes>>) -> Result<BodyRow> {
    bodyrow::find(id, get)?.ok_or_else(|| Error::no_body(id))
}

/// Reads a body from its place in a segment, and checks it.
fn read_inline(segment: &File, path: &Path, row: &BodyRow, place: Position) -> Result<Bytes> {
    let at = || format!("{} at {}", path.display(), place.offset);
    let bytes = segment.read_at(place.offset, row.len).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::new(ErrorKind::Damaged, at()),
        _ => Error::io(at(), e),
    })?;
    if crc32c::crc32c(&bytes) == row.crc {
        Ok(Bytes::from(bytes))
    } else {
        Err(Error::new(ErrorKind::Damaged, format!("{}: wrong checksum", at())))
    }
}

impl ReadRows for Local {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.shared.get(key)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.shared.view.range(range, direction, limit).inspect_err(|e| self.shared.note_damage(e))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        Ok(self.shared.find(id)?.len)
    }
}

impl Engine for Local {
    fn commit(&self, batch: Batch) -> Pending<std::result::Result<(), CommitError>> {
        let (sender, answer) = oneshot::channel();
        let commit = match Commit::new(batch) {
            Ok(commit) => commit,
            Err(e) => return Pending::ready(Err(e)),
        };
        match self.shared.work.push(Work::Commit(commit, sender)) {
            // The thread answers everything that it takes. If it ended without an answer, the fate of the batch is not known.
            Ok(()) => Pending::new(async { answer.await.unwrap_or(Err(CommitError::Unknown)) }),
            Err(_) => Pending::ready(Err(CommitError::Failed)),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>> {
        Ok(Box::new(Snapshot::take(&self.shared)?))
    }

    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        // A body's file has to be opened first, which may wait for the disk even where its content is in memory.
        off_runtime(|| self.shared.read_body(id, offset))
    }

    fn stamp(&self) -> u64 {
        self.shared.stamps.next()
    }

    fn body_writer(&self) -> BodyWriter {
        let id = BodyId::from_u64(self.stamp());
        BodyWriter::new(id, LocalSink::new(id, Arc::clone(&self.shared.bodies)))
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }

    fn close(&self) {
        let mut running = self.running.lock();
        let Running { writer, maintainer, lock } = std::mem::take(&mut *running);
        // The writer needs the maintenance thread until it has done all that it took.
        self.shared.work.close();
        writer.into_iter().for_each(Thread::join);
        self.shared.maintenance.close();
        maintainer.into_iter().for_each(Thread::join);
        self.shared.bodies.close();
        drop(lock);
    }
}

impl Maintenance for Local {
    fn check(&self) -> Result<Vec<Finding>> {
        verify::check(&self.shared)
    }

    fn backup(&self, to: &Path) -> Result<Copied> {
        backup::backup(&self.shared, to)
    }

    fn compact(&self, thorough: bool) -> Result<()> {
        if self.shared.settings.is_read_only {
            return Err(Error::new(ErrorKind::Failed, "the store is open for reading alone"));
        }
        self.shared.maintenance.compact(thorough)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("dir", &self.shared.settings.dir).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
