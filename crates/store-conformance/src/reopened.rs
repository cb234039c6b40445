//! Rules about the data after it is opened again.

use std::{collections::HashSet, sync::Arc};

use store::engine::{CommitError, Direction, Engine, KeyRange};

use crate::{
    Fixture,
    steps::{absent, assert_body, assert_row, commit, link, noise, put, receive, scan},
};

/// Ends an engine in one of two ways, and opens its data again.
fn reopen(fixture: &Fixture, engine: Arc<dyn Engine>, closes: bool) -> Arc<dyn Engine> {
    if closes {
        engine.close();
    }
    drop(engine);
    fixture.open()
}

pub(crate) fn keeps_rows_and_tokens(fixture: &Fixture) {
    let mut engine = fixture.open();
    for opening in 0..6u8 {
        let add = |b: &mut store::engine::Batch| {
            b.token = u128::from(opening) + 1;
            b.preconditions.push(absent(&[9, opening]));
            (0..20u8).for_each(|n| b.ops.put(&[5, opening, n], &[opening, n]));
            b.ops.put(b"last", &[opening]);
        };
        assert_eq!(commit(&*engine, add), Ok(()));
        let refused = commit(&*engine, |b| {
            b.preconditions.push(absent(b"last"));
            b.ops.put(b"refused", b"");
        });
        assert_eq!(refused, Err(CommitError::Conflict(0)));
        commit(&*engine, |b| b.ops.delete(&[5, opening, 7])).unwrap();
        engine = reopen(fixture, engine, opening.is_multiple_of(2));
        assert_row(&*engine, b"last", Some(&[opening]));
        assert_row(&*engine, b"refused", None);
        assert_row(&*engine, &[5, opening, 7], None);
        assert_row(&*engine, &[5, opening, 8], Some(&[opening, 8]));
        let rows = scan(&*engine, &KeyRange::prefix(&[5]), Direction::Forward, 7);
        assert_eq!(rows.len(), 19 * (usize::from(opening) + 1));
        // A caller that did not get the answer to a batch submits it again.
        assert_eq!(commit(&*engine, add), Err(CommitError::Conflict(1)));
    }
}

pub(crate) fn keeps_bodies_and_their_links(fixture: &Fixture) {
    let mut engine = fixture.open();
    let contents = [noise(1, 10), noise(2, 100_000), noise(3, 1_000_000)];
    let mut ids = Vec::new();
    for content in &contents {
        let body = receive(&*engine, content);
        commit(&*engine, |b| (0..2).for_each(|_| link(b, &body))).unwrap();
        ids.push(body.id());
    }
    let unlink = |engine: &dyn Engine| {
        for id in &ids {
            commit(engine, |b| b.ops.unlink(*id)).unwrap();
        }
    };
    for closes in [true, false] {
        engine = reopen(fixture, engine, closes);
        for (id, content) in ids.iter().zip(&contents) {
            assert_body(&*engine, *id, Some(content));
        }
    }
    // The engine counts both links, and the one that was removed before the end.
    unlink(&*engine);
    engine = reopen(fixture, engine, true);
    for (id, content) in ids.iter().zip(&contents) {
        assert_body(&*engine, *id, Some(content));
    }
    unlink(&*engine);
    ids.iter().for_each(|id| assert_body(&*engine, *id, None));
    engine = reopen(fixture, engine, true);
    ids.iter().for_each(|id| assert_body(&*engine, *id, None));
}

pub(crate) fn gives_out_new_stamps_after_every_opening(fixture: &Fixture) {
    let mut engine = fixture.open();
    let mut given = HashSet::new();
    for opening in 0..6u8 {
        for _ in 0..100 {
            let numbers = [engine.stamp(), engine.body_writer().finish().id().get()];
            assert!(numbers.into_iter().all(|n| given.insert(n)), "{numbers:?} again in opening {opening}");
        }
        // An opening may leave nothing behind.
        if opening % 3 == 0 {
            put(&*engine, &[9, opening], b"");
        }
        engine = reopen(fixture, engine, opening.is_multiple_of(2));
    }
}
