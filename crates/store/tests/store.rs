//! Tests the promises of the store, on the engine in memory and on the local one.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{
    io::Read,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use moxd_store::{
    AccountId, Change, Credentials, ErrorKind, Facts, Flags, INITIAL_MAILBOXES, Index, Message, NewMessage,
    Options, Recipient, Role, Row, Sent, Store, Table, Uid,
    engine::{Batch, Engine, ReadRows, memory::Memory},
};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn mox(store: &Store) -> AccountId {
    store.open_account("mox", INITIAL_MAILBOXES, now()).wait().unwrap()
}

/// Checks each promise on every engine, and that the store is consistent afterwards.
macro_rules! promises {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::on_memory(super::$name) })*
        }
        mod local {
            $(#[test] fn $name() { super::on_disk(super::$name) })*
        }
    };
}

promises! {
    gives_a_new_account_its_mailboxes numbers_and_counts_what_is_delivered
    creates_missing_mailboxes_with_their_parents shares_one_body_among_recipients changes_flags_and_counts
    leaves_the_numbers_of_a_removed_message finds_by_properties
    finds_few_messages_among_many_of_a_network remembers_whom_the_account_has_sent_to
    threads_by_references
    sees_its_own_changes_within_a_transaction makes_several_accounts_at_once
    keeps_quota_credentials_and_secrets keeps_rows_for_others numbers_densely_under_parallel_deliveries
}

#[track_caller]
fn sound(store: &Store) {
    let findings = store.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

fn on_memory(promise: fn(&Store)) {
    let store = Store::memory();
    promise(&store);
    sound(&store);
}

fn on_disk(promise: fn(&Store)) {
    let dir = folder();
    let store = Store::open(dir.path(), Options::default()).unwrap();
    promise(&store);
    sound(&store);
    store.compact(true).unwrap();
    sound(&store);
    store.close();
    let again = Store::open(dir.path(), Options::default()).unwrap();
    sound(&again);
}

fn deliver(store: &Store, account: AccountId, mailbox: &str, message: NewMessage, content: &[u8]) -> Message {
    let mut body = store.body_writer();
    body.write(content).wait().unwrap();
    let mut t = store.transaction(now());
    t.deliver(account, mailbox, message, &body.finish());
    let receipt = store.commit(t).wait().unwrap();
    store.message(account, receipt.delivered[0].id).unwrap().unwrap()
}

fn facts() -> Facts {
    Facts::new(now())
}

fn content(store: &Store, message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    store.content(message).unwrap().read_to_end(&mut out).unwrap();
    out
}

fn gives_a_new_account_its_mailboxes(store: &Store) {
    let account = mox(store);
    let mailboxes = store.mailboxes(account).unwrap();
    let names: Vec<_> = mailboxes.iter().map(|m| (m.name.as_str(), m.role)).collect();
    assert_eq!(
        names,
        [
            ("Inbox", None),
            ("Archive", Some(Role::Archive)),
            ("Drafts", Some(Role::Drafts)),
            ("Junk", Some(Role::Junk)),
            ("Sent", Some(Role::Sent)),
            ("Trash", Some(Role::Trash)),
        ]
    );
    assert!(mailboxes.iter().all(|m| m.subscribed && m.uid_next.get() == 1));
    assert_eq!(mailboxes[0].uid_validity, 850_000_000);
    assert_eq!(mailboxes[5].uid_validity, 850_000_005);
    // Opening an account that exists does not create it again.
    assert_eq!(store.open_account("mox", INITIAL_MAILBOXES, now()).wait().unwrap(), account);
    let other = store.open_account("other", &[], now()).wait().unwrap();
    assert_ne!(other, account);
    assert_eq!(store.accounts().unwrap(), [("mox".to_owned(), account), ("other".to_owned(), other)]);
    assert_eq!(store.account("nobody").unwrap(), None);
}

fn numbers_and_counts_what_is_delivered(store: &Store) {
    let account = mox(store);
    let mut message = NewMessage::new(Facts { flags: Flags::SEEN, ..facts() });
    message.prefix = b"P: 1\r\n".to_vec();
    let first = deliver(store, account, "inbox", message, b"body");
    let second = deliver(store, account, "Inbox", NewMessage::new(facts()), b"more");
    assert_eq!((first.id.get(), first.uid.get(), first.created.get()), (1, 1, 2));
    assert_eq!((second.id.get(), second.uid.get(), second.created.get()), (2, 2, 3));
    assert_eq!(first.size(), 10);
    assert_eq!(content(store, &first), b"P: 1\r\nbody");
    assert_eq!(content(store, &second), b"more");
    let inbox = store.mailbox(account, "INBOX").unwrap().unwrap();
    assert_eq!(inbox.uid_next.get(), 3);
    assert_eq!((inbox.counts.messages, inbox.counts.unseen, inbox.counts.size), (2, 1, 14));
    assert_eq!(store.messages(account, inbox.id, None, 10).unwrap().len(), 2);
    let Row::Message(only) = &store.messages(account, inbox.id, Some(first.uid), 10).unwrap()[0] else {
        panic!()
    };
    assert_eq!(*only, second);
}

fn creates_missing_mailboxes_with_their_parents(store: &Store) {
    let account = mox(store);
    let message = deliver(store, account, "Lists/Rust/Users", NewMessage::new(facts()), b"x");
    let mailboxes = store.mailboxes(account).unwrap();
    let names: Vec<_> = mailboxes.iter().skip(6).map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["Lists", "Lists/Rust", "Lists/Rust/Users"]);
    assert_eq!(message.mailbox, mailboxes[8].id);
    let mut t = store.transaction(now());
    t.create_mailbox(account, "bad//name");
    assert_eq!(store.commit(t).wait().unwrap_err().kind(), ErrorKind::BadName);
}

