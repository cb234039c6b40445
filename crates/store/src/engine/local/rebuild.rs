//! From files to a view: replaying the journal, and making the view anew when it cannot be used.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use tracing::{error, info, warn};

use super::{
    Progress,
    bodyrow::{self, BodyRow, Effects},
    disk::Disk,
    frame::{self, Header, Meta},
    segment::{self, Damage, Position, Segment},
    threads,
    view::{Merge, Near, Run, View},
    writer::body_places,
};
use crate::{
    engine::{BodyId, Direction, KeyRange},
    error::{Error, ErrorKind, Result},
};

/// While the journal is replayed nobody else needs memory yet: larger tables mean fewer runs.
const REPLAY_TABLE: usize = 32 * 1024 * 1024;

/// Where every journal began.
const FIRST: Position = Position { segment: 1, offset: segment::HEADER };

/// Tells how far the work has come.
pub(super) type Report<'a> = &'a dyn Fn(Progress);

/// The files of a journal.
pub(super) struct Files {
    pub(super) segments: Vec<Segment>,
    pub(super) snapshot: Option<Arc<Run>>,
    pub(super) damage: Vec<Damage>,
}

/// Where a replay ended.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    pub(super) end: Position,
    pub(super) next_sequence: u64,
    pub(super) damage: Vec<Damage>,
    /// Bodies whose files can go, should they still be there.
    pub(super) unlinked: Vec<BodyId>,
    /// The opening of the engine that numbered the newest body which is alive.
    pub(super) generation: u64,
    /// Whether the newest segment has no frame.
    pub(super) newest_is_empty: bool,
}

impl Files {
    /// Reads the headers of all segments, and opens the newest snapshot in `folder`.
    pub(super) fn open(disk: &Disk, folder: &Path) -> Result<Files> {
        let mut damage = Vec::new();
        let mut segments = Vec::new();
        for number in Segment::list(disk, folder)? {
            let (segment, is_whole) = Segment::read_header(disk, folder, number)?;
            if !is_whole {
                damage.push(Damage::Bytes { segment: number, from: 0, to: segment::HEADER });
            }
            segments.push(segment);
        }
        Ok(Files { segments, snapshot: newest_snapshot(disk, folder)?, damage })
    }

    /// Where the journal begins that a new view has to reflect.
    pub(super) fn beginning(&self) -> Position {
        match (&self.snapshot, self.segments.first()) {
            (Some(snapshot), _) => snapshot.position(),
            // Segments go only when a snapshot has what they said: without one, those before the first are missing.
            (None, Some(_)) => FIRST,
            (None, None) => Position::default(),
        }
    }

    /// Whether a snapshot, or the first segment, is there to begin with.
    pub(super) fn has_beginning(&self) -> bool {
        self.snapshot.is_some() || self.segments.first().is_some_and(|first| first.number == FIRST.segment)
    }

    /// Segments behind `from` that should be there and are not.
    pub(super) fn missing(&self, from: Position) -> Vec<Damage> {
        let mut missing = Vec::new();
        let mut note = |first, last| {
            if first <= last {
                error!(first, last, "segments of the journal are missing");
                missing.push(Damage::Missing { first, last });
            }
        };
        let mut next = from.segment.max(1);
        for number in self.segments.iter().map(|segment| segment.number).filter(|n| *n >= from.segment) {
            note(next, number.saturating_sub(1));
            next = number.saturating_add(1);
        }
        // What the newest one held can be known by who has seen its end.
        if from.offset > segment::HEADER {
            note(next, from.segment);
        }
        missing
    }

    /// Where segment `i` ends, if a later one says so.
    pub(super) fn end_of(&self, i: usize) -> Option<u64> {
        let segment = self.segments.get(i)?;
        let next = self.segments.get(i + 1)?;
        (next.previous.segment == segment.number).then_some(next.previous.offset)
    }

    /// Brings a view up to date with the journal, at most to `until`.
    pub(super) fn replay(
        &self,
        view: &View,
        until: Option<Position>,
        report: Report<'_>,
    ) -> Result<Replayed> {
        let (mut flusher, flushing) = Flusher::new(view);
        threads::with_helper(flushing, || {
            let replayed = self.replay_with(view, until, report, &mut flusher)?;
            flusher.wait()?;
            // The other thread ends once nothing can be asked of it.
            drop(flusher);
            Ok(replayed)
        })
    }

