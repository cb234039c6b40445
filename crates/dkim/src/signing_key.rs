//! Private keys that sign: read from PEM, or written from a random seed.

use crate::{Algorithm, Error, ErrorKind, KeyType, PublicKey, Record, der, tags};
use ring::digest::{SHA256, digest};
use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use std::fmt;
use zeroize::Zeroizing;

/// A private key that signs. It exposes only signatures and its public half, so that the key itself could move to another
/// process or device without a change for callers.
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
    /// Parses a private key in PEM: `PRIVATE KEY` (PKCS#8, RFC 5958 §2), Ed25519 or RSA of 2048 to 4096 bits; or
    /// `RSA PRIVATE KEY` (PKCS#1), which older tools write.
    ///
    /// # Errors
    /// [`ErrorKind::PrivateKey`], with what is wrong and what to do, and without any part of the key.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        let pem = pem.as_ref();
        let (label, body) = pem_block(pem).ok_or_else(|| bad(no_pem(pem)))?;
        let secret = match label {
            "PRIVATE KEY" => {
                let der = decode(body)?;
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
                    Ok(key) => Secret::Ed25519(key),
                    Err(_) => Secret::Rsa(Box::new(RsaKeyPair::from_pkcs8(&der).map_err(rejected)?)),
                }
            }
            "RSA PRIVATE KEY" => {
                let der = decode(body)?;
                Secret::Rsa(Box::new(RsaKeyPair::from_der(&der).map_err(rejected)?))
            }
            label => return Err(bad(not_a_key(label))),
        };
        let bytes = match &secret {
            Secret::Rsa(key) => der::wrap_rsa(key.public_key().as_ref()),
            Secret::Ed25519(key) => key.public_key().as_ref().to_vec(),
        };
        let record = Record::new(PublicKey::parse(secret.key_type(), &bytes)?);
        Ok(Self { secret, record })
    }

    /// Returns the Ed25519 key of a random seed, in PEM. It is written in the first version of PKCS#8, since OpenSSL before
    /// 3.5, and software built on it, can read no other.
    pub fn ed25519_pem(seed: &[u8; ED25519_SEED]) -> Zeroizing<String> {
        let der = Zeroizing::new([ED25519_PKCS8, seed].concat());
        let body = Zeroizing::new(tags::encode_base64(&der));
        // 48 bytes are one line of 64 characters (RFC 7468 §2).
        Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *body))
    }

    /// Returns whether this is an RSA or an Ed25519 key.
    pub fn key_type(&self) -> KeyType {
        self.secret.key_type()
    }

    /// Returns the algorithm it signs with. RFC 8301 §3.1: SHA-1 must not be used.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Rsa(_) => Algorithm::RsaSha256,
            Secret::Ed25519(_) => Algorithm::Ed25519Sha256,
        }
    }

    /// Returns the key record to publish, with which its signatures are verified.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Signs canonicalised header data.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.secret {
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                // RFC 8017 §8.2: PKCS#1 v1.5 is deterministic; ring takes a source of randomness and does not use it.
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

/// Bytes of the seed of an Ed25519 key (RFC 8032 §5.1.5).
pub const ED25519_SEED: usize = 32;
/// RFC 8410 §7: version 0, id-Ed25519, and an OCTET STRING within an OCTET STRING; the seed follows.
const ED25519_PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

fn bad(why: &'static str) -> Error {
    Error::because(ErrorKind::PrivateKey, why)
}

/// Returns label and encoded content of the first PEM block (RFC 7468 §2).
fn pem_block(pem: &[u8]) -> Option<(&str, &str)> {
    let (_, rest) = std::str::from_utf8(pem).ok()?.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    Some((label, body))
}

fn decode(body: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    // RFC 1421 §4.6.1.1: the header by which older tools mark an encrypted key.
    if body.contains("ENCRYPTED") {
        return Err(bad(ENCRYPTED));
    }
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(body.bytes().filter(|b| !tags::is_fws(b)).collect());
    tags::decode_base64(&packed).map(Zeroizing::new).ok_or_else(|| bad("its PEM block is not base64"))
}

const ENCRYPTED: &str = "it is encrypted; write it without a passphrase: openssl pkey -in KEY -out NEWKEY";
const OTHER_KIND: &str =
    "it is neither an RSA nor an Ed25519 key (such as an EC key), and DKIM knows no other";

