//! Random transactions against a map that knows their outcome. Afterwards the store's own check finds nothing, and the
//! store has the same contents when it is opened again.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{
    collections::BTreeMap,
    io::Read,
    time::{Duration, SystemTime},
};

use moxd_store::{
    AccountId, Change, ErrorKind, Facts, Flags, INITIAL_MAILBOXES, MessageId, NewMessage, Options, Row, Store,
};
use proptest::{collection::vec, prelude::*};

const ACCOUNTS: usize = 2;
const MAILBOXES: [&str; 3] = ["Inbox", "Archive", "Lists/rust"];

/// One step of a transaction. A number names a message by its place among all that were ever delivered.
#[derive(Clone, Debug)]
enum Action {
    /// Delivers one body to each of these accounts and mailboxes.
    Deliver(Vec<(usize, usize)>, usize),
    Flag(usize, u8),
    Remove(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (vec((0..ACCOUNTS, 0..MAILBOXES.len()), 1..4), prop_oneof![0..200usize, Just(70_000)])
            .prop_map(|(to, size)| Action::Deliver(to, size)),
        2 => (0..8usize, any::<u8>()).prop_map(|(message, flags)| Action::Flag(message, flags)),
        2 => (0..8usize).prop_map(Action::Remove),
    ]
}

/// A message as it should be.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    mailbox: &'static str,
    flags: Flags,
    content: Vec<u8>,
}

#[derive(Clone, Default)]
struct Model {
    kept: BTreeMap<(usize, u64), Kept>,
    /// Every message that was delivered, by account and number.
    delivered: Vec<(usize, u64)>,
    numbers: [u64; ACCOUNTS],
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn flags(bits: u8) -> Flags {
    let all = [Flags::SEEN, Flags::FLAGGED, Flags::DELETED, Flags::JUNK];
    let chosen = all.into_iter().enumerate().filter(|(i, _)| bits & 1 << i != 0);
    chosen.fold(Flags::default(), |flags, (_, flag)| flags | flag)
}

/// Runs a transaction in the store and in the model; they agree on whether it succeeds.
fn transact(store: &Store, accounts: &[AccountId], model: &mut Model, actions: &[Action]) {
    let mut next = model.clone();
    let mut transaction = store.transaction(now());
    let mut refused = false;
    for action in actions {
        match action {
            Action::Deliver(to, size) => {
                let content = vec![b'x'; *size];
                let mut body = store.body_writer();
                body.write(&content).wait().unwrap();
                let body = body.finish();
                for (account, mailbox) in to {
                    let mailbox = MAILBOXES[*mailbox];
                    let message = NewMessage::new(Facts::new(now()));
                    transaction.deliver(accounts[*account], mailbox, message, &body);
                    next.numbers[*account] += 1;
                    let key = (*account, next.numbers[*account]);
                    next.delivered.push(key);
                    next.kept
                        .insert(key, Kept { mailbox, flags: Flags::default(), content: content.clone() });
                }
            }
            // Only messages of earlier transactions can be named.
            Action::Flag(message, bits) => {
                let Some(&(account, id)) = model.delivered.get(*message) else { continue };
                let change = Change { set: flags(*bits), clear: flags(!bits), ..Change::default() };
                transaction.change(accounts[account], MessageId::from_u64(id), change);
                match next.kept.get_mut(&(account, id)) {
                    Some(kept) => kept.flags = flags(*bits),
                    None => refused = true,
                }
            }
            Action::Remove(message) => {
                let Some(&(account, id)) = model.delivered.get(*message) else { continue };
                transaction.remove(accounts[account], MessageId::from_u64(id));
                refused |= next.kept.remove(&(account, id)).is_none();
            }
        }
    }
    match store.commit(transaction).wait() {
        Ok(_) => {
            assert!(!refused, "done, though a message is not there: {actions:?}");
            *model = next;
        }
        Err(error) => {
            assert_eq!((refused, error.kind()), (true, ErrorKind::NoMessage), "{actions:?}");
        }
    }
}

/// All that the store has.
fn contents(store: &Store, accounts: &[AccountId]) -> BTreeMap<(usize, u64), Kept> {
    let mut all = BTreeMap::new();
    for (i, account) in accounts.iter().enumerate() {
        for name in MAILBOXES {
            let Some(mailbox) = store.mailbox(*account, name).unwrap() else { continue };
            for row in store.messages(*account, mailbox.id, None, 1000).unwrap() {
                let Row::Message(message) = row else { continue };
                let mut content = Vec::new();
                store.content(&message).unwrap().read_to_end(&mut content).unwrap();
                all.insert(
                    (i, message.id.get()),
                    Kept { mailbox: name, flags: message.facts.flags, content },
                );
            }
        }
    }
    all
}

#[track_caller]
fn agrees(store: &Store, accounts: &[AccountId], model: &Model) {
    assert_eq!(contents(store, accounts), model.kept);
    let findings = store.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

fn transactions() -> impl Strategy<Value = Vec<Vec<Action>>> {
    vec(vec(action(), 1..6), 1..12)
}

fn play(store: &Store, transactions: &[Vec<Action>]) -> (Vec<AccountId>, Model) {
    let open = |name| store.open_account(name, INITIAL_MAILBOXES, now()).wait().unwrap();
    let accounts: Vec<_> = ["ann", "bob"].map(open).to_vec();
    let mut model = Model::default();
    for actions in transactions {
        transact(store, &accounts, &mut model, actions);
    }
    agrees(store, &accounts, &model);
    (accounts, model)
}

proptest! {
    #[test]
    fn transactions_come_to_what_they_say(transactions in transactions()) {
        play(&Store::memory(), &transactions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn they_are_there_after_compaction_and_when_opened_again(transactions in transactions()) {
        // In memory where that can be: syncs cost nothing there.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let options = || Options { reserve: 0, ..Options::default() };
        let open = || Store::open(folder.path(), options()).unwrap();
        let store = open();
        let (accounts, model) = play(&store, &transactions);
        store.compact(true).unwrap();
        agrees(&store, &accounts, &model);
        store.close();
        drop(store);
        agrees(&open(), &accounts, &model);
    }
}
