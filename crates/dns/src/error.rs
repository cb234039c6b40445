//! Errors of names and lookups.

use crate::{Kind, Name, Security};
use std::fmt;

/// A text that is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    kind: NameErrorKind,
}

/// Why a text is not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// No label at all.
    Empty,
    /// Two dots in a row, or one at the start.
    EmptyLabel,
    /// A label of more than 63 bytes.
    LabelTooLong,
    /// More than 253 bytes as text.
    NameTooLong,
    /// A character that the name may not have.
    BadCharacter,
    /// A label that begins or ends with a hyphen.
    BadHyphen,
    /// The name has no valid form under UTS 46 (IDNA).
    BadInternational,
}

impl NameErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::Empty => "dns.empty-name",
            Self::EmptyLabel => "dns.empty-label",
            Self::LabelTooLong => "dns.label-too-long",
            Self::NameTooLong => "dns.name-too-long",
            Self::BadCharacter => "dns.bad-character",
            Self::BadHyphen => "dns.bad-hyphen",
            Self::BadInternational => "dns.bad-international-name",
        }
    }
}

impl NameError {
    pub(crate) fn new(kind: NameErrorKind) -> Self {
        Self { kind }
    }

    /// Why the text is not a domain name.
    pub fn kind(&self) -> NameErrorKind {
        self.kind
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            NameErrorKind::Empty => "empty domain name",
            NameErrorKind::EmptyLabel => "empty label in domain name",
            NameErrorKind::LabelTooLong => "label of more than 63 bytes in domain name",
            NameErrorKind::NameTooLong => "domain name of more than 253 bytes",
            NameErrorKind::BadCharacter => "character not allowed in domain name",
            NameErrorKind::BadHyphen => "label begins or ends with a hyphen",
            NameErrorKind::BadInternational => "not a valid internationalised domain name",
        })
    }
}

impl std::error::Error for NameError {}

/// A question that got no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupError {
    kind: LookupErrorKind,
    name: Name,
    question: Kind,
    security: Security,
}

/// Why there are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupErrorKind {
    /// The name does not exist (NXDOMAIN, RFC 8020 §2).
    NoName,
    /// The name exists, but has no record of the type (NODATA, RFC 2308 §2.2).
    NoData,
    /// DNSSEC validation failed: the answer must not be used (RFC 4035 §5.5).
    Bogus,
    /// The answer could not be understood, or broke a limit.
    Malformed,
    /// The server refused to answer.
    Refused,
    /// SERVFAIL, or no server could be reached.
    Temporary,
    /// No answer in time.
    Timeout,
}

impl LookupErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::NoName => "dns.no-name",
            Self::NoData => "dns.no-data",
            Self::Bogus => "dns.bogus",
            Self::Malformed => "dns.malformed",
            Self::Refused => "dns.refused",
            Self::Temporary => "dns.temporary",
            Self::Timeout => "dns.timeout",
        }
    }
}

impl LookupError {
    /// Creates the failure of one question.
    pub fn new(kind: LookupErrorKind, name: Name, question: Kind) -> Self {
        Self { kind, name, question, security: Security::Unknown }
    }

    /// Sets what DNSSEC says about the failure: a denial can be validated too.
    #[must_use]
    pub fn with_security(mut self, security: Security) -> Self {
        self.security = security;
        self
    }

    /// Why there are no records.
    pub fn kind(&self) -> LookupErrorKind {
        self.kind
    }

    /// The name that was asked for.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The record type that was asked for.
    pub fn question(&self) -> Kind {
        self.question
    }

    /// What DNSSEC says about the absence; meaningful when [`LookupError::is_absent`].
    pub fn security(&self) -> Security {
        self.security
    }

    /// Did DNS work and the records do not exist (NXDOMAIN or NODATA)?
    pub fn is_absent(&self) -> bool {
        matches!(self.kind, LookupErrorKind::NoName | LookupErrorKind::NoData)
    }

    /// May asking again later help? True for everything but absence. A malformed or bogus answer counts as temporary, because
    /// the owner of the zone may mend it or an attacker may stop.
    pub fn is_temporary(&self) -> bool {
        !self.is_absent()
    }
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.kind {
            LookupErrorKind::NoName => "no such name",
            LookupErrorKind::NoData => "no such record",
            LookupErrorKind::Bogus => "DNSSEC validation failed",
            LookupErrorKind::Malformed => "malformed answer",
            LookupErrorKind::Refused => "refused by the server",
            LookupErrorKind::Temporary => "temporary failure",
            LookupErrorKind::Timeout => "no answer in time",
        };
        write!(f, "{} {}: {why}", self.name, self.question)
    }
}

impl std::error::Error for LookupError {}
