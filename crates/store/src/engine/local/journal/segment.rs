//! Segments: the files of the journal, and what stands in their headers.
//!
//! A segment's header names the segment before it and where that one ends, so nothing that an earlier process could not
//! finish is ever taken for part of the journal.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    frame::{self, Header},
    walk::SegmentReader,
};
use crate::{
    codec::Reader,
    engine::local::disk::Disk,
    error::{Error, ErrorKind, Result},
};

/// The journal's folder within the data directory.
pub(in crate::engine::local) const FOLDER: &str = "journal";
/// Bytes of a segment's header; frames begin behind it.
pub(in crate::engine::local) const HEADER: u64 = 64;
const MAGIC: &[u8; 8] = b"moxd-jrn";
/// Version of the file format.
const VERSION: u32 = 1;

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine::local) struct Position {
    pub(in crate::engine::local) segment: u64,
    pub(in crate::engine::local) offset: u64,
}

/// What a segment's header says. The file is opened only while it is read, so that a journal of any number of segments
/// takes one descriptor.
#[derive(Clone, Debug)]
pub(in crate::engine::local) struct Segment {
    pub(in crate::engine::local) disk: Disk,
    pub(in crate::engine::local) path: PathBuf,
    pub(in crate::engine::local) number: u64,
    pub(in crate::engine::local) salt: u64,
    /// Where the segment before this one ends; bytes behind that were never acknowledged. Zero if unknown.
    pub(in crate::engine::local) previous: Position,
    /// How often the journal had been opened.
    pub(in crate::engine::local) generation: u64,
    /// The number of the first frame.
    pub(in crate::engine::local) first_sequence: u64,
}

impl Segment {
    /// Returns the path of segment `number`.
    pub(in crate::engine::local) fn path(folder: &Path, number: u64) -> PathBuf {
        folder.join(format!("{number:010}.log"))
    }

    /// Returns the numbers of the segments in `folder`, ascending.
    pub(in crate::engine::local) fn list(disk: &Disk, folder: &Path) -> Result<Vec<u64>> {
        let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok();
        let mut numbers: Vec<u64> = disk.list(folder)?.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns the header of a new segment as it is written.
    pub(in crate::engine::local) fn encode_header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let Position { segment, offset } = self.previous;
        for n in [self.number, self.salt, segment, offset, self.generation, self.first_sequence] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a segment's header, and returns whether it is whole.
    ///
    /// The frames behind a damaged header can still be read if the first one is whole: each of them has the salt.
    pub(in crate::engine::local) fn read_header(
        disk: &Disk,
        folder: &Path,
        number: u64,
    ) -> Result<(Segment, bool)> {
        let path = Segment::path(folder, number);
        let io = |e| Error::io(path.display().to_string(), e);
        let file = disk.open(&path).map_err(io)?;
        let mut start = [0; HEADER as usize + frame::HEADER];
        file.read_some(&mut start, 0).map_err(io)?;
        let (header, first) = start.split_at(HEADER as usize);
        let mut segment = Segment {
            disk: disk.clone(),
            path: path.clone(),
            number,
            salt: 0,
            previous: Position::default(),
            generation: 0,
            first_sequence: 0,
        };
        if let Some(version) = segment.decode(header) {
            if version != VERSION {
                let text = format!("{}: format {version}, this is for {VERSION}", path.display());
                return Err(Error::new(ErrorKind::Version, text));
            }
            return Ok((segment, true));
        }
        if let Ok(bytes) = <&[u8; frame::HEADER]>::try_from(first)
            && let Some(salt) = bytes.first_chunk().map(|salt| u64::from_le_bytes(*salt))
            && let Some(frame) = Header::decode(bytes, salt)
        {
            segment.salt = salt;
            segment.first_sequence = frame.sequence;
        }
        Ok((segment, false))
    }

    /// Reads the header; returns its version. Sets the fields only if this version of moxd knows it.
    fn decode(&mut self, header: &[u8]) -> Option<u32> {
        let (fields, crc) = header.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut reader = Reader::new(fields);
        if reader.array::<8>()? != *MAGIC {
            return None;
        }
        let version = u32::from_le_bytes(reader.array()?);
        let mut long = || reader.array().map(u64::from_le_bytes);
        if version == VERSION && long()? == self.number {
            self.salt = long()?;
            self.previous = Position { segment: long()?, offset: long()? };
            self.generation = long()?;
            self.first_sequence = long()?;
        }
        Some(version)
    }

    /// Opens the file for reading.
    pub(in crate::engine::local) fn open(&self) -> Result<SegmentReader<'_>> {
        let file = self.disk.open(&self.path).map_err(|e| self.error(e))?;
        Ok(SegmentReader::new(self, file))
    }

    /// Returns the file's size in bytes.
    pub(in crate::engine::local) fn len(&self) -> Result<u64> {
        self.disk.len(&self.path).map_err(|e| self.error(e))
    }

    pub(super) fn error(&self, e: io::Error) -> Error {
        Error::io(self.path.display().to_string(), e)
    }
}
