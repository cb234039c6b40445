//! Opening a data directory: locks it, brings the view up to date, begins a segment, starts the threads.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use parking_lot::Mutex;
use tracing::error;

use super::{
    Local, LocalSettings, Options, Running, Shared, backup,
    bodies::{self, BodyFiles},
    disk::{Disk, File},
    inbox::Inbox,
    journal::{self, JournalReader, JournalWriter, Start},
    maintenance::{Maintainer, Requests},
    metrics::Metrics,
    rebuild::{self, Replayed, Sources},
    reserve::DiskReserve,
    threads,
    writer::Writer,
};
use crate::{
    engine::Stamps,
    error::{Error, ErrorKind, Result},
};

/// Opens the data directory `dir`.
pub(super) fn open(dir: &Path, options: &Options, disk: &Disk) -> Result<Arc<Local>> {
    disk.create_dir(dir)?;
    disk.make_private(dir)?;
    let lock = lock(disk, dir)?;
    let maintenance = Arc::new(Requests::default());
    let reserve = DiskReserve::new(dir, options.reserve, disk.clone(), Arc::clone(&maintenance));
    let reserve = Arc::new(reserve);
    reserve.hold();
    let start = || start(dir, options, disk, &reserve, &maintenance);
    let local = match start() {
        // Mail can be read, and removed, on a full disk too.
        Err(e) if e.kind() == ErrorKind::Full && reserve.release_all() => start()?,
        started => started?,
    };
    local.running.lock().lock = Some(lock);
    Ok(local)
}

/// Brings everything up to date, and starts the threads.
fn start(
    dir: &Path,
    options: &Options,
    disk: &Disk,
    reserve: &Arc<DiskReserve>,
    maintenance: &Arc<Requests>,
) -> Result<Arc<Local>> {
    let folder = dir.join(journal::FOLDER);
    disk.create_dir(&folder)?;
    // A backup that is opened becomes a store of its own, which differs from its list from then on.
    disk.remove(&dir.join(backup::LIST))?;
    remove_unfinished(disk, &folder)?;
    // This removes what never became mail, before anything needs room.
    let bodies = BodyFiles::open(dir, disk.clone(), Arc::clone(reserve))?;
    let sources = Sources::open(disk, &folder)?;
    sources.journal.make_durable()?;
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
        flush_failure: Mutex::default(),
    });
    // Makes the names of new folders durable.
    disk.sync_dir(dir)?;
    let writer = Writer { shared: Arc::clone(&shared), journal: writer_journal };
    let has_lost_rows = !replayed.end.damage.is_empty();
    let maintainer = Maintainer::new(Arc::clone(&shared), sources.snapshot, replayed.unlinked, has_lost_rows);
    let running = Running {
        writer: Some(threads::spawn("store-writer", move || writer.run())?),
        maintainer: Some(threads::spawn("store-files", move || maintainer.run())?),
        lock: None,
    };
    Ok(Arc::new(Local { shared, running: Mutex::new(running) }))
}

/// Returns the size of a segment: as `asked`, but on a small disk a small share of the disk, so that what is live in a segment
/// can be relocated when the disk is nearly full.
fn segment_size(disk: &Disk, dir: &Path, asked: u64) -> u64 {
    /// Share of the file system that one segment may have.
    const SHARE: u64 = 128;
    /// Below this the number of segments would matter more.
    const MIN: u64 = 1024 * 1024;
    disk.capacity(dir).map_or(asked, |capacity| asked.min((capacity / SHARE).max(MIN)))
}

/// Locks the data directory for this process alone.
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

pub(super) fn locked(dir: &Path) -> Error {
    Error::new(ErrorKind::Locked, format!("{}: another process has this data directory open", dir.display()))
}

/// Removes files that an earlier process did not finish.
fn remove_unfinished(disk: &Disk, folder: &Path) -> Result<()> {
    let is_new = |path: &PathBuf| path.extension().is_some_and(|e| e == "new");
    disk.list(folder)?.iter().filter(|path| is_new(path)).try_for_each(|path| disk.remove(path))
}

/// Returns how the segment begins that this opening writes. A newest segment without any frame is replaced.
fn next_start(journal: &JournalReader, replayed: &Replayed) -> Start {
    let newest = journal.segments.last();
    // The numbers of live bodies must never be used again, also if segments were lost.
    let known = journal.segments.iter().map(|s| s.generation).max().unwrap_or(0);
    let generation = known.max(replayed.generation) + 1;
    let (sequence, end) = (replayed.end.next_sequence, replayed.end.position);
    match newest {
        Some(newest) if replayed.end.newest_is_empty && end.segment == newest.number => {
            Start { number: newest.number, previous: newest.previous, generation, sequence }
        }
        // If the newest segments are missing, the new one comes behind what the view has seen.
        _ => {
            let number = newest.map_or(0, |s| s.number).max(end.segment) + 1;
            Start { number, previous: end, generation, sequence }
        }
    }
}

/// Cuts off room that the newest segment had set aside, and writes that were never finished. A failure is harmless.
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
