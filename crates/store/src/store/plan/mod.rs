//! Turns a transaction into a batch. Pure: works on cached rows and on what was read beforehand.

use std::collections::BTreeMap;

use super::{
    prefetch::{Creation, Prefetched},
    rows::{CachedAccount, CachedRows},
};
use crate::{
    account::{AccountId, AccountRow, encode_next_account},
    engine::{Batch, Body, Precondition},
    error::{Error, ErrorKind, Result},
    mailbox::{Counts, Mailbox, MailboxId, Role, mailbox_name, parents},
    message::{Message, MessageId, ModSeq, Uid},
    tables::{self, Key, millis},
    transaction::{Action, Receipt, Transaction},
};

mod messages;

/// A planned transaction.
pub(super) struct Plan {
    pub(super) batch: Batch,
    pub(super) receipt: Receipt,
    /// The accounts whose cached rows it is based on, with their generations.
    pub(super) based_on: Vec<(AccountId, u64)>,
    /// Which preconditions the caller has asked for.
    callers: Vec<usize>,
}

impl Plan {
    /// Plans `transaction`, and leaves the rows in `rows` as they will be after it. `None` if rows that it needs are no
    /// longer in the cache.
    ///
    /// `stamp` goes into the rows that guard others; each plan takes a new one.
    pub(super) fn make(
        transaction: &Transaction,
        read: &Prefetched,
        rows: &mut CachedRows,
        stamp: u64,
    ) -> Result<Option<Plan>> {
        let mut planner = Planner {
            now: millis(transaction.now),
            stamp,
            rows,
            read,
            drafts: BTreeMap::new(),
            messages: BTreeMap::new(),
            created: BTreeMap::new(),
            plan: Plan {
                batch: Batch::default(),
                receipt: Receipt::default(),
                based_on: Vec::new(),
                callers: Vec::new(),
            },
        };
        for (i, action) in transaction.actions.iter().enumerate() {
            match planner.action(i, action) {
                Ok(()) => {}
                Err(Stop::Gone) => return Ok(None),
                Err(Stop::Error(e)) => return Err(e),
            }
        }
        Ok(Some(planner.finish()))
    }

    /// Whether the caller asked for precondition `i`.
    pub(super) fn is_callers(&self, i: usize) -> bool {
        self.callers.contains(&i)
    }
}

/// Why planning ends early.
enum Stop {
    /// Rows are no longer in the cache and must be read again.
    Gone,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Error(e)
    }
}

fn refuse<T>(kind: ErrorKind, text: impl Into<String>) -> std::result::Result<T, Stop> {
    Err(Stop::Error(Error::new(kind, text)))
}

type Step = std::result::Result<(), Stop>;

/// An account as the transaction leaves it.
struct Draft {
    row: AccountRow,
    /// The mailboxes that change.
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    mod_seq: Option<ModSeq>,
}

impl Draft {
    /// The transaction's modification sequence: all its changes share one.
    fn mod_seq(&mut self) -> ModSeq {
        *self.mod_seq.get_or_insert_with(|| {
            self.row.mod_seq += 1;
            ModSeq::from_u64(self.row.mod_seq)
        })
    }
}

struct Planner<'a> {
    now: u64,
    stamp: u64,
    rows: &'a mut CachedRows,
    read: &'a Prefetched,
    drafts: BTreeMap<AccountId, Draft>,
    /// Messages as the transaction leaves them so far; `None` for those it removes.
    messages: BTreeMap<(AccountId, MessageId), Option<Message>>,
    /// Accounts that the transaction creates.
    created: BTreeMap<String, AccountId>,
    plan: Plan,
}

