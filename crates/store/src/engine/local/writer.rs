//! The writer thread: takes all work that waits, decides it in order, and writes it with one write and one sync.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use tracing::{error, warn};

use super::{
    Shared,
    apply::{Effects, body_places},
    bodies::Spilled,
    bodyrow::{self, BodyRow},
    journal::{
        Frame, JournalWriter, Position,
        frame::{Kind, TableEntry},
    },
    sink,
    view::{Changes, Pressure},
    work::{RelocatedBody, Reply, Work, refusal},
};
use crate::{
    engine::{Batch, Body, BodyContent, BodyId, CommitError, Precondition},
    error::{ErrorKind, Result, is_full},
};

/// Most bytes that are written with one sync (our own limit: bounds how long the first of a group waits).
const GROUP: u64 = 8 * 1024 * 1024;
/// Bytes of memory from which the newest rows are set aside to be written as a run.
const TABLE_SIZE: usize = 8 * 1024 * 1024;
/// Beyond this, commits wait until the run is written.
const TABLE_MAX: usize = 2 * TABLE_SIZE;

/// The thread's own state.
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) journal: JournalWriter,
}

/// The frames and replies of one group of batches, which share a sync.
#[derive(Default)]
struct Group {
    frames: Vec<Frame>,
    /// Effects of each frame, and where it ends.
    effects: Vec<(Effects, u64)>,
    /// Rows as they will be, for the batches that follow.
    overlay: HashMap<Bytes, Option<Bytes>>,
    /// Bodies that the group stores.
    bodies: HashMap<BodyId, Body>,
    end: u64,
    accepted: Vec<Reply>,
    answered: Vec<(Reply, CommitError)>,
}

impl Writer {
    /// Works until the inbox is closed and empty, then trims the journal.
    pub(super) fn run(mut self) {
        while let Some(waiting) = self.shared.work.take() {
            let mut waiting = waiting.into_iter().peekable();
            while let Some(first) = waiting.next() {
                if let Work::Pause(answer, end) = first {
                    answer.send(Ok(()));
                    // It ends with an error: nothing is ever sent.
                    let _ = end.recv();
                    continue;
                }
                let mut size = first.size();
                let mut group = vec![first];
                let belongs =
                    |work: &Work, size| !matches!(work, Work::Pause(..)) && size + work.size() <= GROUP;
                while let Some(work) = waiting.next_if(|work| belongs(work, size)) {
                    size += work.size();
                    group.push(work);
                }
                self.commit(group, size);
            }
        }
        self.journal.trim();
    }

