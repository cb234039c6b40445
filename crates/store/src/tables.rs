//! Where every row lives: the first octet of a key names its table, numbers follow most significant octet first.
//!
//! Tables 0 and 1 belong to the engines (bodies, tokens); [`Table`]s of others begin at 0x80.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    account::AccountId,
    mailbox::MailboxId,
    message::{MessageId, Uid},
};

/// name → account number
pub(crate) const ACCOUNT_NAMES: u8 = 0x02;
/// account → [`crate::account::AccountRow`]
pub(crate) const ACCOUNTS: u8 = 0x03;
/// account, mailbox → [`crate::mailbox::Mailbox`]
pub(crate) const MAILBOXES: u8 = 0x04;
/// account, mailbox, uid → message record
pub(crate) const MESSAGES: u8 = 0x05;
/// account, message id → mailbox, uid
pub(crate) const MESSAGE_IDS: u8 = 0x06;
/// account, index kind, value, received, message id → nothing
pub(crate) const INDEX: u8 = 0x07;
/// account → credentials
pub(crate) const CREDENTIALS: u8 = 0x08;
/// name → secret octets
pub(crate) const SECRETS: u8 = 0x09;
/// account, recipient → when first sent to
pub(crate) const RECIPIENTS: u8 = 0x0a;
/// account, time, number → recipient
pub(crate) const OUTGOING: u8 = 0x0b;
/// the row that guards the numbers of accounts
pub(crate) const NEXT_ACCOUNT: &[u8] = &[0x0c];

/// A table of rows that the store keeps for others: queue records, word counts, caches.
///
/// Its rows take part in transactions; what keys and values mean is the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(u8);

impl Table {
    /// Queue records.
    pub const QUEUE: Table = Table(0x80);
    /// What is due when.
    pub const QUEUE_DUE: Table = Table(0x81);
    /// Junk filter word counts.
    pub const WORDS: Table = Table(0x82);
    /// Policies and other things learned from DNS and HTTPS.
    pub const CACHE: Table = Table(0x83);
    /// Observations for reports.
    pub const REPORTS: Table = Table(0x84);

    /// The key under which the engine has the row `key` of this table.
    pub(crate) fn key(self, key: &[u8]) -> Vec<u8> {
        let mut full = Vec::with_capacity(key.len() + 1);
        full.push(self.0);
        full.extend_from_slice(key);
        full
    }
}

