//! An engine whose commits a test controls: held back, in any order, refused, or with an unknown outcome.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use moxd_store::{
    BodyId, BodyWriter, Pending, Result,
    engine::{Batch, CommitError, Direction, Engine, KeyRange, Maintenance, Op, Page, ReadRows},
};
use tokio::sync::oneshot;

type Answer = std::result::Result<(), CommitError>;
type Waiting = (Batch, oneshot::Sender<Answer>);

/// The outcome of a batch that was held back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// The engine decides.
    Decided,
    /// The batch is not applied.
    Refused(CommitError),
    /// The engine decides, and the caller does not learn how.
    Lost,
}

/// The first bytes of the keys of rows that guard others: accounts, and the number of the next one.
const GUARDS: [u8; 2] = [3, 12];

/// Holds batches back on request. Whether they succeed or not, no two may write the same to a row that guards others.
pub(crate) struct Held {
    inner: Arc<dyn Engine>,
    guards: Mutex<HashSet<(Vec<u8>, Vec<u8>)>>,
    waiting: Mutex<Option<Vec<Waiting>>>,
    /// Called before rows of a snapshot are read.
    meanwhile: Mutex<Option<Meanwhile>>,
    /// Called before a range of the current rows is read.
    before_range: Mutex<Option<Meanwhile>>,
    ranges: AtomicUsize,
}

type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// A snapshot that reports when it is read.
struct Watched<'a> {
    rows: Box<dyn ReadRows + 'a>,
    held: &'a Held,
}

impl Held {
    pub(crate) fn over(inner: Arc<dyn Engine>) -> Arc<Held> {
        Arc::new(Held {
            inner,
            guards: Mutex::default(),
            waiting: Mutex::default(),
            meanwhile: Mutex::default(),
            before_range: Mutex::default(),
            ranges: AtomicUsize::new(0),
        })
    }

    /// From here on `before` is called before a range of the rows as they are is read.
    pub(crate) fn set_before_range(&self, before: Meanwhile) {
        *self.before_range.lock().unwrap() = Some(before);
    }

    /// How many ranges were read so far.
    pub(crate) fn ranges(&self) -> usize {
        self.ranges.load(Ordering::Relaxed)
    }

    /// From here on `meanwhile` is called before rows of a snapshot are read; `None` ends that.
    pub(crate) fn set_meanwhile(&self, meanwhile: Option<Meanwhile>) {
        *self.meanwhile.lock().unwrap() = meanwhile;
    }

    /// From here on batches wait for [`Held::settle`].
    pub(crate) fn hold(&self) {
        *self.waiting.lock().unwrap() = Some(Vec::new());
    }

    /// How many batches wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().unwrap().as_ref().map_or(0, Vec::len)
    }

    /// Decides the fate of the batch at this place among those that wait, oldest first.
    pub(crate) fn settle(&self, at: usize, fate: Fate) {
        let (batch, reply) = self.waiting.lock().unwrap().as_mut().unwrap().remove(at);
        let answer = match fate {
            Fate::Refused(error) => Err(error),
            Fate::Decided => self.inner.commit(batch).wait(),
            Fate::Lost => self.inner.commit(batch).wait().and(Err(CommitError::Unknown)),
        };
        // The test may have given up waiting for it.
        let _ = reply.send(answer);
    }
}

/// The row that an operation writes, if it guards others.
fn guard(op: Op<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    match op {
        Op::Put(key, value) if GUARDS.contains(&key[0]) => Some((key.to_vec(), value.to_vec())),
        _ => None,
    }
}

impl Watched<'_> {
    fn read(&self) -> &dyn ReadRows {
        let meanwhile = self.held.meanwhile.lock().unwrap().clone();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        &*self.rows
    }
}

impl ReadRows for Watched<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.read().get(key)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.read().range(range, direction, limit)
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.read().body_len(id)
    }
}

impl ReadRows for Held {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.inner.get(key)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.ranges.fetch_add(1, Ordering::Relaxed);
        let before = self.before_range.lock().unwrap().clone();
        if let Some(before) = before {
            before();
        }
        self.inner.range(range, direction, limit)
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.inner.body_len(id)
    }
}

impl Engine for Held {
    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>> {
        Ok(Box::new(Watched { rows: self.inner.snapshot()?, held: self }))
    }

    fn commit(&self, batch: Batch) -> Pending<Answer> {
        let guards: HashMap<_, _> = batch.ops.iter().filter_map(guard).collect();
        for row in guards {
            let is_new = self.guards.lock().unwrap().insert(row.clone());
            assert!(is_new, "two batches leave the same row: {row:02x?}");
        }
        match &mut *self.waiting.lock().unwrap() {
            None => self.inner.commit(batch),
            Some(waiting) => {
                let (reply, answer) = oneshot::channel();
                waiting.push((batch, reply));
                Pending::new(async { answer.await.unwrap() })
            }
        }
    }

    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        self.inner.body(id, offset)
    }

    fn stamp(&self) -> u64 {
        self.inner.stamp()
    }

    fn body_writer(&self) -> BodyWriter {
        self.inner.body_writer()
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        self.inner.maintenance()
    }

    fn close(&self) {
        self.inner.close();
    }
}
