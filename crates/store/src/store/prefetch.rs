//! Reads all that a transaction needs before it can be planned, outside the lock on the cached rows.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::{
    Store,
    found_by::indexed_message,
    rows::{self, CachedAccount},
};
use crate::{
    account::{AccountId, decode_next_account},
    engine::{Direction, Engine, KeyRange, ReadRows},
    error::{Error, ErrorKind, Result},
    message::{self, Message, MessageId, Row, Thread, Uid},
    tables::{self, Index, Key},
    transaction::{Action, Deliver, Transaction},
};

/// The most ancestors that a message's record keeps (our own limit; records are of bounded size).
const MAX_PARENTS: usize = 100;
/// The most references of a message that are looked up, nearest first (our own limit).
const MAX_REFERENCES: usize = 10;
/// The most references that are looked up for one transaction, but at least one for each account (our own limit). The
/// sender of a message chooses how many references it has and to how many accounts it goes.
const MAX_LOOKUPS: usize = 1000;

/// All that was read.
#[derive(Default)]
pub(super) struct Prefetched {
    /// Rows of messages that are to be changed.
    pub(super) messages: HashMap<(AccountId, MessageId), Stored>,
    /// The thread of each delivery, by its place among the actions. A delivery that is missing here begins a thread.
    pub(super) threads: HashMap<usize, Thread>,
    /// The account of each creation, by its place among the actions.
    pub(super) accounts: HashMap<usize, Creation>,
}

/// A message with its row as stored.
pub(super) struct Stored {
    pub(super) key: Vec<u8>,
    pub(super) raw: Vec<u8>,
    pub(super) message: Message,
}

/// The state of the store before an account is created.
pub(super) enum Creation {
    /// The account exists.
    Exists(AccountId),
    /// It does not exist. `counter` is the row that `first`, the next number, comes from.
    New { first: AccountId, counter: Option<Vec<u8>> },
}

impl Prefetched {
    pub(super) fn read(store: &Store, transaction: &Transaction) -> Result<Prefetched> {
        let engine = store.engine();
        let mut read = Prefetched::default();
        let mut threads = Threads::new(engine, transaction);
        for (i, action) in transaction.actions.iter().enumerate() {
            match action {
                Action::Deliver(deliver) => {
                    ensure_rows(store, deliver.account)?;
                    if let Some(thread) = threads.find(deliver)? {
                        read.threads.insert(i, thread);
                    }
                }
                Action::CreateMailbox { account, .. }
                | Action::Quota { account, .. }
                | Action::SetCredentials { account, .. } => ensure_rows(store, *account)?,
                Action::Change { account, message, .. } | Action::Remove { account, message } => {
                    ensure_rows(store, *account)?;
                    let stored = find(engine, *account, *message)?.ok_or_else(|| {
                        Error::new(ErrorKind::NoMessage, format!("no message {}", message.get()))
                    })?;
                    read.messages.insert((*account, *message), stored);
                }
                Action::CreateAccount { name, .. } => {
                    read.accounts.insert(i, creation(engine, name)?);
                }
                Action::Put { .. }
                | Action::Delete { .. }
                | Action::Require(_)
                | Action::Link(_)
                | Action::Unlink(_) => {}
            }
        }
        Ok(read)
    }
}

/// Makes sure that an account's rows are in the cache.
fn ensure_rows(store: &Store, account: AccountId) -> Result<()> {
    if store.rows().get(account).is_some() {
        return Ok(());
    }
    let loaded = CachedAccount::load(store.engine(), account)?;
    store.rows().insert(account, loaded);
    Ok(())
}

/// Finds a message by its number.
pub(super) fn find<R: ReadRows + ?Sized>(
    rows: &R,
    account: AccountId,
    id: MessageId,
) -> Result<Option<Stored>> {
    let damaged = || Error::new(ErrorKind::Damaged, format!("row of message {}", id.get()));
    let Some(place) = rows.get(&Key::of(tables::MESSAGE_IDS, account).message(id).done())? else {
        return Ok(None);
    };
    let (mailbox, uid) = place.split_first_chunk::<4>().ok_or_else(damaged)?;
    let mailbox = crate::mailbox::MailboxId::from_u32(u32::from_be_bytes(*mailbox));
    let uid = Uid::from_u32(u32::from_be_bytes(uid.try_into().map_err(|_| damaged())?));
    let key = Key::of(tables::MESSAGES, account).mailbox(mailbox).uid(uid).done();
    let Some(raw) = rows.get(&key)? else { return Ok(None) };
    match message::decode(mailbox, uid, &raw).ok_or_else(damaged)? {
        Row::Message(message) if message.id == id => Ok(Some(Stored { key, raw: raw.to_vec(), message })),
        _ => Ok(None),
    }
}

/// Finds the threads of deliveries. Copies of a message share their references, so each is looked up once per account.
struct Threads<'a> {
    engine: &'a dyn Engine,
    /// How many references of each message are looked up.
    most: usize,
    known: HashMap<(AccountId, &'a str), Option<Thread>>,
}

impl<'a> Threads<'a> {
    fn new(engine: &'a dyn Engine, transaction: &Transaction) -> Threads<'a> {
        let answering = transaction.actions.iter().filter_map(|action| match action {
            Action::Deliver(deliver) if !deliver.message.references.is_empty() => Some(deliver.account),
            _ => None,
        });
        let accounts = answering.collect::<HashSet<_>>().len().max(1);
        Threads { engine, most: (MAX_LOOKUPS / accounts).clamp(1, MAX_REFERENCES), known: HashMap::new() }
    }

    /// The thread of a delivery: that of the nearest ancestor that the account has.
    fn find(&mut self, deliver: &'a Deliver) -> Result<Option<Thread>> {
        for reference in deliver.message.references.iter().rev().take(self.most) {
            let thread = match self.known.entry((deliver.account, reference.as_str())) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(answer_to(self.engine, deliver.account, reference)?),
            };
            if thread.is_some() {
                return Ok(thread.clone());
            }
        }
        Ok(None)
    }
}

/// The thread of an answer to the message with this Message-ID, if the account has that message.
fn answer_to(engine: &dyn Engine, account: AccountId, reference: &str) -> Result<Option<Thread>> {
    let range = KeyRange::prefix(&Index::MessageId(reference).prefix(account));
    let page = engine.range(&range, Direction::Backward, 1)?;
    let Some(id) = page.rows.first().and_then(|(key, _)| indexed_message(key)) else { return Ok(None) };
    let Some(parent) = find(engine, account, id)? else { return Ok(None) };
    let thread = parent.message.thread;
    let mut parents = vec![id];
    parents.extend(thread.parents.into_iter().take(MAX_PARENTS - 1));
    Ok(Some(Thread {
        id: thread.id,
        parents,
        missing_link: false,
        muted: thread.muted,
        collapsed: thread.collapsed,
    }))
}

fn creation(engine: &dyn Engine, name: &str) -> Result<Creation> {
    if let Some(id) = rows::account(engine, name)? {
        return Ok(Creation::Exists(id));
    }
    let counter = engine.get(tables::NEXT_ACCOUNT)?.map(|raw| raw.to_vec());
    let first = match counter.as_deref() {
        None => AccountId::from_u32(1),
        Some(raw) => {
            decode_next_account(raw).ok_or_else(|| Error::new(ErrorKind::Damaged, "account counter"))?
        }
    };
    Ok(Creation::New { first, counter })
}
