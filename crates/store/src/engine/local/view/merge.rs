//! Several sorted sources read as one, newer ones before older ones.

use std::sync::Arc;

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

/// The rows of several sources in order, each key once, as its newest source has it.
pub(in crate::engine::local) struct Merge {
    sources: Vec<Source>,
    direction: Direction,
    /// The source that has the next row.
    best: Option<usize>,
}

impl Merge {
    /// Merges tables and runs, newest first; where it begins is told as for
    /// [`RunCursor::seek`](super::run::RunCursor::seek).
    pub(in crate::engine::local) fn seek(
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
        let mut merge = Merge { sources, direction, best: None };
        merge.choose();
        Ok(merge)
    }

    fn choose(&mut self) {
        let mut best: Option<(usize, &[u8])> = None;
        for (i, source) in self.sources.iter().enumerate() {
            let Some(key) = source.key() else { continue };
            let better = best.is_none_or(|(_, b)| match self.direction {
                Direction::Forward => key < b,
                Direction::Backward => key > b,
            });
            if better {
                best = Some((i, key));
            }
        }
        self.best = best.map(|(i, _)| i);
    }

    fn source(&self) -> Option<&Source> {
        self.sources.get(self.best?)
    }

    /// The key of the next row.
    pub(in crate::engine::local) fn key(&self) -> Option<&[u8]> {
        self.source()?.key()
    }

    /// The value of the next row; `None` for a removed key.
    pub(in crate::engine::local) fn value(&self) -> Option<&[u8]> {
        self.source()?.value()
    }

    /// The next row; its value is `None` for a removed key.
    pub(super) fn row(&self) -> Option<(Bytes, Option<Bytes>)> {
        self.source()?.row()
    }

    /// Goes on to the next key.
    pub(in crate::engine::local) fn advance(&mut self) -> Result<()> {
        let Some(best) = self.best else { return Ok(()) };
        // Older sources that have the same key have been overruled. Newer ones cannot have it: the best is the first.
        let (newer, older) = self.sources.split_at_mut(best + 1);
        if let Some(source) = newer.last_mut() {
            for other in older {
                if other.key().is_some() && other.key() == source.key() {
                    other.advance()?;
                }
            }
            source.advance()?;
        }
        self.choose();
        Ok(())
    }
}
