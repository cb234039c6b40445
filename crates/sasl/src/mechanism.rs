//! The mechanisms by name, what each needs, and which is stronger.

use std::fmt;
use std::str::FromStr;

use crate::hash::Hash;

/// A SASL mechanism this crate speaks.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// EXTERNAL (RFC 4422, appendix A): the TLS client certificate proves who it is.
    External,
    /// SCRAM-SHA-256-PLUS (RFC 7677), bound to the TLS channel.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802), bound to the TLS channel.
    ScramSha1Plus,
    /// SCRAM-SHA-256 (RFC 7677).
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802).
    ScramSha1,
    /// CRAM-MD5 (RFC 2195).
    CramMd5,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN (draft-murchison-sasl-login): obsolete, but some clients know no other.
    Login,
}

/// What a mechanism demands of the connection it runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsNeed {
    /// Nothing: neither the password nor anything it can be read from crosses the wire.
    None,
    /// The password crosses the wire. The owner should refuse it without TLS; this crate does not.
    Secrecy,
    /// Cannot work without TLS: it uses the certificate or the channel itself. [`crate::Server`] refuses by itself.
    Inherent,
}

impl Mechanism {
    /// All mechanisms, the strongest first: the order in which to announce them.
    ///
    /// Channel binding counts for more than the hash, because it detects an attacker in between. PLAIN and LOGIN come last
    /// because they hand over the password.
    pub const BY_STRENGTH: [Mechanism; 8] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
    ];

    /// The registered name, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// What the mechanism demands of the connection.
    pub fn needs_tls(self) -> TlsNeed {
        match self {
            Self::External | Self::ScramSha256Plus | Self::ScramSha1Plus => TlsNeed::Inherent,
            Self::ScramSha256 | Self::ScramSha1 | Self::CramMd5 => TlsNeed::None,
            Self::Plain | Self::Login => TlsNeed::Secrecy,
        }
    }

    /// Does the server send the first message?
    pub fn server_first(self) -> bool {
        matches!(self, Self::CramMd5 | Self::Login)
    }

    /// Is the exchange bound to the TLS channel?
    pub fn is_plus(self) -> bool {
        matches!(self, Self::ScramSha256Plus | Self::ScramSha1Plus)
    }

    /// The hash of a SCRAM mechanism; `None` for the others.
    pub fn hash(self) -> Option<Hash> {
        match self {
            Self::ScramSha256 | Self::ScramSha256Plus => Some(Hash::Sha256),
            Self::ScramSha1 | Self::ScramSha1Plus => Some(Hash::Sha1),
            Self::External | Self::CramMd5 | Self::Plain | Self::Login => None,
        }
    }

    /// The first of `wanted` that is also `offered`: what a client should use.
    pub fn choose(wanted: &[Mechanism], offered: &[Mechanism]) -> Option<Mechanism> {
        wanted.iter().copied().find(|m| offered.contains(m))
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of a name that is no mechanism of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownMechanism;

impl fmt::Display for UnknownMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown mechanism")
    }
}

impl std::error::Error for UnknownMechanism {}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    /// Reads a name in any case.
    fn from_str(name: &str) -> Result<Self, UnknownMechanism> {
        // RFC 4954 §8: "The SASL mechanism name is case-insensitive" on the wire (auth-type in the ABNF).
        Self::BY_STRENGTH.into_iter().find(|m| m.name().eq_ignore_ascii_case(name)).ok_or(UnknownMechanism)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_names_in_any_case() {
        for m in Mechanism::BY_STRENGTH {
            assert_eq!(m.name().parse(), Ok(m));
            assert_eq!(m.name().to_lowercase().parse(), Ok(m));
        }
        for unknown in ["", "PLAIN ", "SCRAM", "GSSAPI", "SCRAM-SHA-256-PLU"] {
            assert_eq!(unknown.parse::<Mechanism>(), Err(UnknownMechanism), "{unknown}");
        }
    }

    #[test]
    fn chooses_the_first_wanted_that_is_offered() {
        use Mechanism::*;
        let wanted = [ScramSha256, ScramSha1, CramMd5];
        assert_eq!(Mechanism::choose(&wanted, &[Plain, CramMd5, ScramSha1]), Some(ScramSha1));
        assert_eq!(Mechanism::choose(&wanted, &[Plain, Login]), None);
    }

    #[test]
    fn what_hands_over_the_password_asks_for_secrecy() {
        let asking: Vec<_> =
            Mechanism::BY_STRENGTH.into_iter().filter(|m| m.needs_tls() == TlsNeed::Secrecy).collect();
        assert_eq!(asking, [Mechanism::Plain, Mechanism::Login]);
    }
}
