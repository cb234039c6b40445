//! The verbs about mail at rest. They run where the store is open: in the server, or in the keeper, which have the
//! verb's terminal and files at the other end of their console.

use crate::console::Console;
use crate::export::export;
use crate::import::import;
use crate::privileges;
use crate::request::Request;
use crate::text::{self, printable};
use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::SystemTime;
use store::{AccountId, Facts, Mailbox, Message, MessageId, Row, Store, Uid};

/// Octets of a list that go to the console together.
const PIECE: usize = 1 << 16;
/// Messages of each mailbox that are read ahead for a list.
const AHEAD: usize = 128;

/// Does what is asked, if it is about mail at rest.
pub(crate) fn run(store: &Store, request: Request, now: SystemTime, console: &mut dyn Console) -> Result<()> {
    match request {
        Request::MailboxList { account, configured, json } => {
            begin(store, &account, configured, now)?;
            mailbox_list(store, &account, json, console)
        }
        Request::MessageList { account, configured, mailbox, json } => {
            begin(store, &account, configured, now)?;
            message_list(store, &account, mailbox.as_deref(), json, console)
        }
        Request::MessageShow { account, id } => message_show(store, &account, id, console),
        Request::MessageDelete { account, ids } => message_delete(store, &account, &ids, now),
        Request::Export { format, account, configured, name, json } => {
            begin(store, &account, configured, now)?;
            export(store, format, &account, &name, json, console)
        }
        Request::Import { account, mailbox, json } => import(store, &account, &mailbox, json, now, console),
        Request::Verify { json } => verify(store, json, console),
        Request::Backup { dir, json } => backup(store, &dir, json, console),
        Request::Compact { thorough } => {
            store.compact(thorough)?;
            console.write(b"the room of removed mail was given back\n")
        }
        Request::SetCredentials { account, secrets } => {
            let account = store.open_account(&account, store::INITIAL_MAILBOXES, now).wait()?;
            let mut transaction = store.transaction(now);
            transaction.set_credentials(account, Some(secrets.into()));
            store.commit(transaction).wait()?;
            Ok(())
        }
        Request::Reload
        | Request::Stop
        | Request::Status { .. }
        | Request::BlockedList { .. }
        | Request::BlockedLift { .. }
        | Request::LogLevel { .. } => {
            bail!("the server does not run: there is no control socket in the data directory")
        }
    }
}

/// The account of this name, which there has to be.
pub(crate) fn account(store: &Store, name: &str) -> Result<AccountId> {
    store.account(name)?.with_context(|| format!("there is no account {name:?} in the store"))
}

/// Makes a configured account that nobody has used yet.
fn begin(store: &Store, name: &str, configured: bool, now: SystemTime) -> Result<()> {
    if configured {
        store.open_account(name, store::INITIAL_MAILBOXES, now).wait()?;
    }
    Ok(())
}

pub(crate) fn print_json(console: &mut dyn Console, value: &Value) -> Result<()> {
    console.write(format!("{}\n", text::json(value)).as_bytes())
}

fn mailbox_list(store: &Store, name: &str, json: bool, console: &mut dyn Console) -> Result<()> {
    let mailboxes = store.mailboxes(account(store, name)?)?;
    if json {
        let rows: Vec<Value> = mailboxes.iter().map(mailbox_json).collect();
        return print_json(console, &Value::Array(rows));
    }
    let mut text = format!("{:<24} {:>9} {:>9} {:>14}\n", "MAILBOX", "MESSAGES", "UNSEEN", "OCTETS");
    for mailbox in &mailboxes {
        let (all, counts) = (total(mailbox), mailbox.counts);
        text.push_str(&format!("{:<24} {all:>9} {:>9} {:>14}\n", mailbox.name, counts.unseen, counts.size));
    }
    console.write(text.as_bytes())
}

/// All messages, those marked deleted too.
pub(crate) fn total(mailbox: &Mailbox) -> u64 {
    mailbox.counts.messages + mailbox.counts.deleted
}

fn mailbox_json(mailbox: &Mailbox) -> Value {
    let counts = mailbox.counts;
    json!({ "mailbox": mailbox.name, "messages": total(mailbox), "unseen": counts.unseen, "bytes": counts.size })
}

