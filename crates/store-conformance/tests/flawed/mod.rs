//! An engine in memory that several handles share, with one fault on request.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use store::{
    BodyId, BodyWriter, Error, Pending, Result,
    engine::{
        Batch, BodyContent, CommitError, Direction, Engine, KeyRange, Op, Page, Precondition, ReadRows,
        Stamps,
    },
};

/// The fault of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ReversesOperations,
    AppliesRefusedBatches,
    NumbersConflictsFromOne,
    ComparesBeginnings,
    IgnoresAbsent,
    DecidesWhenAwaited,
    LosesEveryTenthBatch,
    TakesAFullPageForMore,
    IncludesTheEnd,
    ReadsBackwardFromTheStart,
    ForgetsTokens,
    HasNoLimits,
    NeverCloses,
    ReadsLate,
    SkipsRowsWhileOthersWrite,
    CountsALinkOnce,
    KeepsUnlinkedBodies,
    LinksToNothing,
    TakesBodiesOfOthers,
    StoresBodiesFirst,
    StoresBodiesAgain,
    StoresUnlinkedBodies,
    CountsLinksOneByOne,
    IgnoresOffsets,
    RepeatsStamps,
    NumbersBodiesApart,
    SnapshotsLag,
    SnapshotsAreLive,
    LosesRowsWhenReopened,
    LosesLinksWhenReopened,
    NumbersOpeningsAlike,
    CachesRows,
}

type Rows = BTreeMap<Bytes, Bytes>;
type Decided = std::result::Result<(), CommitError>;

/// State that all handles share.
#[derive(Default)]
pub(crate) struct Data {
    rows: Rows,
    /// The rows before the last batch.
    before: Rows,
    bodies: HashMap<BodyId, (Bytes, u32)>,
    openings: u64,
    batches: u64,
}

/// A handle.
pub(crate) struct Flawed {
    data: Arc<Mutex<Data>>,
    fault: Option<Fault>,
    stamps: Stamps,
    bodies: AtomicU64,
    closed: Arc<AtomicBool>,
    /// Batches that were there when a range was read last.
    seen: AtomicU64,
    cache: Mutex<HashMap<Vec<u8>, Option<Bytes>>>,
}

struct Snapshot(Rows, HashMap<BodyId, (Bytes, u32)>);

impl Flawed {
    pub(crate) fn no_data() -> Arc<Mutex<Data>> {
        Arc::default()
    }

    pub(crate) fn open(shared: &Arc<Mutex<Data>>, fault: Option<Fault>) -> Arc<Flawed> {
        let mut data = shared.lock().unwrap();
        data.openings += 1;
        match fault {
            Some(Fault::LosesRowsWhenReopened) => data.rows.clear(),
            Some(Fault::LosesLinksWhenReopened) => data.bodies.values_mut().for_each(|(_, links)| *links = 1),
            _ => {}
        }
        let generation = if fault == Some(Fault::NumbersOpeningsAlike) { 0 } else { data.openings };
        Arc::new(Flawed {
            data: Arc::clone(shared),
            fault,
            stamps: Stamps::new(generation),
            bodies: AtomicU64::new(0),
            closed: Arc::default(),
            seen: AtomicU64::new(0),
            cache: Mutex::default(),
        })
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    fn rows(&self) -> Rows {
        let data = self.data();
        if self.has(Fault::ReadsLate) { data.before.clone() } else { data.rows.clone() }
    }
}

impl Data {
    fn decide(&mut self, mut batch: Batch, fault: Option<Fault>) -> Decided {
        let has = |other| fault == Some(other);
        if has(Fault::ForgetsTokens) {
            batch.token = 0;
        }
        match batch.prepare() {
            Err(_) if has(Fault::HasNoLimits) => {}
            prepared => prepared?,
        }
        let holds = |precondition: &Precondition| match precondition {
            Precondition::Absent(key) => has(Fault::IgnoresAbsent) || !self.rows.contains_key(key.as_slice()),
            Precondition::Equals(key, value) => self.rows.get(key.as_slice()).is_some_and(|found| {
                found == value || has(Fault::ComparesBeginnings) && found.starts_with(value)
            }),
        };
        let conflict = batch.preconditions.iter().position(|precondition| !holds(precondition));
        if has(Fault::StoresBodiesFirst) {
            self.store_bodies(&batch, true);
        }
        let conflict = conflict.map(|i| if has(Fault::NumbersConflictsFromOne) { i + 1 } else { i });
        if let Some(i) = conflict
            && !has(Fault::AppliesRefusedBatches)
        {
            return Err(CommitError::Conflict(i));
        }
        self.count_links(&batch, fault)?;
        self.batches += 1;
        if !has(Fault::LosesEveryTenthBatch) || !self.batches.is_multiple_of(10) {
            self.before = self.rows.clone();
            let mut ops: Vec<_> = batch.ops.iter().collect();
            if has(Fault::ReversesOperations) {
                ops.reverse();
            }
            ops.into_iter().for_each(|op| self.apply(op));
        }
        conflict.map_or(Ok(()), |i| Err(CommitError::Conflict(i)))
    }