/// The error text for a file without a PEM block.
fn no_pem(text: &[u8]) -> &'static str {
    // X.690 §8.9.1: DER wraps a key in a SEQUENCE.
    if text.first() == Some(&der::SEQUENCE) {
        "it is DER and not PEM; convert it: openssl pkey -inform DER -in KEY -out NEWKEY"
    } else {
        "it is not PEM: there is no -----BEGIN PRIVATE KEY----- with its end"
    }
}

/// The error text for a PEM block with another label.
fn not_a_key(label: &str) -> &'static str {
    match label {
        "ENCRYPTED PRIVATE KEY" => ENCRYPTED,
        "EC PRIVATE KEY" | "EC PARAMETERS" | "DSA PRIVATE KEY" => OTHER_KIND,
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "it is a public key, and signing takes the private one",
        "CERTIFICATE" => "it is a certificate, and signing takes a private key",
        "OPENSSH PRIVATE KEY" => "it is a key of OpenSSH; make one: moxd dkim keygen ed25519 --out NEWKEY",
        _ => "its PEM block is neither PRIVATE KEY nor RSA PRIVATE KEY",
    }
}

/// The error text for an RSA key that ring refuses.
fn rejected(error: KeyRejected) -> Error {
    bad(match error.to_string().as_str() {
        "WrongAlgorithm" => OTHER_KIND,
        "TooSmall" => "the RSA key has less than 2048 bits",
        "TooLarge" => "the RSA key has more than 4096 bits",
        "InvalidEncoding" => "the content of its PEM block is no key",
        _ => "its parts do not make a key",
    })
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
        check("", "it is not PEM: there is no -----BEGIN PRIVATE KEY----- with its end");
        check("-----BEGIN PRIVATE KEY-----\n*\n-----END PRIVATE KEY-----\n", "its PEM block is not base64");
        let block = |label: &str| format!("-----BEGIN {label}-----\naGVsbG8=\n-----END {label}-----\n");
        check(&block("PRIVATE KEY"), "the content of its PEM block is no key");
        check(&block("RSA PRIVATE KEY"), "the content of its PEM block is no key");
        check(&block("EC PRIVATE KEY"), OTHER_KIND);
        check(&block("ENCRYPTED PRIVATE KEY"), ENCRYPTED);
        check(&block("PUBLIC KEY"), "it is a public key, and signing takes the private one");
        check(&block("CERTIFICATE"), "it is a certificate, and signing takes a private key");
        check(&block("X509 CRL"), "its PEM block is neither PRIVATE KEY nor RSA PRIVATE KEY");
        let encrypted = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\naGVsbG8=";
        check(&block("RSA PRIVATE KEY").replace("aGVsbG8=", encrypted), ENCRYPTED);
        // P-256, as `openssl ecparam -name prime256v1 -genkey | openssl pkcs8 -topk8 -nocrypt` writes it.
        let ec = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeDiEgalUxUXvteLJ\n\
                  EHXcLpHdsUDzK9+KyuBXmL5avmWhRANCAATiENBBcejuHmbCZoVWNCQyi+hSwbhD\n\
                  25FnPsw6+Vh3SQo/7t+7oRyp1fpFGt79yhYsuwp4WOq5XNFZO6TnjMQF";
        check(&block("PRIVATE KEY").replace("aGVsbG8=", ec), OTHER_KIND);
        let der = [der::SEQUENCE, 0x82, 4, 0xa2, 2, 1, 0, 0xff];
        let error = SigningKey::from_pem(der).unwrap_err();
        assert!(error.to_string().contains("it is DER and not PEM"), "{error}");
    }

    #[test]
    fn an_ed25519_key_is_written_for_all_and_read_in_both_versions() {
        // RFC 8410 §10.3: the first example, which is version 1 and reads back as what was written.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let (_, body) = pem_block(pem.as_bytes()).unwrap();
        let der = decode(body).unwrap();
        let seed: [u8; ED25519_SEED] = der[ED25519_PKCS8.len()..].try_into().unwrap();
        assert_eq!(*SigningKey::ed25519_pem(&seed), pem);
        let key = SigningKey::from_pem(pem).unwrap();
        // Version 2 has the public key behind it, [1] in a BIT STRING (RFC 5958 §2); ring writes it so.
        let public = key.record().key.as_ref().unwrap().as_bytes();
        let mut second = [&[0xa1, 0x23, 3, 0x21, 0], public].concat();
        second.splice(0..0, der.iter().copied());
        (second[1], second[4]) = (0x53, 1);
        let second = pem.replace(body.trim(), &tags::encode_base64(&second));
        assert_eq!(SigningKey::from_pem(second).unwrap().record(), key.record());
    }
}
