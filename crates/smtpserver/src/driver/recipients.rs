//! Limits the recipients of all transactions together. A message may have a thousand, and there may be thousands of
//! connections.

use parking_lot::{Mutex, MutexGuard};
use std::net::IpAddr;
use std::sync::Arc;

use ratelimit::{Addresses, Held};

/// Most recipients over all connections, not counting the first of each message: about 32 MiB if all have the longest path.
const MAX_RECIPIENTS: u64 = 1 << 16;
/// Most of them per address, per site and per provider, so that no client can use up all.
const MAX_BY_NETWORK: [u32; 3] = [1 << 13, 1 << 14, 1 << 15];

/// Counts recipients over all connections.
pub(super) struct Recipients(Mutex<Counts>);

struct Counts {
    all: u64,
    by_network: Option<Held>,
}

impl Recipients {
    /// `addresses`: which are counted together; `None` where only the limit over all applies.
    pub(super) fn new(addresses: Option<Addresses>) -> Self {
        let held = |addresses| Held::new("recipients at a time", MAX_BY_NETWORK, addresses);
        Self(Mutex::new(Counts { all: 0, by_network: addresses.map(held) }))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock()
    }
}

/// The recipients of one transaction. Dropping it gives them back.
pub(super) struct Share {
    of: Arc<Recipients>,
    ip: IpAddr,
    count: u64,
}

impl Share {
    pub(super) fn new(of: Arc<Recipients>, ip: IpAddr) -> Self {
        Self { of, ip, count: 0 }
    }

    /// Counts one more, unless a limit is exceeded. The first is always allowed, so that mail for one recipient gets through.
    pub(super) fn take(&mut self) -> bool {
        if self.count > 0 {
            let mut counts = self.of.counts();
            let held = |held: &mut Held| held.take(self.ip, 1).is_allowed();
            if counts.all >= MAX_RECIPIENTS || !counts.by_network.as_mut().is_none_or(held) {
                return false;
            }
            counts.all += 1;
        }
        self.count += 1;
        true
    }

    /// Gives the last one back.
    pub(super) fn give_back(&mut self) {
        self.shrink_to(self.count.saturating_sub(1));
    }

    fn shrink_to(&mut self, count: u64) {
        // The first is not counted.
        let counted = self.count.saturating_sub(1).saturating_sub(count.saturating_sub(1));
        self.count = count;
        if counted > 0 {
            let mut counts = self.of.counts();
            counts.all = counts.all.saturating_sub(counted);
            if let Some(held) = &mut counts.by_network {
                held.give_back(self.ip, counted);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(of: &Arc<Recipients>, [second, third]: [u8; 2]) -> Share {
        Share::new(Arc::clone(of), [10, second, third, 1].into())
    }

    /// Takes as many as it gets, up to a thousand.
    fn fill(share: &mut Share) -> usize {
        (0..1000).take_while(|_| share.take()).count()
    }

    #[test]
    fn all_connections_together_have_a_limit() {
        let all = Arc::new(Recipients::new(Some(Addresses::default())));
        // Two connections from each of many providers.
        let mut shares: Vec<_> = (0..=255).flat_map(|n| [share(&all, [n, 0]), share(&all, [n, 0])]).collect();
        let taken: usize = shares.iter_mut().map(fill).sum();
        assert_eq!(taken as u64, MAX_RECIPIENTS + shares.len() as u64, "each has at least one");
        assert_eq!(fill(&mut share(&all, [255, 0])), 1);
        shares.pop();
        drop(shares.remove(0));
        assert_eq!(fill(&mut share(&all, [0, 0])), 1000);
    }

    #[test]
    fn one_address_cannot_take_all() {
        let all = Arc::new(Recipients::new(Some(Addresses::default())));
        let mut shares: Vec<_> = (0..30).map(|_| share(&all, [0, 0])).collect();
        let taken: usize = shares.iter_mut().map(fill).sum();
        assert_eq!(taken, (1 << 13) + 30);
        assert_eq!(fill(&mut share(&all, [1, 0])), 1000, "another provider");
    }

    #[test]
    fn gives_back_what_it_took() {
        let all = Arc::new(Recipients::new(Some(Addresses::default())));
        let mut one = share(&all, [0, 0]);
        for _ in 0..3 {
            assert!(one.take() && one.take() && one.take());
            assert_eq!(all.counts().all, 2);
            one.give_back();
            assert_eq!(all.counts().all, 1);
            one.shrink_to(0);
            assert_eq!(all.counts().all, 0);
        }
        assert!(all.counts().by_network.as_ref().unwrap().is_empty());
    }
}
