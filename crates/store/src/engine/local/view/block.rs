//! Sorted rows in a few KiB: the unit in which the view and snapshots are written, read and checked.
//!
//! A block is its length and a CRC-32C, four bytes each, then rows. A row is three numbers, the rest of its key, and its
//! value. The numbers say how many bytes of the key before it the row shares, how many more its key has, and the length
//! of its value plus one, or zero for a removed key.

use bytes::Bytes;

use crate::codec::{Reader, put_varint};

/// Bytes before the rows.
pub(super) const HEADER: usize = 8;
/// A block is closed when its rows have this many bytes (our own choice: one read, a microsecond to search).
const TARGET: usize = 8 * 1024;
/// No block is larger. One row can exceed [`TARGET`], but values have a limit.
pub(super) const MAX: usize = 256 * 1024;

/// Returns how many bytes two keys have in common at their beginning.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const WORD: usize = 8;
    // Compares words first: keys of one table have long common beginnings.
    let words = a.chunks_exact(WORD).zip(b.chunks_exact(WORD)).take_while(|(a, b)| a == b).count();
    let rest = |key: &'_ [u8]| key.len().min(words * WORD);
    let (a_rest, b_rest) = (a.get(rest(a)..).unwrap_or_default(), b.get(rest(b)..).unwrap_or_default());
    words * WORD + a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b).count()
}

/// Collects rows in ascending order of their keys.
#[derive(Default)]
pub(super) struct Builder {
    out: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Builder {
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.out.is_empty() {
            self.out.resize(HEADER, 0);
            self.first.clear();
            self.first.extend_from_slice(key);
            self.last.clear();
        }
        let shared = common_prefix(&self.last, key);
        let suffix = key.get(shared..).unwrap_or_default();
        put_varint(&mut self.out, shared as u64);
        put_varint(&mut self.out, suffix.len() as u64);
        put_varint(&mut self.out, value.map_or(0, |v| v.len() as u64 + 1));
        self.out.extend_from_slice(suffix);
        self.out.extend_from_slice(value.unwrap_or_default());
        self.last.truncate(shared);
        self.last.extend_from_slice(suffix);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether the next row belongs in another block.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= TARGET
    }

    /// The first key.
    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }

    /// Appends the block to `file` and begins the next; returns its size.
    pub(super) fn finish(&mut self, file: &mut Vec<u8>) -> usize {
        let len = self.out.len();
        let payload = self.out.get(HEADER..).unwrap_or_default();
        let crc = crc32c::crc32c(payload);
        file.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        file.extend_from_slice(&crc.to_le_bytes());
        file.extend_from_slice(payload);
        self.out.clear();
        len
    }
}

/// A decoded block: all its keys, and where its rows are.
#[derive(Clone, Default)]
pub(super) struct Block {
    keys: Bytes,
    data: Bytes,
    rows: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    key: (u32, u32),
    /// `None` for a removed key.
    value: Option<(u32, u32)>,
}

/// The rows of a block, encoded; `None` when its length or checksum is wrong.
pub(super) fn rows(block: &Bytes) -> Option<Bytes> {
    let mut reader = Reader::new(block);
    let len = u32::from_le_bytes(reader.array()?) as usize;
    let crc = u32::from_le_bytes(reader.array()?);
    let rows = reader.take(len)?;
    (reader.is_empty() && crc32c::crc32c(rows) == crc).then(|| block.slice_ref(rows))
}

