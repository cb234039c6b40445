//! A run: sorted rows in a file that never changes. The view is a few of them; a snapshot is one.
//!
//! The file begins with blocks of rows. Behind some hundred of these stands an index block, which says where each of
//! them begins. The filter and the top block, which says where the index blocks stand, come behind all of them. The
//! trailer, the last bytes of the file, says where those two are, and which journal position the run reflects.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use super::{
    block::{self, Block},
    cache::BlockCache,
    filter::{Filter, KeyHash},
};
use crate::{
    codec::{Reader, put_varint},
    engine::local::{
        disk::{Disk, File},
        journal::Position,
    },
    error::{Error, ErrorKind, Result},
};

mod cursor;
mod reader;
mod writer;

pub(super) use cursor::RunCursor;
pub(super) use reader::RunReader;
pub(super) use writer::RunWriter;

const MAGIC: &[u8; 8] = b"moxd-run";
/// Version of the file format.
const VERSION: u32 = 1;
/// Bytes at the end of the file.
const TRAILER: usize = 64;

/// A run that is open for reading.
pub(in crate::engine::local) struct Run {
    /// Differs from that of every other run that this process has opened, whatever becomes of the file.
    id: u64,
    file: File,
    path: PathBuf,
    size: u64,
    trailer: Trailer,
    top: Block,
    /// Read when it is first needed: walking through the run needs none.
    filter: OnceLock<Filter>,
}

/// Where a block stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Extent {
    offset: u64,
    len: usize,
}

impl Extent {
    /// Where the block stands that row `i` of `block` names.
    fn of(block: &Block, i: usize) -> Option<Extent> {
        Extent::decode(block.value(i)?)
    }

    fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        put_varint(&mut out, self.offset);
        put_varint(&mut out, self.len as u64);
        out
    }

    fn decode(value: &[u8]) -> Option<Extent> {
        let mut reader = Reader::new(value);
        let extent = Extent { offset: reader.varint()?, len: reader.length()? };
        (extent.len <= block::MAX).then_some(extent)
    }
}

/// The end of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trailer {
    top: Extent,
    rows: u64,
    /// The journal position that the run reflects.
    position: Position,
    /// Where the filter begins, which ends where the top block begins. Runs of older stores, and those without any
    /// row, have none.
    filter: Option<u64>,
}

impl Trailer {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.top.len as u32).to_le_bytes());
        let Position { segment, offset } = self.position;
        // No filter begins at zero, where the first block stands.
        for n in [self.top.offset, self.rows, segment, offset, self.filter.unwrap_or(0)] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.resize(TRAILER - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the trailer of a file of `size` bytes. `None` is damage; `Err` is the version of another format.
    fn decode(bytes: &[u8; TRAILER], size: u64) -> Option<std::result::Result<Trailer, u32>> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        let mut reader = Reader::new(fields);
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) || reader.array::<8>()? != *MAGIC {
            return None;
        }
        let version = u32::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Some(Err(version));
        }
        let len = u32::from_le_bytes(reader.array()?);
        let mut number = || reader.array().map(u64::from_le_bytes);
        let (offset, rows) = (number()?, number()?);
        let position = Position { segment: number()?, offset: number()? };
        let filter = Some(number()?).filter(|offset| *offset > 0);
        // Both stand right before the trailer: no length counts that the file's size does not bear out.
        let is_right = offset.checked_add(u64::from(len))? == size.checked_sub(TRAILER as u64)?
            && filter.is_none_or(|filter| filter < offset);
        is_right.then_some(Ok(Trailer { top: Extent { offset, len: len as usize }, rows, position, filter }))
    }
}

impl Run {
    pub(in crate::engine::local) fn open(disk: &Disk, path: &Path) -> Result<Run> {
        /// Counts the runs that were opened.
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let io = |e| Error::reading(path.display().to_string(), e);
        let file = disk.open(path).map_err(io)?;
        let size = file.len().map_err(io)?;
        let damaged = || Error::new(ErrorKind::Damaged, format!("{}: no whole trailer", path.display()));
        let start = size.checked_sub(TRAILER as u64).ok_or_else(damaged)?;
        let mut trailer = [0; TRAILER];
        file.read_exact_at(&mut trailer, start).map_err(io)?;
        let trailer = Trailer::decode(&trailer, size).ok_or_else(damaged)?.map_err(|version| {
            let text = format!("{}: format {version}, this is for {VERSION}", path.display());
            Error::new(ErrorKind::Version, text)
        })?;
        let mut run = Run {
            id: OPENED.fetch_add(1, Ordering::Relaxed),
            file,
            path: path.to_path_buf(),
            size,
            trailer,
            top: Block::default(),
            filter: OnceLock::new(),
        };
        if trailer.rows > 0 {
            run.top = run.block(trailer.top)?;
        }
        Ok(run)
    }

    /// The journal position that the run reflects.
    pub(in crate::engine::local) fn position(&self) -> Position {
        self.trailer.position
    }

    /// Its size on the disk.
    pub(in crate::engine::local) fn size(&self) -> u64 {
        self.size
    }

    /// How many rows it has, with removed keys.
    pub(super) fn rows(&self) -> u64 {
        self.trailer.rows
    }

