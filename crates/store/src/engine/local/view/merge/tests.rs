use std::collections::BTreeMap;

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};

use super::*;
use crate::engine::local::disk::Disk;
use crate::engine::local::view::run::tests::{Rows, folder, run_of, write};

fn table_of(rows: &Rows) -> Arc<Memtable> {
    let table = Memtable::default();
    for (key, value) in rows {
        table.write().set(key.clone().into(), value.clone().map(Bytes::from));
    }
    Arc::new(table)
}

/// The rows of all sources, newest first, as the newest source has each.
fn merged(newest_first: &[Rows]) -> Rows {
    newest_first.iter().rev().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn collect(mut merge: Merge) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut rows = Vec::new();
    while let Some((key, value)) = merge.row() {
        assert_eq!((merge.key(), merge.value()), (Some(&key[..]), value.as_deref()));
        rows.push((key.to_vec(), value.map(|v| v.to_vec())));
        merge.advance().unwrap();
    }
    rows
}

/// Merges the first `tables` of the sources as tables, the others as runs.
fn check(sources: &[Rows], tables: usize, from: &[u8]) {
    let (tables, runs) = sources.split_at(tables.min(sources.len()));
    let tables: Vec<_> = tables.iter().map(table_of).collect();
    let runs: Vec<_> = runs.iter().map(run_of).collect();
    let merge = |from, direction| collect(Merge::seek(&tables, &runs, from, direction).unwrap());
    let model = merged(sources);
    let forward = |from: &[u8]| model.range(from.to_vec()..).map(|(k, v)| (k.clone(), v.clone()));
    assert_eq!(merge(Some(&[]), Direction::Forward), forward(&[]).collect::<Vec<_>>());
    assert_eq!(merge(Some(from), Direction::Forward), forward(from).collect::<Vec<_>>());
    assert_eq!(merge(None, Direction::Backward), forward(&[]).rev().collect::<Vec<_>>());
    let before = model.range(..from.to_vec()).rev().map(|(k, v)| (k.clone(), v.clone()));
    assert_eq!(merge(Some(from), Direction::Backward), before.collect::<Vec<_>>());
}

fn rows(pairs: &[(&str, Option<&str>)]) -> Rows {
    pairs.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))).collect()
}

#[test]
fn gives_each_key_once_as_its_newest_source_has_it() {
    let newest = rows(&[("b", Some("new")), ("c", None), ("e", Some("again"))]);
    let middle = rows(&[("a", Some("1")), ("c", Some("removed")), ("e", None)]);
    let oldest = rows(&[("b", Some("old")), ("d", Some("4")), ("e", Some("removed once"))]);
    let expected =
        rows(&[("a", Some("1")), ("b", Some("new")), ("c", None), ("d", Some("4")), ("e", Some("again"))]);
    let sources = [newest, middle, oldest];
    assert_eq!(merged(&sources), expected);
    for tables in 0..=3 {
        check(&sources, tables, b"c");
    }
}

#[test]
fn merges_no_sources_and_empty_ones() {
    check(&[], 0, b"a");
    check(&[BTreeMap::new(), BTreeMap::new(), rows(&[("a", Some("1"))])], 1, b"a");
}

#[test]
fn fails_where_a_source_is_damaged() {
    let dir = folder();
    let path = dir.path().join("run");
    let rows: Rows = (0..1000u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![7; 100]))).collect();
    write(&path, &rows);
    let mut content = std::fs::read(&path).unwrap();
    content[50_000] ^= 1;
    std::fs::write(&path, content).unwrap();
    let run = Arc::new(Run::open(&Disk::default(), &path).unwrap());
    let mut merge = Merge::seek(&[], &[run], Some(&[]), Direction::Forward).unwrap();
    let mut read = 0;
    let error = loop {
        match merge.advance() {
            Ok(()) => read += 1,
            Err(e) => break e,
        }
        assert!(merge.key().is_some(), "the end is not where the damage is");
    };
    assert_eq!(error.kind(), crate::ErrorKind::Damaged);
    assert!(read < 1000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_sources_agree_with_a_model(
        sources in vec(
            btree_map(vec(0..4u8, 0..4), option::weighted(0.7, vec(any::<u8>(), 0..300)), 0..120),
            0..5,
        ),
        tables in 0..3usize,
        from in vec(0..4u8, 0..4),
    ) {
        check(&sources, tables, &from);
    }
}