/// Builds a key: a table, an account, then what follows.
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn of(table: u8, account: AccountId) -> Key {
        let mut key = Vec::with_capacity(48);
        key.push(table);
        key.extend_from_slice(&account.get().to_be_bytes());
        Key(key)
    }

    pub(crate) fn mailbox(mut self, id: MailboxId) -> Key {
        self.0.extend_from_slice(&id.get().to_be_bytes());
        self
    }

    pub(crate) fn uid(mut self, uid: Uid) -> Key {
        self.0.extend_from_slice(&uid.get().to_be_bytes());
        self
    }

    pub(crate) fn message(mut self, id: MessageId) -> Key {
        self.0.extend_from_slice(&id.get().to_be_bytes());
        self
    }

    pub(crate) fn time(mut self, millis: u64) -> Key {
        self.0.extend_from_slice(&millis.to_be_bytes());
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Key {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The key of a name in a table of names.
pub(crate) fn named(table: u8, name: &str) -> Vec<u8> {
    [&[table], name.as_bytes()].concat()
}

/// A property of messages by which they are found, newest or oldest first.
///
/// Spec of the record: masked addresses, names that vouched, Message-ID, base subject, mailbox, each with time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Index<'a> {
    /// Received in this mailbox.
    Mailbox(MailboxId),
    /// From the same address: /32 or /64.
    Ip(IpAddr),
    /// From the same network: /26 or /48.
    Net(IpAddr),
    /// From the same wide network: /21 or /32.
    WideNet(IpAddr),
    /// The EHLO domain.
    Ehlo(&'a str),
    /// The domain of MAIL FROM.
    MailFrom(&'a str),
    /// The domain of the From header.
    From(&'a str),
    /// The organizational domain of the From header.
    FromOrganization(&'a str),
    /// A domain whose DKIM signature was verified.
    Dkim(&'a str),
    /// The canonical Message-ID.
    MessageId(&'a str),
    /// The base subject.
    Subject(&'a str),
}

/// Octets of a text that an index keeps; messages that agree so far are told apart by their records.
const INDEXED_TEXT: usize = 255;

impl Index<'_> {
    /// The beginning of all keys of this value, up to the time.
    pub(crate) fn prefix(&self, account: AccountId) -> Vec<u8> {
        let key = Key::of(INDEX, account);
        match self {
            Index::Mailbox(id) => key.bytes(&[1]).mailbox(*id).done(),
            Index::Ip(ip) => masked(key.bytes(&[2]), *ip, 32, 64),
            Index::Net(ip) => masked(key.bytes(&[3]), *ip, 26, 48),
            Index::WideNet(ip) => masked(key.bytes(&[4]), *ip, 21, 32),
            Index::Ehlo(text) => indexed(key.bytes(&[5]), text),
            Index::MailFrom(text) => indexed(key.bytes(&[6]), text),
            Index::From(text) => indexed(key.bytes(&[7]), text),
            Index::FromOrganization(text) => indexed(key.bytes(&[8]), text),
            Index::Dkim(text) => indexed(key.bytes(&[9]), text),
            Index::MessageId(text) => indexed(key.bytes(&[10]), text),
            Index::Subject(text) => indexed(key.bytes(&[11]), text),
        }
    }
}

/// A text that ends where the time begins: a zero octet, which the text itself cannot have.
fn indexed(key: Key, text: &str) -> Vec<u8> {
    let mut key = key.done();
    key.extend(text.bytes().take(INDEXED_TEXT).map(|b| if b == 0 { b'?' } else { b }));
    key.push(0);
    key
}

/// An address of which only the first `v4` or `v6` bits are kept; mapped IPv4 is IPv4.
fn masked(key: Key, ip: IpAddr, v4: u32, v6: u32) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let bits = ip.to_bits() & u32::MAX.checked_shl(32 - v4).unwrap_or(0);
            key.bytes(&[4]).bytes(&bits.to_be_bytes()).done()
        }
        IpAddr::V6(ip) => {
            let bits = ip.to_bits() & u128::MAX.checked_shl(128 - v6).unwrap_or(0);
            key.bytes(&[6]).bytes(&bits.to_be_bytes()).done()
        }
    }
}

/// Milliseconds since 1970, the form in which all times are stored; earlier times count as 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// The time of stored milliseconds.
pub(crate) fn from_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_addresses() {
        let account = AccountId::from_u32(1);
        let prefix = |ip: &str, f: fn(IpAddr) -> Index<'static>| f(ip.parse().unwrap()).prefix(account);
        assert_eq!(prefix("192.0.2.1", Index::Net), prefix("192.0.2.63", Index::Net));
        assert_ne!(prefix("192.0.2.1", Index::Net), prefix("192.0.2.64", Index::Net));
        assert_eq!(prefix("192.0.2.1", Index::WideNet), prefix("192.0.7.255", Index::WideNet));
        assert_ne!(prefix("192.0.2.1", Index::Ip), prefix("192.0.2.2", Index::Ip));
        assert_eq!(prefix("::ffff:192.0.2.1", Index::Ip), prefix("192.0.2.1", Index::Ip));
        assert_eq!(prefix("2001:db8::1", Index::Ip), prefix("2001:db8::ffff:1", Index::Ip));
        assert_ne!(prefix("2001:db8:0:1::1", Index::Ip), prefix("2001:db8::1", Index::Ip));
        assert_eq!(prefix("2001:db8:0:1::1", Index::Net), prefix("2001:db8::1", Index::Net));
    }

    #[test]
    fn keeps_one_value_apart_from_a_longer_one() {
        let account = AccountId::from_u32(1);
        assert!(!Index::From("a.test.b").prefix(account).starts_with(&Index::From("a.test").prefix(account)));
        assert_eq!(Index::Subject("a\0b").prefix(account), Index::Subject("a?b").prefix(account));
    }
}
