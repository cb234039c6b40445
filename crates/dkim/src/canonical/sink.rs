//! The hash of a body, up to a limit of bytes.

use super::squeeze::{ROOM, squeeze};
use ring::digest::{Context, Digest, SHA256};

/// Bytes that are collected before they are hashed: hashing is faster over long runs, and this many stay in the processor's
/// first cache.
const GATHERED: usize = 4096;
const _: () = assert!(GATHERED >= ROOM, "a block must find room where nothing is gathered");

/// The hash of a canonical body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyHash {
    /// SHA-256.
    pub(crate) digest: Digest,
    /// Whether the body is at least as long as the part that was to be hashed.
    pub(crate) complete: bool,
}

/// Feeds the hash, up to the limit.
#[derive(Clone)]
pub(super) struct Sink {
    context: Context,
    gathered: Vec<u8>,
    /// Bytes in `gathered`.
    filled: usize,
    /// Bytes that the hash still takes.
    left: u64,
    limited: bool,
}

impl Sink {
    /// Creates a sink that hashes up to `limit` bytes.
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self {
            context: Context::new(&SHA256),
            gathered: vec![0; GATHERED],
            filled: 0,
            left: limit.unwrap_or(u64::MAX),
            limited: limit.is_some(),
        }
    }

    /// Whether the limit is reached, so that further text makes no difference.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Hashes text unchanged.
    pub(super) fn write(&mut self, text: &[u8]) {
        let free = self.gathered.get_mut(self.filled..).and_then(|free| free.get_mut(..text.len()));
        match free {
            Some(free) => {
                free.copy_from_slice(text);
                self.filled += text.len();
            }
            None => {
                self.flush();
                hash(&mut self.context, &mut self.left, text);
            }
        }
    }

    /// Hashes text, relaxed. It must not begin or end with white space.
    pub(super) fn write_squeezed(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let free = self.gathered.get_mut(self.filled..).unwrap_or_default();
            let (read, written) = squeeze(rest, free);
            self.filled += written;
            rest = rest.get(read..).unwrap_or_default();
            if !rest.is_empty() {
                self.flush();
            }
        }
    }

    /// Hashes line ends.
    pub(super) fn line_ends(&mut self, count: u64) {
        const LINES: [[u8; 2]; 64] = [*b"\r\n"; 64];
        let lines = LINES.as_flattened();
        let mut bytes = count.saturating_mul(2);
        while bytes > 0 && !self.is_full() {
            let some = bytes.min(lines.len() as u64);
            self.write(lines.get(..some as usize).unwrap_or_default());
            bytes -= some;
        }
    }

    fn flush(&mut self) {
        let gathered = self.gathered.get(..self.filled).unwrap_or_default();
        hash(&mut self.context, &mut self.left, gathered);
        self.filled = 0;
    }

    /// Ends the body.
    pub(super) fn finish(mut self) -> BodyHash {
        self.flush();
        BodyHash { digest: self.context.finish(), complete: !self.limited || self.left == 0 }
    }
}

/// Hashes the text, up to `left` bytes of it.
fn hash(context: &mut Context, left: &mut u64, text: &[u8]) {
    let allowed = usize::try_from(*left).unwrap_or(usize::MAX);
    let text = text.get(..allowed).unwrap_or(text);
    *left -= text.len() as u64;
    context.update(text);
}
