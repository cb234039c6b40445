//! Mailboxes: names, roles, counts, and the numbers that IMAP needs.

use crate::{
    codec::{Reader, put_bytes, put_varint},
    error::{Error, ErrorKind, Result},
    message::{Flags, Uid},
};

/// The number of a mailbox within its account, given at creation and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(u32);

impl MailboxId {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// From a number that [`MailboxId::get`] gave.
    #[must_use]
    pub fn from_u32(n: u32) -> MailboxId {
        MailboxId(n)
    }
}

/// What a mailbox is for (RFC 6154, special use).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Mail that is kept, but out of sight.
    Archive,
    /// Messages that are still being written.
    Drafts,
    /// Unwanted mail.
    Junk,
    /// Copies of what the account has sent.
    Sent,
    /// Mail that is to be deleted.
    Trash,
}

/// Sums over the messages of a mailbox that are not expunged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages without the flag deleted.
    pub messages: u64,
    /// Messages with the flag deleted.
    pub deleted: u64,
    /// Messages without the flag seen, deleted ones included.
    pub unseen: u64,
    /// Messages with neither seen nor deleted.
    pub unread: u64,
    /// Bytes of all messages, deleted ones included.
    pub size: u64,
}

impl Counts {
    /// Counts a message of `size` bytes.
    pub(crate) fn add(&mut self, flags: Flags, size: u64) {
        for (n, counts) in self.parts(flags) {
            *n += u64::from(counts);
        }
        self.size += size;
    }

    /// Stops counting a message of `size` bytes. No sum goes below zero; `check` reports sums that are wrong.
    pub(crate) fn remove(&mut self, flags: Flags, size: u64) {
        for (n, counts) in self.parts(flags) {
            *n = n.saturating_sub(u64::from(counts));
        }
        self.size = self.size.saturating_sub(size);
    }

    fn parts(&mut self, flags: Flags) -> [(&mut u64, bool); 4] {
        let seen = flags.contains(Flags::SEEN);
        let deleted = flags.contains(Flags::DELETED);
        [
            (&mut self.messages, !deleted),
            (&mut self.deleted, deleted),
            (&mut self.unseen, !seen),
            (&mut self.unread, !seen && !deleted),
        ]
    }
}

/// A mailbox with its counts, as its row has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Number within the account.
    pub id: MailboxId,
    /// Full name, levels separated by `/`.
    pub name: String,
    /// What it is for (RFC 6154), if it has a special use.
    pub role: Option<Role>,
    /// Whether clients list it as subscribed.
    pub subscribed: bool,
    /// UIDVALIDITY (RFC 9051 §2.3.1.1): together with a UID it names a message for ever.
    pub uid_validity: u32,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// Keywords that any of its messages has had.
    pub keywords: Vec<String>,
    /// Sums over its messages.
    pub counts: Counts,
}

/// Version of the mailbox row's format.
const ROW_VERSION: u8 = 1;

impl Mailbox {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.push(ROW_VERSION);
        out.push(self.role.map_or(0, Role::code));
        out.push(u8::from(self.subscribed));
        put_bytes(&mut out, self.name.as_bytes());
        put_varint(&mut out, u64::from(self.uid_validity));
        put_varint(&mut out, u64::from(self.uid_next.get()));
        let counts = self.counts;
        for n in [counts.messages, counts.deleted, counts.unseen, counts.unread, counts.size] {
            put_varint(&mut out, n);
        }
        put_varint(&mut out, self.keywords.len() as u64);
        for keyword in &self.keywords {
            put_bytes(&mut out, keyword.as_bytes());
        }
        out
    }

    pub(crate) fn decode(id: MailboxId, bytes: &[u8]) -> Option<Mailbox> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != ROW_VERSION {
            return None;
        }
        let role = match reader.u8()? {
            0 => None,
            code => Some(Role::from_code(code)?),
        };
        let subscribed = reader.u8()? != 0;
        let name = reader.text()?;
        let uid_validity = reader.varint_u32()?;
        let uid_next = Uid::from_u32(reader.varint_u32()?);
        let counts = Counts {
            messages: reader.varint()?,
            deleted: reader.varint()?,
            unseen: reader.varint()?,
            unread: reader.varint()?,
            size: reader.varint()?,
        };
        let keywords = (0..reader.varint()?).map(|_| reader.text()).collect::<Option<_>>()?;
        Some(Mailbox { id, name, role, subscribed, uid_validity, uid_next, keywords, counts })
    }
}

