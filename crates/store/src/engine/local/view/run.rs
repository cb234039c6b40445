//! A run: sorted rows in a file that never changes. The view is a few of them; a snapshot is one.
//!
//! Blocks of rows come first; behind some hundred of them stands a block that says where each begins, and at the
//! end one that says where those stand. The last octets of the file say where that one is, and which journal
//! position the run reflects.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tracing::warn;

use super::block::{self, Block, Builder};
use crate::{
    codec::{Reader, put_varint},
    engine::{
        Direction,
        local::{
            disk::{Disk, File},
            journal::Position,
        },
    },
    error::{Error, ErrorKind, Result},
};

const MAGIC: &[u8; 8] = b"moxd-run";
/// Version of the file format.
const VERSION: u32 = 1;
/// Octets at the end of the file.
const TRAILER: usize = 64;
/// Octets that are collected before they are written.
const BUFFER: usize = 256 * 1024;

/// Writes a run, to one file or, the same octets, to several.
pub(in crate::engine::local) struct RunWriter {
    disk: Disk,
    files: Vec<File>,
    /// Files to remove when this is dropped unfinished.
    unfinished: Vec<PathBuf>,
    buffer: Vec<u8>,
    written: u64,
    rows: u64,
    data: Builder,
    index: Builder,
    top: Builder,
}

impl RunWriter {
    /// Begins the files, which must not be there yet.
    pub(in crate::engine::local) fn create(disk: &Disk, paths: &[PathBuf]) -> Result<RunWriter> {
        let mut writer = RunWriter {
            disk: disk.clone(),
            files: Vec::new(),
            unfinished: Vec::new(),
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
            rows: 0,
            data: Builder::default(),
            index: Builder::default(),
            top: Builder::default(),
        };
        for path in paths {
            let file = disk.create_new(path).map_err(|e| Error::io(path.display().to_string(), e))?;
            writer.files.push(file);
            writer.unfinished.push(path.clone());
        }
        Ok(writer)
    }

    /// Appends a row; keys come in ascending order.
    pub(in crate::engine::local) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.rows += 1;
        self.data.push(key, value);
        if self.data.is_full() {
            self.close_block()?;
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<()> {
        close(&mut self.data, &mut self.index, &mut self.buffer, self.written);
        if self.index.is_full() {
            close(&mut self.index, &mut self.top, &mut self.buffer, self.written);
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        for file in &mut self.files {
            file.write_all(&self.buffer).map_err(|e| Error::io("writing a run", e))?;
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the files and makes their content durable (not their names). Gives the size.
    pub(in crate::engine::local) fn finish(mut self, position: Position) -> Result<u64> {
        if !self.data.is_empty() {
            self.close_block()?;
        }
        if !self.index.is_empty() {
            close(&mut self.index, &mut self.top, &mut self.buffer, self.written);
        }
        let top_offset = self.written + self.buffer.len() as u64;
        let top_len = if self.top.is_empty() { 0 } else { self.top.finish(&mut self.buffer) };
        let mut trailer = Vec::with_capacity(TRAILER);
        trailer.extend_from_slice(MAGIC);
        trailer.extend_from_slice(&VERSION.to_le_bytes());
        trailer.extend_from_slice(&(top_len as u32).to_le_bytes());
        for n in [top_offset, self.rows, position.segment, position.offset] {
            trailer.extend_from_slice(&n.to_le_bytes());
        }
        trailer.resize(TRAILER - 4, 0);
        let crc = crc32c::crc32c(&trailer);
        trailer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&trailer);
        self.flush()?;
        for file in &self.files {
            file.sync_all().map_err(|e| Error::io("syncing a run", e))?;
        }
        self.unfinished.clear();
        Ok(self.written)
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        for path in &self.unfinished {
            if let Err(e) = self.disk.remove(path) {
                warn!(error = %e, "cannot remove an unfinished run");
            }
        }
    }
}

/// Closes the block in `from` and notes in `into` where it stands.
fn close(from: &mut Builder, into: &mut Builder, buffer: &mut Vec<u8>, written: u64) {
    let offset = written + buffer.len() as u64;
    let first = from.first().to_vec();
    let len = from.finish(buffer);
    let mut place = Vec::with_capacity(12);
    put_varint(&mut place, offset);
    put_varint(&mut place, len as u64);
    into.push(&first, Some(&place));
}

/// A run that is open for reading.
pub(in crate::engine::local) struct Run {
    file: File,
    path: PathBuf,
    top: Block,
    top_offset: u64,
    rows: u64,
    size: u64,
    position: Position,
}

/// Where a block stands in the file.
#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    len: usize,
}

impl Extent {
    fn of(block: &Block, i: usize) -> Option<Extent> {
        Extent::decode(block.value(i)?)
    }

    fn decode(value: &[u8]) -> Option<Extent> {
        let mut reader = Reader::new(value);
        let extent = Extent { offset: reader.varint()?, len: reader.length()? };
        (extent.len <= block::MAX).then_some(extent)
    }
}

impl Run {
    pub(in crate::engine::local) fn open(disk: &Disk, path: &Path) -> Result<Run> {
        let io = |e| Error::reading(path.display().to_string(), e);
        let file = disk.open(path).map_err(io)?;
        let size = file.len().map_err(io)?;
        let damaged = || Error::new(ErrorKind::Damaged, format!("{}: no whole trailer", path.display()));
        let start = size.checked_sub(TRAILER as u64).ok_or_else(damaged)?;
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, start).map_err(io)?;
        let (fields, crc) = trailer.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        let mut run = Run::from_trailer(fields, file, path, size).ok_or_else(damaged)??;
        if run.rows > 0 {
            let top_len = usize::try_from(start - run.top_offset).unwrap_or(usize::MAX);
            run.top = run.block(Extent { offset: run.top_offset, len: top_len })?;
        }
        Ok(run)
    }

    fn from_trailer(fields: &[u8], file: File, path: &Path, size: u64) -> Option<Result<Run>> {
        let mut reader = Reader::new(fields);
        if reader.array::<8>()? != *MAGIC {
            return None;
        }
        let version = u32::from_le_bytes(reader.array()?);
        if version != VERSION {
            let text = format!("{}: format {version}, this is for {VERSION}", path.display());
            return Some(Err(Error::new(ErrorKind::Version, text)));
        }
        let top_len = u64::from(u32::from_le_bytes(reader.array()?));
        let mut number = || reader.array().map(u64::from_le_bytes);
        let (top_offset, rows) = (number()?, number()?);
        let position = Position { segment: number()?, offset: number()? };
        // The block stands right before the trailer: no length is trusted that the file's size does not bear out.
        if top_offset.checked_add(top_len)? != size.saturating_sub(TRAILER as u64) {
            return None;
        }
        let (path, top) = (path.to_path_buf(), Block::default());
        Some(Ok(Run { file, path, top, top_offset, rows, size, position }))
    }

    /// The journal position that the run reflects.
    pub(in crate::engine::local) fn position(&self) -> Position {
        self.position
    }

    /// Its size on the disk.
    pub(in crate::engine::local) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::engine::local) fn path(&self) -> &Path {
        &self.path
    }

