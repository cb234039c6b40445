//! Secrets for users that have none, so that an exchange does not reveal who has one.

use std::num::NonZeroU32;

use zeroize::Zeroizing;

use crate::cram::CramMd5Secret;
use crate::hash::{Hash, Secret};
use crate::scram::secret::{SALT_BYTES, ScramSecret};

/// Bytes of the server's secret that decoys are made from.
pub const SEED_BYTES: usize = 32;

/// Why a user has no real secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no such user, or it may not log in. The failure counts as [`crate::ErrorKind::Credentials`].
    User,
    /// The user exists, but has no secret for this mechanism (the password was set before we had the mechanism). The
    /// failure is [`crate::ErrorKind::SecretAbsent`], which looks the same to the client but is not its fault.
    Secret,
}

/// Makes secrets that no password fits.
///
/// The exchange goes on exactly as with a real secret, and fails at the proof. The salt depends on the name
/// and the server's secret alone, so that the same unknown user always shows the same salt, as a real one does.
pub struct Decoy<'a> {
    seed: &'a [u8; SEED_BYTES],
    name: &'a str,
    absent: Absent,
}

impl<'a> Decoy<'a> {
    /// For the user `name`; `seed` is random, kept over restarts, and used for nothing else.
    ///
    /// The caller gives the canonical address, because it knows whether the domain distinguishes case and which separators
    /// it has; `name` is used as it is. Otherwise comparing the salts of different spellings would reveal who exists.
    pub fn new(seed: &'a [u8; SEED_BYTES], name: &'a str, absent: Absent) -> Self {
        Self { seed, name, absent }
    }

    /// A SCRAM secret. Give the iterations that real secrets have.
    pub fn scram(&self, hash: Hash, iterations: NonZeroU32) -> ScramSecret {
        let mut salt = self.bytes(hash.scheme(), "salt");
        salt.truncate(SALT_BYTES);
        ScramSecret {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: self.key(hash, "stored key"),
            server_key: self.key(hash, "server key"),
            absent: Some(self.absent),
        }
    }

    /// A CRAM-MD5 secret.
    pub fn cram_md5(&self) -> CramMd5Secret {
        let state = |what| {
            let bytes = self.bytes("CRAM-MD5", what);
            std::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default())
        };
        CramMd5Secret::fake(state("inner"), state("outer"), self.absent)
    }

    fn key(&self, hash: Hash, what: &str) -> Secret {
        hash.digest(&self.bytes(hash.scheme(), what))
    }

    /// Bytes that only this server can compute, different for each use.
    fn bytes(&self, scheme: &str, what: &str) -> Zeroizing<Vec<u8>> {
        // Neither of the two first words contains a NUL, so no two uses can have the same input.
        Hash::Sha256.hmac(self.seed, [scheme, what, self.name].join("\0").as_bytes())
    }
}

impl std::fmt::Debug for Decoy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoy({:?}, ..)", self.absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn salts_are_stable_per_name_and_differ_between_names_and_seeds() {
        let (seed, other) = ([7; SEED_BYTES], [8; SEED_BYTES]);
        let iterations = NonZeroU32::new(4096).unwrap();
        let salt = |seed, name| Decoy::new(seed, name, Absent::User).scram(Hash::Sha256, iterations).salt;
        assert_eq!(salt(&seed, "who@example.org"), salt(&seed, "who@example.org"));
        assert_ne!(
            salt(&seed, "who@example.org"),
            salt(&seed, "Who@example.org"),
            "case is the caller's to fold"
        );
        assert_ne!(salt(&seed, "who@example.org"), salt(&seed, "whom@example.org"));
        assert_ne!(salt(&seed, "who@example.org"), salt(&other, "who@example.org"));
        assert_eq!(salt(&seed, "who@example.org").len(), SALT_BYTES);
    }
}
