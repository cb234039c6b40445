//! The newest rows, in memory until they are written as a run.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;

use crate::engine::{Direction, local::journal::Position};

/// What a row costs in memory besides its octets, roughly: two handles and its share of a tree node.
const ROW_OVERHEAD: usize = 150;
/// Rows that a cursor copies at a time.
const CHUNK: usize = 256;

/// Rows of the journal that no run has yet.
#[derive(Default)]
pub(in crate::engine::local) struct Memtable(RwLock<Table>);

/// The content of a [`Memtable`].
#[derive(Default)]
pub(in crate::engine::local) struct Table {
    rows: BTreeMap<RowKey, Option<Bytes>>,
    /// Octets it takes, roughly.
    pub(in crate::engine::local) size: usize,
    /// Octets of operations it came from.
    pub(in crate::engine::local) journaled: u64,
    /// The end of the journal's part that it holds; `None` while it is empty.
    pub(in crate::engine::local) position: Option<Position>,
    /// How much the octets alive in each segment change by it.
    pub(in crate::engine::local) live: BTreeMap<u64, i64>,
}

impl Table {
    /// Sets a row, or removes it.
    pub(in crate::engine::local) fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        let value_len = value.as_ref().map_or(0, Bytes::len);
        let key_len = key.len();
        match self.rows.insert(RowKey::from(key), value) {
            None => self.size += key_len + value_len + ROW_OVERHEAD,
            Some(old) => self.size = (self.size + value_len).saturating_sub(old.map_or(0, |v| v.len())),
        }
    }
}

/// A key with its first octets at hand: most comparisons need no others, which would have to be fetched from elsewhere
/// in memory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    /// Sixteen octets, most significant first, filled up with zeros: they compare as the octets do.
    head: u128,
    octets: Bytes,
}

impl From<Bytes> for RowKey {
    fn from(octets: Bytes) -> RowKey {
        let mut head = [0; 16];
        for (to, from) in head.iter_mut().zip(&octets) {
            *to = *from;
        }
        RowKey { head: u128::from_be_bytes(head), octets }
    }
}

impl RowKey {
    fn of(key: &[u8]) -> RowKey {
        RowKey::from(Bytes::copy_from_slice(key))
    }
}

impl Table {
    /// How many rows it has, with removed keys.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// All rows in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.rows.iter().map(|(key, value)| (&key.octets, value.as_ref()))
    }
}

impl Memtable {
    pub(in crate::engine::local) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::engine::local) fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.read().rows.get(&RowKey::of(key)).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read().position.is_none()
    }
}

/// Walks through a memtable in either direction, a chunk at a time, so that it is not locked meanwhile.
pub(super) struct MemCursor {
    table: Arc<Memtable>,
    direction: Direction,
    chunk: Vec<(Bytes, Option<Bytes>)>,
    next: usize,
    more: bool,
}

impl MemCursor {
    /// As [`RunCursor::seek`](super::run::RunCursor::seek).
    pub(super) fn seek(table: &Arc<Memtable>, key: Option<&[u8]>, direction: Direction) -> MemCursor {
        let mut cursor =
            MemCursor { table: Arc::clone(table), direction, chunk: Vec::new(), next: 0, more: true };
        let start = match direction {
            Direction::Forward => key.map_or(Bound::Unbounded, Bound::Included),
            Direction::Backward => key.map_or(Bound::Unbounded, Bound::Excluded),
        };
        cursor.fill(start);
        cursor
    }

    fn fill(&mut self, from: Bound<&[u8]>) {
        let table = self.table.read();
        let from = from.map(RowKey::of);
        let copy = |(key, value): (&RowKey, &Option<Bytes>)| (key.octets.clone(), value.clone());
        self.chunk = match self.direction {
            Direction::Forward => table.rows.range((from, Bound::Unbounded)).take(CHUNK).map(copy).collect(),
            Direction::Backward => {
                table.rows.range((Bound::Unbounded, from)).rev().take(CHUNK).map(copy).collect()
            }
        };
        self.more = self.chunk.len() == CHUNK;
        self.next = 0;
    }

    pub(super) fn row(&self) -> Option<&(Bytes, Option<Bytes>)> {
        self.chunk.get(self.next)
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
        if self.next >= self.chunk.len() && self.more {
            match self.chunk.pop() {
                Some((last, _)) => self.fill(Bound::Excluded(&last)),
                None => self.more = false,
            }
        }
    }
}

#[cfg(test)]
mod tests;
