//! The newest rows, in memory until they are written as a run.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::Changes;
use crate::engine::{Direction, local::journal::Position};

/// Memory that a row takes besides its bytes, roughly: two handles and its share of a tree node.
const ROW_OVERHEAD: usize = 150;
/// Rows that a cursor copies at a time.
const CHUNK: usize = 256;

/// Rows of the journal that no run has yet.
#[derive(Default)]
pub(super) struct Memtable(RwLock<Table>);

/// The content of a [`Memtable`].
#[derive(Default)]
pub(super) struct Table {
    rows: BTreeMap<RowKey, Option<Bytes>>,
    /// Bytes that it takes in memory, roughly.
    pub(super) size: usize,
    /// Bytes of the operations that its rows come from.
    pub(super) journaled: u64,
    /// The journal position that it reflects; `None` while it is empty.
    pub(super) position: Option<Position>,
    /// By how much its rows change the live bytes of each segment.
    pub(super) live: BTreeMap<u64, i64>,
}

impl Table {
    /// Applies the changes of a frame: the table reflects the journal up to its end then.
    pub(super) fn apply(&mut self, changes: Changes) {
        for (key, value) in changes.rows {
            self.set(key, value);
        }
        for (segment, change) in changes.live {
            *self.live.entry(segment).or_default() += change;
        }
        self.journaled += changes.journaled;
        self.position = Some(changes.end);
    }

    /// Sets a row, or removes it.
    pub(super) fn set(&mut self, key: Bytes, value: Option<Bytes>) {
        let value_len = value.as_ref().map_or(0, Bytes::len);
        let key_len = key.len();
        match self.rows.insert(RowKey::from(key), value) {
            None => self.size += key_len + value_len + ROW_OVERHEAD,
            Some(old) => self.size = (self.size + value_len).saturating_sub(old.map_or(0, |v| v.len())),
        }
    }
}

/// A key with its first bytes inline: most comparisons need no others, which are elsewhere in memory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    /// The first sixteen bytes, most significant first, padded with zeros: they order as the bytes do.
    head: u128,
    bytes: Bytes,
}

impl From<Bytes> for RowKey {
    fn from(bytes: Bytes) -> RowKey {
        let mut head = [0; 16];
        for (to, from) in head.iter_mut().zip(&bytes) {
            *to = *from;
        }
        RowKey { head: u128::from_be_bytes(head), bytes }
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
        self.rows.iter().map(|(key, value)| (&key.bytes, value.as_ref()))
    }
}

impl Memtable {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.read().rows.get(&RowKey::of(key)).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read().position.is_none()
    }
}

/// Walks through a memtable in either direction. It copies a chunk of rows at a time and does not lock the table in
/// between.
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
        let copy = |(key, value): (&RowKey, &Option<Bytes>)| (key.bytes.clone(), value.clone());
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
