//! Rules for data that several engines have open at once.

use std::{sync::Barrier, thread};

use store::engine::{CommitError, Direction, Engine, KeyRange};

use crate::{
    Fixture,
    concurrent::{add_up, give_out_stamps, read_ranges_while_writing},
    steps::{absent, assert_body, assert_row, commit, link, noise, put, receive, scan},
};

pub(crate) fn reads_what_another_handle_has_written(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    for n in 0..50u8 {
        let (writer, reader) = if n.is_multiple_of(2) { (&*one, &*other) } else { (&*other, &*one) };
        // A handle must not keep returning rows that it read before.
        assert_row(reader, &[5, n], None);
        put(writer, &[5, n], &[n]);
        assert_row(reader, &[5, n], Some(&[n]));
        if n > 0 {
            commit(writer, |b| b.ops.delete(&[5, n - 1])).unwrap();
            assert_row(reader, &[5, n - 1], None);
        }
        let rows = scan(reader, &KeyRange::prefix(&[5]), Direction::Forward, 9);
        assert_eq!(rows, [(vec![5, n], vec![n])]);
        let rows = scan(&*reader.snapshot().unwrap(), &KeyRange::prefix(&[5]), Direction::Forward, 9);
        assert_eq!(rows, [(vec![5, n], vec![n])]);
    }
}

pub(crate) fn adds_up_across_handles(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    add_up(&[&*one, &*other, &*one, &*other]);
}

/// Of two batches that require the same row to be absent, one succeeds.
pub(crate) fn lets_one_handle_create_a_row(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    for n in 0..25u8 {
        let together = Barrier::new(2);
        let create = |engine: &dyn Engine, name: u8| {
            together.wait();
            commit(engine, |b| {
                b.preconditions.push(absent(&[5, n]));
                b.ops.put(&[5, n], &[name]);
            })
        };
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| create(&*one, 1));
            let second = create(&*other, 2);
            (first.join().unwrap(), second)
        });
        let winner: u8 = match (first, second) {
            (Ok(()), Err(CommitError::Conflict(0))) => 1,
            (Err(CommitError::Conflict(0)), Ok(())) => 2,
            answers => panic!("one creates the row, the other conflicts: {answers:?}"),
        };
        assert_row(&*one, &[5, n], Some(&[winner]));
        assert_row(&*other, &[5, n], Some(&[winner]));
    }
}

pub(crate) fn reads_ranges_while_another_handle_writes(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    read_ranges_while_writing(&*one, &*other);
}

pub(crate) fn counts_links_across_handles(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    for len in [10, 1_000_000] {
        let content = noise(1, len);
        let body = receive(&*one, &content);
        commit(&*one, |b| link(b, &body)).unwrap();
        assert_body(&*other, body.id(), Some(&content));
        commit(&*other, |b| b.ops.link(body.id())).unwrap();
        commit(&*one, |b| b.ops.unlink(body.id())).unwrap();
        assert_body(&*one, body.id(), Some(&content));
        commit(&*other, |b| b.ops.unlink(body.id())).unwrap();
        assert_body(&*one, body.id(), None);
        assert_body(&*other, body.id(), None);
    }
}

pub(crate) fn gives_out_each_stamp_to_one_handle(fixture: &Fixture) {
    let (one, other) = (fixture.open(), fixture.open());
    give_out_stamps(&[&*one, &*other, &*one, &*other]);
}
