//! Where an answer is written to and where messages to import come from: the terminal and files of this process, or, in a
//! server or keeper, the other end of the control socket. The code that answers does not know which.

use anyhow::{Context, Result};
use host::terminal::{Bar, print};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// The facts about a message to import; [`Console::read`] returns its bytes afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportHead {
    /// The mailbox in the files, such as `Sent/2019`, which goes below the mailbox that the operator named; empty for that
    /// mailbox itself.
    pub mailbox: String,
    /// When it was received, in seconds since 1970; 0 if that is not known.
    pub received: i64,
    /// Flags by name, such as `seen`.
    pub flags: Vec<String>,
    /// Keywords beyond the flags, such as `$work`.
    pub keywords: Vec<String>,
}

/// The remarks in the summary of an import, besides its counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// How many files or messages were skipped, by the reason.
    pub skipped: BTreeMap<String, u64>,
    /// How many lines within messages of an mbox look as if another message began there.
    pub merged: u64,
}

impl Remarks {
    /// Counts one more that was skipped.
    pub fn skip(&mut self, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += 1;
    }
}

/// A file or folder that an export makes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFile {
    /// Its path below the folder that the operator named. A folder has a `/` at its end.
    pub name: String,
    /// Its time of modification, in seconds since 1970; 0 for the present.
    pub modified: u64,
}

/// Everything that an answer does with the outside.
pub trait Console {
    /// Writes to standard output.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Shows the progress of long work, in bytes or messages.
    fn progress(&mut self, done: u64, total: u64) -> Result<()>;
    /// Begins a file below the folder that the operator named; [`Self::write_file`] writes to it. None ends the last file, and
    /// returns once all of them are on disk.
    fn file(&mut self, file: Option<&ExportFile>) -> Result<()>;
    /// Writes to the file begun last.
    fn write_file(&mut self, bytes: &[u8]) -> Result<()>;
    /// Moves on to the next message to import. The current one must have been read to its end.
    fn next(&mut self) -> Result<Option<ImportHead>>;
    /// Reads bytes of the message to import; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// The remarks on the import, after the last message.
    fn remarks(&mut self) -> Remarks;
}

/// Files with messages to import, one message after the other.
pub(crate) trait Source {
    /// Moves on to the next message.
    fn next(&mut self) -> Result<Option<ImportHead>>;
    /// Reads bytes of the current message; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// How much was read so far, in messages of a Maildir or bytes of an mbox.
    fn position(&self) -> u64;
    /// The remarks on the import, after the last message.
    fn remarks(&self) -> Remarks;
}

/// The source of verbs that import nothing.
#[derive(Debug)]
pub(crate) struct NoSource;

impl Source for NoSource {
    fn next(&mut self) -> Result<Option<ImportHead>> {
        Ok(None)
    }

    fn read(&mut self, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn position(&self) -> u64 {
        0
    }

    fn remarks(&self) -> Remarks {
        Remarks::default()
    }
}

/// A file that is being written.
#[derive(Debug)]
struct Writing {
    path: PathBuf,
    file: File,
    modified: u64,
}

impl Writing {
    fn begin(path: PathBuf, modified: u64) -> Result<Self> {
        // Only its owner may read mail, whatever permissions the user's files usually have.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: file.with_context(|| format!("make {}", path.display()))?, path, modified })
    }

    fn end(self) -> Result<()> {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(self.modified)).filter(|_| self.modified > 0);
        match time.map_or(Ok(()), |time| self.file.set_modified(time)) {
            // Some file systems refuse to set times; the mail is worth more than its time.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            set => set.with_context(|| format!("set the time of {}", self.path.display())),
        }
    }
}

/// Makes a folder and those above it, which only their owner can enter.
fn make_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("make {}", path.display()))
}

/// Waits until everything written below `folder` is on disk. One sync of the file system is about a hundred times faster than
/// one for each file.
fn sync_below(folder: &Path) -> Result<()> {
    let about = || format!("sync {}", folder.display());
    let folder = File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    nix::unistd::syncfs(folder.with_context(about)?).with_context(about)
}

