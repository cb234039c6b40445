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

use super::SharedEngine;
use crate::error::Result;

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
    memory: Bytes,
    stored: AtomicBool,
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
        self.0.memory.len() as u64
    }

    /// Whether it has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The content, when it is in memory.
    pub(crate) fn memory(&self) -> &Bytes {
        &self.0.memory
    }

    /// Whether a committed batch has stored it already.
    pub(crate) fn is_stored(&self) -> bool {
        self.0.stored.load(Ordering::Acquire)
    }

    /// Remembers that a committed batch has stored it.
    pub(crate) fn set_stored(&self) {
        self.0.stored.store(true, Ordering::Release);
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
}

impl BodyWriter {
    pub(crate) fn in_memory(id: BodyId) -> BodyWriter {
        BodyWriter { id, memory: Vec::new() }
    }

    /// Appends octets. Quick enough to be called from a task: at most a copy into the page cache.
    ///
    /// # Errors
    /// `Full` or `Failed` when the body has become a file that cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(bytes);
        Ok(())
    }

    /// Octets so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A complete body of octets that are in memory already; what was written before is dropped.
    pub(crate) fn finish_with(mut self, bytes: Vec<u8>) -> Body {
        self.memory = bytes;
        self.finish()
    }

    /// The body is complete. It is durable once a batch that links to it is.
    #[must_use]
    pub fn finish(self) -> Body {
        Body(Arc::new(Inner {
            id: self.id,
            memory: Bytes::from(self.memory),
            stored: AtomicBool::new(false),
        }))
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
