//! A cache of the rows that every delivery changes, as of the last batch that the engine was given.
//!
//! If the next message had to wait for the disk before it got its UID, a mailbox could take one message a sync. So numbers
//! are given out ahead of durability: a batch is planned on the rows that the batch before it will leave, and requires
//! them. When a batch fails, those planned on it conflict, and are planned again. The stamp in the account's row makes
//! sure of that: no other batch leaves an equal row.

use std::collections::{BTreeMap, HashMap};

use bounded_cache::BoundedCache;

use crate::{
    account::{AccountId, AccountRow},
    engine::{Direction, Engine, KeyRange, ReadRows},
    error::{Error, ErrorKind, Result},
    mailbox::{Mailbox, MailboxId},
    tables::{self, Key},
};

/// The most accounts in the cache (our own limit: some KiB each).
const MAX_ACCOUNTS: usize = 4096;
/// Rows that are read from the engine at a time.
const PAGE: usize = 512;

/// The cache.
#[derive(Debug)]
pub(super) struct CachedRows {
    /// Evicted rows are read again when needed. That may miss batches under way: a plan on such rows conflicts, because its
    /// stamp is none of theirs, and is made again.
    accounts: BoundedCache<AccountId, CachedAccount>,
    generation: u64,
}

impl Default for CachedRows {
    fn default() -> CachedRows {
        CachedRows { accounts: BoundedCache::new(MAX_ACCOUNTS), generation: 0 }
    }
}

/// One account's rows.
#[derive(Clone, Debug)]
pub(super) struct CachedAccount {
    /// Counts readings from the engine: which of them these rows go back to.
    pub(super) generation: u64,
    pub(super) row: AccountRow,
    /// The account's row as the engine will have it, for the precondition.
    pub(super) raw: Vec<u8>,
    pub(super) mailboxes: BTreeMap<MailboxId, Mailbox>,
    pub(super) names: HashMap<String, MailboxId>,
}

/// The row that guards an account, as it is in the cache.
#[derive(Debug)]
pub(super) struct CachedGuard {
    pub(super) account: AccountId,
    pub(super) generation: u64,
    pub(super) raw: Vec<u8>,
}

impl CachedRows {
    pub(super) fn get(&mut self, id: AccountId) -> Option<&mut CachedAccount> {
        self.accounts.get(&id)
    }

    /// The guards of those of these accounts that are in the cache.
    pub(super) fn of(&self, accounts: impl Iterator<Item = AccountId>) -> Vec<CachedGuard> {
        let known = |account| {
            let CachedAccount { generation, raw, .. } = self.accounts.peek(&account)?;
            Some(CachedGuard { account, generation: *generation, raw: raw.clone() })
        };
        accounts.filter_map(known).collect()
    }

    /// Adds rows that were just read from the engine. If there are some already, those stay.
    pub(super) fn insert(&mut self, id: AccountId, mut account: CachedAccount) {
        self.generation += 1;
        account.generation = self.generation;
        self.accounts.get_or_insert_with(&id, || account);
    }

    /// Forgets the rows of a failed batch, unless they have been read again since.
    pub(super) fn forget(&mut self, id: AccountId, generation: u64) {
        if self.accounts.peek(&id).is_some_and(|a| a.generation == generation) {
            self.accounts.remove(&id);
        }
    }
}

impl CachedAccount {
    /// Reads an account's rows.
    ///
    /// Other transactions may commit in between. The row that guards the rest is read first, so that a plan on rows of
    /// different moments conflicts.
    pub(super) fn load(engine: &dyn Engine, id: AccountId) -> Result<CachedAccount> {
        let key = Key::of(tables::ACCOUNTS, id).done();
        let raw = engine
            .get(&key)?
            .ok_or_else(|| Error::new(ErrorKind::NoAccount, format!("no account {}", id.get())))?;
        let row = AccountRow::decode(&raw)
            .ok_or_else(|| Error::new(ErrorKind::Damaged, format!("row of account {}", id.get())))?;
        let mailboxes = mailboxes(engine, id)?;
        let names = mailboxes.iter().map(|m| (m.name.clone(), m.id)).collect();
        Ok(CachedAccount {
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

/// Calls `row` for each row of a range, reading a page at a time. If it returns `None`, the row cannot be decoded, and
/// this fails with `Damaged`.
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
            // The next possible key is this one with a zero byte behind it.
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

/// A number of four bytes.
fn number(raw: &[u8]) -> Option<u32> {
    raw.try_into().ok().map(u32::from_be_bytes)
}
