//! What MAIL said, and what is known of a message when it is complete.

use smtp_parser::{Body, FutureRelease, MailParams, Path};

/// What MAIL said. Every parameter is legal on this listener and within its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The reverse path.
    pub path: Path,
    /// `SIZE=`: octets the client says the message will have.
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
    /// `AUTH=` is dropped: nothing here trusts what another server says of a submitter (RFC 4954 §5 allows that).
    pub(crate) fn new(path: Path, params: &MailParams<'_>) -> Self {
        let MailParams { size, body, smtputf8, require_tls, hold, .. } = *params;
        Self { path, size, body, smtputf8, require_tls, hold }
    }
}

/// What is known of a message when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Received {
    /// Octets, as they were given to [`crate::Backend::content`].
    pub size: u64,
    /// Is any octet outside ASCII?
    pub eight_bit: bool,
    /// Line ends that were LF alone and became CRLF.
    pub completed_lines: u64,
    /// Did it come by BDAT?
    pub chunked: bool,
}
