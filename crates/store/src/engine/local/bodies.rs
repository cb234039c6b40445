//! Bodies that are too large for the journal: files, made durable while they arrive.
//!
//! A file has the body's bytes, then a CRC-32C of each 64 KiB of them. It is written in `tmp`, and gets its name in
//! `bodies` before any frame names it.
//!
//! A disk may hang, so a task that receives a message only copies its bytes; threads here write the files. Up to two pieces of
//! a body are on their way to a thread as long as the receiver waits for the answers, so memory stays bounded.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tracing::error;

use super::{
    bodyrow::BodyRow,
    disk::{Disk, File},
    reserve::Reserve,
    threads::{self, Thread},
};
use crate::{
    engine::BodyId,
    error::{Error, ErrorKind, Result, is_full},
    pending::Pending,
};

/// The folder of finished bodies within the data directory.
pub(super) const FOLDER: &str = "bodies";
/// The folder of unfinished ones; all in it is removed at start.
pub(super) const TMP: &str = "tmp";
/// The ending of a mark in [`TMP`]: an empty file with the name of a body whose file can be removed.
const UNLINKED: &str = "unlinked";

/// Bodies up to this size may stay in memory and go into the journal; larger ones become files (our own choice,
/// measured: a file costs several syncs of its own, which small mail must not pay).
pub(super) const INLINE_MAX: usize = 256 * 1024;
/// Bytes under one checksum.
const BLOCK: usize = 64 * 1024;
/// Bytes that one read returns: a few blocks.
const PIECE: u64 = 4 * BLOCK as u64;
/// Bytes of a body that go to its file together.
const CHUNK: usize = 64 * 1024;
/// A file is synced after this many bytes, so that little is left to sync at the end.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;
/// Threads that write bodies. A body always goes to the same one, so that its pieces stay in order.
const WRITERS: u64 = 2;

/// How many files of arriving bodies stay open between their pieces. Beyond that each is synced and closed after a piece, so
/// that many slow senders of large messages leave descriptors to the rest of the server (our own limit).
const MAX_OPEN: usize = 32;

/// Every body may have this many bytes in memory, however much other bodies have: most mail is smaller, and never becomes a
/// file because of others. About the size of a connection's buffer.
const SMALL: usize = 16 * 1024;
/// Bytes beyond [`SMALL`] that all bodies together may have in memory.
const MEMORY: usize = 32 * 1024 * 1024;
/// A body may have this share of what is left of [`MEMORY`]; beyond that it becomes a file. Senders that hold on to much
/// memory make the share smaller, and cannot take all of it.
const SHARE: usize = 64;

/// Where large bodies are kept.
#[derive(Debug)]
pub(crate) struct BodyFiles {
    disk: Disk,
    folder: PathBuf,
    tmp: PathBuf,
    /// None once the store is closed.
    running: Mutex<Option<Running>>,
    /// Bytes of bodies in memory beyond [`SMALL`] each.
    in_memory: Arc<AtomicUsize>,
}

/// The threads, and the way to those that write.
#[derive(Debug)]
struct Running {
    jobs: Vec<mpsc::Sender<Job>>,
    threads: Vec<Thread>,
}

/// Work for a thread that writes.
#[derive(Debug)]
enum Job {
    /// Append a piece, and answer; if the flag is set, have the file synced in the background.
    Write(Arc<Target>, Vec<u8>, bool, oneshot::Sender<Result<()>>),
    /// Append the end of a complete body, make it durable and give it its name.
    Finish(Arc<Spilled>, Vec<u8>),
    /// Remove the files of a body that no batch has stored.
    Remove([PathBuf; 2]),
}

/// Work for the thread that syncs.
#[derive(Debug)]
enum Sync {
    /// Sync what the file has so far.
    Begin(Arc<Target>),
    /// Make it durable and give it its name.
    Place(Arc<Spilled>),
}

impl BodyFiles {
    /// Opens the folders of the data directory `dir`, and removes unfinished bodies.
    pub(super) fn open(dir: &Path, disk: Disk, reserve: Arc<Reserve>) -> Result<Arc<BodyFiles>> {
        let (folder, tmp) = (dir.join(FOLDER), dir.join(TMP));
        remove_marked(&disk, &folder, &tmp)?;
        disk.remove_dir(&tmp)?;
        disk.create_dir(&folder)?;
        disk.create_dir(&tmp)?;
        let (syncs, to_sync) = mpsc::channel::<Sync>();
        let open = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        let mut jobs = Vec::new();
        for _ in 0..WRITERS {
            let (sender, waiting) = mpsc::channel();
            let (reserve, open) = (Arc::clone(&reserve), Arc::clone(&open));
            let writer = Writer { disk: disk.clone(), reserve, open, syncs: syncs.clone() };
            threads.push(threads::spawn("store-bodies", move || {
                waiting.into_iter().for_each(|job| writer.run(job))
            })?);
            jobs.push(sender);
        }
        // It ends after the writers, which have the other ends of its channel.
        threads.push(threads::spawn("store-syncs", move || to_sync.into_iter().for_each(sync))?);
        Ok(Arc::new(BodyFiles {
            disk,
            folder,
            tmp,
            running: Mutex::new(Some(Running { jobs, threads })),
            in_memory: Arc::default(),
        }))
    }

