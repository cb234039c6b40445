//! The engine's own rows: where each body is kept, and how many records link to it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    frame::{Kind, TableEntry},
    segment::Position,
    view::Table,
};
use crate::{
    codec::{Reader, put_varint},
    engine::{BodyId, ENGINE_TABLE, Op, OpsIter},
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
    /// CRC-32C: of the octets, or of a file's table of checksums.
    pub(super) crc: u32,
    /// Where the octets stand in the journal; `None` when they are a file.
    pub(super) place: Option<Position>,
}

/// The key of a body's row.
pub(super) fn key(id: BodyId) -> [u8; 9] {
    let mut key = [TABLE; 9];
    if let Some(number) = key.last_chunk_mut() {
        *number = id.get().to_be_bytes();
    }
    key
}

/// The body of a row's key.
pub(super) fn id(key: &[u8]) -> Option<BodyId> {
    let (table, number) = key.split_first()?;
    (*table == TABLE).then_some(BodyId::from_u64(u64::from_be_bytes(number.try_into().ok()?)))
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

/// What a frame does to the view.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) rows: Vec<(Bytes, Option<Bytes>)>,
    /// Octets that become alive, or stop being so, by segment.
    pub(super) live: Vec<(u64, i64)>,
    /// Files that nothing links to any more.
    pub(super) unlinked: Vec<BodyId>,
    /// Bodies that the operations link to and that are nowhere.
    pub(super) missing: bool,
}

impl Effects {
    /// Finds what a frame with this table and these operations does to rows as `get` has them.
    pub(super) fn of(
        kind: Kind,
        table: &[(TableEntry, Position)],
        ops: &Bytes,
        mut get: impl FnMut(&[u8]) -> Result<Option<Bytes>>,
    ) -> Result<Effects> {
        let mut effects = Effects::default();
        let mut links: BTreeMap<BodyId, i64> = BTreeMap::new();
        for op in OpsIter::new(ops) {
            match op {
                Op::Put(key, value) => effects.rows.push((ops.slice_ref(key), Some(ops.slice_ref(value)))),
                Op::Delete(key) => effects.rows.push((ops.slice_ref(key), None)),
                Op::Link(id) => *links.entry(id).or_default() += 1,
                Op::Unlink(id) => *links.entry(id).or_default() -= 1,
            }
        }
        for (entry, place) in table {
            match kind {
                Kind::Batch => effects.add(entry, *place, links.remove(&entry.id).unwrap_or(0)),
                Kind::Carry => effects.carry(entry, *place, find(entry.id, &mut get)?),
            }
        }
        for (id, change) in links {
            match find(id, &mut get)? {
                Some(row) => effects.count(id, row, change),
                None => effects.missing |= change > 0,
            }
        }
        Ok(effects)
    }

    fn put(&mut self, id: BodyId, row: Option<BodyRow>) {
        self.rows.push((Bytes::copy_from_slice(&key(id)), row.map(|row| row.encode())));
    }

    /// A new body.
    fn add(&mut self, entry: &TableEntry, place: Position, links: i64) {
        let Some(links) = u32::try_from(links).ok().filter(|n| *n > 0) else { return };
        let row = BodyRow { links, len: entry.len, crc: entry.crc, place: entry.inline.then_some(place) };
        self.account(row, 1);
        self.put(entry.id, Some(row));
    }

    /// A body that has moved.
    fn carry(&mut self, entry: &TableEntry, place: Position, row: Option<BodyRow>) {
        let Some(row) = row else { return };
        self.account(row, -1);
        let row = BodyRow { place: Some(place), ..row };
        self.account(row, 1);
        self.put(entry.id, Some(row));
    }

    /// A body to which more or fewer records link.
    fn count(&mut self, id: BodyId, row: BodyRow, change: i64) {
        let links = u32::try_from(i64::from(row.links) + change).unwrap_or(0);
        if links > 0 {
            return self.put(id, Some(BodyRow { links, ..row }));
        }
        self.account(row, -1);
        self.put(id, None);
        if row.place.is_none() {
            self.unlinked.push(id);
        }
    }

    fn account(&mut self, row: BodyRow, sign: i64) {
        if let Some(place) = row.place {
            self.live.push((place.segment, sign * i64::try_from(row.len).unwrap_or(i64::MAX)));
        }
    }

    /// Leaves the effects in the newest rows of the view, which then reflects the journal up to `position`.
    pub(super) fn apply(self, table: &mut Table, position: Position, journaled: u64) {
        for (key, value) in self.rows {
            table.set(key, value);
        }
        for (segment, change) in self.live {
            *table.live.entry(segment).or_default() += change;
        }
        table.journaled += journaled;
        table.position = Some(position);
    }
}

fn find(id: BodyId, get: &mut impl FnMut(&[u8]) -> Result<Option<Bytes>>) -> Result<Option<BodyRow>> {
    match get(&key(id))? {
        None => Ok(None),
        Some(raw) => BodyRow::decode(&raw)
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Damaged, format!("row of body {}", id.get()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ops;

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

    #[test]
    fn counts_links() {
        #[track_caller]
        fn check(
            stored: Option<BodyRow>,
            ops: &[(i8, u64)],
            expected: Option<Option<BodyRow>>,
            missing: bool,
        ) {
            let mut encoded = Ops::default();
            for (change, id) in ops {
                let id = BodyId::from_u64(*id);
                if *change > 0 { encoded.link(id) } else { encoded.unlink(id) }
            }
            let ops = Bytes::from(encoded.into_bytes());
            let get = |_: &[u8]| Ok(stored.map(|row| row.encode()));
            let effects = Effects::of(Kind::Batch, &[], &ops, get).unwrap();
            let found = effects.rows.first().map(|(_, v)| v.as_ref().and_then(|v| BodyRow::decode(v)));
            assert_eq!((found, effects.missing), (expected, missing));
        }
        let place = Some(Position { segment: 2, offset: 64 });
        check(Some(row(1, place)), &[(1, 5)], Some(Some(row(2, place))), false);
        check(Some(row(1, place)), &[(-1, 5)], Some(None), false);
        check(Some(row(1, place)), &[(-1, 5), (1, 5)], Some(Some(row(1, place))), false);
        check(None, &[(1, 5)], None, true);
        check(None, &[(-1, 5)], None, false);
    }

    #[test]
    fn accounts_for_what_is_alive() {
        let entry = TableEntry { id: BodyId::from_u64(5), len: 100, crc: 7, inline: true };
        let place = Position { segment: 3, offset: 200 };
        let mut ops = Ops::default();
        ops.link(entry.id);
        let ops = Bytes::from(ops.into_bytes());
        let effects = Effects::of(Kind::Batch, &[(entry, place)], &ops, |_| Ok(None)).unwrap();
        assert_eq!(effects.live, [(3, 100)]);
        // One that nothing links to is not kept.
        let effects = Effects::of(Kind::Batch, &[(entry, place)], &Bytes::new(), |_| Ok(None)).unwrap();
        assert!(effects.rows.is_empty() && effects.live.is_empty());
        let old = row(1, Some(Position { segment: 1, offset: 64 }));
        let carried =
            Effects::of(Kind::Carry, &[(entry, place)], &Bytes::new(), |_| Ok(Some(old.encode()))).unwrap();
        assert_eq!(carried.live, [(1, -100), (3, 100)]);
    }
}
