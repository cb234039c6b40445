//! Limits per address and the networks around it.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::keyed::{DEFAULT_CAPACITY, Exceeded, KeyLimiter, KeyWindow};
use crate::network::{Class, Network, Prefixes};
use crate::slots::Slots;

/// A limit on events in a span of time, for each class of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The name of this limit, shown with refusals.
    pub name: &'static str,
    /// The span of time.
    pub length: Duration,
    /// Events allowed in it, for each of [`Class::ALL`].
    pub limits: [u32; 3],
}

/// The subject of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// An address or a network around it.
    Network(Class, Network),
    /// One account, from all addresses together.
    Account,
}

/// The limit that an event would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the limit.
    pub limit: &'static str,
    /// The network or account that is over it.
    pub scope: Scope,
    /// How long to wait before another attempt. `None` if waiting does not help.
    pub retry_after: Option<Duration>,
}

/// The answer of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// The event is within all limits.
    Allowed,
    /// The event would exceed a limit, and was not counted.
    Refused(Refusal),
}

impl Decision {
    /// Is the event within all limits?
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed)
    }
}

/// The networks that are counted together, and those that are not counted at all.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// The widths of host, site and provider.
    pub prefixes: Prefixes,
    /// Networks without limits, such as those of monitoring or of the operator's own relays.
    pub allowed: Vec<Network>,
}

impl Addresses {
    /// The networks to count `ip` in; none if it is on the allow-list.
    pub(crate) fn networks(&self, ip: IpAddr) -> Option<[(Class, Network); 3]> {
        let exempt = self.allowed.iter().any(|network| network.contains(ip));
        (!exempt).then(|| Class::ALL.map(|class| (class, self.prefixes.network(class, ip))))
    }
}

/// Limits how often something happens per host, site and provider, in one or more sliding windows.
///
/// An event is counted by all limits or, if one of them refuses it, by none.
#[derive(Clone, Debug)]
pub struct Limiter {
    addresses: Addresses,
    classes: [KeyLimiter<Network>; 3],
}

impl Limiter {
    /// All `windows` apply at once, with [`DEFAULT_CAPACITY`] networks per class. Without windows nothing is refused.
    pub fn new(windows: &[Window], addresses: Addresses) -> Self {
        Self::with_capacity(windows, addresses, DEFAULT_CAPACITY)
    }

    /// As [`Limiter::new`], with room for `capacity` networks per class.
    pub fn with_capacity(windows: &[Window], addresses: Addresses, capacity: usize) -> Self {
        let class = |limit: fn([u32; 3]) -> u32| {
            let windows: Vec<_> = windows
                .iter()
                .map(|w| KeyWindow { name: w.name, length: w.length, limit: limit(w.limits) })
                .collect();
            KeyLimiter::new(&windows, capacity)
        };
        let classes =
            [class(|[host, _, _]| host), class(|[_, site, _]| site), class(|[_, _, provider]| provider)];
        Self { addresses, classes }
    }

    /// Counts `n` events for `ip`, unless they would exceed a limit.
    pub fn take(&mut self, ip: IpAddr, now: SystemTime, n: u64) -> Decision {
        let decision = self.peek(ip, now, n);
        match decision {
            Decision::Allowed => self.add(ip, now, n),
            // Rows of a refused network are refreshed, so that they follow a clock that was set back. No new rows are made: a
            // flood from a network over its limit must not push out the rows of others.
            Decision::Refused(_) => self.follow(ip, now),
        }
        decision
    }

    /// Returns what [`Limiter::take`] would, without counting. If several limits refuse, returns the one with the longest wait.
    pub fn peek(&self, ip: IpAddr, now: SystemTime, n: u64) -> Decision {
        self.peek_each(ip, now, |_, _| n)
    }

    /// As [`Limiter::peek`], with a number of events for each network around `ip`.
    pub(crate) fn peek_each(
        &self,
        ip: IpAddr,
        now: SystemTime,
        n: impl Fn(Class, Network) -> u64,
    ) -> Decision {
        let Some(networks) = self.addresses.networks(ip) else { return Decision::Allowed };
        let exceeded = networks.into_iter().zip(&self.classes).filter_map(|((class, network), limiter)| {
            let exceeded = limiter.peek(&network, now, n(class, network))?;
            let scope = Scope::Network(class, network);
            Some(Refusal { limit: exceeded.limit, scope, retry_after: exceeded.retry_after })
        });
        let longest = exceeded.max_by_key(|refusal| refusal.retry_after.unwrap_or(Duration::MAX));
        longest.map_or(Decision::Allowed, Decision::Refused)
    }

    /// Takes back `n` events of `ip`, the newest first.
    pub fn give_back(&mut self, ip: IpAddr, now: SystemTime, n: u64) {
        self.each(ip, |limiter, network| limiter.give_back(network, now, n));
    }

    /// Counts `n` events for `ip` regardless of the limits, because they have happened already.
    pub fn add(&mut self, ip: IpAddr, now: SystemTime, n: u64) {
        self.each(ip, |limiter, network| limiter.add(network, now, n));
    }

    /// Events in the longest window, for each of [`Class::ALL`]; 0 for addresses on the allow-list.
    pub fn counts(&self, ip: IpAddr, now: SystemTime) -> [u64; 3] {
        let [host, site, provider] = &self.classes;
        self.addresses.networks(ip).map_or([0; 3], |[(_, a), (_, b), (_, c)]| {
            [host.count(&a, now), site.count(&b, now), provider.count(&c, now)]
        })
    }

    /// The network of `class` around `ip`.
    pub(crate) fn network(&self, class: Class, ip: IpAddr) -> Network {
        self.addresses.prefixes.network(class, ip)
    }

    /// Is `ip` on the allow-list?
    pub(crate) fn is_exempt(&self, ip: IpAddr) -> bool {
        self.addresses.networks(ip).is_none()
    }

    /// Moves the counts of `ip` to `now`, even if the clock was set back.
    pub(crate) fn follow(&mut self, ip: IpAddr, now: SystemTime) {
        self.give_back(ip, now, 0);
    }

    /// The networks for which one more event would exceed a limit.
    pub(crate) fn exceeded(&self, now: SystemTime) -> impl Iterator<Item = (Network, Exceeded)> {
        self.classes.iter().flat_map(move |limiter| limiter.exceeded(now)).map(|(network, e)| (*network, e))
    }

    /// Forgets the networks for which `goes` returns true.
    pub(crate) fn forget(&mut self, goes: impl Fn(&Network) -> bool) {
        self.classes.iter_mut().for_each(|limiter| limiter.forget(&goes));
    }

    pub(crate) fn subtract(&mut self, ip: IpAddr, now: SystemTime, counted: &[Slots]) {
        self.each(ip, |limiter, network| limiter.subtract(network, now, counted));
    }

    fn each(&mut self, ip: IpAddr, mut act: impl FnMut(&mut KeyLimiter<Network>, &Network)) {
        let networks = self.addresses.networks(ip).into_iter().flatten();
        networks.zip(&mut self.classes).for_each(|((_, network), limiter)| act(limiter, &network));
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
