//! Applying a frame to the view. A frame that is being committed and one that is replayed go through the same code, so a
//! view that was rebuilt has the rows that the first one had.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    bodyrow::{self, BodyRow},
    journal::{
        FrameRead, Position,
        frame::{self, Kind, TableEntry},
    },
    view::{CachedReader, Changes, View},
};
use crate::{
    engine::{BodyId, Op, OpsIter},
    error::Result,
};

/// The changes that a frame makes to the view.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Keys with their new values; `None` removes a key.
    pub(super) rows: Vec<(Bytes, Option<Bytes>)>,
    /// By how much the live bytes of segments change.
    live: Vec<(u64, i64)>,
    /// Bodies in files to which no record links any more.
    pub(super) unlinked: Vec<BodyId>,
    /// Whether the operations link to a body that does not exist.
    pub(super) is_body_missing: bool,
    /// Bytes of operations.
    journaled: u64,
}

impl Effects {
    /// Finds what a frame with this table and these operations does to rows as `get` returns them.
    pub(super) fn of(
        kind: Kind,
        table: &[(TableEntry, Position)],
        ops: &Bytes,
        mut get: impl FnMut(&[u8]) -> Result<Option<Bytes>>,
    ) -> Result<Effects> {
        let mut effects = Effects { journaled: ops.len() as u64, ..Effects::default() };
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
                Kind::Relocation => effects.relocate(entry, *place, bodyrow::find(entry.id, &mut get)?),
            }
        }
        for (id, change) in links {
            match bodyrow::find(id, &mut get)? {
                Some(row) => effects.count(id, row, change),
                None => effects.is_body_missing |= change > 0,
            }
        }
        Ok(effects)
    }

    fn put(&mut self, id: BodyId, row: Option<BodyRow>) {
        self.rows.push((Bytes::copy_from_slice(&bodyrow::key(id)), row.map(|row| row.encode())));
    }

    /// A new body.
    fn add(&mut self, entry: &TableEntry, place: Position, links: i64) {
        let Some(links) = u32::try_from(links).ok().filter(|n| *n > 0) else { return };
        let row = BodyRow { links, len: entry.len, crc: entry.crc, place: entry.inline.then_some(place) };
        self.account(row, 1);
        self.put(entry.id, Some(row));
    }

    /// A body that has moved.
    fn relocate(&mut self, entry: &TableEntry, place: Position, row: Option<BodyRow>) {
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

    /// Returns what the frame, which ends at `end`, changes in the view.
    pub(super) fn into_changes(self, end: Position) -> Changes {
        Changes { rows: self.rows, live: self.live, journaled: self.journaled, end }
    }
}

/// Returns where the bodies of a frame stand, of which the first begins at `first`.
pub(super) fn body_places(table: &[TableEntry], first: Position) -> Vec<(TableEntry, Position)> {
    let mut offset = first.offset;
    let place = |entry: &TableEntry| {
        let place = Position { offset, ..first };
        offset += if entry.inline { entry.len } else { 0 };
        (*entry, place)
    };
    table.iter().map(place).collect()
}

/// Applies a frame that was read from the journal; returns the bodies in files to which no record links any more.
pub(super) fn replay(
    view: &dyn View,
    rows: &mut dyn CachedReader,
    frame: &FrameRead<'_>,
) -> Result<Vec<BodyId>> {
    let behind = |bytes: u64| Position { offset: frame.at.offset + bytes, ..frame.at };
    let header = frame.header;
    let placed = body_places(&frame.meta.table, behind(frame::HEADER as u64 + u64::from(header.meta_len)));
    let ops = Bytes::copy_from_slice(frame.meta.ops);
    let mut effects = Effects::of(header.kind, &placed, &ops, |key| rows.get(key))?;
    let unlinked = std::mem::take(&mut effects.unlinked);
    view.apply(&mut std::iter::once(effects.into_changes(behind(header.frame_len()))));
    Ok(unlinked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ops;

    fn row(links: u32, place: Option<Position>) -> BodyRow {
        BodyRow { links, len: 100, crc: 7, place }
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
            assert_eq!((found, effects.is_body_missing), (expected, missing));
        }
        let place = Some(Position { segment: 2, offset: 64 });
        check(Some(row(1, place)), &[(1, 5)], Some(Some(row(2, place))), false);
        check(Some(row(1, place)), &[(-1, 5)], Some(None), false);
        check(Some(row(1, place)), &[(-1, 5), (1, 5)], Some(Some(row(1, place))), false);
        check(None, &[(1, 5)], None, true);
        check(None, &[(-1, 5)], None, false);
    }

    #[test]
    fn accounts_for_live_bytes() {
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
        let relocated =
            Effects::of(Kind::Relocation, &[(entry, place)], &Bytes::new(), |_| Ok(Some(old.encode())))
                .unwrap();
        assert_eq!(relocated.live, [(1, -100), (3, 100)]);
    }
}
