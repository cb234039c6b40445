//! Whether the rows of all accounts agree with each other.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use bytes::Bytes;

use super::{
    MAX_PAGE, Store,
    plan::each_index,
    rows::{self, each},
};
use crate::{
    account::{AccountId, AccountRow},
    check::{Finding, FindingKind},
    engine::{BodyId, Direction, KeyRange},
    error::{Error, ErrorKind, Result},
    mailbox::{Counts, Mailbox},
    message::{self, Message, MessageId, Row, Uid},
    tables::{self, Key},
};

/// What is collected of one account while its messages are read.
struct Account<'a> {
    store: &'a Store,
    id: AccountId,
    name: String,
    row: AccountRow,
    /// The row as it was read.
    raw: Bytes,
    size: u64,
    ids: HashSet<MessageId>,
    /// Sum of the fingerprints of all rows by which the messages are found.
    expected: u64,
    bodies: &'a mut Concerned,
    findings: Vec<Finding>,
}

/// How often an account is read that changes meanwhile, before its changes have to wait (our own limit).
const ATTEMPTS: usize = 3;

/// The messages concerned by bodies that cannot be read.
type Concerned = HashMap<BodyId, Option<String>>;

impl Store {
    /// Reads everything and tells what is wrong: files, rows, and whether counts agree with what is counted.
    ///
    /// What changes meanwhile is not reported: an account is read again then, and in the end its changes wait.
    ///
    /// # Errors
    /// When the checking itself cannot be done.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = self.engine().check()?;
        // Only of bodies that cannot be read it matters whose they are.
        let mut bodies: Concerned =
            findings.iter().filter_map(Finding::body).map(|body| (body, None)).collect();
        match self.accounts() {
            Ok(accounts) => {
                for (name, id) in accounts {
                    findings.append(&mut self.check_account(&name, id, &mut bodies)?);
                }
            }
            Err(e) => findings.push(unreadable("accounts", e)?),
        }
        for finding in &mut findings {
            if let Some(Some(message)) = finding.body().and_then(|body| bodies.get(&body)) {
                finding.concerns(message);
            }
        }
        Ok(findings)
    }

    /// What is wrong with an account while it stands still.
    fn check_account(&self, name: &str, id: AccountId, bodies: &mut Concerned) -> Result<Vec<Finding>> {
        let mut waiting = None;
        for attempt in 0.. {
            if attempt == ATTEMPTS {
                // Nothing new is planned from here on; what is under way ends soon.
                waiting = Some(self.rows());
            }
            if let Some(findings) = self.check_once(name, id, bodies)? {
                drop(waiting);
                return Ok(findings);
            }
        }
        Ok(Vec::new())
    }

    /// As [`Store::check_account`]; `None` when it changed meanwhile, for then its row did.
    fn check_once(&self, name: &str, id: AccountId, bodies: &mut Concerned) -> Result<Option<Vec<Finding>>> {
        let place = format!("account {name}");
        let key = Key::of(tables::ACCOUNTS, id).done();
        let raw = match self.engine().get(&key) {
            Ok(raw) => raw.unwrap_or_default(),
            Err(e) => return Ok(Some(vec![unreadable(&place, e)?])),
        };
        let Some(row) = AccountRow::decode(&raw) else {
            return Ok(Some(vec![Finding::new(FindingKind::Record, place, "no row, or no sense")]));
        };
        let (size, ids, expected, findings) = (0, HashSet::new(), 0, Vec::new());
        let name = name.to_owned();
        let mut account = Account { store: self, id, name, row, raw, size, ids, expected, bodies, findings };
        if let Err(e) = account.check() {
            account.findings.push(unreadable(&place, e)?);
        }
        Ok(if account.has_changed()? { None } else { Some(account.findings) })
    }
}

/// What cannot be read for its damage is a finding as well; other errors end the check.
fn unreadable(place: &str, e: Error) -> Result<Finding> {
    match e.kind() {
        ErrorKind::Damaged => Ok(Finding::new(FindingKind::Record, place, e.to_string())),
        _ => Err(e),
    }
}