    fn apply(&mut self, op: Op<'_>) {
        match op {
            Op::Put(key, value) => {
                self.rows.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            }
            Op::Delete(key) => drop(self.rows.remove(key)),
            Op::Link(_) | Op::Unlink(_) => {}
        }
    }

    /// Stores bodies of the batch, with no links so far.
    fn store_bodies(&mut self, batch: &Batch, also_stored: bool) {
        for body in &batch.bodies {
            if let BodyContent::Memory { bytes, .. } = body.content()
                && (also_stored || !body.is_stored())
            {
                self.bodies.entry(body.id()).or_insert_with(|| (bytes.clone(), 0));
            }
        }
    }

    fn count_links(&mut self, batch: &Batch, fault: Option<Fault>) -> Decided {
        let has = |other| fault == Some(other);
        let mut changes: Vec<(BodyId, i64)> = Vec::new();
        for op in batch.ops.iter() {
            let (id, change) = match op {
                Op::Link(id) => (id, 1),
                Op::Unlink(id) => (id, -1),
                Op::Put(..) | Op::Delete(_) => continue,
            };
            match changes.iter_mut().find(|(other, _)| *other == id) {
                Some((_, sum)) if !has(Fault::CountsLinksOneByOne) => *sum += change,
                _ => changes.push((id, change)),
            }
        }
        let is_known = |id: &BodyId| {
            let comes = |body: &store::Body| {
                let is_ours = matches!(body.content(), BodyContent::Memory { .. });
                body.id() == *id
                    && (is_ours || has(Fault::TakesBodiesOfOthers))
                    && (!body.is_stored() || has(Fault::StoresBodiesAgain))
            };
            self.bodies.contains_key(id) || batch.bodies.iter().any(comes) || has(Fault::LinksToNothing)
        };
        if !changes.iter().all(|(id, change)| *change <= 0 || is_known(id)) {
            return Err(CommitError::Failed);
        }
        self.store_bodies(batch, has(Fault::StoresBodiesAgain));
        for (id, change) in changes {
            if has(Fault::LinksToNothing) {
                self.bodies.entry(id).or_default();
            }
            let Some((_, links)) = self.bodies.get_mut(&id) else { continue };
            let change =
                if has(Fault::CountsALinkOnce) { change.clamp(-1, i64::from(*links == 0)) } else { change };
            *links = u32::try_from(i64::from(*links) + change).unwrap_or(0);
            if *links == 0 && !has(Fault::KeepsUnlinkedBodies) {
                self.bodies.remove(&id);
            }
        }
        let is_kept = |body: &&store::Body| self.bodies.contains_key(&body.id());
        let stored = batch.bodies.iter().filter(|body| is_kept(body) || has(Fault::StoresUnlinkedBodies));
        stored.for_each(store::Body::set_stored);
        Ok(())
    }
}

fn page(rows: &Rows, range: &KeyRange, direction: Direction, limit: usize, fault: Option<Fault>) -> Page {
    let has = |other| fault == Some(other);
    let is_in = |key: &[u8]| {
        range.contains(key)
            || has(Fault::IncludesTheEnd) && !range.is_empty() && range.end.as_deref() == Some(key)
    };
    let found = rows.iter().filter(|(key, _)| is_in(key)).map(|(key, value)| (key.clone(), value.clone()));
    let mut found: Vec<_> = found.collect();
    let begins_at_the_start = has(Fault::ReadsBackwardFromTheStart);
    if direction == Direction::Backward && !begins_at_the_start {
        found.reverse();
    }
    let mut more = found.len() > limit;
    found.truncate(limit);
    if has(Fault::TakesAFullPageForMore) {
        more = found.len() == limit;
    }
    if direction == Direction::Backward && begins_at_the_start {
        found.reverse();
    }
    Page { rows: found, more }
}

impl ReadRows for Flawed {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let read = || self.rows().get(key).cloned();
        if self.has(Fault::CachesRows) {
            return Ok(self.cache.lock().unwrap().entry(key.to_vec()).or_insert_with(read).clone());
        }
        Ok(read())
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        let mut page = page(&self.rows(), range, direction, limit, self.fault);
        let batches = self.data().batches;
        let others_write = self.seen.swap(batches, Ordering::Relaxed) != batches;
        if self.has(Fault::SkipsRowsWhileOthersWrite) && others_write && !page.rows.is_empty() {
            page.rows.remove(0);
        }
        Ok(page)
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.body(id, 0).map(|bytes| bytes.len() as u64)
    }
}

