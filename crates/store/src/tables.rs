//! The keys of all rows: the first byte names the table, numbers follow with the most significant byte first.
//!
//! Tables 0 and 1 belong to the engine (bodies, tokens); the [`Table`]s of other crates begin at 0x80.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    account::AccountId,
    codec::{Reader, put_bytes},
    mailbox::MailboxId,
    message::{MessageId, Recipient, Uid},
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
/// account, index kind, value, received, message id → what distinguishes messages that share the value
pub(crate) const INDEX: u8 = 0x07;
/// account → credentials
pub(crate) const CREDENTIALS: u8 = 0x08;
/// name → secret bytes
pub(crate) const SECRETS: u8 = 0x09;
/// [`Table::RECIPIENTS`]
const RECIPIENTS: u8 = 0x0a;
/// [`Table::OUTGOING`]
const OUTGOING: u8 = 0x0b;
/// the row that guards the numbers of accounts: see [`crate::account::encode_next_account`]
pub(crate) const NEXT_ACCOUNT: &[u8] = &[0x0c];

/// A table of rows that the store keeps for other crates: queue records, word counts, caches.
///
/// Its rows take part in transactions; their owner decides what keys and values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(u8);

impl Table {
    /// Recipients that an account has sent to: account, recipient → when first.
    pub const RECIPIENTS: Table = Table(RECIPIENTS);
    /// Submissions of an account in the last 24 hours: account, time, number → whether the first to its recipient, recipient.
    pub const OUTGOING: Table = Table(OUTGOING);
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
    /// Which ledger may change what an account has sent: account → the ledger's name.
    pub const OUTGOING_OWNERS: Table = Table(0x85);

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

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// The key of a name in a table of names.
pub(crate) fn named(table: u8, name: &str) -> Vec<u8> {
    [&[table], name.as_bytes()].concat()
}

/// A property of messages by which they are found, newest first.
///
/// Related properties share their rows, because each row costs every delivery something: messages from a network are
/// found among those from the wide network, those of a domain among those of its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Index<'a> {
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
    /// The domain of the From header, and its organizational domain.
    From {
        /// The domain itself.
        domain: &'a str,
        /// The organizational domain, as it was stored with the message.
        organization: &'a str,
    },
    /// The organizational domain of the From header.
    FromOrganization(&'a str),
    /// A domain whose DKIM signature was verified.
    Dkim(&'a str),
    /// The canonical Message-ID.
    MessageId(&'a str),
    /// The base subject.
    Subject(&'a str),
    /// A recipient of sent mail. Found by the time of sending.
    SentTo(&'a Recipient),
    /// The domain of a recipient of sent mail, and its organizational domain.
    SentToDomain {
        /// The domain itself.
        domain: &'a str,
        /// The organizational domain.
        organization: &'a str,
    },
    /// The organizational domain of a recipient of sent mail.
    SentToOrganization(&'a str),
}

/// Bytes of a text that an index keeps. Messages whose texts agree up to there differ in their records alone.
const INDEXED_TEXT: usize = 255;

/// The network sizes of the three classes of addresses, for IPv4 and IPv6.
const IP: (u32, u32) = (32, 64);
const NET: (u32, u32) = (26, 48);
const WIDE_NET: (u32, u32) = (21, 32);

impl Index<'_> {
    /// The keys of all messages that may have the property begin with this; the time follows.
    pub(crate) fn prefix(&self, account: AccountId) -> Vec<u8> {
        let mut key = Key::of(INDEX, account).done();
        match self {
            Index::Ip(ip) | Index::Net(ip) | Index::WideNet(ip) => {
                key.push(1);
                key.extend_from_slice(&masked(*ip, WIDE_NET));
            }
            Index::Ehlo(text) => put_text(&mut key, 2, text),
            Index::MailFrom(text) => put_text(&mut key, 3, text),
            Index::From { domain, organization: "" } => put_text(&mut key, 4, domain),
            Index::From { organization: text, .. } | Index::FromOrganization(text) => {
                put_text(&mut key, 4, text);
            }
            Index::Dkim(text) => put_text(&mut key, 5, text),
            Index::MessageId(text) => put_text(&mut key, 6, text),
            Index::Subject(text) => put_text(&mut key, 7, text),
            Index::SentTo(recipient) => put_text(&mut key, 8, &recipient.org_domain),
            Index::SentToDomain { organization: text, .. } | Index::SentToOrganization(text) => {
                put_text(&mut key, 8, text);
            }
        }
        key
    }

    /// The value of the row: what distinguishes messages that share a prefix.
    pub(crate) fn value(&self) -> Vec<u8> {
        match self {
            Index::Ip(ip) | Index::Net(ip) | Index::WideNet(ip) => masked(*ip, IP),
            Index::From { domain, .. } => domain.bytes().take(INDEXED_TEXT).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a message whose row has this value has the property.
    pub(crate) fn matches(&self, value: &[u8]) -> bool {
        let same =
            |ip: IpAddr, mask| unmasked(value).is_some_and(|found| masked(found, mask) == masked(ip, mask));
        match self {
            Index::Ip(ip) => same(*ip, IP),
            Index::Net(ip) => same(*ip, NET),
            Index::From { .. } => self.value() == value,
            Index::SentTo(Recipient { localpart, domain, .. }) => {
                sent_to(value).any(|(l, d)| (l, d) == (localpart.as_bytes(), domain.as_bytes()))
            }
            Index::SentToDomain { domain, .. } => sent_to(value).any(|(_, d)| d == domain.as_bytes()),
            _ => true,
        }
    }
}

/// The value of a row of sent mail: its recipients of one organization.
pub(crate) fn put_sent_to(value: &mut Vec<u8>, recipient: &Recipient) {
    put_bytes(value, recipient.localpart.as_bytes());
    put_bytes(value, recipient.domain.as_bytes());
}

/// Local parts and domains in such a value.
fn sent_to(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(value);
    std::iter::from_fn(move || Some((reader.bytes()?, reader.bytes()?)))
}

/// Appends a text with a zero byte behind it, so that no text is the beginning of another; zeros within become `?`.
fn put_text(key: &mut Vec<u8>, kind: u8, text: &str) {
    key.push(kind);
    key.extend(text.bytes().take(INDEXED_TEXT).map(|b| if b == 0 { b'?' } else { b }));
    key.push(0);
}

/// The family of an address and its first `v4` or `v6` bits, the rest zero. Mapped IPv4 counts as IPv4.
fn masked(ip: IpAddr, (v4, v6): (u32, u32)) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let bits = ip.to_bits() & u32::MAX.checked_shl(32 - v4).unwrap_or(0);
            [&[4], &bits.to_be_bytes()[..]].concat()
        }
        IpAddr::V6(ip) => {
            let bits = ip.to_bits() & u128::MAX.checked_shl(128 - v6).unwrap_or(0);
            [&[6], &bits.to_be_bytes()[..]].concat()
        }
    }
}

/// The address that [`masked`] has encoded.
fn unmasked(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.split_first()? {
        (4, rest) => <[u8; 4]>::try_from(rest).ok().map(IpAddr::from),
        (6, rest) => <[u8; 16]>::try_from(rest).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Describes a row by its key, for people. Names are escaped, because strangers may have chosen them.
pub(crate) fn row_name(key: &[u8]) -> String {
    let Some((table, rest)) = key.split_first() else { return "a row without a key".to_owned() };
    let text = |bytes: &[u8]| format!("{:?}", String::from_utf8_lossy(bytes));
    let number =
        |at: usize| rest.get(at..at + 4).and_then(|n| n.try_into().ok()).map_or(0, u32::from_be_bytes);
    let message = rest.last_chunk().map_or(0, |id| u64::from_be_bytes(*id));
    let account = format!("account number {}", number(0));
    match *table {
        0 => format!("the row of body {message}"),
        1 => "the row of a token".to_owned(),
        ACCOUNT_NAMES => format!("the name {} of an account", text(rest)),
        ACCOUNTS => format!("the row of {account}"),
        MAILBOXES => format!("the row of mailbox number {} of {account}", number(4)),
        MESSAGES => format!("the record of uid {}, mailbox number {}, {account}", number(8), number(4)),
        MESSAGE_IDS | INDEX => format!("{} of message {message}, {account}", found_by(key)),
        CREDENTIALS => format!("the credentials of {account}"),
        SECRETS => format!("the secret {}", text(rest)),
        RECIPIENTS | OUTGOING => format!("what {account} has sent"),
        _ if key == NEXT_ACCOUNT => "the number of the next account".to_owned(),
        table => format!("row {} of table {table}", text(rest)),
    }
}

/// By which property a row of this key finds a message.
pub(crate) fn found_by(key: &[u8]) -> &'static str {
    match (key.first(), key.get(5)) {
        (Some(&MESSAGE_IDS), _) => "the number",
        (Some(&INDEX), Some(1)) => "the client's address",
        (Some(&INDEX), Some(2)) => "the EHLO domain",
        (Some(&INDEX), Some(3)) => "the domain of MAIL FROM",
        (Some(&INDEX), Some(4)) => "the domain of From",
        (Some(&INDEX), Some(5)) => "the DKIM domain",
        (Some(&INDEX), Some(6)) => "the Message-ID",
        (Some(&INDEX), Some(7)) => "the subject",
        (Some(&INDEX), Some(8)) => "the recipients",
        _ => "an unknown property",
    }
}

/// Milliseconds since 1970, as all times are stored; earlier times become 0.
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
    fn tells_networks_apart() {
        #[track_caller]
        fn check(stored: &str, asked: &str, expected: [bool; 3]) {
            let [stored, asked]: [IpAddr; 2] = [stored, asked].map(|ip| ip.parse().unwrap());
            let account = AccountId::from_u32(1);
            let row = Index::Ip(stored);
            let found = [Index::Ip(asked), Index::Net(asked), Index::WideNet(asked)]
                .map(|index| index.prefix(account) == row.prefix(account) && index.matches(&row.value()));
            assert_eq!(found, expected, "{stored} {asked}");
        }
        check("192.0.2.1", "192.0.2.1", [true, true, true]);
        check("192.0.2.1", "192.0.2.63", [false, true, true]);
        check("192.0.2.1", "192.0.2.64", [false, false, true]);
        check("192.0.2.1", "192.0.7.255", [false, false, true]);
        check("192.0.2.1", "192.0.8.0", [false, false, false]);
        check("192.0.2.1", "::ffff:192.0.2.1", [true, true, true]);
        check("2001:db8::1", "2001:db8::ffff:1", [true, true, true]);
        check("2001:db8::1", "2001:db8:0:1::1", [false, true, true]);
        check("2001:db8::1", "2001:db8:1::1", [false, false, true]);
        check("2001:db8::1", "2001:db9::1", [false, false, false]);
    }

    #[test]
    fn names_rows_for_people() {
        let account = AccountId::from_u32(3);
        let (mailbox, message) = (MailboxId::from_u32(2), MessageId::from_u64(9));
        let record = Key::of(MESSAGES, account).mailbox(mailbox).uid(Uid::from_u32(7)).done();
        assert_eq!(row_name(&record), "the record of uid 7, mailbox number 2, account number 3");
        let id = Key::of(MESSAGE_IDS, account).message(message).done();
        assert_eq!(row_name(&id), "the number of message 9, account number 3");
        let prefix = Index::MessageId("a@b.test").prefix(account);
        let index = [&prefix[..], &[0; 8], &9u64.to_be_bytes()].concat();
        assert_eq!(row_name(&index), "the Message-ID of message 9, account number 3");
        assert_eq!(row_name(&named(ACCOUNT_NAMES, "a\n")), r#"the name "a\n" of an account"#);
        assert_eq!(row_name(&[0, 0, 0, 1, 0, 0, 0, 0, 5]), format!("the row of body {}", (1u64 << 40) + 5));
        // Keys that no writer makes are no reason to panic.
        for table in 0..=255u8 {
            for len in 0..24 {
                row_name(&[&[table][..], &vec![0xff; len]].concat());
            }
        }
    }

    #[test]
    fn keeps_one_value_apart_from_a_longer_one() {
        let account = AccountId::from_u32(1);
        let prefix = |text| Index::MailFrom(text).prefix(account);
        assert!(!prefix("a.test.b").starts_with(&prefix("a.test")));
        assert_eq!(prefix("a\0b"), prefix("a?b"));
        let from = |domain| Index::From { domain, organization: "a.test" };
        assert_eq!(from("x.a.test").prefix(account), Index::FromOrganization("a.test").prefix(account));
        assert!(from("x.a.test").matches(&from("x.a.test").value()));
        assert!(!from("x.a.test").matches(&from("a.test").value()));
    }
}