fn shares_one_body_among_recipients(store: &Store) {
    let account = mox(store);
    let other = store.open_account("other", INITIAL_MAILBOXES, now()).wait().unwrap();
    let mut body = store.body_writer();
    body.write(b"shared").wait().unwrap();
    let body = body.finish();
    let mut t = store.transaction(now());
    t.deliver(account, "Inbox", NewMessage::new(facts()), &body);
    t.deliver(account, "Archive", NewMessage::new(facts()), &body);
    t.deliver(other, "Inbox", NewMessage::new(facts()), &body);
    let receipt = store.commit(t).wait().unwrap();
    let [a, b, c] = [0, 1, 2].map(|i| receipt.delivered[i]);
    assert_eq!((a.id.get(), b.id.get(), c.id.get()), (1, 2, 1));
    assert_eq!(a.mod_seq, b.mod_seq);
    for (account, id) in [(account, a.id), (account, b.id)] {
        let mut t = store.transaction(now());
        t.remove(account, id);
        let _ = store.commit(t).wait().unwrap();
        assert_eq!(store.message(account, id).unwrap(), None);
    }
    let last = store.message(other, c.id).unwrap().unwrap();
    assert_eq!(content(store, &last), b"shared");
    let mut t = store.transaction(now());
    t.remove(other, c.id);
    let _ = store.commit(t).wait().unwrap();
    assert_eq!(store.body(body.id()).unwrap_err().kind(), ErrorKind::NoBody);
}

fn changes_flags_and_counts(store: &Store) {
    let account = mox(store);
    let message = deliver(store, account, "Inbox", NewMessage::new(facts()), b"x");
    let mut t = store.transaction(now());
    let keywords = Some(vec!["$Label1".to_owned()]);
    t.change(account, message.id, Change { set: Flags::SEEN | Flags::JUNK, keywords, ..Change::default() });
    let _ = store.commit(t).wait().unwrap();
    let changed = store.message(account, message.id).unwrap().unwrap();
    assert_eq!(changed.facts.flags.names().collect::<Vec<_>>(), ["seen", "junk"]);
    assert!(changed.changed > message.changed && changed.created == message.created);
    let inbox = store.mailbox(account, "Inbox").unwrap().unwrap();
    assert_eq!((inbox.counts.messages, inbox.counts.unseen), (1, 0));
    assert_eq!(inbox.keywords, ["$Label1"]);
}

fn leaves_the_numbers_of_a_removed_message(store: &Store) {
    let account = mox(store);
    let message = deliver(store, account, "Inbox", NewMessage::new(facts()), b"x");
    let mut t = store.transaction(now());
    t.remove(account, message.id);
    let _ = store.commit(t).wait().unwrap();
    let inbox = store.mailbox(account, "Inbox").unwrap().unwrap();
    assert_eq!((inbox.counts.messages, inbox.counts.size, inbox.uid_next.get()), (0, 0, 2));
    let Row::Expunged(expunged) = &store.messages(account, inbox.id, None, 9).unwrap()[0] else { panic!() };
    assert_eq!((expunged.id, expunged.uid, expunged.created), (message.id, message.uid, message.created));
    assert!(expunged.changed > message.changed);
    let mut t = store.transaction(now());
    t.remove(account, message.id);
    assert_eq!(store.commit(t).wait().unwrap_err().kind(), ErrorKind::NoMessage);
}

