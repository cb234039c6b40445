//! The view as sorted runs: the newest rows are in memory, and from time to time become a run; runs are merged so that
//! there are never many.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::RwLock;
use tracing::warn;

use super::{
    CachedReader, Changes, FOLDER, Pressure, Rows, Taken, View, Walk,
    manifest::{self, Manifest},
    merge::Merge,
    run::{Run, RunReader, RunWriter},
    state::{Present, State},
};
use crate::{
    engine::{
        Direction, KeyRange, Page,
        local::{
            bodyrow::{self, BodyRow},
            disk::Disk,
            journal::Position,
        },
    },
    error::Result,
};

/// Runs of about the same size that are merged into one.
const FAN_OUT: usize = 4;
/// Runs up to this size are of one class; each class is [`FAN_OUT`] times the one before.
const SMALLEST_CLASS: u64 = 4 * 1024 * 1024;
/// Rows that are merged between two pauses.
const PAUSE: usize = 4096;

/// The view.
pub(super) struct Runs {
    disk: Disk,
    folder: PathBuf,
    /// Replaced, never changed, so that reading it costs the same however many segments and runs there are.
    state: RwLock<Arc<State>>,
}

impl Runs {
    /// Opens the view in `dir` as its manifest has it.
    pub(super) fn open(disk: &Disk, dir: &Path) -> Result<Runs> {
        let folder = dir.join(FOLDER);
        let state = read(disk, &folder)?;
        // A view whose filters are damaged has to be rebuilt before anything reads it: nearly every read needs them.
        state.runs.iter().try_for_each(|run| run.load_filter())?;
        let view = Runs::with(disk, &folder, state);
        view.remove_strays()?;
        Ok(view)
    }

    /// Creates an empty view in `dir`. What there was is removed.
    pub(super) fn create(disk: &Disk, dir: &Path) -> Result<Runs> {
        let folder = dir.join(FOLDER);
        disk.remove_dir(&folder)?;
        disk.create_dir(&folder)?;
        Ok(Runs::with(disk, &folder, State::default()))
    }

    fn with(disk: &Disk, folder: &Path, state: State) -> Runs {
        Runs { disk: disk.clone(), folder: folder.to_path_buf(), state: RwLock::new(Arc::new(state)) }
    }

