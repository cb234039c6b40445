//! Rows as of one moment, while commits go on. Runs never change once they are written, nor do rows that were set aside to
//! become one.

use bytes::Bytes;

use super::{Shared, view::State};
use crate::{
    engine::{BodyId, Direction, KeyRange, Page, ReadRows},
    error::{Error, Result},
};

pub(super) struct Snapshot<'a> {
    shared: &'a Shared,
    state: State,
}

impl<'a> Snapshot<'a> {
    /// The rows as they are now.
    pub(super) fn take(shared: &'a Shared) -> Result<Snapshot<'a>> {
        let taken = loop {
            if let Some(state) = shared.view.settled() {
                break Snapshot { shared, state };
            }
            // Rows that were set aside before wait to be written.
            shared.maintenance.flush()?;
        };
        shared.maintenance.wake();
        Ok(taken)
    }

    fn note(&self, e: &Error) {
        self.shared.note_damage(e);
    }
}

impl ReadRows for Snapshot<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.state.get(key).inspect_err(|e| self.note(e))
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.state.range(range, direction, limit).inspect_err(|e| self.note(e))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        super::find(id, |key| self.get(key)).map(|row| row.len)
    }
}