fn sees_its_own_changes_within_a_transaction(store: &Store) {
    let (account, other) =
        (mox(store), store.open_account("other", INITIAL_MAILBOXES, now()).wait().unwrap());
    let mut body = store.body_writer();
    body.write(b"shared").wait().unwrap();
    let body = body.finish();
    let mut t = store.transaction(now());
    for to in [account, other] {
        t.deliver(to, "Inbox", NewMessage::new(facts()), &body);
    }
    let receipt = store.commit(t).wait().unwrap();
    let [mine, theirs] = [receipt.delivered[0].id, receipt.delivered[1].id];

    // Changed twice: the second change sees the first.
    let mut t = store.transaction(now());
    t.change(account, mine, Change { set: Flags::SEEN, ..Change::default() });
    t.change(account, mine, Change { set: Flags::FLAGGED, ..Change::default() });
    let _ = store.commit(t).wait().unwrap();
    let changed = store.message(account, mine).unwrap().unwrap();
    assert_eq!(changed.facts.flags, Flags::SEEN | Flags::FLAGGED);
    sound(store);

    // Removing a message twice is an error, and changes nothing.
    for again in [true, false] {
        let mut t = store.transaction(now());
        t.remove(account, mine);
        if again {
            t.remove(account, mine);
            assert_eq!(store.commit(t).wait().unwrap_err().kind(), ErrorKind::NoMessage);
            assert!(store.message(account, mine).unwrap().is_some());
        } else {
            let _ = store.commit(t).wait().unwrap();
        }
        let theirs = store.message(other, theirs).unwrap().unwrap();
        assert_eq!(content(store, &theirs), b"shared");
        sound(store);
    }
}

fn makes_several_accounts_at_once(store: &Store) {
    let mut t = store.transaction(now());
    for name in ["ann", "bob", "ann"] {
        t.create_account(name, INITIAL_MAILBOXES);
    }
    let accounts = store.commit(t).wait().unwrap().accounts;
    assert!(accounts[0] == accounts[2] && accounts[0] != accounts[1]);
    for (name, id) in [("ann", accounts[0]), ("bob", accounts[1])] {
        assert_eq!(store.account(name).unwrap(), Some(id));
    }
    assert!(!accounts.contains(&mox(store)));
}

fn finds_by_properties(store: &Store) {
    let account = mox(store);
    let mut facts = facts();
    facts.origin.remote_ip = Some("192.0.2.7".parse().unwrap());
    facts.origin.from_domain = "a.test".to_owned();
    facts.origin.dkim_domains = vec!["a.test".to_owned(), "b.test".to_owned()];
    facts.message_id = "1@a.test".to_owned();
    let message = deliver(store, account, "Inbox", NewMessage::new(facts.clone()), b"x");
    facts.received = now() + Duration::from_secs(5);
    facts.message_id = "2@a.test".to_owned();
    let later = deliver(store, account, "Inbox", NewMessage::new(facts), b"y");
    let from = Index::From { domain: "a.test", organization: "" };
    let find = |index: Index<'_>, since| store.find(account, &index, since, 10).unwrap();
    assert_eq!(find(from, now()), [later.id, message.id]);
    assert_eq!(find(from, now() + Duration::from_secs(1)), [later.id]);
    assert_eq!(find(Index::Dkim("b.test"), now()), [later.id, message.id]);
    assert_eq!(find(Index::Net("192.0.2.1".parse().unwrap()), now()), [later.id, message.id]);
    assert_eq!(find(Index::MessageId("1@a.test"), now()), [message.id]);
    assert_eq!(find(Index::Ip("192.0.2.1".parse().unwrap()), now()), []);
    let mut t = store.transaction(now());
    t.remove(account, message.id);
    let _ = store.commit(t).wait().unwrap();
    assert_eq!(find(from, now()), [later.id]);
    assert_eq!(find(Index::MessageId("1@a.test"), now()), []);
}

