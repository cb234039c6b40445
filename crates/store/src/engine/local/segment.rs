//! Segments: the files of the journal.
//!
//! A segment's header names the segment before it and where that one ends, so that nothing that an earlier process
//! could not finish is ever taken for part of the journal.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, File},
    frame::{self, Header, Meta},
};
use crate::{
    codec::Reader,
    error::{Error, ErrorKind, Result},
};

/// The journal's folder within the data directory.
pub(super) const FOLDER: &str = "journal";
/// Octets of a segment's header; frames begin behind it.
pub(super) const HEADER: u64 = 64;
const MAGIC: &[u8; 8] = b"moxd-jrn";
/// Version of the file format.
const VERSION: u32 = 1;
/// Octets read at once while walking: enough for a frame's header and operations, without its bodies.
const WINDOW: usize = 4096;
/// Octets read at once while searching for the next frame behind a damaged place.
const SEARCH: usize = 1024 * 1024;

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// What a segment's header says. The file is opened only while it is read, so that a journal of any number of segments
/// takes one descriptor.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) disk: Disk,
    pub(super) path: PathBuf,
    pub(super) number: u64,
    pub(super) salt: u64,
    /// Where the segment before this one ends; what is behind that was never acknowledged. Zero if that is not known.
    pub(super) previous: Position,
    /// How often the journal had been opened.
    pub(super) generation: u64,
    /// The number of the first frame.
    pub(super) first_sequence: u64,
}

/// A segment that is open for reading.
pub(super) struct SegmentReader<'a> {
    segment: &'a Segment,
    file: File,
}

/// A part of the journal that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The bytes `from..to` of a segment.
    Bytes { segment: u64, from: u64, to: u64 },
    /// All segments from `first` to `last`.
    Missing { first: u64, last: u64 },
    /// The block of the snapshot that begins at `offset`.
    Snapshot { offset: u64 },
}

/// What a walk through a segment found besides frames.
#[derive(Debug)]
pub(super) struct Walked {
    /// Where the last whole frame ends.
    pub(super) end: u64,
    /// The number of the frame that would come next.
    pub(super) next_sequence: u64,
    pub(super) damage: Vec<Damage>,
    /// Octets behind `end` that look like an unfinished frame.
    pub(super) torn: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Bytes { segment, from, .. } => write!(f, "journal segment {segment}, offset {from}"),
            Damage::Missing { first, last } if first == last => write!(f, "journal segment {first}"),
            Damage::Missing { first, last } => write!(f, "journal segments {first} to {last}"),
            Damage::Snapshot { offset } => write!(f, "journal snapshot, offset {offset}"),
        }
    }
}

impl Segment {
    /// The path of segment `number`.
    pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
        folder.join(format!("{number:010}.log"))
    }

    /// The numbers of the segments in `folder`, ascending.
    pub(super) fn list(disk: &Disk, folder: &Path) -> Result<Vec<u64>> {
        let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok();
        let mut numbers: Vec<u64> = disk.list(folder)?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The header of a new segment.
    pub(super) fn encode_header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let Position { segment, offset } = self.previous;
        for n in [self.number, self.salt, segment, offset, self.generation, self.first_sequence] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a segment's header, and tells whether it is whole.
    ///
    /// Where it is not, the frames can still be read if the first one is whole: each of them has the salt.
    pub(super) fn read_header(disk: &Disk, folder: &Path, number: u64) -> Result<(Segment, bool)> {
        let path = Segment::path(folder, number);
        let io = |e| Error::io(path.display().to_string(), e);
        let file = disk.open(&path).map_err(io)?;
        let mut start = [0; HEADER as usize + frame::HEADER];
        file.read_some(&mut start, 0).map_err(io)?;
        let (header, first) = start.split_at(HEADER as usize);
        let mut segment = Segment {
            disk: disk.clone(),
            path: path.clone(),
            number,
            salt: 0,
            previous: Position::default(),
            generation: 0,
            first_sequence: 0,
        };
        if let Some(version) = segment.decode(header) {
            if version != VERSION {
                let text = format!("{}: format {version}, this is for {VERSION}", path.display());
                return Err(Error::new(ErrorKind::Version, text));
            }
            return Ok((segment, true));
        }
        if let Ok(bytes) = <&[u8; frame::HEADER]>::try_from(first)
            && let Some(salt) = bytes.first_chunk().map(|salt| u64::from_le_bytes(*salt))
            && let Some(frame) = Header::decode(bytes, salt)
        {
            segment.salt = salt;
            segment.first_sequence = frame.sequence;
        }
        Ok((segment, false))
    }

    /// Reads the header; gives its version, and all else only if that is known here.
    fn decode(&mut self, header: &[u8]) -> Option<u32> {
        let (fields, crc) = header.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut reader = Reader::new(fields);
        if reader.array::<8>()? != *MAGIC {
            return None;
        }
        let version = u32::from_le_bytes(reader.array()?);
        let mut long = || reader.array().map(u64::from_le_bytes);
        if version == VERSION && long()? == self.number {
            self.salt = long()?;
            self.previous = Position { segment: long()?, offset: long()? };
            self.generation = long()?;
            self.first_sequence = long()?;
        }
        Some(version)
    }

    /// Opens the file for reading.
    pub(super) fn open(&self) -> Result<SegmentReader<'_>> {
        let file = self.disk.open(&self.path).map_err(|e| self.error(e))?;
        Ok(SegmentReader { segment: self, file })
    }

    /// The file's size.
    pub(super) fn len(&self) -> Result<u64> {
        self.disk.len(&self.path).map_err(|e| self.error(e))
    }

    fn error(&self, e: io::Error) -> Error {
        Error::io(self.path.display().to_string(), e)
    }
}

