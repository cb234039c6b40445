//! What is done in the background: writing rows as runs, merging runs, snapshots, and giving back room.

use std::{
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::oneshot;
use tracing::{error, info};

use super::{
    Shared, bodyrow,
    journal::Position,
    queue::{Heard, Work},
    rebuild::{self, Sources},
    reclaim::{self, Segments},
    view::{Run, View},
};
use crate::{
    engine::{BodyId, CommitError},
    error::{Error, ErrorKind, Result},
};

/// How long the thread sleeps at most when nothing rings.
const PAUSE: Duration = Duration::from_secs(10);
/// How long it sleeps at most when something could not be done.
const RETRY: Duration = Duration::from_secs(1);

/// What belongs to whoever tends the files; one at a time.
pub(super) struct Upkeep {
    snapshot: Option<Arc<Run>>,
    pub(super) segments: Segments,
    /// What there was when it was last found that no room can be given back.
    reviewed: Option<Reviewed>,
}

/// Until one of these changes, no more room can be given back than before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reviewed {
    /// The ends of journal, runs and snapshot.
    ends: [Option<Position>; 3],
    /// On a full disk more pays.
    had_room: bool,
}

impl Upkeep {
    /// With the newest snapshot.
    pub(super) fn with(snapshot: Option<Arc<Run>>) -> Upkeep {
        Upkeep { snapshot, segments: Segments::default(), reviewed: None }
    }

    /// The journal position that the snapshot reflects.
    pub(super) fn snapshot_position(&self) -> Option<Position> {
        self.snapshot.as_ref().map(|snapshot| snapshot.position())
    }

    fn reviewing(&self, shared: &Shared, had_room: bool) -> Reviewed {
        let flushed = shared.view.state().manifest.position;
        Reviewed { ends: [Some(shared.position()), Some(flushed), self.snapshot_position()], had_room }
    }
}

/// The thread's work, until it is told to stop.
pub(super) fn run(shared: &Shared) {
    let _ended = Ended(shared);
    sweep(shared);
    let mut heard = Heard::default();
    while !shared.tending.stop.load(Ordering::Acquire) {
        let pause = if tend(shared) { PAUSE } else { RETRY };
        shared.tending.bell.wait(&mut heard, pause);
    }
    let settle = || {
        let _upkeep = shared.upkeep();
        // Later openings do not know of files that are not needed any more, once the view says nothing of them.
        match shared.tending.keep.try_write() {
            Ok(_removing) => remove_unlinked(shared)?,
            // Somebody copies the files: the next start removes them, when it reads what let them go.
            Err(_) if !unlinked(shared).is_empty() => return Ok(()),
            Err(_) => {}
        }
        flush_all(shared)
    };
    if let Err(e) = settle() {
        error!(error = %e, "cannot write the view at the end; the next start has to");
    }
}

/// However the thread ends, the writer does not wait for runs that nobody writes.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.tending.flush_failed.store(true, Ordering::Relaxed);
        self.0.tending.flushed.ring();
    }
}

/// Does what there is to do; `false` when some of it has to be tried again.
pub(super) fn tend(shared: &Shared) -> bool {
    let mut upkeep = shared.upkeep();
    if let Err(e) = mend_view(shared) {
        error!(error = %e, "cannot make the view anew");
    }
    let flushed = flush_frozen(shared);
    shared.tending.flush_failed.store(flushed.is_err(), Ordering::Relaxed);
    let has_room = shared.reserve.hold();
    if let Err(e) = flushed.and_then(|()| tidy(shared, &mut upkeep, has_room)) {
        shared.note_damage(&e);
        if e.kind() != ErrorKind::Closed {
            error!(error = %e, "cannot tend the store's files; trying again");
        }
        return false;
    }
    has_room || shared.reserve.hold()
}

/// What makes room comes before what needs some for a while.
fn tidy(shared: &Shared, upkeep: &mut Upkeep, has_room: bool) -> Result<()> {
    // Somebody copies files: none may go meanwhile.
    let removing = shared.tending.keep.try_write();
    let reviewing = upkeep.reviewing(shared, has_room);
    let reviews = removing.is_ok() && upkeep.reviewed != Some(reviewing);
    // An old file that is out of reach does not keep the view from being looked after.
    let reclaimed = match removing {
        Ok(_) => remove_unlinked(shared)
            .and_then(|()| if reviews { make_room(shared, upkeep, has_room) } else { Ok(()) }),
        Err(_) => Ok(()),
    };
    merge(shared)?;
    reclaimed?;
    if reviews {
        if snapshot_is_due(shared, upkeep, has_room)? {
            snapshot(shared, upkeep)?;
            reclaim::reclaim(shared, upkeep, reclaim::SPARSE)?;
        }
        upkeep.reviewed = Some(reviewing);
    }
    Ok(())
}

