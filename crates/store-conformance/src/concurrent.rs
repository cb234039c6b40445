//! Rules for many callers at once.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use store::engine::{CommitError, Direction, Engine, KeyRange};

use crate::{
    Fixture,
    steps::{Done, assert_row, commit, equals, put, scan},
};

pub(crate) fn adds_up_under_contention(fixture: &Fixture) {
    let engine = &*fixture.open();
    add_up(&[engine; 8]);
}

/// Each handle counts a row up 25 times, by batches that require the value that it has read.
pub(crate) fn add_up(handles: &[&dyn Engine]) {
    let Some(first) = handles.first() else { return };
    put(*first, b"sum", &0u64.to_be_bytes());
    thread::scope(|scope| {
        for engine in handles {
            scope.spawn(|| {
                let mut done = 0;
                for attempt in 0.. {
                    if done == 25 {
                        break;
                    }
                    assert!(attempt < 10_000, "a batch that others outrun never succeeds");
                    let old = engine.get(b"sum").unwrap().unwrap();
                    let n = u64::from_be_bytes(old[..].try_into().unwrap());
                    let result = commit(*engine, |b| {
                        b.preconditions.push(equals(b"sum", &old));
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
    let expected = 25 * handles.len() as u64;
    handles.iter().for_each(|engine| assert_row(*engine, b"sum", Some(&expected.to_be_bytes())));
}

pub(crate) fn reads_its_own_writes(fixture: &Fixture) {
    let engine = &*fixture.open();
    thread::scope(|scope| {
        for thread in 10..18u8 {
            scope.spawn(move || {
                for n in 0..50u8 {
                    put(engine, &[thread, n], &[n]);
                    assert_row(engine, &[thread, n], Some(&[n]));
                    let page = engine.range(&KeyRange::prefix(&[thread]), Direction::Backward, 1).unwrap();
                    assert_eq!(page.rows[0].0[1], n);
                    commit(engine, |b| b.ops.delete(&[thread, n])).unwrap();
                    assert_row(engine, &[thread, n], None);
                    put(engine, &[thread, n], &[n]);
                }
            });
        }
    });
}

pub(crate) fn reads_ranges_while_batches_are_written(fixture: &Fixture) {
    let engine = &*fixture.open();
    read_ranges_while_writing(engine, engine);
}

/// One thread creates, replaces and removes rows between rows that stay. Readers always see the rows that stay, and each
/// of the others at most once, in order, with a value that it has had.
pub(crate) fn read_ranges_while_writing(writer: &dyn Engine, reader: &dyn Engine) {
    const ROWS: u8 = 200;
    const ROUNDS: u8 = 5;
    let stays = |n: u8| n.is_multiple_of(2);
    commit(writer, |b| (0..ROWS).filter(|n| stays(*n)).for_each(|n| b.ops.put(&[7, n], &[n, 0]))).unwrap();
    let is_done = AtomicBool::new(false);
    let read = |direction| {
        let mut rows = scan(reader, &KeyRange::prefix(&[7]), direction, 16);
        if direction == Direction::Backward {
            rows.reverse();
        }
        for (key, value) in &rows {
            assert!(key[1] == value[0] && value[1] <= ROUNDS, "{key:02x?} has never had {value:02x?}");
        }
        let staying: Vec<u8> = rows.iter().map(|(key, _)| key[1]).filter(|n| stays(*n)).collect();
        assert!(staying.iter().copied().eq((0..ROWS).filter(|n| stays(*n))), "a row that stays is missing");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&is_done);
            for round in 1..=ROUNDS {
                for n in (0..ROWS).filter(|n| !stays(*n)) {
                    put(writer, &[7, n], &[n, round]);
                    commit(writer, |b| {
                        b.ops.put(&[7, n - 1], &[n - 1, round]);
                        if !n.is_multiple_of(3) {
                            b.ops.delete(&[7, n]);
                        }
                    })
                    .unwrap();
                }
            }
        });
        for direction in [Direction::Forward, Direction::Backward] {
            scope.spawn({
                let (read, is_done) = (&read, &is_done);
                move || {
                    while !is_done.load(Ordering::Acquire) {
                        read(direction);
                    }
                    read(direction);
                }
            });
        }
    });
}

pub(crate) fn gives_out_each_stamp_once(fixture: &Fixture) {
    let engine = &*fixture.open();
    give_out_stamps(&[engine; 4]);
}

/// All numbers that these handles return concurrently differ.
pub(crate) fn give_out_stamps(handles: &[&dyn Engine]) {
    let given = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for engine in handles {
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

/// Two writers plan batches on the same row. The later one has already planned a second batch on its own result, which has
/// the same value as the winner's but another stamp: that batch must conflict too.
pub(crate) fn tells_rows_with_stamps_apart(fixture: &Fixture) {
    let engine = &*fixture.open();
    let row = |number: u8| [&[number][..], &engine.stamp().to_be_bytes()].concat();
    let step = |from: &[u8], to: &[u8]| {
        commit(engine, |b| {
            b.preconditions.push(equals(b"guard", from));
            b.ops.put(b"guard", to);
        })
    };
    let (start, quick, late, later) = (row(1), row(2), row(2), row(3));
    put(engine, b"guard", &start);
    assert_eq!(step(&start, &quick), Ok(()));
    assert_eq!(step(&start, &late), Err(CommitError::Conflict(0)));
    assert_eq!(step(&late, &later), Err(CommitError::Conflict(0)));
    assert_row(engine, b"guard", Some(&quick));
}