impl Planner<'_> {
    fn action(&mut self, i: usize, action: &Action) -> Step {
        match action {
            Action::CreateAccount { name, mailboxes } => self.create_account(i, name, mailboxes),
            Action::CreateMailbox { account, name } => {
                self.mailbox(*account, name)?;
                Ok(())
            }
            Action::Deliver(deliver) => self.deliver(i, deliver),
            Action::Change { account, message, change } => self.change(*account, *message, change),
            Action::Remove { account, message } => self.remove(*account, *message),
            Action::Quota { account, max_bytes } => self.quota(*account, *max_bytes),
            Action::SetCredentials { account, credentials } => {
                // The account's row is not touched: a password does not change what clients see.
                let key = Key::of(tables::CREDENTIALS, *account).done();
                match credentials {
                    Some(credentials) => self.plan.batch.ops.put(&key, &credentials.encode()),
                    None => self.plan.batch.ops.delete(&key),
                }
                Ok(())
            }
            Action::Put { key, value } => {
                self.plan.batch.ops.put(key, value);
                Ok(())
            }
            Action::Delete { key } => {
                self.plan.batch.ops.delete(key);
                Ok(())
            }
            Action::Require(precondition) => {
                self.plan.callers.push(self.plan.batch.preconditions.len());
                self.plan.batch.preconditions.push(precondition.clone());
                Ok(())
            }
            Action::Link(body) => {
                self.link(body);
                Ok(())
            }
            Action::Unlink(body) => {
                self.plan.batch.ops.unlink(*body);
                Ok(())
            }
        }
    }

    /// The account as this transaction leaves it so far, and the cached one.
    fn draft(&mut self, id: AccountId) -> std::result::Result<(&mut Draft, &mut CachedAccount), Stop> {
        let account = self.rows.get(id).ok_or(Stop::Gone)?;
        let draft = self.drafts.entry(id).or_insert_with(|| Draft {
            row: account.row.clone(),
            mailboxes: BTreeMap::new(),
            mod_seq: None,
        });
        Ok((draft, account))
    }

    fn link(&mut self, body: &Body) {
        self.plan.batch.ops.link(body.id());
        self.plan.batch.bodies.push(body.clone());
    }

    fn create_account(&mut self, i: usize, name: &str, mailboxes: &[(String, Option<Role>)]) -> Step {
        let id = match (self.created.get(name), self.read.accounts.get(&i)) {
            (_, None) => return Err(Stop::Gone),
            (Some(id), _) | (None, Some(Creation::Exists(id))) => *id,
            (None, Some(Creation::New { first, counter })) => {
                // Several new accounts of a transaction get consecutive numbers.
                let id = &AccountId::from_u32(first.get().saturating_add(self.created.len() as u32));
                let mut row = AccountRow::new(self.now / 1000);
                let batch = &mut self.plan.batch;
                let name_key = tables::named(tables::ACCOUNT_NAMES, name);
                batch.preconditions.push(Precondition::Absent(name_key.clone()));
                batch.preconditions.push(match counter {
                    Some(raw) => Precondition::Equals(tables::NEXT_ACCOUNT.to_vec(), raw.clone()),
                    None => Precondition::Absent(tables::NEXT_ACCOUNT.to_vec()),
                });
                batch.ops.put(&name_key, &id.get().to_be_bytes());
                let next = AccountId::from_u32(id.get().saturating_add(1));
                batch.ops.put(tables::NEXT_ACCOUNT, &encode_next_account(next, self.stamp));
                for (name, role) in mailboxes {
                    let mailbox = new_mailbox(&mut row, mailbox_name(name)?, *role);
                    batch
                        .ops
                        .put(&Key::of(tables::MAILBOXES, *id).mailbox(mailbox.id).done(), &mailbox.encode());
                }
                batch.ops.put(&Key::of(tables::ACCOUNTS, *id).done(), &row.encode(self.stamp));
                self.created.insert(name.to_owned(), *id);
                *id
            }
        };
        self.plan.receipt.accounts.push(id);
        Ok(())
    }

    /// Puts a mailbox into the draft and returns its number. A missing one is created, with its parents.
    fn mailbox(&mut self, account: AccountId, name: &str) -> std::result::Result<MailboxId, Stop> {
        let name = mailbox_name(name)?;
        for parent in parents(&name).chain([name.as_str()]) {
            let (draft, known) = self.draft(account)?;
            let is_new = draft.mailboxes.values().all(|m| m.name != parent);
            if !known.names.contains_key(parent) && is_new {
                let mailbox = new_mailbox(&mut draft.row, parent.to_owned(), None);
                draft.mailboxes.insert(mailbox.id, mailbox);
            }
        }
        let (draft, known) = self.draft(account)?;
        if let Some(id) = known.names.get(&name) {
            if let Some(mailbox) = known.mailboxes.get(id) {
                draft.mailboxes.entry(*id).or_insert_with(|| mailbox.clone());
            }
            return Ok(*id);
        }
        match draft.mailboxes.values().find(|m| m.name == name) {
            Some(mailbox) => Ok(mailbox.id),
            None => refuse(ErrorKind::NoMailbox, format!("no mailbox {name:?}")),
        }
    }

    /// A mailbox, to be changed in the draft.
    fn mailbox_mut(&mut self, account: AccountId, id: MailboxId) -> std::result::Result<&mut Mailbox, Stop> {
        let (draft, known) = self.draft(account)?;
        if let Some(mailbox) = known.mailboxes.get(&id) {
            draft.mailboxes.entry(id).or_insert_with(|| mailbox.clone());
        }
        match draft.mailboxes.get_mut(&id) {
            Some(mailbox) => Ok(mailbox),
            None => refuse(ErrorKind::NoMailbox, format!("no mailbox {}", id.get())),
        }
    }

    fn quota(&mut self, account: AccountId, max_bytes: u64) -> Step {
        let (draft, _) = self.draft(account)?;
        if draft.row.size > max_bytes {
            return refuse(ErrorKind::OverQuota, format!("quota of {max_bytes} bytes"));
        }
        Ok(())
    }

    /// Writes the rows that guard what was planned, and leaves them in the cache for the next transaction.
    fn finish(mut self) -> Plan {
        for (id, draft) in self.drafts {
            // It was there when the draft was made, and the lock has been held since.
            let Some(account) = self.rows.get(id) else { continue };
            let batch = &mut self.plan.batch;
            let key = Key::of(tables::ACCOUNTS, id).done();
            let raw = draft.row.encode(self.stamp);
            batch.ops.put(&key, &raw);
            batch.preconditions.push(Precondition::Equals(key, std::mem::replace(&mut account.raw, raw)));
            for mailbox in draft.mailboxes.values() {
                batch.ops.put(&Key::of(tables::MAILBOXES, id).mailbox(mailbox.id).done(), &mailbox.encode());
            }
            for mailbox in draft.mailboxes.into_values() {
                if !account.names.contains_key(&mailbox.name) {
                    account.names.insert(mailbox.name.clone(), mailbox.id);
                }
                account.mailboxes.insert(mailbox.id, mailbox);
            }
            account.row = draft.row;
            self.plan.based_on.push((id, account.generation));
        }
        self.plan
    }
}

fn new_mailbox(row: &mut AccountRow, name: String, role: Option<Role>) -> Mailbox {
    let id = MailboxId::from_u32(row.next_mailbox);
    let uid_validity = row.next_uid_validity;
    row.next_mailbox += 1;
    row.next_uid_validity = uid_validity.saturating_add(1);
    Mailbox {
        id,
        name,
        role,
        subscribed: true,
        uid_validity,
        uid_next: Uid::from_u32(1),
        keywords: Vec::new(),
        counts: Counts::default(),
    }
}
