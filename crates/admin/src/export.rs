//! Export: writes the mail of an account as Maildirs or an mbox file, while clients may remove messages.

use crate::at_rest::account;
use crate::console::{Console, ExportFile, ExportWriter};
use crate::lists::{each_message, total};
use crate::request::MailFormat;
use crate::summary::{Summary, Way};
use anyhow::Result;
use mailfiles::maildir::{KEYWORDS_FILE, Keywords, file_name, folder_of};
use mailfiles::{Flag, Flags, LfWriter, mbox};
use std::io::{BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};
use store::{AccountId, Content, Message, MessageId, Store};

/// The name of an mbox file that stands for standard output.
pub const STDOUT: &str = "-";
/// Bytes of an mbox that are written to the console together.
const PIECE: usize = 1 << 16;

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Writes the mail of an account: a Maildir for each mailbox, or one mbox file that is called `to`.
pub(crate) fn export(
    store: &Store,
    format: MailFormat,
    name: &str,
    to: &str,
    json: bool,
    console: &mut dyn Console,
) -> Result<()> {
    let id = account(store, name)?;
    let mailboxes = store.mailboxes(id)?;
    let all: u64 = mailboxes.iter().map(total).sum();
    let (mut done, mut summary) = (0, Summary::new(Way::Out));
    if format == MailFormat::Mbox {
        console.file(Some(&ExportFile { name: to.to_owned(), modified: 0 }))?;
    }
    for mailbox in &mailboxes {
        let (path, keywords) = (folder_of(&mailbox.name), Keywords::default());
        let mut folder = Folder { path, keywords, without_keywords: 0 };
        if format == MailFormat::Maildir {
            folder.begin(console)?;
        }
        summary.add(&mailbox.name, 0);
        each_message(store, id, mailbox, |message| {
            if let Some(content) = Exported::open(store, id, &message)? {
                match format {
                    MailFormat::Maildir => folder.write(&message, content, console)?,
                    MailFormat::Mbox => write_mbox(&message, content, console)?,
                }
                summary.add(&mailbox.name, 1);
            } else {
                summary.remarks.skip("removed meanwhile");
            }
            done += 1;
            console.progress(done, all)
        })?;
        if format == MailFormat::Maildir {
            folder.end(console)?;
            summary.without_keywords += folder.without_keywords;
        }
    }
    console.file(None)?;
    // The mbox itself is on standard output then.
    if to == STDOUT { Ok(()) } else { summary.print(json, console) }
}

/// The flags and keywords of a message, as the files name them.
fn flags_of(message: &Message) -> Flags {
    let known = message.facts.flags.names().filter_map(Flag::from_name).collect();
    let mut flags = Flags { known, ..Flags::default() };
    message.facts.keywords.iter().for_each(|word| flags.add_keyword(word));
    flags
}

/// The content of a message. It ends early if the message is removed meanwhile.
struct Exported<'a> {
    store: &'a Store,
    account: AccountId,
    id: MessageId,
    content: Content,
}

impl<'a> Exported<'a> {
    /// None if the message was removed already.
    fn open(store: &'a Store, account: AccountId, message: &Message) -> Result<Option<Self>> {
        let opened = store.content(message);
        let content = unless_removed(store, account, message.id, opened)?;
        Ok(content.map(|content| Self { store, account, id: message.id, content }))
    }

    /// Gives the content to `to`, piece by piece.
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

/// Turns a failed read into None if the message does not exist any more.
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

/// A Maildir that is being written.
struct Folder {
    path: String,
    keywords: Keywords,
    /// How many messages have keywords for which no letter was left.
    without_keywords: u64,
}

impl Folder {
    fn begin(&self, console: &mut dyn Console) -> Result<()> {
        ["cur/", "new/", "tmp/"].iter().try_for_each(|part| {
            console.file(Some(&ExportFile { name: format!("{}/{part}", self.path), modified: 0 }))
        })
    }

    fn write(&mut self, message: &Message, content: Exported<'_>, console: &mut dyn Console) -> Result<()> {
        let received = unix(message.facts.received);
        let time = i64::try_from(received).unwrap_or(i64::MAX);
        let flags = flags_of(message);
        let name = file_name(time, message.id.get(), &flags, &mut self.keywords);
        self.without_keywords += u64::from(!self.keywords.has_all(&flags));
        console.file(Some(&ExportFile { name: format!("{}/cur/{name}", self.path), modified: received }))?;
        let mut file = LfWriter::new(ExportWriter(console));
        content.pour(|piece| Ok(file.write_all(piece)?))?;
        file.finish()?;
        Ok(())
    }

    fn end(&self, console: &mut dyn Console) -> Result<()> {
        let keywords = self.keywords.file();
        if !keywords.is_empty() {
            console
                .file(Some(&ExportFile { name: format!("{}/{KEYWORDS_FILE}", self.path), modified: 0 }))?;
            console.write_file(keywords.as_bytes())?;
        }
        Ok(())
    }
}

fn write_mbox(message: &Message, content: Exported<'_>, console: &mut dyn Console) -> Result<()> {
    let received = i64::try_from(unix(message.facts.received)).unwrap_or(i64::MAX);
    let mut file = mbox::Writer::new(BufWriter::with_capacity(PIECE, ExportWriter(console)));
    file.begin(&message.facts.origin.mail_from, received, &flags_of(message))?;
    content.pour(|piece| Ok(file.content(piece)?))?;
    file.end()?;
    Ok(file.into_inner().flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Local, NoSource};
    use crate::recording::Recording;
    use std::fs;
    use store::{Facts, NewMessage};

    /// Makes a store with one message for each mailbox and text.
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
            let remove = || {
                let mut transaction = store.transaction(UNIX_EPOCH);
                transaction.remove(account, ids[1]);
                store.commit(transaction).wait().unwrap();
            };
            let mut console = Recording { after_write: Some(Box::new(remove)), ..Recording::default() };
            export(&store, format, "mox", "mbox", false, &mut console).unwrap();
            let printed = String::from_utf8(console.printed.concat()).unwrap();
            let written = String::from_utf8(std::mem::take(&mut console.files)).unwrap();
            assert_eq!(printed, "2 messages of 6 mailboxes exported; 1 skipped: removed meanwhile (1)\n");
            assert!(written.contains("first") && written.contains("third"), "{written}");
            assert!(!written.contains("second"), "{written}");
        }
    }

    #[test]
    fn no_mailbox_leads_out_of_the_folder_or_into_another() {
        let long = "x".repeat(300);
        let names = ["../../x", "..", "a/../b", "a/./b", "a/b", ".", "...", "a/cur", &long, "%2E"];
        let texts = names.iter().filter(|name| store::mailbox_name(name).is_ok());
        let texts: Vec<_> = texts.map(|name| (*name, *name)).collect();
        assert_eq!(texts.len(), names.len() - 1, "a `%` is in no name");
        let (store, _, _) = with(&texts);
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("one/two/out");
        export(&store, MailFormat::Maildir, "mox", "", false, &mut Local::new(&out, NoSource)).unwrap();
        let long = format!("{}%/%{}", "x".repeat(253), "x".repeat(47));
        let folders =
            ["%2E./%2E./x", "%2E.", "a/%2E./b", "a/%2E/b", "a/b", "%2E", "%2E..", "a/%63ur", long.as_str()];
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
