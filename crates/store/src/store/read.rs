//! Reading: accounts, mailboxes, messages and their content.

use std::{
    io::{self, Read},
    time::SystemTime,
};

use bytes::Bytes;

use super::{FEW_STEPS, Store, found_by::indexed_message, prefetch, rows};
use crate::{
    account::AccountId,
    credentials::Credentials,
    engine::{BodyReader, Direction, KeyRange},
    error::{Error, ErrorKind, Result},
    mailbox::{Mailbox, MailboxId, mailbox_name},
    message::{self, Message, MessageId, Row, Uid},
    pending::off_runtime,
    tables::{self, Index, Key, Table, millis},
};

/// The most rows that one call returns (our own limit).
pub const MAX_PAGE: usize = 1000;

/// The most rows of an index that one search reads (our own limit).
const MAX_SEARCHED: usize = 10 * MAX_PAGE;
/// The fewest rows of an index that are read at once: small limits must not mean many reads.
const MIN_PAGE: usize = 100;

impl Store {
    /// Returns the number of the account of this name.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn account(&self, name: &str) -> Result<Option<AccountId>> {
        let names = &self.0.names;
        if let Some(id) = names.lock().get(name) {
            return Ok(Some(*id));
        }
        let found = rows::account(self.engine(), name)?;
        if let Some(id) = found {
            names.lock().insert(name.to_owned(), id);
        }
        Ok(found)
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn accounts(&self) -> Result<Vec<(String, AccountId)>> {
        rows::accounts(self.engine())
    }

    /// All mailboxes of an account, in the order of their creation.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        rows::mailboxes(self.engine(), account)
    }

    /// A mailbox by name.
    ///
    /// # Errors
    /// `BadName`, `Damaged` or `Failed`.
    pub fn mailbox(&self, account: AccountId, name: &str) -> Result<Option<Mailbox>> {
        let name = mailbox_name(name)?;
        Ok(self.mailboxes(account)?.into_iter().find(|m| m.name == name))
    }

    /// Rows of a mailbox by UID, removed messages included: those after `after`, up to `limit` and [`MAX_PAGE`]. If there
    /// are fewer, the mailbox has no more.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn messages(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        after: Option<Uid>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let prefix = Key::of(tables::MESSAGES, account).mailbox(mailbox).done();
        let mut range = KeyRange::prefix(&prefix);
        if let Some(uid) = after {
            range.start = [&prefix[..], &uid.get().to_be_bytes(), &[0]].concat();
        }
        let page = self.engine().range(&range, Direction::Forward, limit.min(MAX_PAGE))?;
        page.rows
            .iter()
            .map(|(key, raw)| {
                let uid = key.last_chunk::<4>().map(|uid| Uid::from_u32(u32::from_be_bytes(*uid)));
                uid.and_then(|uid| message::decode(mailbox, uid, raw))
                    .ok_or_else(|| Error::new(ErrorKind::Damaged, tables::row_name(key)))
            })
            .collect()
    }

    /// A message by its permanent number; `None` when there is none, or it was removed.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn message(&self, account: AccountId, id: MessageId) -> Result<Option<Message>> {
        Ok(prefetch::find(self.engine(), account, id)?.map(|stored| stored.message))
    }

    /// Messages by a property, newest first: up to `limit` of those received (or, for recipients, sent) at or after
    /// `since`.
    ///
    /// Of a very busy network or organization, only the newest 10,000 messages are searched.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn find(
        &self,
        account: AccountId,
        index: &Index<'_>,
        since: SystemTime,
        limit: usize,
    ) -> Result<Vec<MessageId>> {
        let prefix = index.prefix(account);
        let mut range = KeyRange::prefix(&prefix);
        range.start = [&prefix[..], &millis(since).to_be_bytes()].concat();
        let mut found = Vec::new();
        let mut searched = 0;
        // Most searches find enough in one small page; the pages grow for those that do not.
        let mut size = limit.clamp(MIN_PAGE, MAX_PAGE);
        while searched < MAX_SEARCHED {
            let page = self.engine().range(&range, Direction::Backward, size.min(MAX_SEARCHED - searched))?;
            searched += page.rows.len();
            size = MAX_PAGE;
            for (key, _) in page.rows.iter().filter(|(_, value)| index.matches(value)) {
                found.extend(indexed_message(key));
            }
            match page.rows.last() {
                Some((last, _)) if page.more && found.len() < limit => range.end = Some(last.to_vec()),
                _ => break,
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The whole content of a message: our prefix, then what was received.
    ///
    /// # Errors
    /// `NoBody`, `Damaged` or `Failed`.
    pub fn content(&self, message: &Message) -> Result<Content> {
        let prefix = match message.prefix {
            Some(part) => Some(self.body(part.body)?),
            None => None,
        };
        Ok(Content { prefix, body: self.body(message.body.body)? })
    }

    /// The account's credentials, if it has any.
    ///
    /// # Errors
    /// `Damaged`, `Version` or `Failed`.
    pub fn credentials(&self, account: AccountId) -> Result<Option<Credentials>> {
        match self.engine().get(&Key::of(tables::CREDENTIALS, account).done())? {
            None => Ok(None),
            Some(raw) => Credentials::decode(&raw)
                .map(Some)
                .ok_or_else(|| Error::new(ErrorKind::Damaged, format!("credentials of {}", account.get()))),
        }
    }

    /// A row of a table.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        self.engine().get(&table.key(key))
    }

    /// The rows of a table with these keys, in their order. For more than a few keys the calling worker hands its other tasks to
    /// another thread first.
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn get_many(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>> {
        let read = || keys.iter().map(|key| self.get(table, key)).collect();
        if keys.len() > FEW_STEPS { off_runtime(read) } else { read() }
    }

    /// Rows of a table whose keys begin with `prefix`, after the key `after`, up to `limit` and [`MAX_PAGE`].
    ///
    /// # Errors
    /// `Damaged` or `Failed`.
    pub fn scan(
        &self,
        table: Table,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        let mut range = KeyRange::prefix(&table.key(prefix));
        if let Some(after) = after {
            range.start = table.key(after);
            range.start.push(0);
        }
        let page = self.engine().range(&range, Direction::Forward, limit.min(MAX_PAGE))?;
        Ok(page.rows.into_iter().map(|(key, value)| (key.slice(1..), value)).collect())
    }
}

/// Reads a message's content from its beginning.
#[derive(Debug)]
pub struct Content {
    prefix: Option<BodyReader>,
    body: BodyReader,
}

impl Content {
    /// The size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.body.len() + self.prefix.as_ref().map_or(0, BodyReader::len)
    }

    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next bytes, up to 256 KiB; `None` at the end.
    ///
    /// # Errors
    /// As for [`BodyReader::next_piece`].
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if let Some(prefix) = &mut self.prefix
            && let Some(piece) = prefix.next_piece()?
        {
            return Ok(Some(piece));
        }
        self.body.next_piece()
    }
}

impl Read for Content {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(prefix) = &mut self.prefix {
            let n = prefix.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
        }
        self.body.read(buf)
    }
}
