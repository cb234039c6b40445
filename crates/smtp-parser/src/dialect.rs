//! [`Dialect`]: the strictness of the parser.

use crate::limits::{MAX_LOCALPART, MAX_LOCALPART_LENIENT};

/// How strict the parser is.
///
/// | matter | `Lenient` | `Strict` |
/// |---|---|---|
/// | local part | at most 128 bytes | at most 64 bytes (RFC 5321 §4.5.3.1.1) |
/// | a space after `FROM:` or `TO:` | accepted | refused (RFC 5321 §3.3) |
/// | several spaces before an AUTH initial response | accepted | refused (RFC 4954 §4) |
/// | address literal without its closing bracket | accepted | refused (RFC 5321 §4.1.3) |
/// | an IP address in HELO or EHLO without brackets or tag | accepted | refused (RFC 5321 §4.1.3) |
/// | a path without angle brackets | accepted | refused (RFC 5321 §4.1.2) |
/// | a dot at the start or end of a local part, or beside another | accepted | refused (RFC 5321 §4.1.2) |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Accepts what real clients send where its meaning is clear.
    #[default]
    Lenient,
    /// The grammar of the RFCs, for testing clients ("pedantic").
    Strict,
}

impl Dialect {
    /// The most bytes that a local part may have, counted without quotes and backslashes.
    pub(crate) fn max_localpart(self) -> usize {
        match self {
            Self::Lenient => MAX_LOCALPART_LENIENT,
            Self::Strict => MAX_LOCALPART,
        }
    }
}
