//! Networks from which accounts have logged in recently.

use std::time::{Duration, SystemTime};

use bounded_cache::BoundedCache;

use crate::keyed::DEFAULT_CAPACITY;
use crate::login_key::LoginKey;
use crate::network::Network;

/// How long a network stays known after a login from it.
pub const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Known networks of one account at most. A new one replaces the one not used for longest, so that an account cannot push
/// out the networks of others.
pub const MAX_KNOWN: usize = 16;

/// Remembers from which networks accounts logged in. Only successful logins add to it, so strangers cannot push entries out.
#[derive(Clone, Debug)]
pub(crate) struct KnownNetworks {
    /// For each account its networks and the last login from each, the latest login last.
    accounts: BoundedCache<LoginKey, Vec<(Network, SystemTime)>>,
    /// The last login from each network, of any account.
    networks: BoundedCache<Network, Option<SystemTime>>,
}

impl KnownNetworks {
    pub(crate) fn new() -> Self {
        Self { accounts: BoundedCache::new(DEFAULT_CAPACITY), networks: BoundedCache::new(DEFAULT_CAPACITY) }
    }

    /// Notes a login of `key` from `network`.
    pub(crate) fn note(&mut self, key: &LoginKey, network: Network, now: SystemTime) {
        let known = self.accounts.get_or_insert_with(key, Vec::new);
        known.retain(|(other, _)| *other != network);
        if known.len() >= MAX_KNOWN {
            known.remove(0);
        }
        known.push((network, now));
        *self.networks.get_or_insert_with(&network, || None) = Some(now);
    }

    /// Has `key` logged in from `network` within [`KNOWN_FOR`]?
    pub(crate) fn contains(&self, key: &LoginKey, network: Network, now: SystemTime) -> bool {
        let known = self.accounts.peek(key).map(Vec::as_slice).unwrap_or_default();
        known.iter().any(|(other, last)| *other == network && is_recent(*last, now))
    }

    /// Has any account logged in from `network` within [`KNOWN_FOR`]?
    pub(crate) fn any(&self, network: Network, now: SystemTime) -> bool {
        self.networks.peek(&network).copied().flatten().is_some_and(|last| is_recent(last, now))
    }
}

/// Is a login recent? One in the future counts too: it happened before the clock was set back.
fn is_recent(last: SystemTime, now: SystemTime) -> bool {
    now.duration_since(last).is_ok_and(|age| age < KNOWN_FOR) || last > now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(third: u8) -> Network {
        Network::new([192, 0, third, 0].into(), 26)
    }

    #[test]
    fn forgets_the_network_not_used_for_longest() {
        let (mut known, alice) = (KnownNetworks::new(), LoginKey::Account("alice".into()));
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 1000);
        for third in 0..16 {
            known.note(&alice, network(third), now);
        }
        known.note(&alice, network(0), now);
        known.note(&alice, network(16), now);
        let is_known = |third| known.contains(&alice, network(third), now);
        assert!(is_known(0) && !is_known(1) && is_known(2) && is_known(16));
        assert!(!known.contains(&LoginKey::Account("bob".into()), network(0), now));
        assert!(known.any(network(0), now) && !known.any(network(17), now));
    }

    #[test]
    fn knows_a_network_for_a_month_whatever_the_clock_does() {
        let (mut known, alice) = (KnownNetworks::new(), LoginKey::Account("alice".into()));
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 1000);
        known.note(&alice, network(1), now);
        for (then, expected) in
            [(now + KNOWN_FOR, false), (now + KNOWN_FOR / 2, true), (now - KNOWN_FOR * 2, true)]
        {
            assert_eq!(known.contains(&alice, network(1), then), expected);
            assert_eq!(known.any(network(1), then), expected);
        }
    }
}
