//! Rules about batches and rows, for one caller at a time.

use std::collections::BTreeMap;

use store::engine::{Batch, CommitError, Direction, KeyRange, MAX_BATCH, MAX_KEY, MAX_VALUE, Precondition};

use crate::{
    Fixture,
    steps::{Dice, Row, absent, assert_body, assert_row, batch, commit, equals, link, put, receive, scan},
};

pub(crate) fn applies_operations_in_order(fixture: &Fixture) {
    let engine = &*fixture.open();
    commit(engine, |b| {
        b.ops.put(b"a", b"1");
        b.ops.put(b"b", b"");
        b.ops.delete(b"a");
        b.ops.put(b"c", b"3");
        b.ops.put(b"c", b"4");
        b.ops.delete(b"nothing");
        b.ops.delete(b"d");
        b.ops.put(b"d", b"5");
    })
    .unwrap();
    assert_row(engine, b"a", None);
    assert_row(engine, b"b", Some(b""));
    assert_row(engine, b"c", Some(b"4"));
    assert_row(engine, b"d", Some(b"5"));
}

/// If one precondition does not hold, the batch changes nothing; the answer says which precondition it was.
pub(crate) fn refuses_a_batch_entirely(fixture: &Fixture) {
    let engine = &*fixture.open();
    let old = receive(engine, b"old");
    commit(engine, |b| {
        b.ops.put(b"a", b"1");
        b.ops.put(b"kept", b"1");
        link(b, &old);
    })
    .unwrap();
    let new = receive(engine, b"new");
    let refused: [(&[Precondition], usize); 4] = [
        (&[equals(b"a", b"2")], 0),
        (&[absent(b"a")], 0),
        (&[equals(b"a", b"1"), absent(b"x"), absent(b"a")], 2),
        (&[equals(b"a", b"1"), equals(b"x", b""), absent(b"a")], 1),
    ];
    for (preconditions, conflict) in refused {
        let result = commit(engine, |b| {
            b.preconditions = preconditions.to_vec();
            b.ops.put(b"a", b"3");
            b.ops.put(b"b", b"3");
            b.ops.delete(b"kept");
            b.ops.unlink(old.id());
            link(b, &new);
        });
        assert_eq!(result, Err(CommitError::Conflict(conflict)), "{preconditions:?}");
        assert_row(engine, b"a", Some(b"1"));
        assert_row(engine, b"b", None);
        assert_row(engine, b"kept", Some(b"1"));
        assert_body(engine, old.id(), Some(b"old"));
        assert_body(engine, new.id(), None);
    }
    let accepted = commit(engine, |b| {
        b.preconditions = vec![equals(b"a", b"1"), absent(b"x"), equals(b"kept", b"1")];
        b.ops.put(b"b", b"2");
    });
    assert_eq!(accepted, Ok(()));
    assert_row(engine, b"b", Some(b"2"));
}

/// `Equals` means the same bytes, no more and no fewer; an empty value is a value.
pub(crate) fn compares_whole_values(fixture: &Fixture) {
    let engine = &*fixture.open();
    put(engine, b"long", b"value");
    put(engine, b"empty", b"");
    let check = |precondition: Precondition| commit(engine, |b| b.preconditions.push(precondition));
    for other in [&b""[..], b"valu", b"value\0", b"valuf", b"VALUE"] {
        assert_eq!(check(equals(b"long", other)), Err(CommitError::Conflict(0)), "{other:02x?}");
    }
    assert_eq!(check(equals(b"long", b"value")), Ok(()));
    assert_eq!(check(equals(b"empty", b"")), Ok(()));
    assert_eq!(check(absent(b"empty")), Err(CommitError::Conflict(0)));
    assert_eq!(check(equals(b"none", b"")), Err(CommitError::Conflict(0)));
    // Neighbours of a key are other keys.
    assert_eq!(check(absent(b"lon")), Ok(()));
    assert_eq!(check(absent(b"long\0")), Ok(()));
}

/// Each batch builds on the one before it, whose answer the caller has not waited for.
pub(crate) fn decides_in_the_order_of_the_calls(fixture: &Fixture) {
    let engine = &*fixture.open();
    put(engine, b"n", &0u32.to_be_bytes());
    let step = |from: u32, to: u32| {
        engine.commit(batch(|b| {
            b.preconditions.push(equals(b"n", &from.to_be_bytes()));
            b.ops.put(b"n", &to.to_be_bytes());
            b.ops.put(&[9, to as u8], b"");
        }))
    };
    let pending: Vec<_> = (0..200).map(|n| step(n, n + 1)).collect();
    // The order of waiting does not matter.
    for (n, pending) in pending.into_iter().enumerate().rev() {
        assert_eq!(pending.wait(), Ok(()), "batch {n}");
    }
    assert_row(engine, b"n", Some(&200u32.to_be_bytes()));
    // A batch that builds on one that is refused is refused as well.
    let refused = [step(7, 8), step(8, 9), step(200, 201), step(200, 202)];
    let answers = refused.map(store::Pending::wait);
    let conflict = Err(CommitError::Conflict(0));
    assert_eq!(answers, [conflict, conflict, Ok(()), conflict]);
    assert_row(engine, b"n", Some(&201u32.to_be_bytes()));
}

