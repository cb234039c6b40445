//! Rules about snapshots.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use store::{
    ErrorKind,
    engine::{Direction, KeyRange},
};

use crate::{
    Fixture,
    steps::{Done, Row, assert_row, commit, equals, link, receive, scan},
};

pub(crate) fn keeps_a_snapshot_as_it_was(fixture: &Fixture) {
    let engine = &*fixture.open();
    let body = receive(engine, b"content");
    commit(engine, |b| {
        (0..100u8).for_each(|n| b.ops.put(&[5, n], &[n]));
        link(b, &body);
    })
    .unwrap();
    let first = engine.snapshot().unwrap();
    commit(engine, |b| {
        (0..50u8).for_each(|n| b.ops.delete(&[5, n]));
        (50..200u8).for_each(|n| b.ops.put(&[5, n], b"new"));
        b.ops.unlink(body.id());
    })
    .unwrap();
    // A second snapshot has everything that was acknowledged before, also while the first one is in use.
    let second = engine.snapshot().unwrap();
    commit(engine, |b| (0..=255u8).for_each(|n| b.ops.delete(&[5, n]))).unwrap();
    if let Some(maintenance) = engine.maintenance() {
        maintenance.compact(true).unwrap();
    }

    let range = KeyRange::prefix(&[5]);
    let mut expected: Vec<Row> = (0..100u8).map(|n| (vec![5, n], vec![n])).collect();
    for limit in [9, 99, 1000] {
        assert_eq!(scan(&*first, &range, Direction::Forward, limit), expected);
        expected.reverse();
        assert_eq!(scan(&*first, &range, Direction::Backward, limit), expected);
        expected.reverse();
    }
    assert_row(&*first, &[5, 7], Some(&[7]));
    assert_eq!(first.body_len(body.id()).unwrap(), 7);
    assert_eq!(scan(&*second, &range, Direction::Forward, 1000).len(), 150);
    assert_row(&*second, &[5, 7], None);
    assert_eq!(second.body_len(body.id()).unwrap_err().kind(), ErrorKind::NoBody);
    assert_eq!(scan(&*engine.snapshot().unwrap(), &range, Direction::Forward, 1000), []);
}

/// Each batch decrements one row and increments another, far behind it: no snapshot shows one change without the other.
pub(crate) fn takes_snapshots_of_one_moment(fixture: &Fixture) {
    let engine = &*fixture.open();
    let (low, high) = ([6, 0], [6, 0xff]);
    commit(engine, |b| {
        (1..0xffu8).for_each(|n| b.ops.put(&[6, n], b"between"));
        b.ops.put(&low, &[200]);
        b.ops.put(&high, &[0]);
    })
    .unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&is_done);
            for n in 0..200u8 {
                let result = commit(engine, |b| {
                    b.preconditions.push(equals(&high, &[n]));
                    b.ops.put(&low, &[199 - n]);
                    b.ops.put(&high, &[n + 1]);
                });
                assert_eq!(result, Ok(()));
            }
        });
        scope.spawn(|| {
            let (mut last, mut was_done) = (0, false);
            while !was_done {
                was_done = is_done.load(Ordering::Acquire);
                let snapshot = engine.snapshot().unwrap();
                let rows = scan(&*snapshot, &KeyRange::prefix(&[6]), Direction::Forward, 16);
                let (first, end) = (rows[0].1[0], rows[rows.len() - 1].1[0]);
                assert_eq!(u32::from(first) + u32::from(end), 200);
                assert_row(&*snapshot, &low, Some(&[first]));
                assert_row(&*snapshot, &high, Some(&[end]));
                assert!(end >= last, "a later snapshot is older");
                assert!(!was_done || end == 200, "what was acknowledged is missing");
                last = end;
            }
        });
    });
}
