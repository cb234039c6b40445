//! Errors: why a record cannot be used, or why none was found.

use std::fmt;

/// A text that is not a usable DMARC record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    tag: String,
}

/// Why no policy was found, or why a record cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No name that was queried has a DMARC record.
    NoRecord,
    /// A name has several DMARC records, which count as none.
    MultipleRecords,
    /// A DNS query failed.
    Dns,
    /// The text does not begin with the version of a DMARC record.
    NotDmarc,
    /// There is no usable policy, and no address for reports either.
    NoPolicy,
    /// RFC 7489: `p` is not right after `v`.
    PolicyNotFirst,
    /// RFC 7489: text before the policy is not `tag=value`.
    BadTag,
    /// RFC 7489: a tag before the policy is repeated.
    DuplicateTag,
    /// RFC 7489: a tag before the policy has a value that it does not allow.
    BadValue,
}

impl ErrorKind {
    /// Returns the kind's stable token, for logs and JSON.
    pub fn token(self) -> &'static str {
        match self {
            Self::NoRecord => "dmarc.no-record",
            Self::MultipleRecords => "dmarc.multiple-records",
            Self::Dns => "dmarc.dns",
            Self::NotDmarc => "dmarc.not-dmarc",
            Self::NoPolicy => "dmarc.no-policy",
            Self::PolicyNotFirst => "dmarc.policy-not-first",
            Self::BadTag => "dmarc.bad-tag",
            Self::DuplicateTag => "dmarc.duplicate-tag",
            Self::BadValue => "dmarc.bad-value",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecord => "no DMARC record",
            Self::MultipleRecords => "several DMARC records at one name",
            Self::Dns => "DNS failure",
            Self::NotDmarc => "not a DMARC record",
            Self::NoPolicy => "no usable policy, and no address for reports",
            Self::PolicyNotFirst => "the policy does not stand right after the version",
            Self::BadTag => "not of the form tag=value",
            Self::DuplicateTag => "repeated tag",
            Self::BadValue => "value not allowed",
        })
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, tag: String::new() }
    }

    pub(crate) fn at(kind: ErrorKind, tag: &str) -> Self {
        Self { kind, tag: tag.to_owned() }
    }

    /// Why it cannot be used.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The tag at fault; empty if no single tag is.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if self.tag.is_empty() { Ok(()) } else { write!(f, ": {:?}", self.tag) }
    }
}

impl std::error::Error for Error {}
