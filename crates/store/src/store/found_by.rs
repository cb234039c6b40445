//! Keys and values of the rows by which a message is found: its record, its number, and its properties.

use std::{collections::BTreeMap, time::SystemTime};

use crate::{
    account::AccountId,
    mailbox::MailboxId,
    message::{Facts, Message, MessageId, Uid},
    tables::{self, Index, Key, millis, put_sent_to},
};

/// The key of a message's record.
pub(super) fn message_key(account: AccountId, message: &Message) -> Vec<u8> {
    Key::of(tables::MESSAGES, account).mailbox(message.mailbox).uid(message.uid).done()
}

/// The value of the row that maps a message's number to its mailbox and UID.
pub(super) fn place_of(mailbox: MailboxId, uid: Uid) -> [u8; 8] {
    (u64::from(mailbox.get()) << 32 | u64::from(uid.get())).to_be_bytes()
}

/// All rows but the record by which a message is found.
pub(super) fn rows_of(account: AccountId, message: &Message) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    let place = place_of(message.mailbox, message.uid).to_vec();
    rows.insert(Key::of(tables::MESSAGE_IDS, account).message(message.id).done(), place);
    each_index(account, message, |key, value| {
        rows.insert(key.to_vec(), value.to_vec());
    });
    rows
}

/// The number of the message that an index row names.
pub(super) fn indexed_message(key: &[u8]) -> Option<MessageId> {
    key.last_chunk::<8>().map(|id| MessageId::from_u64(u64::from_be_bytes(*id)))
}

/// Calls `row` with key and value of every index row of a message.
pub(super) fn each_index(account: AccountId, message: &Message, mut row: impl FnMut(&[u8], &[u8])) {
    let Facts { origin, received, message_id, base_subject, is_forward, .. } = &message.facts;
    let mut put_at = |time: SystemTime, index: Index<'_>, value: &[u8]| {
        let mut key = index.prefix(account);
        key.extend_from_slice(&millis(time).to_be_bytes());
        key.extend_from_slice(&message.id.get().to_be_bytes());
        row(&key, value);
    };
    if let Some(sent) = &message.sent {
        let mut organizations: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
        for recipient in &sent.recipients {
            put_sent_to(organizations.entry(&recipient.org_domain).or_default(), recipient);
        }
        for (organization, value) in organizations {
            put_at(sent.time, Index::SentToOrganization(organization), &value);
        }
    }
    let mut put = |index: Index<'_>| put_at(*received, index, &index.value());
    // A forwarder earns neither blame nor credit for what it forwards.
    if let Some(ip) = origin.remote_ip.filter(|_| !is_forward) {
        put(Index::Ip(ip));
    }
    let mut put_text = |text: &str, index| {
        if !text.is_empty() {
            put(index);
        }
    };
    let (domain, organization) = (&origin.from_domain, &origin.from_org_domain);
    put_text(&origin.ehlo_domain, Index::Ehlo(&origin.ehlo_domain));
    put_text(&origin.mail_from_domain, Index::MailFrom(&origin.mail_from_domain));
    put_text(domain, Index::From { domain, organization });
    put_text(message_id, Index::MessageId(message_id));
    put_text(base_subject, Index::Subject(base_subject));
    for domain in &origin.dkim_domains {
        put_text(domain, Index::Dkim(domain));
    }
}