    /// Removes files that the manifest does not name: of a flush or merge that was interrupted.
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
    fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read())
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(Arc::make_mut(&mut self.state.write()))
    }

    /// Returns the number and the path of a new run. A number is used once, whatever becomes of the run.
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

    /// Removes a run that could not be published, so that attempts do not fill the disk; but not one that the manifest
    /// on the disk names all the same.
    fn discard(&self, path: &Path, manifest: &Manifest) {
        let is_named = Manifest::read(&self.disk, &self.folder).is_ok_and(|found| found == *manifest);
        if !is_named && let Err(e) = self.disk.remove(path) {
            warn!(error = %e, "cannot remove a run that is not used");
        }
    }

    /// Merges `inputs`, neighbours among the runs, into one. With `copy`, the same bytes are written there too.
    fn merge(
        &self,
        inputs: &[Arc<Run>],
        copy: Option<&Path>,
        pause: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let Some(newest) = inputs.first() else { return Ok(()) };
        // Where nothing is older, a removed key need not be remembered.
        let is_last = match (inputs.last(), self.state().runs.last()) {
            (Some(input), Some(oldest)) => Arc::ptr_eq(input, oldest),
            _ => false,
        };
        let (id, path) = self.next_run();
        let paths: Vec<_> = std::iter::once(path.as_path()).chain(copy).collect();
        let rows_at_most = inputs.iter().map(|run| run.rows()).sum();
        let mut writer = RunWriter::create(&self.disk, &paths, rows_at_most)?;
        let mut merge = Merge::seek(&[], inputs, Some(&[]), Direction::Forward)?;
        let mut rows = 0usize;
        while let Some(key) = merge.key() {
            let value = merge.value();
            if value.is_some() || !is_last {
                writer.push(key, value)?;
            }
            merge.advance()?;
            rows += 1;
            if rows.is_multiple_of(PAUSE) {
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
        // Readers that still have them open keep their content.
        inputs.iter().try_for_each(|input| self.disk.remove(input.path()))
    }
}

impl View for Runs {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.state().get(key)
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.state().range(range, direction, limit)
    }

    fn cached_reader(&self) -> Box<dyn CachedReader + '_> {
        Box::new(Reader { view: self, runs: Vec::new() })
    }

    fn rows(&self) -> Option<Box<dyn Rows>> {
        self.update(|state| {
            if state.frozen.is_some() {
                return None;
            }
            state.freeze();
            Some(Box::new(State { active: Arc::default(), ..state.clone() }) as Box<dyn Rows>)
        })
    }

    fn apply(&self, changes: &mut dyn Iterator<Item = Changes>) {
        // Nothing is frozen meanwhile, so rows and position stay together.
        let state = self.state.read();
        let mut table = state.active.write();
        changes.for_each(|changes| table.apply(changes));
    }

    fn pressure(&self) -> Pressure {
        let state = self.state.read();
        let bytes = state.active.read().size;
        Pressure { bytes, has_frozen: state.frozen.is_some() }
    }

    fn freeze(&self) {
        self.update(State::freeze);
    }

    fn flush(&self) -> Result<()> {
        let state = self.state();
        let Some(frozen) = &state.frozen else { return Ok(()) };
        let (id, path) = self.next_run();
        let mut manifest = self.state().manifest.clone();
        let table = frozen.read();
        manifest.position = table.position.unwrap_or(manifest.position);
        manifest.journaled += table.journaled;
        for (segment, change) in &table.live {
            let alive = manifest.live.entry(*segment).or_default();
            *alive = alive.saturating_add_signed(*change);
        }
        manifest.live.retain(|_, alive| *alive > 0);
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

    fn position(&self) -> Position {
        self.state().manifest.position
    }

    fn journaled(&self) -> u64 {
        self.state().manifest.journaled
    }

    fn live(&self) -> BTreeMap<u64, u64> {
        self.state().live()
    }

    fn tidy(&self, pause: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        while let Some(runs) = merge_candidates(&self.state().runs) {
            self.merge(runs, None, pause)?;
        }
        Ok(())
    }

    fn snapshot(&self, to: &Path, pause: &mut dyn FnMut() -> Result<()>) -> Result<Taken> {
        let state = self.state();
        self.merge(&state.runs, Some(to), pause)?;
        Ok(Taken { position: state.manifest.position, journaled: state.manifest.journaled })
    }

    fn snapshot_is_placed(&self, taken: Taken) -> Result<()> {
        let mut manifest = self.state().manifest.clone();
        manifest.journaled = manifest.journaled.saturating_sub(taken.journaled);
        manifest.write(&self.disk, &self.folder)?;
        self.update(|state| state.manifest = manifest);
        Ok(())
    }

    fn load(&self, snapshot: &Run, is_whole: bool) -> Result<()> {
        let (id, path) = self.next_run();
        if is_whole {
            self.disk.copy(snapshot.path(), &path)?;
        } else {
            let mut writer = RunWriter::create(&self.disk, &[&path], snapshot.rows())?;
            snapshot.salvage(|key, value| writer.push(key, value))?;
            writer.finish(snapshot.position())?;
        }
        let live = live_bytes(&Arc::new(Run::open(&self.disk, &path)?))?;
        let position = snapshot.position();
        let manifest = Manifest { position, live, runs: vec![id], ..self.state().manifest.clone() };
        let run = self.publish(&path, &manifest)?;
        self.update(|state| {
            state.runs = vec![run];
            state.manifest = manifest;
        });
        Ok(())
    }

    fn rebuild(&self, fill: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()> {
        // An attempt before this one may have left runs behind.
        self.remove_strays()?;
        let manifest = Manifest { next_run: self.state().manifest.next_run, ..Manifest::default() };
        // It lies in the same folder, and its manifest takes the place of this one's as soon as it has a run.
        let fresh = Runs::with(&self.disk, &self.folder, State { manifest, ..State::default() });
        let filled = fill(&fresh);
        let state = fresh.state();
        self.update(|old| match filled {
            Ok(()) => old.clone_from(&state),
            // Runs that the attempt has written may still be there.
            Err(_) => old.manifest.next_run = state.manifest.next_run,
        });
        filled?;
        self.remove_strays()
    }
}

/// Reads the manifest in `folder`, and opens its runs.
fn read(disk: &Disk, folder: &Path) -> Result<State> {
    let manifest = Manifest::read(disk, folder)?;
    let open = |id: &u64| Run::open(disk, &run_path(folder, *id)).map(Arc::new);
    let runs = manifest.runs.iter().map(open).collect::<Result<_>>()?;
    Ok(State { runs, manifest, ..State::default() })
}

/// The durable rows of the view in `dir`; `None` if there is no view. Nothing is changed.
pub(super) fn kept(disk: &Disk, dir: &Path) -> Result<Option<State>> {
    let folder = dir.join(FOLDER);
    match disk.exists(&folder.join(manifest::NAME)) {
        Ok(false) => Ok(None),
        _ => read(disk, &folder).map(Some),
    }
}

/// The newest runs that should become one, if there are too many of about the same size.
fn merge_candidates(runs: &[Arc<Run>]) -> Option<&[Arc<Run>]> {
    let class = |run: &Run| {
        let times = run.size() / SMALLEST_CLASS;
        if times == 0 { 0 } else { times.ilog(FAN_OUT as u64) + 1 }
    };
    let newest = class(runs.first()?);
    let same = runs.iter().take_while(|run| class(run) <= newest).count();
    runs.get(..same).filter(|same| same.len() >= FAN_OUT)
}

/// The live bytes of each segment, from the rows of bodies.
fn live_bytes(run: &Arc<Run>) -> Result<BTreeMap<u64, u64>> {
    let mut live = BTreeMap::new();
    let mut rows = Present::seek(&[], std::slice::from_ref(run), &[bodyrow::TABLE])?;
    while let Some((key, value)) = rows.row()
        && bodyrow::id(key).is_some()
    {
        if let Some(row) = BodyRow::decode(value)
            && let Some(place) = row.place
        {
            let live: &mut u64 = live.entry(place.segment).or_default();
            *live = live.saturating_add(row.len);
        }
        rows.advance()?;
    }
    Ok(live)
}

fn run_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:010}.run"))
}

/// Reads each run with a reader of its own.
struct Reader<'a> {
    view: &'a Runs,
    runs: Vec<RunReader>,
}

impl CachedReader for Reader<'_> {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>> {
        let state = self.view.state();
        if let Some(value) = state.newest(key) {
            return Ok(value);
        }
        let same = |(reader, run): (&RunReader, &Arc<Run>)| reader.reads(run);
        if self.runs.len() != state.runs.len() || !self.runs.iter().zip(&state.runs).all(same) {
            self.runs = state.runs.iter().map(RunReader::new).collect();
        }
        for run in &mut self.runs {
            if let Some(value) = run.get(key)? {
                return Ok(value);
            }
        }
        Ok(None)
    }
}
