//! Where a verb about mail at rest reads and writes: this process's terminal, or, when the running server does the
//! work, the other end of its control socket. The verb does not know which.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// A message to be imported; its octets follow through [`Console::read`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incoming {
    /// The mailbox that the files say, below the one that the caller named; empty for that one itself.
    pub(crate) mailbox: String,
    /// When it was received, in seconds since 1970; 0 where that is not known.
    pub(crate) received: i64,
    /// Flags by name, such as `seen`.
    pub(crate) flags: Vec<String>,
    /// Other keywords.
    pub(crate) keywords: Vec<String>,
}

/// What else is to be said of an import when it is through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remarks {
    /// How many files or messages were passed over, by the reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Messages that may stand at the end of others.
    pub(crate) merged: u64,
}

impl Remarks {
    /// One more was passed over.
    pub(crate) fn skip(&mut self, reason: impl Into<String>) {
        *self.skipped.entry(reason.into()).or_default() += 1;
    }
}

/// A file to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    /// Its path below the folder that the caller named. With a `/` at its end it is a folder.
    pub(crate) name: String,
    /// The time that it is to have, in seconds since 1970; 0 for the present time.
    pub(crate) modified: u64,
}

/// What a verb may do with the outside.
pub(crate) trait Console {
    /// Writes to standard output.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Tells how far long work is, in octets or messages.
    fn progress(&mut self, done: u64, total: u64) -> Result<()>;
    /// Begins a file below the folder that the caller named; what is written next goes there. None ends the last: then all
    /// of them are on disk.
    fn file(&mut self, file: Option<&Outgoing>) -> Result<()>;
    /// Writes to the file begun last.
    fn write_file(&mut self, bytes: &[u8]) -> Result<()>;
    /// The next message to import; its octets must have been read to their end before.
    fn next(&mut self) -> Result<Option<Incoming>>;
    /// Reads octets of the message to import; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// What else is to be said, after the last message to import.
    fn remarks(&mut self) -> Remarks;
}

/// Messages to import, one after the other.
pub(crate) trait Source {
    /// Moves on to the next message.
    fn next(&mut self) -> Result<Option<Incoming>>;
    /// Reads octets of the current message; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// How far it is, in the unit of the total that its maker knows.
    fn position(&self) -> u64;
    /// What else is to be said, after the last message.
    fn remarks(&self) -> Remarks;
}

/// Writes to standard output. A reader that has gone, as `head` goes, has seen what it wanted: that is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}

/// Writes text with styles to standard output, without them where they are not wanted.
pub(crate) fn print_styled(text: &str) -> Result<()> {
    let plain = anstream::adapter::strip_str(text).to_string();
    print(if has_colours(&std::io::stdout()) { text } else { &plain }.as_bytes())
}

/// May this stream be coloured? Not where it is no terminal, nor where the environment says so (NO_COLOR, CLICOLOR,
/// TERM=dumb).
pub(crate) fn has_colours(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
}

/// For verbs that import nothing.
pub(crate) struct NoSource;

impl Source for NoSource {
    fn next(&mut self) -> Result<Option<Incoming>> {
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
struct Writing {
    path: PathBuf,
    file: File,
    modified: u64,
}

impl Writing {
    fn begin(path: PathBuf, modified: u64) -> Result<Self> {
        // Mail is its owner's alone, whatever the user's usual permissions are.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        Ok(Self { file: file.with_context(|| format!("make {}", path.display()))?, path, modified })
    }

    fn end(self) -> Result<()> {
        let time = UNIX_EPOCH.checked_add(Duration::from_secs(self.modified)).filter(|_| self.modified > 0);
        match time.map_or(Ok(()), |time| self.file.set_modified(time)) {
            // Not every file system has times to set; the mail is more important.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            set => set.with_context(|| format!("set the time of {}", self.path.display())),
        }
    }
}

/// Makes a folder and those above it. It is its owner's alone.
fn make_folder(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("make {}", path.display()))
}

/// Has everything that was written below `folder` on disk: once for all files, which is some hundred times faster than for
/// each of them.
fn sync_below(folder: &Path) -> Result<()> {
    let about = || format!("sync {}", folder.display());
    let folder = File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    nix::unistd::syncfs(folder.with_context(about)?).with_context(about)
}

/// This process's own standard output, terminal, and files.
pub(crate) struct Local<S> {
    /// None where what is written to files goes to standard output.
    folder: Option<PathBuf>,
    file: Option<Writing>,
    source: S,
    /// What the source's position will be at its end.
    total: u64,
    bar: Bar,
}

impl<S: Source> Local<S> {
    /// Files are written below `folder`; messages to import come from `source`.
    pub(crate) fn new(folder: &Path, source: S) -> Self {
        Self { folder: Some(folder.to_owned()), file: None, source, total: 0, bar: Bar::new() }
    }

    /// What is written to a file goes to standard output.
    pub(crate) fn printing(source: S) -> Self {
        Self { folder: None, file: None, source, total: 0, bar: Bar::new() }
    }

    /// The same, showing how far the source is on its way to `total`.
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

    fn file(&mut self, file: Option<&Outgoing>) -> Result<()> {
        if let Some(file) = self.file.take() {
            file.end()?;
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let Some(Outgoing { name, modified }) = file else { return sync_below(folder) };
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

    fn next(&mut self) -> Result<Option<Incoming>> {
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

/// The path of `name` below `folder`. A server is not believed when it names a file elsewhere. An empty part of the
/// name is the folder itself, so that a single file may be named by its folder's path.
fn below(folder: &Path, name: &str) -> Result<PathBuf> {
    let relative = Path::new(name);
    let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    anyhow::ensure!(inside, "refused to write outside {}: {name}", folder.display());
    Ok(folder.join(relative))
}

/// A progress bar on standard error, where that is a terminal.
pub(crate) struct Bar(Option<indicatif::ProgressBar>);

impl Bar {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    pub(crate) fn show(&mut self, done: u64, total: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.0.get_or_insert_with(|| {
            let style = indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
            let bar = indicatif::ProgressBar::new(total);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish();
        }
    }
}

/// A writer to the file begun last.
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

/// A reader over the message to import.
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
        let file = Outgoing { name: "Inbox/new/1".to_owned(), modified: 1_604_412_245 };
        console.file(Some(&file)).unwrap();
        console.write_file(b"hello").unwrap();
        console.file(Some(&Outgoing { name: "Inbox/cur/".to_owned(), modified: 0 })).unwrap();
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