/// Gives back the room of removed mail; on a full disk even where that pays little.
fn make_room(shared: &Shared, upkeep: &mut Upkeep, has_room: bool) -> Result<()> {
    if !has_room {
        reclaim::remove_dead_segments(shared, upkeep)?;
        reclaim::punch(shared, &mut upkeep.segments)?;
        // A snapshot covers what the runs do, and only what it covers can go.
        flush_all(shared)?;
    }
    reclaim::reclaim(shared, upkeep, reclaim::SPARSE)
}

/// Writes the frozen rows, if there are any, and wakes a writer that waits for that.
pub(super) fn flush_frozen(shared: &Shared) -> Result<()> {
    if shared.view.has_frozen() {
        let flushed = match shared.view.flush() {
            // Mail that is acknowledged comes before mail that might come.
            Err(e) if e.kind() == ErrorKind::Full && shared.reserve.release() => shared.view.flush(),
            flushed => flushed,
        };
        shared.tending.flushed.ring();
        flushed?;
    }
    Ok(())
}

/// Writes all rows that are in memory.
pub(super) fn flush_all(shared: &Shared) -> Result<()> {
    flush_frozen(shared)?;
    shared.view.freeze();
    flush_frozen(shared)
}

fn merge(shared: &Shared) -> Result<()> {
    while let Some(runs) = shared.view.merge_candidates() {
        shared.view.merge(&runs, None, || flush_frozen(shared))?;
    }
    Ok(())
}

fn unlinked(shared: &Shared) -> MutexGuard<'_, Vec<BodyId>> {
    shared.tending.unlinked.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_unlinked(shared: &Shared) -> Result<()> {
    // One that cannot be removed now is tried again.
    let is_left = |id: &BodyId| shared.bodies.remove(*id).map_err(|e| (*id, e)).err();
    let taken = std::mem::take(&mut *unlinked(shared));
    let (left, mut errors): (Vec<_>, Vec<_>) = taken.iter().filter_map(is_left).unzip();
    unlinked(shared).extend(left);
    errors.pop().map_or(Ok(()), Err)
}

/// Removes files of bodies that no row names: of messages that the opening before this one never committed. Older ones
/// it has looked for itself; if they are still there, then for damage that lost their rows.
fn sweep(shared: &Shared) {
    if is_bereft(shared) {
        return;
    }
    let sweep = || {
        for id in shared.bodies.list()? {
            let is_of_the_last = id.generation() + 1 == shared.settings.generation;
            if is_of_the_last && shared.view.get(&bodyrow::key(id))?.is_none() {
                shared.bodies.remove(id)?;
            }
        }
        Ok::<(), Error>(())
    };
    if let Err(e) = sweep() {
        shared.note_damage(&e);
        error!(error = %e, "cannot look for files that nobody needs");
    }
}

fn is_bereft(shared: &Shared) -> bool {
    shared.tending.is_bereft.load(Ordering::Acquire)
}

/// Whether reading the journal since the last snapshot would take longer than reading the snapshot, or so much of the
/// journal is dead that a snapshot pays by what it lets go, or it has many small segments.
fn snapshot_is_due(shared: &Shared, upkeep: &mut Upkeep, has_room: bool) -> Result<bool> {
    let state = shared.view.state();
    let size = upkeep.snapshot.as_ref().map_or(0, |s| s.size());
    if state.runs.is_empty() {
        return Ok(false);
    }
    if state.manifest.journaled > size.max(shared.settings.snapshot_min) {
        return Ok(true);
    }
    upkeep.segments.refresh(shared)?;
    let segments = &upkeep.segments;
    if upkeep.snapshot.is_none() && segments.first().is_some_and(|first| first > 1) && !is_bereft(shared) {
        // It is lost, and what it knew stands in the view alone.
        return Ok(true);
    }
    // Only what a newer snapshot would make room for.
    let since = upkeep.snapshot_position().map_or(0, |position| position.segment);
    let until = state.manifest.position.segment;
    let segment_size = shared.settings.segment_size;
    let pays = if has_room { size.max(segment_size) } else { size };
    Ok(segments.dead(since, until, &state.live()) > pays
        || segments.small(since, until, segment_size) >= reclaim::JOIN)
}

