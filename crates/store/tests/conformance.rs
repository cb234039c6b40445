//! What every engine must do, told by the engine's own interface.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{collections::HashSet, sync::Mutex};

use bytes::Bytes;
use moxd_store::{
    Body, ErrorKind,
    engine::{
        Batch, CommitError, Direction, Engine, KeyRange, MAX_KEY, MAX_VALUE, Precondition, ReadRows,
        local::{Local, Options},
        memory::Memory,
    },
};

macro_rules! conformance {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&*super::Memory::new()) })*
        }
        mod local {
            $(#[test] fn $name() {
                let dir = super::folder();
                super::$name(&*super::Local::open(dir.path(), super::Options::default()).unwrap());
            })*
        }
    };
}

conformance! {
    applies_in_order refuses_as_a_whole decides_in_the_order_of_arrival reads_ranges_in_pages
    accepts_a_token_once keeps_its_limits counts_links_to_bodies refuses_unknown_bodies
    adds_up_under_contention reads_its_own_writes fails_after_the_end
    gives_out_each_stamp_once tells_rows_with_stamps_apart keeps_a_snapshot_as_it_was
}

fn batch(build: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    build(&mut batch);
    batch
}

fn commit(engine: &dyn Engine, build: impl FnOnce(&mut Batch)) -> Result<(), CommitError> {
    engine.commit(batch(build)).wait()
}

#[track_caller]
fn has(engine: &dyn Engine, key: &[u8], value: Option<&[u8]>) {
    assert_eq!(engine.get(key).unwrap().as_deref(), value, "{key:02x?}");
}

fn body(engine: &dyn Engine, content: &[u8]) -> Body {
    let mut writer = engine.body_writer();
    writer.write(content).wait().unwrap();
    writer.finish()
}

fn applies_in_order(engine: &dyn Engine) {
    commit(engine, |b| {
        b.ops.put(b"a", b"1");
        b.ops.put(b"b", b"");
        b.ops.delete(b"a");
        b.ops.put(b"c", b"3");
        b.ops.put(b"c", b"4");
        b.ops.delete(b"nothing");
    })
    .unwrap();
    has(engine, b"a", None);
    has(engine, b"b", Some(b""));
    has(engine, b"c", Some(b"4"));
}

fn refuses_as_a_whole(engine: &dyn Engine) {
    commit(engine, |b| b.ops.put(b"a", b"1")).unwrap();
    #[track_caller]
    fn check(engine: &dyn Engine, pre: &[Precondition], expected: Result<(), CommitError>) {
        let result = commit(engine, |b| {
            b.preconditions = pre.to_vec();
            b.ops.put(b"b", b"2");
        });
        assert_eq!(result, expected);
        has(engine, b"b", result.is_ok().then_some(b"2"));
        commit(engine, |b| b.ops.delete(b"b")).unwrap();
    }
    let equals = |value: &[u8]| Precondition::Equals(b"a".to_vec(), value.to_vec());
    let absent = |key: &[u8]| Precondition::Absent(key.to_vec());
    check(engine, &[equals(b"1"), absent(b"x")], Ok(()));
    check(engine, &[equals(b"2")], Err(CommitError::Conflict(0)));
    check(engine, &[equals(b"1"), absent(b"a")], Err(CommitError::Conflict(1)));
    check(engine, &[Precondition::Equals(b"x".to_vec(), Vec::new())], Err(CommitError::Conflict(0)));
}

fn decides_in_the_order_of_arrival(engine: &dyn Engine) {
    commit(engine, |b| b.ops.put(b"n", &0u32.to_be_bytes())).unwrap();
    // Each builds on the one before it, which nobody has waited for.
    let pending: Vec<_> = (0u32..200)
        .map(|n| {
            engine.commit(batch(|b| {
                b.preconditions.push(Precondition::Equals(b"n".to_vec(), n.to_be_bytes().to_vec()));
                b.ops.put(b"n", &(n + 1).to_be_bytes());
            }))
        })
        .collect();
    for pending in pending {
        assert_eq!(pending.wait(), Ok(()));
    }
    has(engine, b"n", Some(&200u32.to_be_bytes()));
}

