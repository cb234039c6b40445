//! One round of the maintenance thread: it merges runs, takes snapshots, and reclaims room.

use std::sync::Arc;

use super::{Maintainer, reclaim};
use crate::{
    engine::local::{journal::Position, rebuild, view::Run, work::Work},
    error::{Error, ErrorKind, Result},
};

/// Until one of these changes, no more room can be given back than before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reviewed {
    /// The ends of journal, runs and snapshot.
    ends: [Option<Position>; 3],
    /// On a full disk it pays to do more.
    had_room: bool,
}

impl Maintainer {
    /// The journal position that the newest snapshot reflects.
    pub(super) fn snapshot_position(&self) -> Option<Position> {
        self.snapshot.as_ref().map(|snapshot| snapshot.position())
    }

    /// Reclaims space, merges runs, and takes a snapshot if one is due. Reclaiming comes first: merging and snapshots need
    /// space temporarily.
    pub(super) fn tidy(&mut self, has_room: bool) -> Result<()> {
        let flushed = self.shared.view.position();
        let ends = [Some(self.shared.position()), Some(flushed), self.snapshot_position()];
        let reviewing = Reviewed { ends, had_room: has_room };
        let is_pinned = self.pins > 0;
        let reviews = !is_pinned && self.reviewed != Some(reviewing);
        // These steps do not depend on each other: one file that is out of reach must not stop the rest.
        let removed = if is_pinned { Ok(()) } else { self.remove_unlinked() };
        let reclaimed = if reviews { self.make_room(has_room) } else { Ok(()) };
        self.merge()?;
        reclaimed?;
        if reviews {
            if self.snapshot_is_due(has_room)? {
                self.take_snapshot()?;
                self.reclaim(reclaim::SPARSE)?;
            }
            self.reviewed = Some(reviewing);
        }
        removed
    }

    /// Gives back the room of removed mail; on a full disk even where that pays little.
    fn make_room(&mut self, has_room: bool) -> Result<()> {
        if !has_room {
            self.remove_dead_segments()?;
            self.punch()?;
            // A snapshot reflects what is in runs, and only what it reflects can be removed.
            self.flush_all()?;
        }
        self.reclaim(reclaim::SPARSE)
    }

    fn merge(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        shared.view.tidy(&mut || self.attend())
    }

    /// Returns whether reading the journal since the last snapshot would take longer than reading the snapshot, or so much of
    /// the journal is dead that a snapshot pays by what it allows to remove, or the journal has many small segments.
    fn snapshot_is_due(&mut self, has_room: bool) -> Result<bool> {
        let view = &self.shared.view;
        let position = view.position();
        let settings = &self.shared.settings;
        let size = self.snapshot.as_ref().map_or(0, |s| s.size());
        if position == Position::default() {
            return Ok(false);
        }
        if view.journaled() > size.max(settings.snapshot_min) {
            return Ok(true);
        }
        self.segments.refresh(&self.shared)?;
        let segments = &self.segments;
        if self.snapshot.is_none() && segments.first().is_some_and(|first| first > 1) && !self.has_lost_rows {
            // It is lost, and only the view has its rows.
            return Ok(true);
        }
        // Only segments count that a newer snapshot would allow to remove.
        let since = self.snapshot_position().map_or(0, |position| position.segment);
        let until = position.segment;
        let pays = if has_room { size.max(settings.segment_size) } else { size };
        Ok(segments.dead(since, until, &self.shared.view.live()) > pays
            || segments.small(since, until, settings.segment_size) >= reclaim::JOIN)
    }

    /// Merges all runs into one, and keeps a copy of it with the journal.
    fn take_snapshot(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let (disk, journal) = (&shared.disk, &shared.settings.journal);
        let position = shared.view.position();
        if position == Position::default() || self.snapshot_position() == Some(position) {
            return Ok(());
        }
        let new = rebuild::snapshot_path(journal, position).with_extension("new");
        let mut take = || {
            // An attempt before this one may have left it behind.
            disk.remove(&new)?;
            shared.view.snapshot(&new, &mut || self.attend())
        };
        let taken = match take() {
            // A snapshot allows to remove more than it needs.
            Err(e) if e.kind() == ErrorKind::Full && shared.reserve.release() => take()?,
            taken => taken?,
        };
        let path = rebuild::snapshot_path(journal, taken.position);
        let mut old = rebuild::snapshots(disk, journal)?;
        // One that exists and cannot be read is replaced.
        old.retain(|old| *old != path);
        disk.rename(&new, &path).map_err(|e| Error::io(path.display().to_string(), e))?;
        disk.sync_dir(journal)?;
        self.snapshot = Some(Arc::new(Run::open(disk, &path)?));
        shared.view.snapshot_is_placed(taken)?;
        old.iter().try_for_each(|path| disk.remove(path))
    }

    /// Makes all the room that can be had: see [`Maintenance::compact`](crate::engine::Maintenance::compact).
    pub(super) fn compact(&mut self, thorough: bool) -> Result<()> {
        if thorough {
            self.ask_writer(Work::Rotate)?;
        }
        self.flush_all()?;
        let removed = self.remove_unlinked();
        self.reclaim(reclaim::SPARSE)?;
        self.take_snapshot()?;
        self.reclaim(if thorough { reclaim::ALL } else { reclaim::SPARSE })?;
        removed
    }
}
