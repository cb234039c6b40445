//! Message records: everything the server knows of a stored message besides its octets.

use std::{net::IpAddr, ops::BitOr, sync::Arc, time::SystemTime};

use crate::{engine::BodyId, mailbox::MailboxId};

mod record;

pub(crate) use record::{decode, encode, encode_expunged};

/// The number of a message within its account: permanent, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

/// The number of a message within its mailbox (RFC 9051 §2.3.1.1), never used again there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(u32);

/// A point in the history of an account (RFC 7162): greater is later.
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

/// The system flags of a message, and those of our own.
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

    /// These without those of `other`.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The names of those that are set.
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

/// Where a message came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address; none for forwarded mail, so that the forwarder is neither blamed nor credited.
    pub remote_ip: Option<IpAddr>,
    /// The EHLO domain (Unicode form; empty for an address literal).
    pub ehlo_domain: String,
    /// MAIL FROM as text, empty for the null path.
    pub mail_from: String,
    /// Its local part.
    pub mail_from_localpart: String,
    /// Its domain.
    pub mail_from_domain: String,
    /// The recipient's local part.
    pub rcpt_to_localpart: String,
    /// The recipient's domain.
    pub rcpt_to_domain: String,
    /// The local part of the From header's one author; if there is none, what stands there, for people.
    pub from_localpart: String,
    /// The author's domain.
    pub from_domain: String,
    /// The author's organizational domain.
    pub from_org_domain: String,
    /// Domains (Unicode form) with a verified DKIM signature, each once.
    pub dkim_domains: Vec<String>,
    /// For forwarded mail: the EHLO domain before the identities were cleared.
    pub original_ehlo_domain: String,
    /// For forwarded mail: the DKIM domains before the identities were cleared.
    pub original_dkim_domains: Vec<String>,
}

/// How an identity was validated. The numbers are those of the record format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Validation {
    /// Not checked.
    #[default]
    Unknown = 0,
    /// Aligned to the letter.
    Strict = 1,
    /// By DMARC with a relaxed alignment.
    Dmarc = 2,
    /// By the same organizational domain.
    Relaxed = 3,
    /// SPF pass.
    Pass = 4,
    /// SPF neutral.
    Neutral = 5,
    /// Temporary error.
    TempError = 6,
    /// Permanent error.
    PermError = 7,
    /// SPF fail.
    Fail = 8,
    /// SPF softfail.
    SoftFail = 9,
    /// Nothing to check by.
    None = 10,
}

impl Validation {
    const ALL: [Validation; 11] = [
        Validation::Unknown,
        Validation::Strict,
        Validation::Dmarc,
        Validation::Relaxed,
        Validation::Pass,
        Validation::Neutral,
        Validation::TempError,
        Validation::PermError,
        Validation::Fail,
        Validation::SoftFail,
        Validation::None,
    ];

    /// The word for it, as interfaces print it.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Validation::Unknown => "unknown",
            Validation::Strict => "strict",
            Validation::Dmarc => "dmarc",
            Validation::Relaxed => "relaxed",
            Validation::Pass => "pass",
            Validation::Neutral => "neutral",
            Validation::TempError => "temperror",
            Validation::PermError => "permerror",
            Validation::Fail => "fail",
            Validation::SoftFail => "softfail",
            Validation::None => "none",
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Validation> {
        Validation::ALL.get(usize::from(code)).copied()
    }
}

/// What was validated of the three identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validations {
    /// Whether the EHLO domain is vouched for.
    pub ehlo_validated: bool,
    /// Whether the MAIL FROM domain is vouched for.
    pub mail_from_validated: bool,
    /// Whether the From domain is vouched for (strict, relaxed and DMARC alike).
    pub from_validated: bool,
    /// Details for EHLO.
    pub ehlo: Validation,
    /// Details for MAIL FROM.
    pub mail_from: Validation,
    /// Details for From.
    pub from: Validation,
}

/// To whom a message was sent that lies in a mailbox for sent mail: the account knows them from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub time: SystemTime,
    /// Its recipients, each once.
    pub recipients: Vec<Recipient>,
}

/// An address that the account has sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// The local part.
    pub localpart: String,
    /// The domain (Unicode form).
    pub domain: String,
    /// Its organizational domain.
    pub org_domain: String,
}

/// As what a message was shown to the junk filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Training {
    /// Not trained.
    #[default]
    None = 0,
    /// As junk.
    Junk = 1,
    /// As not junk.
    NotJunk = 2,
}

