//! Limits on what an account sends in 24 hours.
//!
//! The store keeps a row for each recipient of each submission, written in the transaction that takes the message. What
//! the limits count is kept in memory, so that a submission reads no rows but those of its recipients. A submission takes
//! its places in memory before it commits, so concurrent ones cannot exceed the limits together.
//!
//! Memory and rows cannot drift apart: the account's owner row names the [`Ledger`] in memory, and every submission
//! requires it. A ledger whose submission failed, or was cancelled so that its outcome is unknown, is dropped. The next
//! one writes its own name before it reads the rows, so commits of the dropped one fail from then on. The same holds
//! between processes that share a store.

mod window;

pub(crate) use window::{Exceeded, OutgoingLimits};

use crate::Environment;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{AccountId, ErrorKind, Store, Table, Transaction};
use tokio::sync::OnceCell;
use window::{Sent, Window};

/// Accounts of which a ledger is kept in memory at most (our own limit: some KiB each).
const MAX_LEDGERS: usize = 4096;
/// Bytes of the name of a ledger: random, so that no two have the same.
const OWNER_BYTES: usize = 16;

/// The ledgers of all accounts that have sent something since the start.
pub(crate) struct Ledgers {
    store: Store,
    environment: Environment,
    open: Mutex<HashMap<AccountId, Arc<OnceCell<Ledger>>>>,
}

/// The recent submissions of one account, in memory.
#[derive(Debug)]
struct Ledger {
    /// Its name in the owner row.
    owner: [u8; OWNER_BYTES],
    window: Mutex<Window>,
}

/// A submission to count: its account, its recipients, and the account's limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sending<'a> {
    pub(crate) account: AccountId,
    /// Addresses with their domains in Unicode.
    pub(crate) recipients: &'a [String],
    pub(crate) limits: OutgoingLimits,
    pub(crate) now: SystemTime,
}

/// Why a submission has no places.
#[derive(Debug)]
pub(crate) enum NotReserved {
    Exceeded(Exceeded),
    Store(store::Error),
}

impl From<store::Error> for NotReserved {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// The places of a submission until its commit is known to have succeeded. Dropped before, it drops the ledger.
#[must_use = "the ledger is dropped unless the places are kept"]
pub(crate) struct Reservation<'a> {
    ledgers: &'a Ledgers,
    account: AccountId,
    ledger: Option<Arc<OnceCell<Ledger>>>,
}

impl Reservation<'_> {
    /// The commit has succeeded.
    pub(crate) fn keep(mut self) {
        self.ledger = None;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            self.ledgers.forget(self.account, &ledger);
        }
    }
}

/// The key of a sent message: account, time, number.
fn sent_key(account: AccountId, time: u64, number: u64) -> Vec<u8> {
    [&account_key(account)[..], &time.to_be_bytes(), &number.to_be_bytes()].concat()
}

/// The key of the time of the first message to a recipient.
fn recipient_key(account: AccountId, recipient: &str) -> Vec<u8> {
    [&account_key(account)[..], recipient.as_bytes()].concat()
}

fn account_key(account: AccountId) -> [u8; 4] {
    account.get().to_be_bytes()
}

/// The value of a sent message: is it the first to its recipient, and the recipient.
fn sent_value(sent: &Sent<'_>) -> Vec<u8> {
    [&[u8::from(sent.is_first)], sent.recipient.as_bytes()].concat()
}

