//! Batches: preconditions, operations and bodies that an engine decides together.

use std::collections::BTreeMap;

use super::CommitError;
use super::body::{Body, BodyId};
use crate::codec::{Reader, put_bytes, put_varint};

/// The most bytes of a key (our own limit; an engine may put a prefix of its own before it).
pub const MAX_KEY: usize = 480;
/// The most bytes of a value (our own limit; message content belongs in bodies).
pub const MAX_VALUE: usize = 64 * 1024;
/// The most bytes of one batch's encoded operations (our own limit; bounds the memory that a batch needs).
pub const MAX_BATCH: usize = 8 * 1024 * 1024;

/// A condition for a batch to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// The key has no value.
    Absent(Vec<u8>),
    /// The key has exactly this value.
    Equals(Vec<u8>, Vec<u8>),
}

/// One operation, borrowed from [`Ops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Sets a key.
    Put(&'a [u8], &'a [u8]),
    /// Removes a key. A key without a value is no error.
    Delete(&'a [u8]),
    /// One more record refers to this body. The links of a batch count together: what it removes and adds again, stays.
    Link(BodyId),
    /// One record fewer refers to this body; when none is left, the body is removed. A body that is not stored is no error.
    Unlink(BodyId),
}

/// Operations in the order in which they apply, encoded.
///
/// They are encoded once, while the batch is built, so that an engine can write them to a disk and index them without
/// another copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ops(Vec<u8>);

const PUT: u8 = 1;
const DELETE: u8 = 2;
const LINK: u8 = 3;
const UNLINK: u8 = 4;

impl Ops {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.0.push(PUT);
        put_bytes(&mut self.0, key);
        put_bytes(&mut self.0, value);
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: &[u8]) {
        self.0.push(DELETE);
        put_bytes(&mut self.0, key);
    }

    /// Adds a link to a body.
    pub fn link(&mut self, id: BodyId) {
        self.0.push(LINK);
        put_varint(&mut self.0, id.get());
    }

    /// Removes a link to a body.
    pub fn unlink(&mut self, id: BodyId) {
        self.0.push(UNLINK);
        put_varint(&mut self.0, id.get());
    }

    /// Iterates over the operations. Damaged bytes end it early, see [`OpsIter::is_whole`].
    #[must_use]
    pub fn iter(&self) -> OpsIter<'_> {
        OpsIter::new(&self.0)
    }

    /// The encoded form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded form.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Iterates over encoded operations.
#[derive(Clone)]
pub struct OpsIter<'a> {
    reader: Reader<'a>,
    broken: bool,
}

impl<'a> OpsIter<'a> {
    /// Over the encoded form, which may be damaged.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> OpsIter<'a> {
        OpsIter { reader: Reader::new(bytes), broken: false }
    }

    /// Whether all bytes so far could be decoded.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.broken
    }

    /// By how much these operations change the number of links to each body.
    #[must_use]
    pub fn links(self) -> BTreeMap<BodyId, i64> {
        let mut links = BTreeMap::new();
        for op in self {
            match op {
                Op::Link(id) => *links.entry(id).or_default() += 1,
                Op::Unlink(id) => *links.entry(id).or_default() -= 1,
                Op::Put(..) | Op::Delete(_) => {}
            }
        }
        links
    }

    fn read(&mut self) -> Option<Op<'a>> {
        match self.reader.u8()? {
            PUT => Some(Op::Put(self.reader.bytes()?, self.reader.bytes()?)),
            DELETE => Some(Op::Delete(self.reader.bytes()?)),
            LINK => Some(Op::Link(BodyId::from_u64(self.reader.varint()?))),
            UNLINK => Some(Op::Unlink(BodyId::from_u64(self.reader.varint()?))),
            _ => None,
        }
    }
}

impl<'a> Iterator for OpsIter<'a> {
    type Item = Op<'a>;

    fn next(&mut self) -> Option<Op<'a>> {
        if self.broken || self.reader.is_empty() {
            return None;
        }
        let op = self.read();
        self.broken = op.is_none();
        op
    }
}

/// Changes that an engine makes all together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Conditions; the batch is refused if one of them does not hold.
    pub preconditions: Vec<Precondition>,
    /// The changes.
    pub ops: Ops,
    /// The bodies that the operations link to and that may not be stored yet, each of them ready. One may come more than
    /// once. A body that is not ready, or that another engine has placed, makes the batch fail. A body without a link in
    /// the end is not stored: a later batch can bring it again.
    pub bodies: Vec<Body>,
    /// If not zero, the engine accepts a batch with this token once: a second one conflicts. A caller that did not learn
    /// the outcome commits the same batch again to find out.
    pub token: u128,
}

impl Batch {
    /// Does what every engine must do first: turns the token into the precondition and the row that keep it, and checks the limits.
    ///
    /// # Errors
    /// `TooLarge` when a key, a value or the whole is over its limit, `Failed` when a key is empty or one of the
    /// engine's own.
    pub fn prepare(&mut self) -> Result<(), CommitError> {
        if self.token != 0 {
            let key = [&[TOKEN_TABLE], self.token.to_be_bytes().as_slice()].concat();
            self.ops.put(&key, &[]);
            self.preconditions.push(Precondition::Absent(key));
            self.token = 0;
        }
        self.check()
    }

    fn check(&self) -> Result<(), CommitError> {
        if self.ops.as_bytes().len() > MAX_BATCH {
            return Err(CommitError::TooLarge);
        }
        self.ops.iter().try_for_each(|op| {
            let (key, value) = match op {
                Op::Put(key, value) => (key, value),
                Op::Delete(key) => (key, &[][..]),
                Op::Link(_) | Op::Unlink(_) => return Ok(()),
            };
            match key.first() {
                None | Some(&ENGINE_TABLE) => Err(CommitError::Failed),
                Some(_) if key.len() > MAX_KEY || value.len() > MAX_VALUE => Err(CommitError::TooLarge),
                Some(_) => Ok(()),
            }
        })
    }
}

/// Keys that begin with this byte are the engine's own: no batch may touch them, and ranges that reach them may show them.
pub const ENGINE_TABLE: u8 = 0;
/// The first byte of the keys that keep tokens; the store's own tables begin at 2.
const TOKEN_TABLE: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_operations() {
        let mut ops = Ops::default();
        ops.put(b"k", b"v");
        ops.delete(b"gone");
        ops.link(BodyId::from_u64(7));
        ops.unlink(BodyId::from_u64(u64::MAX));
        let mut iter = ops.iter();
        let all: Vec<_> = iter.by_ref().collect();
        assert_eq!(
            all,
            [
                Op::Put(b"k", b"v"),
                Op::Delete(b"gone"),
                Op::Link(BodyId::from_u64(7)),
                Op::Unlink(BodyId::from_u64(u64::MAX)),
            ]
        );
        assert!(iter.is_whole());
    }

    #[test]
    fn stops_at_damaged_bytes() {
        let mut iter = OpsIter::new(&[DELETE, 1, b'a', 99]);
        assert_eq!(iter.next(), Some(Op::Delete(b"a")));
        assert_eq!(iter.next(), None);
        assert!(!iter.is_whole());
    }
}
