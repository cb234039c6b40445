//! The writing end: appends frames and makes them durable.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tracing::{error, warn};

use super::{
    frame::{self, Header, Kind, TableEntry},
    segment::{self, Position, Segment},
};
use crate::{
    engine::local::disk::{Disk, File},
    error::{Error, ErrorKind, Result, is_full},
};

/// Bytes of zeros written ahead of the frames. A sync that only replaces bytes need not wait for the file system to note
/// where they are: as measured, it takes half the time, and three quarters of the processor time.
const AHEAD: u64 = 1024 * 1024;

/// A frame that is to be appended.
pub(in crate::engine::local) struct Frame {
    kind: Kind,
    /// Room for the header, and the encoded table.
    head: Vec<u8>,
    ops: Bytes,
    bodies: Vec<Bytes>,
}

impl Frame {
    /// A frame of operations and bodies; `bodies` has the bytes of the inline ones, in the order of `table`.
    pub(in crate::engine::local) fn new(
        kind: Kind,
        table: &[TableEntry],
        ops: Bytes,
        bodies: Vec<Bytes>,
    ) -> Frame {
        let mut head = vec![0; frame::HEADER];
        frame::encode_table(&mut head, table);
        Frame { kind, head, ops, bodies }
    }

    pub(in crate::engine::local) fn ops(&self) -> &Bytes {
        &self.ops
    }

    /// Returns the size of the whole frame in bytes.
    pub(in crate::engine::local) fn len(&self) -> u64 {
        let len = self.bodies_start() + self.bodies.iter().map(|b| b.len() as u64).sum::<u64>();
        len.next_multiple_of(frame::ALIGN)
    }

    /// Returns where the first body begins, counted from the beginning of the frame.
    pub(in crate::engine::local) fn bodies_start(&self) -> u64 {
        (self.head.len() + self.ops.len()) as u64
    }

    /// Fills in the header.
    fn seal(&mut self, salt: u64, sequence: u64, durable: u64) {
        let table = self.head.get(frame::HEADER..).unwrap_or_default();
        let header = Header {
            salt,
            sequence,
            durable,
            meta_len: (table.len() + self.ops.len()) as u32,
            table_len: table.len() as u32,
            bodies_len: self.bodies.iter().map(|b| b.len() as u32).sum(),
            meta_crc: crc32c::crc32c_append(crc32c::crc32c(table), &self.ops),
            kind: self.kind,
        };
        if let Some(place) = self.head.first_chunk_mut::<{ frame::HEADER }>() {
            *place = header.encode();
        }
    }

    /// Returns its parts, and the padding.
    fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        const PADDING: [u8; frame::ALIGN as usize] = [0; frame::ALIGN as usize];
        let len = self.bodies_start() + self.bodies.iter().map(|b| b.len() as u64).sum::<u64>();
        let padding = (self.len() - len) as usize;
        let parts = [&self.head[..], &self.ops[..]].into_iter().chain(self.bodies.iter().map(|b| &b[..]));
        let parts = parts.chain(PADDING.get(..padding));
        parts.filter(|part| !part.is_empty()).map(IoSlice::new)
    }
}

/// The open end of the journal.
#[derive(Debug)]
pub(in crate::engine::local) struct JournalWriter {
    folder: PathBuf,
    disk: Disk,
    segment: Segment,
    /// The segment's file.
    file: File,
    /// Where the next frame goes; everything before is durable.
    offset: u64,
    /// The end of the room that is reserved in the file.
    allocated: u64,
    /// The next frame's number.
    sequence: u64,
    /// Once a segment has this many bytes, the next one begins.
    segment_size: u64,
    /// The segment's end cannot be trusted: a sync failed, and the kernel may have kept any part of it.
    broken: bool,
}

impl JournalWriter {
    /// Begins a segment.
    pub(in crate::engine::local) fn begin(
        folder: &Path,
        disk: Disk,
        start: Start,
        segment_size: u64,
    ) -> Result<JournalWriter> {
        let (segment, file) = create_segment(folder, &disk, start)?;
        Ok(JournalWriter {
            folder: folder.to_path_buf(),
            disk,
            segment,
            file,
            offset: segment::HEADER,
            allocated: segment::HEADER,
            sequence: start.sequence,
            segment_size,
            broken: false,
        })
    }

    /// Returns the end of what is durable.
    pub(in crate::engine::local) fn position(&self) -> Position {
        Position { segment: self.segment.number, offset: self.offset }
    }

    /// Prepares for appending up to `len` bytes, and returns where they will begin.
    ///
    /// A segment ends once it has its size, however large the next frame is: work that may still be refused must not end a
    /// segment early.
    pub(in crate::engine::local) fn prepare(&mut self, len: u64) -> io::Result<Position> {
        if self.broken || self.offset >= self.segment_size {
            self.rotate()?;
        }
        let end = self.offset + len;
        if end > self.allocated {
            self.set_aside(end)?;
        }
        Ok(self.position())
    }

