//! Rules about bodies and the links to them.

use std::sync::Arc;

use store::{
    BodyId, BodyWriter, Pending,
    engine::{Batch, BodyContent, BodySink, CommitError, PlacedBody},
};

use crate::{
    Fixture,
    steps::{assert_body, assert_row, commit, link, noise, read_body, receive},
};

pub(crate) fn counts_links_to_bodies(fixture: &Fixture) {
    let engine = &*fixture.open();
    let body = receive(engine, b"content");
    let id = body.id();
    assert_body(engine, id, None);
    // Each recipient of a message adds a link, and names the body again.
    commit(engine, |b| (0..2).for_each(|_| link(b, &body))).unwrap();
    commit(engine, |b| link(b, &body)).unwrap();
    // A batch that links to a stored body need not bring the body.
    commit(engine, |b| b.ops.link(id)).unwrap();
    drop(body);
    assert_body(engine, id, Some(b"content"));
    let unlink = |n: usize| commit(engine, |b| (0..n).for_each(|_| b.ops.unlink(id))).unwrap();
    unlink(2);
    assert_body(engine, id, Some(b"content"));
    unlink(1);
    assert_body(engine, id, Some(b"content"));
    unlink(1);
    assert_body(engine, id, None);
    // Removing a link that does not exist is no error.
    unlink(1);
    assert_body(engine, id, None);
}

pub(crate) fn refuses_unknown_bodies(fixture: &Fixture) {
    let engine = &*fixture.open();
    let body = receive(engine, b"content");
    let result = commit(engine, |b| {
        b.ops.put(b"a", b"1");
        b.ops.link(body.id());
    });
    assert_eq!(result, Err(CommitError::Failed));
    assert_row(engine, b"a", None);
    assert_body(engine, body.id(), None);
}

/// Bytes at a place that only another engine knows.
struct Elsewhere;

impl BodySink for Elsewhere {
    fn write(&mut self, _: &[u8]) -> Pending<store::Result<()>> {
        Pending::ready(Ok(()))
    }

    fn finish(self: Box<Self>) -> BodyContent {
        BodyContent::Placed(Arc::new(*self))
    }
}

impl PlacedBody for Elsewhere {
    fn is_ready(&self) -> bool {
        true
    }

    fn ready(&self) -> Pending<store::Result<()>> {
        Pending::ready(Ok(()))
    }
}

/// Such a body must not be acknowledged, for this engine cannot store it.
pub(crate) fn refuses_bodies_that_another_engine_has_placed(fixture: &Fixture) {
    let engine = &*fixture.open();
    let mut writer = BodyWriter::new(BodyId::from_u64(engine.stamp()), Elsewhere);
    writer.write(b"content").wait().unwrap();
    let body = writer.finish();
    let result = commit(engine, |b| {
        b.ops.put(b"a", b"1");
        link(b, &body);
    });
    assert_eq!(result, Err(CommitError::Failed));
    assert_row(engine, b"a", None);
    assert_body(engine, body.id(), None);
}

/// The body can be stored by a later batch.
pub(crate) fn stores_no_body_of_a_refused_batch(fixture: &Fixture) {
    let engine = &*fixture.open();
    for len in [10, 1_000_000] {
        let content = noise(1, len);
        let body = receive(engine, &content);
        let with_token = |token| {
            commit(engine, |b| {
                b.token = token;
                link(b, &body);
            })
        };
        let used = len as u128;
        commit(engine, |b| b.token = used).unwrap();
        assert_eq!(with_token(used), Err(CommitError::Conflict(0)));
        assert_body(engine, body.id(), None);
        assert_eq!(with_token(used + 1), Ok(()));
        assert_body(engine, body.id(), Some(&content));
    }
}

/// A later batch can store the body.
pub(crate) fn stores_no_body_that_the_batch_unlinks_again(fixture: &Fixture) {
    let engine = &*fixture.open();
    for len in [10, 1_000_000] {
        let content = noise(4, len);
        let body = receive(engine, &content);
        let id = body.id();
        let linked_and_unlinked = commit(engine, |b| {
            link(b, &body);
            b.ops.unlink(id);
        });
        assert_eq!(linked_and_unlinked, Ok(()));
        assert_body(engine, id, None);
        assert!(!body.is_stored());
        commit(engine, |b| link(b, &body)).unwrap();
        assert!(body.is_stored());
        assert_body(engine, id, Some(&content));
    }
}

/// A handle outlives the stored body, and links to nothing then.
pub(crate) fn never_brings_back_a_removed_body(fixture: &Fixture) {
    let engine = &*fixture.open();
    for len in [10, 1_000_000] {
        let body = receive(engine, &noise(2, len));
        commit(engine, |b| link(b, &body)).unwrap();
        commit(engine, |b| b.ops.unlink(body.id())).unwrap();
        assert_eq!(commit(engine, |b| link(b, &body)), Err(CommitError::Failed));
        assert_body(engine, body.id(), None);
    }
}

/// A body that loses its last link and gains one in the same batch stays, in whichever order.
pub(crate) fn counts_the_links_of_a_batch_together(fixture: &Fixture) {
    let engine = &*fixture.open();
    let body = receive(engine, b"content");
    let id = body.id();
    commit(engine, |b| link(b, &body)).unwrap();
    let moves: [fn(&mut Batch, BodyId); 2] = [
        |b, id| {
            b.ops.unlink(id);
            b.ops.link(id);
        },
        |b, id| {
            b.ops.link(id);
            b.ops.unlink(id);
        },
    ];
    for step in moves {
        assert_eq!(commit(engine, |b| step(b, id)), Ok(()));
        assert_body(engine, id, Some(b"content"));
    }
    commit(engine, |b| b.ops.unlink(id)).unwrap();
    assert_body(engine, id, None);
}

pub(crate) fn reads_bodies_from_any_offset(fixture: &Fixture) {
    let engine = &*fixture.open();
    for (seed, len) in [0usize, 1, 65_535, 65_536, 262_144, 262_145, 1_500_001].into_iter().enumerate() {
        let content = noise(seed as u64, len);
        let body = receive(engine, &content);
        assert_eq!(body.len(), len as u64);
        commit(engine, |b| link(b, &body)).unwrap();
        assert_body(engine, body.id(), Some(&content));
        for offset in [1, 2, 65_535, 65_536, 200_000, len.saturating_sub(1), len] {
            let expected = content.get(offset..).unwrap_or_default();
            let read = read_body(engine, body.id(), offset as u64);
            assert!(read == expected, "{} bytes of {len} from {offset} on", read.len());
        }
        assert!(engine.body(body.id(), len as u64 + 1).unwrap().is_empty());
    }
}

pub(crate) fn forgets_bodies_that_no_batch_has_stored(fixture: &Fixture) {
    let engine = &*fixture.open();
    for len in [10, 1_000_000] {
        let id = receive(engine, &noise(3, len)).id();
        assert_eq!(commit(engine, |b| b.ops.link(id)), Err(CommitError::Failed));
        assert_body(engine, id, None);
    }
}

pub(crate) fn numbers_bodies_by_stamps(fixture: &Fixture) {
    let engine = &*fixture.open();
    let mut last = engine.stamp();
    for _ in 0..20 {
        let (body, stamp) = (engine.body_writer().finish().id().get(), engine.stamp());
        assert!(last != body && body != stamp && last != stamp, "{last} {body} {stamp}");
        last = stamp;
    }
}
