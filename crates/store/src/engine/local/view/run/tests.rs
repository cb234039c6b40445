use std::{collections::BTreeMap, fs, sync::Arc};

use proptest::{collection::btree_map, option, prelude::*};

use super::*;
use crate::engine::Direction;

/// Rows, in order; `None` is a removed key.
pub(in super::super) type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub(in super::super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(in super::super) fn write(path: &Path, rows: &Rows) {
    let mut writer = RunWriter::create(&Disk::default(), &[path], rows.len() as u64).unwrap();
    for (key, value) in rows {
        writer.push(key, value.as_deref()).unwrap();
    }
    let size = writer.finish(Position { segment: 7, offset: 64 }).unwrap();
    assert_eq!(size, fs::metadata(path).unwrap().len());
}

pub(in super::super) fn run_of(rows: &Rows) -> Arc<Run> {
    let dir = folder();
    write(&dir.path().join("run"), rows);
    // An open run can be read although its file is gone.
    Arc::new(Run::open(&Disk::default(), &dir.path().join("run")).unwrap())
}

fn key(n: usize) -> Vec<u8> {
    format!("example{}.test/{n:07}", n % 10).into_bytes()
}

fn rows(n: usize, value_len: usize) -> Rows {
    (0..n).map(|i| (key(i), (i % 7 != 3).then(|| vec![i as u8; value_len]))).collect()
}

fn get(run: &Run, key: &[u8]) -> Result<Option<Option<Vec<u8>>>> {
    let found = run.get(key, KeyHash::of(key), &BlockCache::default())?;
    Ok(found.map(|value| value.map(|v| v.to_vec())))
}

/// All rows that a cursor gives from `from` on.
fn walk(run: &Arc<Run>, from: Option<&[u8]>, direction: Direction) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut cursor = RunCursor::seek(run, from, direction).unwrap();
    let mut rows = Vec::new();
    while let Some((key, value)) = cursor.row() {
        assert_eq!((cursor.key(), cursor.value()), (Some(&key[..]), value.as_deref()));
        rows.push((key.to_vec(), value.map(|v| v.to_vec())));
        cursor.advance().unwrap();
    }
    rows
}

fn owned<'a>(
    rows: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    rows.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Everything that can be asked of a run is answered as the rows say.
fn agrees(run: &Arc<Run>, rows: &Rows) {
    assert_eq!((run.rows(), run.position()), (rows.len() as u64, Position { segment: 7, offset: 64 }));
    let mut reader = RunReader::new(run);
    for (key, value) in rows {
        assert_eq!(get(run, key).unwrap().as_ref(), Some(value), "{}", key.escape_ascii());
        let read = reader.get(key).unwrap();
        assert_eq!(read.map(|v| v.map(|v| v.to_vec())).as_ref(), Some(value));
        for absent in [&[key, &b"\0"[..]].concat(), &key[..key.len().saturating_sub(1)]] {
            assert_eq!(get(run, absent).unwrap().as_ref(), rows.get(absent), "{}", absent.escape_ascii());
        }
    }
    assert_eq!(walk(run, Some(&[]), Direction::Forward), owned(rows.iter()));
    assert_eq!(walk(run, None, Direction::Backward), owned(rows.iter().rev()));
    assert_eq!(damage(run), []);
    let mut salvaged = Rows::new();
    run.salvage(|key, value| {
        salvaged.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        Ok(())
    })
    .unwrap();
    assert_eq!(&salvaged, rows);
}

fn damage(run: &Run) -> Vec<u64> {
    let mut offsets = Vec::new();
    run.verify(|offset| offsets.push(offset));
    offsets
}

/// The same run as an older release wrote it, which knew no filters.
fn without_filter(whole: &[u8]) -> Vec<u8> {
    let (rest, trailer) = whole.split_last_chunk::<TRAILER>().unwrap();
    let trailer = Trailer::decode(trailer, whole.len() as u64).unwrap().unwrap();
    let (filter, top) = (trailer.filter.unwrap(), trailer.top);
    let old = Trailer { top: Extent { offset: filter, ..top }, filter: None, ..trailer };
    [&rest[..filter as usize], &rest[top.offset as usize..], &old.encode()].concat()
}

