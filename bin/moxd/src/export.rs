//! Mail on its way out of the store, as Maildir folders or an mbox file. Others may remove messages meanwhile.

use crate::atrest::{account, each_message, total};
use crate::cli::MailFormat;
use crate::console::Console;
use crate::mailfiles::{FromQuoter, flag_letters, from_line};
use anyhow::Result;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{AccountId, Content, Message, MessageId, Store};

fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Writes the mail of an account: a Maildir for each mailbox, or one mbox file that is called `to`.
pub(crate) fn export(
    store: &Store,
    format: MailFormat,
    name: &str,
    to: &str,
    console: &mut dyn Console,
) -> Result<()> {
    let id = account(store, name)?;
    let mailboxes = store.mailboxes(id)?;
    let all: u64 = mailboxes.iter().map(total).sum();
    let mut done = 0;
    if format == MailFormat::Mbox {
        console.file(to)?;
    }
    for mailbox in &mailboxes {
        let folder = folder_name(&mailbox.name);
        if format == MailFormat::Maildir {
            for part in ["cur/", "new/", "tmp/"] {
                console.file(&format!("{folder}/{part}"))?;
            }
        }
        each_message(store, id, mailbox, |message| {
            if let Some(content) = Exported::open(store, id, &message)? {
                match format {
                    MailFormat::Maildir => export_maildir(&folder, &message, content, console)?,
                    MailFormat::Mbox => export_mbox(&message, content, console)?,
                }
            }
            done += 1;
            console.progress(done, all)
        })?;
    }
    console.file("")
}

/// The folder for a mailbox. A level that a file system reads as a way, here or up, is not one of those; a `%` is in
/// no mailbox's name, so no two mailboxes share a folder.
fn folder_name(mailbox: &str) -> String {
    let level = |level: &str| match level {
        "." | ".." => level.replace('.', "%2E"),
        _ => level.to_owned(),
    };
    mailbox.split('/').map(level).collect::<Vec<_>>().join("/")
}

/// The content of a message that somebody may remove meanwhile: it ends there.
struct Exported<'a> {
    store: &'a Store,
    account: AccountId,
    id: MessageId,
    content: Content,
}

impl<'a> Exported<'a> {
    /// None if it is gone already.
    fn open(store: &'a Store, account: AccountId, message: &Message) -> Result<Option<Self>> {
        let opened = store.content(message);
        let content = unless_removed(store, account, message.id, opened)?;
        Ok(content.map(|content| Self { store, account, id: message.id, content }))
    }

    /// Gives its octets to `to`, piece by piece.
    fn pour(mut self, mut to: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        loop {
            let read = self.content.next_piece();
            match unless_removed(self.store, self.account, self.id, read)?.flatten() {
                Some(piece) => to(&piece)?,
                None => return Ok(()),
            }
        }
    }
}

/// What was read of a message. That it could not be read is no failure if the message is there no more.
fn unless_removed<T>(
    store: &Store,
    account: AccountId,
    id: MessageId,
    read: store::Result<T>,
) -> Result<Option<T>> {
    match read {
        Err(_) if store.message(account, id)?.is_none() => Ok(None),
        read => Ok(Some(read?)),
    }
}

fn export_maildir(
    folder: &str,
    message: &Message,
    content: Exported<'_>,
    console: &mut dyn Console,
) -> Result<()> {
    let flags: Vec<&str> = message.facts.flags.names().collect();
    let time = unix(message.facts.received);
    let letters = flag_letters(&flags);
    console.file(&format!("{folder}/cur/{time}.M{}.moxd:2,{letters}", message.id.get()))?;
    content.pour(|piece| console.write_file(piece))
}

