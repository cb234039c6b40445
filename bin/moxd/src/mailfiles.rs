//! Maildir folders and mbox files, read one message at a time.
//!
//! A bare LF is read as CRLF, as everywhere. In an mbox, `>From ` at the start of a line stands for `From ` (the mboxrd
//! form), and a message ends before a line that begins with `From `, has a time in it, and follows an empty one. The lines
//! that the form adds end with LF, as its readers expect; the messages keep their octets.

use crate::console::{Incoming, Source};
use anyhow::{Context, Result, ensure};
use jiff::civil::DateTime;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The messages of a Maildir: everything in `new` and `cur`, by name.
pub(crate) struct Maildir {
    left: VecDeque<PathBuf>,
    read: u64,
    current: Option<ToCrlf<BufReader<File>>>,
}

impl Maildir {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let mut all = Vec::new();
        for part in ["new", "cur"] {
            let part = folder.join(part);
            let entries = std::fs::read_dir(&part)
                .with_context(|| format!("{} is not a Maildir: read {}", folder.display(), part.display()))?;
            for entry in entries {
                let entry = entry?;
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                if entry.file_type()?.is_file() && !hidden {
                    all.push(entry.path());
                }
            }
        }
        all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        Ok(Self { left: all.into(), read: 0, current: None })
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> u64 {
        self.left.len() as u64
    }
}

impl Source for Maildir {
    fn next(&mut self) -> Result<Option<Incoming>> {
        let Some(path) = self.left.pop_front() else { return Ok(None) };
        self.read += 1;
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let meta = file.metadata()?;
        let received = meta.modified()?.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The time of delivery is the first part of the name, where the name is of the usual form.
        let from_name = name.split('.').next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags);
        self.current = Some(ToCrlf::new(BufReader::new(file)));
        Ok(Some(Incoming {
            received: from_name.unwrap_or(received),
            flags: flags.chars().filter_map(flag_name).map(str::to_owned).collect(),
            size: meta.len(),
        }))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.current.as_mut().map_or(Ok(0), |file| file.read(buffer)).context("read the message")
    }

    fn position(&self) -> u64 {
        self.read
    }
}

/// The flag that a letter of a Maildir name stands for.
fn flag_name(letter: char) -> Option<&'static str> {
    Some(match letter {
        'D' => "draft",
        'F' => "flagged",
        'P' => "forwarded",
        'R' => "answered",
        'S' => "seen",
        'T' => "deleted",
        _ => return None,
    })
}

/// The letters of a Maildir name for flags, in the order that the form demands.
pub(crate) fn flag_letters(flags: &[&str]) -> String {
    "DFPRST".chars().filter(|letter| flag_name(*letter).is_some_and(|name| flags.contains(&name))).collect()
}

/// The messages of an mbox file.
pub(crate) struct Mbox<R> {
    lines: R,
    /// The `From ` line of the next message, already read.
    next: Option<Vec<u8>>,
    /// Octets of the current message not yet handed out.
    pending: VecDeque<u8>,
    /// An empty line held back: it belongs to the message unless a `From ` line follows.
    blank: Option<Vec<u8>>,
    /// Is the last read piece the start of a line?
    at_line_start: bool,
    done: bool,
    /// Octets of the file read so far.
    octets: u64,
}

/// The longest piece of a line that is looked at at once.
const PIECE: u64 = 64 * 1024;

impl Mbox<BufReader<File>> {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Self::new(BufReader::with_capacity(1 << 16, file)).with_context(|| format!("read {}", path.display()))
    }
}

impl<R: BufRead> Mbox<R> {
    pub(crate) fn new(mut lines: R) -> Result<Self> {
        let mut first = Vec::new();
        lines.by_ref().take(PIECE).read_until(b'\n', &mut first)?;
        ensure!(
            first.is_empty() || first.starts_with(b"From "),
            "this is not an mbox file: it does not begin with `From `"
        );
        let next = (!first.is_empty()).then_some(first);
        Ok(Self {
            lines,
            next,
            pending: VecDeque::new(),
            blank: None,
            at_line_start: true,
            done: true,
            octets: 0,
        })
    }

