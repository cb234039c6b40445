//! The closed vocabularies: algorithms, canonicalisations, results.

use crate::ErrorKind;
use std::fmt;
use std::str::FromStr;

/// A signing algorithm: what `a=` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 6376 §3.3.2.
    RsaSha256,
    /// RFC 8463 §3: PureEdDSA over the SHA-256 of the header.
    Ed25519Sha256,
    /// RFC 6376 §3.3.1; historic, never evaluated (RFC 8301 §3.1).
    RsaSha1,
}

/// A kind of key: what `k=` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RFC 6376 §3.6.1.
    Rsa,
    /// RFC 8463 §4.
    Ed25519,
}

impl Algorithm {
    /// As `a=` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        }
    }

    /// The kind of key that it needs.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::RsaSha256 | Self::RsaSha1 => KeyType::Rsa,
            Self::Ed25519Sha256 => KeyType::Ed25519,
        }
    }

    /// The hash, as `h=` of a key record names it.
    pub fn hash(self) -> &'static str {
        match self {
            Self::RsaSha256 | Self::Ed25519Sha256 => "sha256",
            Self::RsaSha1 => "sha1",
        }
    }

    /// Octets of its hash.
    pub(crate) fn hash_length(self) -> usize {
        if self == Self::RsaSha1 { 20 } else { 32 }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Self, ErrorKind> {
        [Self::RsaSha256, Self::Ed25519Sha256, Self::RsaSha1]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
            .ok_or(ErrorKind::Algorithm)
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        })
    }
}

/// How much a part of the message may change on its way (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Canonicalization {
    /// Next to nothing; what `c=` means when it is not given.
    #[default]
    Simple,
    /// White space and the case of field names.
    Relaxed,
}

impl Canonicalization {
    /// As `c=` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Canonicalization {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Self, ErrorKind> {
        [Self::Simple, Self::Relaxed]
            .into_iter()
            .find(|canonicalization| canonicalization.as_str().eq_ignore_ascii_case(text))
            .ok_or(ErrorKind::Canonicalization)
    }
}

/// What became of a signature, in the words of RFC 8601 §2.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Nothing can be said: there is no signature, or its key is in test mode and it did not verify.
    None,
    /// Signed, and not looked at further.
    Neutral,
    /// The domain of `d=` vouches for the signed parts.
    Pass,
    /// The signature does not fit the message.
    Fail,
    /// Refused by local policy.
    Policy,
    /// DNS trouble; later it may come out otherwise.
    TempError,
    /// The signature, its key or the message is broken for good.
    PermError,
}

impl Status {
    /// The word of Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
