//! Message records: all that the server knows of a stored message besides its content.

use std::{ops::BitOr, sync::Arc};

use crate::{engine::BodyId, mailbox::MailboxId};

mod facts;
mod record;

pub use facts::{Facts, Origin, Recipient, Sent, Training, Validation, Validations};
pub(crate) use record::{decode, encode, encode_expunged};

/// The number of a message within its account: permanent, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

/// The number of a message within its mailbox (RFC 9051 §2.3.1.1), never used again there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(u32);

/// A point in the history of an account (MODSEQ, RFC 7162): greater is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(u64);

macro_rules! number {
    ($name:ident, $inner:ty, $from:ident) => {
        impl $name {
            /// The number.
            #[must_use]
            pub fn get(self) -> $inner {
                self.0
            }

            /// From the number.
            #[must_use]
            pub fn $from(n: $inner) -> $name {
                $name(n)
            }
        }
    };
}
number!(MessageId, u64, from_u64);
number!(Uid, u32, from_u32);
number!(ModSeq, u64, from_u64);

/// The flags of a message: system flags and registered keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u16);

impl Flags {
    /// `\Seen`
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 2);
    /// `$Forwarded`
    pub const FORWARDED: Flags = Flags(1 << 3);
    /// `$Junk`
    pub const JUNK: Flags = Flags(1 << 4);
    /// `$NotJunk`
    pub const NOT_JUNK: Flags = Flags(1 << 5);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 6);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1 << 7);
    /// `$Phishing`
    pub const PHISHING: Flags = Flags(1 << 8);
    /// `$MDNSent`
    pub const MDN_SENT: Flags = Flags(1 << 9);

    /// All flags with their names, as interfaces print them.
    pub const NAMES: [(Flags, &'static str); 10] = [
        (Flags::SEEN, "seen"),
        (Flags::ANSWERED, "answered"),
        (Flags::FLAGGED, "flagged"),
        (Flags::FORWARDED, "forwarded"),
        (Flags::JUNK, "junk"),
        (Flags::NOT_JUNK, "notjunk"),
        (Flags::DELETED, "deleted"),
        (Flags::DRAFT, "draft"),
        (Flags::PHISHING, "phishing"),
        (Flags::MDN_SENT, "mdnsent"),
    ];

    /// Whether all of `other` are set.
    #[must_use]
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags without those of `other`.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Flags::NAMES.into_iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, name)| name)
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn from_bits(bits: u16) -> Flags {
        Flags(bits & ((1 << 10) - 1))
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A message to be delivered, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// What is known of the message.
    pub facts: Facts,
    /// For rejects: the mailbox that the message was meant for.
    pub destined: Option<String>,
    /// Canonical Message-IDs of In-Reply-To and References, nearest ancestor last. Copies of a message share them.
    pub references: Arc<[String]>,
    /// The header fields that moxd puts before what was received.
    pub prefix: Vec<u8>,
    /// To whom the account has sent the message. Stored only if the mailbox has the role [`Sent`](crate::Role::Sent).
    pub sent: Option<Sent>,
}

impl NewMessage {
    /// A message with these facts, no prefix and no references.
    #[must_use]
    pub fn new(facts: Facts) -> NewMessage {
        NewMessage { facts, destined: None, references: Arc::default(), prefix: Vec::new(), sent: None }
    }
}

/// The thread of a message, and its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The number of the thread's first known message; never zero.
    pub id: u64,
    /// The message's ancestors, nearest first.
    pub parents: Vec<MessageId>,
    /// Whether the message names an ancestor that the account does not have.
    pub missing_link: bool,
    /// Whether the user has muted the thread.
    pub muted: bool,
    /// Whether clients show the thread collapsed.
    pub collapsed: bool,
}

/// One of the two parts of a message's content: the prefix that moxd adds, and what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The body that holds it.
    pub body: BodyId,
    /// Size in bytes.
    pub size: u64,
}

/// A stored message without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Permanent number within the account.
    pub id: MessageId,
    /// The mailbox that holds it now.
    pub mailbox: MailboxId,
    /// UID within that mailbox.
    pub uid: Uid,
    /// The mailbox into which it was delivered.
    pub original_mailbox: MailboxId,
    /// For rejects: the mailbox that the message was meant for.
    pub destined_mailbox: Option<MailboxId>,
    /// Modification sequence of its delivery.
    pub created: ModSeq,
    /// Modification sequence of its last change.
    pub changed: ModSeq,
    /// The facts from the delivery, with the current flags and keywords.
    pub facts: Facts,
    /// To whom the account has sent it, if it was delivered to a mailbox for sent mail.
    pub sent: Option<Sent>,
    /// The thread it belongs to.
    pub thread: Thread,
    /// The header fields that moxd has added.
    pub prefix: Option<Part>,
    /// The content as received.
    pub body: Part,
}

impl Message {
    /// The size of the content in bytes: prefix and body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.body.size + self.prefix.map_or(0, |p| p.size)
    }
}

/// A row of a mailbox: a message, or what remains of a removed one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "rows are read one at a time, and most of them are messages")]
pub enum Row {
    /// A message that can be read.
    Message(Message),
    /// A removed message. Its numbers stay, so that IMAP can report the removal to clients that were offline.
    Expunged(Expunged),
}

/// What remains of a removed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expunged {
    /// Permanent number within the account.
    pub id: MessageId,
    /// The mailbox that held it last.
    pub mailbox: MailboxId,
    /// UID within that mailbox.
    pub uid: Uid,
    /// Modification sequence of its delivery.
    pub created: ModSeq,
    /// Modification sequence of its removal.
    pub changed: ModSeq,
}