fn reads_ranges_in_pages(engine: &dyn Engine) {
    for n in 0..100u8 {
        commit(engine, |b| b.ops.put(&[5, n], &[n])).unwrap();
    }
    commit(engine, |b| b.ops.delete(&[5, 50])).unwrap();
    commit(engine, |b| b.ops.put(&[6], b"other")).unwrap();
    let range = KeyRange::prefix(&[5]);
    let expected: Vec<u8> = (0..100).filter(|n| *n != 50).collect();
    for limit in [1, 7, 99, 100, 1000] {
        let mut forward = range.clone();
        let mut found = Vec::new();
        loop {
            let page = engine.range(&forward, Direction::Forward, limit).unwrap();
            assert!(page.rows.len() <= limit);
            found.extend(page.rows.iter().map(|(key, value)| {
                assert_eq!(key[1], value[0]);
                key[1]
            }));
            let Some((last, _)) = page.rows.last().filter(|_| page.more) else { break };
            forward.start = [last, &[0][..]].concat();
        }
        assert_eq!(found, expected);
        let mut backward = range.clone();
        let mut found = Vec::new();
        loop {
            let page = engine.range(&backward, Direction::Backward, limit).unwrap();
            found.extend(page.rows.iter().map(|(key, _)| key[1]));
            let Some((last, _)) = page.rows.last().filter(|_| page.more) else { break };
            backward.end = Some(last.to_vec());
        }
        found.reverse();
        assert_eq!(found, expected);
    }
    let none = KeyRange { start: vec![5, 60], end: Some(vec![5, 20]) };
    assert!(engine.range(&none, Direction::Forward, 9).unwrap().rows.is_empty());
    assert!(engine.range(&KeyRange::prefix(&[5, 50]), Direction::Backward, 9).unwrap().rows.is_empty());
}

fn accepts_a_token_once(engine: &dyn Engine) {
    let with_token = |token| {
        commit(engine, |b| {
            b.token = token;
            b.preconditions.push(Precondition::Absent(b"never".to_vec()));
            b.ops.put(b"t", &token.to_be_bytes());
        })
    };
    assert_eq!(with_token(7), Ok(()));
    // The conflict behind all preconditions says: this has happened already.
    assert_eq!(with_token(7), Err(CommitError::Conflict(1)));
    assert_eq!(with_token(8), Ok(()));
}

fn keeps_its_limits(engine: &dyn Engine) {
    let long = |n: usize| vec![b'k'; n];
    assert_eq!(commit(engine, |b| b.ops.put(&long(MAX_KEY), &long(MAX_VALUE))), Ok(()));
    has(engine, &long(MAX_KEY), Some(&long(MAX_VALUE)));
    assert_eq!(commit(engine, |b| b.ops.put(&long(MAX_KEY + 1), b"")), Err(CommitError::TooLarge));
    assert_eq!(commit(engine, |b| b.ops.put(b"k", &long(MAX_VALUE + 1))), Err(CommitError::TooLarge));
    let too_many = |b: &mut Batch| (0..200u8).for_each(|n| b.ops.put(&[9, n], &long(MAX_VALUE)));
    assert_eq!(commit(engine, too_many), Err(CommitError::TooLarge));
    // Rows of the engine itself are out of reach.
    assert_eq!(commit(engine, |b| b.ops.put(&[0, 1], b"")), Err(CommitError::Failed));
    assert_eq!(commit(engine, |b| b.ops.delete(&[])), Err(CommitError::Failed));
}

fn counts_links_to_bodies(engine: &dyn Engine) {
    let body = body(engine, b"content");
    let id = body.id();
    assert_eq!(engine.body(id, 0).unwrap_err().kind(), ErrorKind::NoBody);
    let link = |b: &mut Batch| {
        b.ops.link(id);
        b.bodies.push(body.clone());
    };
    commit(engine, |b| {
        link(b);
        link(b);
    })
    .unwrap();
    commit(engine, link).unwrap();
    assert_eq!(&engine.body(id, 0).unwrap()[..], b"content");
    assert_eq!(&engine.body(id, 4).unwrap()[..], b"ent");
    assert_eq!(engine.body_len(id).unwrap(), 7);
    commit(engine, |b| {
        b.ops.unlink(id);
        b.ops.unlink(id);
    })
    .unwrap();
    assert_eq!(engine.body_len(id).unwrap(), 7);
    commit(engine, |b| b.ops.unlink(id)).unwrap();
    assert_eq!(engine.body(id, 0).unwrap_err().kind(), ErrorKind::NoBody);
}

fn refuses_unknown_bodies(engine: &dyn Engine) {
    let body = body(engine, b"content");
    let result = commit(engine, |b| {
        b.ops.put(b"a", b"1");
        b.ops.link(body.id());
    });
    assert_eq!(result, Err(CommitError::Failed));
    has(engine, b"a", None);
}

fn adds_up_under_contention(engine: &dyn Engine) {
    commit(engine, |b| b.ops.put(b"sum", &0u64.to_be_bytes())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 25 {
                    let old = engine.get(b"sum").unwrap().unwrap();
                    let n = u64::from_be_bytes(old[..].try_into().unwrap());
                    let result = commit(engine, |b| {
                        b.preconditions.push(Precondition::Equals(b"sum".to_vec(), old.to_vec()));
                        b.ops.put(b"sum", &(n + 1).to_be_bytes());
                    });
                    match result {
                        Ok(()) => done += 1,
                        Err(e) => assert_eq!(e, CommitError::Conflict(0)),
                    }
                }
            });
        }
    });
    has(engine, b"sum", Some(&200u64.to_be_bytes()));
}

