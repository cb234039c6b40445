//! The slow hash behind PLAIN and LOGIN: expensive for thieves of the store, cheap for clients that log in often, and bounded,
//! so that it cannot be used for denial of service.
//!
//! Three bounds: hashes run on half of the cores at most, each in memory that the next one uses again; the queue before them
//! is fair to networks and bounded for each; a success is remembered for a while under a keyed hash, so that a client that
//! logs in for every message costs one slow hash every quarter of an hour. The password itself is never kept.

use crate::fair::FairQueue;
use argon2::password_hash::Output;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, PasswordHasher, Version};
use bounded_cache::BoundedCache;
use parking_lot::Mutex;
use ring::hmac;
use smtpserver::Standing;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long a success is remembered.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(15 * 60);
/// Successes remembered at most; beyond that, those not used for longest are forgotten.
pub const MAX_REMEMBERED: usize = 10_000;
/// Memory of one Argon2id hash in KiB (RFC 9106 §4 scaled to a small machine: OWASP's choice for 9 MiB).
pub const MEMORY_KIB: u32 = 9 * 1024;
/// Passes over that memory.
pub const PASSES: u32 = 4;

/// Bytes of a salt (RFC 9106 §3.1 recommends 16).
pub(crate) const SALT_BYTES: usize = 16;

/// The outcome of checking a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is the password.
    Right,
    /// It is not the password, there is no such account, or the account has no password.
    Wrong,
    /// Too many checks are waiting; the client should try again later.
    Busy,
}

/// Checks passwords, with bounds.
#[derive(Debug)]
pub(crate) struct Passwords {
    slots: FairQueue,
    /// The memory of free slots, for the next hash. The allocator would keep freed memory for each thread that had it.
    memory: Arc<Mutex<Vec<Vec<Block>>>>,
    key: hmac::Key,
    remembered: Mutex<BoundedCache<[u8; 32], Instant>>,
    /// The hash that is verified for missing accounts, so that these take the same time.
    decoy: String,
}

fn hasher() -> Argon2<'static> {
    let params =
        Params::new(MEMORY_KIB, PASSES, 1, None).expect("constant parameters are within Argon2's ranges");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a prepared password as a PHC string, to be stored.
pub(crate) fn hash(password: &str, salt: &[u8; SALT_BYTES]) -> String {
    let salt = argon2::password_hash::SaltString::encode_b64(salt).expect("16 bytes make a valid salt");
    let hash = hasher().hash_password(password.as_bytes(), &salt);
    hash.expect("a bounded password and a valid salt can be hashed").to_string()
}

/// Is this the password of a PHC string? `memory` grows to what the string's parameters need.
fn verify(password: &str, phc: &str, memory: &mut Vec<Block>) -> bool {
    let check = || {
        let parsed = PasswordHash::new(phc).ok()?;
        let params = Params::try_from(&parsed).ok()?;
        memory.resize(params.block_count(), Block::new());
        let mut salt = [0; MAX_SALT_BYTES];
        let salt = parsed.salt?.decode_b64(&mut salt).ok()?;
        let stored = parsed.hash?;
        let mut found = Zeroizing::new([0; MAX_HASH_BYTES]);
        let found = found.get_mut(..stored.len())?;
        let argon = Argon2::new(Algorithm::try_from(parsed.algorithm).ok()?, Version::V0x13, params);
        argon.hash_password_into_with_memory(password.as_bytes(), salt, found, memory).ok()?;
        // The library compares in constant time.
        Some(stored == Output::new(found).ok()?)
    };
    check().unwrap_or(false)
}

/// Bytes of the longest salt that a PHC string may have.
const MAX_SALT_BYTES: usize = 64;
/// Bytes of the longest hash that a PHC string may have.
const MAX_HASH_BYTES: usize = 64;