impl SegmentReader<'_> {
    /// The file's size.
    pub(super) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|e| self.segment.error(e))
    }

    /// Calls `each` with every whole frame from offset `from` on: its offset, header, table and operations.
    ///
    /// `end` is where the segment ends when a later one says so. Without it the segment is the newest: there, what
    /// nobody was told to be durable and is not whole is the torn tail of an unfinished write, and ends the walk.
    pub(super) fn walk(
        &self,
        from: u64,
        end: Option<u64>,
        each: &mut dyn FnMut(u64, &Header, Meta<'_>) -> Result<()>,
    ) -> Result<Walked> {
        let durable = match end {
            Some(end) => end,
            None => self.known_durable(from)?,
        };
        let limit = end.unwrap_or(u64::MAX).min(self.len()?);
        let mut window = Window::new(&self.file, limit);
        let mut walked =
            Walked { end: from, next_sequence: self.segment.first_sequence, damage: Vec::new(), torn: false };
        let mut offset = from;
        let mut expected = None;
        while offset < limit.max(durable) {
            if let Some((header, next)) = self.frame_at(&mut window, offset, durable, expected, each)? {
                expected = Some(header.sequence + 1);
                walked.next_sequence = header.sequence + 1;
                offset = next;
                walked.end = next;
                continue;
            }
            if offset >= durable {
                walked.torn = !window.is_zero(offset, frame::HEADER);
                break;
            }
            // What was durable once is never dropped in silence.
            let next = self.search(&mut window, offset + frame::ALIGN, expected)?.unwrap_or(durable);
            walked.damage.push(Damage::Bytes { segment: self.segment.number, from: offset, to: next });
            expected = None;
            offset = next;
            walked.end = next;
        }
        Ok(walked)
    }

    /// Hands over the frame at `offset` if it is whole; gives its header and where the next one begins.
    fn frame_at(
        &self,
        window: &mut Window<'_>,
        offset: u64,
        durable: u64,
        expected: Option<u64>,
        each: &mut dyn FnMut(u64, &Header, Meta<'_>) -> Result<()>,
    ) -> Result<Option<(Header, u64)>> {
        let Some(header) = self.header_at(window, offset)? else { return Ok(None) };
        if expected.is_some_and(|e| e != header.sequence) {
            return Ok(None);
        }
        let next = offset + header.frame_len();
        let meta_at = offset + frame::HEADER as u64;
        let Some(bytes) = window.get(meta_at, header.meta_len as usize)? else { return Ok(None) };
        let Some(meta) = frame::decode_meta(&header, bytes) else { return Ok(None) };
        // Behind what is known to be durable, bodies may be torn though operations are whole.
        if next > durable && !self.bodies_are_whole(&meta, meta_at + u64::from(header.meta_len)) {
            return Ok(None);
        }
        each(offset, &header, meta)?;
        Ok(Some((header, next)))
    }

    fn header_at(&self, window: &mut Window<'_>, offset: u64) -> Result<Option<Header>> {
        let bytes: Option<[u8; frame::HEADER]> =
            window.get(offset, frame::HEADER)?.and_then(|b| b.try_into().ok());
        Ok(bytes.and_then(|bytes| Header::decode(&bytes, self.segment.salt)))
    }

    fn bodies_are_whole(&self, meta: &Meta<'_>, start: u64) -> bool {
        let mut offset = start;
        meta.table.iter().filter(|entry| entry.inline).all(|entry| {
            let body = self.read(offset, entry.len);
            offset += entry.len;
            body.is_ok_and(|body| crc32c::crc32c(&body) == entry.crc)
        })
    }

    /// Reads octets of the segment.
    pub(super) fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, len)
    }

    /// The greatest offset that a frame says to be durable.
    fn known_durable(&self, from: u64) -> Result<u64> {
        let limit = self.len()?;
        let mut window = Window::new(&self.file, limit);
        let mut durable = HEADER;
        let mut offset = from;
        while offset < limit {
            let next = match self.header_at(&mut window, offset)? {
                Some(header) => {
                    durable = durable.max(header.durable.min(offset));
                    offset + header.frame_len()
                }
                None => match self.search(&mut window, offset + frame::ALIGN, None)? {
                    Some(next) => next,
                    None => break,
                },
            };
            offset = next;
        }
        Ok(durable)
    }

    /// The next offset at which a frame of this segment begins, whose number is at least `expected`.
    fn search(&self, window: &mut Window<'_>, from: u64, expected: Option<u64>) -> Result<Option<u64>> {
        let salt = self.segment.salt.to_le_bytes();
        let mut at = from.next_multiple_of(frame::ALIGN);
        let mut chunk = vec![0; SEARCH];
        while at < window.limit {
            let n = read_some(&self.file, &mut chunk, at, window.limit).map_err(|e| self.segment.error(e))?;
            if n < salt.len() {
                break;
            }
            let slots = chunk.get(..n).unwrap_or_default().chunks_exact(frame::ALIGN as usize);
            for (i, _) in slots.enumerate().filter(|(_, slot)| *slot == salt) {
                let candidate = at + i as u64 * frame::ALIGN;
                if let Some(header) = self.header_at(window, candidate)?
                    && expected.is_none_or(|e| header.sequence >= e)
                {
                    return Ok(Some(candidate));
                }
            }
            at += (n as u64) & !(frame::ALIGN - 1);
        }
        Ok(None)
    }
}

