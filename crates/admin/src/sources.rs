//! The files that mail is imported from: a Maildir with the mailboxes in it, or an mbox. This module walks folders and opens
//! files; `mailfiles` knows what is in them.

use crate::console::{ImportHead, Remarks, Source};
use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use mailfiles::maildir::{
    KEYWORDS_FILE, Keywords, MAX_KEYWORDS_FILE, MAX_START, Name, PARTS, Packing, mailbox_of, packing,
    take_flags,
};
use mailfiles::{CrlfReader, Flags, mbox};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{DirEntry, File};
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How deep folders may lie within each other.
const MAX_DEPTH: usize = 64;
/// The folder of a Maildir with messages that are still being delivered.
const UNFINISHED: &str = "tmp";

/// The messages of a Maildir and of the Maildirs in it: every file in `new` and `cur`, by folder and name.
pub(crate) struct Maildir {
    folders: Vec<Folder>,
    left: VecDeque<Entry>,
    read: u64,
    current: Option<Message>,
    remarks: Remarks,
}

/// A message that is being read.
struct Message {
    path: PathBuf,
    reader: CrlfReader<Box<dyn Read>>,
}

/// One folder with `new` or `cur` in it.
struct Folder {
    path: PathBuf,
    mailbox: String,
    keywords: Keywords,
}

/// A file with a message.
struct Entry {
    /// The index of its folder.
    folder: usize,
    part: &'static str,
    name: OsString,
}

impl Maildir {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut maildir = Self {
            folders: Vec::new(),
            left: VecDeque::new(),
            read: 0,
            current: None,
            remarks: Remarks::default(),
        };
        maildir.walk(path, &mut Vec::new())?;
        let parts = PARTS.join(" or ");
        ensure!(
            !maildir.folders.is_empty(),
            "{} is not a Maildir: there is no folder {parts} in it, nor in a folder in it",
            path.display()
        );
        Ok(maildir)
    }

    /// How many messages are left to read.
    pub(crate) fn len(&self) -> u64 {
        self.left.len() as u64
    }

    /// Looks for messages in a folder and in those below it. `names` are the folders that lead to it.
    fn walk(&mut self, path: &Path, names: &mut Vec<String>) -> Result<()> {
        let mut inside = Vec::new();
        let mut parts = [false; PARTS.len()];
        let mut has_unfinished = false;
        for entry in entries(path)? {
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let part = PARTS.iter().position(|part| name == *part);
            if kind.is_symlink() && entry.path().is_dir() {
                self.remarks.skip("symbolic link");
            } else if !kind.is_dir() {
                continue;
            } else if let Some(part) = part.and_then(|part| parts.get_mut(part)) {
                *part = true;
            } else if name == UNFINISHED {
                has_unfinished = true;
            } else {
                inside.push(name);
            }
        }
        if parts.contains(&true) {
            self.take_folder(path, names, &parts, has_unfinished)?;
        }
        inside.sort();
        for name in inside {
            names.push(name.to_string_lossy().into_owned());
            self.walk_inside(&path.join(&name), names)?;
            names.pop();
        }
        Ok(())
    }

    /// The same for a folder in another. It may have nothing to do with mail, so one that cannot be read is skipped.
    fn walk_inside(&mut self, path: &Path, names: &mut Vec<String>) -> Result<()> {
        if names.len() > MAX_DEPTH {
            self.remarks.skip("folder too deep in others");
        } else if std::fs::read_dir(path).is_err() {
            self.remarks.skip("folder that cannot be read");
        } else {
            self.walk(path, names)?;
        }
        Ok(())
    }

    /// Lists the messages of one folder.
    fn take_folder(
        &mut self,
        path: &Path,
        names: &[String],
        parts: &[bool],
        has_unfinished: bool,
    ) -> Result<()> {
        let mut found = Vec::new();
        for (part, _) in PARTS.iter().zip(parts).filter(|(_, is_there)| **is_there) {
            for entry in entries(&path.join(part))? {
                if let Some(reason) = reason_against(&entry)? {
                    self.remarks.skip(reason);
                } else if !is_hidden(&entry) {
                    found.push(Entry { folder: self.folders.len(), part, name: entry.file_name() });
                }
            }
        }
        if has_unfinished {
            for entry in entries(&path.join(UNFINISHED))?.iter().filter(|entry| !is_hidden(entry)) {
                let is_file = entry.file_type()?.is_file();
                self.remarks.skip(if is_file { "unfinished delivery in tmp" } else { "no file" });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        self.left.extend(found);
        let mailbox = mailbox_of(names.iter().map(String::as_str));
        self.folders.push(Folder { path: path.to_owned(), mailbox, keywords: keywords(path)? });
        Ok(())
    }

    /// Opens a message. None if it is skipped; the remarks say why.
    fn begin(&mut self, entry: &Entry) -> Result<Option<ImportHead>> {
        let Some(folder) = self.folders.get(entry.folder) else { return Ok(None) };
        let path = folder.path.join(entry.part).join(&entry.name);
        let about = || format!("read {}", path.display());
        let mut opened = match File::open(&path) {
            // Mail programs may move or remove messages meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.remarks.skip("removed meanwhile");
                return Ok(None);
            }
            opened => opened.with_context(about)?,
        };
        let modified = opened.metadata().and_then(|meta| meta.modified()).with_context(about)?;
        let modified = modified
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or_default());
        let name = entry.name.to_string_lossy();
        let name = Name::parse(&name);
        let mut flags = name.flags(&folder.keywords);
        let mut start = Vec::new();
        opened.by_ref().take(MAX_START as u64).read_to_end(&mut start).with_context(about)?;
        let packing = packing(&start);
        // In `new` such fields may come from the sender of the message, because no mail program has touched it yet.
        if packing == Packing::Plain && !name.has_flags() && entry.part == "cur" {
            flags = take_flags(&mut start);
        }
        let whole = Cursor::new(start).chain(opened);
        let reader: Box<dyn Read> = match packing {
            Packing::Plain => Box::new(whole),
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(whole))),
            Packing::Other(kind) => {
                self.remarks.skip(format!("compressed with {kind}"));
                return Ok(None);
            }
        };
        let message = incoming(folder.mailbox.clone(), name.received.unwrap_or(modified), flags);
        self.current = Some(Message { path, reader: CrlfReader::new(reader) });
        Ok(Some(message))
    }
}

