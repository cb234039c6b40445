//! Writing a run.

use std::path::{Path, PathBuf};

use tracing::warn;

use super::{Extent, Trailer};
use crate::{
    engine::local::{
        disk::{Disk, File},
        journal::Position,
        view::{
            block::Builder,
            filter::{Filter, KeyHash},
        },
    },
    error::{Error, Result},
};

/// Bytes that are collected before they are written.
const BUFFER: usize = 256 * 1024;

/// Writes a run, to one file or, the same bytes, to several.
pub(in crate::engine::local::view) struct RunWriter {
    output: Output,
    rows: u64,
    filter: Filter,
    /// Keys of the block in `data`. They go into the filter together, so that its cache misses overlap.
    hashes: Vec<KeyHash>,
    data: Builder,
    index: Builder,
    top: Builder,
}

/// The files, and what is not written to them yet.
struct Output {
    disk: Disk,
    files: Vec<File>,
    /// Files to remove when this is dropped unfinished.
    unfinished: Vec<PathBuf>,
    buffer: Vec<u8>,
    written: u64,
}

impl RunWriter {
    /// Creates the files, which must not exist, for up to `rows` rows. If there are more, more keys that the run does
    /// not have will pass its filter.
    pub(in crate::engine::local::view) fn create(
        disk: &Disk,
        paths: &[&Path],
        rows: u64,
    ) -> Result<RunWriter> {
        let mut output = Output {
            disk: disk.clone(),
            files: Vec::new(),
            unfinished: Vec::new(),
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
        };
        for path in paths {
            let file = disk.create_new(path).map_err(|e| Error::io(path.display().to_string(), e))?;
            output.files.push(file);
            output.unfinished.push(path.to_path_buf());
        }
        Ok(RunWriter {
            output,
            rows: 0,
            filter: Filter::for_keys(rows),
            hashes: Vec::new(),
            data: Builder::default(),
            index: Builder::default(),
            top: Builder::default(),
        })
    }

    /// Appends a row; keys come in ascending order.
    pub(in crate::engine::local::view) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.rows += 1;
        self.hashes.push(KeyHash::of(key));
        self.data.push(key, value);
        if self.data.is_full() { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> Result<()> {
        self.hashes.drain(..).for_each(|hash| self.filter.insert(hash));
        self.output.close(&mut self.data, &mut self.index);
        if self.index.is_full() {
            self.output.close(&mut self.index, &mut self.top);
        }
        self.output.flush_if_full()
    }

    /// Completes the files and makes their content durable (not their names). Returns the size.
    pub(in crate::engine::local::view) fn finish(mut self, position: Position) -> Result<u64> {
        if !self.data.is_empty() {
            self.close_block()?;
        }
        if !self.index.is_empty() {
            self.output.close(&mut self.index, &mut self.top);
        }
        let mut trailer = Trailer { rows: self.rows, position, ..Trailer::default() };
        if !self.top.is_empty() {
            self.filter.shrink(self.rows);
            trailer.filter = Some(self.output.end());
            let output = &mut self.output;
            self.filter.encode(|bytes| {
                output.buffer.extend_from_slice(bytes);
                output.flush_if_full()
            })?;
            trailer.top.offset = self.output.end();
            trailer.top.len = self.top.finish(&mut self.output.buffer);
        } else {
            trailer.top.offset = self.output.end();
        }
        self.output.buffer.extend_from_slice(&trailer.encode());
        self.output.finish()
    }
}

impl Output {
    /// Where the next byte will stand in the files.
    fn end(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Closes the block in `from`, and notes in `into` where it stands.
    fn close(&mut self, from: &mut Builder, into: &mut Builder) {
        let offset = self.end();
        let first = from.first().to_vec();
        let len = from.finish(&mut self.buffer);
        into.push(&first, Some(&Extent { offset, len }.encode()));
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        for file in &self.files {
            file.write_all(&self.buffer).map_err(|e| Error::io("writing a run", e))?;
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<u64> {
        self.flush()?;
        for file in &self.files {
            file.sync_all().map_err(|e| Error::io("syncing a run", e))?;
        }
        self.unfinished.clear();
        Ok(self.written)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for path in &self.unfinished {
            if let Err(e) = self.disk.remove(path) {
                warn!(error = %e, "cannot remove an unfinished run");
            }
        }
    }
}