impl Engine for Flawed {
    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>> {
        if self.has(Fault::SnapshotsAreLive) {
            return Ok(Box::new(Live(self)));
        }
        let data = self.data();
        let rows = if self.has(Fault::SnapshotsLag) { &data.before } else { &data.rows };
        Ok(Box::new(Snapshot(rows.clone(), data.bodies.clone())))
    }

    fn commit(&self, batch: Batch) -> Pending<Decided> {
        self.cache.lock().unwrap().clear();
        let (data, fault) = (Arc::clone(&self.data), self.fault);
        let closed = Arc::clone(&self.closed);
        let decide = move || {
            if closed.load(Ordering::Acquire) {
                Err(CommitError::Failed)
            } else {
                data.lock().unwrap().decide(batch, fault)
            }
        };
        if self.has(Fault::DecidesWhenAwaited) {
            return Pending::new(async move { decide() });
        }
        Pending::ready(decide())
    }

    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        let data = self.data();
        let (bytes, _) = data.bodies.get(&id).ok_or_else(|| Error::no_body(id))?;
        let offset = usize::try_from(offset).unwrap().min(bytes.len());
        // Reads at the end are right, so that a caller who reads piece by piece comes to the end.
        let ignores = self.has(Fault::IgnoresOffsets) && offset < bytes.len();
        Ok(bytes.slice(if ignores { 0 } else { offset }..))
    }

    fn stamp(&self) -> u64 {
        if self.has(Fault::RepeatsStamps) { 7 } else { self.stamps.next() }
    }

    fn body_writer(&self) -> BodyWriter {
        if self.has(Fault::NumbersBodiesApart) {
            let first = self.data().openings << 40;
            let n = first + self.bodies.fetch_add(1, Ordering::Relaxed);
            return BodyWriter::in_memory(BodyId::from_u64(n));
        }
        BodyWriter::in_memory(BodyId::from_u64(self.stamp()))
    }

    fn close(&self) {
        self.closed.store(!self.has(Fault::NeverCloses), Ordering::Release);
    }
}

impl ReadRows for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        Ok(page(&self.0, range, direction, limit, None))
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.1.get(&id).map(|(bytes, _)| bytes.len() as u64).ok_or_else(|| Error::no_body(id))
    }
}

/// A snapshot that returns current rows, which is the fault.
struct Live<'a>(&'a Flawed);

impl ReadRows for Live<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.0.get(key)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.0.range(range, direction, limit)
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.0.body_len(id)
    }
}
