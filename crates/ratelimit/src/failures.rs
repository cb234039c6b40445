//! Failed logins: whom to stop, and whom to forgive.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::keyed::{DEFAULT_CAPACITY, KeyLimiter, KeyWindow};
use crate::limiter::{Addresses, Decision, Limiter, Refusal, Scope, Window};
use crate::network::Network;

/// How many failures are borne in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureWindow {
    /// The name of this limit.
    pub name: &'static str,
    /// How long the window is.
    pub length: Duration,
    /// Failures per network, for each of [`crate::Class::ALL`].
    pub networks: [u32; 3],
    /// Failures per account, from wherever they come.
    pub account: u32,
}

/// Counts failed logins per network and per account.
///
/// A success forgives the failures of its own account from its own address, and no others: whoever has one account
/// cannot use it to wipe out his attempts at the rest. An account name is any text that stands for one account, such as
/// its canonical address; the caller bounds its length.
#[derive(Clone, Debug)]
pub struct Failures {
    networks: Limiter,
    accounts: KeyLimiter<String>,
    /// What to take back at a success: the failures of one account from one host. Its limits are not asked.
    pairs: KeyLimiter<(String, Network)>,
}

impl Failures {
    /// All `windows` hold at once. Without any, nothing is refused.
    pub fn new(windows: &[FailureWindow], addresses: Addresses) -> Self {
        let networks: Vec<_> =
            windows.iter().map(|w| Window { name: w.name, length: w.length, limits: w.networks }).collect();
        let accounts: Vec<_> =
            windows.iter().map(|w| KeyWindow { name: w.name, length: w.length, limit: w.account }).collect();
        Self {
            networks: Limiter::new(&networks, addresses),
            accounts: KeyLimiter::new(&accounts, DEFAULT_CAPACITY),
            pairs: KeyLimiter::new(&accounts, DEFAULT_CAPACITY),
        }
    }

    /// May `ip` try to log in, to `account` if that is known yet? Counts nothing.
    pub fn check(&mut self, ip: IpAddr, account: Option<&str>, now: SystemTime) -> Decision {
        // Touches what is there, so that it follows a clock that was set back: or the refusal could last for ever.
        self.networks.give_back(ip, now, 0);
        let exceeded = account.and_then(|account| {
            self.accounts.give_back(&account.to_owned(), now, 0);
            self.accounts.peek(&account.to_owned(), now, 1)
        });
        match (self.networks.peek(ip, now, 1), exceeded) {
            (Decision::Allowed, Some(exceeded)) => Decision::Refused(Refusal {
                limit: exceeded.limit,
                scope: Scope::Account,
                retry_after: exceeded.retry_after,
            }),
            (decision, _) => decision,
        }
    }

    /// A login failed. Without an account it failed before there was a name.
    pub fn failed(&mut self, ip: IpAddr, account: Option<&str>, now: SystemTime) {
        self.networks.add(ip, now, 1);
        if let Some(account) = account {
            let host = self.networks.host(ip);
            self.accounts.add(&account.to_owned(), now, 1);
            self.pairs.add(&(account.to_owned(), host), now, 1);
        }
    }

    /// A login succeeded: forgives the failures of this account from this address.
    pub fn succeeded(&mut self, ip: IpAddr, account: &str, now: SystemTime) {
        let host = self.networks.host(ip);
        let forgiven = self.pairs.remove(&(account.to_owned(), host), now);
        self.networks.subtract(ip, now, &forgiven);
        self.accounts.subtract(&account.to_owned(), now, &forgiven);
    }

    /// Failures of `account` from `ip` within the longest window: what a delay can grow with.
    pub fn count(&self, ip: IpAddr, account: &str, now: SystemTime) -> u64 {
        self.pairs.count(&(account.to_owned(), self.networks.host(ip)), now)
    }
}