    fn replay_with(
        &self,
        view: &View,
        until: Option<Position>,
        report: Report<'_>,
        flusher: &mut Flusher,
    ) -> Result<Replayed> {
        let from = view.state().manifest.position.max(self.beginning());
        let mut replayed = Replayed { end: from, damage: self.missing(from), ..Replayed::default() };
        replayed.damage.extend(&self.damage);
        let total =
            self.segments.iter().filter(|s| s.number >= from.segment).map(|s| s.len().unwrap_or(0)).sum();
        let mut done = 0;
        let mut near = view.near();
        for (i, segment) in self.segments.iter().enumerate().filter(|(_, s)| s.number >= from.segment) {
            if until.is_some_and(|until| segment.number > until.segment) {
                break;
            }
            let start = if segment.number == from.segment { from.offset } else { segment::HEADER };
            let end = match until {
                Some(until) if until.segment == segment.number => Some(until.offset),
                _ => self.end_of(i),
            };
            let walked = segment.open()?.walk(start, end, &mut |offset, header, meta| {
                report(Progress { done: done + offset, total });
                let at = Position { segment: segment.number, offset };
                replayed.unlinked.append(&mut replay_frame(view, &mut near, at, header, &meta)?);
                if view.active_size() > REPLAY_TABLE { flusher.flush(view) } else { Ok(()) }
            })?;
            done += walked.end;
            if walked.torn {
                warn!(segment = segment.number, at = walked.end, "cut an unfinished write off the journal");
            }
            for damage in &walked.damage {
                error!(place = %damage, "the journal is damaged");
            }
            replayed.damage.extend(walked.damage);
            replayed.end = Position { segment: segment.number, offset: walked.end };
            replayed.next_sequence = walked.next_sequence;
            replayed.newest_is_empty = walked.end == segment::HEADER && !walked.torn;
        }
        Ok(replayed)
    }

    /// Makes the view anew in `view`, which is empty: from the snapshot, then the journal behind it.
    pub(super) fn rebuild(
        &self,
        view: &View,
        until: Option<Position>,
        report: Report<'_>,
    ) -> Result<Replayed> {
        let size = self.snapshot.as_ref().map_or(0, |s| s.size());
        let damage = match &self.snapshot {
            Some(snapshot) => start_from(view, snapshot)?,
            None => Vec::new(),
        };
        let mut replayed = self.replay(view, until, &|progress: Progress| {
            report(Progress { done: progress.done + size, total: progress.total + size });
        })?;
        replayed.damage.extend(damage.into_iter().map(|offset| Damage::Snapshot { offset }));
        view.freeze();
        view.flush()?;
        Ok(replayed)
    }
}

/// Puts a snapshot's rows into an empty view; gives the offsets of blocks that are damaged.
fn start_from(view: &View, snapshot: &Arc<Run>) -> Result<Vec<u64>> {
    let mut damage = Vec::new();
    snapshot.verify(|offset| damage.push(offset));
    for offset in &damage {
        error!(snapshot = %snapshot.path().display(), offset, "the snapshot is damaged");
    }
    if damage.is_empty() {
        view.adopt(snapshot, live_octets(snapshot)?)?;
    } else {
        view.salvage(snapshot)?;
    }
    Ok(damage)
}

/// Octets alive in each segment, from the rows of bodies.
fn live_octets(run: &Arc<Run>) -> Result<BTreeMap<u64, u64>> {
    let mut live = BTreeMap::new();
    let mut merge = Merge::seek(&[], std::slice::from_ref(run), Some(&[bodyrow::TABLE]), Direction::Forward)?;
    while let Some(key) = merge.key()
        && bodyrow::id(key).is_some()
    {
        if let Some(row) = merge.value().and_then(BodyRow::decode)
            && let Some(place) = row.place
        {
            let live: &mut u64 = live.entry(place.segment).or_default();
            *live = live.saturating_add(row.len);
        }
        merge.advance()?;
    }
    Ok(live)
}