#[test]
fn round_trips_rows() {
    // None, one, some blocks, and more than one index block has room for.
    for (n, value_len) in [(0, 0), (1, 0), (1, 60_000), (1000, 100), (3000, 3000)] {
        let rows = rows(n, value_len);
        agrees(&run_of(&rows), &rows);
    }
}

#[test]
fn seeks_between_keys_in_both_directions() {
    let rows = rows(2000, 100);
    let run = run_of(&rows);
    let keys: Vec<_> = rows.keys().step_by(61).cloned().collect();
    for key in keys.iter().flat_map(|key| [key.clone(), [key, &b"\0"[..]].concat()]).chain([vec![0xff]]) {
        let forward = walk(&run, Some(&key), Direction::Forward);
        assert_eq!(forward, owned(rows.range(key.clone()..)), "{}", key.escape_ascii());
        let backward = walk(&run, Some(&key), Direction::Backward);
        assert_eq!(backward, owned(rows.range(..key.clone()).rev()), "{}", key.escape_ascii());
    }
}

#[test]
fn reads_runs_of_older_stores_that_have_no_filter() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(3000, 300));
    write(&path, &rows);
    fs::write(&path, without_filter(&fs::read(&path).unwrap())).unwrap();
    let run = Arc::new(Run::open(&Disk::default(), &path).unwrap());
    assert_eq!(run.trailer.filter, None);
    agrees(&run, &rows);
}

#[test]
fn writes_the_same_bytes_to_several_files_and_removes_what_is_unfinished() {
    let dir = folder();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    let mut writer = RunWriter::create(&Disk::default(), &[&a, &b], 1).unwrap();
    writer.push(b"key", Some(b"value")).unwrap();
    writer.finish(Position::default()).unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert!(RunWriter::create(&Disk::default(), &[&a], 1).is_err(), "a run is never written over");
    let c = dir.path().join("c");
    drop(RunWriter::create(&Disk::default(), &[&c], 1).unwrap());
    assert!(!c.exists() && a.exists());
}

/// Reads a damaged file: it cannot be opened, or each row is right or an error, and the damage is named.
fn is_named(path: &Path, rows: &Rows) -> bool {
    let Ok(run) = Run::open(&Disk::default(), path) else { return true };
    for (key, value) in rows {
        match get(&run, key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(value), "{}", key.escape_ascii()),
            Err(e) => assert_eq!(e.kind(), ErrorKind::Damaged, "{e}"),
        }
    }
    !damage(&run).is_empty()
}

#[test]
fn names_every_cut_and_flip() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(30, 20));
    write(&path, &rows);
    let whole = fs::read(&path).unwrap();
    for i in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[i] ^= 1 << (i % 8);
        fs::write(&path, &flipped).unwrap();
        assert!(is_named(&path, &rows), "byte {i} of {}", whole.len());
        fs::write(&path, &whole[..i]).unwrap();
        assert!(Run::open(&Disk::default(), &path).is_err(), "cut at {i}");
    }
}

#[test]
fn names_the_block_that_is_damaged_and_salvages_the_others() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(3000, 300));
    write(&path, &rows);
    let mut content = fs::read(&path).unwrap();
    content[20_000] ^= 1;
    fs::write(&path, content).unwrap();
    let run = Run::open(&Disk::default(), &path).unwrap();
    let [offset] = damage(&run)[..] else { panic!("one block is damaged") };
    assert!((10_000..=20_000).contains(&offset), "{offset}");
    let mut salvaged = 0;
    run.salvage(|key, value| {
        assert_eq!(rows.get(key).unwrap().as_deref(), value);
        salvaged += 1;
        Ok(())
    })
    .unwrap();
    assert!((2950..3000).contains(&salvaged), "{salvaged} rows");
}

