//! The engine on the disk of this machine: a journal is the truth, everything else can be rebuilt from it. What is on the
//! disk, and why, is in docs/store-format.md.
//!
//! # Threads, and what each of them owns
//!
//! | thread | owns | hears through |
//! | --- | --- | --- |
//! | `store-writer` | the open end of the journal ([`JournalWriter`]); decides batches | [`Inbox`] of [`Work`] |
//! | `store-files` | all files behind it: runs, snapshots, ended segments, unlinked bodies ([`Maintainer`]) | [`Requests`] |
//! | `store-bodies` (2) | the files of arriving large bodies ([`BodyFiles`]) | a channel each |
//! | `store-syncs` | their syncs and names | a channel |
//!
//! Callers commit through `Work`. They read without messages: rows from the [`View`], of which a reader takes the state as it
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
//! never wait for each other. A message to a thread that has ended is answered by an error, however it ended.
//!
//! What is shared without messages: the view's state, the end of what is acknowledged, whether the reserve is held, and two
//! flags that keep a failure from being reported by every reader or commit that meets it ([`Shared`]).
//!
//! All files are reached through [`disk`], and all threads are started in [`threads`].

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
    journal::{JournalReader, JournalWriter, Position, Segment, Start},
    maintenance::{Maintainer, Requests},
    metrics::Metrics,
    rebuild::{Replayed, Sources},
    reserve::Reserve,
    sink::LocalSink,
    snapshot::Snapshot,
    threads::Thread,
    view::View,
    work::{Commit, Work},
    writer::Writer,
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
pub(crate) mod bodies;
mod bodyrow;
mod disk;
pub(crate) mod fuzzing;
mod inbox;
mod journal;
mod maintenance;
mod metrics;
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

/// How a data directory is opened.
pub struct Options {
    /// Told how far reading the journal at start has come.
    pub progress: Option<Box<dyn Fn(Progress)>>,
    /// A segment of the journal has about this many octets, or less on a small disk. The room that removed mail takes is counted in these.
    pub segment_size: u64,
    /// A snapshot is not taken before this many octets of operations were journaled since the last one.
    pub snapshot_min: u64,
    /// Octets of room that are kept back for clearing up a full disk; new mail is refused when there is less.
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
    /// Octets done so far.
    pub done: u64,
    /// Octets in all.
    pub total: u64,
}

/// The local engine.
pub struct Local {
    shared: Arc<Shared>,
    /// What is there until the engine is closed.
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    writer: Option<Thread>,
    maintainer: Option<Thread>,
    /// Held so that no other process opens the directory.
    lock: Option<File>,
}

/// What the engine's threads and its callers share.
struct Shared {
    settings: LocalSettings,
    view: View,
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
    reserve: Arc<Reserve>,
    /// Held during a check: each rebuilds the view in the same folder.
    checking: Mutex<()>,
    /// A reader has met damage since the view was built. Set by readers so that only the first one reports it; cleared by the
    /// maintenance thread.
    view_is_damaged: AtomicBool,
    /// Rows could not be written as a run. Set and cleared by the maintenance thread, which tries again at intervals; the writer
    /// refuses commits meanwhile instead of asking for more attempts.
    flush_failed: AtomicBool,
}

/// What does not change while the engine is open.
struct LocalSettings {
    dir: PathBuf,
    journal: PathBuf,
    /// Where a view can be made beside, to compare.
    scratch: PathBuf,
    is_read_only: bool,
    segment_size: u64,
    snapshot_min: u64,
    /// How often the journal has been opened.
    generation: u64,
}

impl Local {
    /// Opens the data directory `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// As for [`Store::open`](crate::Store::open).
    pub fn open(dir: &Path, options: Options) -> Result<Arc<Local>> {
        Local::open_on(dir, options, Disk::default())
    }

