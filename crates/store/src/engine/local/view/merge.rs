//! Several sorted sources read as one, newer ones before older ones.

use std::{cmp::Ordering, sync::Arc};

use bytes::Bytes;

use super::{
    memtable::{MemCursor, Memtable},
    run::{Run, RunCursor},
};
use crate::{engine::Direction, error::Result};

enum Source {
    Memory(MemCursor),
    Run(RunCursor),
}

impl Source {
    fn key(&self) -> Option<&[u8]> {
        match self {
            Source::Memory(cursor) => cursor.row().map(|(key, _)| &key[..]),
            Source::Run(cursor) => cursor.key(),
        }
    }

    fn value(&self) -> Option<&[u8]> {
        match self {
            Source::Memory(cursor) => cursor.row().and_then(|(_, value)| value.as_deref()),
            Source::Run(cursor) => cursor.value(),
        }
    }

    fn row(&self) -> Option<(Bytes, Option<Bytes>)> {
        match self {
            Source::Memory(cursor) => cursor.row().cloned(),
            Source::Run(cursor) => cursor.row(),
        }
    }

    fn advance(&mut self) -> Result<()> {
        match self {
            Source::Memory(cursor) => {
                cursor.advance();
                Ok(())
            }
            Source::Run(cursor) => cursor.advance(),
        }
    }
}

/// The rows of several sources in order. Of a key that several sources have, only the newest source's row counts.
pub(super) struct Merge {
    sources: Vec<Source>,
    direction: Direction,
    /// The sources that have the next key, newest first; the first one has the row.
    best: Vec<usize>,
}

impl Merge {
    /// Merges tables and runs, which come newest first. `key` and `direction` are those of
    /// [`RunCursor::seek`](super::run::RunCursor::seek).
    pub(super) fn seek(
        tables: &[Arc<Memtable>],
        runs: &[Arc<Run>],
        key: Option<&[u8]>,
        direction: Direction,
    ) -> Result<Merge> {
        let mut sources = Vec::with_capacity(tables.len() + runs.len());
        sources.extend(tables.iter().map(|table| Source::Memory(MemCursor::seek(table, key, direction))));
        for run in runs {
            sources.push(Source::Run(RunCursor::seek(run, key, direction)?));
        }
        let mut merge = Merge { sources, direction, best: Vec::new() };
        merge.choose();
        Ok(merge)
    }

    fn choose(&mut self) {
        self.best.clear();
        let mut least: Option<&[u8]> = None;
        for (i, source) in self.sources.iter().enumerate() {
            let Some(key) = source.key() else { continue };
            let order = match (least, self.direction) {
                (None, _) => Ordering::Less,
                (Some(least), Direction::Forward) => key.cmp(least),
                (Some(least), Direction::Backward) => least.cmp(key),
            };
            if order == Ordering::Less {
                least = Some(key);
                self.best.clear();
            }
            if order != Ordering::Greater {
                self.best.push(i);
            }
        }
    }

    fn source(&self) -> Option<&Source> {
        self.sources.get(*self.best.first()?)
    }

    /// The key of the next row.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.source()?.key()
    }

    /// The value of the next row; `None` for a removed key.
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.source()?.value()
    }

    /// The next row; its value is `None` for a removed key.
    pub(super) fn row(&self) -> Option<(Bytes, Option<Bytes>)> {
        self.source()?.row()
    }

    /// Goes on to the next key.
    pub(super) fn advance(&mut self) -> Result<()> {
        for i in &self.best {
            if let Some(source) = self.sources.get_mut(*i) {
                source.advance()?;
            }
        }
        self.choose();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
