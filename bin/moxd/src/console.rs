//! Where a verb about mail at rest reads and writes: this process's terminal, or, when the running server does the
//! work, the other end of its control socket. The verb does not know which.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// A message to be imported; its octets follow through [`Console::read`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Incoming {
    /// When it was received, in seconds since 1970.
    pub(crate) received: i64,
    /// Flags by name, such as `seen`.
    pub(crate) flags: Vec<String>,
    /// Size in octets, for the progress shown.
    pub(crate) size: u64,
}

/// What a verb may do with the outside.
pub(crate) trait Console {
    /// Writes to standard output.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Tells how far long work is, in octets or messages.
    fn progress(&mut self, done: u64, total: u64) -> Result<()>;
    /// Begins a file below the folder that the caller named; what is written next goes there. An empty name ends it.
    fn file(&mut self, name: &str) -> Result<()>;
    /// Writes to the file begun last.
    fn write_file(&mut self, bytes: &[u8]) -> Result<()>;
    /// The next message to import; its octets must have been read to their end before.
    fn next(&mut self) -> Result<Option<Incoming>>;
    /// Reads octets of the message to import; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// Messages to import, one after the other.
pub(crate) trait Source {
    /// Moves on to the next message.
    fn next(&mut self) -> Result<Option<Incoming>>;
    /// Reads octets of the current message; 0 at its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// How far it is, in the unit of the total that its maker knows.
    fn position(&self) -> u64;
}

/// Writes to standard output. A reader that has gone, as `head` goes, has seen what it wanted: that is no failure.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
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
}

/// This process's own standard output, terminal, and files.
pub(crate) struct Local<S> {
    /// None where what is written to files goes to standard output.
    folder: Option<PathBuf>,
    file: Option<(PathBuf, File)>,
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

    fn file(&mut self, name: &str) -> Result<()> {
        if let Some((path, file)) = self.file.take() {
            file.sync_all().with_context(|| format!("sync {}", path.display()))?;
        }
        let Some(folder) = self.folder.as_ref().filter(|_| !name.is_empty()) else { return Ok(()) };
        let path = below(folder, name)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        if name.ends_with('/') {
            return std::fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()));
        }
        let file = File::create_new(&path).with_context(|| format!("make {}", path.display()))?;
        self.file = Some((path, file));
        Ok(())
    }

    fn write_file(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some((path, file)) => file.write_all(bytes).with_context(|| format!("write {}", path.display())),
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

    #[test]
    fn files_stay_below_their_folder() {
        let folder = Path::new("/tmp/x");
        assert_eq!(below(folder, "Inbox/cur/1").unwrap(), Path::new("/tmp/x/Inbox/cur/1"));
        for name in ["../y", "/etc/passwd", "a/../../b"] {
            assert!(below(folder, name).is_err(), "{name}");
        }
    }

    #[test]
    fn local_files_are_made_with_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let mut console = Local::new(dir.path(), NoSource);
        console.file("Inbox/new/1").unwrap();
        console.write_file(b"hello").unwrap();
        console.file("").unwrap();
        assert_eq!(std::fs::read(dir.path().join("Inbox/new/1")).unwrap(), b"hello");
        assert!(console.file("Inbox/new/1").is_err(), "a file that is there is not overwritten");
    }
}