    /// Opens a data directory or a backup without changing anything in it. Its view is made in `scratch`, an empty folder
    /// elsewhere; what would write fails.
    ///
    /// # Errors
    /// `Locked` when a process has it open for writing, else as for [`Local::open`].
    pub fn open_read_only(dir: &Path, scratch: &Path) -> Result<Arc<Local>> {
        readonly::open(dir, scratch)
    }

    fn open_on(dir: &Path, options: Options, disk: Disk) -> Result<Arc<Local>> {
        disk.create_dir(dir)?;
        disk.make_private(dir)?;
        let lock = lock(&disk, dir)?;
        let maintenance = Arc::new(Requests::default());
        let reserve = Reserve::new(dir, options.reserve, disk.clone(), Arc::clone(&maintenance));
        let reserve = Arc::new(reserve);
        reserve.hold();
        let local = match Local::start(dir, &options, &disk, &reserve, &maintenance) {
            // Mail can be read, and removed, on a full disk too.
            Err(e) if e.kind() == ErrorKind::Full && reserve.release_all() => {
                Local::start(dir, &options, &disk, &reserve, &maintenance)?
            }
            started => started?,
        };
        local.running.lock().lock = Some(lock);
        Ok(local)
    }

    fn start(
        dir: &Path,
        options: &Options,
        disk: &Disk,
        reserve: &Arc<Reserve>,
        maintenance: &Arc<Requests>,
    ) -> Result<Arc<Local>> {
        let folder = dir.join(journal::FOLDER);
        disk.create_dir(&folder)?;
        // A backup that is opened becomes a store of its own, which differs from then on.
        disk.remove(&dir.join(backup::LIST))?;
        remove_unfinished(disk, &folder)?;
        // What never became mail gives its room back before any is needed.
        let bodies = BodyFiles::open(dir, disk.clone(), Arc::clone(reserve))?;
        let sources = Sources::open(disk, &folder)?;
        let report = |progress| options.progress.iter().for_each(|report| report(progress));
        let (view, replayed) = rebuild::open_view(disk, dir, &sources, &report)?;
        let start = next_start(&sources.journal, &replayed);
        trim(disk, &sources.journal, &replayed);
        let segment_size = segment_size(disk, dir, options.segment_size);
        let writer_journal = JournalWriter::begin(&folder, disk.clone(), start, segment_size)?;
        let shared = Arc::new(Shared {
            settings: LocalSettings {
                dir: dir.to_path_buf(),
                journal: folder,
                scratch: dir.join(bodies::TMP),
                is_read_only: false,
                segment_size,
                snapshot_min: options.snapshot_min,
                generation: start.generation,
            },
            view,
            bodies,
            disk: disk.clone(),
            stamps: Stamps::new(start.generation),
            metrics: Metrics::new(),
            work: Inbox::default(),
            maintenance: Arc::clone(maintenance),
            position: Mutex::new(writer_journal.position()),
            reserve: Arc::clone(reserve),
            checking: Mutex::default(),
            view_is_damaged: AtomicBool::new(false),
            flush_failed: AtomicBool::new(false),
        });
        // The names of the folders that were made.
        disk.sync_dir(dir)?;
        let writer = Writer { shared: Arc::clone(&shared), journal: writer_journal };
        let has_lost_rows = !replayed.end.damage.is_empty();
        let maintainer =
            Maintainer::new(Arc::clone(&shared), sources.snapshot, replayed.unlinked, has_lost_rows);
        let running = Running {
            writer: Some(threads::spawn("store-writer", move || writer.run())?),
            maintainer: Some(threads::spawn("store-files", move || maintainer.run())?),
            lock: None,
        };
        Ok(Arc::new(Local { shared, running: Mutex::new(running) }))
    }
}

/// A segment's size: as asked for, but on a small disk a small share of it, so that what is live in one can be relocated
/// when the disk is nearly full.
fn segment_size(disk: &Disk, dir: &Path, asked: u64) -> u64 {
    /// Share of the file system that one segment may have.
    const SHARE: u64 = 128;
    /// Below this the number of segments would matter more.
    const MIN: u64 = 1024 * 1024;
    disk.capacity(dir).map_or(asked, |capacity| asked.min((capacity / SHARE).max(MIN)))
}