impl Source for Maildir {
    fn next(&mut self) -> Result<Option<ImportHead>> {
        while let Some(entry) = self.left.pop_front() {
            self.read += 1;
            if let Some(message) = self.begin(&entry)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let Some(Message { path, reader }) = &mut self.current else { return Ok(0) };
        reader.read(buffer).with_context(|| format!("read {}", path.display()))
    }

    fn position(&self) -> u64 {
        self.read
    }

    fn remarks(&self) -> Remarks {
        self.remarks.clone()
    }
}

fn incoming(mailbox: String, received: i64, flags: Flags) -> ImportHead {
    ImportHead {
        mailbox,
        received,
        flags: flags.known.iter().map(|flag| flag.name().to_owned()).collect(),
        keywords: flags.keywords.into_iter().collect(),
    }
}

fn entries(path: &Path) -> Result<Vec<DirEntry>> {
    let about = || format!("read {}", path.display());
    std::fs::read_dir(path).and_then(Iterator::collect).with_context(about)
}

/// Mail programs keep their own data in hidden files; a message never is one.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Why an entry among the messages is no message.
fn reason_against(entry: &DirEntry) -> Result<Option<&'static str>> {
    let kind = entry.file_type()?;
    Ok(if kind.is_file() || is_hidden(entry) {
        None
    } else if kind.is_symlink() {
        Some("symbolic link")
    } else if kind.is_dir() {
        Some("folder among messages")
    } else {
        Some("no file")
    })
}

/// The keywords of a folder. Most folders have none.
fn keywords(folder: &Path) -> Result<Keywords> {
    let path = folder.join(KEYWORDS_FILE);
    let mut text = Vec::new();
    match File::open(&path).and_then(|file| file.take(MAX_KEYWORDS_FILE).read_to_end(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Keywords::default()),
        read => {
            read.with_context(|| format!("read {}", path.display()))?;
            Ok(Keywords::parse(&text))
        }
    }
}

/// The messages of an mbox file.
pub(crate) struct Mbox<R>(mbox::Mbox<R>);

impl Mbox<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Self::new(BufReader::with_capacity(1 << 16, file)).with_context(|| format!("read {}", path.display()))
    }
}

impl<R: BufRead> Mbox<R> {
    pub(crate) fn new(reader: R) -> Result<Self> {
        Ok(Self(mbox::Mbox::new(reader)?))
    }
}

impl<R: BufRead> Source for Mbox<R> {
    fn next(&mut self) -> Result<Option<ImportHead>> {
        let next = self.0.next().context("read the mbox file")?;
        Ok(next.map(|message| incoming(String::new(), message.received.unwrap_or_default(), message.flags)))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer).context("read the mbox file")
    }

    fn position(&self) -> u64 {
        self.0.position()
    }

    fn remarks(&self) -> Remarks {
        let mut remarks = Remarks { merged: self.0.merged(), ..Remarks::default() };
        (0..self.0.internal()).for_each(|_| remarks.skip("what a mail program keeps about the mailbox"));
        remarks
    }
}