    /// Sets aside room up to `end`, and some ahead of it.
    fn set_aside(&mut self, end: u64) -> io::Result<()> {
        let (from, file) = (self.allocated, &self.file);
        let ahead = (end + AHEAD).min(self.segment_size.max(end));
        self.allocated = match file.allocate(from, ahead - from) {
            Ok(()) => {
                file.zero(from.max(end), ahead);
                ahead
            }
            // With little room left, what is needed now may still fit.
            Err(e) if is_full(&e) => file.allocate(from, end - from).map(|()| end)?,
            Err(e) => return Err(e),
        };
        Ok(())
    }

    /// Ends this segment and begins the next.
    pub(in crate::engine::local) fn rotate(&mut self) -> io::Result<()> {
        let start = Start {
            number: self.segment.number + 1,
            previous: self.position(),
            generation: self.segment.generation,
            sequence: self.sequence,
        };
        let (segment, file) = create_segment(&self.folder, &self.disk, start).map_err(|e| {
            // The next segment may exist all the same, and says where this one ends: nothing may be written behind that.
            self.broken |= !matches!(self.disk.exists(&Segment::path(&self.folder, start.number)), Ok(false));
            io::Error::new(io_kind(&e), e)
        })?;
        self.trim();
        (self.segment, self.file) = (segment, file);
        self.offset = segment::HEADER;
        self.allocated = segment::HEADER;
        self.broken = false;
        Ok(())
    }

    /// Gives back room that was set aside behind the last frame. A failure is harmless: the room stays used, and the next
    /// segment's header says where this one ends.
    pub(in crate::engine::local) fn trim(&mut self) {
        if let Err(e) = self.file.set_len(self.offset) {
            warn!(segment = self.segment.number, error = %e, "cannot give back room");
        }
        self.allocated = self.offset;
    }

    /// Whether frames that were refused may be in the file all the same.
    pub(in crate::engine::local) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Appends frames with one write and one sync. If this fails, nothing was appended.
    pub(in crate::engine::local) fn append(&mut self, frames: &mut [Frame]) -> io::Result<()> {
        let mut sequence = self.sequence;
        let mut len = 0;
        for frame in frames.iter_mut() {
            frame.seal(self.segment.salt, sequence, self.offset);
            sequence += 1;
            len += frame.len();
        }
        let mut slices: Vec<_> = frames.iter().flat_map(Frame::slices).collect();
        if let Err(e) = self.file.write_slices(&mut slices) {
            self.take_back();
            return Err(e);
        }
        if let Err(e) = self.file.sync_data() {
            error!(segment = self.segment.number, error = %e, "sync failed, going on in a new segment");
            self.broken = true;
            // Refused frames must not come back if the process dies before the next segment says where this one ends.
            self.trim();
            return Err(e);
        }
        self.offset += len;
        self.sequence = sequence;
        Ok(())
    }

    /// Removes what a failed write has written.
    fn take_back(&mut self) {
        self.trim();
        let size_is_right = self.file.len().is_ok_and(|len| len == self.offset);
        if !size_is_right || self.file.seek(self.offset).is_err() {
            self.broken = true;
        }
    }
}

fn io_kind(e: &Error) -> io::ErrorKind {
    match e.kind() {
        ErrorKind::Full => io::ErrorKind::StorageFull,
        _ => io::ErrorKind::Other,
    }
}

/// How a segment begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::local) struct Start {
    pub(in crate::engine::local) number: u64,
    /// The end of the segment before it.
    pub(in crate::engine::local) previous: Position,
    /// How often the journal has been opened.
    pub(in crate::engine::local) generation: u64,
    /// The number of the first frame.
    pub(in crate::engine::local) sequence: u64,
}

/// Creates a segment, which is durable with its name when this returns.
fn create_segment(folder: &Path, disk: &Disk, start: Start) -> Result<(Segment, File)> {
    let path = Segment::path(folder, start.number);
    let new = path.with_extension("new");
    let salt =
        getrandom::u64().map_err(|e| Error::new(ErrorKind::Failed, format!("no random bytes: {e}")))?;
    let create = || {
        let file = disk.create(&new)?;
        let segment = Segment {
            disk: disk.clone(),
            path: path.clone(),
            number: start.number,
            salt,
            previous: start.previous,
            generation: start.generation,
            first_sequence: start.sequence,
        };
        file.write_all(&segment.encode_header())?;
        file.sync_all()?;
        disk.rename(&new, &path)?;
        Ok((segment, file))
    };
    let created = create().map_err(|e| Error::io(path.display().to_string(), e))?;
    disk.sync_dir(folder)?;
    Ok(created)
}
