//! Transactions: any number of steps, which [`Store::commit`] does together.
//!
//! [`Store::commit`]: crate::Store::commit

use std::time::SystemTime;

use crate::{
    account::AccountId,
    credentials::Credentials,
    engine::{Body, BodyId, Precondition},
    mailbox::{MailboxId, Role},
    message::{Flags, MessageId, ModSeq, NewMessage, Training, Uid},
    store::Store,
    tables::Table,
};

/// Steps to be done together. [`Store::transaction`](crate::Store::transaction) makes one; nothing happens before its commit.
#[derive(Debug)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    pub(crate) store: Store,
    pub(crate) now: SystemTime,
    pub(crate) actions: Vec<Action>,
}

/// One step of a transaction.
#[derive(Debug)]
pub(crate) enum Action {
    CreateAccount { name: String, mailboxes: Vec<(String, Option<Role>)> },
    CreateMailbox { account: AccountId, name: String },
    Deliver(Box<Deliver>),
    Change { account: AccountId, message: MessageId, change: Change },
    Remove { account: AccountId, message: MessageId },
    Quota { account: AccountId, max_bytes: u64 },
    SetCredentials { account: AccountId, credentials: Option<Credentials> },
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    Require(Precondition),
    Link(Body),
    Unlink(BodyId),
}

#[derive(Debug)]
pub(crate) struct Deliver {
    pub(crate) account: AccountId,
    pub(crate) mailbox: String,
    pub(crate) message: NewMessage,
    pub(crate) prefix: Option<Body>,
    pub(crate) body: Body,
}

/// A change of a stored message. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Flags to set.
    pub set: Flags,
    /// Flags to clear; what is also in `set` stays set.
    pub clear: Flags,
    /// All keywords that the message has afterwards; `None` leaves them as they are.
    pub keywords: Option<Vec<String>>,
    /// How the junk filter has been trained with the message; `None` leaves it as it is.
    pub training: Option<Training>,
}

impl Transaction {
    /// The bodies that the transaction links to.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.actions.iter().filter_map(|action| match action {
            Action::Deliver(deliver) => Some(&deliver.body),
            Action::Link(body) => Some(body),
            _ => None,
        })
    }

    /// The accounts on whose rows the transaction is planned; one may come more than once.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = AccountId> {
        self.actions.iter().filter_map(|action| match action {
            Action::Deliver(deliver) => Some(deliver.account),
            Action::CreateMailbox { account, .. }
            | Action::Change { account, .. }
            | Action::Remove { account, .. }
            | Action::Quota { account, .. } => Some(*account),
            _ => None,
        })
    }

    /// How many things there are to look up and to do.
    pub(crate) fn steps(&self) -> usize {
        self.actions.len()
    }

    /// Adds an account with its first mailboxes. An account that exists stays as it is.
    pub fn create_account(&mut self, name: &str, mailboxes: &[crate::account::InitialMailbox<'_>]) {
        let mailboxes = mailboxes.iter().map(|m| (m.name.to_owned(), m.role)).collect();
        self.actions.push(Action::CreateAccount { name: name.to_owned(), mailboxes });
    }

    /// Adds a mailbox and its missing parents, all of them subscribed.
    pub fn create_mailbox(&mut self, account: AccountId, name: &str) {
        self.actions.push(Action::CreateMailbox { account, name: name.to_owned() });
    }

    /// Delivers a message; a missing mailbox is created. [`Receipt::delivered`] has the message's numbers, in the order
    /// of these calls.
    ///
    /// The same body can be delivered any number of times; it is stored once.
    pub fn deliver(&mut self, account: AccountId, mailbox: &str, mut message: NewMessage, body: &Body) {
        let prefix = std::mem::take(&mut message.prefix);
        let prefix = (!prefix.is_empty()).then(|| self.store.body_of(prefix));
        let mailbox = mailbox.to_owned();
        self.actions.push(Action::Deliver(Box::new(Deliver {
            account,
            mailbox,
            message,
            prefix,
            body: body.clone(),
        })));
    }

    /// Changes flags, keywords or training of a message.
    pub fn change(&mut self, account: AccountId, message: MessageId, change: Change) {
        self.actions.push(Action::Change { account, message, change });
    }

    /// Removes a message permanently.
    pub fn remove(&mut self, account: AccountId, message: MessageId) {
        self.actions.push(Action::Remove { account, message });
    }

    /// Fails the commit with `OverQuota` if the account's messages would then have more than `max_bytes`.
    pub fn quota(&mut self, account: AccountId, max_bytes: u64) {
        self.actions.push(Action::Quota { account, max_bytes });
    }

    /// Replaces the account's credentials; with `None`, no login succeeds.
    pub fn set_credentials(&mut self, account: AccountId, credentials: Option<Credentials>) {
        self.actions.push(Action::SetCredentials { account, credentials });
    }

    /// Sets a row of a table.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.actions.push(Action::Put { key: table.key(key), value: value.to_vec() });
    }

    /// Removes a row of a table.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.actions.push(Action::Delete { key: table.key(key) });
    }

    /// Fails the commit with `Conflict` unless the row has this value or, for `None`, does not exist.
    ///
    /// If the row guards others, each write must give it a value that it never had before: see the rules of
    /// [`engine`](crate::engine).
    pub fn require(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let key = table.key(key);
        self.actions.push(Action::Require(match value {
            Some(value) => Precondition::Equals(key, value.to_vec()),
            None => Precondition::Absent(key),
        }));
    }

    /// Keeps a body for a row that names it, such as a queue record, until [`Transaction::unlink`].
    pub fn link(&mut self, body: &Body) {
        self.actions.push(Action::Link(body.clone()));
    }

    /// Undoes one [`Transaction::link`].
    pub fn unlink(&mut self, body: BodyId) {
        self.actions.push(Action::Unlink(body));
    }
}

/// The numbers that a committed transaction has given out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Accounts of [`Transaction::create_account`], in the order of the calls.
    pub accounts: Vec<AccountId>,
    /// Messages of [`Transaction::deliver`], in the order of the calls.
    pub delivered: Vec<Delivered>,
}

/// The place and the numbers of a delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Whose message it is.
    pub account: AccountId,
    /// Where it was delivered: the caller named it, perhaps before it existed.
    pub mailbox: MailboxId,
    /// Permanent number within the account.
    pub id: MessageId,
    /// UID within the mailbox.
    pub uid: Uid,
    /// Modification sequence of the delivery.
    pub mod_seq: ModSeq,
}
