//! Private keys. Callers never see more of one than this value.

use crate::{Algorithm, Error, ErrorKind, KeyType, PublicKey, Record, der, tags};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use std::fmt;
use zeroize::Zeroizing;

/// A private key that signs. Whoever holds one can ask for signatures and for the public half, and for nothing else,
/// so that the key itself can live elsewhere one day.
pub struct SigningKey {
    secret: Secret,
    record: Record,
}

enum Secret {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Secret {
    fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa(_) => KeyType::Rsa,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }
}

impl SigningKey {
    /// Reads a private key in PEM: `PRIVATE KEY` (PKCS#8, RFC 5958 §2), Ed25519 or RSA of 2048 to 4096 bits; or
    /// `RSA PRIVATE KEY` (PKCS#1), which older tools write.
    ///
    /// # Errors
    /// [`ErrorKind::PrivateKey`]. What was wrong is told; nothing of the key is.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::about(ErrorKind::PrivateKey, why.as_bytes());
        let (label, der) = decode_pem(pem).ok_or_else(|| bad("not PEM"))?;
        let secret = match label {
            "PRIVATE KEY" => match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
                Ok(key) => Secret::Ed25519(key),
                Err(_) => {
                    Secret::Rsa(Box::new(RsaKeyPair::from_pkcs8(&der).map_err(|e| bad(&e.to_string()))?))
                }
            },
            "RSA PRIVATE KEY" => {
                Secret::Rsa(Box::new(RsaKeyPair::from_der(&der).map_err(|e| bad(&e.to_string()))?))
            }
            _ => return Err(bad("PEM label is neither PRIVATE KEY nor RSA PRIVATE KEY")),
        };
        let octets = match &secret {
            Secret::Rsa(key) => der::wrap_rsa(key.public_key().as_ref()),
            Secret::Ed25519(key) => key.public_key().as_ref().to_vec(),
        };
        let record = Record::new(PublicKey::parse(secret.key_type(), &octets)?);
        Ok(Self { secret, record })
    }

    /// The kind of key.
    pub fn key_type(&self) -> KeyType {
        self.secret.key_type()
    }

    /// The algorithm it signs with. RFC 8301 §3.1: SHA-1 must not be used.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Rsa(_) => Algorithm::RsaSha256,
            Secret::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// The key record that its signatures are verified with.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The signature of canonical header data.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.secret {
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // RFC 8017 §8.2: PKCS#1 v1.5 is deterministic; the source of randomness is asked for and not used.
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| Error::about(ErrorKind::PrivateKey, b"signing failed"))?;
                Ok(signature)
            }
            // RFC 8463 §3: PureEdDSA signs the SHA-256 of the header.
            Secret::Ed25519(key) => Ok(key.sign(digest(&SHA256, data).as_ref()).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.key_type())
    }
}

/// Label and content of the first PEM block (RFC 7468 §2).
fn decode_pem(pem: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(body.bytes().filter(|b| !tags::is_fws(b)).collect());
    Some((label, Zeroizing::new(tags::decode_base64(&packed)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_private_key() {
        let check = |pem: &str, want: &str| {
            let error = SigningKey::from_pem(pem).unwrap_err();
            assert_eq!(error.to_string(), format!("private key cannot be used: {want}"));
        };
        check("", "not PEM");
        check("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n", "not PEM");
        check("-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n", "InvalidEncoding");
        check(
            "-----BEGIN EC PRIVATE KEY-----\naGVsbG8=\n-----END EC PRIVATE KEY-----\n",
            "PEM label is neither PRIVATE KEY nor RSA PRIVATE KEY",
        );
    }
}
