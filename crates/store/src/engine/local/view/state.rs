//! The parts of the view at one moment: tables in memory and runs on disk.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Rows, Walk, cache::BlockCache, filter::KeyHash, manifest::Manifest, memtable::Memtable, merge::Merge,
    run::Run,
};
use crate::{
    engine::{Direction, KeyRange, Page, local::journal::Position},
    error::Result,
};

/// The tables and runs that have the rows.
#[derive(Clone, Default)]
pub(super) struct State {
    /// Takes what is committed.
    pub(super) active: Arc<Memtable>,
    /// Full, and being written as a run.
    pub(super) frozen: Option<Arc<Memtable>>,
    /// Newest first.
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) manifest: Manifest,
    pub(super) cache: Arc<BlockCache>,
}

impl State {
    /// The tables, newest first.
    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    /// The newest value of a key in the tables: `None` if they do not have it, `Some(None)` if it was removed.
    pub(super) fn newest(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.tables().find_map(|table| table.get(key))
    }

    /// Sets the newest rows aside, unless there are none or others still wait.
    pub(super) fn freeze(&mut self) {
        if self.frozen.is_none() && !self.active.is_empty() {
            self.frozen = Some(std::mem::take(&mut self.active));
        }
    }

    /// Bytes of live bodies in each segment.
    pub(super) fn live(&self) -> BTreeMap<u64, u64> {
        let mut live = self.manifest.live.clone();
        // The frozen rows are older than the active ones.
        for table in self.frozen.iter().chain([&self.active]) {
            for (segment, change) in &table.read().live {
                let alive = live.entry(*segment).or_default();
                *alive = alive.saturating_add_signed(*change);
            }
        }
        live
    }
}

impl Rows for State {
    fn position(&self) -> Position {
        let newest = self.tables().find_map(|table| table.read().position);
        newest.unwrap_or(self.manifest.position)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(value) = self.newest(key) {
            return Ok(value);
        }
        let hash = KeyHash::of(key);
        for run in &self.runs {
            if let Some(value) = run.get(key, hash, &self.cache)? {
                return Ok(value);
            }
        }
        Ok(None)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        let tables: Vec<_> = self.tables().cloned().collect();
        let from = match direction {
            Direction::Forward => Some(range.start.as_slice()),
            Direction::Backward => range.end.as_deref(),
        };
        let mut merge = Merge::seek(&tables, &self.runs, from, direction)?;
        let mut page = Page::default();
        while let Some((key, value)) = merge.row() {
            if !range.contains(&key) {
                break;
            }
            if let Some(value) = value {
                if page.rows.len() == limit {
                    page.more = true;
                    break;
                }
                page.rows.push((key, value));
            }
            merge.advance()?;
        }
        Ok(page)
    }

    fn walk(&self, from: &[u8]) -> Result<Box<dyn Walk>> {
        let tables: Vec<_> = self.tables().cloned().collect();
        Ok(Box::new(Present::seek(&tables, &self.runs, from)?))
    }

    fn verify(&self, found: &mut dyn FnMut(&Path, u64)) {
        self.runs.iter().for_each(|run| run.verify(|offset| found(run.path(), offset)));
    }
}

/// Goes through the rows of several sources, without removed keys.
pub(super) struct Present(Merge);

impl Present {
    /// Stands before the first row whose key is `from` or behind it. Tables and runs come newest first.
    pub(super) fn seek(tables: &[Arc<Memtable>], runs: &[Arc<Run>], from: &[u8]) -> Result<Present> {
        let mut rows = Present(Merge::seek(tables, runs, Some(from), Direction::Forward)?);
        rows.skip_removed()?;
        Ok(rows)
    }

    fn skip_removed(&mut self) -> Result<()> {
        while self.0.key().is_some() && self.0.value().is_none() {
            self.0.advance()?;
        }
        Ok(())
    }
}

impl Walk for Present {
    fn row(&self) -> Option<(&[u8], &[u8])> {
        self.0.key().zip(self.0.value())
    }

    fn advance(&mut self) -> Result<()> {
        self.0.advance()?;
        self.skip_removed()
    }
}
