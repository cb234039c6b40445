//! Opening a data directory, or a backup, without changing anything in it: to check it, also on read-only media.
//!
//! The view is built in another folder. There is no writer and no maintenance; what needs one of them fails.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use parking_lot::Mutex;

use super::{
    Local, LocalSettings, Running, Shared,
    bodies::BodyFiles,
    disk::{Disk, File},
    inbox::Inbox,
    journal,
    maintenance::Requests,
    metrics::Metrics,
    open::locked,
    rebuild::{self, Replayed, Sources},
    reserve::DiskReserve,
    view,
};
use crate::{
    engine::Stamps,
    error::{Error, Result},
};

/// Opens `dir` for reading; builds its view in `scratch`, a folder of the caller's.
pub(super) fn open(dir: &Path, scratch: &Path) -> Result<Arc<Local>> {
    let disk = Disk::default();
    let lock = lock(&disk, dir)?;
    let folder = dir.join(journal::FOLDER);
    let sources = Sources::open(&disk, &folder)?;
    let view = view::create(&disk, scratch)?;
    let Replayed { end, .. } = sources.rebuild(&*view, None, rebuild::TABLE_WHILE_OPENING, &|_| {})?;
    let (work, maintenance) = (Inbox::default(), Arc::new(Requests::default()));
    work.close();
    maintenance.close();
    let reserve = Arc::new(DiskReserve::new(dir, 0, disk.clone(), Arc::clone(&maintenance)));
    let shared = Shared {
        settings: LocalSettings {
            dir: dir.to_path_buf(),
            journal: folder,
            scratch: scratch.to_path_buf(),
            is_read_only: true,
            segment_size: u64::MAX,
            snapshot_min: u64::MAX,
            generation: 0,
        },
        view,
        bodies: BodyFiles::reading(dir, disk.clone()),
        disk,
        stamps: Stamps::new(0),
        metrics: Metrics::new(),
        work,
        maintenance,
        position: Mutex::new(end.position),
        reserve,
        checking: Mutex::default(),
        view_is_damaged: AtomicBool::new(false),
        flush_failure: Mutex::default(),
    };
    let running = Running { lock, ..Running::default() };
    Ok(Arc::new(Local { shared: Arc::new(shared), running: Mutex::new(running) }))
}

/// Keeps other processes from writing to the directory. If it has no lock file, none ever did.
fn lock(disk: &Disk, dir: &Path) -> Result<Option<File>> {
    let path = dir.join("lock");
    let file = match disk.open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| Error::io(path.display().to_string(), e))?,
    };
    match file.try_lock_shared() {
        Ok(true) => Ok(Some(file)),
        Ok(false) => Err(locked(dir)),
        Err(e) => Err(Error::io(path.display().to_string(), e)),
    }
}
