//! The view: all rows as of a journal position, in an order in which they can be found.
//!
//! It holds nothing that the journal does not: it can be thrown away and made again. New rows are kept in memory; from
//! time to time they are written, sorted, as a run; runs are merged so that there are never many. Why not sled, which
//! was meant to be the view: see docs/store-format.md.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use tracing::warn;

use super::{
    bodyrow::{self, BodyRow},
    disk::Disk,
    journal::Position,
};
use crate::{
    engine::{Direction, KeyRange, Page},
    error::Result,
};

mod block;
mod cache;
mod filter;
mod manifest;
mod memtable;
mod merge;
mod run;

use cache::BlockCache;
use filter::KeyHash;
pub(super) use manifest::Manifest;
pub(super) use memtable::{Memtable, Table};
pub(super) use merge::Merge;
use run::CachedReader;
pub(super) use run::{Run, RunWriter};

/// The view's folder within the data directory.
pub(super) const FOLDER: &str = "view";

/// Runs of about the same size that are merged into one.
const FAN_OUT: usize = 4;
/// Runs up to this size are of one class; each class is [`FAN_OUT`] times the one before.
const SMALLEST_CLASS: u64 = 4 * 1024 * 1024;

/// The view.
pub(super) struct View {
    disk: Disk,
    folder: PathBuf,
    /// Replaced, never changed, so that reading it costs the same however many segments and runs there are.
    state: RwLock<Arc<State>>,
}

/// What makes up the view at a moment.
#[derive(Clone)]
pub(super) struct State {
    /// Takes what is committed.
    active: Arc<Memtable>,
    /// Full, and being written as a run.
    frozen: Option<Arc<Memtable>>,
    /// Newest first.
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) manifest: Manifest,
    cache: Arc<BlockCache>,
}

impl View {
    /// Opens the view in `dir` as its manifest has it.
    pub(super) fn open(disk: &Disk, dir: &Path) -> Result<View> {
        let folder = dir.join(FOLDER);
        let manifest = Manifest::read(disk, &folder)?;
        let runs = manifest
            .runs
            .iter()
            .map(|id| Run::open(disk, &run_path(&folder, *id)).map(Arc::new))
            .collect::<Result<_>>()?;
        let view = View::with(disk.clone(), folder, runs, manifest);
        view.remove_strays()?;
        Ok(view)
    }

    /// The runs of the view in `dir`, and the journal position that they reflect; `None` if there is none. Nothing is
    /// changed.
    pub(super) fn kept(disk: &Disk, dir: &Path) -> Result<Option<(Position, Vec<Arc<Run>>)>> {
        let folder = dir.join(FOLDER);
        if matches!(disk.exists(&folder.join(manifest::NAME)), Ok(false)) {
            return Ok(None);
        }
        let Manifest { position, runs, .. } = Manifest::read(disk, &folder)?;
        let open = |id: &u64| Run::open(disk, &run_path(&folder, *id)).map(Arc::new);
        Ok(Some((position, runs.iter().map(open).collect::<Result<_>>()?)))
    }

    /// An empty view at the journal's beginning; what there was is removed.
    pub(super) fn create(disk: &Disk, dir: &Path) -> Result<View> {
        let folder = dir.join(FOLDER);
        disk.remove_dir(&folder)?;
        disk.create_dir(&folder)?;
        let view = View::with(disk.clone(), folder, Vec::new(), Manifest::default());
        Ok(view)
    }

    /// An empty view in the same folder, to become what `view` should be.
    pub(super) fn beside(view: &View) -> Result<View> {
        // An attempt before this one may have left runs behind.
        view.remove_strays()?;
        let manifest = Manifest { next_run: view.state().manifest.next_run, ..Manifest::default() };
        Ok(View::with(view.disk.clone(), view.folder.clone(), Vec::new(), manifest))
    }

    /// Takes over from `fresh`, which lies beside.
    pub(super) fn become_like(&self, fresh: &View) -> Result<()> {
        let state = fresh.state();
        self.update(|old| old.clone_from(&state));
        self.remove_strays()
    }

    fn with(disk: Disk, folder: PathBuf, runs: Vec<Arc<Run>>, manifest: Manifest) -> View {
        let (active, cache) = Default::default();
        let state = State { active, frozen: None, runs, manifest, cache };
        View { disk, folder, state: RwLock::new(Arc::new(state)) }
    }

