//! Body canonicalisation (RFC 6376 §3.4.3, §3.4.4) and hashing, as the body arrives.
//!
//! Line ends, and white space that may turn out to be at the end of a line or of the body, are held back as counts, so
//! that memory does not grow with the body. The slow path handles single bytes, and is only needed at the edges of a
//! piece: what lies between its first and its last text does not depend on later pieces, and takes the fast path.

use super::is_blank;
use super::sink::{BodyHash, Sink};
use crate::Canonicalization;
use ring::digest::Digest;

/// Canonicalises and hashes one body.
#[derive(Clone)]
pub(crate) struct Canonicalizer {
    kind: Canonicalization,
    held: Held,
    /// Whether any text was hashed so far.
    text: bool,
    sink: Sink,
}

/// Bytes that were read, but whose place in the canonical body depends on what follows.
#[derive(Clone, Copy, Default)]
struct Held {
    /// Line ends that count only if text follows.
    line_ends: u64,
    /// Whether white space follows them; it counts as one space if text follows on its line.
    blank: bool,
    /// Whether a carriage return follows that; it is half a line end, or text.
    cr: bool,
}

impl Canonicalizer {
    /// Begins a body of which up to `limit` canonicalised bytes are hashed (`l=`).
    pub(crate) fn new(kind: Canonicalization, limit: Option<u64>) -> Self {
        Self { kind, held: Held::default(), text: false, sink: Sink::new(limit) }
    }

    /// Takes the next piece of the body. Where pieces are cut makes no difference.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        if self.sink.is_full() {
            return;
        }
        let rest = self.hold(piece);
        let (text, edge) = rest.split_at_checked(self.text_end(rest)).unwrap_or((rest, b""));
        if !text.is_empty() {
            self.release();
            match self.kind {
                Canonicalization::Simple => self.sink.write(text),
                Canonicalization::Relaxed => self.sink.write_squeezed(text),
            }
        }
        self.hold(edge);
    }

    /// Whether this is white space that may be removed.
    fn is_blank(&self, byte: u8) -> bool {
        self.kind == Canonicalization::Relaxed && is_blank(byte)
    }

    /// Holds back white space and line ends, byte by byte, and returns the rest from the first text on.
    fn hold<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let mut rest = piece;
        while let Some((byte, tail)) = rest.split_first() {
            let blank = self.is_blank(*byte);
            if *byte == b'\n' && self.held.cr {
                // RFC 6376 §3.4.4: white space at the end of a line does not count.
                self.held = Held { line_ends: self.held.line_ends + 1, ..Held::default() };
            } else if *byte == b'\r' || blank {
                if self.held.cr {
                    // Only CRLF ends a line: that carriage return is text.
                    self.release();
                }
                self.held.cr = !blank;
                self.held.blank |= blank;
            } else {
                break;
            }
            rest = tail;
        }
        rest
    }

    /// Returns where the text ends that does not depend on what follows.
    fn text_end(&self, piece: &[u8]) -> usize {
        let mut text = piece;
        loop {
            text = match text {
                [start @ .., b'\r', b'\n'] | [start @ .., b'\r'] => start,
                [start @ .., byte] if self.is_blank(*byte) => start,
                _ => return text.len(),
            };
        }
    }

    /// Hashes what was held back, because text follows.
    fn release(&mut self) {
        self.text = true;
        let Held { line_ends, blank, cr } = std::mem::take(&mut self.held);
        self.sink.line_ends(line_ends);
        if blank {
            self.sink.write(b" ");
        }
        if cr {
            self.sink.write(b"\r");
        }
    }

    /// Ends the body.
    pub(crate) fn finish(mut self) -> BodyHash {
        if self.held.cr {
            // Half a line end is text.
            self.release();
        }
        // RFC 6376 §3.4.3: simple ends in exactly one CRLF, an empty body too.
        // RFC 6376 §3.4.4: relaxed does so unless the body is empty.
        if self.text || self.kind == Canonicalization::Simple {
            self.sink.line_ends(1);
        }
        self.sink.finish()
    }
}

/// Hashes a body that is to be signed, once for each canonicalisation.
#[derive(Clone)]
pub struct BodyHasher(Vec<Canonicalizer>);

impl BodyHasher {
    /// Begins a body. Canonicalisations may be named more than once.
    pub fn new(kinds: impl IntoIterator<Item = Canonicalization>) -> Self {
        let mut hashers: Vec<Canonicalizer> = Vec::new();
        for kind in kinds {
            if hashers.iter().all(|hasher| hasher.kind != kind) {
                hashers.push(Canonicalizer::new(kind, None));
            }
        }
        Self(hashers)
    }

    /// Takes the next piece of the body; lines end in CRLF.
    pub fn update(&mut self, piece: &[u8]) {
        for hasher in &mut self.0 {
            hasher.push(piece);
        }
    }

    /// Ends the body.
    pub fn finish(self) -> BodyHashes {
        BodyHashes(self.0.into_iter().map(|hasher| (hasher.kind, hasher.finish().digest)).collect())
    }
}

impl std::fmt::Debug for BodyHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|hasher| hasher.kind)).finish()
    }
}

/// The hashes of one body.
#[derive(Debug, Clone)]
pub struct BodyHashes(Vec<(Canonicalization, Digest)>);

impl BodyHashes {
    /// Returns the SHA-256 of the body in this canonicalisation, if it was computed.
    pub fn get(&self, kind: Canonicalization) -> Option<&[u8]> {
        self.0.iter().find(|(made, _)| *made == kind).map(|(_, digest)| digest.as_ref())
    }
}

#[cfg(test)]
mod tests;