/// Dropping the answer does not undo the batch.
pub(crate) fn commits_what_is_not_waited_for(fixture: &Fixture) {
    let engine = &*fixture.open();
    for n in 0..50u8 {
        drop(engine.commit(batch(|b| b.ops.put(&[5, n], &[n]))));
    }
    put(engine, b"last", b"");
    for n in 0..50u8 {
        assert_row(engine, &[5, n], Some(&[n]));
    }
}

pub(crate) fn reads_ranges_in_pages(fixture: &Fixture) {
    let engine = &*fixture.open();
    for n in 0..100u8 {
        put(engine, &[5, n], &[n]);
    }
    commit(engine, |b| b.ops.delete(&[5, 50])).unwrap();
    put(engine, &[4, 0xff], b"before");
    put(engine, &[6], b"behind");
    let range = KeyRange::prefix(&[5]);
    let expected: Vec<Row> = (0..100).filter(|n| *n != 50).map(|n| (vec![5, n], vec![n])).collect();
    let backward: Vec<Row> = expected.iter().rev().cloned().collect();
    for limit in [1, 7, 98, 99, 100, usize::MAX] {
        assert_eq!(scan(engine, &range, Direction::Forward, limit), expected, "limit {limit}");
        assert_eq!(scan(engine, &range, Direction::Backward, limit), backward, "limit {limit}");
    }
    // `more` is about the range, not about the rows behind it.
    for direction in [Direction::Forward, Direction::Backward] {
        assert!(engine.range(&range, direction, 98).unwrap().more);
        assert!(!engine.range(&range, direction, 99).unwrap().more);
    }
}

pub(crate) fn reads_ranges_to_their_ends(fixture: &Fixture) {
    let engine = &*fixture.open();
    let keys: [&[u8]; 6] = [&[5], &[5, 0], &[5, 0, 0], &[5, 0xff], &[5, 0xff, 0xff], &[0xff, 0xff]];
    for key in keys {
        put(engine, key, key);
    }
    let found = |start: &[u8], end: Option<&[u8]>| {
        let range = KeyRange { start: start.to_vec(), end: end.map(<[u8]>::to_vec) };
        let keys = |rows: Vec<Row>| -> Vec<Vec<u8>> { rows.into_iter().map(|(key, _)| key).collect() };
        let forward = keys(scan(engine, &range, Direction::Forward, 2));
        let mut backward = keys(scan(engine, &range, Direction::Backward, 2));
        backward.reverse();
        assert_eq!(forward, backward, "{range:?}");
        forward
    };
    assert_eq!(found(&[5], None), keys);
    assert_eq!(found(&[5], Some(&[6])), keys[..5]);
    // The start is in the range, the end is not.
    assert_eq!(found(&[5, 0], Some(&[5, 0xff])), keys[1..3]);
    assert_eq!(found(&[5, 0, 0], Some(&[5, 0, 0, 0])), keys[2..3]);
    assert_eq!(found(&[5, 0, 1], Some(&[5, 0xff])), keys[..0]);
    assert_eq!(found(&[5, 0xff, 0], None), keys[4..]);
    assert_eq!(found(&[5, 60], Some(&[5, 20])), keys[..0]);
    assert_eq!(found(&[5, 0], Some(&[5, 0])), keys[..0]);
}