/// Brings a view behind the frame at `at`; gives the bodies whose files can go.
fn replay_frame(
    view: &View,
    near: &mut Near<'_>,
    at: Position,
    header: &Header,
    meta: &Meta<'_>,
) -> Result<Vec<BodyId>> {
    let behind = |octets: u64| Position { offset: at.offset + octets, ..at };
    let placed = body_places(&meta.table, behind(frame::HEADER as u64 + u64::from(header.meta_len)));
    let ops = Bytes::copy_from_slice(meta.ops);
    let mut effects = Effects::of(header.kind, &placed, &ops, |key| near.get(key))?;
    let unlinked = std::mem::take(&mut effects.unlinked);
    let end = behind(header.frame_len());
    view.apply(|table| effects.apply(table, end, ops.len() as u64));
    Ok(unlinked)
}

/// Writes full tables as runs on a thread of its own, while the replay fills the next.
struct Flusher {
    requests: mpsc::Sender<()>,
    results: mpsc::Receiver<Result<()>>,
    busy: bool,
}

impl Flusher {
    /// Returns it, and what the other thread does.
    fn new(view: &View) -> (Flusher, impl FnOnce() + Send) {
        let (requests, requested) = mpsc::channel();
        let (done, results) = mpsc::channel();
        let flushing = move || {
            for () in requested {
                // The replay stops listening only when it has failed itself.
                let _ = done.send(view.flush());
            }
        };
        (Flusher { requests, results, busy: false }, flushing)
    }

    /// Has the newest rows written; waits for those before them.
    fn flush(&mut self, view: &View) -> Result<()> {
        self.wait()?;
        view.freeze();
        self.busy = self.requests.send(()).is_ok();
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let gone = || Err(Error::new(ErrorKind::Failed, "the thread that writes runs is gone"));
        if std::mem::take(&mut self.busy) { self.results.recv().unwrap_or_else(|_| gone()) } else { Ok(()) }
    }
}

/// The path of the snapshot that reflects the journal up to `position`.
pub(super) fn snapshot_path(folder: &Path, position: Position) -> PathBuf {
    folder.join(format!("{:010}-{:012}.snapshot", position.segment, position.offset))
}

/// All snapshots in a folder, oldest first.
pub(super) fn snapshots(disk: &Disk, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = disk.list(folder)?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "snapshot"));
    paths.sort();
    Ok(paths)
}

/// The newest snapshot that is whole enough to be opened.
fn newest_snapshot(disk: &Disk, folder: &Path) -> Result<Option<Arc<Run>>> {
    for path in snapshots(disk, folder)?.iter().rev() {
        match Run::open(disk, path) {
            Ok(run) => return Ok(Some(Arc::new(run))),
            Err(e) if e.kind() == ErrorKind::Damaged => error!(error = %e, "a snapshot cannot be used"),
            // An older one, or none, would be taken for all that there was.
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Opens the view in `dir` and brings it up to date; makes it anew when it is damaged, or of another version.
pub(super) fn open_view(
    disk: &Disk,
    dir: &Path,
    journal: &Files,
    report: Report<'_>,
) -> Result<(View, Replayed)> {
    let opened = View::open(disk, dir).and_then(|view| {
        let position = view.state().manifest.position;
        // Where there is no snapshot yet, nothing was let go either: what is missing was lost, and the view may be all
        // that is left of it.
        if journal.snapshot.as_ref().is_some_and(|snapshot| position < snapshot.position()) {
            let text = format!("the view ends at {position:?}, before the journal begins");
            return Err(Error::new(ErrorKind::Damaged, text));
        }
        let replayed = journal.replay(&view, None, report)?;
        with_generation(view, replayed)
    });
    match opened {
        Ok(opened) => Ok(opened),
        Err(e) if !matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Version) => Err(e),
        Err(e) => {
            if !journal.segments.is_empty() {
                info!(reason = %e, "making the view anew from the journal");
            }
            let view = View::create(disk, dir)?;
            let replayed = journal.rebuild(&view, None, report)?;
            with_generation(view, replayed)
        }
    }
}

fn with_generation(view: View, replayed: Replayed) -> Result<(View, Replayed)> {
    let last = view.range(&KeyRange::prefix(&[bodyrow::TABLE]), Direction::Backward, 1)?;
    let last = last.rows.first().and_then(|(key, _)| bodyrow::id(key));
    Ok((view, Replayed { generation: last.map_or(0, BodyId::generation), ..replayed }))
}
