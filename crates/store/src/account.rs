//! Accounts: the row that numbers what an account has.

use crate::codec::{Reader, put_varint};

/// The number of an account, given at its creation and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u32);

impl AccountId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// From a number that [`AccountId::get`] gave.
    #[must_use]
    pub fn from_u32(n: u32) -> AccountId {
        AccountId(n)
    }
}

/// What the account's next message, mailbox and change get; it guards them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    /// The last modification sequence used.
    pub(crate) mod_seq: u64,
    pub(crate) next_message: u64,
    pub(crate) next_mailbox: u32,
    pub(crate) next_uid_validity: u32,
    /// Octets of all messages not expunged, prefixes included: what a quota counts.
    pub(crate) size: u64,
    /// Submissions so far; numbers what was sent.
    pub(crate) submitted: u64,
}

/// Version of the account row's format.
const ROW_VERSION: u8 = 1;

impl AccountRow {
    /// A new account's row. UIDValidity starts at half the Unix time, so that an account that is removed and made
    /// again has other values; the first change gets sequence 2.
    pub(crate) fn new(unix_seconds: u64) -> AccountRow {
        let next_uid_validity = u32::try_from(unix_seconds / 2).unwrap_or(u32::MAX / 2).max(1);
        AccountRow { mod_seq: 1, next_message: 1, next_mailbox: 1, next_uid_validity, size: 0, submitted: 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.push(ROW_VERSION);
        put_varint(&mut out, self.mod_seq);
        put_varint(&mut out, self.next_message);
        put_varint(&mut out, u64::from(self.next_mailbox));
        put_varint(&mut out, u64::from(self.next_uid_validity));
        put_varint(&mut out, self.size);
        put_varint(&mut out, self.submitted);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<AccountRow> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != ROW_VERSION {
            return None;
        }
        Some(AccountRow {
            mod_seq: reader.varint()?,
            next_message: reader.varint()?,
            next_mailbox: reader.varint_u32()?,
            next_uid_validity: reader.varint_u32()?,
            size: reader.varint()?,
            submitted: reader.varint()?,
        })
    }
}

/// A mailbox that a new account has from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialMailbox<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its role, if any.
    pub role: Option<crate::mailbox::Role>,
}

/// The mailboxes of a new account when nothing else is configured: Inbox, Archive, Drafts, Junk, Sent, Trash.
pub const INITIAL_MAILBOXES: &[InitialMailbox<'static>] = {
    use crate::mailbox::Role;
    const fn role(name: &'static str, role: Role) -> InitialMailbox<'static> {
        InitialMailbox { name, role: Some(role) }
    }
    &[
        InitialMailbox { name: "Inbox", role: None },
        role("Archive", Role::Archive),
        role("Drafts", Role::Drafts),
        role("Junk", Role::Junk),
        role("Sent", Role::Sent),
        role("Trash", Role::Trash),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_rows() {
        let row = AccountRow {
            mod_seq: 9,
            next_message: 1 << 40,
            next_mailbox: 7,
            next_uid_validity: u32::MAX,
            size: 1 << 50,
            submitted: 3,
        };
        let bytes = row.encode();
        assert_eq!(AccountRow::decode(&bytes), Some(row));
        for cut in 0..bytes.len() {
            assert_eq!(AccountRow::decode(&bytes[..cut]), None);
        }
    }
}