fn export_mbox(message: &Message, content: Exported<'_>, console: &mut dyn Console) -> Result<()> {
    let mut out = from_line(&message.facts.origin.mail_from, unix(message.facts.received)).into_bytes();
    let mut quoter = FromQuoter::new();
    let mut last = 0;
    content.pour(|piece| {
        quoter.push(piece, &mut out);
        last = piece.last().copied().unwrap_or(last);
        console.write_file(&out)?;
        out.clear();
        Ok(())
    })?;
    quoter.finish(&mut out);
    // The form wants an empty line after each message, which has to end its last line first.
    out.extend_from_slice(if last == b'\n' { b"\n" } else { b"\n\n" });
    console.write_file(&out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Incoming, Local, NoSource};
    use std::fs;
    use store::{Facts, NewMessage};

    /// Everything into one piece of text; removes a message when the first file with mail in it begins.
    struct Removing<'a> {
        store: &'a Store,
        victim: Option<(AccountId, MessageId)>,
        written: String,
    }

    impl Console for Removing<'_> {
        fn write(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn progress(&mut self, _: u64, _: u64) -> Result<()> {
            Ok(())
        }

        fn file(&mut self, _: &str) -> Result<()> {
            Ok(())
        }

        fn write_file(&mut self, bytes: &[u8]) -> Result<()> {
            self.written.push_str(std::str::from_utf8(bytes)?);
            if let Some((account, message)) = self.victim.take() {
                let mut transaction = self.store.transaction(UNIX_EPOCH);
                transaction.remove(account, message);
                self.store.commit(transaction).wait()?;
            }
            Ok(())
        }

        fn next(&mut self) -> Result<Option<Incoming>> {
            Ok(None)
        }

        fn read(&mut self, _: &mut [u8]) -> Result<usize> {
            Ok(0)
        }
    }

    /// A store with messages of these texts in mailboxes of these names.
    fn with(messages: &[(&str, &str)]) -> (Store, AccountId, Vec<MessageId>) {
        let store = Store::memory();
        let account = store.open_account("mox", store::INITIAL_MAILBOXES, UNIX_EPOCH).wait().unwrap();
        let deliver = |(mailbox, text): &(&str, &str)| {
            let mut body = store.body_writer();
            body.write(text.as_bytes()).wait().unwrap();
            let mut transaction = store.transaction(UNIX_EPOCH);
            transaction.deliver(account, mailbox, NewMessage::new(Facts::new(UNIX_EPOCH)), &body.finish());
            store.commit(transaction).wait().unwrap().delivered[0].id
        };
        let ids = messages.iter().map(deliver).collect();
        (store, account, ids)
    }

    #[test]
    fn a_message_that_is_removed_meanwhile_is_left_out() {
        for format in [MailFormat::Mbox, MailFormat::Maildir] {
            let texts = [("Inbox", "first\r\n"), ("Inbox", "second\r\n"), ("Inbox", "third\r\n")];
            let (store, account, ids) = with(&texts);
            let mut console =
                Removing { store: &store, victim: Some((account, ids[1])), written: String::new() };
            export(&store, format, "mox", "mbox", &mut console).unwrap();
            let written = console.written;
            assert!(written.contains("first") && written.contains("third"), "{written}");
            assert!(!written.contains("second"), "{written}");
        }
    }

    #[test]
    fn no_mailbox_leads_out_of_the_folder_or_into_another() {
        let names = ["../../x", "..", "a/../b", "a/./b", "a/b", ".", "...", "%2E"];
        let texts = names.iter().filter(|name| store::mailbox_name(name).is_ok());
        let texts: Vec<_> = texts.map(|name| (*name, *name)).collect();
        assert_eq!(texts.len(), names.len() - 1, "a `%` is in no name");
        let (store, _, _) = with(&texts);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("one/two/out");
        export(&store, MailFormat::Maildir, "mox", "", &mut Local::new(&out, NoSource)).unwrap();
        let folders = ["%2E%2E/%2E%2E/x", "%2E%2E", "a/%2E%2E/b", "a/%2E/b", "a/b", "%2E", "..."];
        for (folder, (_, text)) in folders.iter().zip(&texts) {
            let files: Vec<_> = fs::read_dir(out.join(folder).join("cur")).unwrap().collect();
            assert_eq!(files.len(), 1, "{folder}");
            assert_eq!(fs::read_to_string(files[0].as_ref().unwrap().path()).unwrap(), *text);
        }
        for (parent, only) in [("", "one"), ("one", "two"), ("one/two", "out")] {
            let names =
                fs::read_dir(dir.path().join(parent)).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(names.collect::<Vec<_>>(), [only]);
        }
    }
}
