//! Message bodies: written once while they arrive, shared by reference.
//!
//! A body belongs to the engine that began it. Small ones are bytes in memory, which every engine accepts; where large
//! ones go is the engine's business ([`BodySink`]).

use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{error::Result, pending::Pending};

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

    /// Which opening of the engine made this number, if [`Stamps`] made it.
    #[must_use]
    pub fn generation(self) -> u64 {
        self.0 >> COUNTER_BITS
    }
}

/// Gives out the numbers of one opening of an engine: for bodies, and for rows that guard others.
///
/// An engine that counts its openings, durably and before the first number is used, needs nothing else to keep the
/// promise of [`Engine::stamp`](super::Engine::stamp).
#[derive(Debug)]
pub struct Stamps(AtomicU64);

impl Stamps {
    /// Numbers of the opening `generation`, which must be below 2^24.
    #[must_use]
    pub fn new(generation: u64) -> Stamps {
        Stamps(AtomicU64::new(generation << COUNTER_BITS))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A body that was received entirely: a cheap handle to attach to any number of records.
///
/// If the last handle is dropped before a committed batch has linked to the body, the body is gone.
#[derive(Clone)]
pub struct Body(Arc<Inner>);

struct Inner {
    id: BodyId,
    len: u64,
    content: BodyContent,
    stored: AtomicBool,
}

/// Where the bytes of a body are before a batch stores it.
#[derive(Clone)]
pub enum BodyContent {
    /// Bytes that the engine copies or keeps when a batch stores them.
    Memory {
        /// All of them.
        bytes: Bytes,
        /// Their CRC-32C, computed while they arrived.
        crc: u32,
    },
    /// Where the engine's own [`BodySink`] has put them.
    Placed(Arc<dyn PlacedBody>),
}

/// A body at a place of its engine's own, such as a file. The engine gets its own type back with [`Body::placed`].
pub trait PlacedBody: Any + Send + Sync {
    /// Whether a batch can store the body now, without waiting.
    fn is_ready(&self) -> bool;

    /// Waits until a batch can store the body. Fails as [`BodySink::write`] does.
    fn ready(&self) -> Pending<Result<()>>;
}

/// Takes the bytes of one body as they arrive. An engine supplies it with [`BodyWriter::new`] if large bodies must not
/// stay in memory.
pub trait BodySink: Send {
    /// Takes `bytes` at once; the answer comes when there may be more. It fails with `Full` or `Failed` when they
    /// cannot be kept. If the caller ignores a failure, the body must never become ready.
    fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>>;

    /// The body is complete.
    fn finish(self: Box<Self>) -> BodyContent;
}

impl Body {
    /// A complete body of bytes that are in memory already, and small.
    #[must_use]
    pub fn in_memory(id: BodyId, bytes: Vec<u8>) -> Body {
        let (len, crc) = (bytes.len() as u64, crc32c::crc32c(&bytes));
        Body::new(id, len, BodyContent::Memory { bytes: Bytes::from(bytes), crc })
    }

    fn new(id: BodyId, len: u64, content: BodyContent) -> Body {
        Body(Arc::new(Inner { id, len, content, stored: AtomicBool::new(false) }))
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> BodyId {
        self.0.id
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where its bytes are.
    #[must_use]
    pub fn content(&self) -> &BodyContent {
        &self.0.content
    }

    /// The engine's own view of a body that its sink has placed; `None` for bytes in memory, and for bodies of other
    /// engines.
    #[must_use]
    pub fn placed<T: PlacedBody>(&self) -> Option<&T> {
        match &self.0.content {
            BodyContent::Memory { .. } => None,
            BodyContent::Placed(placed) => (&**placed as &dyn Any).downcast_ref(),
        }
    }

    /// Whether a batch can store it now: a file may still be on its way to the disk, or have failed to get there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.0.content {
            BodyContent::Memory { .. } => true,
            BodyContent::Placed(placed) => placed.is_ready(),
        }
    }

    /// Waits until a batch can store it.
    pub fn ready(&self) -> Pending<Result<()>> {
        match &self.0.content {
            BodyContent::Memory { .. } => Pending::ready(Ok(())),
            BodyContent::Placed(placed) => placed.ready(),
        }
    }

    /// Whether a committed batch has stored it already. From then on the engine's count of links decides whether it
    /// exists; this handle cannot bring it back.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.0.stored.load(Ordering::Acquire)
    }

    /// Records that a committed batch has stored it. For engines.
    pub fn set_stored(&self) {
        self.0.stored.store(true, Ordering::Release);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the content: it is private mail.
        f.debug_struct("Body").field("id", &self.id()).field("len", &self.len()).finish()
    }
}

/// Takes a body's bytes as they arrive.
pub struct BodyWriter {
    id: BodyId,
    len: u64,
    sink: Box<dyn BodySink>,
}

impl BodyWriter {
    /// A writer to a place of the engine's own.
    #[must_use]
    pub fn new(id: BodyId, sink: impl BodySink + 'static) -> BodyWriter {
        BodyWriter { id, len: 0, sink: Box::new(sink) }
    }

    /// A writer for an engine that keeps bodies of any size in memory.
    #[must_use]
    pub fn in_memory(id: BodyId) -> BodyWriter {
        BodyWriter::new(id, MemorySink::default())
    }

    /// Appends bytes. They are taken at once; the answer comes when there may be more. A caller that waits for it keeps
    /// memory bounded while the disk is slow.
    ///
    /// Fails with `Full` or `Failed` when the bytes cannot be kept. A failure after the last answer is reported when the
    /// body is committed.
    pub fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        self.len += bytes.len() as u64;
        self.sink.write(bytes)
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The body is complete. It is durable once a batch that links to it is.
    #[must_use]
    pub fn finish(self) -> Body {
        Body::new(self.id, self.len, self.sink.finish())
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("id", &self.id).field("len", &self.len).finish()
    }
}

/// Keeps all bytes in memory.
#[derive(Default)]
struct MemorySink {
    bytes: Vec<u8>,
    crc: u32,
}

impl BodySink for MemorySink {
    fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.bytes.extend_from_slice(bytes);
        Pending::ready(Ok(()))
    }

    fn finish(self: Box<Self>) -> BodyContent {
        BodyContent::Memory { bytes: Bytes::from(self.bytes), crc: self.crc }
    }
}
