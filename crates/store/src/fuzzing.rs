//! Entry points for fuzzing: each asserts a property for any bytes.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a fuzz target reports a broken property by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    account::AccountRow,
    credentials::Credentials,
    engine::{
        Batch, Direction, Engine, KeyRange, Maintenance, OpsIter, Precondition, ReadRows,
        local::{self, Local, Options},
    },
    mailbox::{Mailbox, MailboxId},
    message::{self, Row, Uid},
    tables,
};

/// Reading frames from a segment of arbitrary bytes ends, and returns only checked frames.
pub fn journal(data: &[u8]) {
    local::fuzzing::journal(data);
}

/// In a block of arbitrary rows, searching agrees with reading from the beginning.
pub fn block(data: &[u8]) {
    local::fuzzing::block(data);
}

/// Message records and other rows: a row that can be decoded is the same after encoding and decoding it again.
pub fn record(data: &[u8]) {
    let (mailbox, uid) = (MailboxId::from_u32(1), Uid::from_u32(1));
    if let Some(row) = message::decode(mailbox, uid, data) {
        let again = match &row {
            Row::Message(message) => message::encode(message),
            Row::Expunged(expunged) => message::encode_expunged(expunged),
        };
        assert_eq!(message::decode(mailbox, uid, &again), Some(row));
    }
    if let Some(credentials) = Credentials::decode(data) {
        assert!(Credentials::decode(&credentials.encode()) == Some(credentials));
    }
    if let Some(row) = AccountRow::decode(data) {
        assert_eq!(AccountRow::decode(&row.encode(7)), Some(row));
    }
    if let Some(row) = Mailbox::decode(mailbox, data) {
        assert_eq!(Mailbox::decode(mailbox, &row.encode()), Some(row));
    }
    assert!(!tables::row_name(data).is_empty());
    let mut ops = OpsIter::new(data);
    let read = ops.by_ref().count();
    assert!(read <= data.len());
}

