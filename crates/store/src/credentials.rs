//! Credentials: secrets derived from a password. The password itself is never stored.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::codec::{Reader, put_bytes};

/// The secrets derived from one account's password, each in the text form of its mechanism. Wiped from memory when
/// dropped; never printed.
///
/// The store does not look into the texts. For CRAM-MD5, the MD5 states are as good as the password.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    /// A slow hash in PHC form (Argon2), for PLAIN and LOGIN.
    pub plain: Option<String>,
    /// The states of HMAC-MD5 after the padded key, for CRAM-MD5.
    pub cram_md5: Option<String>,
    /// Salt, iterations, StoredKey and ServerKey for SCRAM-SHA-1.
    pub scram_sha1: Option<String>,
    /// The same for SCRAM-SHA-256.
    pub scram_sha256: Option<String>,
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
        let secrets = [
            (PLAIN, &self.plain),
            (CRAM_MD5, &self.cram_md5),
            (SCRAM_SHA1, &self.scram_sha1),
            (SCRAM_SHA256, &self.scram_sha256),
        ];
        for (kind, secret) in secrets {
            if let Some(secret) = secret {
                out.push(kind);
                put_bytes(&mut out, secret.as_bytes());
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
            let secret = Some(String::from_utf8(reader.bytes()?.to_vec()).ok()?);
            match kind {
                PLAIN => credentials.plain = secret,
                CRAM_MD5 => credentials.cram_md5 = secret,
                SCRAM_SHA1 => credentials.scram_sha1 = secret,
                SCRAM_SHA256 => credentials.scram_sha256 = secret,
                // A mechanism of a later version.
                _ => {}
            }
        }
        Some(credentials)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Credentials {
        Credentials {
            plain: Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".to_owned()),
            cram_md5: None,
            scram_sha1: Some("SCRAM-SHA-1$4096:c2FsdA==$a2V5:a2V5".to_owned()),
            scram_sha256: Some("SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5".to_owned()),
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
        // A cut between two secrets is a record with fewer of them; every other cut is refused.
        let mut fewer = [Credentials::default(), Credentials::default(), sample()];
        fewer[1].plain.clone_from(&sample().plain);
        fewer[2].scram_sha256 = None;
        for cut in 0..bytes.len() {
            let expected = fewer.iter().find(|fewer| fewer.encode().len() == cut);
            assert_eq!(Credentials::decode(&bytes[..cut]).as_ref(), expected, "cut at {cut}");
        }
        assert_eq!(Credentials::decode(&[VERSION + 1]), None);
        assert_eq!(Credentials::decode(&[]), None);
    }

    #[test]
    fn never_prints_a_secret() {
        let text = format!("{:?}", sample());
        assert!(!text.contains("argon2") && !text.contains("SCRAM"), "{text}");
    }
}