/// Takes the data directory for this process alone.
fn lock(disk: &Disk, dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let io = |e| Error::io(path.display().to_string(), e);
    let file = disk.open_or_create(&path).map_err(io)?;
    match file.try_lock() {
        Ok(true) => Ok(file),
        Ok(false) => Err(locked(dir)),
        Err(e) => Err(io(e)),
    }
}

fn locked(dir: &Path) -> Error {
    Error::new(ErrorKind::Locked, format!("{}: another process has this data directory open", dir.display()))
}

/// Removes files that never got their names.
fn remove_unfinished(disk: &Disk, folder: &Path) -> Result<()> {
    let is_new = |path: &PathBuf| path.extension().is_some_and(|e| e == "new");
    disk.list(folder)?.iter().filter(|path| is_new(path)).try_for_each(|path| disk.remove(path))
}

/// How the segment begins that this opening writes. One in which nothing was ever written is replaced.
fn next_start(journal: &JournalReader, replayed: &Replayed) -> Start {
    let newest = journal.segments.last();
    // Numbers of bodies that are alive must never be given out again, whatever became of the segments.
    let known = journal.segments.iter().map(|s| s.generation).max().unwrap_or(0);
    let generation = known.max(replayed.generation) + 1;
    let (sequence, end) = (replayed.end.next_sequence, replayed.end.position);
    match newest {
        Some(newest) if replayed.end.newest_is_empty && end.segment == newest.number => {
            Start { number: newest.number, previous: newest.previous, generation, sequence }
        }
        // Behind what the view has seen, should the newest segments be missing.
        _ => {
            let number = newest.map_or(0, |s| s.number).max(end.segment) + 1;
            Start { number, previous: end, generation, sequence }
        }
    }
}

/// Gives back room that the newest segment set aside, and what of it was never finished. Failing is harmless.
fn trim(disk: &Disk, journal: &JournalReader, replayed: &Replayed) {
    let end = replayed.end.position;
    let Some(newest) = journal.segments.last().filter(|s| s.number == end.segment) else { return };
    let is_longer = newest.len().is_ok_and(|len| len > end.offset);
    let trim = || disk.open_for_writing(&newest.path)?.set_len(end.offset);
    if is_longer
        && !replayed.end.newest_is_empty
        && let Err(e) = trim()
    {
        error!(error = %e, "cannot give back room");
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
        let path = Segment::path(&self.settings.journal, place.segment);
        let segment = self.disk.open(&path).map_err(|e| Error::io(path.display().to_string(), e))?;
        read_inline(&segment, &path, row, place)
    }

    /// Octets of a body from `offset` on.
    fn read_body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        // A body may be carried to another segment between the two steps; twice in a row would be a wonder.
        let mut last = Error::no_body(id);
        for _ in 0..3 {
            let row = self.find(id)?;
            let read = match row.place {
                Some(place) => self.inline(&row, place).map(|octets| {
                    let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
                    octets.slice(offset..)
                }),
                None => self.bodies.read(id, &row, offset),
            };
            match read {
                Ok(octets) => return Ok(octets),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

/// The row of a body among the rows that `get` reads.
fn find(id: BodyId, get: impl FnOnce(&[u8]) -> Result<Option<Bytes>>) -> Result<BodyRow> {
    bodyrow::find(id, get)?.ok_or_else(|| Error::no_body(id))
}

/// Reads a body from its place in a segment, and checks it.
fn read_inline(segment: &File, path: &Path, row: &BodyRow, place: Position) -> Result<Bytes> {
    let at = || format!("{} at {}", path.display(), place.offset);
    let octets = segment.read_at(place.offset, row.len).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::new(ErrorKind::Damaged, at()),
        _ => Error::io(at(), e),
    })?;
    if crc32c::crc32c(&octets) == row.crc {
        Ok(Bytes::from(octets))
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
            // The thread answers everything that it takes; if it is gone without, nobody knows.
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