    /// Removes files that no manifest names: of a flush or merge that was interrupted.
    fn remove_strays(&self) -> Result<()> {
        let known = self.state().manifest.runs.clone();
        for path in self.disk.list(&self.folder)? {
            let id =
                path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".run")?.parse().ok());
            if id.is_some_and(|id: u64| !known.contains(&id)) {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    /// The view as it is now.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(Arc::make_mut(&mut self.state.write().unwrap_or_else(PoisonError::into_inner)))
    }

    /// For reading many keys that mostly lie near each other.
    pub(super) fn near(&self) -> Near<'_> {
        Near { view: self, runs: Vec::new() }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.state().get(key)
    }

    pub(super) fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.state().range(range, direction, limit)
    }

    /// The view as of now, which later changes leave alone: the newest rows are set aside. `None` while others that were set
    /// aside still wait to be written.
    pub(super) fn settled(&self) -> Option<State> {
        self.update(|state| {
            if state.frozen.is_some() {
                return None;
            }
            if !state.active.is_empty() {
                state.frozen = Some(std::mem::take(&mut state.active));
            }
            Some(State { active: Arc::default(), ..state.clone() })
        })
    }

    /// Changes the newest rows. Nothing is frozen meanwhile, so rows and position stay together.
    pub(super) fn apply(&self, change: impl FnOnce(&mut Table)) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.active.write());
    }

    /// Octets that the newest rows take in memory.
    pub(super) fn active_size(&self) -> usize {
        self.state.read().unwrap_or_else(PoisonError::into_inner).active.read().size
    }

    /// Whether a table waits to be written.
    pub(super) fn has_frozen(&self) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).frozen.is_some()
    }

    /// Sets the newest rows aside to be written, unless there are none or others still wait.
    pub(super) fn freeze(&self) {
        self.update(|state| {
            if state.frozen.is_none() && !state.active.is_empty() {
                state.frozen = Some(std::mem::take(&mut state.active));
            }
        });
    }

    /// Writes the frozen rows as a run. Only one thread flushes and merges.
    pub(super) fn flush(&self) -> Result<()> {
        let Some(table) = self.state().frozen.clone() else { return Ok(()) };
        let (position, live, journaled) = {
            let table = table.read();
            (table.position, table.live.clone(), table.journaled)
        };
        let (id, path) = self.next_run();
        let mut manifest = self.state().manifest.clone();
        manifest.position = position.unwrap_or(manifest.position);
        manifest.journaled += journaled;
        for (segment, change) in live {
            let alive = manifest.live.entry(segment).or_default();
            *alive = alive.saturating_add_signed(change);
        }
        manifest.live.retain(|_, alive| *alive > 0);
        let table = table.read();
        let mut writer = RunWriter::create(&self.disk, &[&path], table.len())?;
        for (key, value) in table.rows() {
            writer.push(key, value.map(|v| &v[..]))?;
        }
        drop(table);
        writer.finish(manifest.position)?;
        manifest.runs.insert(0, id);
        let run = self.publish(&path, &manifest)?;
        self.update(|state| {
            state.frozen = None;
            state.runs.insert(0, run);
            state.manifest = manifest;
        });
        Ok(())
    }

    /// The number and the path of a new run. A number is used once, whatever becomes of the run.
    fn next_run(&self) -> (u64, PathBuf) {
        let id = self.update(|state| {
            let id = state.manifest.next_run;
            state.manifest.next_run += 1;
            id
        });
        (id, run_path(&self.folder, id))
    }

    /// Opens a finished run, and writes the manifest that names it.
    fn publish(&self, path: &Path, manifest: &Manifest) -> Result<Arc<Run>> {
        let run = Run::open(&self.disk, path)
            .and_then(|run| manifest.write(&self.disk, &self.folder).map(|()| run));
        run.map(Arc::new).inspect_err(|_| self.discard(path, manifest))
    }

    /// Removes a run that could not be published, so that attempts do not fill the disk; but not one that the manifest on
    /// the disk names all the same.
    fn discard(&self, path: &Path, manifest: &Manifest) {
        let is_named = Manifest::read(&self.disk, &self.folder).is_ok_and(|found| found == *manifest);
        if !is_named && let Err(e) = self.disk.remove(path) {
            warn!(error = %e, "cannot remove a run that is not used");
        }
    }

    /// The newest runs that should become one, if there are too many of about the same size.
    pub(super) fn merge_candidates(&self) -> Option<Vec<Arc<Run>>> {
        let runs = self.state().runs.clone();
        let class = |run: &Run| {
            let times = run.size() / SMALLEST_CLASS;
            if times == 0 { 0 } else { times.ilog(FAN_OUT as u64) + 1 }
        };
        let newest = class(runs.first()?);
        let same = runs.iter().take_while(|run| class(run) <= newest).count();
        (same >= FAN_OUT).then(|| runs.into_iter().take(same).collect())
    }

    /// Merges `inputs`, neighbours among the runs, into one. Between blocks `pause` gets its turn. With `copy`, the
    /// same octets are written there too.
    pub(super) fn merge(
        &self,
        inputs: &[Arc<Run>],
        copy: Option<&Path>,
        mut pause: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(newest) = inputs.first() else { return Ok(()) };
        // Where nothing is older, a removed key need not be remembered.
        let oldest = self.state().runs.last().map(|run| run.path().to_path_buf());
        let is_last = inputs.last().map(|run| run.path().to_path_buf()) == oldest;
        let (id, path) = self.next_run();
        let paths: Vec<_> = std::iter::once(path.as_path()).chain(copy).collect();
        let mut writer = RunWriter::create(&self.disk, &paths, inputs.iter().map(|run| run.rows()).sum())?;
        let mut merge = Merge::seek(&[], inputs, Some(&[]), Direction::Forward)?;
        let mut rows = 0usize;
        while let Some(key) = merge.key() {
            let value = merge.value();
            if value.is_some() || !is_last {
                writer.push(key, value)?;
            }
            merge.advance()?;
            rows += 1;
            if rows.is_multiple_of(4096) {
                pause()?;
            }
        }
        writer.finish(newest.position())?;
        self.replace(inputs, id, &path)
    }

    /// Puts a merged run in the place of those it was made from.
    fn replace(&self, inputs: &[Arc<Run>], id: u64, path: &Path) -> Result<()> {
        let State { runs, mut manifest, .. } = State::clone(&self.state());
        let is_input = |run: &Arc<Run>| inputs.iter().any(|input| Arc::ptr_eq(input, run));
        let at = runs.iter().position(is_input).unwrap_or(0);
        let kept = runs.into_iter().zip(manifest.runs).filter(|(run, _)| !is_input(run));
        let (mut runs, mut ids): (Vec<_>, Vec<_>) = kept.unzip();
        let at = at.min(runs.len());
        ids.insert(at, id);
        manifest.runs = ids;
        runs.insert(at, self.publish(path, &manifest)?);
        self.update(|state| {
            state.runs = runs;
            state.manifest = manifest;
        });
        for input in inputs {
            // Readers that still have it open keep its content.
            self.disk.remove(input.path())?;
        }
        Ok(())
    }

    /// Starts from a copy of a snapshot, which is checked on the way.
    pub(super) fn adopt(&self, snapshot: &Arc<Run>, live: BTreeMap<u64, u64>) -> Result<()> {
        let (id, path) = self.next_run();
        self.disk.copy(snapshot.path(), &path)?;
        self.start_with(id, &path, snapshot.position(), live)
    }

    /// Starts from what is whole of a damaged snapshot.
    pub(super) fn salvage(&self, snapshot: &Run) -> Result<()> {
        let (id, path) = self.next_run();
        let mut writer = RunWriter::create(&self.disk, &[&path], snapshot.rows())?;
        let mut live = BTreeMap::new();
        snapshot.salvage(|key, value| {
            if bodyrow::id(key).is_some()
                && let Some(row) = value.and_then(BodyRow::decode)
                && let Some(place) = row.place
            {
                let live: &mut u64 = live.entry(place.segment).or_default();
                *live = live.saturating_add(row.len);
            }
            writer.push(key, value)
        })?;
        writer.finish(snapshot.position())?;
        self.start_with(id, &path, snapshot.position(), live)
    }

    /// Makes a finished run all that the view has.
    fn start_with(&self, id: u64, path: &Path, position: Position, live: BTreeMap<u64, u64>) -> Result<()> {
        let manifest = Manifest { position, live, runs: vec![id], ..self.state().manifest.clone() };
        let run = self.publish(path, &manifest)?;
        self.update(|state| {
            state.runs = vec![run];
            state.manifest = manifest;
        });
        Ok(())
    }

    /// Begins counting anew how much was journaled since the last snapshot.
    pub(super) fn snapshot_taken(&self, journaled_before: u64) -> Result<()> {
        let mut manifest = self.state().manifest.clone();
        manifest.journaled = manifest.journaled.saturating_sub(journaled_before);
        manifest.write(&self.disk, &self.folder)?;
        self.update(|state| state.manifest = manifest);
        Ok(())
    }
}