    fn damaged(&self, offset: u64) -> Error {
        Error::new(ErrorKind::Damaged, format!("{} at {offset}", self.path.display()))
    }

    fn octets(&self, extent: Extent) -> Result<Bytes> {
        self.file
            .read_at(extent.offset, extent.len as u64)
            .map(Bytes::from)
            .map_err(|e| Error::reading(format!("{} at {}", self.path.display(), extent.offset), e))
    }

    fn block(&self, extent: Extent) -> Result<Block> {
        Block::decode(&self.octets(extent)?).ok_or_else(|| self.damaged(extent.offset))
    }

    /// The block that row `i` of `above` names.
    fn below(&self, above: &Block, i: usize) -> Result<Block> {
        self.block(Extent::of(above, i).ok_or_else(|| self.damaged(self.top_offset))?)
    }

    /// The value of `key`: `None` if the run does not have it, `Some(None)` if it says that it was removed.
    pub(in crate::engine::local) fn get(&self, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        let Some(i) = covering(&self.top, key) else { return Ok(None) };
        let index = Extent::of(&self.top, i).ok_or_else(|| self.damaged(self.top_offset))?;
        let search = |extent: Extent| {
            block::search(&self.octets(extent)?, key).ok_or_else(|| self.damaged(extent.offset))
        };
        let data = search(index)?.and_then(|found| found.value);
        let Some(data) = data else { return Ok(None) };
        let data = Extent::decode(&data).ok_or_else(|| self.damaged(index.offset))?;
        Ok(search(data)?.filter(|found| found.exact).map(|found| found.value))
    }