/// Merges all runs into one, and keeps a copy of it with the journal.
pub(super) fn snapshot(shared: &Shared, upkeep: &mut Upkeep) -> Result<()> {
    let state = shared.view.state();
    let Some(newest) = state.runs.first() else { return Ok(()) };
    let position = newest.position();
    if upkeep.snapshot.as_ref().is_some_and(|snapshot| snapshot.position() == position) {
        return Ok(());
    }
    let path = rebuild::snapshot_path(&shared.settings.journal, position);
    let mut old = rebuild::snapshots(&shared.disk, &shared.settings.journal)?;
    // One that is there and cannot be read is replaced.
    old.retain(|old| *old != path);
    let new = path.with_extension("new");
    shared.disk.remove(&new)?;
    let merge = || shared.view.merge(&state.runs, Some(&new), || flush_frozen(shared));
    match merge() {
        // What a snapshot lets go is more than it needs.
        Err(e) if e.kind() == ErrorKind::Full && shared.reserve.release() => merge()?,
        merged => merged?,
    }
    shared.disk.rename(&new, &path).map_err(|e| Error::io(path.display().to_string(), e))?;
    shared.disk.sync_dir(&shared.settings.journal)?;
    upkeep.snapshot = Some(Arc::new(Run::open(&shared.disk, &path)?));
    shared.view.snapshot_taken(state.manifest.journaled)?;
    old.iter().try_for_each(|path| shared.disk.remove(path))
}

/// Has the writer do something, and keeps writing runs meanwhile: the writer may be waiting for that.
pub(super) fn send(
    shared: &Shared,
    work: impl FnOnce(oneshot::Sender<std::result::Result<(), CommitError>>) -> Work,
) -> Result<()> {
    let closed = || Error::new(ErrorKind::Closed, "the store is closed");
    let (sender, mut answer) = oneshot::channel();
    shared.queue.push(work(sender)).map_err(|_| closed())?;
    let mut heard = Heard::default();
    loop {
        match answer.try_recv() {
            Ok(result) => return result.map_err(Error::from),
            Err(oneshot::error::TryRecvError::Closed) => return Err(closed()),
            Err(oneshot::error::TryRecvError::Empty) => {
                flush_frozen(shared)?;
                shared.tending.bell.wait(&mut heard, Duration::from_millis(5));
            }
        }
    }
}

/// Makes the view anew if it is damaged, while the writer stands still. For whoever has the upkeep.
pub(super) fn mend_view(shared: &Shared) -> Result<()> {
    if !shared.tending.view_is_damaged.load(Ordering::Acquire) {
        return Ok(());
    }
    info!("the view is damaged: making it anew from the journal");
    let _gate = shared.gate();
    let sources = Sources::open(&shared.disk, &shared.settings.journal)?;
    if !sources.has_beginning() {
        let text = "the snapshot is lost: what is whole of the view is more than the journal has";
        return Err(Error::new(ErrorKind::Damaged, text));
    }
    let fresh = View::beside(&shared.view)?;
    let replayed = sources.rebuild(&fresh, Some(shared.position()), rebuild::TABLE_WHILE_SERVING, &|_| {})?;
    if !replayed.end.damage.is_empty() {
        shared.tending.is_bereft.store(true, Ordering::Release);
    }
    shared.view.become_like(&fresh)?;
    shared.tending.view_is_damaged.store(false, Ordering::Release);
    Ok(())
}

/// Everything that makes room, now: see [`Maintenance::compact`](crate::engine::Maintenance::compact).
pub(super) fn compact(shared: &Shared, thorough: bool) -> Result<()> {
    let _removing = shared.tending.keep.write().unwrap_or_else(PoisonError::into_inner);
    let mut upkeep = shared.upkeep();
    if thorough {
        send(shared, Work::Rotate)?;
    }
    flush_all(shared)?;
    remove_unlinked(shared)?;
    reclaim::reclaim(shared, &mut upkeep, reclaim::SPARSE)?;
    snapshot(shared, &mut upkeep)?;
    reclaim::reclaim(shared, &mut upkeep, if thorough { reclaim::ALL } else { reclaim::SPARSE })
}