impl Account<'_> {
    fn found(&mut self, kind: FindingKind, place: &str, text: impl Into<String>) {
        let place = format!("account {}{}{place}", self.name, if place.is_empty() { "" } else { ", " });
        self.findings.push(Finding::new(kind, place, text));
    }

    fn has_changed(&self) -> Result<bool> {
        let key = Key::of(tables::ACCOUNTS, self.id).done();
        Ok(self.store.engine().get(&key)?.as_ref() != Some(&self.raw))
    }

    fn check(&mut self) -> Result<()> {
        let mailboxes = match rows::mailboxes(self.store.engine(), self.id) {
            Ok(mailboxes) => mailboxes,
            Err(e) => {
                self.found(FindingKind::Record, "", e.to_string());
                return Ok(());
            }
        };
        let mut names = HashSet::new();
        for mailbox in &mailboxes {
            let place = format!("mailbox {}", mailbox.name);
            if !names.insert(&mailbox.name) {
                self.found(FindingKind::Number, &place, "two mailboxes have this name");
            }
            if mailbox.uid_validity >= self.row.next_uid_validity {
                self.found(FindingKind::Number, &place, "its UIDValidity would be given out again");
            }
            self.mailbox(mailbox, &place)?;
        }
        if self.size != self.row.size {
            let text = format!("the account says {} octets, its messages have {}", self.row.size, self.size);
            self.found(FindingKind::Count, "", text);
        }
        self.index_rows(&mailboxes)
    }

    fn mailbox(&mut self, mailbox: &Mailbox, place: &str) -> Result<()> {
        let mut counts = Counts::default();
        let prefix = Key::of(tables::MESSAGES, self.id).mailbox(mailbox.id).done();
        let mut range = KeyRange::prefix(&prefix);
        loop {
            let page = self.store.engine().range(&range, Direction::Forward, MAX_PAGE)?;
            for (key, raw) in &page.rows {
                self.row(mailbox, key, raw, place, &mut counts)?;
            }
            match page.rows.last() {
                Some((last, _)) if page.more => range.start = [last, &[0u8][..]].concat(),
                _ => break,
            }
        }
        self.size += counts.size;
        if counts != mailbox.counts {
            let text = format!("the mailbox says {:?}, its messages are {counts:?}", mailbox.counts);
            self.found(FindingKind::Count, place, text);
        }
        Ok(())
    }

    fn row(
        &mut self,
        mailbox: &Mailbox,
        key: &[u8],
        raw: &[u8],
        place: &str,
        counts: &mut Counts,
    ) -> Result<()> {
        let uid = key.last_chunk::<4>().map_or(0, |uid| u32::from_be_bytes(*uid));
        let place = format!("{place}, uid {uid}");
        let uid = Uid::from_u32(uid);
        if uid >= mailbox.uid_next {
            self.found(FindingKind::Number, &place, "its UID would be given out again");
        }
        match message::decode(mailbox.id, uid, raw) {
            None => self.found(FindingKind::Record, &place, "the record makes no sense"),
            Some(Row::Expunged(expunged)) => {
                self.numbers(&place, expunged.id, expunged.created.get(), expunged.changed.get());
            }
            Some(Row::Message(message)) => {
                counts.add(message.facts.flags, message.size());
                self.numbers(&place, message.id, message.created.get(), message.changed.get());
                self.message(&place, &message)?;
            }
        }
        Ok(())
    }

    fn numbers(&mut self, place: &str, id: MessageId, created: u64, changed: u64) {
        if !self.ids.insert(id) {
            self.found(FindingKind::Number, place, format!("another message has the number {}", id.get()));
        }
        if id.get() >= self.row.next_message {
            self.found(FindingKind::Number, place, "its number would be given out again");
        }
        if created == 0 || created > changed || changed > self.row.mod_seq {
            let text =
                format!("made at {created}, changed at {changed}, the account is at {}", self.row.mod_seq);
            self.found(FindingKind::Number, place, text);
        }
    }

    fn message(&mut self, place: &str, message: &Message) -> Result<()> {
        for (key, value) in rows_of(self.id, message) {
            self.expected = self.expected.wrapping_add(fingerprint(&key, &value));
        }
        let engine = self.store.engine();
        for part in message.prefix.iter().chain([&message.body]) {
            if let Some(concerned) = self.bodies.get_mut(&part.body) {
                *concerned = Some(format!("account {}, {place}, message {}", self.name, message.id.get()));
            }
            match engine.body_len(part.body) {
                Ok(len) if len == part.size => {}
                Ok(len) => {
                    let text = format!("the record says {} octets, the body has {len}", part.size);
                    self.found(FindingKind::Body, place, text);
                }
                Err(e) => self.found(FindingKind::Body, place, e.to_string()),
            }
        }
        if message.thread.id == 0 {
            self.found(FindingKind::Record, place, "it is in no thread");
        }
        if message.thread.parents.contains(&message.id) {
            self.found(FindingKind::Record, place, "it is its own ancestor");
        }
        Ok(())
    }

    /// Rows by which messages are found must lead to one, and every message must be found by all of its own.
    fn index_rows(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        let mut stray = Vec::new();
        let mut found = 0u64;
        for table in [tables::MESSAGE_IDS, tables::INDEX] {
            let range = KeyRange::prefix(&Key::of(table, self.id).done());
            each(self.store.engine(), &range, |key, value| {
                let id = super::prefetch::indexed_message(key)?;
                found = found.wrapping_add(fingerprint(key, value));
                if !self.ids.contains(&id) {
                    stray.push(id);
                }
                Some(())
            })?;
        }
        for id in stray {
            let place = format!("message {}", id.get());
            self.found(FindingKind::Record, &place, "a row leads to this message, which is not there");
        }
        if found == self.expected || self.has_changed()? {
            return Ok(());
        }
        self.lost_rows(mailboxes)?;
        self.wrong_rows()
    }

    /// Looks for the rows that some message should be found by, one by one.
    fn lost_rows(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        let store = self.store;
        for mailbox in mailboxes {
            let prefix = Key::of(tables::MESSAGES, self.id).mailbox(mailbox.id).done();
            let mut lost = Vec::new();
            each(store.engine(), &KeyRange::prefix(&prefix), |key, raw| {
                let uid = key.last_chunk::<4>().map(|uid| Uid::from_u32(u32::from_be_bytes(*uid)))?;
                let Some(Row::Message(message)) = message::decode(mailbox.id, uid, raw) else {
                    return Some(());
                };
                for (key, value) in rows_of(self.id, &message) {
                    if !matches!(store.engine().get(&key), Ok(Some(found)) if found == value) {
                        lost.push((uid, key));
                    }
                }
                Some(())
            })?;
            for (uid, key) in lost {
                let place = format!("mailbox {}, uid {}", mailbox.name, uid.get());
                self.found(FindingKind::Record, &place, format!("cannot be found by row {key:02x?}"));
            }
        }
        Ok(())
    }

    /// Looks for rows by which some message should not be found, one by one.
    fn wrong_rows(&mut self) -> Result<()> {
        let store = self.store;
        for table in [tables::MESSAGE_IDS, tables::INDEX] {
            let mut wrong = Vec::new();
            each(store.engine(), &KeyRange::prefix(&Key::of(table, self.id).done()), |key, value| {
                let id = super::prefetch::indexed_message(key)?;
                let is_its_own = || {
                    let stored = super::prefetch::find(store.engine(), self.id, id).ok()??;
                    Some(rows_of(self.id, &stored.message).get(key)? == value)
                };
                // Of one that is not there it was said already.
                if self.ids.contains(&id) && is_its_own() != Some(true) {
                    wrong.push((id, key.to_vec()));
                }
                Some(())
            })?;
            for (id, key) in wrong {
                let text = format!("row {key:02x?} leads to it and is not one of its own");
                self.found(FindingKind::Record, &format!("message {}", id.get()), text);
            }
        }
        Ok(())
    }
}

/// The rows by which a message is found.
fn rows_of(account: AccountId, message: &Message) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let place = [message.mailbox.get().to_be_bytes(), message.uid.get().to_be_bytes()].concat();
    rows.insert(Key::of(tables::MESSAGE_IDS, account).message(message.id).done(), place);
    each_index(account, message, |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
    });
    rows
}

/// A number for a row. The sum over many rows is the same in any order, and hardly ever for other rows.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, value).hash(&mut hasher);
    hasher.finish()
}
