//! Bodies that are too large for the journal: files, made durable while they arrive.
//!
//! A file has the body's bytes, then a CRC-32C of each 64 KiB of them. It is written in `tmp`, and gets its name in
//! `bodies` before any frame names it.
//!
//! A disk may hang, so a task that receives a message only copies its bytes; threads here write the files. Up to two pieces of
//! a body are on their way to a thread as long as the receiver waits for the answers, so memory stays bounded.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
};

use bytes::Bytes;
use parking_lot::Mutex;

use self::writing::{Job, Sync, Target, Writer, sync};
use super::{
    bodyrow::BodyRow,
    disk::Disk,
    reserve::DiskReserve,
    threads::{self, Thread},
};
use crate::{
    engine::BodyId,
    error::{Error, ErrorKind, Result},
};

mod spill;
mod writing;

pub(super) use spill::{SpillWriter, Spilled};

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
/// Threads that write bodies. A body always goes to the same one, so that its pieces stay in order.
const WRITERS: u64 = 2;

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
pub(super) struct BodyFiles {
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

impl BodyFiles {
    /// Opens the folders of the data directory `dir`, and removes unfinished bodies.
    pub(super) fn open(dir: &Path, disk: Disk, reserve: Arc<DiskReserve>) -> Result<Arc<BodyFiles>> {
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
    pub(super) fn admits(self: &Arc<BodyFiles>, reserved: &mut ReservedMemory, len: usize) -> bool {
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
    pub(super) fn spill(self: &Arc<BodyFiles>, id: BodyId) -> SpillWriter {
        let target = Target::new(self.tmp.join(format!("{:016x}", id.get())));
        SpillWriter::new(Spilled::new(id, Arc::clone(self), target))
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

/// Bytes in memory that are accounted for until this is dropped.
#[derive(Debug, Default)]
pub(super) struct ReservedMemory(Option<(Arc<AtomicUsize>, usize)>);

impl Drop for ReservedMemory {
    fn drop(&mut self) {
        if let Some((total, n)) = &self.0 {
            total.fetch_sub(*n, Ordering::Relaxed);
        }
    }
}
