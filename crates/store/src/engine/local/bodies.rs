//! Bodies that are too large for the journal: files, made durable while they arrive.
//!
//! A file is the body's octets, then a CRC-32C of each 64 KiB of them. It is written in `tmp`, and gets its name in
//! `bodies` before any frame names it.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use tokio::sync::watch;
use tracing::error;

use super::{bodyrow::BodyRow, files, reserve::Reserve};
use crate::{
    engine::BodyId,
    error::{Error, ErrorKind, Result, is_full},
};

/// The folder of finished bodies within the data directory.
pub(super) const FOLDER: &str = "bodies";
/// The folder of unfinished ones; all in it is removed at start.
pub(super) const TMP: &str = "tmp";

/// Octets under one checksum.
const BLOCK: usize = 64 * 1024;
/// Octets given out at once: a few blocks.
const PIECE: u64 = 4 * BLOCK as u64;
/// After so many octets the disk is asked to begin, so that little is left to sync at the end.
const SYNC_EVERY: u64 = 4 * 1024 * 1024;
/// Octets of bodies in memory at most, all together; beyond that, smaller ones become files too.
const MEMORY: usize = 32 * 1024 * 1024;

/// Where large bodies are kept.
#[derive(Debug)]
pub(crate) struct BodyFiles {
    folder: PathBuf,
    tmp: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    syncer: Mutex<Option<JoinHandle<()>>>,
    in_memory: Arc<AtomicUsize>,
    reserve: Arc<Reserve>,
}

/// Work for the thread that syncs.
#[derive(Debug)]
enum Job {
    /// Begin to write to the disk what the file has so far.
    Sync(Arc<File>, Arc<AtomicBool>),
    /// The body is complete: make it durable and give it its name.
    Place(Arc<Spilled>, Arc<File>, Arc<AtomicBool>),
}

impl BodyFiles {
    /// Opens the folders of the data directory `dir`; unfinished bodies in it are removed.
    pub(super) fn open(dir: &Path, reserve: Arc<Reserve>) -> Result<Arc<BodyFiles>> {
        let (folder, tmp) = (dir.join(FOLDER), dir.join(TMP));
        files::remove_dir(&tmp)?;
        files::create_dir(&folder)?;
        files::create_dir(&tmp)?;
        let (sender, jobs) = mpsc::channel();
        let syncer = thread::Builder::new()
            .name("store-bodies".to_owned())
            .spawn(move || jobs.into_iter().for_each(run))
            .map_err(|e| Error::io("starting a thread", e))?;
        Ok(Arc::new(BodyFiles {
            folder,
            tmp,
            jobs: Mutex::new(Some(sender)),
            syncer: Mutex::new(Some(syncer)),
            in_memory: Arc::default(),
            reserve,
        }))
    }

    /// Finishes what is under way and ends the thread.
    pub(super) fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let syncer = self.syncer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(syncer) = syncer
            && syncer.join().is_err()
        {
            error!("the thread that syncs bodies has panicked");
        }
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::new(ErrorKind::Closed, "the store is closed");
        jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())
    }

    fn path(&self, id: BodyId) -> PathBuf {
        self.folder.join(format!("{:016x}", id.get()))
    }

    /// Takes account of `more` octets in memory; `false` when that would be too much.
    pub(crate) fn reserve(self: &Arc<BodyFiles>, reserved: &mut Reserved, more: usize) -> bool {
        let home = reserved.0.get_or_insert_with(|| (Arc::clone(&self.in_memory), 0));
        if self.in_memory.fetch_add(more, Ordering::Relaxed) + more > MEMORY {
            self.in_memory.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        home.1 += more;
        true
    }

    /// Begins a file for body `id`.
    ///
    /// # Errors
    /// `Full` without trying while there is no room for new mail.
    pub(crate) fn spill(self: &Arc<BodyFiles>, id: BodyId) -> Result<SpillWriter> {
        if !self.reserve.hold() {
            return Err(Error::new(ErrorKind::Full, "no room for new mail"));
        }
        let tmp = self.tmp.join(format!("{:016x}", id.get()));
        let file = File::create_new(&tmp).map_err(|e| Error::io(tmp.display().to_string(), e))?;
        Ok(SpillWriter {
            home: Arc::clone(self),
            spilled: Spilled {
                id,
                tmp,
                path: self.path(id),
                len: 0,
                crc: 0,
                state: watch::Sender::new(Placed::NotYet),
                kept: AtomicBool::new(false),
            },
            file: Arc::new(file),
            failed: Arc::default(),
            sums: Vec::new(),
            block_crc: 0,
            unsynced: 0,
        })
    }

    /// Octets of a file from `offset` on, checked.
    pub(super) fn read(&self, id: BodyId, row: &BodyRow, offset: u64) -> Result<Bytes> {
        let path = self.path(id);
        let io = |e| Error::reading(path.display().to_string(), e);
        let damaged = || Error::new(ErrorKind::Damaged, format!("{}: wrong checksum", path.display()));
        let file = File::open(&path).map_err(io)?;
        let blocks = row.len.div_ceil(BLOCK as u64);
        let mut sums = vec![0; usize::try_from(blocks * 4).map_err(|_| damaged())?];
        file.read_exact_at(&mut sums, row.len).map_err(io)?;
        if crc32c::crc32c(&sums) != row.crc {
            return Err(damaged());
        }
        let start = offset - offset % BLOCK as u64;
        let len = row.len.saturating_sub(start).min(PIECE) as usize;
        let mut piece = vec![0; len];
        file.read_exact_at(&mut piece, start).map_err(io)?;
        let sums = sums.chunks_exact(4).skip((start / BLOCK as u64) as usize);
        let right = |(block, sum): (&[u8], &[u8])| crc32c::crc32c(block).to_le_bytes() == sum;
        if !piece.chunks(BLOCK).zip(sums).all(right) {
            return Err(damaged());
        }
        let skip = usize::try_from(offset - start).unwrap_or(len).min(len);
        Ok(Bytes::from(piece).slice(skip..))
    }

    /// Removes a file that no row names.
    pub(super) fn remove(&self, id: BodyId) -> Result<()> {
        files::remove(&self.path(id))
    }

    /// The bodies that have a file.
    pub(super) fn list(&self) -> Result<Vec<BodyId>> {
        let id = |path: &PathBuf| u64::from_str_radix(path.file_name()?.to_str()?, 16).ok();
        Ok(files::list(&self.folder)?.iter().filter_map(id).map(BodyId::from_u64).collect())
    }
}