/// Arbitrary bytes, taken for a history of commits, compactions and restarts: an engine on the disk agrees with a map.
pub fn store_model(data: &[u8]) {
    let dir = fresh_dir();
    let open = || {
        let options =
            Options { segment_size: 16 * 1024, snapshot_min: 4 * 1024, reserve: 0, ..Options::default() };
        Local::open(&dir, options).expect("a store opens where it was closed")
    };
    let mut engine = open();
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for step in data.chunks(3) {
        let [what, key, len] = [0, 1, 2].map(|i| step.get(i).copied().unwrap_or(0));
        let key = vec![2, key >> 4, key & 15];
        match what % 16 {
            0 => {
                engine.close();
                engine = open();
            }
            1 => engine.compact(what & 16 != 0).expect("room is given back"),
            2..=5 => {
                let mut batch = Batch::default();
                batch
                    .preconditions
                    .extend(model.get(&key).map(|value| Precondition::Equals(key.clone(), value.clone())));
                batch.ops.delete(&key);
                engine.commit(batch).wait().expect("what is there can be removed");
                model.remove(&key);
            }
            _ => {
                let value = vec![what; usize::from(len) * 8];
                let mut batch = Batch::default();
                batch.ops.put(&key, &value);
                engine.commit(batch).wait().expect("a row is stored");
                model.insert(key, value);
            }
        }
    }
    let rows = |direction| {
        let range = KeyRange { start: vec![2], end: Some(vec![3]) };
        let rows = engine.range(&range, direction, usize::MAX).expect("rows are read").rows;
        rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(rows(Direction::Forward), model);
    assert_eq!(rows(Direction::Backward), model);
    assert_eq!(engine.check().expect("the store is checked"), []);
    engine.close();
    fs::remove_dir_all(&dir).expect("the folder is removed");
}

/// A folder that no other call uses.
fn fresh_dir() -> PathBuf {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    // In memory where that can be: syncs cost nothing there.
    let shm = PathBuf::from("/dev/shm");
    let parent = if shm.is_dir() { shm } else { std::env::temp_dir() };
    let dir = parent.join(format!("moxd-store-model-{}-{call}", std::process::id()));
    drop(fs::remove_dir_all(&dir));
    dir
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::codec::{put_bytes, put_varint};

    /// The record field with the time when a message was sent.
    const SENT: u8 = 38;

    /// Valid content for a field (docs/store-format.md numbers them), made of any number and any bytes.
    fn likely(field: u8, number: u64, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let text = String::from_utf8_lossy(bytes);
        match field {
            1..=3 | 8 | 11 | 12 | 34..=36 | SENT => put_varint(&mut out, number),
            4 | 5 => put_varint(&mut out, number & u64::from(u32::MAX)),
            9 => put_varint(&mut out, number & u64::from(u16::MAX)),
            13 => put_varint(&mut out, number % 3),
            6 | 7 => {
                put_varint(&mut out, number);
                put_varint(&mut out, bytes.len() as u64);
            }
            18 => out.extend_from_slice(bytes),
            19 => out.extend(number.to_le_bytes().repeat(4)),
            20 => out.extend([number as u8 & 7, number as u8 % 4, 0, 1]),
            21 => {
                out.extend(number.to_le_bytes().repeat(2).iter().take(if number & 1 == 0 { 4 } else { 16 }))
            }
            39 => (0..3).for_each(|_| put_bytes(&mut out, text.as_bytes())),
            _ => out.extend_from_slice(text.as_bytes()),
        }
        out
    }

    proptest! {
        #[test]
        fn holds_for_any_bytes(data in vec(any::<u8>(), 0..600)) {
            journal(&data);
            block(&data);
            record(&data);
        }

        #[test]
        fn records_that_look_right_are_read(fields in vec((1..50u8, any::<u64>(), vec(any::<u8>(), 0..20)), 0..30)) {
            // Recipients belong to a message that was sent.
            let mut data = vec![1, 1, SENT, 1, 0];
            for (field, number, bytes) in &fields {
                data.push(*field);
                put_bytes(&mut data, &likely(*field, *number, bytes));
            }
            let read = message::decode(MailboxId::from_u32(1), Uid::from_u32(1), &data);
            prop_assert!(matches!(read, Some(Row::Message(_))));
            record(&data);
            // With one bit flipped, the record may be readable or not; the property holds either way.
            if let Some(at) = fields.first().map(|(_, number, _)| *number as usize % data.len()) {
                data[at] ^= 1 << (at % 8);
                record(&data);
            }
        }

        #[test]
        fn other_rows_that_look_right_are_read(
            [version, role, subscribed] in [1..3u8, 0..6u8, 0..2u8],
            numbers in [any::<u32>(); 2],
            sums in [any::<u64>(); 5],
            texts in vec((0..8u8, ".{0,20}"), 0..6),
            flip in any::<prop::sample::Index>(),
        ) {
            let mut account = vec![version];
            let [mod_seq, next_message, size, submitted, stamp] = sums;
            let [next_mailbox, next_uid_validity] = numbers.map(u64::from);
            for n in [mod_seq, next_message, next_mailbox, next_uid_validity, size, submitted, stamp] {
                put_varint(&mut account, n);
            }
            prop_assert!(AccountRow::decode(&account).is_some());

            let mut mailbox = vec![1, role, subscribed];
            put_bytes(&mut mailbox, b"Inbox");
            numbers.iter().for_each(|n| put_varint(&mut mailbox, u64::from(*n)));
            sums.iter().for_each(|n| put_varint(&mut mailbox, *n));
            put_varint(&mut mailbox, texts.len() as u64);
            texts.iter().for_each(|(_, keyword)| put_bytes(&mut mailbox, keyword.as_bytes()));
            prop_assert!(Mailbox::decode(MailboxId::from_u32(1), &mailbox).is_some());

            let mut credentials = vec![1];
            for (kind, secret) in &texts {
                credentials.push(*kind);
                put_bytes(&mut credentials, secret.as_bytes());
            }
            prop_assert!(Credentials::decode(&credentials).is_some());

            let mut expunged = vec![1, 2];
            for (field, n) in (1..4u8).zip(sums) {
                expunged.push(field);
                put_bytes(&mut expunged, &likely(field, n, b""));
            }
            let read = message::decode(MailboxId::from_u32(1), Uid::from_u32(1), &expunged);
            prop_assert!(matches!(read, Some(Row::Expunged(_))));

            for mut data in [account, mailbox, credentials, expunged] {
                record(&data);
                let at = flip.index(data.len());
                data[at] ^= 1 << (at % 8);
                record(&data);
            }
        }

        #[test]
        fn blocks_that_look_right_are_searched(rows in vec((0..6u8, 0..4u8, 0..3u8), 0..30)) {
            let mut data = Vec::new();
            for (shared, suffix, value) in &rows {
                data.extend_from_slice(&[*shared, *suffix, *value]);
                // Few different bytes, so that keys agree in much.
                data.extend((0..*suffix).map(|i| (shared + i) % 3));
                data.extend((1..*value).map(|_| 7));
            }
            block(&data);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_map(data in vec(any::<u8>(), 0..240)) {
            store_model(&data);
        }
    }
}
