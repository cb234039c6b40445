//! A consistent copy while mail comes in: files never change once they are written, so copying them up to a position of
//! the journal is enough. The copy has no view; the first opening makes it.

use std::{fs, path::Path, sync::PoisonError};

use super::{
    Shared, bodies, files, rebuild,
    segment::{self, Segment},
};
use crate::error::{Error, ErrorKind, Result};

/// Copies the store to the new directory `to`.
pub(super) fn backup(shared: &Shared, to: &Path) -> Result<()> {
    if fs::exists(to).map_err(|e| Error::io(to.display().to_string(), e))? {
        return Err(Error::new(ErrorKind::Failed, format!("{} exists already", to.display())));
    }
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
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    [journal.as_path(), &large, to, above].into_iter().try_for_each(files::sync_dir)
}

fn copy(from: &Path, folder: &Path, len: u64) -> Result<()> {
    match from.file_name() {
        Some(name) => files::copy(from, &folder.join(name), len),
        None => Ok(()),
    }
}
