//! The rows that every delivery touches, kept in memory as of the last batch handed to the engine.
//!
//! Waiting for the disk before the next message may take its UID would limit a mailbox to one message a sync. So
//! numbers are given out ahead of durability: a batch is planned on the rows that the batch before it will leave,
//! and says so in its precondition. When a batch fails, those planned on it conflict, and are planned again. The stamp
//! in the account's row makes sure of that: no other batch leaves an equal row.

use std::collections::{BTreeMap, HashMap};

use crate::{
    account::{AccountId, AccountRow},
    engine::{Direction, Engine, KeyRange, ReadRows},
    error::{Error, ErrorKind, Result},
    mailbox::{Mailbox, MailboxId},
    tables::{self, Key},
};

/// Accounts whose rows are kept in memory at most (our own limit: some KiB each).
const MAX_ACCOUNTS: usize = 4096;
/// Rows that are read from the engine at a time.
const PAGE: usize = 512;

/// The rows in memory.
#[derive(Debug, Default)]
pub(super) struct Rows {
    accounts: HashMap<AccountId, Account>,
    generation: u64,
}

/// One account's rows.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Which reading from the engine this goes back to.
    pub(super) generation: u64,
    pub(super) row: AccountRow,
    /// The row as the engine will have it, for the precondition.
    pub(super) raw: Vec<u8>,
    pub(super) mailboxes: BTreeMap<MailboxId, Mailbox>,
    pub(super) names: HashMap<String, MailboxId>,
}

/// The guard of an account as it is in memory.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) account: AccountId,
    pub(super) generation: u64,
    pub(super) raw: Vec<u8>,
}

impl Rows {
    pub(super) fn get(&mut self, id: AccountId) -> Option<&mut Account> {
        self.accounts.get_mut(&id)
    }

    /// What is in memory of these accounts.
    pub(super) fn of(&self, accounts: impl Iterator<Item = AccountId>) -> Vec<Known> {
        let known = |account| {
            let Account { generation, raw, .. } = self.accounts.get(&account)?;
            Some(Known { account, generation: *generation, raw: raw.clone() })
        };
        accounts.filter_map(known).collect()
    }

    /// Takes rows that were just read from the engine, unless there are some already.
    pub(super) fn insert(&mut self, id: AccountId, mut account: Account) {
        if self.accounts.len() >= MAX_ACCOUNTS && !self.accounts.contains_key(&id) {
            // What is thrown away is read again when needed. That may miss batches under way: a plan on such rows
            // conflicts, for its stamp is none of theirs, and is made again.
            self.accounts.clear();
        }
        self.generation += 1;
        account.generation = self.generation;
        self.accounts.entry(id).or_insert(account);
    }

    /// Forgets rows of which a batch failed, unless they were read anew since.
    pub(super) fn forget(&mut self, id: AccountId, generation: u64) {
        if self.accounts.get(&id).is_some_and(|a| a.generation == generation) {
            self.accounts.remove(&id);
        }
    }
}

impl Account {
    /// Reads an account's rows.
    ///
    /// Others may commit in between. The row that guards the rest is read first, so that a plan on rows of different
    /// moments conflicts.
    pub(super) fn load(engine: &dyn Engine, id: AccountId) -> Result<Account> {
        let key = Key::of(tables::ACCOUNTS, id).done();
        let raw = engine
            .get(&key)?
            .ok_or_else(|| Error::new(ErrorKind::NoAccount, format!("no account {}", id.get())))?;
        let row = AccountRow::decode(&raw)
            .ok_or_else(|| Error::new(ErrorKind::Damaged, format!("row of account {}", id.get())))?;
        let mailboxes = mailboxes(engine, id)?;
        let names = mailboxes.iter().map(|m| (m.name.clone(), m.id)).collect();
        Ok(Account {
            generation: 0,
            row,
            raw: raw.to_vec(),
            mailboxes: mailboxes.into_iter().map(|m| (m.id, m)).collect(),
            names,
        })
    }
}

/// All mailboxes of an account, by number.
pub(super) fn mailboxes<R: ReadRows + ?Sized>(rows: &R, id: AccountId) -> Result<Vec<Mailbox>> {
    let mut mailboxes = Vec::new();
    let prefix = Key::of(tables::MAILBOXES, id).done();
    each(rows, &KeyRange::prefix(&prefix), |key, value| {
        let number: [u8; 4] = key.get(prefix.len()..)?.try_into().ok()?;
        mailboxes.push(Mailbox::decode(MailboxId::from_u32(u32::from_be_bytes(number)), value)?);
        Some(())
    })?;
    Ok(mailboxes)
}

/// Calls `row` with each row of a range, a page at a time; `None` from it means that the row cannot be decoded.
pub(super) fn each<R: ReadRows + ?Sized>(
    rows: &R,
    range: &KeyRange,
    mut row: impl FnMut(&[u8], &[u8]) -> Option<()>,
) -> Result<()> {
    let mut range = range.clone();
    loop {
        let page = rows.range(&range, Direction::Forward, PAGE)?;
        for (key, value) in &page.rows {
            row(key, value).ok_or_else(|| Error::new(ErrorKind::Damaged, tables::row_name(key)))?;
        }
        match page.rows.last() {
            // The first key behind one is that one with a zero octet more.
            Some((last, _)) if page.more => range.start = [last, &[0u8][..]].concat(),
            _ => return Ok(()),
        }
    }
}

/// The number of the account of this name.
pub(super) fn account(engine: &dyn Engine, name: &str) -> Result<Option<AccountId>> {
    match engine.get(&tables::named(tables::ACCOUNT_NAMES, name))? {
        None => Ok(None),
        Some(raw) => number(&raw)
            .map(|n| Some(AccountId::from_u32(n)))
            .ok_or_else(|| Error::new(ErrorKind::Damaged, format!("account {name:?}"))),
    }
}

/// All accounts by name.
pub(super) fn accounts<R: ReadRows + ?Sized>(rows: &R) -> Result<Vec<(String, AccountId)>> {
    let mut accounts = Vec::new();
    each(rows, &KeyRange::prefix(&[tables::ACCOUNT_NAMES]), |key, value| {
        let name = String::from_utf8(key.get(1..)?.to_vec()).ok()?;
        accounts.push((name, AccountId::from_u32(number(value)?)));
        Some(())
    })?;
    Ok(accounts)
}

/// A number of four octets.
fn number(raw: &[u8]) -> Option<u32> {
    raw.try_into().ok().map(u32::from_be_bytes)
}
