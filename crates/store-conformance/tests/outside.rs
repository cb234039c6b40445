//! An engine that is written outside the store, against its public interface alone.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

mod log_engine;

use std::{collections::BTreeSet, io::Read, path::Path, thread, time::SystemTime};

use log_engine::LogEngine;
use moxd_store_conformance::{Fixture, assert_conforms};
use store::{ErrorKind, Facts, INITIAL_MAILBOXES, NewMessage, Row, Store};

#[test]
fn an_engine_from_outside_conforms() {
    assert_conforms(|| {
        let dir = folder();
        Fixture::shared(move || LogEngine::open(dir.path()).unwrap())
    });
}

/// Two stores, as two processes would have them, deliver into one mailbox.
#[test]
fn keeps_mail_of_two_stores_in_one_mailbox() {
    const EACH: usize = 20;
    let dir = folder();
    let open = |path: &Path| Store::on(LogEngine::open(path).unwrap());
    let stores = [open(dir.path()), open(dir.path())];
    let now = SystemTime::UNIX_EPOCH;
    let account = stores[0].open_account("mox", INITIAL_MAILBOXES, now).wait().unwrap();
    thread::scope(|scope| {
        for (i, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut body = store.body_writer();
                    // Some are large enough to become files.
                    let text = format!("{i}:{n}").repeat(if n % 5 == 0 { 50_000 } else { 1 });
                    body.write(text.as_bytes()).wait().unwrap();
                    let mut message = NewMessage::new(Facts::new(now));
                    message.prefix = b"X: ".to_vec();
                    let mut transaction = store.transaction(now);
                    transaction.deliver(account, "Inbox", message, &body.finish());
                    assert_eq!(store.commit(transaction).wait().unwrap().delivered.len(), 1);
                }
            });
        }
    });
    let check = |store: &Store| {
        let inbox = store.mailbox(account, "Inbox").unwrap().unwrap();
        let rows = store.messages(account, inbox.id, None, 1000).unwrap();
        let mut uids = Vec::new();
        let mut texts = BTreeSet::new();
        for row in rows {
            let Row::Message(message) = row else { continue };
            uids.push(message.uid.get());
            let mut text = String::new();
            store.content(&message).unwrap().read_to_string(&mut text).unwrap();
            texts.insert(text);
        }
        assert_eq!(uids, (1..=2 * EACH as u32).collect::<Vec<_>>());
        assert_eq!(texts.len(), 2 * EACH);
        assert_eq!(store.check().unwrap(), []);
    };
    stores.iter().for_each(check);
    stores.iter().for_each(Store::close);
    check(&open(dir.path()));
    // This engine has no maintenance: it reports an error and does not pretend success.
    let failed = [stores[0].compact(true).unwrap_err(), stores[0].backup(dir.path()).unwrap_err()];
    assert!(failed.iter().all(|e| e.kind() == ErrorKind::Failed), "{failed:?}");
}

fn folder() -> tempfile::TempDir {
    // In memory where that can be: syncs cost nothing there.
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
