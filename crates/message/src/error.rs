//! Errors: why a message has no author, and why a header value or a report is invalid.

use std::fmt;

/// A message without exactly one author that has a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromError {
    kind: FromErrorKind,
}

/// Why a message has no one author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FromErrorKind {
    /// No header field is called From.
    NoField,
    /// There is more than one From field.
    SeveralFields,
    /// The From field has no address: it is empty, or an empty group.
    NoAuthor,
    /// The From field names more than one author.
    SeveralAuthors,
    /// The From field, or a part of it, cannot be parsed.
    Malformed,
    /// The author's address has no domain.
    NoDomain,
    /// The author's domain is not a domain name.
    BadDomain,
    /// The author's address has an address literal in place of a domain.
    AddressLiteral,
    /// The header exceeds its limits, so a part of it was not read.
    Unread,
}

impl FromErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::NoField => "message.from-missing",
            Self::SeveralFields => "message.from-repeated",
            Self::NoAuthor => "message.from-empty",
            Self::SeveralAuthors => "message.from-several-authors",
            Self::Malformed => "message.from-malformed",
            Self::NoDomain => "message.from-no-domain",
            Self::BadDomain => "message.from-bad-domain",
            Self::AddressLiteral => "message.from-address-literal",
            Self::Unread => "message.from-unread",
        }
    }
}

impl FromError {
    pub(crate) fn new(kind: FromErrorKind) -> Self {
        Self { kind }
    }

    /// Why there is no one author.
    pub fn kind(&self) -> FromErrorKind {
        self.kind
    }
}

impl fmt::Display for FromError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            FromErrorKind::NoField => "no From field",
            FromErrorKind::SeveralFields => "more than one From field",
            FromErrorKind::NoAuthor => "From field without an address",
            FromErrorKind::SeveralAuthors => "From field with several addresses",
            FromErrorKind::Malformed => "From field cannot be read",
            FromErrorKind::NoDomain => "From address without a domain",
            FromErrorKind::BadDomain => "From address with an invalid domain",
            FromErrorKind::AddressLiteral => "From address with an address literal",
            FromErrorKind::Unread => "header beyond its limits",
        })
    }
}

impl std::error::Error for FromError {}

/// An invalid header value or report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
}

/// Why a header value or report is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not a date and time (RFC 5322 §3.3).
    BadDate,
    /// Not an Authentication-Results value (RFC 8601 §2.2).
    BadAuthResults,
    /// A report without a recipient (RFC 3464 §2.1).
    NoRecipient,
}

impl ErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::BadDate => "message.bad-date",
            Self::BadAuthResults => "message.bad-auth-results",
            Self::NoRecipient => "message.no-recipient",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind }
    }

    /// Why the value is invalid.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::BadDate => "not a date",
            ErrorKind::BadAuthResults => "not an Authentication-Results value",
            ErrorKind::NoRecipient => "report without a recipient",
        })
    }
}

impl std::error::Error for Error {}