/// After random batches, some of them refused, the engine has the same rows as a map.
pub(crate) fn agrees_with_a_map(fixture: &Fixture) {
    let engine = &*fixture.open();
    let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut dice = Dice::new(7);
    let key = |dice: &mut Dice| {
        let mut key = vec![5];
        (0..1 + dice.below(2)).for_each(|_| key.push([0, 1, 0x7f, 0xff][dice.below(4) as usize]));
        key
    };
    for round in 0..400 {
        let mut next = map.clone();
        let (mut b, mut conflict) = (Batch::default(), None);
        for i in 0..dice.below(3) as usize {
            let key = key(&mut dice);
            let precondition = match map.get(&key) {
                Some(value) if dice.below(8) > 0 => equals(&key, value),
                None if dice.below(8) == 0 => equals(&key, b"x"),
                _ => absent(&key),
            };
            let holds = match &precondition {
                Precondition::Absent(key) => !map.contains_key(key),
                Precondition::Equals(key, value) => map.get(key) == Some(value),
            };
            conflict = conflict.or_else(|| (!holds).then_some(i));
            b.preconditions.push(precondition);
        }
        for _ in 0..1 + dice.below(4) {
            let key = key(&mut dice);
            if dice.below(3) == 0 {
                b.ops.delete(&key);
                next.remove(&key);
            } else {
                let value = dice.roll().to_be_bytes()[..dice.below(8) as usize].to_vec();
                b.ops.put(&key, &value);
                next.insert(key, value);
            }
        }
        assert_eq!(engine.commit(b).wait(), conflict.map_or(Ok(()), |i| Err(CommitError::Conflict(i))));
        if conflict.is_none() {
            map = next;
        }
        let start = key(&mut dice);
        let range = KeyRange { start: start.clone(), end: Some(key(&mut dice)).filter(|_| round % 3 > 0) };
        let mut expected: Vec<Row> = Vec::new();
        if !range.is_empty() {
            let rows = map.range(start..).take_while(|(key, _)| range.contains(key));
            expected.extend(rows.map(|(key, value)| (key.clone(), value.clone())));
        }
        let limit = 1 + dice.below(5) as usize;
        assert_eq!(scan(engine, &range, Direction::Forward, limit), expected, "round {round}");
        expected.reverse();
        assert_eq!(scan(engine, &range, Direction::Backward, limit), expected, "round {round}");
    }
}

/// A second batch with the same token conflicts, whatever else is in it: the caller learns that the first one happened.
pub(crate) fn accepts_a_token_once(fixture: &Fixture) {
    let engine = &*fixture.open();
    let with_token = |token: u128, precondition, value: &[u8]| {
        commit(engine, |b| {
            b.token = token;
            b.preconditions.push(precondition);
            b.ops.put(b"t", value);
        })
    };
    assert_eq!(with_token(7, equals(b"t", b""), b"1"), Err(CommitError::Conflict(0)));
    // A refused batch does not use up its token.
    assert_eq!(with_token(7, absent(b"never"), b"1"), Ok(()));
    // The number behind all preconditions stands for the token.
    assert_eq!(with_token(7, absent(b"never"), b"2"), Err(CommitError::Conflict(1)));
    assert_row(engine, b"t", Some(b"1"));
    assert_eq!(with_token(8, absent(b"never"), b"3"), Ok(()));
    assert_eq!(with_token(u128::MAX, absent(b"never"), b"4"), Ok(()));
    assert_row(engine, b"t", Some(b"4"));
}

pub(crate) fn keeps_its_limits(fixture: &Fixture) {
    let engine = &*fixture.open();
    let long = |n: usize| vec![b'k'; n];
    assert_eq!(commit(engine, |b| b.ops.put(&long(MAX_KEY), &long(MAX_VALUE))), Ok(()));
    assert_row(engine, &long(MAX_KEY), Some(&long(MAX_VALUE)));
    assert_eq!(commit(engine, |b| b.ops.put(&long(MAX_KEY + 1), b"")), Err(CommitError::TooLarge));
    assert_eq!(commit(engine, |b| b.ops.delete(&long(MAX_KEY + 1))), Err(CommitError::TooLarge));
    assert_eq!(commit(engine, |b| b.ops.put(b"k", &long(MAX_VALUE + 1))), Err(CommitError::TooLarge));
    let fill = |b: &mut Batch, n: usize| (0..n).for_each(|n| b.ops.put(&[9, n as u8], &long(MAX_VALUE)));
    assert_eq!(commit(engine, |b| fill(b, MAX_BATCH / MAX_VALUE - 1)), Ok(()));
    assert_eq!(commit(engine, |b| fill(b, MAX_BATCH / MAX_VALUE + 1)), Err(CommitError::TooLarge));
    // Rows of the engine itself are out of reach.
    assert_eq!(commit(engine, |b| b.ops.put(&[0, 1], b"")), Err(CommitError::Failed));
    assert_eq!(commit(engine, |b| b.ops.delete(&[])), Err(CommitError::Failed));
    // A batch that is refused for its size leaves no rows.
    assert_row(engine, b"k", None);
    assert_row(engine, &[9, (MAX_BATCH / MAX_VALUE) as u8], None);
}

/// Closing twice does no harm.
pub(crate) fn refuses_batches_once_closed(fixture: &Fixture) {
    let engine = &*fixture.open();
    let pending: Vec<_> = (0..20u8).map(|n| engine.commit(batch(|b| b.ops.put(&[5, n], b"")))).collect();
    engine.close();
    for pending in pending {
        assert_eq!(pending.wait(), Ok(()), "what came before is finished");
    }
    assert_eq!(commit(engine, |b| b.ops.put(b"b", b"2")), Err(CommitError::Failed));
    engine.close();
    assert_eq!(commit(engine, |b| b.ops.put(b"b", b"2")), Err(CommitError::Failed));
}
