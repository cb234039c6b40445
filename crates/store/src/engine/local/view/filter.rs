//! A Bloom filter: says of nearly every key that a run does not have that the run does not have it, without reading
//! the run. It never says so of a key that the run has.
//!
//! The filter consists of lines of 512 bits. A key has one line, and sets a few bits in it, so that a look-up touches
//! one cache line of memory. In a file the lines stand behind a version and the number of bits that a key sets, one
//! byte each, and before a CRC-32C of all that.

use crate::error::Result;

/// Version of the encoded form.
const VERSION: u8 = 1;
/// Bits for each key (our own choice: one absent key in a hundred passes).
const BITS_PER_KEY: u64 = 10;
/// Bits that a key sets; more would fill the lines too much.
const MAX_PROBES: u8 = 6;
/// Bytes of a line.
const LINE: usize = 64;
/// Bytes before and behind the lines in the encoded form.
const PREFIX: usize = 2;
const CRC: usize = 4;
/// Bytes that are read at a time.
const PIECE: u64 = 1024 * LINE as u64;
/// Bits of a bit's number in its line.
const POSITION: u32 = 9;
/// A filter takes no more bytes in memory. Beyond seven million keys they have fewer bits each, and more absent keys
/// pass.
const MAX: u64 = 8 * 1024 * 1024;
/// Lines are rounded up to a multiple of this, so that a filter made for too many keys can be halved.
const GRAIN: u64 = 16;

/// A key's hash, the same in every process and version: filters are stored.
///
/// An attacker may choose keys that collide. All that gains is a read of the run, as if there were no filter.
#[derive(Clone, Copy)]
pub(super) struct KeyHash(u64);

impl KeyHash {
    pub(super) fn of(key: &[u8]) -> KeyHash {
        // A CRC of similar keys is far from random; the finalizer of MurmurHash3 spreads it over all bits.
        let mut h = u64::from(crc32c::crc32c(key));
        h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        KeyHash(h ^ (h >> 33))
    }

    /// The key's line among `lines`.
    fn line(self, lines: usize) -> usize {
        (((self.0 >> 32) * lines as u64) >> 32) as usize
    }

    /// The key's bits in its line: the word, and the bit in it.
    fn bits(self, probes: u8) -> impl Iterator<Item = (usize, u64)> {
        // Golden ratio: the bits do not depend on those that chose the line.
        let mut positions = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..probes).map(move |_| {
            positions = positions.rotate_left(POSITION);
            let position = positions & ((1 << POSITION) - 1);
            ((position >> 6) as usize, 1 << (position & 63))
        })
    }
}

/// A line, in one cache line of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
struct Line([u64; LINE / 8]);

impl Line {
    fn encode(&self) -> [u8; LINE] {
        let mut bytes = [0; LINE];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Line {
        let mut line = Line::default();
        for (to, word) in line.0.iter_mut().zip(bytes.as_chunks().0) {
            *to = u64::from_le_bytes(*word);
        }
        line
    }
}

/// The filter of a run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    probes: u8,
    lines: Vec<Line>,
}

impl Filter {
    /// An empty filter for up to `keys` keys.
    pub(super) fn for_keys(keys: u64) -> Filter {
        let bits = keys.saturating_mul(BITS_PER_KEY).clamp(1, MAX * 8);
        let lines = bits.div_ceil(LINE as u64 * 8).next_multiple_of(GRAIN);
        // The number of bits at which fewest absent keys pass is ln 2 for each bit of a key's share.
        let probes = (bits * 69 / 100).checked_div(keys).unwrap_or(1).clamp(1, MAX_PROBES.into());
        Filter { probes: probes as u8, lines: vec![Line::default(); lines as usize] }
    }

    pub(super) fn insert(&mut self, hash: KeyHash) {
        let line = hash.line(self.lines.len());
        let Some(Line(words)) = self.lines.get_mut(line) else { return };
        for (word, bit) in hash.bits(self.probes) {
            words.iter_mut().skip(word).take(1).for_each(|word| *word |= bit);
        }
    }

    /// Whether the key may be among those inserted. All that were are; of others about one in a hundred.
    pub(super) fn may_contain(&self, hash: KeyHash) -> bool {
        let Some(Line(words)) = self.lines.get(hash.line(self.lines.len())) else { return true };
        hash.bits(self.probes).all(|(word, bit)| words.get(word).is_none_or(|word| word & bit != 0))
    }

    /// Gives back what memory the filter does not need, now that it has all of its `keys` keys.
    pub(super) fn shrink(&mut self, keys: u64) {
        let needed = keys.saturating_mul(BITS_PER_KEY).div_ceil(LINE as u64 * 8).max(1);
        while self.lines.len().is_multiple_of(2) && self.lines.len() as u64 / 2 >= needed {
            // The key's line among half as many is half the number of its line.
            let halved = self.lines.chunks_exact(2).map(|pair| {
                let mut line = Line::default();
                for Line(words) in pair {
                    line.0.iter_mut().zip(words).for_each(|(to, from)| *to |= from);
                }
                line
            });
            self.lines = halved.collect();
        }
    }

    /// Calls `write` with the encoded form, piece by piece: it may be large.
    pub(super) fn encode(&self, mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut crc = 0;
        let mut write_counted = |bytes: &[u8]| {
            crc = crc32c::crc32c_append(crc, bytes);
            write(bytes)
        };
        write_counted(&[VERSION, self.probes])?;
        self.lines.iter().try_for_each(|line| write_counted(&line.encode()))?;
        write(&crc.to_le_bytes())
    }

    /// Reads an encoded form of `len` bytes; `read` gives bytes of it by offset and length. `None` is damage.
    pub(super) fn decode(
        len: u64,
        mut read: impl FnMut(u64, u64) -> Result<Vec<u8>>,
    ) -> Result<Option<Filter>> {
        let is_filter = |lines: &u64| *lines > 0 && lines.is_multiple_of(LINE as u64);
        if len.checked_sub((PREFIX + CRC) as u64).filter(is_filter).is_none() {
            return Ok(None);
        }
        let prefix = read(0, PREFIX as u64)?;
        let mut crc = crc32c::crc32c(&prefix);
        // No more is set aside than a filter has: the length may be damaged.
        let mut lines = Vec::with_capacity((len.min(MAX) / LINE as u64) as usize);
        let (mut at, end) = (PREFIX as u64, len - CRC as u64);
        while at < end {
            let piece = read(at, PIECE.min(end - at))?;
            crc = crc32c::crc32c_append(crc, &piece);
            lines.extend(piece.chunks_exact(LINE).map(Line::decode));
            at += piece.len() as u64;
        }
        let is_whole = read(end, CRC as u64)? == crc.to_le_bytes();
        Ok(match prefix[..] {
            [VERSION, probes] if is_whole && probes > 0 => Some(Filter { probes, lines }),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
