//! Rows as of one moment, while commits go on.

use bytes::Bytes;

use super::{
    Shared,
    view::{Rows, View},
};
use crate::{
    engine::{BodyId, Direction, KeyRange, Page, ReadRows},
    error::{Error, Result},
};

pub(super) struct Snapshot<'a> {
    shared: &'a Shared,
    rows: Box<dyn Rows>,
}

impl<'a> Snapshot<'a> {
    /// The rows as they are now.
    pub(super) fn take(shared: &'a Shared) -> Result<Snapshot<'a>> {
        Ok(Snapshot { shared, rows: rows(shared)? })
    }

    fn note(&self, e: &Error) {
        self.shared.note_damage(e);
    }
}

/// Returns all rows as they are now.
pub(super) fn rows(shared: &Shared) -> Result<Box<dyn Rows>> {
    let rows = settled(&*shared.view, || shared.maintenance.flush())?;
    // The newest rows were set aside, and wait to be written.
    shared.maintenance.wake();
    Ok(rows)
}

/// Returns all rows of a view as they are now. Calls `flush` while rows that were set aside before wait to be written.
pub(super) fn settled(view: &dyn View, mut flush: impl FnMut() -> Result<()>) -> Result<Box<dyn Rows>> {
    loop {
        if let Some(rows) = view.rows() {
            return Ok(rows);
        }
        flush()?;
    }
}

impl ReadRows for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.rows.get(key).inspect_err(|e| self.note(e))
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.rows.range(range, direction, limit).inspect_err(|e| self.note(e))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        super::find(id, |key| self.get(key)).map(|row| row.len)
    }
}