/// What a delivery tells about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it was received.
    pub received: SystemTime,
    /// Where it came from.
    pub origin: Origin,
    /// What was validated.
    pub validations: Validations,
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// Whether it was refused, and is kept for the account's eyes only.
    pub is_reject: bool,
    /// Whether it was forwarded to us by a host the account trusts for that.
    pub is_forward: bool,
    /// As what the junk filter was trained with it.
    pub training: Training,
    /// The stable token of the reason for the verdict.
    pub reason: String,
    /// The canonical Message-ID (lower case, without brackets), empty if there is none.
    pub message_id: String,
    /// The Message-ID as its sender wrote it, without brackets; empty where that is the canonical one.
    pub written_message_id: String,
    /// The subject as text.
    pub subject: String,
    /// The subject without reply and forward marks, for threading.
    pub base_subject: String,
    /// The MIME structure in its owner's form, empty if it was not parsed.
    pub structure: Vec<u8>,
    /// SHA-256 of the body as received, without our prefix (rejects only).
    pub sha256: Option<[u8; 32]>,
}

impl Facts {
    /// Names the message, by its Message-ID in canonical form and as its sender wrote it.
    pub fn set_message_id(&mut self, canonical: String, written: String) {
        self.written_message_id = if written == canonical { String::new() } else { written };
        self.message_id = canonical;
    }

    /// The Message-ID as its sender wrote it, without brackets; empty if there is none.
    #[must_use]
    pub fn message_id_as_written(&self) -> &str {
        if self.written_message_id.is_empty() { &self.message_id } else { &self.written_message_id }
    }

    /// Facts of which only the time is known.
    #[must_use]
    pub fn new(received: SystemTime) -> Facts {
        Facts {
            received,
            origin: Origin::default(),
            validations: Validations::default(),
            flags: Flags::default(),
            keywords: Vec::new(),
            is_reject: false,
            is_forward: false,
            training: Training::None,
            reason: String::new(),
            message_id: String::new(),
            written_message_id: String::new(),
            subject: String::new(),
            base_subject: String::new(),
            structure: Vec::new(),
            sha256: None,
        }
    }
}

/// A message to be delivered, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// What is known of it.
    pub facts: Facts,
    /// For rejects: the mailbox for which it was meant.
    pub destined: Option<String>,
    /// Canonical Message-IDs of In-Reply-To and References, nearest ancestor last. Copies of a message share them.
    pub references: Arc<[String]>,
    /// The header fields that we put before what was received.
    pub prefix: Vec<u8>,
    /// To whom the account has sent it; kept where it is delivered to a mailbox with the role [`Sent`](crate::Role::Sent).
    pub sent: Option<Sent>,
}

impl NewMessage {
    /// A message with these facts, no prefix and no references.
    #[must_use]
    pub fn new(facts: Facts) -> NewMessage {
        NewMessage { facts, destined: None, references: Arc::default(), prefix: Vec::new(), sent: None }
    }
}

/// The place of a message in its thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The first message known of it; never zero.
    pub id: u64,
    /// The message's ancestors, nearest first.
    pub parents: Vec<MessageId>,
    /// Whether it names an ancestor that is not here.
    pub missing_link: bool,
    /// Whether the account wants to hear no more of it.
    pub muted: bool,
    /// Whether it is shown folded.
    pub collapsed: bool,
}

/// One of the two parts of a message's content: our prefix, and what was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is kept.
    pub body: BodyId,
    /// Its size in octets.
    pub size: u64,
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its permanent number.
    pub id: MessageId,
    /// The mailbox it is in.
    pub mailbox: MailboxId,
    /// Its number there.
    pub uid: Uid,
    /// The mailbox into which it was delivered.
    pub original_mailbox: MailboxId,
    /// For rejects: the mailbox for which it was meant.
    pub destined_mailbox: Option<MailboxId>,
    /// When it was made, as a modification sequence.
    pub created: ModSeq,
    /// When it was last changed, as a modification sequence.
    pub changed: ModSeq,
    /// What was known at its delivery, with flags and keywords as they are now.
    pub facts: Facts,
    /// To whom the account has sent it, if it lies with sent mail.
    pub sent: Option<Sent>,
    /// Its place in its thread.
    pub thread: Thread,
    /// Our prefix.
    pub prefix: Option<Part>,
    /// What was received.
    pub body: Part,
}

impl Message {
    /// The size of the whole content: prefix and body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.body.size + self.prefix.map_or(0, |p| p.size)
    }
}

/// A row of a mailbox: a message, or what remains of a removed one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "rows are read one at a time, and messages are the common case")]
pub enum Row {
    /// A message.
    Message(Message),
    /// A removed message: its numbers stay, so that clients can be told.
    Expunged(Expunged),
}

/// What remains of a removed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expunged {
    /// Its permanent number.
    pub id: MessageId,
    /// The mailbox it was in.
    pub mailbox: MailboxId,
    /// Its number there.
    pub uid: Uid,
    /// When it was made.
    pub created: ModSeq,
    /// When it was removed.
    pub changed: ModSeq,
}
