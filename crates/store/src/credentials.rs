//! What is kept of a password: secrets derived from it, never the password.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::codec::{Reader, put_bytes, put_varint};

/// The secrets derived from one account's password. Wiped from memory when dropped; never printed.
///
/// SCRAM secrets and MD5 states are as good as the password for their own mechanism, so they are as secret.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    /// A slow hash in PHC form (Argon2), for PLAIN and LOGIN.
    pub plain: Option<String>,
    /// The inner and the outer state of HMAC-MD5 after the padded key, for CRAM-MD5.
    pub cram_md5: Option<[[u8; 16]; 2]>,
    /// For SCRAM-SHA-1.
    pub scram_sha1: Option<ScramSecret>,
    /// For SCRAM-SHA-256.
    pub scram_sha256: Option<ScramSecret>,
}

/// What a SCRAM server needs (RFC 5802 §3), which is not enough to log in elsewhere.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ScramSecret {
    /// The salt.
    pub salt: Vec<u8>,
    /// The iteration count of PBKDF2.
    pub iterations: u32,
    /// StoredKey.
    pub stored_key: Vec<u8>,
    /// ServerKey.
    pub server_key: Vec<u8>,
}

/// Version of the stored form.
const VERSION: u8 = 1;
const PLAIN: u8 = 1;
const CRAM_MD5: u8 = 2;
const SCRAM_SHA1: u8 = 3;
const SCRAM_SHA256: u8 = 4;

impl Credentials {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        if let Some(hash) = &self.plain {
            out.push(PLAIN);
            put_bytes(&mut out, hash.as_bytes());
        }
        if let Some(states) = &self.cram_md5 {
            out.push(CRAM_MD5);
            put_bytes(&mut out, states.as_flattened());
        }
        for (kind, secret) in [(SCRAM_SHA1, &self.scram_sha1), (SCRAM_SHA256, &self.scram_sha256)] {
            if let Some(secret) = secret {
                let mut inner = secret.encode();
                out.push(kind);
                put_bytes(&mut out, &inner);
                inner.zeroize();
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Credentials> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let mut credentials = Credentials::default();
        while !reader.is_empty() {
            let kind = reader.u8()?;
            let field = reader.bytes()?;
            match kind {
                PLAIN => credentials.plain = Some(String::from_utf8(field.to_vec()).ok()?),
                CRAM_MD5 => {
                    let (inner, outer) = field.split_first_chunk::<16>()?;
                    credentials.cram_md5 = Some([*inner, outer.try_into().ok()?]);
                }
                SCRAM_SHA1 => credentials.scram_sha1 = Some(ScramSecret::decode(field)?),
                SCRAM_SHA256 => credentials.scram_sha256 = Some(ScramSecret::decode(field)?),
                // A mechanism of a later version.
                _ => {}
            }
        }
        Some(credentials)
    }
}

impl ScramSecret {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(self.iterations));
        for part in [&self.salt, &self.stored_key, &self.server_key] {
            put_bytes(&mut out, part);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<ScramSecret> {
        let mut reader = Reader::new(bytes);
        Some(ScramSecret {
            iterations: reader.varint_u32()?,
            salt: reader.bytes()?.to_vec(),
            stored_key: reader.bytes()?.to_vec(),
            server_key: reader.bytes()?.to_vec(),
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("plain", &self.plain.is_some())
            .field("cram_md5", &self.cram_md5.is_some())
            .field("scram_sha1", &self.scram_sha1.is_some())
            .field("scram_sha256", &self.scram_sha256.is_some())
            .finish()
    }
}

impl fmt::Debug for ScramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecret").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Credentials {
        let scram = |n: usize| ScramSecret {
            salt: vec![1; 12],
            iterations: 8192,
            stored_key: vec![2; n],
            server_key: vec![3; n],
        };
        Credentials {
            plain: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
            cram_md5: Some([[7; 16], [9; 16]]),
            scram_sha1: Some(scram(20)),
            scram_sha256: Some(scram(32)),
        }
    }

    #[test]
    fn round_trips() {
        for credentials in [sample(), Credentials::default()] {
            assert_eq!(Credentials::decode(&credentials.encode()), Some(credentials));
        }
    }

    #[test]
    fn refuses_cut_records_and_other_versions() {
        let bytes = sample().encode();
        assert!((2..bytes.len()).any(|cut| Credentials::decode(&bytes[..cut]).is_none()));
        assert_eq!(Credentials::decode(&[VERSION + 1]), None);
        assert_eq!(Credentials::decode(&[]), None);
    }

    #[test]
    fn never_prints_a_secret() {
        let text = format!("{:?} {:?}", sample(), sample().scram_sha1);
        assert!(!text.contains("argon2") && !text.contains('['), "{text}");
    }
}
