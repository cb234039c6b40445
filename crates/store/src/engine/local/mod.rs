//! The engine on the disk of this machine: a journal is the truth, everything else can be made from it.
//!
//! One thread writes the journal, one tends the files behind it, one syncs large bodies while they arrive. What is on
//! the disk, and why, stands in docs/store-format.md.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::oneshot;
use tracing::error;

use self::{
    bodies::BodyFiles,
    bodyrow::BodyRow,
    disk::{Disk, File},
    journal::{JournalReader, JournalWriter, Position, Segment, Start},
    maintain::Upkeep,
    metrics::Metrics,
    queue::{Bell, Commit, Queue, Work},
    rebuild::{Replayed, Sources},
    reserve::Reserve,
    sink::LocalSink,
    snapshot::Snapshot,
    threads::Thread,
    view::View,
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
mod journal;
mod maintain;
mod metrics;
mod queue;
mod readonly;
mod rebuild;
mod reclaim;
mod reserve;
mod sink;
mod snapshot;
mod threads;
mod verify;
mod view;
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
    threads: Mutex<Vec<Thread>>,
    /// Held as long as the engine is open.
    lock: Mutex<Option<File>>,
}

/// What the engine's threads and its callers share.
struct Shared {
    settings: Settings,
    view: View,
    bodies: Arc<BodyFiles>,
    disk: Disk,
    stamps: Stamps,
    queue: Queue,
    metrics: Metrics,
    /// The end of what is acknowledged.
    position: Mutex<Position>,
    /// Held by the writer while it works on a group, and by whoever needs it to stand still.
    gate: Mutex<()>,
    /// New mail is taken only while this is held.
    reserve: Arc<Reserve>,
    tending: Tending,
}

/// What does not change while the engine is open.
struct Settings {
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

/// What has to do with tending the files behind the journal.
struct Tending {
    /// Held by whoever tends them. Taken after `keep`, before the gate.
    upkeep: Mutex<Upkeep>,
    /// Held for reading by whoever needs that no file is removed.
    keep: RwLock<()>,
    /// Wakes the thread that tends them.
    bell: Bell,
    /// Rung when a run was written.
    flushed: Bell,
    /// Bodies whose files can go.
    unlinked: Mutex<Vec<BodyId>>,
    /// Held by whoever checks: the view is made anew in one place.
    checking: Mutex<()>,
    /// Rows were lost: what nothing names may be all that is left of a message, and stays.
    is_bereft: AtomicBool,
    flush_failed: AtomicBool,
    view_is_damaged: AtomicBool,
    stop: AtomicBool,
}

impl Tending {
    fn with(snapshot: Option<Arc<view::Run>>, replayed: Replayed) -> Tending {
        let is_bereft = !replayed.end.damage.is_empty();
        Tending {
            checking: Mutex::default(),
            is_bereft: AtomicBool::new(is_bereft),
            upkeep: Mutex::new(Upkeep::with(snapshot)),
            keep: RwLock::default(),
            bell: Bell::default(),
            flushed: Bell::default(),
            // Links that were lost do not count: nothing goes on the word of what is left.
            unlinked: Mutex::new(if is_bereft { Vec::new() } else { replayed.unlinked }),
            flush_failed: AtomicBool::new(false),
            view_is_damaged: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }
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
        let reserve = Arc::new(Reserve::new(dir, options.reserve, disk.clone()));
        reserve.hold();
        let local = match Local::start(dir, &options, &disk, &reserve) {
            // Mail can be read, and removed, on a full disk too.
            Err(e) if e.kind() == ErrorKind::Full && reserve.release_all() => {
                Local::start(dir, &options, &disk, &reserve)?
            }
            started => started?,
        };
        *local.lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(lock);
        Ok(local)
    }

    fn start(dir: &Path, options: &Options, disk: &Disk, reserve: &Arc<Reserve>) -> Result<Arc<Local>> {
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
            settings: Settings {
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
            queue: Queue::default(),
            metrics: Metrics::new(),
            position: Mutex::new(writer_journal.position()),
            gate: Mutex::default(),
            reserve: Arc::clone(reserve),
            tending: Tending::with(sources.snapshot, replayed),
        });
        // The names of the folders that were made.
        disk.sync_dir(dir)?;
        let writer = Writer { shared: Arc::clone(&shared), journal: writer_journal };
        let tended = Arc::clone(&shared);
        let threads = vec![
            threads::spawn("store-writer", move || writer.run())?,
            threads::spawn("store-files", move || maintain::run(&tended))?,
        ];
        Ok(Arc::new(Local { shared, threads: Mutex::new(threads), lock: Mutex::default() }))
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
        *self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_position(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.tending.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.view.get(key).inspect_err(|e| self.note_damage(e))
    }

    /// Has the view made anew if that is what an error asks for.
    fn note_damage(&self, e: &Error) {
        if e.kind() == ErrorKind::Damaged && !self.tending.view_is_damaged.swap(true, Ordering::AcqRel) {
            error!(error = %e, "the view is damaged");
            self.tending.bell.ring();
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

    /// There was no room: gives some free, and has what was removed looked for.
    fn release_reserve(&self) {
        if self.reserve.release() {
            self.tending.bell.ring();
        }
    }

    /// Files of these bodies are removed when it is convenient.
    fn remove_later(&self, bodies: Vec<BodyId>) {
        if !bodies.is_empty() {
            self.tending.unlinked.lock().unwrap_or_else(PoisonError::into_inner).extend(bodies);
            self.tending.bell.ring();
        }
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
        match self.shared.queue.push(Work::Commit(commit, sender)) {
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
        self.shared.queue.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for (i, thread) in threads.into_iter().enumerate() {
            // The first is the writer; the other goes on until that has done all it took.
            if i > 0 {
                self.shared.tending.stop.store(true, Ordering::Release);
                self.shared.tending.bell.ring();
            }
            thread.join();
        }
        self.shared.bodies.close();
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
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
        maintain::compact(&self.shared, thorough)
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
