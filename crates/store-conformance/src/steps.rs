//! Steps that the rules are made of.

use std::sync::atomic::{AtomicBool, Ordering};

use store::{
    Body, BodyId, ErrorKind,
    engine::{Batch, CommitError, Direction, Engine, KeyRange, Precondition, ReadRows},
};

pub(crate) fn batch(build: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::default();
    build(&mut batch);
    batch
}

pub(crate) fn commit(engine: &dyn Engine, build: impl FnOnce(&mut Batch)) -> Result<(), CommitError> {
    engine.commit(batch(build)).wait()
}

#[track_caller]
pub(crate) fn put(engine: &dyn Engine, key: &[u8], value: &[u8]) {
    assert_eq!(commit(engine, |b| b.ops.put(key, value)), Ok(()));
}

pub(crate) fn equals(key: &[u8], value: &[u8]) -> Precondition {
    Precondition::Equals(key.to_vec(), value.to_vec())
}

pub(crate) fn absent(key: &[u8]) -> Precondition {
    Precondition::Absent(key.to_vec())
}

#[track_caller]
pub(crate) fn assert_row<R: ReadRows + ?Sized>(rows: &R, key: &[u8], value: Option<&[u8]>) {
    assert_eq!(rows.get(key).unwrap().as_deref(), value, "{key:02x?}");
}

/// Receives a body in chunks of uneven sizes, as a connection does.
pub(crate) fn receive(engine: &dyn Engine, content: &[u8]) -> Body {
    let mut writer = engine.body_writer();
    let mut rest = content;
    for n in (0..).map(|i| [1, 700, 16_384, 4_096, 65_536][i % 5]) {
        let (chunk, later) = rest.split_at(rest.len().min(n));
        if chunk.is_empty() {
            break;
        }
        writer.write(chunk).wait().unwrap();
        rest = later;
    }
    assert_eq!(writer.len(), content.len() as u64);
    let body = writer.finish();
    body.ready().wait().unwrap();
    assert!(body.is_ready());
    body
}

/// A batch's part that links to `body` and brings it.
pub(crate) fn link(batch: &mut Batch, body: &Body) {
    batch.ops.link(body.id());
    batch.bodies.push(body.clone());
}

#[track_caller]
pub(crate) fn assert_body(engine: &dyn Engine, id: BodyId, content: Option<&[u8]>) {
    let Some(content) = content else {
        assert_eq!(engine.body(id, 0).unwrap_err().kind(), ErrorKind::NoBody);
        assert_eq!(engine.body_len(id).unwrap_err().kind(), ErrorKind::NoBody);
        return;
    };
    assert_eq!(engine.body_len(id).unwrap(), content.len() as u64);
    assert!(read_body(engine, id, 0) == content, "the content of {id:?} differs");
}

/// Everything of a body from `offset` on, piece by piece.
pub(crate) fn read_body(engine: &dyn Engine, id: BodyId, offset: u64) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let piece = engine.body(id, offset + read.len() as u64).unwrap();
        if piece.is_empty() {
            return read;
        }
        read.extend_from_slice(&piece);
    }
}

/// A row as tests compare it.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// All rows of a range, read in pages of up to `limit` rows.
pub(crate) fn scan<R: ReadRows + ?Sized>(
    rows: &R,
    range: &KeyRange,
    direction: Direction,
    limit: usize,
) -> Vec<Row> {
    let mut range = range.clone();
    let mut found: Vec<Row> = Vec::new();
    loop {
        let page = rows.range(&range, direction, limit).unwrap();
        assert!(page.rows.len() <= limit, "{} rows in a page of {limit}", page.rows.len());
        for (key, value) in &page.rows {
            let is_in_order = found.last().is_none_or(|(last, _)| match direction {
                Direction::Forward => last < key,
                Direction::Backward => last > key,
            });
            assert!(is_in_order, "{key:02x?} is out of order, or there twice");
            found.push((key.to_vec(), value.to_vec()));
        }
        if !page.more {
            return found;
        }
        assert!(!page.rows.is_empty(), "more rows, and none in this page");
        let Some((last, _)) = found.last() else { return found };
        match direction {
            Direction::Forward => range.start = [last, &[0][..]].concat(),
            Direction::Backward => range.end = Some(last.clone()),
        }
    }
}

/// Tells other threads that this one is done, also if it panics: a broken engine must not make a test wait for ever.
pub(crate) struct Done<'a>(pub(crate) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Pseudo-random numbers (xorshift), the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
}

/// `len` bytes that look random and follow from `seed`.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed << 8);
    (0..len).map(|_| dice.roll() as u8).collect()
}
