//! Takes bodies as they arrive: small ones in memory, from where they go into the journal, large ones in files.

use std::sync::Arc;

use bytes::Bytes;

use super::bodies::{BodyFiles, ReservedMemory, SpillWriter, Spilled};
use crate::{
    engine::{Body, BodyContent, BodyId, BodySink, PlacedBody},
    error::Result,
    pending::Pending,
};

/// The sink of one body.
pub(super) struct LocalSink {
    id: BodyId,
    bytes: Vec<u8>,
    crc: u32,
    reserved: ReservedMemory,
    home: Arc<BodyFiles>,
    /// The file, once the body has become one; `bytes` is empty then.
    file: Option<SpillWriter>,
}

/// Bytes of a body, and the memory that is accounted for them.
struct Accounted {
    bytes: Vec<u8>,
    _reserved: ReservedMemory,
}

impl AsRef<[u8]> for Accounted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl LocalSink {
    pub(super) fn new(id: BodyId, home: Arc<BodyFiles>) -> LocalSink {
        LocalSink { id, bytes: Vec::new(), crc: 0, reserved: ReservedMemory::default(), home, file: None }
    }
}

impl BodySink for LocalSink {
    fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        if let Some(file) = &mut self.file {
            return file.write(bytes);
        }
        if self.home.admits(&mut self.reserved, self.bytes.len() + bytes.len()) {
            self.crc = crc32c::crc32c_append(self.crc, bytes);
            self.bytes.extend_from_slice(bytes);
            return Pending::ready(Ok(()));
        }
        let mut all = std::mem::take(&mut self.bytes);
        all.extend_from_slice(bytes);
        self.reserved = ReservedMemory::default();
        self.file.insert(self.home.spill(self.id)).write(&all)
    }

    fn finish(self: Box<Self>) -> BodyContent {
        match self.file {
            Some(file) => BodyContent::Placed(file.finish()),
            None => {
                let accounted = Accounted { bytes: self.bytes, _reserved: self.reserved };
                BodyContent::Memory { bytes: Bytes::from_owner(accounted), crc: self.crc }
            }
        }
    }
}

impl PlacedBody for Spilled {
    fn is_ready(&self) -> bool {
        self.is_placed()
    }

    fn ready(&self) -> Pending<Result<()>> {
        self.placed()
    }
}

/// Bytes that `body` takes in the journal: none if it is a file.
pub(super) fn inline_len(body: &Body) -> u64 {
    match body.content() {
        BodyContent::Memory { .. } => body.len(),
        BodyContent::Placed(_) => 0,
    }
}

/// Lets the file of `body` stay when its last handle is dropped.
pub(super) fn keep(body: &Body) {
    if let Some(spilled) = body.placed::<Spilled>() {
        spilled.keep();
    }
}
