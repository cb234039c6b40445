//! The findings that a check reports to an operator.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use moxd_store::{Facts, FindingKind, INITIAL_MAILBOXES, MessageId, NewMessage, Options, Store};

fn open(dir: &Path) -> Store {
    let options =
        Options { segment_size: 16 * 1024, snapshot_min: 1 << 40, reserve: 0, ..Options::default() };
    Store::open(dir, options).unwrap()
}

/// The segments of the journal, oldest first.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut segments: Vec<_> =
        fs::read_dir(dir.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|e| e == "log"));
    segments.sort();
    segments
}

#[test]
fn names_every_message_of_a_lost_segment_once() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let now = SystemTime::UNIX_EPOCH;
    let store = open(dir.path());
    let accounts =
        ["ann", "bob"].map(|name| store.open_account(name, INITIAL_MAILBOXES, now).wait().unwrap());
    for n in 0..40 {
        // A body for two, and header fields for each.
        let mut body = store.body_writer();
        body.write(&[b'x'; 1000]).wait().unwrap();
        let body = body.finish();
        let mut transaction = store.transaction(now);
        for account in accounts {
            let mut message = NewMessage::new(Facts::new(now));
            message.facts.message_id = format!("{n}@a.test");
            message.prefix = format!("Number: {n}\r\n").into_bytes();
            transaction.deliver(account, "Inbox", message, &body);
        }
        let _ = store.commit(transaction).wait().unwrap();
    }
    store.close();
    drop(store);
    fs::remove_file(&segments(dir.path())[2]).unwrap();

    let store = open(dir.path());
    let findings = store.check().unwrap();
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(lines[0].starts_with("store.finding.journal: ") && lines[0].contains("missing"), "{lines:#?}");
    // People read this: no bytes, and no debugging output.
    assert!(lines.iter().all(|line| !line.contains("[0") && !line.contains(" 0 bytes")), "{lines:#?}");

    let lost: Vec<_> = findings.iter().filter(|finding| finding.kind() == FindingKind::Body).collect();
    let named: BTreeSet<_> = lost.iter().map(|f| (f.account().unwrap(), f.message().unwrap())).collect();
    assert_eq!(named.len(), lost.len(), "each message once: {lines:#?}");
    // Exactly the messages that cannot be read are named, for both owners of a body.
    for (name, account) in ["ann", "bob"].into_iter().zip(accounts) {
        for id in (1..=40).map(MessageId::from_u64) {
            let message = store.message(account, id).unwrap().unwrap();
            let read = std::io::read_to_string(store.content(&message).unwrap());
            assert_eq!(read.is_err(), named.contains(&(name, id)), "{name} {id:?}");
        }
    }
    assert!(!lost.is_empty() && lost.len() < 80, "{lines:#?}");
    assert!(lost.iter().all(|f| f.mailbox() == Some("Inbox") && f.uid().is_some()));
    // Rows that only the lost segment had are counted, not listed.
    assert!(findings.len() - lost.len() <= 12, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(" more rows differ from the journal's")), "{lines:#?}");
}
