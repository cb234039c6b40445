//! An engine that keeps everything in memory: for tests, and as the shortest implementation of the seam.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};

use super::{
    Batch, Body, BodyContent, BodyId, CommitError, Direction, Engine, KeyRange, Op, Page, Precondition,
    ReadRows, Stamps,
};
use crate::{
    error::{Error, Result},
    pending::Pending,
};

/// The engine in memory. Everything is gone when it is dropped.
#[derive(Debug)]
pub struct Memory {
    stamps: Stamps,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: Rows,
    bodies: HashMap<BodyId, StoredBody>,
    closed: bool,
}

/// Rows by their keys.
type Rows = BTreeMap<Bytes, Bytes>;

/// The rows and the lengths of the bodies as of one moment.
struct Snapshot {
    rows: Rows,
    bodies: HashMap<BodyId, u64>,
}

#[derive(Debug)]
struct StoredBody {
    content: Bytes,
    links: u32,
}

impl Memory {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Arc<Memory> {
        Arc::new(Memory { stamps: Stamps::new(0), state: Mutex::new(State::default()) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn decide(&self, batch: &Batch) -> std::result::Result<(), CommitError> {
        if self.closed {
            return Err(CommitError::Failed);
        }
        let holds = |pre: &Precondition| match pre {
            Precondition::Absent(key) => !self.rows.contains_key(key.as_slice()),
            Precondition::Equals(key, value) => self.rows.get(key.as_slice()).is_some_and(|v| v == value),
        };
        match batch.preconditions.iter().position(|pre| !holds(pre)) {
            Some(i) => Err(CommitError::Conflict(i)),
            None => Ok(()),
        }
    }

    fn apply(&mut self, batch: &Batch) -> std::result::Result<(), CommitError> {
        let links = batch.ops.iter().links();
        let known = |id: &BodyId| {
            self.bodies.contains_key(id)
                || batch.bodies.iter().any(|b| b.id() == *id && new_bytes(b).is_some())
        };
        // Nothing may change before everything is known to be possible.
        if links.iter().any(|(id, n)| *n > 0 && !known(id)) {
            return Err(CommitError::Failed);
        }
        for op in batch.ops.iter() {
            match op {
                Op::Put(key, value) => {
                    self.rows.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                }
                Op::Delete(key) => {
                    self.rows.remove(key);
                }
                Op::Link(_) | Op::Unlink(_) => {}
            }
        }
        for (id, n) in links {
            self.count(id, n, &batch.bodies);
        }
        Ok(())
    }

    fn count(&mut self, id: BodyId, n: i64, bodies: &[Body]) {
        let new = bodies.iter().filter(|b| b.id() == id).find_map(|b| Some((b, new_bytes(b)?)));
        if let Some((body, bytes)) = new
            && n > 0
        {
            body.set_stored();
            self.bodies.insert(id, StoredBody { content: bytes.clone(), links: 0 });
        }
        if let Some(stored) = self.bodies.get_mut(&id) {
            stored.links = u32::try_from(i64::from(stored.links) + n).unwrap_or(0);
            if stored.links == 0 {
                self.bodies.remove(&id);
            }
        }
    }
}

/// The bytes of a body that no batch has stored. This engine has no sink of its own: what a sink has placed is another
/// engine's.
fn new_bytes(body: &Body) -> Option<&Bytes> {
    match body.content() {
        BodyContent::Memory { bytes, .. } if !body.is_stored() => Some(bytes),
        _ => None,
    }
}

impl ReadRows for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.state().rows.get(key).cloned())
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        Ok(page(&self.state().rows, range, direction, limit))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.body(id, 0).map(|content| content.len() as u64)
    }
}

impl Engine for Memory {
    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>> {
        let state = self.state();
        let bodies = state.bodies.iter().map(|(id, stored)| (*id, stored.content.len() as u64)).collect();
        Ok(Box::new(Snapshot { rows: state.rows.clone(), bodies }))
    }

    fn commit(&self, mut batch: Batch) -> Pending<std::result::Result<(), CommitError>> {
        let mut commit = || {
            batch.prepare()?;
            let mut state = self.state();
            state.decide(&batch)?;
            state.apply(&batch)
        };
        Pending::ready(commit())
    }

    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        let state = self.state();
        let stored = state.bodies.get(&id).ok_or_else(|| Error::no_body(id))?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX).min(stored.content.len());
        Ok(stored.content.slice(offset..))
    }

    fn stamp(&self) -> u64 {
        self.stamps.next()
    }

    fn close(&self) {
        self.state().closed = true;
    }
}

impl ReadRows for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.rows.get(key).cloned())
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        Ok(page(&self.rows, range, direction, limit))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.bodies.get(&id).copied().ok_or_else(|| Error::no_body(id))
    }
}

fn page(rows: &Rows, range: &KeyRange, direction: Direction, limit: usize) -> Page {
    if range.is_empty() {
        return Page::default();
    }
    let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let rows = rows.range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
    let copy = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
    let mut rows: Vec<_> = match direction {
        Direction::Forward => rows.map(copy).take(limit.saturating_add(1)).collect(),
        Direction::Backward => rows.rev().map(copy).take(limit.saturating_add(1)).collect(),
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    Page { rows, more }
}