impl Passwords {
    /// `key` is random and lives as long as the process.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let slots = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let salt: [u8; SALT_BYTES] = *key.first_chunk().expect("the key is longer than the salt");
        Self {
            slots: FairQueue::new(slots),
            memory: Arc::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            remembered: Mutex::new(BoundedCache::new(MAX_REMEMBERED)),
            decoy: hash("no password hashes to this by design", &salt),
        }
    }

    /// Is this the password whose hash is stored? Without an account or a password `stored` is none, which takes as long as a
    /// wrong password. `now` is a clock that is never set.
    pub(crate) async fn check(
        &self,
        account: &str,
        stored: Option<&str>,
        password: Zeroizing<String>,
        standing: Standing,
        now: Instant,
    ) -> Checked {
        let tag = self.tag(account, stored.unwrap_or_default(), &password);
        if stored.is_some() && self.is_remembered(&tag, now) {
            return Checked::Right;
        }
        let phc = stored.unwrap_or(&self.decoy).to_owned();
        let Some(right) = self.slow(phc, password, standing).await else { return Checked::Busy };
        if !right || stored.is_none() {
            return Checked::Wrong;
        }
        self.remember(tag, now);
        Checked::Right
    }

    async fn slow(&self, phc: String, password: Zeroizing<String>, standing: Standing) -> Option<bool> {
        let slot = self.slots.enter(standing).await?;
        let kept = self.memory.clone();
        let work = tokio::task::spawn_blocking(move || {
            let lock = || kept.lock();
            let mut memory = lock().pop().unwrap_or_default();
            let right = verify(&password, &phc, &mut memory);
            lock().push(memory);
            drop(slot);
            right
        });
        work.await.ok()
    }

    fn tag(&self, account: &str, stored: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [account, stored, password] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let tag = context.sign();
        *tag.as_ref().first_chunk().expect("HMAC-SHA-256 gives 32 bytes")
    }

    fn is_remembered(&self, tag: &[u8; 32], now: Instant) -> bool {
        let mut remembered = self.remembered.lock();
        remembered.get(tag).is_some_and(|since| now.saturating_duration_since(*since) < REMEMBERED_FOR)
    }

    fn remember(&self, tag: [u8; 32], now: Instant) {
        self.remembered.lock().insert(tag, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDING: fn() -> Standing =
        || Standing { known: false, network: ratelimit::Network::new([192, 0, 2, 1].into(), 21) };

    fn password(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test]
    async fn tells_right_wrong_and_unknown_apart() {
        let passwords = Passwords::new(&[7; 32]);
        let stored = hash("moxmoxmox", &[1; 16]);
        assert!(stored.starts_with("$argon2id$v=19$m=9216,t=4,p=1$"), "{stored}");
        for (account, stored, text, expected) in [
            ("mox", Some(&*stored), "moxmoxmox", Checked::Right),
            ("mox", Some(&stored), "moxmoxmoy", Checked::Wrong),
            ("eve", None, "moxmoxmox", Checked::Wrong),
            ("eve", None, "no password hashes to this by design", Checked::Wrong),
            ("mox", Some("not a hash"), "x", Checked::Wrong),
        ] {
            let checked = passwords.check(account, stored, password(text), STANDING(), now()).await;
            assert_eq!(checked, expected, "{account} {stored:?} {text}");
        }
    }

    #[tokio::test]
    async fn a_success_is_remembered_until_the_password_changes() {
        let passwords = Passwords::new(&[7; 32]);
        let stored = hash("moxmoxmox", &[1; 16]);
        let now = now();
        passwords.remember(passwords.tag("mox", &stored, "moxmoxmox"), now);
        let known =
            |stored: &str, text: &str, at| passwords.is_remembered(&passwords.tag("mox", stored, text), at);
        assert!(known(&stored, "moxmoxmox", now));
        assert!(!known(&stored, "moxmoxmo", now));
        assert!(!known("other", "moxmoxmox", now));
        assert!(!known(&stored, "moxmoxmox", now + REMEMBERED_FOR));
    }
}
