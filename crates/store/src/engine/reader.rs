//! Reads a stored body piece by piece.

use std::{
    fmt,
    io::{self, Read},
    sync::Arc,
};

use bytes::Bytes;

use super::{BodyId, Engine};
use crate::error::Result;

/// Reads a stored body in pieces of up to 256 KiB, each checked before it is given out.
pub struct BodyReader {
    engine: Arc<dyn Engine>,
    id: BodyId,
    len: u64,
    offset: u64,
    piece: Bytes,
}

impl BodyReader {
    pub(crate) fn new(engine: Arc<dyn Engine>, id: BodyId) -> Result<BodyReader> {
        let len = engine.body_len(id)?;
        Ok(BodyReader { engine, id, len, offset: 0, piece: Bytes::new() })
    }

    /// The whole body's size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the body has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next bytes; `None` at the end.
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
