//! The two hashes of SCRAM, by ring, and comparison in constant time.

use std::hint::black_box;
use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

/// The hash a SCRAM mechanism is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, 20 bytes. Collisions of it do not matter, because SCRAM uses it only in HMAC and on random keys.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl Hash {
    /// Both hashes.
    pub const ALL: [Hash; 2] = [Hash::Sha1, Hash::Sha256];

    /// The length of a digest, and so of every key and proof, in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    /// The mechanism name without `-PLUS`, which also names stored secrets (RFC 5803 §2).
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// `H(data)` of RFC 5802 §2.2.
    pub(crate) fn digest(self, data: &[u8]) -> Secret {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        Zeroizing::new(digest::digest(algorithm, data).as_ref().to_vec())
    }

    /// `HMAC(key, data)` of RFC 5802 §2.2.
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Secret {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        Zeroizing::new(hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec())
    }

    /// `Hi(password, salt, iterations)` of RFC 5802 §2.2, which is PBKDF2 with an output of one digest.
    pub(crate) fn salted(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Secret {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        let mut out = Zeroizing::new(vec![0; self.digest_len()]);
        pbkdf2::derive(algorithm, iterations, salt, password, &mut out);
        out
    }
}

/// Bytes that are wiped when they are dropped.
pub(crate) type Secret = Zeroizing<Vec<u8>>;

/// Are both the same? Looks at every byte, so that the time does not depend on where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |seen, (x, y)| seen | (x ^ y));
    // The barrier keeps the optimiser from leaving the loop at the first difference.
    a.len() == b.len() && black_box(differences) == 0
}

/// `a XOR b`, as long as the shorter one.
pub(crate) fn xor(a: &[u8], b: &[u8]) -> Secret {
    Zeroizing::new(a.iter().zip(b).map(|(x, y)| x ^ y).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_compares_all_of_both() {
        assert!(equal(b"", b""));
        assert!(equal(b"abc", b"abc"));
        for other in [&b""[..], b"ab", b"abd", b"bbc", b"abcd"] {
            assert!(!equal(b"abc", other), "{other:?}");
        }
    }
}
