//! Errors of making a resolver.

use std::fmt;

/// A resolver that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: String,
}

/// Why a resolver could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The system's resolver configuration could not be read, or names no server.
    SystemConfiguration,
    /// An empty list of servers.
    NoServers,
    /// A trust anchor that is no DNSKEY record.
    TrustAnchor,
}

impl ErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::SystemConfiguration => "dns-hickory.system-configuration",
            Self::NoServers => "dns-hickory.no-servers",
            Self::TrustAnchor => "dns-hickory.trust-anchor",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    /// The kind, for callers that react to one of them.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ErrorKind::SystemConfiguration => "the system's resolver configuration cannot be used",
            ErrorKind::NoServers => "no DNS server is given",
            ErrorKind::TrustAnchor => "the trust anchor is not a DNSKEY record",
        })?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}

impl std::error::Error for Error {}