/// Time and row of a sent message; none if they cannot be decoded.
fn decode<'a>(key: &[u8], value: &'a [u8]) -> Option<(u64, Sent<'a>)> {
    let (time, number) = key.get(4..)?.split_first_chunk::<8>()?;
    let (first, recipient) = value.split_first()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    let recipient = std::str::from_utf8(recipient).ok()?;
    Some((u64::from_be_bytes(*time), Sent { number, recipient, is_first: *first != 0 }))
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Ledgers {
    pub(crate) fn new(store: Store, environment: Environment) -> Self {
        Self { store, environment, open: Mutex::default() }
    }

    /// Adds the rows of a submission to `transaction`, and takes its places in memory until the [`Reservation`] is
    /// dropped. A commit that then fails with `Conflict` can be tried again with a new transaction.
    pub(crate) async fn reserve(
        &self,
        transaction: &mut Transaction,
        sending: Sending<'_>,
    ) -> Result<Reservation<'_>, NotReserved> {
        let Sending { account, recipients, limits, now } = sending;
        let cell = self.cell(account);
        let ledger = cell.get_or_try_init(|| self.load(account)).await?;
        let keys: Vec<_> = recipients.iter().map(|recipient| recipient_key(account, recipient)).collect();
        let known = self.store.get_many(Table::RECIPIENTS, &keys)?;
        let unknown: HashSet<&str> = recipients
            .iter()
            .zip(&known)
            .filter(|(_, row)| row.is_none())
            .map(|(to, _)| to.as_str())
            .collect();

        let now = millis(now);
        let (sent, removed) = {
            let mut window = ledger.window.lock();
            let sent = window.send(recipients, &unknown, limits, now).map_err(NotReserved::Exceeded)?;
            (sent, window.remove(recipients.len(), now))
        };
        transaction.require(Table::OUTGOING_OWNERS, &account_key(account), Some(&ledger.owner));
        for row in &sent {
            transaction.put(Table::OUTGOING, &sent_key(account, now, row.number), &sent_value(row));
            if row.is_first {
                transaction.put(
                    Table::RECIPIENTS,
                    &recipient_key(account, row.recipient),
                    &now.to_be_bytes(),
                );
            }
        }
        for (time, number) in removed {
            transaction.delete(Table::OUTGOING, &sent_key(account, time, number));
        }
        Ok(Reservation { ledgers: self, account, ledger: Some(cell) })
    }

    /// Makes a ledger the owner of its account, then reads the account's rows.
    async fn load(&self, account: AccountId) -> Result<Ledger, store::Error> {
        let (key, owner) = (account_key(account), self.environment.bytes::<OWNER_BYTES>());
        loop {
            let before = self.store.get(Table::OUTGOING_OWNERS, &key)?;
            let mut transaction = self.store.transaction((self.environment.now)());
            transaction.require(Table::OUTGOING_OWNERS, &key, before.as_deref());
            transaction.put(Table::OUTGOING_OWNERS, &key, &owner);
            match self.store.commit(transaction).await {
                Ok(_) => break,
                // Another process was quicker, and may have sent something before we replace it.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        let mut window = Window::default();
        let mut last = None;
        loop {
            let rows = self.store.scan(Table::OUTGOING, &key, last.as_deref(), store::MAX_PAGE)?;
            let Some((end, _)) = rows.last() else { break };
            last = Some(end.clone());
            for (key, value) in &rows {
                let Some((time, row)) = decode(key, value) else {
                    // It would stop the account from sending for ever, and tells at most of one message.
                    tracing::error!(account = account.get(), "a row of a sent message cannot be decoded");
                    continue;
                };
                window.load(time, &row);
            }
        }
        Ok(Ledger { owner, window: Mutex::new(window) })
    }

    fn cell(&self, account: AccountId) -> Arc<OnceCell<Ledger>> {
        let mut open = self.open.lock();
        if open.len() >= MAX_LEDGERS && !open.contains_key(&account) {
            // Submissions under way finish with the ledgers they have, until a new one replaces those.
            open.clear();
        }
        Arc::clone(open.entry(account).or_default())
    }

    /// Drops a ledger, unless another one has taken its place.
    fn forget(&self, account: AccountId, ledger: &Arc<OnceCell<Ledger>>) {
        let mut open = self.open.lock();
        if open.get(&account).is_some_and(|current| Arc::ptr_eq(current, ledger)) {
            open.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests;