    /// The bodies of a data directory that is only read.
    pub(super) fn reading(dir: &Path, disk: Disk) -> Arc<BodyFiles> {
        Arc::new(BodyFiles {
            disk,
            folder: dir.join(FOLDER),
            tmp: dir.join(TMP),
            running: Mutex::default(),
            in_memory: Arc::default(),
        })
    }

    /// Finishes what is under way and ends the threads.
    pub(super) fn close(&self) {
        let Some(Running { jobs, threads }) = self.running.lock().take() else { return };
        drop(jobs);
        threads.into_iter().for_each(Thread::join);
    }

    /// Has a thread do something for body `id`; returns the job if the store is closed.
    fn send(&self, id: BodyId, job: Job) -> std::result::Result<(), Job> {
        let running = self.running.lock();
        let writer = running.as_ref().and_then(|running| running.jobs.get((id.get() % WRITERS) as usize));
        match writer {
            Some(writer) => writer.send(job).map_err(|mpsc::SendError(job)| job),
            None => Err(job),
        }
    }

    fn path(&self, id: BodyId) -> PathBuf {
        self.folder.join(format!("{:016x}", id.get()))
    }

    /// Accounts for a body in memory that has `len` bytes now; returns `false` if that is too much, and the body has to become
    /// a file.
    pub(crate) fn admits(self: &Arc<BodyFiles>, reserved: &mut Reserved, len: usize) -> bool {
        if len > INLINE_MAX {
            return false;
        }
        let beyond = len.saturating_sub(SMALL);
        let home = reserved.0.get_or_insert_with(|| (Arc::clone(&self.in_memory), 0));
        let more = beyond.saturating_sub(home.1);
        let left = MEMORY.saturating_sub(self.in_memory.load(Ordering::Relaxed));
        if more > 0 && beyond > left / SHARE {
            return false;
        }
        self.in_memory.fetch_add(more, Ordering::Relaxed);
        home.1 += more;
        true
    }

    /// Begins a file for body `id`.
    pub(crate) fn spill(self: &Arc<BodyFiles>, id: BodyId) -> SpillWriter {
        let target = Target {
            path: self.tmp.join(format!("{:016x}", id.get())),
            state: Mutex::default(),
            failure: OnceLock::new(),
        };
        SpillWriter {
            spilled: Spilled {
                id,
                home: Arc::clone(self),
                target: Arc::new(target),
                path: self.path(id),
                len: 0,
                crc: 0,
                state: watch::Sender::new(Placed::NotYet),
                kept: AtomicBool::new(false),
            },
            chunk: Vec::new(),
            under_way: None,
            sums: Vec::new(),
            block_crc: 0,
            unsynced: 0,
        }
    }

    /// Reads bytes of a file from `offset` on, and checks them.
    pub(super) fn read(&self, id: BodyId, row: &BodyRow, offset: u64) -> Result<Bytes> {
        let path = self.path(id);
        let io = |e| Error::reading(path.display().to_string(), e);
        let damaged = || Error::new(ErrorKind::Damaged, format!("{}: wrong checksum", path.display()));
        let file = self.disk.open(&path).map_err(io)?;
        let blocks = row.len.div_ceil(BLOCK as u64);
        let sums = file.read_at(row.len, blocks * 4).map_err(io)?;
        if crc32c::crc32c(&sums) != row.crc {
            return Err(damaged());
        }
        let start = offset - offset % BLOCK as u64;
        let len = row.len.saturating_sub(start).min(PIECE);
        let piece = file.read_at(start, len).map_err(io)?;
        let sums = sums.chunks_exact(4).skip((start / BLOCK as u64) as usize);
        let right = |(block, sum): (&[u8], &[u8])| crc32c::crc32c(block).to_le_bytes() == sum;
        if !piece.chunks(BLOCK).zip(sums).all(right) {
            return Err(damaged());
        }
        let skip = usize::try_from(offset - start).unwrap_or(piece.len()).min(piece.len());
        Ok(Bytes::from(piece).slice(skip..))
    }

    /// Removes a file that no row names.
    pub(super) fn remove(&self, id: BodyId) -> Result<()> {
        self.disk.remove(&self.path(id))
    }

    /// Marks a body whose file can be removed, so that the next start does it if this process ends before.
    pub(super) fn mark_unlinked(&self, id: BodyId) -> Result<()> {
        let path = self.tmp.join(format!("{:016x}.{UNLINKED}", id.get()));
        self.disk.create(&path).map(drop).map_err(|e| Error::io(path.display().to_string(), e))
    }

    /// Returns the bodies that have a file.
    pub(super) fn list(&self) -> Result<Vec<BodyId>> {
        let id = |path: &PathBuf| u64::from_str_radix(path.file_name()?.to_str()?, 16).ok();
        Ok(self.disk.list(&self.folder)?.iter().filter_map(id).map(BodyId::from_u64).collect())
    }
}

