//! Limits on things that exist at the same time, such as open connections.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::limiter::{Addresses, Decision, Refusal, Scope};
use crate::network::Network;

/// Limits how many things are held at once per host, site and provider. Time plays no part: a thing counts until it is given
/// back.
///
/// Memory is bounded by the number of things held: a network that holds none is forgotten.
#[derive(Clone, Debug)]
pub struct Held {
    name: &'static str,
    limits: [u32; 3],
    addresses: Addresses,
    counts: HashMap<Network, u64>,
}

impl Held {
    /// A limit called `name`, for each of [`crate::Class::ALL`].
    pub fn new(name: &'static str, limits: [u32; 3], addresses: Addresses) -> Self {
        Self { name, limits, addresses, counts: HashMap::new() }
    }

    /// Takes `n` things for `ip`, unless they would exceed a limit.
    pub fn take(&mut self, ip: IpAddr, n: u64) -> Decision {
        let decision = self.peek(ip, n);
        if decision.is_allowed() {
            for (_, network) in self.addresses.networks(ip).into_iter().flatten() {
                let count = self.counts.entry(network).or_default();
                *count = count.saturating_add(n);
            }
        }
        decision
    }

    /// Returns what [`Held::take`] would, without taking. If several limits refuse, returns the narrowest.
    pub fn peek(&self, ip: IpAddr, n: u64) -> Decision {
        let networks = self.addresses.networks(ip).into_iter().flatten();
        let exceeded = networks.zip(self.limits).find(|((_, network), limit)| {
            let held = self.counts.get(network).copied().unwrap_or(0);
            held.saturating_add(n) > u64::from(*limit)
        });
        match exceeded {
            None => Decision::Allowed,
            Some(((class, network), _)) => {
                let scope = Scope::Network(class, network);
                Decision::Refused(Refusal { limit: self.name, scope, retry_after: None })
            }
        }
    }

    /// Gives back `n` things taken for `ip`.
    pub fn give_back(&mut self, ip: IpAddr, n: u64) {
        for (_, network) in self.addresses.networks(ip).into_iter().flatten() {
            let left = self.counts.get(&network).map_or(0, |held| held.saturating_sub(n));
            if left == 0 {
                self.counts.remove(&network);
            } else {
                self.counts.insert(network, left);
            }
        }
    }

    /// The number of networks that hold something.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Is nothing held?
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn refuses_the_31st_until_one_is_given_back() {
        let mut held = Held::new("open connections", [30, 90, 270], Addresses::default());
        assert!((0..30).all(|_| held.take(ip(1), 1).is_allowed()));
        let Decision::Refused(refusal) = held.take(ip(1), 1) else { panic!("31 are too many") };
        assert_eq!(refusal.limit, "open connections");
        assert!(matches!(refusal.scope, Scope::Network(crate::Class::Host, _)));
        held.give_back(ip(1), 1);
        assert!(held.take(ip(1), 1).is_allowed());
    }

    #[test]
    fn counts_the_site_over_its_addresses() {
        let mut held = Held::new("open connections", [30, 90, 270], Addresses::default());
        for last in 0..3 {
            assert!(held.take(ip(last), 30).is_allowed());
        }
        assert!(!held.take(ip(3), 1).is_allowed(), "the /26 has 90 already");
        assert!(held.take(ip(64), 30).is_allowed(), "the next /26");
    }

    #[test]
    fn forgets_networks_with_nothing_held() {
        let mut held = Held::new("open connections", [30, 90, 270], Addresses::default());
        assert!(held.take(ip(1), 2).is_allowed());
        held.give_back(ip(1), 1);
        assert_eq!(held.len(), 3);
        held.give_back(ip(1), 1);
        assert!(held.is_empty());
        held.give_back(ip(1), 1);
        assert!(held.is_empty());
    }

    #[test]
    fn allowed_networks_are_not_counted() {
        let allowed = vec!["192.0.2.0/28".parse().unwrap()];
        let mut held =
            Held::new("open connections", [1, 1, 1], Addresses { allowed, ..Addresses::default() });
        assert!((0..9).all(|_| held.take(ip(1), 1).is_allowed()) && held.is_empty());
        assert!(held.take(ip(16), 1).is_allowed() && !held.take(ip(16), 1).is_allowed());
    }
}
