use proptest::{collection::vec, option, prelude::*};

use super::*;

type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn set(table: &Memtable, key: &[u8], value: Option<&[u8]>) {
    table.write().set(Bytes::copy_from_slice(key), value.map(Bytes::copy_from_slice));
}

fn walk(table: &Arc<Memtable>, from: Option<&[u8]>, direction: Direction) -> Vec<Vec<u8>> {
    let mut cursor = MemCursor::seek(table, from, direction);
    let mut keys = Vec::new();
    while let Some((key, _)) = cursor.row() {
        keys.push(key.to_vec());
        cursor.advance();
    }
    keys
}

#[test]
fn tells_a_removed_key_from_one_it_does_not_have() {
    let table = Memtable::default();
    set(&table, b"a", Some(b"1"));
    set(&table, b"a", Some(b"2"));
    set(&table, b"b", Some(b"1"));
    set(&table, b"b", None);
    assert_eq!(table.get(b"a"), Some(Some(Bytes::from_static(b"2"))));
    assert_eq!(table.get(b"b"), Some(None));
    assert_eq!(table.get(b"c"), None);
    assert_eq!(table.read().len(), 2);
}

#[test]
fn orders_keys_as_their_bytes_whatever_their_length() {
    let table = Arc::new(Memtable::default());
    // Keys with the same first sixteen bytes, after padding with zeros or cutting.
    let long = |end: &[u8]| [&[7; 16][..], end].concat();
    let mut keys = vec![
        vec![],
        vec![0],
        vec![0, 0],
        vec![0; 16],
        vec![0; 17],
        vec![7; 15],
        long(b""),
        long(b"\0"),
        long(b"a"),
        long(b"b"),
        vec![0xff; 20],
    ];
    keys.iter().rev().for_each(|key| set(&table, key, Some(b"")));
    keys.sort();
    assert_eq!(walk(&table, Some(&[]), Direction::Forward), keys);
    keys.reverse();
    assert_eq!(walk(&table, None, Direction::Backward), keys);
}

#[test]
fn counts_what_it_takes_in_memory() {
    let table = Memtable::default();
    let size = || table.read().size;
    set(&table, b"key", Some(&[0; 100]));
    assert_eq!(size(), 3 + 100 + ROW_OVERHEAD);
    set(&table, b"key", Some(&[0; 10]));
    assert_eq!(size(), 3 + 10 + ROW_OVERHEAD);
    set(&table, b"key", None);
    assert_eq!(size(), 3 + ROW_OVERHEAD);
}

/// A cursor does not lock the table: rows may come and go while it walks, and those that stay are met once.
#[test]
fn a_cursor_meets_every_row_that_stays() {
    for direction in [Direction::Forward, Direction::Backward] {
        let table = Arc::new(Memtable::default());
        let key = |n: u32| n.to_be_bytes();
        (0..2000).step_by(2).for_each(|n| set(&table, &key(n), Some(b"stays")));
        let mut cursor = MemCursor::seek(&table, None, direction);
        if direction == Direction::Forward {
            cursor = MemCursor::seek(&table, Some(&[]), direction);
        }
        let mut met = Vec::new();
        while let Some((found, _)) = cursor.row() {
            met.push(u32::from_be_bytes(found[..].try_into().unwrap()));
            let n = met.len() as u32;
            set(&table, &key((n * 14) % 2000 + 1), Some(b"comes"));
            cursor.advance();
        }
        if direction == Direction::Backward {
            met.reverse();
        }
        assert!(met.is_sorted_by(|a, b| a < b), "{direction:?}: a row came twice or out of order");
        let stayed = met.iter().filter(|n| n.is_multiple_of(2)).count();
        assert_eq!(stayed, 1000, "{direction:?}");
    }
}

proptest! {
    #[test]
    fn agrees_with_a_model(
        sets in vec((vec(0..3u8, 0..20), option::weighted(0.8, vec(any::<u8>(), 0..20))), 0..600),
        from in vec(0..3u8, 0..20),
    ) {
        let table = Arc::new(Memtable::default());
        let mut model = Model::new();
        for (key, value) in sets {
            set(&table, &key, value.as_deref());
            model.insert(key, value);
        }
        for (key, value) in &model {
            prop_assert_eq!(table.get(key), Some(value.clone().map(Bytes::from)));
        }
        let rows: Vec<_> = table.read().rows().map(|(k, v)| (k.to_vec(), v.map(|v| v.to_vec()))).collect();
        prop_assert_eq!(rows, model.clone().into_iter().collect::<Vec<_>>());
        let forward: Vec<_> = model.range(from.clone()..).map(|(k, _)| k.clone()).collect();
        prop_assert_eq!(walk(&table, Some(&from), Direction::Forward), forward);
        let backward: Vec<_> = model.range(..from.clone()).rev().map(|(k, _)| k.clone()).collect();
        prop_assert_eq!(walk(&table, Some(&from), Direction::Backward), backward);
        let bytes: usize = model.iter().map(|(k, v)| k.len() + v.as_ref().map_or(0, Vec::len)).sum();
        prop_assert_eq!(table.read().size, bytes + model.len() * ROW_OVERHEAD);
    }
}
