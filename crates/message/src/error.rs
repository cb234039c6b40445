//! Why a message has no author, and why a header value is not what it should be.

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
    /// There is no From field.
    NoField,
    /// There is more than one From field.
    SeveralFields,
    /// The From field names nobody: it is empty, or an empty group.
    NoAuthor,
    /// The From field names more than one author.
    SeveralAuthors,
    /// The From field cannot be read, in whole or in part.
    Malformed,
    /// The author's address has no domain.
    NoDomain,
    /// The author's domain is not a domain name.
    BadDomain,
    /// The author's address has an address literal in place of a domain.
    AddressLiteral,
    /// The header is beyond its limits and was not read whole.
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

/// A header value, or a report, that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not a date and time (RFC 5322 §3.3).
    BadDate,
    /// Not an Authentication-Results value (RFC 8601 §2.2).
    BadAuthResults,
    /// A report that tells of no recipient (RFC 3464 §2.1).
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

    /// What is wrong.
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
