//! A consistent copy while mail comes in. Files never change once they are written, so it is enough to copy them up to a
//! position of the journal. The copy has no view; the first opening builds it.
//!
//! A journal that lost its end looks like one that was never longer. So a copy has a list of its files, with the size and
//! the SHA-256 of each, that tells a whole copy from a part of one.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256, digest};

use super::{
    Shared, bodies,
    disk::{Disk, File},
    journal::{self, Segment},
    rebuild,
};
use crate::{
    check::{Finding, FindingKind},
    engine::Copied,
    error::{Error, ErrorKind, Result},
};

/// The list of a backup's files. Opening the copy removes it: from then on it is a store, and no backup.
pub(super) const LIST: &str = "backup.list";
/// The list's first line. Lines of SHA-256, size and path follow; the last one has the SHA-256 of all before.
const HEADING: &str = "moxd backup, version 1\n";
/// The beginning of the last line.
const END: &str = "end ";
/// Bytes that are copied at a time.
const PIECE: usize = 256 * 1024;

/// Copies the store to the new directory `to`. It gets its name once the copy is whole: a part of one would pass for a store
/// with less mail in it.
pub(super) fn backup(shared: &Shared, to: &Path) -> Result<Copied> {
    let partial = to.with_added_extension("partial");
    for (path, what) in
        [(to, "exists already"), (&partial, "is left of a backup that was cut off: remove it")]
    {
        if shared.disk.exists(path).map_err(|e| Error::io(path.display().to_string(), e))? {
            return Err(Error::new(ErrorKind::Failed, format!("{} {what}", path.display())));
        }
    }
    let copied = copy_to(shared, &partial).and_then(|copied| {
        shared.disk.rename(&partial, to).map_err(|e| Error::io(to.display().to_string(), e))?;
        Ok(copied)
    });
    let copied = copied.inspect_err(|_| {
        // If this fails, the next backup says what is left.
        let _ = shared.disk.remove_dir(&partial);
    })?;
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    shared.disk.sync_dir(above)?;
    Ok(copied)
}

fn copy_to(shared: &Shared, to: &Path) -> Result<Copied> {
    let _pinned = shared.maintenance.pin()?;
    let end = shared.position();
    let mut copy = Copy { disk: &shared.disk, to, list: HEADING.to_owned(), copied: Copied::default() };
    shared.disk.create_dir(to)?;
    shared.disk.create_dir(&to.join(journal::FOLDER))?;
    shared.disk.create_dir(&to.join(bodies::FOLDER))?;
    for path in rebuild::snapshots(&shared.disk, &shared.settings.journal)? {
        copy.file(&path, journal::FOLDER, u64::MAX)?;
    }
    for number in Segment::list(&shared.disk, &shared.settings.journal)?
        .into_iter()
        .filter(|number| *number <= end.segment)
    {
        let len = if number == end.segment { end.offset } else { u64::MAX };
        copy.file(&Segment::path(&shared.settings.journal, number), journal::FOLDER, len)?;
    }
    // Some came after the position: the copy's first opening removes them.
    for path in shared.disk.list(&shared.settings.dir.join(bodies::FOLDER))? {
        match copy.file(&path, bodies::FOLDER, u64::MAX) {
            // The body of a message that was refused meanwhile: the pin keeps those that rows name.
            Err(_) if matches!(shared.disk.exists(&path), Ok(false)) => {
                let target = path.file_name().map(|name| to.join(bodies::FOLDER).join(name));
                target.map_or(Ok(()), |target| shared.disk.remove(&target))?;
            }
            copied => copied?,
        }
    }
    copy.finish()
}

/// A copy that is being made.
struct Copy<'a> {
    disk: &'a Disk,
    to: &'a Path,
    list: String,
    copied: Copied,
}

