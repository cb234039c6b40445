//! Errors in setting up a server.

use std::fmt;

/// Why a server cannot start, or cannot use new certificates.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn of(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { kind, source: Some(Box::new(source)) }
    }

    /// What went wrong, for decisions in code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// The kinds of [`Error`]. Texts may change, kinds and tokens may not.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A chain is empty, or a listener got no certificate.
    NoCertificate,
    /// A certificate or key is not valid PEM.
    BadPem,
    /// A key does not belong to its certificate, or its kind is not supported.
    BadKey,
    /// TLS cannot be set up.
    Tls,
}

impl ErrorKind {
    /// Every kind, for documents and tests.
    pub const ALL: [ErrorKind; 4] = [Self::NoCertificate, Self::BadPem, Self::BadKey, Self::Tls];

    /// The stable name: for logs and tests.
    pub fn token(self) -> &'static str {
        match self {
            Self::NoCertificate => "smtpserver.no-certificate",
            Self::BadPem => "smtpserver.bad-pem",
            Self::BadKey => "smtpserver.bad-key",
            Self::Tls => "smtpserver.tls",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::NoCertificate => "no certificate",
            Self::BadPem => "certificate or key is not valid PEM",
            Self::BadKey => "private key cannot be used with the certificate",
            Self::Tls => "TLS cannot be set up",
        }
    }
}
