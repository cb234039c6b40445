//! Checks whether the rows of all accounts agree with each other. They are read as of one moment, so that commits need
//! not wait and cannot disturb the check.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    Store,
    found_by::{indexed_message, place_of, rows_of},
    prefetch,
    rows::{self, each},
};
use crate::{
    account::{AccountId, AccountRow},
    check::{Concerned, Finding, FindingKind},
    engine::{BodyId, KeyRange, Maintenance, ReadRows},
    error::{Error, ErrorKind, Result},
    mailbox::{Counts, Mailbox},
    message::{self, Message, MessageId, Part, Row, Uid},
    tables::{self, Key, found_by},
};

/// Bodies that cannot be read: the engine's finding for each, and whether a message that has it was reported.
type Unreadable = BTreeMap<BodyId, (Finding, bool)>;

impl Store {
    /// Reads everything and reports what is wrong: files, rows, and whether counts agree with what they count.
    ///
    /// Commits go on meanwhile; their changes are not checked.
    ///
    /// # Errors
    /// When the checking itself cannot be done.
    pub fn check(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut unreadable = Unreadable::new();
        let of_engine = self.engine().maintenance().map_or(Ok(Vec::new()), Maintenance::check)?;
        for finding in of_engine {
            match finding.body() {
                Some(body) => drop(unreadable.insert(body, (finding, false))),
                None => findings.push(finding),
            }
        }
        let rows = self.engine().snapshot()?;
        match rows::accounts(&*rows) {
            Ok(accounts) => {
                for (name, id) in accounts {
                    findings.append(&mut check_account(&*rows, name, id, &mut unreadable)?);
                }
            }
            Err(e) => findings.push(Finding::new(FindingKind::Record, "accounts", damage(e)?)),
        }
        // A body that messages have was reported with each of them.
        let unnamed = unreadable.into_values().filter(|(_, is_named)| !is_named);
        findings.extend(unnamed.map(|(finding, _)| finding));
        Ok(findings)
    }
}

/// The text of an error that means damage, which becomes a finding. Other errors end the check.
fn damage(e: Error) -> Result<String> {
    if e.kind() == ErrorKind::Damaged { Ok(e.to_string()) } else { Err(e) }
}

/// The check of one account.
struct AccountCheck<'a> {
    rows: &'a dyn ReadRows,
    id: AccountId,
    concerned: Concerned,
    row: AccountRow,
    size: u64,
    ids: HashSet<MessageId>,
    /// Mailbox and UID of records that cannot be decoded.
    undecodable: HashSet<[u8; 8]>,
    /// Sum of the fingerprints of all rows by which the messages should be found.
    expected: u64,
    unreadable: &'a mut Unreadable,
    findings: Vec<Finding>,
}

fn check_account(
    rows: &dyn ReadRows,
    name: String,
    id: AccountId,
    unreadable: &mut Unreadable,
) -> Result<Vec<Finding>> {
    let concerned = Concerned { account: name, ..Concerned::default() };
    let row = match rows.get(&Key::of(tables::ACCOUNTS, id).done()) {
        Ok(raw) => raw.and_then(|raw| AccountRow::decode(&raw)),
        Err(e) => return Ok(vec![Finding::about(FindingKind::Record, concerned, damage(e)?)]),
    };
    let Some(row) = row else {
        let text = "its row is missing or cannot be decoded";
        return Ok(vec![Finding::about(FindingKind::Record, concerned, text)]);
    };
    let mut account = AccountCheck {
        rows,
        id,
        concerned,
        row,
        size: 0,
        ids: HashSet::new(),
        undecodable: HashSet::new(),
        expected: 0,
        unreadable,
        findings: Vec::new(),
    };
    if let Err(e) = account.check() {
        let text = damage(e)?;
        account.found(FindingKind::Record, Concerned::default(), text);
    }
    Ok(account.findings)
}

