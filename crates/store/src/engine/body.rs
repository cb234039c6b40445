//! Message bodies: written once while they arrive, shared by reference, read in pieces.

use std::{
    fmt,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    SharedEngine,
    local::bodies::{BodyFiles, Reserved, SpillWriter, Spilled},
};
use crate::{error::Result, pending::Pending};

/// Bodies up to this size stay in memory and go into the journal; larger ones become files (our own choice,
/// measured: a file costs several syncs of its own, which small mail must not pay).
pub const INLINE_MAX: usize = 256 * 1024;

/// The number of a body: never used again, not even after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyId(u64);

/// How many bits of a [`BodyId`] count within one opening of the engine; the rest numbers the openings.
const COUNTER_BITS: u32 = 40;

impl BodyId {
    /// The number as it is stored.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// From the number as it is stored.
    #[must_use]
    pub fn from_u64(n: u64) -> BodyId {
        BodyId(n)
    }

    /// Which opening of the engine made this number.
    pub(crate) fn generation(self) -> u64 {
        self.0 >> COUNTER_BITS
    }
}

/// Hands out numbers for bodies.
#[derive(Debug)]
pub(crate) struct BodyIds(AtomicU64);

impl BodyIds {
    /// Numbers of the opening `generation`.
    pub(crate) fn new(generation: u64) -> BodyIds {
        BodyIds(AtomicU64::new(generation << COUNTER_BITS))
    }

    pub(crate) fn next(&self) -> BodyId {
        BodyId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A body that was received whole: a cheap handle to attach to any number of records.
///
/// When the last handle is dropped and no committed batch has linked to it, it is gone.
#[derive(Clone)]
pub struct Body(Arc<Inner>);

struct Inner {
    id: BodyId,
    content: Content,
    stored: AtomicBool,
}

/// Where the octets of a body are before a batch stores it.
pub(crate) enum Content {
    /// In memory, with their CRC-32C.
    Memory { octets: Bytes, crc: u32, _reserved: Reserved },
    /// In a file.
    File(Arc<Spilled>),
}

impl Body {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> BodyId {
        self.0.id
    }

    /// Its size in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0.content {
            Content::Memory { octets, .. } => octets.len() as u64,
            Content::File(spilled) => spilled.len,
        }
    }

    /// Octets that it takes in the journal: none if it is a file.
    pub(crate) fn inline_len(&self) -> u64 {
        if matches!(self.0.content, Content::File(_)) { 0 } else { self.len() }
    }

    /// Whether it has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn content(&self) -> &Content {
        &self.0.content
    }

    /// Whether a batch can store it now: a file may still be on its way to the disk, or have failed to get there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.0.content {
            Content::Memory { .. } => true,
            Content::File(spilled) => spilled.is_placed(),
        }
    }

    /// Waits until a batch can store it.
    pub(crate) async fn ready(&self) -> Result<()> {
        match &self.0.content {
            Content::Memory { .. } => Ok(()),
            Content::File(spilled) => spilled.placed().await,
        }
    }

    /// Whether a committed batch has stored it already.
    pub(crate) fn is_stored(&self) -> bool {
        self.0.stored.load(Ordering::Acquire)
    }

    /// Remembers that a committed batch has stored it.
    pub(crate) fn set_stored(&self) {
        self.0.stored.store(true, Ordering::Release);
        self.keep();
    }

    /// Lets its file stay when nobody here needs it any more.
    pub(crate) fn keep(&self) {
        if let Content::File(spilled) = &self.0.content {
            spilled.keep();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: it is somebody's mail.
        f.debug_struct("Body").field("id", &self.0.id).field("len", &self.len()).finish()
    }
}

/// Takes a body's octets as they arrive.
pub struct BodyWriter {
    id: BodyId,
    memory: Vec<u8>,
    crc: u32,
    reserved: Reserved,
    /// Where large bodies go; an engine in memory has no such place.
    home: Option<Arc<BodyFiles>>,
    file: Option<SpillWriter>,
}

impl BodyWriter {
    pub(crate) fn new(id: BodyId, home: Option<Arc<BodyFiles>>) -> BodyWriter {
        BodyWriter { id, memory: Vec::new(), crc: 0, reserved: Reserved::default(), home, file: None }
    }

    /// Appends bytes. They are taken at once; the answer comes when there may be more. A caller that waits for it keeps
    /// memory bounded while the disk is slow.
    ///
    /// Fails with `Full` or `Failed` when the body has become a file that cannot be written. What fails behind the last
    /// answer is told when the body is committed.
    pub fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        if let Some(home) = &self.home
            && !home.admits(&mut self.reserved, self.memory.len() + bytes.len())
        {
            let mut all = std::mem::take(&mut self.memory);
            all.extend_from_slice(bytes);
            self.reserved = Reserved::default();
            return self.file.insert(home.spill(self.id)).write(&all);
        }
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.memory.extend_from_slice(bytes);
        Pending::ready(Ok(()))
    }

    /// Octets so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.file.as_ref().map_or(self.memory.len() as u64, SpillWriter::len)
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A complete body of octets that are in memory already, and small.
    pub(crate) fn finish_with(mut self, octets: Vec<u8>) -> Body {
        self.crc = crc32c::crc32c(&octets);
        self.memory = octets;
        self.finish()
    }

    /// The body is complete. It is durable once a batch that links to it is.
    #[must_use]
    pub fn finish(self) -> Body {
        let content = match self.file {
            Some(file) => Content::File(file.finish()),
            None => {
                Content::Memory { octets: Bytes::from(self.memory), crc: self.crc, _reserved: self.reserved }
            }
        };
        Body(Arc::new(Inner { id: self.id, content, stored: AtomicBool::new(false) }))
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.id).field("len", &self.len()).finish()
    }
}

/// Reads a stored body in pieces of at most 256 KiB, each checked before it is given out.
pub struct BodyReader {
    engine: SharedEngine,
    id: BodyId,
    len: u64,
    offset: u64,
    piece: Bytes,
}

impl BodyReader {
    pub(crate) fn new(engine: SharedEngine, id: BodyId) -> Result<BodyReader> {
        let len = engine.body_len(id)?;
        Ok(BodyReader { engine, id, len, offset: 0, piece: Bytes::new() })
    }

    /// The whole body's size in octets.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the body has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next octets; `None` at the end.
    ///
    /// # Errors
    /// `Damaged` when they fail their checksum, `Failed` when they cannot be read, `NoBody` when the body was
    /// removed meanwhile.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if !self.piece.is_empty() {
            return Ok(Some(std::mem::take(&mut self.piece)));
        }
        if self.offset >= self.len {
            return Ok(None);
        }
        let piece = self.engine.body(self.id, self.offset)?;
        self.offset += piece.len() as u64;
        Ok(Some(piece))
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.next_piece().map_err(io::Error::other)? else { return Ok(0) };
        let n = piece.len().min(buf.len());
        let taken = piece.split_to(n);
        if let Some(target) = buf.get_mut(..n) {
            target.copy_from_slice(&taken);
        }
        self.piece = piece;
        Ok(n)
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("id", &self.id).field("len", &self.len).finish()
    }
}
