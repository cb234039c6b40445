//! Whether the rows of all accounts agree with each other.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    MAX_PAGE, Store,
    plan::each_index,
    rows::{self, each},
};
use crate::{
    account::{AccountId, AccountRow},
    check::{Finding, FindingKind},
    engine::{BodyId, Direction, KeyRange},
    error::Result,
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
    size: u64,
    ids: HashSet<MessageId>,
    /// Sum of the fingerprints of all rows by which the messages are found.
    expected: u64,
    bodies: &'a mut HashMap<BodyId, Option<String>>,
    findings: &'a mut Vec<Finding>,
}

impl Store {
    /// Reads everything and tells what is wrong: files, rows, and whether counts agree with what is counted.
    ///
    /// Best done on a copy or a server at rest: what changes meanwhile may be reported though nothing is wrong.
    ///
    /// # Errors
    /// When the checking itself cannot be done.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = self.engine().check()?;
        // Only of bodies that cannot be read it matters whose they are.
        let mut bodies: HashMap<_, _> =
            findings.iter().filter_map(Finding::body).map(|body| (body, None)).collect();
        for (name, id) in self.accounts()? {
            let key = Key::of(tables::ACCOUNTS, id).done();
            let Some(row) = self.engine().get(&key)?.and_then(|raw| AccountRow::decode(&raw)) else {
                findings.push(Finding::new(
                    FindingKind::Record,
                    format!("account {name}"),
                    "no row, or no sense",
                ));
                continue;
            };
            let (bodies, findings) = (&mut bodies, &mut findings);
            let (size, ids, expected) = (0, HashSet::new(), 0);
            Account { store: self, id, name, row, size, ids, expected, bodies, findings }.check()?;
        }
        for finding in &mut findings {
            if let Some(Some(message)) = finding.body().and_then(|body| bodies.get(&body)) {
                finding.concerns(message);
            }
        }
        Ok(findings)
    }
}

impl Account<'_> {
    fn found(&mut self, kind: FindingKind, place: &str, text: impl Into<String>) {
        let place = format!("account {}{}{place}", self.name, if place.is_empty() { "" } else { ", " });
        self.findings.push(Finding::new(kind, place, text));
    }

    fn check(mut self) -> Result<()> {
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
        if found == self.expected { Ok(()) } else { self.lost_rows(mailboxes) }
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
