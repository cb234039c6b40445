//! From files to a view: replaying the journal, and rebuilding a view that cannot be used.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use tracing::{error, info, warn};

use super::{
    Progress, apply, bodyrow,
    disk::Disk,
    journal::{self, Damage, JournalEnd, JournalReader, Position, Segment},
    threads,
    view::{self, Run, View},
};
use crate::{
    engine::{BodyId, Direction, KeyRange},
    error::{Error, ErrorKind, Result},
};

/// Bytes of rows in memory from which they are written as a run while an engine opens. The server does not take mail yet,
/// so the memory is there, and larger tables mean fewer runs. Up to two such tables exist at a time.
pub(super) const TABLE_WHILE_OPENING: usize = 32 * 1024 * 1024;
/// The same while the server takes mail, which needs the memory more.
pub(super) const TABLE_WHILE_SERVING: usize = 4 * 1024 * 1024;

/// Where every journal began.
const FIRST: Position = Position { segment: 1, offset: journal::HEADER };

/// Receives how far the work has come.
pub(super) type Report<'a> = &'a dyn Fn(Progress);

/// The sources from which a view is rebuilt.
pub(super) struct Sources {
    pub(super) journal: JournalReader,
    /// The newest snapshot.
    pub(super) snapshot: Option<Arc<Run>>,
}

/// The findings of a replay.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// Where it ended, with all damage that it met.
    pub(super) end: JournalEnd,
    /// Bodies in files to which no record links any more. Their files may still exist.
    pub(super) unlinked: Vec<BodyId>,
    /// The opening of the engine that numbered the newest live body.
    pub(super) generation: u64,
}

impl Sources {
    /// Reads the headers of all segments, and opens the newest snapshot in `folder`.
    pub(super) fn open(disk: &Disk, folder: &Path) -> Result<Sources> {
        let journal = JournalReader::open(disk, folder)?;
        Ok(Sources { journal, snapshot: newest_snapshot(disk, folder)? })
    }

    /// Returns where the part of the journal begins that a new view has to reflect.
    pub(super) fn beginning(&self) -> Position {
        match (&self.snapshot, self.journal.segments.first()) {
            (Some(snapshot), _) => snapshot.position(),
            // A segment is removed only when a snapshot has its rows: without a snapshot, those before the first are missing.
            (None, Some(_)) => FIRST,
            (None, None) => Position::default(),
        }
    }

    /// Returns whether the view can be rebuilt from its beginning: from a snapshot, or the first segment.
    pub(super) fn has_beginning(&self) -> bool {
        let starts_at_first = |segment: &Segment| segment.number == FIRST.segment;
        self.snapshot.is_some() || self.journal.segments.first().is_some_and(starts_at_first)
    }

    /// Brings a view up to date with the journal, up to `until` if that is given. Rows are written as a run whenever
    /// `table_size` bytes of them are in memory.
    pub(super) fn replay(
        &self,
        view: &dyn View,
        until: Option<Position>,
        table_size: usize,
        report: Report<'_>,
    ) -> Result<Replayed> {
        let (mut flusher, flushing) = Flusher::new(view, table_size);
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
        view: &dyn View,
        until: Option<Position>,
        report: Report<'_>,
        flusher: &mut Flusher,
    ) -> Result<Replayed> {
        let from = view.position().max(self.beginning());
        let missing = self.journal.missing(from);
        let total = self.journal.size_from(from);
        let mut unlinked = Vec::new();
        let mut rows = view.cached_reader();
        let mut end = self.journal.walk(from, until, &mut |frame| {
            report(Progress { done: frame.passed, total });
            unlinked.append(&mut apply::replay(view, &mut *rows, &frame)?);
            flusher.flush_if_full(view)
        })?;
        for torn in &end.torn {
            warn!(segment = torn.segment, at = torn.offset, "cut an unfinished write off the journal");
        }
        for damage in &end.damage {
            error!(place = %damage, "the journal is damaged");
        }
        end.damage.extend(missing);
        Ok(Replayed { end, unlinked, generation: 0 })
    }

    /// Rebuilds the view in `view`, which is empty: from the snapshot, then the journal behind it.
    pub(super) fn rebuild(
        &self,
        view: &dyn View,
        until: Option<Position>,
        table_size: usize,
        report: Report<'_>,
    ) -> Result<Replayed> {
        let size = self.snapshot.as_ref().map_or(0, |s| s.size());
        let damage = match &self.snapshot {
            Some(snapshot) => start_from(view, snapshot)?,
            None => Vec::new(),
        };
        let mut replayed = self.replay(view, until, table_size, &|progress: Progress| {
            report(Progress { done: progress.done + size, total: progress.total + size });
        })?;
        replayed.end.damage.extend(damage.into_iter().map(|offset| Damage::Snapshot { offset }));
        view.freeze();
        view.flush()?;
        Ok(replayed)
    }
}