/// A filter that was written wrongly has a right checksum, and would make rows look absent.
#[test]
fn names_a_filter_that_lacks_keys_and_a_count_that_is_wrong() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(500, 50));
    write(&path, &rows);
    let whole = fs::read(&path).unwrap();
    let trailer = Run::open(&Disk::default(), &path).unwrap().trailer;
    let mut empty = Filter::for_keys(500);
    empty.shrink(500);
    let mut content = whole.clone();
    let mut at = trailer.filter.unwrap() as usize;
    empty
        .encode(|piece| {
            content[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
            Ok(())
        })
        .unwrap();
    assert_eq!(at as u64, trailer.top.offset);
    fs::write(&path, content).unwrap();
    assert_eq!(damage(&Run::open(&Disk::default(), &path).unwrap()), [trailer.filter.unwrap()]);
    for rows in [499, 501] {
        let mut content = whole.clone();
        let end = content.len() - TRAILER;
        content.splice(end.., Trailer { rows, ..trailer }.encode());
        fs::write(&path, content).unwrap();
        assert_eq!(damage(&Run::open(&Disk::default(), &path).unwrap()), [trailer.top.offset], "{rows} rows");
    }
}

#[test]
fn refuses_trailers_that_contradict_the_file() {
    let trailer = Trailer { top: Extent { offset: 500, len: 36 }, filter: Some(100), ..Trailer::default() };
    let decode = |trailer: &Trailer, size| {
        Trailer::decode(trailer.encode()[..].try_into().unwrap(), size).map(std::result::Result::unwrap)
    };
    assert_eq!(decode(&trailer, 600), Some(trailer));
    for (size, wrong) in [
        (599, trailer),
        (63, trailer),
        (600, Trailer { filter: Some(500), ..trailer }),
        (600, Trailer { top: Extent { offset: u64::MAX, len: 36 }, ..trailer }),
    ] {
        assert_eq!(decode(&wrong, size), None, "{wrong:?} in {size} bytes");
    }
}

#[test]
fn absent_keys_do_not_touch_the_file() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(1000, 100));
    write(&path, &rows);
    let run = Run::open(&Disk::default(), &path).unwrap();
    assert_eq!(get(&run, b"absent").unwrap(), None);
    // The filter is in memory now; whatever else is read from the file is an error.
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert!(get(&run, &key(0)).is_err());
    let reads = (0..1000).filter(|n| get(&run, format!("absent{n}").as_bytes()).is_err()).count();
    assert!(reads < 30, "{reads} of 1,000 absent keys were looked for in the file");
}

#[test]
fn rows_that_were_read_lately_are_not_read_again() {
    let dir = folder();
    let (path, rows) = (dir.path().join("run"), rows(1000, 100));
    write(&path, &rows);
    let (run, cache) = (Run::open(&Disk::default(), &path).unwrap(), BlockCache::default());
    let get = |run: &Run, n| run.get(&key(n), KeyHash::of(&key(n)), &cache);
    let first = get(&run, 5).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert_eq!(get(&run, 5).unwrap(), first);
    assert!(get(&run, 999).is_err());
    // Another run at the same place is not mistaken for this one.
    fs::remove_file(&path).unwrap();
    write(&path, &[(key(5), Some(b"other".to_vec()))].into());
    assert_eq!(
        get(&Run::open(&Disk::default(), &path).unwrap(), 5).unwrap().flatten().as_deref(),
        Some(&b"other"[..])
    );
}

fn any_rows() -> impl Strategy<Value = Rows> {
    // Keys with common beginnings, and values that make some rows a block of their own.
    let key = prop_oneof!["[ab]{0,6}", "[ab]{3}[a-z]{0,40}"].prop_map(String::into_bytes);
    let len = prop_oneof![8 => 0..60usize, 1 => 5000..20_000usize];
    let value = (any::<u8>(), len).prop_map(|(byte, len)| vec![byte; len]);
    btree_map(key, option::weighted(0.8, value), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_model(rows in any_rows()) {
        agrees(&run_of(&rows), &rows);
    }

    #[test]
    fn no_damage_makes_a_row_wrong_or_absent(rows in any_rows(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let dir = folder();
        let path = dir.path().join("run");
        write(&path, &rows);
        let mut content = fs::read(&path).unwrap();
        let at = at.index(content.len());
        content[at] ^= 1 << bit;
        fs::write(&path, content).unwrap();
        prop_assert!(is_named(&path, &rows), "byte {at}");
    }
}