impl Block {
    /// Decodes the rows of a block (see [`rows`]); `None` when they cannot be decoded.
    pub(super) fn decode(data: &Bytes) -> Option<Block> {
        let mut keys: Vec<u8> = Vec::with_capacity(data.len() * 2);
        let mut rows = Vec::with_capacity(data.len() / 24);
        let mut last = 0..0;
        let mut reader = Reader::new(data);
        while !reader.is_empty() {
            let shared = reader.length()?;
            let suffix = reader.length()?;
            let value = reader.length()?;
            let suffix = reader.take(suffix)?;
            if shared > last.len() || keys.len() + shared + suffix.len() > MAX_KEYS {
                return None;
            }
            let start = keys.len();
            keys.extend_from_within(last.start..last.start + shared);
            keys.extend_from_slice(suffix);
            last = start..keys.len();
            let value = match value.checked_sub(1) {
                None => None,
                Some(len) => {
                    let from = data.len() - reader.rest().len();
                    reader.take(len)?;
                    Some((from as u32, (from + len) as u32))
                }
            };
            rows.push(Place { key: (last.start as u32, last.end as u32), value });
        }
        Some(Block { keys: Bytes::from(keys), data: data.clone(), rows })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn key(&self, i: usize) -> Option<&[u8]> {
        let (from, to) = self.rows.get(i)?.key;
        self.keys.get(from as usize..to as usize)
    }

    /// Row `i`: key, and value unless it is a removed key.
    pub(super) fn row(&self, i: usize) -> Option<(Bytes, Option<Bytes>)> {
        let place = self.rows.get(i)?;
        let key = self.keys.slice(place.key.0 as usize..place.key.1 as usize);
        Some((key, place.value.map(|(from, to)| self.data.slice(from as usize..to as usize))))
    }

    /// The value of row `i`, unless it is a removed key.
    pub(super) fn value(&self, i: usize) -> Option<&[u8]> {
        let (from, to) = self.rows.get(i)?.value?;
        self.data.get(from as usize..to as usize)
    }

    /// Returns how many rows have a key before `key`.
    pub(super) fn rank(&self, key: &[u8]) -> usize {
        self.rows.partition_point(|place| {
            self.keys.get(place.key.0 as usize..place.key.1 as usize).is_some_and(|k| k < key)
        })
    }
}

/// The result of [`search`]: the last row whose key is not behind the key that was searched for.
pub(super) struct Found {
    /// Whether it has that key.
    pub(super) is_exact: bool,
    /// Its value, unless it is a removed key.
    pub(super) value: Option<Bytes>,
}

/// Looks for a key in the encoded rows of a block (see [`rows`]) without decoding all of them. The outer `None` is
/// damage, the inner one that all keys of the block are behind `key`.
pub(super) fn search(rows: &Bytes, key: &[u8]) -> Option<Option<Found>> {
    let mut reader = Reader::new(rows);
    let mut found: Option<(bool, Option<&[u8]>)> = None;
    // How much the last row's key, which is before `key`, has in common with it.
    let mut common = 0;
    let mut last_len = 0;
    while !reader.is_empty() {
        let shared = reader.length()?;
        let suffix = reader.length()?;
        let value = reader.length()?;
        let suffix = reader.take(suffix)?;
        let value = match value.checked_sub(1) {
            None => None,
            Some(len) => Some(reader.take(len)?),
        };
        if shared > last_len {
            return None;
        }
        last_len = shared + suffix.len();
        // A key that shares more with the last one than that with `key` is before it, like the last one.
        if shared <= common {
            common = shared;
            let rest = key.get(common..)?;
            let more = common_prefix(rest, suffix);
            match (rest.get(more), suffix.get(more)) {
                (None, None) => {
                    found = Some((true, value));
                    break;
                }
                (Some(a), Some(b)) if a < b => break,
                (None, Some(_)) => break,
                _ => common += more,
            }
        }
        found = Some((false, value));
    }
    Some(found.map(|(is_exact, value)| Found { is_exact, value: value.map(|v| rows.slice_ref(v)) }))
}

/// Bytes that the decoded keys of one block may take; bounds what a damaged block can claim.
const MAX_KEYS: usize = 16 * 1024 * 1024;

/// For fuzzing: searching the rows of a block finds what decoding them finds.
pub(super) fn check_search(rows: &Bytes) {
    let found = [search(rows, &[]), search(rows, &[0xff; 600])];
    // Searching to the end reads every row; rows that cannot be decoded are damage to both.
    let Some(block) = Block::decode(rows) else { return };
    assert!(found.iter().all(Option::is_some));
    let keys: Vec<_> = (0..block.len()).filter_map(|i| block.key(i)).collect();
    // Only a writer's blocks are in order; of others it is enough that reading them ends.
    if !keys.is_sorted_by(|a, b| a < b) {
        return;
    }
    for (i, key) in keys.iter().enumerate() {
        let found = search(rows, key).flatten();
        assert!(found.is_some_and(|f| f.is_exact && f.value.as_deref() == block.value(i)));
    }
}

#[cfg(test)]
mod tests;
