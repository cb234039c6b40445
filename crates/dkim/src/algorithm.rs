//! The closed vocabularies: algorithms, canonicalisations, results.

use crate::ErrorKind;
use std::fmt;
use std::str::FromStr;

/// A signing algorithm, the value of `a=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 6376 §3.3.2.
    RsaSha256,
    /// RFC 8463 §3: PureEdDSA over the SHA-256 of the header.
    Ed25519Sha256,
    /// RFC 6376 §3.3.1; historic, never evaluated (RFC 8301 §3.1).
    RsaSha1,
}

/// A kind of key, the value of `k=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RFC 6376 §3.6.1.
    Rsa,
    /// RFC 8463 §4.
    Ed25519,
}

impl Algorithm {
    /// Returns the value of `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        }
    }

    /// Returns the kind of key that it needs.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::RsaSha256 | Self::RsaSha1 => KeyType::Rsa,
            Self::Ed25519Sha256 => KeyType::Ed25519,
        }
    }

    /// Returns the hash, as in `h=` of a key record.
    pub fn hash(self) -> &'static str {
        match self {
            Self::RsaSha256 | Self::Ed25519Sha256 => "sha256",
            Self::RsaSha1 => "sha1",
        }
    }

    /// Returns the length of its hash in bytes.
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

/// How much header or body may change in transit without breaking the signature (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Canonicalization {
    /// Next to nothing may change; the default of `c=`.
    #[default]
    Simple,
    /// White space and the case of field names may change.
    Relaxed,
}

impl Canonicalization {
    /// Returns the value in `c=`.
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

/// The result of verifying a signature, in the words of RFC 8601 §2.7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// There is no signature, or its key is in test mode and it did not verify.
    None,
    /// There is a signature, and it was not evaluated.
    Neutral,
    /// The domain of `d=` vouches for the signed parts.
    Pass,
    /// The signature does not match the message.
    Fail,
    /// Local policy refuses the signature.
    Policy,
    /// DNS failed; a later try may succeed.
    TempError,
    /// The signature, its key or the message is malformed.
    PermError,
}

impl Status {
    /// Returns the word in Authentication-Results.
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
