//! The secret that a server stores to verify SCRAM.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::hash::{Hash, Secret};
use crate::prepare::Password;

/// Bytes of the salts we make.
pub const SALT_BYTES: usize = 16;

/// Iterations for new secrets. RFC 7677 §4 demands at least 4096. Clients compute them at every login, so there must not
/// be too many for a telephone.
pub const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(16_384).unwrap();

/// The secret that a server stores to verify SCRAM with one hash (RFC 5802 §3).
///
/// It does not contain the password, and does not suffice to log in. But a thief can pose as the server with it, and test
/// guesses of the password. Print it with [`ScramSecret::to_text`], read it
/// with `parse`.
#[derive(Clone)]
pub struct ScramSecret {
    pub(crate) hash: Hash,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
    pub(crate) stored_key: Secret,
    pub(crate) server_key: Secret,
    /// Why there is no login by this secret, for the fake ones.
    pub(crate) absent: Option<crate::Absent>,
}

impl ScramSecret {
    /// Derives the secret. `salt` is [`SALT_BYTES`] bytes of a cryptographic random generator.
    ///
    /// Slow on purpose: some milliseconds with [`DEFAULT_ITERATIONS`].
    pub fn derive(hash: Hash, password: &Password, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = hash.salted(password.as_bytes(), salt, iterations);
        // RFC 5802 §3: StoredKey = H(HMAC(SaltedPassword, "Client Key")), ServerKey = HMAC(SaltedPassword, "Server Key").
        let client_key = hash.hmac(&salted, b"Client Key");
        Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
            absent: None,
        }
    }

    /// The hash of the mechanism that the secret verifies.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How often the hash was applied to the password.
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// The form to store, that of RFC 5803 §2: `SCRAM-SHA-256$` iterations `:` salt `$` stored key `:` server key.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "{}${}:{}${}:{}",
            self.hash.scheme(),
            self.iterations,
            BASE64.encode(&self.salt),
            BASE64.encode(&self.stored_key),
            BASE64.encode(&self.server_key)
        ))
    }
}

impl FromStr for ScramSecret {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        read(text).ok_or(Error::new(ErrorKind::Stored, "stored SCRAM secret cannot be read"))
    }
}

fn read(text: &str) -> Option<ScramSecret> {
    let mut parts = text.split('$');
    let (scheme, parameters, keys) = (parts.next()?, parts.next()?, parts.next()?);
    let hash = Hash::ALL.into_iter().find(|hash| hash.scheme() == scheme)?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let bytes = |part: &str| BASE64.decode(part).ok();
    let key = |part| bytes(part).map(Zeroizing::new).filter(|key| key.len() == hash.digest_len());
    parts.next().is_none().then_some(ScramSecret {
        hash,
        salt: bytes(salt).filter(|salt| !salt.is_empty())?,
        iterations: iterations.parse().ok()?,
        stored_key: key(stored_key)?,
        server_key: key(server_key)?,
        absent: None,
    })
}

impl fmt::Debug for ScramSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScramSecret({}, {} iterations, ..)", self.hash.scheme(), self.iterations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_the_stored_form() {
        for hash in Hash::ALL {
            let password = Password::new("pencil").unwrap();
            let secret =
                ScramSecret::derive(hash, &password, b"0123456789abcdef", NonZeroU32::new(4096).unwrap());
            let text = secret.to_text();
            assert_eq!(text.parse::<ScramSecret>().unwrap().to_text(), text);
        }
    }

    #[test]
    fn refuses_what_is_not_a_stored_secret() {
        let good =
            "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=";
        assert!(good.parse::<ScramSecret>().is_ok());
        for bad in [
            "",
            "SCRAM-SHA-1",
            &good.replace("SHA-1", "SHA-9"),
            &good.replace("SHA-1", "SHA-256"),
            &good.replace("4096", "0"),
            &good.replace("QSXCR+Q6sek8bf92", ""),
            &good.replace("D+CS", "D+C"),
            &format!("{good}$"),
        ] {
            assert_eq!(bad.parse::<ScramSecret>().unwrap_err().kind(), ErrorKind::Stored, "{bad}");
        }
    }
}