    /// Reads one more piece of the current message, or finds its end.
    fn more(&mut self) -> Result<()> {
        let mut piece = Vec::new();
        let count = self.lines.by_ref().take(PIECE).read_until(b'\n', &mut piece)?;
        self.octets += count as u64;
        if count == 0 {
            // The empty line before the end of the file is the form's, not the message's.
            self.blank = None;
            self.done = true;
            return Ok(());
        }
        let starts_line = self.at_line_start;
        self.at_line_start = piece.last() == Some(&b'\n');
        if starts_line && self.blank.is_some() && is_from_line(&piece) {
            self.blank = None;
            self.done = true;
            self.next = Some(piece);
            return Ok(());
        }
        if let Some(blank) = self.blank.take() {
            self.pending.extend(blank);
        }
        if starts_line && (piece == b"\n" || piece == b"\r\n") {
            self.blank = Some(b"\r\n".to_vec());
            return Ok(());
        }
        let quoted = piece.iter().take_while(|b| **b == b'>').count();
        if starts_line && quoted > 0 && piece.get(quoted..).is_some_and(|rest| rest.starts_with(b"From ")) {
            piece.remove(0);
        }
        if piece.ends_with(b"\n") && !piece.ends_with(b"\r\n") {
            piece.pop();
            piece.extend_from_slice(b"\r\n");
        }
        self.pending.extend(piece);
        Ok(())
    }
}

impl<R: BufRead> Source for Mbox<R> {
    fn next(&mut self) -> Result<Option<Incoming>> {
        while !self.done {
            self.more()?;
        }
        self.pending.clear();
        let Some(line) = self.next.take() else { return Ok(None) };
        self.done = false;
        self.at_line_start = true;
        Ok(Some(Incoming { received: from_line_time(&line), flags: Vec::new(), size: 0 }))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.pending.is_empty() && !self.done {
            self.more()?;
        }
        Ok(self.pending.read(buffer)?)
    }

    fn position(&self) -> u64 {
        self.octets
    }
}

/// A `From ` line has a time and a year; a sentence that somebody forgot to quote has not.
fn is_from_line(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let digits = |word: &str, count: usize| word.len() == count && word.bytes().all(|b| b.is_ascii_digit());
    let is_time = |word: &str| word.contains(':') && word.split(':').all(|part| digits(part, 2));
    let mut words = text.split_whitespace();
    words.next() == Some("From") && words.clone().any(is_time) && words.any(|word| digits(word, 4))
}

/// The time in `From sender Tue Nov  3 15:04:05 2026`, taken as UTC; 0 where it cannot be read.
fn from_line_time(line: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_whitespace().collect();
    let from = words.len().saturating_sub(4);
    let date = words.get(from..).unwrap_or_default().join(" ");
    let time = DateTime::strptime("%b %d %H:%M:%S %Y", date).ok();
    time.and_then(|t| t.to_zoned(jiff::tz::TimeZone::UTC).ok()).map_or(0, |t| t.timestamp().as_second())
}

/// The `From ` line that begins a message in an mbox.
pub(crate) fn from_line(mail_from: &str, received: i64) -> String {
    let sender = if mail_from.is_empty() || mail_from.contains(char::is_whitespace) {
        "MAILER-DAEMON"
    } else {
        mail_from
    };
    let time = jiff::Timestamp::from_second(received).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("From {sender} {}\n", time.strftime("%a %b %e %H:%M:%S %Y"))
}

/// Quotes what looks like a `From ` line, over pieces cut anywhere at line ends or in them.
#[derive(Debug)]
pub(crate) struct FromQuoter {
    /// The start of a line whose quoting is not decided.
    held: Vec<u8>,
    in_line: bool,
}

impl FromQuoter {
    pub(crate) fn new() -> Self {
        Self { held: Vec::new(), in_line: false }
    }

    /// Quotes a piece.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for octet in piece {
            if self.in_line {
                out.push(*octet);
                self.in_line = *octet != b'\n';
                continue;
            }
            self.held.push(*octet);
            let rest = self.held.iter().skip_while(|b| **b == b'>').copied().collect::<Vec<u8>>();
            if rest == b"From " {
                out.push(b'>');
            } else if b"From ".starts_with(&rest) {
                continue;
            }
            self.in_line = *octet != b'\n';
            out.append(&mut self.held);
        }
    }

    /// The end of the message.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

/// Reads with every bare LF made CRLF.
pub(crate) struct ToCrlf<R> {
    inner: R,
    last: u8,
    owes_lf: bool,
}

