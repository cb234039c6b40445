//! Walks through the frames of one segment, tells an unfinished write from damage, and passes over what is damaged.

use std::io;

use super::{
    frame::{self, Header, Meta},
    reader::Damage,
    segment::{HEADER, Segment},
};
use crate::{
    engine::local::disk::File,
    error::{Error, Result},
};

/// Bytes read at once while walking: enough for a frame's header and operations, without its bodies.
const WINDOW: usize = 4096;
/// Bytes read at once while searching for the next frame behind damage.
const SEARCH: usize = 1024 * 1024;

/// The result of a walk through one segment, besides its frames.
#[derive(Debug)]
pub(in crate::engine::local) struct Walked {
    /// Where the last whole frame ends.
    pub(in crate::engine::local) end: u64,
    /// The number of the frame that would come next.
    pub(in crate::engine::local) next_sequence: u64,
    pub(in crate::engine::local) damage: Vec<Damage>,
    /// Whether bytes behind `end` look like an unfinished frame.
    pub(in crate::engine::local) torn: bool,
}

/// A segment that is open for reading.
pub(in crate::engine::local) struct SegmentReader<'a> {
    segment: &'a Segment,
    file: File,
}

impl<'a> SegmentReader<'a> {
    pub(super) fn new(segment: &'a Segment, file: File) -> SegmentReader<'a> {
        SegmentReader { segment, file }
    }

    /// Returns the file's size in bytes.
    pub(in crate::engine::local) fn len(&self) -> Result<u64> {
        self.file.len().map_err(|e| self.segment.error(e))
    }

    /// Calls `each` with every whole frame from offset `from` on: its offset, header, table and operations.
    ///
    /// `end` is where the segment ends if a later one says so. Without it the segment is the newest: there, bytes behind what
    /// is known to be durable that are not a whole frame are the torn tail of an unfinished write, and end the walk.
    pub(in crate::engine::local) fn walk(
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
            // Bytes that were durable once are never dropped silently.
            let next = self.search(&mut window, offset + frame::ALIGN, expected)?.unwrap_or(durable);
            walked.damage.push(Damage::Bytes { segment: self.segment.number, from: offset, to: next });
            expected = None;
            offset = next;
            walked.end = next;
        }
        Ok(walked)
    }

    /// Hands over the frame at `offset` if it is whole; returns its header and where the next one begins.
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
        // Behind what is known to be durable, bodies may be torn although operations are whole.
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

    /// Reads bytes of the segment.
    pub(in crate::engine::local) fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.file.read_at(offset, len)
    }

    /// Returns the greatest offset up to which a frame says that everything is durable.
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

    /// Returns the next offset where a frame of this segment begins whose number is at least `expected`.
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

/// A part of a file in memory: a walk reads headers and operations through it, and passes over bodies.
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

    /// Returns `len` bytes at `offset`; `None` if the file ends before that.
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

    /// Returns whether there are only zeros: room that was set aside and never written.
    fn is_zero(&mut self, offset: u64, len: usize) -> bool {
        let len = len.min(usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(len));
        matches!(self.get(offset, len), Ok(Some(bytes)) if bytes.iter().all(|b| *b == 0))
    }
}
