//! Answers to requests about mail at rest. They run in the process that has the store open, a server or a keeper; the
//! terminal and the files of the verb are at the other end of its console.

use crate::Environment;
use crate::console::Console;
use crate::export::export;
use crate::import::import;
use crate::lists::{mailbox_list, message_list, print_json};
use crate::request::Request;
use anyhow::{Context, Result, bail};
use host::privileges;
use nix::unistd::geteuid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;
use store::{AccountId, Message, MessageId, Store, Uid};

/// Answers a request about mail at rest.
///
/// # Errors
/// The request cannot be carried out, or is about the running server.
pub fn run(store: &Store, request: Request, outside: Environment, console: &mut dyn Console) -> Result<()> {
    let now = (outside.now)();
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
        Request::Import { account, mailbox, json } => {
            import(store, &account, &mailbox, json, outside, console)
        }
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

/// The account of this name; an error if the store has none.
pub(crate) fn account(store: &Store, name: &str) -> Result<AccountId> {
    store.account(name)?.with_context(|| format!("there is no account {name:?} in the store"))
}

/// Makes an account that the configuration has and the store does not have yet.
fn begin(store: &Store, name: &str, configured: bool, now: SystemTime) -> Result<()> {
    if configured {
        store.open_account(name, store::INITIAL_MAILBOXES, now).wait()?;
    }
    Ok(())
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
    // A message that is named twice is removed once.
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

/// Checks a data directory or a backup that no process has open, and changes nothing in it.
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

/// A finding as JSON. Keys that do not apply, or whose value is not known, are null.
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
