//! The engine's own rows: where each body is kept, and how many records link to it.

use bytes::Bytes;

use super::journal::Position;
use crate::{
    codec::{Reader, put_varint},
    engine::{BodyId, ENGINE_TABLE},
    error::{Error, ErrorKind, Result},
};

/// The table of these rows.
pub(super) const TABLE: u8 = ENGINE_TABLE;
/// Version of the row's format.
const VERSION: u8 = 1;

/// A body's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BodyRow {
    pub(super) links: u32,
    pub(super) len: u64,
    /// CRC-32C of the bytes, or of a file's table of checksums.
    pub(super) crc: u32,
    /// Where the bytes stand in the journal; `None` if they are in a file.
    pub(super) place: Option<Position>,
}

/// Returns the key of a body's row.
pub(super) fn key(id: BodyId) -> [u8; 9] {
    let mut key = [TABLE; 9];
    if let Some(number) = key.last_chunk_mut() {
        *number = id.get().to_be_bytes();
    }
    key
}

/// Returns the body that a row's key names; `None` if it is the key of another table.
pub(super) fn id(key: &[u8]) -> Option<BodyId> {
    let (table, number) = key.split_first()?;
    (*table == TABLE).then_some(BodyId::from_u64(u64::from_be_bytes(number.try_into().ok()?)))
}

/// Reads the row of a body from the rows that `get` returns; `None` if there is none.
pub(super) fn find(id: BodyId, get: impl FnOnce(&[u8]) -> Result<Option<Bytes>>) -> Result<Option<BodyRow>> {
    let Some(raw) = get(&key(id))? else { return Ok(None) };
    let damaged = || Error::new(ErrorKind::Damaged, format!("row of body {}", id.get()));
    BodyRow::decode(&raw).map(Some).ok_or_else(damaged)
}

impl BodyRow {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(24);
        out.push(VERSION);
        put_varint(&mut out, u64::from(self.links));
        put_varint(&mut out, self.len);
        out.extend_from_slice(&self.crc.to_le_bytes());
        if let Some(place) = self.place {
            put_varint(&mut out, place.segment);
            put_varint(&mut out, place.offset);
        }
        Bytes::from(out)
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<BodyRow> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        Some(BodyRow {
            links: reader.varint_u32()?,
            len: reader.varint()?,
            crc: u32::from_le_bytes(reader.array()?),
            place: match reader.is_empty() {
                true => None,
                false => Some(Position { segment: reader.varint()?, offset: reader.varint()? }),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(links: u32, place: Option<Position>) -> BodyRow {
        BodyRow { links, len: 100, crc: 7, place }
    }

    #[test]
    fn round_trips_rows() {
        for row in [row(1, None), row(3, Some(Position { segment: 9, offset: 1 << 25 }))] {
            assert_eq!(BodyRow::decode(&row.encode()), Some(row));
        }
        let id_ = BodyId::from_u64(1 << 41 | 5);
        assert_eq!(id(&key(id_)), Some(id_));
        assert_eq!(BodyRow::decode(&[]), None);
    }
}
