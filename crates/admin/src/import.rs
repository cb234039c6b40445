//! Import: takes messages from the console into the store.

use crate::console::{Console, ImportHead, ImportReader};
use crate::summary::{Summary, Way};
use crate::{Describe, Environment};
use anyhow::{Context, Result, ensure};
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::{AccountId, Flags, NewMessage, Role, Store};
use unicode_normalization::UnicodeNormalization;

/// The largest message that is imported, in bytes.
const MAX_IMPORT: u64 = 1 << 30;
/// How many imported messages may wait for the disk together.
const IMPORT_PENDING: usize = 256;
/// How many bytes of a message's header are looked at.
const IMPORT_HEADER: usize = 1 << 20;
/// With this mailbox as the target, other mailboxes in the files go beside it and not below it.
const INBOX: &str = "Inbox";

/// Takes messages from the console into a mailbox, and into others below or beside it if the files have several.
pub(crate) fn import(
    store: &Store,
    name: &str,
    mailbox: &str,
    json: bool,
    outside: Environment,
    console: &mut dyn Console,
) -> Result<()> {
    let now = (outside.now)();
    let account = store.open_account(name, store::INITIAL_MAILBOXES, now).wait()?;
    let mut targets = Targets::new(store, account, mailbox)?;
    let mut summary = Summary::new(Way::In);
    let mut pending = VecDeque::new();
    let mut count = 0_u64;
    let settle = |(number, commit): (u64, store::Pending<store::Result<store::Receipt>>)| {
        commit.wait().map(drop).with_context(|| format!("message {number}, counted from 1"))
    };
    while let Some(incoming) = console.next()? {
        count += 1;
        let (body, header) = read(store, console).with_context(|| format!("message {count}"))?;
        let target = targets.of(&incoming.mailbox)?;
        let message = imported(&incoming, &header, target.is_sent, now, outside.describe);
        let mut transaction = store.transaction(now);
        transaction.deliver(account, &target.mailbox, message, &body);
        summary.add(&target.mailbox, 1);
        // Commits overlap, because the store syncs many at once. If a large body is still being written to a file of its own,
        // the import waits for it at once: its commit begins only then, and later messages would overtake it.
        let overlapping = if body.is_ready() { IMPORT_PENDING } else { 0 };
        pending.push_back((count, store.commit(transaction)));
        while pending.len() > overlapping
            && let Some(oldest) = pending.pop_front()
        {
            settle(oldest)?;
        }
    }
    pending.into_iter().try_for_each(settle)?;
    if count == 0 {
        summary.add(&targets.of("")?.mailbox, 0);
    }
    summary.remarks = console.remarks();
    summary.print(json, console)
}

/// Reads a message; returns its body and the start of its header.
fn read(store: &Store, console: &mut dyn Console) -> Result<(store::Body, Vec<u8>)> {
    let mut writer = store.body_writer();
    let mut header = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    let mut reader = ImportReader(console).take(MAX_IMPORT + 1);
    loop {
        let read = reader.read(&mut buffer)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        let room = IMPORT_HEADER.saturating_sub(header.len());
        header.extend_from_slice(piece.get(..room).unwrap_or(piece));
        writer.write(piece).wait()?;
    }
    ensure!(writer.len() <= MAX_IMPORT, "larger than {MAX_IMPORT} bytes");
    Ok((writer.finish(), header))
}

/// A mailbox that mail goes to.
struct Target {
    mailbox: String,
    is_sent: bool,
}

/// The mailboxes that mail goes to, by their names in the files.
struct Targets<'a> {
    store: &'a Store,
    account: AccountId,
    mailbox: String,
    found: HashMap<String, Target>,
}

impl<'a> Targets<'a> {
    fn new(store: &'a Store, account: AccountId, mailbox: &str) -> Result<Self> {
        let mailbox = store::mailbox_name(&mailbox.nfc().collect::<String>())?;
        Ok(Self { store, account, mailbox, found: HashMap::new() })
    }

    /// The mailbox for mail that the files have in `inside`.
    fn of(&mut self, inside: &str) -> Result<&Target> {
        if !self.found.contains_key(inside) {
            let mailbox = below(&self.mailbox, inside);
            let known = self.store.mailbox(self.account, &mailbox)?;
            let is_sent = known.is_some_and(|known| known.role == Some(Role::Sent));
            self.found.insert(inside.to_owned(), Target { mailbox, is_sent });
        }
        self.found.get(inside).context("a mailbox that was found")
    }
}

/// The mailbox `inside` below `mailbox`, or beside it if that is Inbox. Characters that no mailbox may have in its name become
/// `_`. Returns `mailbox` itself if the name is still not possible, for example because it is too long.
fn below(mailbox: &str, inside: &str) -> String {
    let inside: String = inside.nfc().collect();
    let allowed =
        |c: char| if c == '/' || store::mailbox_name(c.encode_utf8(&mut [0; 4])).is_ok() { c } else { '_' };
    let levels = inside.split('/').filter(|level| !level.is_empty());
    let levels: Vec<String> = levels.map(|level| level.chars().map(allowed).collect()).collect();
    let inside = levels.join("/");
    let name = if mailbox == INBOX { inside } else { format!("{mailbox}/{inside}") };
    store::mailbox_name(&name).unwrap_or_else(|_| mailbox.to_owned())
}

/// The record of an imported message. It has what the header says, and nothing of the client that once sent the message.
/// `is_sent`: the account itself sent it.
fn imported(
    incoming: &ImportHead,
    header: &[u8],
    is_sent: bool,
    now: SystemTime,
    describe: Describe,
) -> NewMessage {
    let received = u64::try_from(incoming.received).ok().filter(|seconds| *seconds > 0);
    let received = received.map_or(now, |seconds| UNIX_EPOCH + Duration::from_secs(seconds));
    let mut message = describe(&message::headers(header), received, is_sent);
    let flag =
        |name: &String| Flags::NAMES.into_iter().find(|(_, known)| known == name).map(|(flag, _)| flag);
    message.facts.flags =
        incoming.flags.iter().filter_map(flag).fold(Flags::default(), |all, flag| all | flag);
    message.facts.keywords = incoming.keywords.clone();
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes_of_the_files_go_below_or_beside() {
        for (mailbox, inside, expected) in [
            ("Old", "", "Old"),
            ("Old", "Sent", "Old/Sent"),
            ("Old", "a//b/", "Old/a/b"),
            ("Inbox", "", "Inbox"),
            ("Inbox", "Sent", "Sent"),
            ("Inbox", "INBOX/x", "Inbox/x"),
            ("Inbox", "A&B 50%", "A_B 50_"),
            ("Inbox", "a\u{7}b\u{2028}c", "a_b_c"),
            ("Old", "Mu\u{308}ll", "Old/Müll"),
            ("Old", &"a/".repeat(40), "Old"),
            ("Old", &"x".repeat(store::MAX_NAME), "Old"),
        ] {
            assert_eq!(below(mailbox, inside), expected, "{mailbox} {inside}");
        }
    }
}