/// Removes the files of bodies that the process before this one has marked.
fn remove_marked(disk: &Disk, folder: &Path, tmp: &Path) -> Result<()> {
    if matches!(disk.exists(tmp), Ok(false)) {
        return Ok(());
    }
    let marks = disk.list(tmp)?;
    let is_mark = |mark: &&PathBuf| mark.extension().is_some_and(|e| e == UNLINKED);
    let mut bodies = marks.iter().filter(is_mark).filter_map(|mark| mark.file_stem());
    bodies.try_for_each(|name| disk.remove(&folder.join(name)))
}

/// What a thread that writes has.
struct Writer {
    disk: Disk,
    reserve: Arc<Reserve>,
    /// How many files of arriving bodies are open.
    open: Arc<AtomicUsize>,
    syncs: mpsc::Sender<Sync>,
}

impl Writer {
    fn run(&self, job: Job) {
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
                        spilled.state.send_replace(Placed::Failed);
                    }
                }
                Err(e) => drop(spilled.state.send_replace(Placed::refused(e.kind()))),
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
                target.state.lock().file = None;
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
        let mut state = target.state.lock();
        let file = if state.is_begun {
            self.disk.open_for_appending(&target.path)?
        } else if self.reserve.hold() {
            self.disk.create_new(&target.path)?
        } else {
            // There is no room for new mail.
            return Err(io::ErrorKind::StorageFull.into());
        };
        state.is_begun = true;
        self.open.fetch_add(1, Ordering::Relaxed);
        let opened = Arc::new(Opened { file, open: Arc::clone(&self.open) });
        state.file = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

fn sync(job: Sync) {
    match job {
        Sync::Begin(target) => {
            if let Err(e) = target.sync() {
                error!(error = %e, "cannot sync a body");
                target.fail(e);
            }
        }
        Sync::Place(spilled) if Arc::strong_count(&spilled) == 1 => {}
        Sync::Place(spilled) => {
            let placed = match spilled.place() {
                Ok(()) => Placed::Yes,
                Err(e) => {
                    error!(body = spilled.id.get(), error = %e, "cannot store a body");
                    Placed::refused(e.kind())
                }
            };
            spilled.state.send_replace(placed);
        }
    }
}

fn remove(disk: &Disk, paths: &[PathBuf]) {
    for path in paths {
        if let Err(e) = disk.remove(path) {
            error!(error = %e, "cannot remove a body that no batch has stored");
        }
    }
}

/// The file of a body while it arrives.
#[derive(Debug)]
struct Target {
    path: PathBuf,
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
    fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some(kind) => Err(self.error((*kind).into())),
            None => Ok(()),
        }
    }

    fn fail(&self, e: io::Error) -> Error {
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

    fn sync(&self) -> io::Result<()> {
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

/// Bytes in memory that are accounted for until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reserved(Option<(Arc<AtomicUsize>, usize)>);

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some((total, n)) = &self.0 {
            total.fetch_sub(*n, Ordering::Relaxed);
        }
    }
}

/// Writes a body to its file as it arrives.
pub(crate) struct SpillWriter {
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
    /// Appends bytes. The answer comes when there may be more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
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
    pub(crate) fn finish(mut self) -> Arc<Spilled> {
        if !self.spilled.len.is_multiple_of(BLOCK as u64) {
            self.close_block();
        }
        self.spilled.crc = crc32c::crc32c(&self.sums);
        self.chunk.extend_from_slice(&self.sums);
        let spilled = Arc::new(self.spilled);
        if spilled.home.send(spilled.id, Job::Finish(Arc::clone(&spilled), self.chunk)).is_err() {
            spilled.state.send_replace(Placed::Failed);
        }
        spilled
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed")
}

/// A body in a file.
#[derive(Debug)]
pub(crate) struct Spilled {
    id: BodyId,
    home: Arc<BodyFiles>,
    target: Arc<Target>,
    path: PathBuf,
    pub(crate) len: u64,
    /// CRC-32C of the checksums.
    pub(crate) crc: u32,
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

impl Placed {
    fn refused(kind: ErrorKind) -> Placed {
        if kind == ErrorKind::Full { Placed::Full } else { Placed::Failed }
    }
}

impl Spilled {
    fn place(&self) -> Result<()> {
        let target = &self.target;
        target.sync().map_err(|e| target.fail(e))?;
        target.check()?;
        // A handle that keeps the body needs the open file no more.
        target.state.lock().file = None;
        self.home.disk.rename(&target.path, &self.path).map_err(|e| target.fail(e))?;
        self.home.disk.sync_dir(&self.home.folder)
    }

    /// Whether it is durable.
    pub(crate) fn is_placed(&self) -> bool {
        *self.state.borrow() == Placed::Yes
    }

    /// Waits until it is durable.
    pub(crate) fn placed(&self) -> Pending<Result<()>> {
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
    pub(crate) fn keep(&self) {
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
                remove(&self.home.disk, &paths);
            }
        }
    }
}