    /// Calls `each` with the rows of all blocks that are whole.
    pub(in crate::engine::local) fn salvage(
        &self,
        mut each: impl FnMut(&[u8], Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        for i in 0..self.top.len() {
            let Ok(index) = self.below(&self.top, i) else { continue };
            for j in 0..index.len() {
                let Ok(data) = self.below(&index, j) else { continue };
                for row in 0..data.len() {
                    if let Some(key) = data.key(row) {
                        each(key, data.value(row))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks every block of the file; calls `found` with the offset of each that is damaged.
    pub(in crate::engine::local) fn verify(&self, mut found: impl FnMut(u64)) {
        let mut rows = 0;
        for i in 0..self.top.len() {
            let Ok(index) = self.below(&self.top, i) else {
                found(Extent::of(&self.top, i).map_or(self.top_offset, |e| e.offset));
                continue;
            };
            for j in 0..index.len() {
                match self.below(&index, j) {
                    Ok(data) => rows += data.len() as u64,
                    Err(_) => found(Extent::of(&index, j).map_or(self.top_offset, |e| e.offset)),
                }
            }
        }
        if rows > self.rows {
            found(self.top_offset);
        }
    }
}

/// The last row whose key is not behind `key`: the block it names may hold `key`.
fn covering(block: &Block, key: &[u8]) -> Option<usize> {
    let rank = block.rank(key);
    if block.key(rank) == Some(key) { Some(rank) } else { rank.checked_sub(1) }
}

/// Reads a run by keys that mostly lie near each other: the blocks read last are remembered, written out. For other
/// keys [`Run::get`] is cheaper.
pub(super) struct NearReader {
    run: Arc<Run>,
    index: Option<(u64, Block)>,
    data: Option<(u64, Block)>,
}

impl NearReader {
    pub(super) fn new(run: &Arc<Run>) -> NearReader {
        NearReader { run: Arc::clone(run), index: None, data: None }
    }

    /// Whether it reads this run.
    pub(super) fn reads(&self, run: &Arc<Run>) -> bool {
        Arc::ptr_eq(&self.run, run)
    }

    /// As [`Run::get`].
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Option<Bytes>>> {
        let Some(i) = covering(&self.run.top, key) else { return Ok(None) };
        let index = remembered(&mut self.index, &self.run, &self.run.top, i)?;
        let Some(i) = covering(index, key) else { return Ok(None) };
        let data = remembered(&mut self.data, &self.run, index, i)?;
        let rank = data.rank(key);
        Ok((data.key(rank) == Some(key)).then(|| data.row(rank).and_then(|(_, value)| value)))
    }
}

/// The block that row `i` of `above` names; read, unless it is the one that was read last.
fn remembered<'a>(
    last: &'a mut Option<(u64, Block)>,
    run: &Run,
    above: &Block,
    i: usize,
) -> Result<&'a Block> {
    let extent = Extent::of(above, i).ok_or_else(|| run.damaged(run.top_offset))?;
    let block = match last.take() {
        Some((offset, block)) if offset == extent.offset => block,
        _ => run.block(extent)?,
    };
    Ok(&last.insert((extent.offset, block)).1)
}

/// Walks through a run in either direction.
pub(in crate::engine::local) struct RunCursor {
    run: Arc<Run>,
    direction: Direction,
    top_row: usize,
    index: Block,
    index_row: usize,
    data: Block,
    /// The row to read next, plus one: zero is before the first.
    next: usize,
    done: bool,
}

impl RunCursor {
    /// Stands before the first row at or behind `key` (forward), or the last row before `key` (backward; `None` is
    /// the end).
    pub(in crate::engine::local) fn seek(
        run: &Arc<Run>,
        key: Option<&[u8]>,
        direction: Direction,
    ) -> Result<RunCursor> {
        let last = |block: &Block| block.len().saturating_sub(1);
        let top_row = key.map_or_else(|| last(&run.top), |k| covering(&run.top, k).unwrap_or(0));
        let mut cursor = RunCursor {
            run: Arc::clone(run),
            direction,
            top_row,
            index: Block::default(),
            index_row: 0,
            data: Block::default(),
            next: 0,
            done: run.top.len() == 0,
        };
        if !cursor.done {
            cursor.index = run.below(&run.top, top_row)?;
            cursor.index_row =
                key.map_or_else(|| last(&cursor.index), |k| covering(&cursor.index, k).unwrap_or(0));
            cursor.data = run.below(&cursor.index, cursor.index_row)?;
            let rank = key.map_or(cursor.data.len(), |k| cursor.data.rank(k));
            cursor.next = if direction == Direction::Forward { rank + 1 } else { rank };
            cursor.settle()?;
        }
        Ok(cursor)
    }

    /// Goes to the neighbouring block when this one is used up.
    fn settle(&mut self) -> Result<()> {
        match self.direction {
            Direction::Forward if self.next > self.data.len() => self.step_block(),
            Direction::Backward if self.next == 0 => self.step_block(),
            _ => Ok(()),
        }
    }

    fn step_block(&mut self) -> Result<()> {
        let forward = self.direction == Direction::Forward;
        let step = |row: usize, len: usize| {
            if forward { Some(row + 1).filter(|r| *r < len) } else { row.checked_sub(1) }
        };
        if let Some(row) = step(self.index_row, self.index.len()) {
            self.index_row = row;
        } else if let Some(row) = step(self.top_row, self.run.top.len()) {
            self.top_row = row;
            self.index = self.run.below(&self.run.top, row)?;
            self.index_row = if forward { 0 } else { self.index.len().saturating_sub(1) };
        } else {
            self.done = true;
            return Ok(());
        }
        self.data = self.run.below(&self.index, self.index_row)?;
        self.next = if forward { 1 } else { self.data.len() };
        // A block without rows is never written.
        self.done = self.data.len() == 0;
        Ok(())
    }

    pub(in crate::engine::local) fn key(&self) -> Option<&[u8]> {
        if self.done { None } else { self.data.key(self.next.checked_sub(1)?) }
    }

    pub(in crate::engine::local) fn value(&self) -> Option<&[u8]> {
        self.data.value(self.next.checked_sub(1)?)
    }

    pub(in crate::engine::local) fn row(&self) -> Option<(Bytes, Option<Bytes>)> {
        if self.done { None } else { self.data.row(self.next.checked_sub(1)?) }
    }

    pub(in crate::engine::local) fn advance(&mut self) -> Result<()> {
        match self.direction {
            Direction::Forward => self.next += 1,
            Direction::Backward => self.next = self.next.saturating_sub(1),
        }
        self.settle()
    }
}