impl AccountCheck<'_> {
    /// Adds a finding about something of this account.
    fn found(&mut self, kind: FindingKind, what: Concerned, text: impl Into<String>) {
        let concerned = Concerned { account: self.concerned.account.clone(), ..what };
        self.findings.push(Finding::about(kind, concerned, text));
    }

    fn check(&mut self) -> Result<()> {
        let mailboxes = rows::mailboxes(self.rows, self.id)?;
        let mut names = HashSet::new();
        for mailbox in &mailboxes {
            let place = Concerned::mailbox(&mailbox.name);
            if !names.insert(&mailbox.name) {
                self.found(FindingKind::Number, place.clone(), "two mailboxes have this name");
            }
            if mailbox.uid_validity >= self.row.next_uid_validity {
                self.found(FindingKind::Number, place, "its UIDValidity would be given out again");
            }
            self.mailbox(mailbox)?;
        }
        if self.size != self.row.size {
            let text = format!("{} bytes are counted, its messages have {}", self.row.size, self.size);
            self.found(FindingKind::Count, Concerned::default(), text);
        }
        self.index_rows(&mailboxes)
    }

    fn mailbox(&mut self, mailbox: &Mailbox) -> Result<()> {
        let mut counts = Counts::default();
        let prefix = Key::of(tables::MESSAGES, self.id).mailbox(mailbox.id).done();
        let rows = self.rows;
        each(rows, &KeyRange::prefix(&prefix), |key, raw| {
            let uid = Uid::from_u32(u32::from_be_bytes(*key.last_chunk::<4>()?));
            self.row(mailbox, uid, raw, &mut counts);
            Some(())
        })?;
        self.size += counts.size;
        if counts != mailbox.counts {
            let text = format!("counted are {}; there are {}", describe(mailbox.counts), describe(counts));
            self.found(FindingKind::Count, Concerned::mailbox(&mailbox.name), text);
        }
        Ok(())
    }

    fn row(&mut self, mailbox: &Mailbox, uid: Uid, raw: &[u8], counts: &mut Counts) {
        let place = Concerned { uid: Some(uid), ..Concerned::mailbox(&mailbox.name) };
        if uid >= mailbox.uid_next {
            self.found(FindingKind::Number, place.clone(), "its UID would be given out again");
        }
        match message::decode(mailbox.id, uid, raw) {
            None => {
                self.undecodable.insert(place_of(mailbox.id, uid));
                self.found(FindingKind::Record, place, "its record cannot be decoded");
            }
            Some(Row::Expunged(expunged)) => {
                self.numbers(&place, expunged.id, expunged.created.get(), expunged.changed.get());
            }
            Some(Row::Message(message)) => {
                let place = Concerned { message: Some(message.id), ..place };
                counts.add(message.facts.flags, message.size());
                self.numbers(&place, message.id, message.created.get(), message.changed.get());
                self.message(&place, &message);
            }
        }
    }

    fn numbers(&mut self, place: &Concerned, id: MessageId, created: u64, changed: u64) {
        if !self.ids.insert(id) {
            let text = format!("another message has the number {}", id.get());
            self.found(FindingKind::Number, place.clone(), text);
        }
        if id.get() >= self.row.next_message {
            self.found(FindingKind::Number, place.clone(), "its number would be given out again");
        }
        if created == 0 || created > changed || changed > self.row.mod_seq {
            let text =
                format!("made at {created}, changed at {changed}, the account is at {}", self.row.mod_seq);
            self.found(FindingKind::Number, place.clone(), text);
        }
    }

    fn message(&mut self, place: &Concerned, message: &Message) {
        for (key, value) in rows_of(self.id, message) {
            self.expected = self.expected.wrapping_add(fingerprint(&key, &value));
        }
        let prefix = message.prefix.as_ref().and_then(|part| self.trouble(part));
        let text = match (prefix, self.trouble(&message.body)) {
            (None, None) => None,
            (Some(error), None) => Some(format!("the header fields added to it cannot be read: {error}")),
            (None, Some(error)) => Some(format!("its content as received cannot be read: {error}")),
            (Some(_), Some(error)) => Some(format!("it cannot be read: {error}")),
        };
        if let Some(text) = text {
            self.found(FindingKind::Body, place.clone(), text);
        }
        if message.thread.id == 0 {
            self.found(FindingKind::Record, place.clone(), "it is in no thread");
        }
        if message.thread.parents.contains(&message.id) {
            self.found(FindingKind::Record, place.clone(), "it is its own ancestor");
        }
    }

    /// What is wrong with a part of a message, if anything.
    fn trouble(&mut self, part: &Part) -> Option<String> {
        if let Some((finding, is_named)) = self.unreadable.get_mut(&part.body) {
            *is_named = true;
            return Some(finding.text().to_owned());
        }
        match self.rows.body_len(part.body) {
            Ok(len) if len == part.size => None,
            Ok(len) => Some(format!("the record says {} bytes, the body has {len}", part.size)),
            Err(e) => Some(e.to_string()),
        }
    }

    /// Each row by which messages are found must lead to one, and each message must have all rows by which it is found.
    fn index_rows(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        let mut stray = BTreeSet::new();
        // Messages whose records cannot be decoded: they were reported above.
        let mut reported = HashSet::new();
        let mut found = 0u64;
        for table in [tables::MESSAGE_IDS, tables::INDEX] {
            each(self.rows, &KeyRange::prefix(&Key::of(table, self.id).done()), |key, value| {
                let id = indexed_message(key)?;
                found = found.wrapping_add(fingerprint(key, value));
                if table == tables::MESSAGE_IDS
                    && value.try_into().is_ok_and(|place: [u8; 8]| self.undecodable.contains(&place))
                {
                    reported.insert(id);
                }
                if !self.ids.contains(&id) && !reported.contains(&id) {
                    stray.insert(id);
                }
                Some(())
            })?;
        }
        for id in stray {
            let place = Concerned { message: Some(id), ..Concerned::default() };
            self.found(FindingKind::Record, place, "a row leads to this message, which is not there");
        }
        if found == self.expected {
            return Ok(());
        }
        self.lost_rows(mailboxes)?;
        self.wrong_rows()
    }

    /// Finds the messages that lack a row, by looking each row up.
    fn lost_rows(&mut self, mailboxes: &[Mailbox]) -> Result<()> {
        for mailbox in mailboxes {
            let prefix = Key::of(tables::MESSAGES, self.id).mailbox(mailbox.id).done();
            let mut lost: Vec<(Uid, MessageId, String)> = Vec::new();
            each(self.rows, &KeyRange::prefix(&prefix), |key, raw| {
                let uid = Uid::from_u32(u32::from_be_bytes(*key.last_chunk::<4>()?));
                let Some(Row::Message(message)) = message::decode(mailbox.id, uid, raw) else {
                    return Some(());
                };
                let is_lost =
                    |key: &Vec<u8>, value: &Vec<u8>| !matches!(self.rows.get(key), Ok(Some(v)) if v == value);
                let rows = rows_of(self.id, &message);
                let names: Vec<_> =
                    rows.iter().filter(|(k, v)| is_lost(k, v)).map(|(k, _)| found_by(k)).collect();
                if !names.is_empty() {
                    lost.push((uid, message.id, names.join(", ")));
                }
                Some(())
            })?;
            for (uid, id, names) in lost {
                let place =
                    Concerned { uid: Some(uid), message: Some(id), ..Concerned::mailbox(&mailbox.name) };
                self.found(FindingKind::Record, place, format!("it cannot be found by {names}"));
            }
        }
        Ok(())
    }

    /// Finds the rows that lead to a message they do not belong to.
    fn wrong_rows(&mut self) -> Result<()> {
        let mut wrong: BTreeMap<MessageId, BTreeSet<&'static str>> = BTreeMap::new();
        for table in [tables::MESSAGE_IDS, tables::INDEX] {
            each(self.rows, &KeyRange::prefix(&Key::of(table, self.id).done()), |key, value| {
                let id = indexed_message(key)?;
                let is_its_own = || {
                    let stored = prefetch::find(self.rows, self.id, id).ok()??;
                    Some(rows_of(self.id, &stored.message).get(key)? == value)
                };
                // A row that leads to no message was reported above.
                if self.ids.contains(&id) && is_its_own() != Some(true) {
                    wrong.entry(id).or_default().insert(found_by(key));
                }
                Some(())
            })?;
        }
        for (id, names) in wrong {
            let names: Vec<_> = names.into_iter().collect();
            let place = Concerned { message: Some(id), ..Concerned::default() };
            self.found(FindingKind::Record, place, format!("it is found by {} of another", names.join(", ")));
        }
        Ok(())
    }
}

/// Describes counts, for people.
fn describe(counts: Counts) -> String {
    let Counts { messages, deleted, unseen, unread, size } = counts;
    format!("{messages} messages, {deleted} deleted, {unseen} unseen, {unread} unread, {size} bytes")
}

/// A hash of a row. Sums of such hashes do not depend on the order of the rows; sums over different rows differ, but for
/// one chance in 2^64.
fn fingerprint(key: &[u8], value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, value).hash(&mut hasher);
    hasher.finish()
}