fn reads_its_own_writes(engine: &dyn Engine) {
    std::thread::scope(|scope| {
        for thread in 10..18u8 {
            scope.spawn(move || {
                for n in 0..50u8 {
                    commit(engine, |b| b.ops.put(&[thread, n], &[n])).unwrap();
                    has(engine, &[thread, n], Some(&[n]));
                    let page = engine.range(&KeyRange::prefix(&[thread]), Direction::Backward, 1).unwrap();
                    assert_eq!(page.rows[0].0[1], n);
                }
            });
        }
    });
}

fn keeps_a_snapshot_as_it_was(engine: &dyn Engine) {
    let body = body(engine, b"content");
    commit(engine, |b| {
        (0..100u8).for_each(|n| b.ops.put(&[5, n], &[n]));
        b.ops.link(body.id());
        b.bodies.push(body.clone());
    })
    .unwrap();
    let first = engine.snapshot().unwrap();
    commit(engine, |b| {
        (0..50u8).for_each(|n| b.ops.delete(&[5, n]));
        (50..200u8).for_each(|n| b.ops.put(&[5, n], b"new"));
        b.ops.unlink(body.id());
    })
    .unwrap();
    // Everything that was acknowledged before is in it, also while an older one is still there.
    let second = engine.snapshot().unwrap();
    commit(engine, |b| (0..=255u8).for_each(|n| b.ops.delete(&[5, n]))).unwrap();
    engine.maintenance().map_or(Ok(()), |m| m.compact(true)).unwrap();

    let range = KeyRange::prefix(&[5]);
    let rows = |rows: &dyn ReadRows, direction| rows.range(&range, direction, 1000).unwrap().rows;
    let expected: Vec<_> = (0..100u8).map(|n| (Bytes::from(vec![5, n]), Bytes::from(vec![n]))).collect();
    assert_eq!(rows(&*first, Direction::Forward), expected);
    assert_eq!(rows(&*first, Direction::Backward), expected.into_iter().rev().collect::<Vec<_>>());
    let page = first.range(&range, Direction::Forward, 99).unwrap();
    assert_eq!((page.rows.len(), page.more), (99, true));
    assert_eq!(first.get(&[5, 7]).unwrap().as_deref(), Some(&[7][..]));
    assert_eq!(first.body_len(body.id()).unwrap(), 7);
    assert_eq!(rows(&*second, Direction::Forward).len(), 150);
    assert_eq!(second.get(&[5, 7]).unwrap(), None);
    assert_eq!(second.body_len(body.id()).unwrap_err().kind(), ErrorKind::NoBody);
    assert!(rows(&*engine.snapshot().unwrap(), Direction::Forward).is_empty());
}

fn gives_out_each_stamp_once(engine: &dyn Engine) {
    let given = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    // Bodies are numbered in the same sequence.
                    let numbers = [engine.stamp(), engine.body_writer().finish().id().get()];
                    let mut given = given.lock().unwrap();
                    assert!(numbers.into_iter().all(|n| given.insert(n)), "{numbers:?} again");
                }
            });
        }
    });
}

#[test]
fn gives_out_new_stamps_after_every_opening() {
    let dir = folder();
    let mut given = HashSet::new();
    for opening in 0..6u8 {
        let engine = Local::open(dir.path(), Options::default()).unwrap();
        assert!((0..100).all(|_| given.insert(engine.stamp())), "opening {opening}");
        // An opening may leave nothing behind.
        if opening % 3 == 0 {
            commit(&*engine, |b| b.ops.put(&[9, opening], b"")).unwrap();
        }
    }
}

/// Two writers plan on the same row. The one that comes too late has planned further on what it would have left: with the
/// same numbers, but with a stamp of its own.
fn tells_rows_with_stamps_apart(engine: &dyn Engine) {
    let row = |number: u8| [&[number][..], &engine.stamp().to_be_bytes()].concat();
    let step = |from: &[u8], to: &[u8]| {
        commit(engine, |b| {
            b.preconditions.push(Precondition::Equals(b"guard".to_vec(), from.to_vec()));
            b.ops.put(b"guard", to);
        })
    };
    let (start, quick, late, later) = (row(1), row(2), row(2), row(3));
    commit(engine, |b| b.ops.put(b"guard", &start)).unwrap();
    assert_eq!(step(&start, &quick), Ok(()));
    assert_eq!(step(&start, &late), Err(CommitError::Conflict(0)));
    assert_eq!(step(&late, &later), Err(CommitError::Conflict(0)));
    has(engine, b"guard", Some(&quick));
}

fn fails_after_the_end(engine: &dyn Engine) {
    commit(engine, |b| b.ops.put(b"a", b"1")).unwrap();
    engine.close();
    assert_eq!(commit(engine, |b| b.ops.put(b"b", b"2")), Err(CommitError::Failed));
}

/// A folder of this test, in memory where that can be: syncs cost nothing there, and a killed process leaves the same.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
