//! What is known of a message at its delivery.

use std::{net::IpAddr, time::SystemTime};

use super::Flags;

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