/// More messages share the rows of a network than are read at once.
fn finds_few_messages_among_many_of_a_network(store: &Store) {
    const MESSAGES: u32 = 2_500;
    let account = mox(store);
    let mut writer = store.body_writer();
    writer.write(b"x").wait().unwrap();
    let body = writer.finish();
    let address = |n: u32| IpAddr::from([192, 0, 2, if n.is_multiple_of(1_200) { 7 } else { 200 }]);
    let mut ids = Vec::new();
    for part in (0..MESSAGES).collect::<Vec<_>>().chunks(1_000) {
        let mut t = store.transaction(now());
        for n in part {
            let mut facts = facts();
            facts.received = now() + Duration::from_secs(u64::from(*n));
            facts.origin.remote_ip = Some(address(*n));
            t.deliver(account, "Inbox", NewMessage::new(facts), &body);
        }
        ids.extend(store.commit(t).wait().unwrap().delivered.into_iter().map(|delivered| delivered.id));
    }
    ids.reverse();
    let find = |index: Index<'_>, limit| store.find(account, &index, now(), limit).unwrap();
    let rare = [2_400, 1_200, 0].map(|n| ids[(MESSAGES - 1 - n) as usize]);
    for limit in [1, 2, 3, 10, 5_000] {
        assert_eq!(find(Index::Ip(address(0)), limit), rare[..limit.min(3)], "limit {limit}");
    }
    for limit in [1, 99, 100, 101, 1_000, 1_001, 2_499, 5_000] {
        let expected = &ids[..limit.min(MESSAGES as usize)];
        assert!(find(Index::WideNet(address(0)), limit) == expected, "limit {limit}");
    }
}

fn remembers_whom_the_account_has_sent_to(store: &Store) {
    let account = mox(store);
    let recipient = |localpart: &str, domain: &str| Recipient {
        localpart: localpart.to_owned(),
        domain: domain.to_owned(),
        org_domain: "a.test".to_owned(),
    };
    let (ann, bob) = (recipient("ann", "a.test"), recipient("bob", "mail.a.test"));
    let sent = Sent { time: now() - Duration::from_secs(100), recipients: vec![ann.clone(), bob.clone()] };
    let new = NewMessage { sent: Some(sent.clone()), ..NewMessage::new(facts()) };
    let message = deliver(store, account, "Sent", new.clone(), b"x");
    assert_eq!(message.sent, Some(sent.clone()));
    let find = |index: Index<'_>, since| store.find(account, &index, since, 10).unwrap();
    let domain = |domain| Index::SentToDomain { domain, organization: "a.test" };
    for index in [
        Index::SentTo(&ann),
        Index::SentTo(&bob),
        domain("a.test"),
        domain("mail.a.test"),
        Index::SentToOrganization("a.test"),
    ] {
        assert_eq!(find(index, sent.time), [message.id], "{index:?}");
        assert_eq!(find(index, now()), [], "{index:?} at a later time");
    }
    for index in [
        Index::SentTo(&recipient("bob", "a.test")),
        Index::SentTo(&recipient("an", "a.test")),
        domain("b.a.test"),
        Index::SentToOrganization("mail.a.test"),
    ] {
        assert_eq!(find(index, sent.time), [], "{index:?}");
    }
    // Only mail in a mailbox for sent mail counts: a sender does not become known by writing to us.
    let other = deliver(store, account, "Inbox", new, b"y");
    assert_eq!(other.sent, None);
    assert_eq!(find(Index::SentTo(&ann), sent.time), [message.id]);
    sound(store);
    let mut t = store.transaction(now());
    t.remove(account, message.id);
    let _ = store.commit(t).wait().unwrap();
    assert_eq!(find(Index::SentTo(&ann), sent.time), []);
    sound(store);
}

fn threads_by_references(store: &Store) {
    let account = mox(store);
    let start = deliver(
        store,
        account,
        "Inbox",
        NewMessage::new(Facts { message_id: "1@a.test".to_owned(), ..facts() }),
        b"x",
    );
    assert_eq!((start.thread.id, start.thread.missing_link), (start.id.get(), false));
    let mut reply = NewMessage::new(Facts { message_id: "2@b.test".to_owned(), ..facts() });
    reply.references = ["0@lost.test".to_owned(), "1@a.test".to_owned()].into();
    let reply = deliver(store, account, "Archive", reply, b"y");
    assert_eq!((reply.thread.id, &reply.thread.parents[..]), (start.id.get(), &[start.id][..]));
    let mut third = NewMessage::new(facts());
    third.references = ["2@b.test".to_owned()].into();
    let third = deliver(store, account, "Inbox", third, b"z");
    assert_eq!(third.thread.parents, [reply.id, start.id]);
    let mut lost = NewMessage::new(facts());
    lost.references = ["0@lost.test".to_owned()].into();
    assert!(deliver(store, account, "Inbox", lost, b"z").thread.missing_link);
}

