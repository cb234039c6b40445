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

/// The numbers that the account's next message, mailbox and change get. The row guards everything in the account: each
/// batch that changes a message or a mailbox requires the row that it was planned on, and writes the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    /// The last modification sequence used.
    pub(crate) mod_seq: u64,
    pub(crate) next_message: u64,
    pub(crate) next_mailbox: u32,
    pub(crate) next_uid_validity: u32,
    /// Bytes of all messages that are not expunged, prefixes included: what a quota counts.
    pub(crate) size: u64,
    /// Submissions that earlier versions counted here. No longer used; kept as it is.
    pub(crate) submitted: u64,
}

/// Version of the account row's format. Rows of version 1 have no stamp; the next write replaces them.
const ROW_VERSION: u8 = 2;

impl AccountRow {
    /// A new account's row. UIDValidity starts at half the Unix time, so that an account that is removed and made
    /// again has other values; the first change gets sequence 2.
    pub(crate) fn new(unix_seconds: u64) -> AccountRow {
        let next_uid_validity = u32::try_from(unix_seconds / 2).unwrap_or(u32::MAX / 2).max(1);
        AccountRow { mod_seq: 1, next_message: 1, next_mailbox: 1, next_uid_validity, size: 0, submitted: 0 }
    }

    /// The row as it is stored. `stamp` must be used for one batch alone ([`Engine::stamp`]), so that equal rows are the
    /// same row: two batches that add messages of the same size would write the same numbers.
    ///
    /// [`Engine::stamp`]: crate::engine::Engine::stamp
    pub(crate) fn encode(&self, stamp: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(40);
        out.push(ROW_VERSION);
        put_varint(&mut out, self.mod_seq);
        put_varint(&mut out, self.next_message);
        put_varint(&mut out, u64::from(self.next_mailbox));
        put_varint(&mut out, u64::from(self.next_uid_validity));
        put_varint(&mut out, self.size);
        put_varint(&mut out, self.submitted);
        put_varint(&mut out, stamp);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<AccountRow> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if !(1..=ROW_VERSION).contains(&version) {
            return None;
        }
        let row = AccountRow {
            mod_seq: reader.varint()?,
            next_message: reader.varint()?,
            next_mailbox: reader.varint_u32()?,
            next_uid_validity: reader.varint_u32()?,
            size: reader.varint()?,
            submitted: reader.varint()?,
        };
        // A plan compares the row's bytes; the stamp alone is of no use to it.
        if version > 1 {
            reader.varint()?;
        }
        Some(row)
    }
}

/// The row that guards the numbers of accounts: the next one to give, and a stamp, each with the most significant byte
/// first.
pub(crate) fn encode_next_account(next: AccountId, stamp: u64) -> Vec<u8> {
    [&next.get().to_be_bytes()[..], &stamp.to_be_bytes()].concat()
}

/// The next account's number. Rows of older versions have no stamp.
pub(crate) fn decode_next_account(bytes: &[u8]) -> Option<AccountId> {
    let (number, stamp) = bytes.split_first_chunk::<4>()?;
    matches!(stamp.len(), 0 | 8).then(|| AccountId(u32::from_be_bytes(*number)))
}

/// A mailbox that a new account has from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialMailbox<'a> {
    /// Full name, levels separated by `/`; missing parents are not created.
    pub name: &'a str,
    /// What it is for (RFC 6154), if it has a special use.
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
        let bytes = row.encode(1 << 41);
        assert_eq!(AccountRow::decode(&bytes), Some(row.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(AccountRow::decode(&bytes[..cut]), None);
        }
        assert_ne!(row.encode(1), row.encode(2), "the same numbers, written by two batches");
    }

    #[test]
    fn reads_rows_of_version_1() {
        // As the version before wrote it: sequence 9, message 300, mailbox 7, UIDValidity 850, 1,000 bytes, 3 submissions.
        let bytes = [1, 9, 0xac, 2, 7, 0xd2, 6, 0xe8, 7, 3];
        let row = AccountRow {
            mod_seq: 9,
            next_message: 300,
            next_mailbox: 7,
            next_uid_validity: 850,
            size: 1000,
            submitted: 3,
        };
        assert_eq!(AccountRow::decode(&bytes), Some(row.clone()));
        assert_eq!(row.encode(5)[0], 2);
        assert_eq!(AccountRow::decode(&[3, 9, 0xac, 2, 7, 0xd2, 6, 0xe8, 7, 3, 5]), None, "a later version");
    }

    #[test]
    fn round_trips_the_next_account() {
        let next = AccountId(7);
        assert_eq!(decode_next_account(&encode_next_account(next, u64::MAX)), Some(next));
        assert_eq!(
            decode_next_account(&[0, 0, 0, 7]),
            Some(next),
            "without a stamp, as older versions wrote it"
        );
        for bad in [&[][..], &[0, 0, 7], &[0, 0, 0, 7, 1], &[0; 13]] {
            assert_eq!(decode_next_account(bad), None);
        }
    }
}
