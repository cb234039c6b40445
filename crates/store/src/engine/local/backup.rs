//! A consistent copy while mail comes in: files never change once they are written, so copying them up to a position of
//! the journal is enough. The copy has no view; the first opening makes it.

use std::{fs, path::Path, sync::PoisonError};

use super::{
    Shared, bodies, files, rebuild,
    segment::{self, Segment},
};
use crate::error::{Error, ErrorKind, Result};

/// Copies the store to the new directory `to`, which has its name once the copy is whole: a part of one would pass for
/// a store with less mail in it.
pub(super) fn backup(shared: &Shared, to: &Path) -> Result<()> {
    let partial = to.with_added_extension("partial");
    for (path, what) in
        [(to, "exists already"), (&partial, "is left of a backup that was cut off: remove it")]
    {
        if fs::exists(path).map_err(|e| Error::io(path.display().to_string(), e))? {
            return Err(Error::new(ErrorKind::Failed, format!("{} {what}", path.display())));
        }
    }
    let copied = copy_to(shared, &partial)
        .and_then(|()| fs::rename(&partial, to).map_err(|e| Error::io(to.display().to_string(), e)));
    if let Err(error) = copied {
        // It may be that nothing was made; what cannot be removed is found by the next backup.
        let _ = fs::remove_dir_all(&partial);
        return Err(error);
    }
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    files::sync_dir(above)
}

fn copy_to(shared: &Shared, to: &Path) -> Result<()> {
    let _kept = shared.tending.keep.read().unwrap_or_else(PoisonError::into_inner);
    let end = shared.position();
    let journal = to.join(segment::FOLDER);
    let large = to.join(bodies::FOLDER);
    files::create_dir(&journal)?;
    files::create_dir(&large)?;
    for path in rebuild::snapshots(&shared.settings.journal)? {
        copy(&path, &journal, u64::MAX)?;
    }
    for number in Segment::list(&shared.settings.journal)?.into_iter().filter(|number| *number <= end.segment)
    {
        let len = if number == end.segment { end.offset } else { u64::MAX };
        copy(&Segment::path(&shared.settings.journal, number), &journal, len)?;
    }
    // Those that came after the position are in nobody's way; the copy's first opening removes them.
    for path in files::list(&shared.settings.dir.join(bodies::FOLDER))? {
        match copy(&path, &large, u64::MAX) {
            // Of a message that has been refused meanwhile: those that rows name are kept.
            Err(_) if !path.exists() => {}
            copied => copied?,
        }
    }
    [journal.as_path(), &large, to].into_iter().try_for_each(files::sync_dir)
}

fn copy(from: &Path, folder: &Path, len: u64) -> Result<()> {
    match from.file_name() {
        Some(name) => files::copy(from, &folder.join(name), len),
        None => Ok(()),
    }
}