/// Reads at `offset` until the buffer is full, or `limit` or the file's end is reached.
fn read_some(file: &File, buffer: &mut [u8], offset: u64, limit: u64) -> io::Result<usize> {
    let want = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX).min(buffer.len());
    file.read_some(buffer.get_mut(..want).unwrap_or_default(), offset)
}

/// A part of a file that is in memory: headers and operations are read, bodies passed over.
struct Window<'a> {
    file: &'a File,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a File, limit: u64) -> Window<'a> {
        Window { file, limit, start: 0, bytes: Vec::new() }
    }

    /// `len` octets at `offset`; `None` where the file ends before that.
    fn get(&mut self, offset: u64, len: usize) -> Result<Option<&[u8]>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        let have = |w: &Window<'_>| {
            let from = usize::try_from(offset.checked_sub(w.start)?).ok()?;
            (from + len <= w.bytes.len()).then_some(from)
        };
        if have(self).is_none() {
            self.bytes.resize(len.max(WINDOW), 0);
            let n = read_some(self.file, &mut self.bytes, offset, self.limit)
                .map_err(|e| Error::io("reading the journal", e))?;
            self.bytes.truncate(n);
            self.start = offset;
        }
        Ok(have(self).and_then(|from| self.bytes.get(from..from + len)))
    }

    /// Whether there is nothing but zeros: room that was set aside and never written.
    fn is_zero(&mut self, offset: u64, len: usize) -> bool {
        let len = len.min(usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(len));
        matches!(self.get(offset, len), Ok(Some(bytes)) if bytes.iter().all(|b| *b == 0))
    }
}