/// The console of this process: its standard output, terminal and files.
#[derive(Debug)]
pub(crate) struct Local<S> {
    /// The folder that files are made in; without one, what is written to files goes to standard output.
    folder: Option<PathBuf>,
    file: Option<Writing>,
    source: S,
    /// The position of the source at its end; 0 if that is not known.
    total: u64,
    bar: Bar,
}

impl<S: Source> Local<S> {
    /// Makes files below `folder`; imports from `source`.
    pub(crate) fn new(folder: &Path, source: S) -> Self {
        Self { folder: Some(folder.to_owned()), file: None, source, total: 0, bar: Bar::default() }
    }

    /// Writes to standard output what would go to a file.
    pub(crate) fn printing(source: S) -> Self {
        Self { folder: None, file: None, source, total: 0, bar: Bar::default() }
    }

    /// The same as [`Self::new`], and shows how far the source is on its way to `total`.
    pub(crate) fn importing(folder: &Path, source: S, total: u64) -> Self {
        Self { total, ..Self::new(folder, source) }
    }
}

impl<S: Source> Console for Local<S> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        print(bytes)
    }

    fn progress(&mut self, done: u64, total: u64) -> Result<()> {
        self.bar.show(done, total);
        Ok(())
    }

    fn file(&mut self, file: Option<&ExportFile>) -> Result<()> {
        if let Some(file) = self.file.take() {
            file.end()?;
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let Some(ExportFile { name, modified }) = file else { return sync_below(folder) };
        let path = below(folder, name)?;
        if name.ends_with('/') {
            return make_folder(&path);
        }
        path.parent().map_or(Ok(()), make_folder)?;
        self.file = Some(Writing::begin(path, *modified)?);
        Ok(())
    }

    fn write_file(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(Writing { path, file, .. }) => {
                file.write_all(bytes).with_context(|| format!("write {}", path.display()))
            }
            None if self.folder.is_none() => print(bytes),
            None => anyhow::bail!("no file was begun"),
        }
    }

    fn next(&mut self) -> Result<Option<ImportHead>> {
        let next = self.source.next()?;
        if self.total > 0 {
            self.bar.show(if next.is_some() { self.source.position() } else { self.total }, self.total);
        }
        Ok(next)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.source.read(buffer)
    }

    fn remarks(&mut self) -> Remarks {
        self.source.remarks()
    }
}

/// The path of `name` below `folder`. Refuses a name that leads out of the folder, whatever process sent it.
fn below(folder: &Path, name: &str) -> Result<PathBuf> {
    let relative = Path::new(name);
    let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    anyhow::ensure!(inside, "refused to write outside {}: {name}", folder.display());
    Ok(folder.join(relative))
}

/// Writes to the file that the console began last.
pub(crate) struct ExportWriter<'a>(pub(crate) &'a mut dyn Console);

impl Write for ExportWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_file(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Reads the current message to import.
pub(crate) struct ImportReader<'a>(pub(crate) &'a mut dyn Console);

impl Read for ImportReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(std::io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_stay_below_their_folder() {
        let folder = Path::new("/tmp/x");
        assert_eq!(below(folder, "Inbox/cur/1").unwrap(), Path::new("/tmp/x/Inbox/cur/1"));
        for name in ["../y", "/etc/passwd", "a/../../b"] {
            assert!(below(folder, name).is_err(), "{name}");
        }
    }

    #[test]
    fn local_files_are_made_with_their_folders_and_times_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut console = Local::new(&dir.path().join("out"), NoSource);
        let file = ExportFile { name: "Inbox/new/1".to_owned(), modified: 1_604_412_245 };
        console.file(Some(&file)).unwrap();
        console.write_file(b"hello").unwrap();
        console.file(Some(&ExportFile { name: "Inbox/cur/".to_owned(), modified: 0 })).unwrap();
        console.file(None).unwrap();
        let path = dir.path().join("out/Inbox/new/1");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        assert_eq!(meta.modified().unwrap(), UNIX_EPOCH + Duration::from_secs(1_604_412_245));
        for folder in ["out", "out/Inbox", "out/Inbox/new", "out/Inbox/cur"] {
            let mode = std::fs::metadata(dir.path().join(folder)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{folder}");
        }
        assert!(console.file(Some(&file)).is_err(), "a file that is there is not overwritten");
    }
}
