//! Secrets for those who have none, so that nobody can find out who has.

use std::num::NonZeroU32;

use zeroize::Zeroizing;

use crate::cram::CramMd5Secret;
use crate::hash::{Hash, Secret};
use crate::scram::secret::{SALT_OCTETS, ScramSecret};

/// Octets of the server's secret that decoys are made from.
pub const SEED_OCTETS: usize = 32;

/// Why a user has no real secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no such user, or it may not log in. The failure counts as [`crate::ErrorKind::Credentials`].
    User,
    /// The user exists, but nothing is stored for this mechanism (the password was set before the mechanism was known).
    /// The failure is [`crate::ErrorKind::SecretAbsent`]: the same to the client, but not the user's doing.
    Secret,
}

/// Makes secrets that no password fits.
///
/// With one the exchange goes on exactly as with a real secret, and fails at the proof. The salt depends on the name
/// and the server's secret alone, so that the same unknown user always shows the same salt, as a real one does.
pub struct Decoy<'a> {
    seed: &'a [u8; SEED_OCTETS],
    name: &'a str,
    absent: Absent,
}

impl<'a> Decoy<'a> {
    /// For the user `name`; `seed` is random, kept over restarts, and used for nothing else.
    ///
    /// Spellings that would lead to one account must give one salt, and those that would lead to different accounts
    /// different ones, or comparing salts tells who exists. So give the canonical address: the caller knows whether the
    /// domain tells case apart and which separators it has. Nothing is folded here.
    pub fn new(seed: &'a [u8; SEED_OCTETS], name: &'a str, absent: Absent) -> Self {
        Self { seed, name, absent }
    }

    /// A SCRAM secret. Give the iterations that real secrets have.
    pub fn scram(&self, hash: Hash, iterations: NonZeroU32) -> ScramSecret {
        let mut salt = self.octets(hash.scheme(), "salt");
        salt.truncate(SALT_OCTETS);
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
            let octets = self.octets("CRAM-MD5", what);
            std::array::from_fn(|i| octets.get(i).copied().unwrap_or_default())
        };
        CramMd5Secret::fake(state("inner"), state("outer"), self.absent)
    }

    fn key(&self, hash: Hash, what: &str) -> Secret {
        hash.digest(&self.octets(hash.scheme(), what))
    }

    /// Octets that only we can know, different for each use.
    fn octets(&self, scheme: &str, what: &str) -> Zeroizing<Vec<u8>> {
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
        let (seed, other) = ([7; SEED_OCTETS], [8; SEED_OCTETS]);
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
        assert_eq!(salt(&seed, "who@example.org").len(), SALT_OCTETS);
    }
}