impl<R: BufRead> ToCrlf<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, last: 0, owes_lf: false }
    }
}

impl<R: BufRead> Read for ToCrlf<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let input = self.inner.fill_buf()?;
        let (mut used, mut written) = (0, 0);
        for slot in buffer.iter_mut() {
            if std::mem::take(&mut self.owes_lf) {
                *slot = b'\n';
                self.last = b'\n';
                written += 1;
                continue;
            }
            let Some(octet) = input.get(used) else { break };
            used += 1;
            written += 1;
            if *octet == b'\n' && self.last != b'\r' {
                *slot = b'\r';
                self.owes_lf = true;
            } else {
                *slot = *octet;
            }
            self.last = *octet;
        }
        self.inner.consume(used);
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut source: impl Source) -> Vec<(Incoming, String)> {
        let mut found = Vec::new();
        while let Some(message) = source.next().unwrap() {
            let mut text = Vec::new();
            // An odd size, so that pieces are cut everywhere.
            let mut buffer = [0; 7];
            loop {
                let count = source.read(&mut buffer).unwrap();
                if count == 0 {
                    break;
                }
                text.extend_from_slice(&buffer[..count]);
            }
            found.push((message, String::from_utf8(text).unwrap()));
        }
        found
    }

    #[test]
    fn mbox_is_cut_where_it_should_be() {
        let text = "From a@b Tue Nov  3 15:04:05 2026\nSubject: 1\n\n>From x\n>>From y\nFrom z is text\n\nFrom this on, too: 15:04\n\n\
                    From MAILER-DAEMON Wed Nov  4 00:00:00 2026\r\nSubject: 2\r\n\r\nbody\r\n\r\nmore\r\n\r\n";
        let found = all(Mbox::new(text.as_bytes()).unwrap());
        let bodies: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
        let first =
            "Subject: 1\r\n\r\nFrom x\r\n>From y\r\nFrom z is text\r\n\r\nFrom this on, too: 15:04\r\n";
        assert_eq!(bodies, [first, "Subject: 2\r\n\r\nbody\r\n\r\nmore\r\n"]);
        assert_eq!(found.iter().map(|(m, _)| m.received).collect::<Vec<_>>(), [1_793_718_245, 1_793_750_400]);
    }

    #[test]
    fn mbox_round_trips_through_the_quoter() {
        let message = "Subject: x\r\n\r\nFrom a\r\n>From b\r\n>>Fromage\r\nFro\r\n\r\nFrom c\r\n";
        for cut in 0..message.len() {
            let mut out = from_line("a@b", 1_793_718_245).into_bytes();
            let mut quoter = FromQuoter::new();
            quoter.push(&message.as_bytes()[..cut], &mut out);
            quoter.push(&message.as_bytes()[cut..], &mut out);
            quoter.finish(&mut out);
            out.extend_from_slice(b"\n");
            let found = all(Mbox::new(out.as_slice()).unwrap());
            assert_eq!(found.len(), 1, "{}", String::from_utf8_lossy(&out));
            assert_eq!(found[0].1, message);
            assert_eq!(found[0].0.received, 1_793_718_245);
        }
    }

    #[test]
    fn refuses_what_is_no_mbox() {
        assert!(Mbox::new(&b"Subject: x\n\n"[..]).is_err());
        assert!(all(Mbox::new(&b""[..]).unwrap()).is_empty());
    }

    #[test]
    fn maildir_tells_time_and_flags() {
        let dir = tempfile::tempdir().unwrap();
        for part in ["new", "cur", "tmp"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        std::fs::write(dir.path().join("cur/1793718245.M1.host:2,FS"), "a: b\n\nc\n").unwrap();
        std::fs::write(dir.path().join("new/1793718246.M2.host"), "a: b\r\n\r\nd").unwrap();
        std::fs::write(dir.path().join("tmp/1793718247.M3.host"), "unfinished").unwrap();
        let found = all(Maildir::open(dir.path()).unwrap());
        assert_eq!(found[0].1, "a: b\r\n\r\nc\r\n");
        assert_eq!(found[0].0.flags, ["flagged", "seen"]);
        assert_eq!(found[0].0.received, 1_793_718_245);
        assert_eq!(found[1].1, "a: b\r\n\r\nd");
        assert_eq!(found.len(), 2);
        assert_eq!(flag_letters(&["seen", "flagged", "junk"]), "FS");
    }
}
