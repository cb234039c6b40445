//! Entries for fuzzing: each asserts a property for whatever octets it is given.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a fuzz target tells of a broken property by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    credentials::Credentials,
    engine::{
        Batch, Direction, Engine, KeyRange, OpsIter, Pre,
        local::{self, Local, Options},
    },
    mailbox::MailboxId,
    message::{self, Row, Uid},
};

/// Reading frames from a segment of arbitrary octets ends, and gives only what was checked.
pub fn journal(data: &[u8]) {
    local::fuzzing::journal(data);
}

/// A block of arbitrary rows: searching agrees with reading it from its beginning.
pub fn block(data: &[u8]) {
    local::fuzzing::block(data);
}

/// Records of messages: what can be read is written and read again as the same.
pub fn record(data: &[u8]) {
    let (mailbox, uid) = (MailboxId::from_u32(1), Uid::from_u32(1));
    if let Some(Row::Message(message)) = message::decode(mailbox, uid, data) {
        let again = message::encode(&message);
        assert_eq!(message::decode(mailbox, uid, &again), Some(Row::Message(message)));
    }
    if let Some(credentials) = Credentials::decode(data) {
        assert!(Credentials::decode(&credentials.encode()) == Some(credentials));
    }
    let mut ops = OpsIter::new(data);
    let read = ops.by_ref().count();
    assert!(read <= data.len());
}

/// A history of a store on the disk, told by arbitrary octets: it agrees with a map, also after restarts.
pub fn store_model(data: &[u8]) {
    let dir = fresh_dir();
    let open = || {
        let options = Options { segment_size: 16 * 1024, snapshot_min: 4 * 1024, ..Options::default() };
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
                batch.pre.extend(model.get(&key).map(|value| Pre::Equals(key.clone(), value.clone())));
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

/// A folder of this call alone.
fn fresh_dir() -> PathBuf {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("moxd-store-model-{}-{call}", std::process::id()));
    drop(fs::remove_dir_all(&dir));
    dir
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn holds_for_any_octets(data in vec(any::<u8>(), 0..600)) {
            journal(&data);
            block(&data);
            record(&data);
        }

        #[test]
        fn holds_for_octets_that_look_right(fields in vec((1..40u8, vec(any::<u8>(), 0..20)), 0..30)) {
            let mut data = vec![1, 1];
            for (field, content) in &fields {
                data.push(*field);
                data.push(content.len() as u8);
                data.extend_from_slice(content);
            }
            record(&data);
            block(&data);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_map(data in vec(any::<u8>(), 0..240)) {
            store_model(&data);
        }
    }
}
