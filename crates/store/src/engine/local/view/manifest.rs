//! The manifest: a small file that says which runs the view consists of. It is replaced, never changed.

use std::{collections::BTreeMap, path::Path};

use crate::{
    codec::{Reader, put_varint},
    engine::local::{disk::Disk, journal::Position},
    error::{Error, ErrorKind, Result},
};

pub(super) const NAME: &str = "manifest";
const MAGIC: &[u8; 8] = b"moxd-man";
/// Version of the file format.
const VERSION: u32 = 1;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The journal position up to which the runs reflect it.
    pub(super) position: Position,
    /// The runs, newest first.
    pub(super) runs: Vec<u64>,
    /// The number of the next run.
    pub(super) next_run: u64,
    /// Bytes of operations that the journal got since the last snapshot.
    pub(super) journaled: u64,
    /// Live bytes in each segment.
    pub(super) live: BTreeMap<u64, u64>,
}

impl Manifest {
    /// Reads the manifest of the view in `folder`.
    pub(super) fn read(disk: &Disk, folder: &Path) -> Result<Manifest> {
        let path = folder.join(NAME);
        let bytes = disk.read(&path).map_err(|e| Error::reading(path.display().to_string(), e))?;
        let damaged = || Error::new(ErrorKind::Damaged, path.display().to_string());
        let (fields, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return Err(damaged());
        }
        Manifest::decode(fields).ok_or_else(damaged)
    }

    /// Replaces the manifest; durable when it returns.
    pub(super) fn write(&self, disk: &Disk, folder: &Path) -> Result<()> {
        let mut bytes = self.encode();
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        disk.replace(&folder.join(NAME), &bytes)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for n in [self.position.segment, self.position.offset, self.next_run, self.journaled] {
            put_varint(&mut out, n);
        }
        put_varint(&mut out, self.runs.len() as u64);
        self.runs.iter().for_each(|id| put_varint(&mut out, *id));
        put_varint(&mut out, self.live.len() as u64);
        for (segment, alive) in &self.live {
            put_varint(&mut out, *segment);
            put_varint(&mut out, *alive);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Manifest> {
        let mut reader = Reader::new(bytes);
        if reader.array::<8>()? != *MAGIC || u32::from_le_bytes(reader.array()?) != VERSION {
            return None;
        }
        let position = Position { segment: reader.varint()?, offset: reader.varint()? };
        let (next_run, journaled) = (reader.varint()?, reader.varint()?);
        let runs = (0..reader.varint()?).map(|_| reader.varint()).collect::<Option<_>>()?;
        let live = (0..reader.varint()?)
            .map(|_| Some((reader.varint()?, reader.varint()?)))
            .collect::<Option<_>>()?;
        Some(Manifest { position, runs, next_run, journaled, live })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_damage() {
        let (disk, dir) = (Disk::default(), tempfile::tempdir().unwrap());
        let manifest = Manifest {
            position: Position { segment: 3, offset: 4096 },
            runs: vec![9, 4],
            next_run: 10,
            journaled: 77,
            live: BTreeMap::from([(1, 10), (3, 5)]),
        };
        manifest.write(&disk, dir.path()).unwrap();
        assert_eq!(Manifest::read(&disk, dir.path()).unwrap(), manifest);
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for i in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[i] ^= 0x10;
            std::fs::write(&path, &flipped).unwrap();
            assert!(Manifest::read(&disk, dir.path()).is_err(), "byte {i}");
            std::fs::write(&path, &whole[..i]).unwrap();
            assert!(Manifest::read(&disk, dir.path()).is_err(), "cut at {i}");
        }
    }
}
