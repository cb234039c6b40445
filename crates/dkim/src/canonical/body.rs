//! Body canonicalisation (RFC 6376 §3.4.3, §3.4.4) and hashing, as the body arrives.
//!
//! What stands for itself goes to the hash as it is, in as long runs as there are. Line ends, and white space that may
//! turn out to be at the end of a line or of the body, are held back as counts: memory does not grow with the body.

use super::scan::first_change;
use crate::Canonicalization;
use ring::digest::{Context, Digest, SHA256};

/// Runs shorter than this are gathered before they are hashed: a hash takes blocks.
const SHORT_RUN: usize = 256;
/// Octets that are gathered.
const GATHERED: usize = 4096;

/// The hash of a canonical body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyHash {
    /// SHA-256.
    pub(crate) digest: Digest,
    /// Is the body at least as long as the part that was to be hashed?
    pub(crate) complete: bool,
}

/// Canonicalises and hashes one body.
#[derive(Clone)]
pub(crate) struct Canonicalizer {
    kind: Canonicalization,
    held: Held,
    /// Did any text get through yet?
    text: bool,
    sink: Sink,
}

/// What is not decided yet.
#[derive(Clone, Copy, Default)]
struct Held {
    /// Line ends that count only if text follows.
    line_ends: u64,
    /// After them, white space that counts as one space if text follows on its line.
    blank: bool,
    /// After that, a carriage return that is half a line end or text.
    cr: bool,
}

impl Canonicalizer {
    /// Begins a body of which at most `limit` canonical octets are hashed (`l=`).
    pub(crate) fn new(kind: Canonicalization, limit: Option<u64>) -> Self {
        let sink = Sink {
            context: Context::new(&SHA256),
            gathered: Vec::new(),
            left: limit.unwrap_or(u64::MAX),
            limited: limit.is_some(),
        };
        Self { kind, held: Held::default(), text: false, sink }
    }

    /// Takes the next piece of the body. How it is cut makes no difference.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && self.sink.left > 0 {
            let same = self.unchanged(rest);
            let (text, unsure) = rest.split_at_checked(same).unwrap_or((rest, b""));
            if !text.is_empty() {
                self.text = true;
                self.sink.write(text);
            }
            rest = self.careful(unsure);
        }
    }

    /// How many octets of `rest` stand for themselves whatever follows.
    fn unchanged(&self, rest: &[u8]) -> usize {
        if self.held.line_ends > 0 || self.held.blank || self.held.cr {
            return 0;
        }
        let change = match self.kind {
            Canonicalization::Simple => None,
            Canonicalization::Relaxed => first_change::<false>(rest),
        };
        let mut text = rest.get(..change.unwrap_or(rest.len())).unwrap_or(rest);
        // At the end of the piece, half a line end or a space may go on in the next piece.
        if change.is_none() {
            let cut = match text {
                [start @ .., b'\r'] => Some(start),
                [start @ .., b' '] if self.kind == Canonicalization::Relaxed => Some(start),
                _ => None,
            };
            text = cut.unwrap_or(text);
        }
        while let [start @ .., b'\r', b'\n'] = text {
            text = start;
        }
        text.len()
    }

    /// Goes octet by octet to the next one that is text, and returns what is left from there.
    fn careful<'a>(&mut self, unsure: &'a [u8]) -> &'a [u8] {
        let mut rest = unsure;
        while let Some((octet, tail)) = rest.split_first() {
            if std::mem::take(&mut self.held.cr) {
                if *octet == b'\n' {
                    // RFC 6376 §3.4.4: white space at the end of a line does not count.
                    self.held.blank = false;
                    self.held.line_ends += 1;
                    rest = tail;
                    continue;
                }
                // Only CRLF ends a line: this carriage return is text.
                self.release();
                self.sink.write(b"\r");
            }
            match octet {
                b'\r' => {
                    self.held.cr = true;
                    rest = tail;
                }
                b' ' | b'\t' if self.kind == Canonicalization::Relaxed => {
                    self.held.blank = true;
                    let blanks = tail.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
                    rest = tail.get(blanks..).unwrap_or_default();
                }
                _ => {
                    self.release();
                    return rest;
                }
            }
        }
        rest
    }

    /// Text follows: what was held back before it counts.
    fn release(&mut self) {
        self.text = true;
        let Held { line_ends, blank, .. } = std::mem::take(&mut self.held);
        match (line_ends, blank) {
            (0, false) => {}
            (0, true) => self.sink.write(b" "),
            (1, true) => self.sink.write(b"\r\n "),
            (_, false) => self.sink.line_ends(line_ends),
            (_, true) => {
                self.sink.line_ends(line_ends);
                self.sink.write(b" ");
            }
        }
    }

    /// Ends the body.
    pub(crate) fn finish(mut self) -> BodyHash {
        if std::mem::take(&mut self.held.cr) {
            self.release();
            self.sink.write(b"\r");
        }
        // RFC 6376 §3.4.3: simple ends in exactly one CRLF, an empty body too.
        // RFC 6376 §3.4.4: relaxed does so unless nothing is left.
        if self.text || self.kind == Canonicalization::Simple {
            self.sink.line_ends(1);
        }
        self.sink.finish()
    }
}

/// Feeds the hash, up to the limit.
#[derive(Clone)]
struct Sink {
    context: Context,
    gathered: Vec<u8>,
    left: u64,
    limited: bool,
}

impl Sink {
    fn write(&mut self, text: &[u8]) {
        let allowed = usize::try_from(self.left).unwrap_or(usize::MAX);
        let text = text.get(..allowed).unwrap_or(text);
        self.left -= text.len() as u64;
        if text.len() < SHORT_RUN {
            if self.gathered.len() + text.len() > GATHERED {
                self.flush();
            }
            self.gathered.extend_from_slice(text);
        } else {
            self.flush();
            self.context.update(text);
        }
    }

    /// Writes line ends without holding them.
    fn line_ends(&mut self, count: u64) {
        const LINES: [[u8; 2]; 64] = [*b"\r\n"; 64];
        let lines = LINES.as_flattened();
        let mut octets = count.saturating_mul(2);
        while octets > 0 && self.left > 0 {
            let some = octets.min(lines.len() as u64);
            self.write(lines.get(..some as usize).unwrap_or_default());
            octets -= some;
        }
    }

    fn flush(&mut self) {
        self.context.update(&self.gathered);
        self.gathered.clear();
    }

    fn finish(mut self) -> BodyHash {
        self.flush();
        BodyHash { digest: self.context.finish(), complete: !self.limited || self.left == 0 }
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
    /// The SHA-256 of the body in this canonicalisation, if it was made.
    pub fn get(&self, kind: Canonicalization) -> Option<&[u8]> {
        self.0.iter().find(|(made, _)| *made == kind).map(|(_, digest)| digest.as_ref())
    }
}

#[cfg(test)]
mod tests;