fn keeps_quota_credentials_and_secrets(store: &Store) {
    let account = mox(store);
    let mut body = store.body_writer();
    body.write(&[b'x'; 100]).wait().unwrap();
    let body = body.finish();
    let mut t = store.transaction(now());
    t.deliver(account, "Inbox", NewMessage::new(facts()), &body);
    t.quota(account, 99);
    assert_eq!(store.commit(t).wait().unwrap_err().kind(), ErrorKind::OverQuota);
    assert_eq!(store.mailbox(account, "Inbox").unwrap().unwrap().uid_next.get(), 1);

    assert_eq!(store.credentials(account).unwrap(), None);
    let mut credentials = Credentials::default();
    credentials.plain = Some("$argon2id$x".to_owned());
    let mut t = store.transaction(now());
    t.set_credentials(account, Some(credentials.clone()));
    let _ = store.commit(t).wait().unwrap();
    assert_eq!(store.credentials(account).unwrap(), Some(credentials));

    assert_eq!(store.secret("receivedid", &[1; 16]).wait().unwrap(), [1; 16]);
    assert_eq!(store.secret("receivedid", &[2; 16]).wait().unwrap(), [1; 16]);
}

fn keeps_rows_for_others(store: &Store) {
    mox(store);
    let mut t = store.transaction(now());
    t.put(Table::QUEUE, b"1", b"one");
    t.put(Table::QUEUE, b"2", b"two");
    t.require(Table::QUEUE, b"1", None);
    let _ = store.commit(t).wait().unwrap();
    assert_eq!(store.get(Table::QUEUE, b"1").unwrap().as_deref(), Some(&b"one"[..]));
    let keys = |after: Option<&[u8]>| {
        let rows = store.scan(Table::QUEUE, b"", after, 9).unwrap();
        rows.into_iter().map(|(key, _)| key.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(keys(None), [b"1", b"2"]);
    assert_eq!(keys(Some(b"1")), [b"2"]);
    let mut t = store.transaction(now());
    t.require(Table::QUEUE, b"1", Some(b"other"));
    t.delete(Table::QUEUE, b"1");
    assert_eq!(store.commit(t).wait().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(keys(None), [b"1", b"2"]);
}

fn numbers_densely_under_parallel_deliveries(store: &Store) {
    const WRITERS: usize = 64;
    const EACH: usize = 20;
    let account = mox(store);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for i in 0..EACH {
                    let text = format!("{writer} {i}");
                    let message = deliver(store, account, "Inbox", NewMessage::new(facts()), text.as_bytes());
                    assert_eq!(content(store, &message), text.as_bytes());
                }
            });
        }
    });
    let inbox = store.mailbox(account, "Inbox").unwrap().unwrap();
    assert_eq!(inbox.counts.messages, (WRITERS * EACH) as u64);
    let mut uids = Vec::new();
    let mut after = None;
    loop {
        let rows = store.messages(account, inbox.id, after, 100).unwrap();
        uids.extend(rows.iter().map(|row| match row {
            Row::Message(message) => message.uid.get(),
            Row::Expunged(_) => panic!("nothing was removed"),
        }));
        if rows.len() < 100 {
            break;
        }
        after = uids.last().map(|uid| Uid::from_u32(*uid));
    }
    assert_eq!(uids, (1..=(WRITERS * EACH) as u32).collect::<Vec<_>>());
}

/// Rows of version 1 have no stamp. They are read, and the next write replaces them.
#[test]
fn rewrites_guards_of_version_1() {
    const ACCOUNT: &[u8] = &[3, 0, 0, 0, 1];
    const NEXT_ACCOUNT: &[u8] = &[12];
    let engine = Memory::new();
    let account = mox(&Store::on(engine.clone()));
    let mut batch = Batch::default();
    // Sequence 1, message 1, mailbox 7, UIDValidity 850,000,006, nothing stored, nothing submitted.
    batch.ops.put(ACCOUNT, &[1, 1, 1, 7, 0x86, 0xf1, 0xa7, 0x95, 3, 0, 0]);
    batch.ops.put(NEXT_ACCOUNT, &[0, 0, 0, 2]);
    engine.commit(batch).wait().unwrap();

    let store = Store::on(engine.clone());
    sound(&store);
    let message = deliver(&store, account, "Inbox", NewMessage::new(facts()), b"x");
    assert_eq!((message.id.get(), message.uid.get()), (1, 1));
    assert_eq!(engine.get(ACCOUNT).unwrap().unwrap()[0], 2);
    let other = store.open_account("other", INITIAL_MAILBOXES, now()).wait().unwrap();
    assert_eq!(other, AccountId::from_u32(2));
    assert_eq!(engine.get(NEXT_ACCOUNT).unwrap().unwrap().len(), 12);
    sound(&store);
}

/// A folder for one test, in memory if possible: syncs cost nothing there, and a killed process leaves the same files.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
