//! Public keys, and verifying a signature with one.

use crate::{Algorithm, Error, ErrorKind, KeyType, der};
use ring::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaPublicKeyComponents, UnparsedPublicKey,
};
use std::fmt;

/// RFC 8301 §3.2: verifiers must not consider signatures of RSA keys below 1024 bits valid.
pub const MIN_RSA_BITS: usize = 1024;
/// The largest RSA keys that are evaluated; RFC 8301 §3.2 asks for at least 4096 bits.
pub const MAX_RSA_BITS: usize = 8192;

/// RFC 8032 §5.1.5: bytes of an Ed25519 public key.
const ED25519_LENGTH: usize = 32;

/// The public key of a record.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The bytes of `p=`.
    bytes: Vec<u8>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519([u8; ED25519_LENGTH]),
}

impl PublicKey {
    /// Parses the decoded value of `p=`.
    ///
    /// RSA: a SubjectPublicKeyInfo, which everyone publishes, or a bare RSAPublicKey, as RFC 6376 §3.6.1 says.
    /// Ed25519: the 32 bytes of the key (RFC 8463 §4), or a SubjectPublicKeyInfo, which some publish.
    ///
    /// # Errors
    /// [`ErrorKind::PublicKey`]: it is neither of them.
    pub fn parse(key_type: KeyType, bytes: &[u8]) -> Result<Self, Error> {
        let material = match key_type {
            KeyType::Rsa => rsa(bytes),
            KeyType::Ed25519 => ed25519(bytes),
        };
        let material = material.ok_or(ErrorKind::PublicKey)?;
        Ok(Self { bytes: bytes.to_vec(), material })
    }

    /// Returns whether this is an RSA or an Ed25519 key.
    pub fn key_type(&self) -> KeyType {
        match self.material {
            Material::Rsa { .. } => KeyType::Rsa,
            Material::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// Returns the size in bits: of the modulus for RSA, 256 for Ed25519.
    pub fn bits(&self) -> usize {
        match &self.material {
            Material::Rsa { modulus, .. } => {
                let zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
                modulus.len() * 8 - zeros
            }
            Material::Ed25519(_) => 256,
        }
    }

    /// Returns the bytes of `p=`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks that the key is neither too small nor too large for its signatures to count.
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        let kind = match self.bits() {
            _ if self.key_type() == KeyType::Ed25519 => return Ok(()),
            bits if bits < MIN_RSA_BITS => ErrorKind::KeyTooSmall,
            bits if bits > MAX_RSA_BITS => ErrorKind::KeyTooLarge,
            _ => return Ok(()),
        };
        Err(Error::about(kind, format!("{} bits", self.bits()).as_bytes()))
    }

    /// Whether this is the signature of `data`. The kinds of key and algorithm must agree.
    pub(crate) fn verify(&self, algorithm: Algorithm, data: &[u8], signature: &[u8]) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { modulus, exponent }, Algorithm::RsaSha256) => {
                let key = RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, data, signature).is_ok()
            }
            (Material::Ed25519(key), Algorithm::Ed25519Sha256) => {
                // RFC 8463 §3: PureEdDSA signs the hash of the header.
                let hash = ring::digest::digest(&ring::digest::SHA256, data);
                UnparsedPublicKey::new(&ED25519, key).verify(hash.as_ref(), signature).is_ok()
            }
            _ => false,
        }
    }
}

fn rsa(bytes: &[u8]) -> Option<Material> {
    let key = match der::subject_public_key(bytes) {
        Some((der::RSA, key)) => key,
        Some(_) => return None,
        None => bytes,
    };
    let (modulus, exponent) = der::rsa_public_key(key)?;
    Some(Material::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() })
}

fn ed25519(bytes: &[u8]) -> Option<Material> {
    let key = match der::subject_public_key(bytes) {
        Some((der::ED25519, key)) => key,
        Some(_) => return None,
        None => bytes,
    };
    key.try_into().ok().map(Material::Ed25519)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} bit {})", self.bits(), self.key_type())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An RSAPublicKey with a modulus of this many bits, and 65537.
    fn rsa_of(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        modulus.insert(0, 0);
        let length = |n: usize| [0x82, (n >> 8) as u8, n as u8];
        let integer =
            [&[der::INTEGER][..], &length(modulus.len()), &modulus, b"\x02\x03\x01\x00\x01"].concat();
        [&[der::SEQUENCE][..], &length(integer.len()), &integer].concat()
    }

    #[test]
    fn sizes_are_counted_in_bits() {
        let check = |bits: usize, want: Result<(), ErrorKind>| {
            let key = PublicKey::parse(KeyType::Rsa, &rsa_of(bits)).unwrap();
            assert_eq!(key.bits(), bits);
            assert_eq!(key.check_size().map_err(|error| error.kind()), want, "{bits}");
        };
        check(1023, Err(ErrorKind::KeyTooSmall));
        check(MIN_RSA_BITS, Ok(()));
        check(2047, Ok(()));
        check(MAX_RSA_BITS, Ok(()));
        check(8193, Err(ErrorKind::KeyTooLarge));
    }

    #[test]
    fn a_key_verifies_its_own_algorithm_alone() {
        let key = PublicKey::parse(KeyType::Rsa, &rsa_of(2048)).unwrap();
        for algorithm in [Algorithm::RsaSha256, Algorithm::RsaSha1, Algorithm::Ed25519Sha256] {
            assert!(!key.verify(algorithm, b"data", &[0; 256]));
        }
    }
}