    /// Commits one group.
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer thread measures itself; results do not depend on it"
    )]
    fn commit(&mut self, works: Vec<Work>, size: u64) {
        if let Err(error) = self.wait_for_memory() {
            warn!(commits = works.len(), "memory is full of rows that cannot be written to the disk");
            return refuse(works, error);
        }
        let begin = Instant::now();
        let Some((works, start)) = self.prepare(works, size) else { return };
        let mut group = Group { end: start.offset, ..Group::default() };
        let mut rotate = Vec::new();
        for work in works {
            match work {
                Work::Commit(commit, reply) => {
                    self.decide(&mut group, start, commit.batch, Reply::Caller(reply));
                }
                Work::Relocate(bodies, answer) => {
                    self.decide_relocation(&mut group, start, bodies, Reply::Maintenance(answer));
                }
                Work::Rotate(answer) => rotate.push(answer),
                // It is never part of a group.
                Work::Pause(answer, _) => answer.send(Err(CommitError::Failed)),
            }
        }
        let written = if group.frames.is_empty() { Ok(()) } else { self.append(&mut group) };
        let metrics = &self.shared.metrics;
        match written {
            Ok(()) => {
                self.apply(&mut group, start);
                metrics.committed(group.accepted.len(), begin.elapsed());
                std::mem::take(&mut group.accepted).into_iter().for_each(|reply| reply.send(Ok(())));
            }
            Err(e) => {
                let error = refusal(is_full(&e));
                if error == CommitError::Full {
                    self.shared.reserve.release();
                }
                warn!(error = %e, batches = group.accepted.len(), "cannot write to the journal");
                std::mem::take(&mut group.accepted).into_iter().for_each(|reply| reply.send(Err(error)));
            }
        }
        // After the view was changed, so that another attempt sees why this one was refused.
        std::mem::take(&mut group.answered).into_iter().for_each(|(reply, error)| reply.send(Err(error)));
        if !rotate.is_empty() {
            let rotated = self.journal.rotate().map_err(|e| refusal(is_full(&e)));
            let position = self.journal.position();
            // Nothing lies between the end of the old segment and the beginning of the new one.
            let rotated_to = Changes { end: position, ..Changes::default() };
            self.shared.view.apply(&mut std::iter::once(rotated_to));
            *self.shared.position.lock() = position;
            rotate.into_iter().for_each(|answer| answer.send(rotated));
        }
    }

    /// Prepares the journal for the work. Without room for all of it, refuses new mail first, then the rest.
    fn prepare(&mut self, mut works: Vec<Work>, size: u64) -> Option<(Vec<Work>, Position)> {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let mut prepared = if self.shared.reserve.hold() { self.journal.prepare(size) } else { Err(full()) };
        if let Err(e) = &prepared
            && is_full(e)
        {
            self.shared.reserve.release();
            let (mail, rest) = works.into_iter().partition(Work::brings_mail);
            refuse_for(e, mail);
            works = rest;
            prepared = self.journal.prepare(works.iter().map(Work::size).sum());
        }
        match prepared {
            Ok(start) => Some((works, start)),
            Err(e) => {
                refuse_for(&e, works);
                None
            }
        }
    }

    /// Waits until the newest rows have room in memory, which a run of those before them makes.
    fn wait_for_memory(&self) -> std::result::Result<(), CommitError> {
        let Shared { view, maintenance, flush_failure, .. } = &*self.shared;
        let must_wait = |pressure: Pressure| pressure.bytes > TABLE_MAX && pressure.has_frozen;
        while must_wait(view.pressure()) {
            if let Some(error) = *flush_failure.lock() {
                return Err(error);
            }
            maintenance.flush().map_err(|e| refusal(e.kind() == ErrorKind::Full))?;
        }
        Ok(())
    }

    fn get(&self, group: &Group, key: &[u8]) -> Result<Option<Bytes>> {
        match group.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.shared.get(key),
        }
    }

    fn decide(&self, group: &mut Group, start: Position, batch: Batch, reply: Reply) {
        match self.frame(group, start, batch) {
            Ok((frame, effects, bodies)) => {
                group.add(frame, effects);
                group.bodies.extend(bodies.into_iter().map(|body| (body.id(), body)));
                group.accepted.push(reply);
            }
            Err(error) => group.answered.push((reply, error)),
        }
    }

    /// Returns the frame of a batch and what it does, if its preconditions hold.
    fn frame(
        &self,
        group: &Group,
        start: Position,
        batch: Batch,
    ) -> std::result::Result<(Frame, Effects, Vec<Body>), CommitError> {
        let failed = |e: crate::Error| {
            error!(error = %e, "cannot decide a batch");
            CommitError::Failed
        };
        for (i, pre) in batch.preconditions.iter().enumerate() {
            let holds = match pre {
                Precondition::Absent(key) => self.get(group, key).map_err(failed)?.is_none(),
                Precondition::Equals(key, value) => {
                    self.get(group, key).map_err(failed)?.is_some_and(|found| found == value)
                }
            };
            if !holds {
                return Err(CommitError::Conflict(i));
            }
        }
        let bodies = new_bodies(group, batch.bodies)?;
        let mut table = Vec::with_capacity(bodies.len());
        let mut contents = Vec::with_capacity(bodies.len());
        for body in &bodies {
            table.push(entry(body).ok_or(CommitError::Failed)?);
            if let BodyContent::Memory { bytes, .. } = body.content() {
                contents.push(bytes.clone());
            }
        }
        let frame = Frame::new(Kind::Batch, &table, Bytes::from(batch.ops.into_bytes()), contents);
        let placed = places(&table, Position { offset: group.end, ..start }, &frame);
        let effects =
            Effects::of(Kind::Batch, &placed, frame.ops(), |key| self.get(group, key)).map_err(failed)?;
        if effects.is_body_missing { Err(CommitError::Failed) } else { Ok((frame, effects, bodies)) }
    }

    fn decide_relocation(
        &self,
        group: &mut Group,
        start: Position,
        bodies: Vec<RelocatedBody>,
        reply: Reply,
    ) {
        let mut table = Vec::new();
        let mut contents = Vec::new();
        let mut rows = self.shared.view.cached_reader();
        let mut get = |key: &[u8]| match group.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None => rows.get(key).inspect_err(|e| self.shared.note_damage(e)),
        };
        for body in bodies {
            let row = get(&bodyrow::key(body.id)).ok().flatten();
            let row = row.and_then(|raw| BodyRow::decode(&raw));
            if row.is_some_and(|row| row.place == Some(body.from)) {
                let len = body.bytes.len() as u64;
                table.push(TableEntry { id: body.id, len, crc: body.crc, inline: true });
                contents.push(body.bytes);
            }
        }
        if table.is_empty() {
            return reply.send(Ok(()));
        }
        let frame = Frame::new(Kind::Relocation, &table, Bytes::new(), contents);
        let placed = places(&table, Position { offset: group.end, ..start }, &frame);
        match Effects::of(Kind::Relocation, &placed, frame.ops(), get) {
            Ok(effects) => {
                group.add(frame, effects);
                group.accepted.push(reply);
            }
            Err(e) => {
                error!(error = %e, "cannot relocate bodies");
                group.answered.push((reply, CommitError::Failed));
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the writer thread measures itself; results do not depend on it"
    )]
    fn append(&mut self, group: &mut Group) -> std::io::Result<()> {
        let begin = Instant::now();
        let result = self.journal.append(&mut group.frames);
        self.shared.metrics.synced(begin.elapsed());
        if result.is_err() && self.journal.is_broken() {
            // If a refused frame comes back after all, its bodies are there; otherwise the next start removes them.
            group.bodies.values().for_each(sink::keep);
        }
        result
    }

    /// Applies the group to the view.
    fn apply(&self, group: &mut Group, start: Position) {
        let Shared { view, maintenance, position, .. } = &*self.shared;
        // Before a file can be removed: a backup up to an earlier position would still need it.
        *position.lock() = self.journal.position();
        view.apply(&mut group.effects.drain(..).map(|(mut effects, end)| {
            // Sent while these rows cannot be set aside, so that maintenance knows of the files before it writes a run.
            maintenance.remove_files(std::mem::take(&mut effects.unlinked));
            effects.into_changes(Position { offset: end, ..start })
        }));
        for body in group.bodies.values() {
            body.set_stored();
            sink::keep(body);
        }
        let pressure = view.pressure();
        if pressure.bytes > TABLE_SIZE && !pressure.has_frozen {
            view.freeze();
            maintenance.wake();
        }
    }
}