    pub(in crate::engine::local) fn path(&self) -> &Path {
        &self.path
    }

    fn damaged(&self, offset: u64) -> Error {
        Error::new(ErrorKind::Damaged, format!("{} at {offset}", self.path.display()))
    }

    fn bytes(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        self.file
            .read_at(offset, len)
            .map_err(|e| Error::reading(format!("{} at {offset}", self.path.display()), e))
    }

    /// The rows of a block, encoded.
    fn encoded(&self, extent: Extent) -> Result<Bytes> {
        let block = Bytes::from(self.bytes(extent.offset, extent.len as u64)?);
        block::rows(&block).ok_or_else(|| self.damaged(extent.offset))
    }

    fn block(&self, extent: Extent) -> Result<Block> {
        Block::decode(&self.encoded(extent)?).ok_or_else(|| self.damaged(extent.offset))
    }

    /// The block that row `i` of `above` names.
    fn below(&self, above: &Block, i: usize) -> Result<Block> {
        self.block(Extent::of(above, i).ok_or_else(|| self.damaged(self.trailer.top.offset))?)
    }

    /// Reads the filter from the file, if the run has one.
    fn read_filter(&self) -> Result<Option<Filter>> {
        let Some(offset) = self.trailer.filter else { return Ok(None) };
        let read = |at: u64, len| self.bytes(offset + at, len);
        let filter = Filter::decode(self.trailer.top.offset - offset, read)?;
        filter.map(Some).ok_or_else(|| self.damaged(offset))
    }

    /// Reads the filter from the file unless it is in memory already; `None` if the run has none.
    fn filter(&self) -> Result<Option<&Filter>> {
        match self.filter.get() {
            Some(filter) => Ok(Some(filter)),
            None => Ok(self.read_filter()?.map(|filter| self.filter.get_or_init(|| filter))),
        }
    }

    /// Reads the filter ahead of the first row.
    pub(super) fn load_filter(&self) -> Result<()> {
        self.filter().map(drop)
    }

    /// Whether the run may have the key with this hash. Damage to the filter is an error and not an answer: no row
    /// looks absent because of it.
    fn may_have(&self, hash: KeyHash) -> Result<bool> {
        Ok(self.filter()?.is_none_or(|filter| filter.may_contain(hash)))
    }

    /// The value of `key`: `None` if the run does not have it, `Some(None)` if it says that it was removed.
    pub(super) fn get(&self, key: &[u8], hash: KeyHash, cache: &BlockCache) -> Result<Option<Option<Bytes>>> {
        if !self.may_have(hash)? {
            return Ok(None);
        }
        let Some(i) = covering(&self.top, key) else { return Ok(None) };
        let index = Extent::of(&self.top, i).ok_or_else(|| self.damaged(self.trailer.top.offset))?;
        let search = |extent: Extent| {
            let id = (self.id, extent.offset);
            let rows = match cache.get(id) {
                Some(rows) => rows,
                None => {
                    let rows = self.encoded(extent)?;
                    cache.insert(id, rows.clone());
                    rows
                }
            };
            block::search(&rows, key).ok_or_else(|| self.damaged(extent.offset))
        };
        let data = search(index)?.and_then(|found| found.value);
        let Some(data) = data else { return Ok(None) };
        let data = Extent::decode(&data).ok_or_else(|| self.damaged(index.offset))?;
        Ok(search(data)?.filter(|found| found.is_exact).map(|found| found.value))
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

    /// Checks every byte of the file that means something; calls `found` with the offset of each block that is damaged,
    /// and of the filter if that is damaged or lacks a row's key.
    pub(in crate::engine::local) fn verify(&self, mut found: impl FnMut(u64)) {
        let top = self.trailer.top.offset;
        if self.trailer.rows > 0 && self.block(self.trailer.top).is_err() {
            found(top);
        }
        let filter = self.read_filter();
        let mut filter_lacks_keys = filter.is_err();
        let mut is_whole = true;
        let mut rows = 0;
        for i in 0..self.top.len() {
            let Ok(index) = self.below(&self.top, i) else {
                is_whole = false;
                found(Extent::of(&self.top, i).map_or(top, |e| e.offset));
                continue;
            };
            for j in 0..index.len() {
                let Ok(data) = self.below(&index, j) else {
                    is_whole = false;
                    found(Extent::of(&index, j).map_or(top, |e| e.offset));
                    continue;
                };
                rows += data.len() as u64;
                if let Ok(Some(filter)) = &filter {
                    let mut keys = (0..data.len()).filter_map(|row| data.key(row));
                    filter_lacks_keys |= !keys.all(|key| filter.may_contain(KeyHash::of(key)));
                }
            }
        }
        if filter_lacks_keys {
            found(self.trailer.filter.unwrap_or(top));
        }
        if rows > self.trailer.rows || (is_whole && rows < self.trailer.rows) {
            found(top);
        }
    }
}

/// The last row whose key is not behind `key`: the block it names may hold `key`.
fn covering(block: &Block, key: &[u8]) -> Option<usize> {
    let rank = block.rank(key);
    if block.key(rank) == Some(key) { Some(rank) } else { rank.checked_sub(1) }
}

#[cfg(test)]
pub(super) mod tests;