/// Reads the view by keys that mostly lie near each other, as those of bodies do that were stored one after the other.
pub(super) struct Near<'a> {
    view: &'a View,
    runs: Vec<CachedReader>,
}

impl Near<'_> {
    /// As [`View::get`].
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>> {
        let state = self.view.state();
        for table in state.tables() {
            if let Some(value) = table.get(key) {
                return Ok(value);
            }
        }
        let same = |(reader, run): (&CachedReader, &Arc<Run>)| reader.reads(run);
        if self.runs.len() != state.runs.len() || !self.runs.iter().zip(&state.runs).all(same) {
            self.runs = state.runs.iter().map(CachedReader::new).collect();
        }
        let hash = KeyHash::of(key);
        for run in &mut self.runs {
            if let Some(value) = run.get(key, hash)? {
                return Ok(value);
            }
        }
        Ok(None)
    }
}

impl State {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        for table in self.tables() {
            if let Some(value) = table.get(key) {
                return Ok(value);
            }
        }
        let hash = KeyHash::of(key);
        for run in &self.runs {
            if let Some(value) = run.get(key, hash, &self.cache)? {
                return Ok(value);
            }
        }
        Ok(None)
    }

    pub(super) fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        let tables: Vec<_> = self.tables().cloned().collect();
        let from = match direction {
            Direction::Forward => Some(range.start.as_slice()),
            Direction::Backward => range.end.as_deref(),
        };
        let mut merge = Merge::seek(&tables, &self.runs, from, direction)?;
        let mut page = Page::default();
        while let Some((key, value)) = merge.row() {
            if !range.contains(&key) {
                break;
            }
            if let Some(value) = value {
                if page.rows.len() == limit {
                    page.more = true;
                    break;
                }
                page.rows.push((key, value));
            }
            merge.advance()?;
        }
        Ok(page)
    }

    fn tables(&self) -> impl Iterator<Item = &Arc<Memtable>> {
        std::iter::once(&self.active).chain(&self.frozen)
    }

    /// Octets alive in segment `number`.
    pub(super) fn live_in(&self, number: u64) -> u64 {
        let written = self.manifest.live.get(&number).copied().unwrap_or(0);
        // The frozen rows are older than the active ones.
        let change = |table: &Arc<Memtable>| table.read().live.get(&number).copied().unwrap_or(0);
        self.frozen
            .iter()
            .chain([&self.active])
            .fold(written, |n, table| n.saturating_add_signed(change(table)))
    }

    /// Octets alive in each segment.
    pub(super) fn live(&self) -> BTreeMap<u64, u64> {
        let mut live = self.manifest.live.clone();
        for table in self.frozen.iter().chain([&self.active]) {
            for (segment, change) in &table.read().live {
                let alive = live.entry(*segment).or_default();
                *alive = alive.saturating_add_signed(*change);
            }
        }
        live
    }
}

/// For fuzzing: searching a block finds what reading it finds.
pub(super) fn fuzz_block(rows: &Bytes) {
    let found = [block::search(rows, &[]), block::search(rows, &[0xff; 600])];
    // Searching to the end reads every row; what makes no sense then is damage to both.
    let Some(block) = block::Block::decode(rows) else { return };
    assert!(found.iter().all(Option::is_some));
    let keys: Vec<_> = (0..block.len()).filter_map(|i| block.key(i)).collect();
    // Only a writer's blocks are in order; of others it is enough that reading them ends.
    if !keys.is_sorted_by(|a, b| a < b) {
        return;
    }
    for (i, key) in keys.iter().enumerate() {
        let found = block::search(rows, key).flatten();
        assert!(found.is_some_and(|f| f.is_exact && f.value.as_deref() == block.value(i)));
    }
}

fn run_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:010}.run"))
}
