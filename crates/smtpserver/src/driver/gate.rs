//! Who may connect, and who has failed to log in too often.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ratelimit::{
    Addresses, Decision, FailureWindow, Failures, Held, Limiter, Network, Refusal as Limit, Scope, Window,
};

use crate::replies::{self, Wording};

/// Limits on connections, over all listeners of a server.
#[derive(Clone, Debug)]
pub struct GateRules {
    /// Connections a minute, per address, site and provider; `None`: any number.
    pub connection_rate: Option<[u32; 3]>,
    /// Connections at a time, per address, site and provider; `None`: any number.
    pub open_connections: Option<[u32; 3]>,
    /// Connections at a time in all.
    pub connections: usize,
    /// Which addresses are counted together, and which not at all.
    pub addresses: Addresses,
    /// Failed logins; shared with whatever else takes passwords.
    pub failures: Arc<Mutex<Failures>>,
}

impl GateRules {
    /// The windows in which failed logins are counted.
    pub const FAILURE_WINDOWS: [FailureWindow; 2] = [
        FailureWindow {
            name: "failed logins a minute",
            length: Duration::from_mins(1),
            networks: [10, 30, 90],
            account: 100,
        },
        FailureWindow {
            name: "failed logins a day",
            length: Duration::from_hours(24),
            networks: [50, 150, 450],
            account: 1000,
        },
    ];

    /// No limit but on connections in all: for developers.
    pub fn open() -> Self {
        let addresses = Addresses::default();
        let failures = Arc::new(Mutex::new(Failures::new(&[], addresses.clone())));
        Self { connection_rate: None, open_connections: None, addresses, failures, ..Self::default() }
    }
}

impl Default for GateRules {
    fn default() -> Self {
        let addresses = Addresses::default();
        let failures = Failures::new(&Self::FAILURE_WINDOWS, addresses.clone());
        Self {
            connection_rate: Some([300, 900, 2700]),
            open_connections: Some([30, 90, 270]),
            connections: 20_000,
            addresses,
            failures: Arc::new(Mutex::new(failures)),
        }
    }
}

/// Names of limits, for metrics.
const RATE: &str = "connection rate";
const OPEN: &str = "open connections";
const FULL: &str = "connections in all";

/// Keeps the counts.
pub(super) struct Gate {
    connections: usize,
    counts: Mutex<Counts>,
    failures: Arc<Mutex<Failures>>,
}

struct Counts {
    rate: Limiter,
    held: Option<Held>,
    open: usize,
}

/// A connection that was let in; counted until dropped.
pub(super) struct Admission {
    gate: Arc<Gate>,
    ip: IpAddr,
}

/// A connection that was not let in.
pub(super) struct Rejection {
    pub(super) wording: Wording,
    pub(super) limit: &'static str,
    /// The network that has exceeded it; none for a limit over everyone.
    pub(super) network: Option<Network>,
}

impl Gate {
    pub(super) fn new(rules: &GateRules) -> Self {
        let addresses = || rules.addresses.clone();
        let minute = Duration::from_mins(1);
        let windows = rules.connection_rate.map(|limits| Window { name: RATE, length: minute, limits });
        let counts = Counts {
            rate: Limiter::new(windows.as_slice(), addresses()),
            held: rules.open_connections.map(|limits| Held::new(OPEN, limits, addresses())),
            open: 0,
        };
        let failures = Arc::clone(&rules.failures);
        Self { connections: rules.connections, counts: Mutex::new(counts), failures }
    }

    /// Lets a connection in, or not.
    pub(super) fn admit(
        self: &Arc<Self>,
        ip: IpAddr,
        submission: bool,
        now: SystemTime,
    ) -> Result<Admission, Rejection> {
        let mut counts = self.counts();
        if let Decision::Refused(limit) = counts.rate.take(ip, now, 1) {
            return Err(Rejection::new(replies::CONNECTION_RATE, Some(limit)));
        }
        if submission && let Decision::Refused(limit) = self.failures().check(ip, None, now) {
            return Err(Rejection::new(replies::TOO_MANY_AUTH_FAILURES, Some(limit)));
        }
        if counts.open >= self.connections {
            return Err(Rejection::new(replies::SERVER_FULL, None));
        }
        if let Some(Decision::Refused(limit)) = counts.held.as_mut().map(|held| held.take(ip, 1)) {
            return Err(Rejection::new(replies::OPEN_CONNECTIONS, Some(limit)));
        }
        counts.open += 1;
        Ok(Admission { gate: Arc::clone(self), ip })
    }

    /// May `ip` try to log in to `account`? If so, how often it has failed already.
    pub(super) fn may_log_in(&self, ip: IpAddr, account: &str, now: SystemTime) -> Option<u64> {
        let mut failures = self.failures();
        let allowed = failures.check(ip, Some(account), now).is_allowed();
        allowed.then(|| failures.count(ip, account, now))
    }

    pub(super) fn login_failed(&self, ip: IpAddr, account: Option<&str>, now: SystemTime) {
        self.failures().failed(ip, account, now);
    }

    pub(super) fn login_succeeded(&self, ip: IpAddr, account: &str, now: SystemTime) {
        self.failures().succeeded(ip, account, now);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rejection {
    fn new(wording: Wording, limit: Option<Limit>) -> Self {
        let network = limit.and_then(|limit| match limit.scope {
            Scope::Network(_, network) => Some(network),
            Scope::Account => None,
        });
        Self { wording, limit: limit.map_or(FULL, |limit| limit.limit), network }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.open = counts.open.saturating_sub(1);
        if let Some(held) = &mut counts.held {
            held.give_back(self.ip, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(rules: &GateRules) -> Arc<Gate> {
        Arc::new(Gate::new(rules))
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    /// The name of the limit, and the network that has exceeded it.
    fn refused(admission: Result<Admission, Rejection>) -> (&'static str, Option<Network>) {
        let Err(rejection) = admission else { panic!("it was let in") };
        (rejection.limit, rejection.network)
    }

    #[test]
    fn names_the_network_that_holds_too_many_connections() {
        let gate = gate(&GateRules { open_connections: Some([1, 90, 270]), ..GateRules::open() });
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        let first = gate.admit(ip(1), false, now);
        assert_eq!(refused(gate.admit(ip(1), false, now)), (OPEN, Some(Network::new(ip(1), 32))));
        drop(first);
        assert!(gate.admit(ip(1), false, now).is_ok());
    }

    #[test]
    fn counts_an_account_wherever_the_failures_come_from() {
        let gate = gate(&GateRules::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        assert_eq!(gate.may_log_in(ip(1), "mox@localhost", now), Some(0));
        for from in 0..100 {
            gate.login_failed([10, from, 0, 1].into(), Some("mox@localhost"), now);
        }
        assert_eq!(gate.may_log_in(ip(1), "mox@localhost", now), None);
        assert_eq!(gate.may_log_in(ip(1), "other@localhost", now), Some(0));
    }

    #[test]
    fn a_login_forgives_its_own_failures_alone() {
        let gate = gate(&GateRules::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        for account in ["mine@localhost", "theirs@localhost"] {
            for _ in 0..5 {
                gate.login_failed(ip(1), Some(account), now);
            }
        }
        assert_eq!(refused(gate.admit(ip(1), true, now)).0, "failed logins a minute");
        gate.login_succeeded(ip(1), "mine@localhost", now);
        assert_eq!(gate.may_log_in(ip(1), "mine@localhost", now), Some(0));
        assert_eq!(gate.may_log_in(ip(1), "theirs@localhost", now), Some(5));
    }
}