impl Copy<'_> {
    /// Copies up to `len` bytes of a file into `folder`, and lists it.
    fn file(&mut self, from: &Path, folder: &str, len: u64) -> Result<()> {
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        let target = self.to.join(folder).join(name);
        let copy = || {
            let file = self.disk.create_new(&target)?;
            let (size, sum) = read_through(&self.disk.open(from)?, len, |piece| file.write_all(piece))?;
            file.sync_all()?;
            Ok((size, sum))
        };
        let (size, sum) = copy().map_err(|e| Error::io(target.display().to_string(), e))?;
        self.list.push_str(&format!("{sum} {size} {folder}/{name}\n"));
        self.copied.files += 1;
        self.copied.bytes += size;
        Ok(())
    }

    /// Writes the list, and makes all names durable.
    fn finish(mut self) -> Result<Copied> {
        let sum = hex(digest(&SHA256, self.list.as_bytes()).as_ref());
        self.list.push_str(&format!("{END}{sum}\n"));
        self.disk.replace(&self.to.join(LIST), self.list.as_bytes())?;
        for folder in [journal::FOLDER, bodies::FOLDER, ""] {
            self.disk.sync_dir(&self.to.join(folder))?;
        }
        Ok(self.copied)
    }
}

/// Reads a file to its end, but at most `limit` bytes, and hands over each piece; returns the size and the SHA-256 of what
/// it read.
fn read_through(
    file: &File,
    limit: u64,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(u64, String)> {
    let mut buffer = vec![0; PIECE];
    let (mut size, mut context) = (0, Context::new(&SHA256));
    loop {
        let wanted = usize::try_from(limit - size).unwrap_or(PIECE).min(PIECE);
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        let n = file.read_some(piece, size)?;
        if n == 0 {
            return Ok((size, hex(context.finish().as_ref())));
        }
        let read = piece.get(..n).unwrap_or_default();
        context.update(read);
        each(read)?;
        size += n as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a list's files: path, size, SHA-256. `None` if it is not whole.
fn parse(list: &str) -> Option<BTreeMap<&str, (u64, &str)>> {
    let (body, end) = list.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = list.get(..=body.len())?;
    if end.strip_prefix(END)? != hex(digest(&SHA256, body.as_bytes()).as_ref()) {
        return None;
    }
    let entry = |line: &'_ str| -> Option<(usize, u64, usize)> {
        let sum = line.find(' ')?;
        let size = sum + 1 + line.get(sum + 1..)?.find(' ')?;
        Some((sum, line.get(sum + 1..size)?.parse().ok()?, size + 1))
    };
    let lines = body.strip_prefix(HEADING)?.lines();
    lines
        .map(|line| {
            let (sum, size, path) = entry(line)?;
            Some((line.get(path..)?, (size, line.get(..sum)?)))
        })
        .collect()
}

/// Compares the files of a backup with its list; a folder without a list is no backup, and passes.
pub(super) fn check_list(disk: &Disk, dir: &Path, findings: &mut Vec<Finding>) -> Result<()> {
    let mut found = |place: &str, text: String| {
        findings.push(Finding::new(FindingKind::Backup, place, text));
    };
    let path = dir.join(LIST);
    let bytes = match disk.read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(|e| Error::io(path.display().to_string(), e))?,
    };
    let Some(mut listed) = std::str::from_utf8(&bytes).ok().and_then(parse) else {
        found(LIST, "the list of files is damaged".to_owned());
        return Ok(());
    };
    for folder in [journal::FOLDER, bodies::FOLDER] {
        let mut paths: Vec<PathBuf> = if disk.exists(&dir.join(folder)).unwrap_or(false) {
            disk.list(&dir.join(folder))?
        } else {
            Vec::new()
        };
        paths.sort();
        for path in paths {
            let name = path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
            let place = format!("{folder}/{name}");
            let Some((size, sum)) = listed.remove(place.as_str()) else {
                found(&place, "the list does not have this file".to_owned());
                continue;
            };
            match disk.open(&path).and_then(|file| read_through(&file, u64::MAX, |_| Ok(()))) {
                Err(e) => found(&place, format!("it cannot be read: {e}")),
                Ok((has, _)) if has != size => found(&place, format!("it has {has} bytes and not {size}")),
                Ok((_, has)) if has != sum => {
                    found(&place, "its content was changed (wrong SHA-256)".to_owned())
                }
                Ok(_) => {}
            }
        }
    }
    listed.into_keys().for_each(|place| found(place, "the file is missing".to_owned()));
    Ok(())
}