/// Fills an empty view with the rows of a snapshot; returns the offsets of damaged blocks.
fn start_from(view: &dyn View, snapshot: &Arc<Run>) -> Result<Vec<u64>> {
    let mut damage = Vec::new();
    snapshot.verify(|offset| damage.push(offset));
    for offset in &damage {
        error!(snapshot = %snapshot.path().display(), offset, "the snapshot is damaged");
    }
    view.load(snapshot, damage.is_empty())?;
    Ok(damage)
}

/// Has full tables written as runs by another thread, while the replay fills the next.
struct Flusher {
    requests: mpsc::Sender<()>,
    results: mpsc::Receiver<Result<()>>,
    busy: bool,
    /// Bytes of a full table.
    table_size: usize,
}

impl Flusher {
    /// Returns it, and what the other thread does.
    fn new(view: &dyn View, table_size: usize) -> (Flusher, impl FnOnce() + Send) {
        let (requests, requested) = mpsc::channel();
        let (done, results) = mpsc::channel();
        let flushing = move || {
            for () in requested {
                // The replay stops listening only when it has failed itself.
                let _ = done.send(view.flush());
            }
        };
        (Flusher { requests, results, busy: false, table_size }, flushing)
    }

    /// Has the newest rows written if their table is full, once those before them are.
    fn flush_if_full(&mut self, view: &dyn View) -> Result<()> {
        if view.pressure().bytes <= self.table_size {
            return Ok(());
        }
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

/// Returns the path of the snapshot that reflects the journal up to `position`.
pub(super) fn snapshot_path(folder: &Path, position: Position) -> PathBuf {
    folder.join(format!("{:010}-{:012}.snapshot", position.segment, position.offset))
}

/// Returns the paths of all snapshots in a folder, oldest first.
pub(super) fn snapshots(disk: &Disk, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = disk.list(folder)?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "snapshot"));
    paths.sort();
    Ok(paths)
}

/// Opens the newest snapshot that is whole enough.
fn newest_snapshot(disk: &Disk, folder: &Path) -> Result<Option<Arc<Run>>> {
    for path in snapshots(disk, folder)?.iter().rev() {
        match Run::open(disk, path) {
            Ok(run) => return Ok(Some(Arc::new(run))),
            Err(e) if e.kind() == ErrorKind::Damaged => error!(error = %e, "a snapshot cannot be used"),
            // An older one, or none, would pass for all rows there were.
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Opens the view in `dir` and brings it up to date; rebuilds it if it is damaged, or of another version.
pub(super) fn open_view(
    disk: &Disk,
    dir: &Path,
    sources: &Sources,
    report: Report<'_>,
) -> Result<(Box<dyn View>, Replayed)> {
    let opened = view::open(disk, dir).and_then(|view| {
        let position = view.position();
        // While there is no snapshot, no segment has been removed in order. A missing one was lost, and the view may be all
        // that is left of its rows.
        if sources.snapshot.as_ref().is_some_and(|snapshot| position < snapshot.position()) {
            let text = format!("the view ends at {position:?}, before the journal begins");
            return Err(Error::new(ErrorKind::Damaged, text));
        }
        let replayed = sources.replay(&*view, None, TABLE_WHILE_OPENING, report)?;
        with_generation(view, replayed)
    });
    match opened {
        Ok(opened) => Ok(opened),
        Err(e) if !matches!(e.kind(), ErrorKind::Damaged | ErrorKind::Version) => Err(e),
        Err(e) => {
            if !sources.journal.segments.is_empty() {
                info!(reason = %e, "rebuilding the view from the journal");
            }
            let view = view::create(disk, dir)?;
            let replayed = sources.rebuild(&*view, None, TABLE_WHILE_OPENING, report)?;
            with_generation(view, replayed)
        }
    }
}

fn with_generation(view: Box<dyn View>, replayed: Replayed) -> Result<(Box<dyn View>, Replayed)> {
    let last = view.range(&KeyRange::prefix(&[bodyrow::TABLE]), Direction::Backward, 1)?;
    let last = last.rows.first().and_then(|(key, _)| bodyrow::id(key));
    Ok((view, Replayed { generation: last.map_or(0, BodyId::generation), ..replayed }))
}
