//! Why an exchange ended without a login.

use std::fmt;

/// Why an exchange ended without a login, or why a name or a password cannot be used.
///
/// It contains nothing that the peer sent, so it can be logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    detail: &'static str,
}

impl Error {
    pub(crate) const fn new(kind: ErrorKind, detail: &'static str) -> Self {
        Self { kind, detail }
    }

    /// What went wrong, for decisions in code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The value of `e=` that names this error in SCRAM (RFC 5802 §7, server-error-value).
    ///
    /// SMTP has its own reply for a failed exchange and needs no `e=` message before it; other protocols may.
    pub fn scram_value(&self) -> &'static str {
        match self.kind {
            ErrorKind::Encoding => "invalid-encoding",
            ErrorKind::Extension => "extensions-not-supported",
            ErrorKind::Credentials | ErrorKind::SecretAbsent => "invalid-proof",
            ErrorKind::BindingMismatch => "channel-bindings-dont-match",
            ErrorKind::BindingRefused => "server-does-support-channel-binding",
            ErrorKind::BindingUnsupported | ErrorKind::TlsRequired => "channel-binding-not-supported",
            ErrorKind::BindingType => "unsupported-channel-binding-type",
            _ => "other-error",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.token(), self.detail)
    }
}

impl std::error::Error for Error {}

/// The kinds of [`Error`]. Texts may change, kinds and tokens may not.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A message breaks the grammar of its mechanism.
    Malformed,
    /// A message is not UTF-8, or something in it is not base64.
    Encoding,
    /// A message, a name or a password is longer than its limit.
    TooLong,
    /// An initial response came with a mechanism in which the server speaks first.
    InitialResponse,
    /// SCRAM `m=`: the peer demands an extension that does not exist.
    Extension,
    /// The mechanism needs TLS, or a channel binding that the connection does not have.
    TlsRequired,
    /// Unknown user, wrong password or wrong proof. The client must not learn which.
    Credentials,
    /// The proof failed because the account has no secret for this mechanism ([`crate::Absent::Secret`]).
    /// To the client it is [`ErrorKind::Credentials`]; it should not count against the account.
    SecretAbsent,
    /// The client wants to act as a user other than the one it proves to be.
    Authzid,
    /// The channel binding is that of another channel: an attacker may be in between.
    BindingMismatch,
    /// SCRAM flag `y` although PLUS was offered: an attacker may have removed it from the offer.
    BindingRefused,
    /// SCRAM flag `p` in a mechanism without PLUS.
    BindingUnsupported,
    /// A PLUS mechanism without channel binding (flag `n` or `y`).
    BindingRequired,
    /// A kind of channel binding that this channel does not have.
    BindingType,
    /// Client side: the server's nonce does not extend ours.
    Nonce,
    /// Client side: salt or iteration count are too weak, or so expensive that they are an attack.
    Parameters,
    /// Client side: the server has not proved that it knows the password, or its challenge is malformed.
    ServerUntrusted,
    /// Client side: the server ended the exchange with `e=`.
    ServerRefused,
    /// Client side: the server reports success before it has proved anything, or goes on after the end.
    Unfinished,
    /// A name or password has forbidden characters, or is empty.
    Unprepared,
    /// A new password is too short.
    TooShort,
    /// A stored secret cannot be read.
    Stored,
    /// The caller called a method out of turn, or supplied a secret that does not fit the need.
    Misuse,
}

impl ErrorKind {
    /// Every kind, for documents and tests.
    pub const ALL: [ErrorKind; 23] = [
        Self::Malformed,
        Self::Encoding,
        Self::TooLong,
        Self::InitialResponse,
        Self::Extension,
        Self::TlsRequired,
        Self::Credentials,
        Self::SecretAbsent,
        Self::Authzid,
        Self::BindingMismatch,
        Self::BindingRefused,
        Self::BindingUnsupported,
        Self::BindingRequired,
        Self::BindingType,
        Self::Nonce,
        Self::Parameters,
        Self::ServerUntrusted,
        Self::ServerRefused,
        Self::Unfinished,
        Self::Unprepared,
        Self::TooShort,
        Self::Stored,
        Self::Misuse,
    ];

    /// The stable name: for logs, metric labels and tests.
    pub fn token(self) -> &'static str {
        match self {
            Self::Malformed => "sasl.malformed",
            Self::Encoding => "sasl.bad-encoding",
            Self::TooLong => "sasl.too-long",
            Self::InitialResponse => "sasl.initial-response",
            Self::Extension => "sasl.extension",
            Self::TlsRequired => "sasl.tls-required",
            Self::Credentials => "sasl.bad-credentials",
            Self::SecretAbsent => "sasl.secret-absent",
            Self::Authzid => "sasl.authzid-refused",
            Self::BindingMismatch => "sasl.binding-mismatch",
            Self::BindingRefused => "sasl.binding-refused",
            Self::BindingUnsupported => "sasl.binding-unsupported",
            Self::BindingRequired => "sasl.binding-required",
            Self::BindingType => "sasl.binding-type",
            Self::Nonce => "sasl.nonce",
            Self::Parameters => "sasl.parameters",
            Self::ServerUntrusted => "sasl.server-untrusted",
            Self::ServerRefused => "sasl.server-refused",
            Self::Unfinished => "sasl.unfinished",
            Self::Unprepared => "sasl.unprepared",
            Self::TooShort => "sasl.too-short",
            Self::Stored => "sasl.bad-stored-secret",
            Self::Misuse => "sasl.misuse",
        }
    }

    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::Malformed
            | Self::Encoding
            | Self::TooLong
            | Self::InitialResponse
            | Self::Extension
            | Self::BindingUnsupported
            | Self::BindingRequired
            | Self::BindingType
            | Self::Nonce
            | Self::Parameters
            | Self::Unfinished => Fault::Peer,
            Self::TlsRequired
            | Self::Credentials
            | Self::SecretAbsent
            | Self::Authzid
            | Self::BindingMismatch
            | Self::BindingRefused
            | Self::ServerUntrusted
            | Self::ServerRefused => Fault::Refused,
            Self::Unprepared | Self::TooShort | Self::Stored | Self::Misuse => Fault::Caller,
        }
    }
}

/// The groups of [`ErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer broke the protocol (SMTP: 501 5.5.2).
    Peer,
    /// The peer kept to the protocol, and is refused (SMTP: 535 or 538).
    Refused,
    /// The program that uses this crate gave something unusable.
    Caller,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_distinct_and_prefixed() {
        let tokens: std::collections::BTreeSet<_> = ErrorKind::ALL.iter().map(|k| k.token()).collect();
        assert_eq!(tokens.len(), ErrorKind::ALL.len());
        assert!(tokens.iter().all(|t| t.starts_with("sasl.")));
    }
}