impl Role {
    fn code(self) -> u8 {
        match self {
            Role::Archive => 1,
            Role::Drafts => 2,
            Role::Junk => 3,
            Role::Sent => 4,
            Role::Trash => 5,
        }
    }

    fn from_code(code: u8) -> Option<Role> {
        [Role::Archive, Role::Drafts, Role::Junk, Role::Sent, Role::Trash]
            .into_iter()
            .find(|r| r.code() == code)
    }
}

/// The most bytes of a mailbox name (our own limit; names are part of rows of bounded size).
pub const MAX_NAME: usize = 400;

/// The most levels of a mailbox name (our own limit; each missing parent is created).
const MAX_LEVELS: usize = 32;

/// Checks a mailbox name, and spells `Inbox` in its one casing.
///
/// The caller has normalised Unicode (NFC). Refused are empty names and levels, control characters, and `% * # &`.
///
/// # Errors
/// `BadName`.
pub fn mailbox_name(name: &str) -> Result<String> {
    let bad = name.is_empty()
        || name.len() > MAX_NAME
        || name.split('/').any(str::is_empty)
        || name.split('/').count() > MAX_LEVELS
        || name
            .chars()
            .any(|c| c.is_control() || matches!(c, '%' | '*' | '#' | '&' | '\u{2028}' | '\u{2029}'));
    if bad {
        return Err(Error::new(ErrorKind::BadName, format!("mailbox name {name:?} is not allowed")));
    }
    // RFC 9051 §5.1: INBOX is the same name in every casing.
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    Ok(if first.eq_ignore_ascii_case("inbox") { format!("Inbox{rest}") } else { name.to_owned() })
}

/// Returns the names of all parents of `name`, outermost first.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(i, _)| name.get(..i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_rows() {
        let mailbox = Mailbox {
            id: MailboxId::from_u32(3),
            name: "Lists/Rust".to_owned(),
            role: Some(Role::Archive),
            subscribed: true,
            uid_validity: 77,
            uid_next: Uid::from_u32(12),
            keywords: vec!["$Label1".to_owned()],
            counts: Counts { messages: 3, deleted: 1, unseen: 2, unread: 2, size: 4000 },
        };
        let bytes = mailbox.encode();
        assert_eq!(Mailbox::decode(mailbox.id, &bytes), Some(mailbox));
        for cut in 0..bytes.len() {
            assert_eq!(Mailbox::decode(MailboxId::from_u32(3), &bytes[..cut]), None);
        }
    }

    #[test]
    fn accepts_and_refuses_names() {
        #[track_caller]
        fn check(name: &str, expected: Option<&str>) {
            assert_eq!(mailbox_name(name).ok().as_deref(), expected, "{name:?}");
        }
        check("inbox", Some("Inbox"));
        check("INBOX/sub", Some("Inbox/sub"));
        check("Inboxes", Some("Inboxes"));
        check("Bücher/2026", Some("Bücher/2026"));
        for bad in ["", "/", "/a", "a/", "a//b", "a\u{7}b", "50%", "a*", "#x", "a&b"] {
            check(bad, None);
        }
        check(&"a/".repeat(40), None);
        check(&"a".repeat(MAX_NAME + 1), None);
    }

    #[test]
    fn names_the_parents() {
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(parents("a").count(), 0);
    }

    #[test]
    fn counts_what_is_added_and_removed() {
        let mut counts = Counts::default();
        counts.add(Flags::default(), 10);
        counts.add(Flags::SEEN, 5);
        counts.add(Flags::DELETED, 1);
        assert_eq!(counts, Counts { messages: 2, deleted: 1, unseen: 2, unread: 1, size: 16 });
        counts.remove(Flags::DELETED, 1);
        counts.remove(Flags::SEEN, 5);
        counts.remove(Flags::default(), 10);
        assert_eq!(counts, Counts::default());
    }
}
