//! The facts about a message that are known at its delivery, and are stored with it.

use std::{net::IpAddr, time::SystemTime};

use super::Flags;

/// Where a message came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address. `None` for forwarded mail: the forwarder earns neither blame nor credit.
    pub remote_ip: Option<IpAddr>,
    /// The EHLO domain (Unicode form; empty for an address literal).
    pub ehlo_domain: String,
    /// MAIL FROM as text, empty for the null path.
    pub mail_from: String,
    /// Local part of MAIL FROM.
    pub mail_from_localpart: String,
    /// Domain of MAIL FROM (Unicode form).
    pub mail_from_domain: String,
    /// The recipient's local part.
    pub rcpt_to_localpart: String,
    /// The recipient's domain.
    pub rcpt_to_domain: String,
    /// Local part of the From field's one author. If the field has no single author, its text, for people.
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
    /// By the very domain, as strict alignment demands.
    Strict = 1,
    /// By DMARC with relaxed alignment.
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
    /// There is nothing to check against, such as no SPF record.
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

    /// The stable token, as interfaces print it.
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

/// The recipients of a message in a mailbox for sent mail. The store indexes them as correspondents of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it was sent.
    pub time: SystemTime,
    /// The recipients, each once.
    pub recipients: Vec<Recipient>,
}

/// An address that the account has sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// The local part.
    pub localpart: String,
    /// The domain (Unicode form).
    pub domain: String,
    /// The organizational domain of `domain`.
    pub org_domain: String,
}

/// How the junk filter was trained with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Training {
    /// Not trained.
    #[default]
    None = 0,
    /// The filter has learned it as junk.
    Junk = 1,
    /// The filter has learned it as wanted mail.
    NotJunk = 2,
}

/// What is known of a message at its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it was received.
    pub received: SystemTime,
    /// The client, the envelope and the author.
    pub origin: Origin,
    /// Which identities were validated, and how.
    pub validations: Validations,
    /// Flags; in a stored message, the current ones.
    pub flags: Flags,
    /// Keywords besides the flags; in a stored message, the current ones.
    pub keywords: Vec<String>,
    /// Whether the message was rejected, and is kept so that the user can look at it.
    pub is_reject: bool,
    /// Whether a host that the account trusts as a forwarder delivered it.
    pub is_forward: bool,
    /// How the junk filter was trained with it.
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
    /// The MIME structure in the form of the crate that parsed it; empty if it was not parsed.
    pub structure: Vec<u8>,
    /// SHA-256 of the body as received, without the prefix (rejects only).
    pub sha256: Option<[u8; 32]>,
}

impl Facts {
    /// Sets the Message-ID: its canonical form, and the form that the sender wrote.
    pub fn set_message_id(&mut self, canonical: String, written: String) {
        self.written_message_id = if written == canonical { String::new() } else { written };
        self.message_id = canonical;
    }

    /// The Message-ID as its sender wrote it, without brackets; empty if there is none.
    #[must_use]
    pub fn message_id_as_written(&self) -> &str {
        if self.written_message_id.is_empty() { &self.message_id } else { &self.written_message_id }
    }

    /// Facts with nothing but the time of receipt.
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