/// Calls `each` for the messages of a mailbox, oldest first.
pub(crate) fn each_message(
    store: &Store,
    account: AccountId,
    mailbox: &Mailbox,
    mut each: impl FnMut(Message) -> Result<()>,
) -> Result<()> {
    let mut after: Option<Uid> = None;
    loop {
        let rows = store.messages(account, mailbox.id, after, store::MAX_PAGE)?;
        let full = rows.len() == store::MAX_PAGE;
        for row in rows {
            match row {
                Row::Message(message) => {
                    after = Some(message.uid);
                    each(message)?;
                }
                Row::Expunged(expunged) => after = Some(expunged.uid),
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// The mailboxes that were asked for: one by name, or all.
fn chosen(store: &Store, account: AccountId, name: Option<&str>) -> Result<Vec<Mailbox>> {
    match name {
        None => Ok(store.mailboxes(account)?),
        Some(name) => {
            let found = store.mailbox(account, name)?;
            Ok(vec![found.with_context(|| format!("there is no mailbox {name:?}"))?])
        }
    }
}

fn message_list(
    store: &Store,
    name: &str,
    mailbox: Option<&str>,
    json: bool,
    console: &mut dyn Console,
) -> Result<()> {
    let id = account(store, name)?;
    // Nothing but ids is held of all messages at once: the server must not grow with the mail of an account.
    let (mut ids, mut ahead) = (Vec::new(), Vec::new());
    for (at, mailbox) in chosen(store, id, mailbox)?.into_iter().enumerate() {
        each_message(store, id, &mailbox, |message| {
            ids.push((message.id, at));
            Ok(())
        })?;
        ahead.push(Ahead { mailbox, after: None, page: HashMap::new() });
    }
    ids.sort_unstable();
    let heading =
        format!("{:>6} {:<12} {:<20} {:>9} {:<30} SUBJECT\n", "ID", "MAILBOX", "RECEIVED", "OCTETS", "FROM");
    let mut text = if json { "[".to_owned() } else { heading };
    let mut between = "\n  ";
    for (message, at) in ids {
        let Some(ahead) = ahead.get_mut(at) else { continue };
        // One that was removed meanwhile is left out.
        let Some(message) = ahead.take(store, id, message)? else { continue };
        let row = message_json(&ahead.mailbox, &message);
        if json {
            text.push_str(std::mem::replace(&mut between, ",\n  "));
            text.push_str(&text::json(&row).replace('\n', "\n  "));
        } else {
            text.push_str(&line(&row));
        }
        if text.len() >= PIECE {
            console.write(text.as_bytes())?;
            text.clear();
        }
    }
    if json {
        text.push_str(if between.starts_with(',') { "\n]\n" } else { "]\n" });
    }
    console.write(text.as_bytes())
}

/// Messages of a mailbox that were read before their turn, a page at most. Ids mostly grow with UIDs, so that a page
/// serves many; what is not in it is looked up by itself.
struct Ahead {
    mailbox: Mailbox,
    after: Option<Uid>,
    page: HashMap<MessageId, Message>,
}

impl Ahead {
    fn take(&mut self, store: &Store, account: AccountId, id: MessageId) -> Result<Option<Message>> {
        if self.page.is_empty() {
            for row in store.messages(account, self.mailbox.id, self.after, AHEAD)? {
                match row {
                    Row::Message(message) => {
                        self.after = Some(message.uid);
                        self.page.insert(message.id, message);
                    }
                    Row::Expunged(expunged) => self.after = Some(expunged.uid),
                }
            }
        }
        self.page.remove(&id).map_or_else(|| Ok(store.message(account, id)?), |message| Ok(Some(message)))
    }
}

/// The line of a message in a list for people.
fn line(row: &Value) -> String {
    let word = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| row.get(key).and_then(Value::as_u64).unwrap_or_default();
    format!(
        "{:>6} {:<12} {:<20} {:>9} {:<30} {}\n",
        number("id"),
        printable(&word("mailbox")),
        word("received"),
        number("size"),
        printable(&word("from")),
        printable(&word("subject")),
    )
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn address(localpart: &str, domain: &str) -> String {
    if domain.is_empty() { localpart.to_owned() } else { format!("{localpart}@{domain}") }
}

fn message_json(mailbox: &Mailbox, message: &Message) -> Value {
    let Facts { origin, validations, .. } = &message.facts;
    json!({
        "id": message.id.get(),
        "mailbox": mailbox.name,
        "received": rfc3339(message.facts.received),
        "size": message.size(),
        "from": address(&origin.from_localpart, &origin.from_domain),
        "subject": message.facts.subject,
        "message_id": message.facts.message_id_as_written(),
        "remote_ip": origin.remote_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        "mail_from": origin.mail_from,
        "rcpt_to": address(&origin.rcpt_to_localpart, &origin.rcpt_to_domain),
        "flags": message.facts.flags.names().collect::<Vec<_>>(),
        "validation": {
            "ehlo": validations.ehlo.token(),
            "mailfrom": validations.mail_from.token(),
            "msgfrom": validations.from.token(),
        },
        "reason": message.facts.reason,
    })
}

fn message_of(store: &Store, account: AccountId, id: u64) -> Result<Message> {
    store.message(account, MessageId::from_u64(id))?.with_context(|| format!("there is no message {id}"))
}

fn message_show(store: &Store, name: &str, id: u64, console: &mut dyn Console) -> Result<()> {
    let message = message_of(store, account(store, name)?, id)?;
    let mut content = store.content(&message)?;
    while let Some(piece) = content.next_piece()? {
        console.write(&piece)?;
    }
    Ok(())
}

fn message_delete(store: &Store, name: &str, ids: &[u64], now: SystemTime) -> Result<()> {
    let account = account(store, name)?;
    let mut transaction = store.transaction(now);
    // One that is named twice is removed once.
    let ids: BTreeSet<u64> = ids.iter().copied().collect();
    for id in ids {
        transaction.remove(account, message_of(store, account, id)?.id);
    }
    store.commit(transaction).wait()?;
    Ok(())
}

fn backup(store: &Store, dir: &Path, json: bool, console: &mut dyn Console) -> Result<()> {
    let shown = dir.display();
    // The server may not write everywhere that the user of the verb may.
    let store::Copied { files, bytes } = store.backup(dir).with_context(|| {
        format!(
            "back up to {shown}; the server writes it as user {}",
            privileges::name_of(geteuid().as_raw())
        )
    })?;
    if json {
        return print_json(console, &json!({ "backup": shown.to_string(), "files": files, "bytes": bytes }));
    }
    let text = format!("{shown}: {files} files, {bytes} bytes; configuration and keys are not among them\n");
    console.write(text.as_bytes())
}

/// Checks a data directory, or a backup, that nobody has open. Nothing in it is changed.
pub(crate) fn verify_closed(data: &Path, json: bool, console: &mut dyn Console) -> Result<()> {
    let scratch = tempfile::Builder::new().prefix("moxd-verifydata-").tempdir();
    let scratch = scratch.context("make a folder for temporary files; TMPDIR names another place for it")?;
    let store = Store::open_read_only(data, scratch.path())
        .with_context(|| format!("open the data directory {}", data.display()))?;
    verify(&store, json, console)
}

fn verify(store: &Store, json: bool, console: &mut dyn Console) -> Result<()> {
    let findings = store.check()?;
    if json {
        print_json(console, &Value::Array(findings.iter().map(finding_json).collect()))?;
    } else {
        for finding in &findings {
            console.write(format!("{finding}\n").as_bytes())?;
        }
    }
    match findings.len() {
        0 if json => Ok(()),
        0 => console.write(b"no inconsistencies found\n"),
        1 => bail!("1 inconsistency found"),
        n => bail!("{n} inconsistencies found"),
    }
}

/// What does not apply to a finding, or is not known, is null.
fn finding_json(finding: &store::Finding) -> Value {
    json!({
        "kind": finding.kind().token(),
        "place": finding.place(),
        "text": finding.text(),
        "account": finding.account(),
        "mailbox": finding.mailbox(),
        "uid": finding.uid().map(Uid::get),
        "message": finding.message().map(MessageId::get),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Incoming, Outgoing, Remarks};
    use std::time::UNIX_EPOCH;
    use store::NewMessage;

    /// What was written, piece by piece.
    struct Pieces(Vec<Vec<u8>>);

    impl Console for Pieces {
        fn write(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.push(bytes.to_vec());
            Ok(())
        }

        fn progress(&mut self, _: u64, _: u64) -> Result<()> {
            Ok(())
        }

        fn file(&mut self, _: Option<&Outgoing>) -> Result<()> {
            Ok(())
        }

        fn write_file(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn next(&mut self) -> Result<Option<Incoming>> {
            Ok(None)
        }

        fn read(&mut self, _: &mut [u8]) -> Result<usize> {
            Ok(0)
        }

        fn remarks(&mut self) -> Remarks {
            Remarks::default()
        }
    }

    /// A list of this many messages, in pieces.
    fn listed(count: usize, json: bool) -> Vec<Vec<u8>> {
        let store = Store::memory();
        let account = store.open_account("mox", store::INITIAL_MAILBOXES, UNIX_EPOCH).wait().unwrap();
        for number in 0..count {
            let mailbox = ["Junk", "Inbox"][number % 2];
            let mut transaction = store.transaction(UNIX_EPOCH);
            let message = NewMessage::new(Facts::new(UNIX_EPOCH));
            transaction.deliver(account, mailbox, message, &store.body_writer().finish());
            store.commit(transaction).wait().unwrap();
        }
        let mut pieces = Pieces(Vec::new());
        message_list(&store, "mox", None, json, &mut pieces).unwrap();
        pieces.0
    }

    #[test]
    fn long_lists_go_out_in_pieces_and_in_order() {
        for json in [false, true] {
            let pieces = listed(1500, json);
            assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() < 2 * PIECE));
            let text = String::from_utf8(pieces.concat()).unwrap();
            let ids: Vec<u64> = if json {
                let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
                assert_eq!(text, format!("{:#}\n", Value::Array(rows.clone())));
                rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
            } else {
                text.lines()
                    .skip(1)
                    .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
                    .collect()
            };
            assert_eq!(ids.len(), 1500);
            assert!(ids.is_sorted(), "oldest first, whatever the mailbox");
        }
        assert_eq!(listed(0, true).concat(), b"[]\n");
    }
}
