//! The view: all rows as of a journal position, sorted by key.
//!
//! It holds nothing that the journal and its snapshot do not: it can be thrown away and rebuilt. The engine knows it as
//! a [`View`] alone, so that another kind can take its place; the one that there is keeps its rows in sorted runs. Why
//! it is neither sled nor lsm-tree: see docs/store-format.md.

use std::{collections::BTreeMap, path::Path};

use bytes::Bytes;

use super::{disk::Disk, journal::Position};
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
mod runs;
mod state;

pub(super) use run::Run;
use runs::Runs;

/// The view's folder within the data directory.
const FOLDER: &str = "view";

/// The rows of the local engine. Any thread may read and apply; one thread at a time does the rest.
pub(super) trait View: Send + Sync {
    /// Returns the value of `key` as of the last changes that were applied.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// Returns up to `limit` rows of `range` in the order of `direction`.
    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page>;

    /// For reading many keys that mostly lie near each other, as those of bodies do that were stored one after the other.
    fn cached_reader(&self) -> Box<dyn CachedReader + '_>;

    /// Returns all rows as of now, which later changes leave alone. The newest rows are set aside for that; `None`
    /// while others that were set aside before wait to be written.
    fn rows(&self) -> Option<Box<dyn Rows>>;

    /// Applies the changes of some frames of the journal, in their order. A reader sees all of them or none, and none of
    /// them is set aside before the last one is taken from the iterator.
    fn apply(&self, changes: &mut dyn Iterator<Item = Changes>);

    /// Returns what is in memory alone.
    fn pressure(&self) -> Pressure;

    /// Sets the newest rows aside to be written, unless there are none or others still wait.
    fn freeze(&self);

    /// Writes the rows that were set aside, and makes them durable with the position that they reflect.
    fn flush(&self) -> Result<()>;

    /// The journal position that the durable rows reflect; the default if there are none.
    fn position(&self) -> Position;

    /// Bytes of operations that the journal got since the last snapshot, as far as the durable rows reflect it.
    fn journaled(&self) -> u64;

    /// Bytes of live bodies in each segment, as of now. Segments without any may be missing.
    fn live(&self) -> BTreeMap<u64, u64>;

    /// Puts the files in order, so that reading stays cheap. Calls `pause` every now and then, which may [`flush`].
    ///
    /// [`flush`]: View::flush
    fn tidy(&self, pause: &mut dyn FnMut() -> Result<()>) -> Result<()>;

    /// Writes all durable rows, none of them a removed key, as a run to the new file `to`, and makes its content
    /// durable. Calls `pause` as [`View::tidy`] does. Afterwards the view holds no byte of a row that was removed
    /// before.
    fn snapshot(&self, to: &Path, pause: &mut dyn FnMut() -> Result<()>) -> Result<Taken>;

    /// Notes that a snapshot has its place, so that what was journaled before it no longer counts.
    fn snapshot_is_placed(&self, taken: Taken) -> Result<()>;

    /// Fills an empty view with a snapshot's rows. Of one that is damaged it takes every block that is whole.
    fn load(&self, snapshot: &Run, is_whole: bool) -> Result<()>;

    /// Replaces all rows by those that `fill` puts into an empty view. Until that is done, and if it fails, the view
    /// stays as it is.
    fn rebuild(&self, fill: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()>;
}

/// All rows as of one moment.
pub(super) trait Rows: Send + Sync {
    /// The journal position that they reflect.
    fn position(&self) -> Position;

    /// As [`View::get`].
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>>;

    /// As [`View::range`].
    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page>;

    /// Stands before the first row whose key is `from` or behind it.
    fn walk(&self, from: &[u8]) -> Result<Box<dyn Walk>>;

    /// Reads all of the files that the rows are in; calls `found` with the file and offset of each damage.
    fn verify(&self, found: &mut dyn FnMut(&Path, u64));
}

/// Goes through rows in ascending order of their keys.
pub(super) trait Walk {
    /// The next row.
    fn row(&self) -> Option<(&[u8], &[u8])>;

    /// Goes on to the row behind it.
    fn advance(&mut self) -> Result<()>;
}

/// Reads single rows, and remembers where the last ones were.
pub(super) trait CachedReader {
    /// As [`View::get`].
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>>;
}

/// The rows that a frame of the journal changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Keys with their values, or `None` where they are removed, in the order in which they apply.
    pub(super) rows: Vec<(Bytes, Option<Bytes>)>,
    /// Bytes that become live in a segment, or stop being so.
    pub(super) live: Vec<(u64, i64)>,
    /// Bytes of operations that the frame has.
    pub(super) journaled: u64,
    /// Where the frame ends.
    pub(super) end: Position,
}

/// The rows that a view has only in memory: the pressure to write them to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressure {
    /// Bytes that the newest rows take, without those that were set aside.
    pub(super) bytes: usize,
    /// Whether rows that were set aside wait for [`View::flush`].
    pub(super) has_frozen: bool,
}

/// A snapshot that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The journal position that it reflects.
    pub(super) position: Position,
    /// The value of [`View::journaled`] for its rows.
    pub(super) journaled: u64,
}

/// Opens the view in the data directory `dir`.
pub(super) fn open(disk: &Disk, dir: &Path) -> Result<Box<dyn View>> {
    Ok(Box::new(Runs::open(disk, dir)?))
}

/// Creates an empty view in `dir`, at the journal's beginning. What there was is removed.
pub(super) fn create(disk: &Disk, dir: &Path) -> Result<Box<dyn View>> {
    Ok(Box::new(Runs::create(disk, dir)?))
}

/// Returns the durable rows of the view in `dir`; `None` if there is no view. Nothing is changed.
pub(super) fn kept(disk: &Disk, dir: &Path) -> Result<Option<Box<dyn Rows>>> {
    Ok(runs::kept(disk, dir)?.map(|state| Box::new(state) as Box<dyn Rows>))
}

/// For fuzzing: searching the rows of a block finds what decoding them finds.
pub(super) fn fuzz_block(rows: &Bytes) {
    block::check_search(rows);
}

/// For tests: the files of the runs of the view in `dir`.
#[cfg(test)]
pub(super) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = Disk::default().list(&dir.join(FOLDER)).unwrap();
    files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "run")).collect()
}
