//! The sender of a transaction, and facts about its message.

use smtp_parser::{Body, FutureRelease, MailParams, Path};

/// The arguments of MAIL. Every parameter is legal on this listener and within its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The reverse path.
    pub path: Path,
    /// `SIZE=`: the size that the client announces, in bytes.
    pub size: Option<u64>,
    /// `BODY=`.
    pub body: Option<Body>,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `REQUIRETLS`: the message must not go on without TLS (RFC 8689).
    pub require_tls: bool,
    /// `HOLDFOR=` or `HOLDUNTIL=`: submission only.
    pub hold: Option<FutureRelease>,
}

impl Sender {
    /// Drops `AUTH=`, because we do not trust what another server says about the submitter (RFC 4954 §5 allows that).
    pub(crate) fn new(path: Path, params: &MailParams<'_>) -> Self {
        let MailParams { size, body, smtputf8, require_tls, hold, .. } = *params;
        Self { path, size, body, smtputf8, require_tls, hold }
    }
}

/// Facts about a complete message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Received {
    /// Its size in bytes, as [`crate::Backend::content`] got it.
    pub size: u64,
    /// Does it have bytes outside ASCII?
    pub eight_bit: bool,
    /// Line ends that were LF alone, and were completed to CRLF.
    pub completed_lines: u64,
    /// Did it come by BDAT?
    pub chunked: bool,
}