fn run(job: Job) {
    match job {
        Job::Sync(file, failed) => {
            if let Err(e) = file.sync_data() {
                error!(error = %e, "cannot sync a body");
                failed.store(true, Ordering::Relaxed);
            }
        }
        // Nobody else has it: the message was refused meanwhile.
        Job::Place(spilled, ..) if Arc::strong_count(&spilled) == 1 => {}
        Job::Place(spilled, file, failed) => {
            let placed = match spilled.place(&file, &failed) {
                Ok(()) => Placed::Yes,
                Err(e) if is_full(&e) => Placed::Full,
                Err(e) => {
                    error!(body = spilled.id.get(), error = %e, "cannot store a body");
                    Placed::Failed
                }
            };
            spilled.state.send_replace(placed);
        }
    }
}

/// Octets in memory that are accounted for; given back when dropped.
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
    home: Arc<BodyFiles>,
    spilled: Spilled,
    file: Arc<File>,
    /// A sync failed; a later one that succeeds would not mean anything.
    failed: Arc<AtomicBool>,
    /// Checksums of finished blocks.
    sums: Vec<u8>,
    block_crc: u32,
    unsynced: u64,
}

impl SpillWriter {
    pub(crate) fn len(&self) -> u64 {
        self.spilled.len
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut file = &*self.file;
        file.write_all(bytes).map_err(|e| Error::io(self.spilled.tmp.display().to_string(), e))?;
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
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.home.send(Job::Sync(Arc::clone(&self.file), Arc::clone(&self.failed)))?;
        }
        Ok(())
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
        let written = (&*self.file).write_all(&self.sums);
        let spilled = Arc::new(self.spilled);
        let outcome = match written {
            Err(e) if is_full(&e) => Some(Placed::Full),
            Err(_) => Some(Placed::Failed),
            Ok(()) => {
                let job = Job::Place(Arc::clone(&spilled), self.file, self.failed);
                self.home.send(job).is_err().then_some(Placed::Failed)
            }
        };
        if let Some(outcome) = outcome {
            spilled.state.send_replace(outcome);
        }
        spilled
    }
}

/// A body in a file.
#[derive(Debug)]
pub(crate) struct Spilled {
    id: BodyId,
    tmp: PathBuf,
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

impl Spilled {
    fn place(&self, file: &File, failed: &AtomicBool) -> io::Result<()> {
        file.sync_data()?;
        if failed.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier sync failed"));
        }
        fs::rename(&self.tmp, &self.path)?;
        File::open(self.path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    }

    /// Whether it is durable.
    pub(super) fn is_placed(&self) -> bool {
        *self.state.borrow() == Placed::Yes
    }

    /// Whether it is still being made durable.
    pub(crate) fn is_under_way(&self) -> bool {
        *self.state.borrow() == Placed::NotYet
    }

    /// Waits until it is durable.
    pub(crate) async fn placed(&self) -> Result<()> {
        let mut state = self.state.subscribe();
        let placed = match state.wait_for(|placed| *placed != Placed::NotYet).await {
            Ok(placed) => *placed,
            Err(_) => Placed::Failed,
        };
        match placed {
            Placed::Yes => Ok(()),
            Placed::Full => Err(Error::new(ErrorKind::Full, "no room for the body")),
            Placed::Failed | Placed::NotYet => Err(Error::new(ErrorKind::Failed, "the body was not stored")),
        }
    }

    /// A row names it now: it stays.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }
}

impl Drop for Spilled {
    /// Nobody has it any more: its file goes too, unless a row names it.
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            for path in [&self.tmp, &self.path] {
                if let Err(e) = files::remove(path) {
                    error!(error = %e, "cannot remove a body that nobody wants");
                }
            }
        }
    }
}