impl Drop for Writer {
    /// Fails all queued work when the thread ends, even by a panic, so that callers cannot block for ever.
    fn drop(&mut self) {
        self.shared.work.abandon();
    }
}

impl Group {
    fn add(&mut self, frame: Frame, effects: Effects) {
        for (key, value) in &effects.rows {
            self.overlay.insert(key.clone(), value.clone());
        }
        self.end += frame.len();
        self.effects.push((effects, self.end));
        self.frames.push(frame);
    }
}

/// Refuses work that the journal cannot take.
fn refuse_for(e: &std::io::Error, works: Vec<Work>) {
    if !works.is_empty() {
        warn!(error = %e, "cannot write to the journal");
    }
    refuse(works, refusal(is_full(e)));
}

fn refuse(works: Vec<Work>, error: CommitError) {
    works.into_iter().for_each(|work| work.into_reply().send(Err(error)));
}

/// Returns the bodies that this batch is the first to store.
fn new_bodies(group: &Group, mut bodies: Vec<Body>) -> std::result::Result<Vec<Body>, CommitError> {
    bodies.retain(|body| !body.is_stored() && !group.bodies.contains_key(&body.id()));
    if bodies.iter().all(Body::is_ready) { Ok(bodies) } else { Err(CommitError::Failed) }
}

/// A body as a frame lists it; `None` for a body that another engine has placed.
fn entry(body: &Body) -> Option<TableEntry> {
    let (crc, inline) = match body.content() {
        BodyContent::Memory { crc, .. } => (*crc, true),
        BodyContent::Placed(_) => (body.placed::<Spilled>()?.crc, false),
    };
    Some(TableEntry { id: body.id(), len: body.len(), crc, inline })
}

/// Returns where the bodies of a frame stand that begins at `start`.
fn places(table: &[TableEntry], start: Position, frame: &Frame) -> Vec<(TableEntry, Position)> {
    body_places(table, Position { offset: start.offset + frame.bodies_start(), ..start })
}
