//! Walking through a run.

use std::sync::Arc;

use bytes::Bytes;

use super::{Run, covering};
use crate::{
    engine::{Direction, local::view::block::Block},
    error::Result,
};

/// Walks through a run in either direction.
pub(in crate::engine::local::view) struct RunCursor {
    run: Arc<Run>,
    direction: Direction,
    top_row: usize,
    index: Block,
    index_row: usize,
    data: Block,
    /// The row to read next, plus one: zero is before the first.
    next: usize,
    done: bool,
}

impl RunCursor {
    /// Stands before the first row at or behind `key` (forward), or the last row before `key` (backward; `None` is
    /// the end).
    pub(in crate::engine::local::view) fn seek(
        run: &Arc<Run>,
        key: Option<&[u8]>,
        direction: Direction,
    ) -> Result<RunCursor> {
        let last = |block: &Block| block.len().saturating_sub(1);
        let top_row = key.map_or_else(|| last(&run.top), |k| covering(&run.top, k).unwrap_or(0));
        let mut cursor = RunCursor {
            run: Arc::clone(run),
            direction,
            top_row,
            index: Block::default(),
            index_row: 0,
            data: Block::default(),
            next: 0,
            done: run.top.len() == 0,
        };
        if !cursor.done {
            cursor.index = run.below(&run.top, top_row)?;
            cursor.index_row =
                key.map_or_else(|| last(&cursor.index), |k| covering(&cursor.index, k).unwrap_or(0));
            cursor.data = run.below(&cursor.index, cursor.index_row)?;
            let rank = key.map_or(cursor.data.len(), |k| cursor.data.rank(k));
            cursor.next = if direction == Direction::Forward { rank + 1 } else { rank };
            cursor.settle()?;
        }
        Ok(cursor)
    }

    /// Goes on to the next block in this direction at the end of the current one.
    fn settle(&mut self) -> Result<()> {
        match self.direction {
            Direction::Forward if self.next > self.data.len() => self.step_block(),
            Direction::Backward if self.next == 0 => self.step_block(),
            _ => Ok(()),
        }
    }

    fn step_block(&mut self) -> Result<()> {
        let forward = self.direction == Direction::Forward;
        let step = |row: usize, len: usize| {
            if forward { Some(row + 1).filter(|r| *r < len) } else { row.checked_sub(1) }
        };
        if let Some(row) = step(self.index_row, self.index.len()) {
            self.index_row = row;
        } else if let Some(row) = step(self.top_row, self.run.top.len()) {
            self.top_row = row;
            self.index = self.run.below(&self.run.top, row)?;
            self.index_row = if forward { 0 } else { self.index.len().saturating_sub(1) };
        } else {
            self.done = true;
            return Ok(());
        }
        self.data = self.run.below(&self.index, self.index_row)?;
        self.next = if forward { 1 } else { self.data.len() };
        // A block without rows is never written.
        self.done = self.data.len() == 0;
        Ok(())
    }

    pub(in crate::engine::local::view) fn key(&self) -> Option<&[u8]> {
        if self.done { None } else { self.data.key(self.next.checked_sub(1)?) }
    }

    pub(in crate::engine::local::view) fn value(&self) -> Option<&[u8]> {
        self.data.value(self.next.checked_sub(1)?)
    }

    pub(in crate::engine::local::view) fn row(&self) -> Option<(Bytes, Option<Bytes>)> {
        if self.done { None } else { self.data.row(self.next.checked_sub(1)?) }
    }

    pub(in crate::engine::local::view) fn advance(&mut self) -> Result<()> {
        match self.direction {
            Direction::Forward => self.next += 1,
            Direction::Backward => self.next = self.next.saturating_sub(1),
        }
        self.settle()
    }
}
