//! Lists of mailboxes and messages, for people and as JSON.

use crate::at_rest::account;
use crate::console::Console;
use anyhow::{Context, Result};
use host::text::{self, printable};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::SystemTime;
use store::{AccountId, Facts, Mailbox, Message, MessageId, Row, Store, Uid};

/// Bytes of a list that are written to the console together.
const PIECE: usize = 1 << 16;
/// How many messages of each mailbox a list reads ahead.
const AHEAD: usize = 128;

/// Prints a JSON document.
pub(crate) fn print_json(console: &mut dyn Console, value: &Value) -> Result<()> {
    console.write(format!("{}\n", text::json(value)).as_bytes())
}

/// Lists the mailboxes of an account, with their counts.
pub(crate) fn mailbox_list(store: &Store, name: &str, json: bool, console: &mut dyn Console) -> Result<()> {
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

/// The number of messages, including those marked as deleted.
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

/// The mailbox of this name, or all mailboxes without one.
fn chosen(store: &Store, account: AccountId, name: Option<&str>) -> Result<Vec<Mailbox>> {
    match name {
        None => Ok(store.mailboxes(account)?),
        Some(name) => {
            let found = store.mailbox(account, name)?;
            Ok(vec![found.with_context(|| format!("there is no mailbox {name:?}"))?])
        }
    }
}

/// Lists messages, oldest first.
pub(crate) fn message_list(
    store: &Store,
    name: &str,
    mailbox: Option<&str>,
    json: bool,
    console: &mut dyn Console,
) -> Result<()> {
    let id = account(store, name)?;
    // Only the ids of all messages are in memory at once: what a server uses must not grow with the mail of an account.
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
        // A message that was removed meanwhile is left out.
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

/// Messages of a mailbox that were read before the list needs them, at most one page. Ids mostly grow with UIDs, so one page
/// serves many messages; a message that is not in it is read by itself.
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

/// The line for a message in a list for people.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Recording;
    use std::time::UNIX_EPOCH;
    use store::NewMessage;

    /// Lists this many messages; returns every write.
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
        let mut console = Recording::default();
        message_list(&store, "mox", None, json, &mut console).unwrap();
        console.printed
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
