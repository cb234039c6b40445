//! Limits on connections, messages and unknown recipients by network.

use parking_lot::{Mutex, MutexGuard};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ratelimit::{
    Addresses, Decision, FailureWindow, Held, Limiter, Network, Refusal as Limit, Scope, Window,
};

use super::logins::Logins;
use super::steady::SteadyClock;
use crate::replies::{self, ReplyTemplate};

/// Limits on connections, messages and logins, over all listeners of a server.
#[derive(Clone, Debug)]
pub struct GateRules {
    /// Connections a minute, per address, site and provider; `None`: any number.
    pub connection_rate: Option<[u32; 3]>,
    /// Connections at a time, per address, site and provider; `None`: any number.
    pub open_connections: Option<[u32; 3]>,
    /// Connections at a time in all.
    pub connections: usize,
    /// Messages begun a minute by other servers, per address, site and provider; `None`: any number.
    pub message_rate: Option<[u32; 3]>,
    /// Addresses that do not exist, which other servers may try in an hour before we delay replies about more, per address,
    /// site and provider; `None`: any number.
    pub unknown_recipients: Option<[u32; 3]>,
    /// Which addresses are counted together, and which are exempt.
    pub addresses: Addresses,
    /// Failed logins, shared with everything else that checks passwords.
    pub logins: Logins,
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

    /// No limits except on connections in all: for developer mode.
    pub fn open() -> Self {
        let addresses = Addresses::default();
        let logins = Logins::new(&[], addresses.clone());
        Self {
            connection_rate: None,
            open_connections: None,
            message_rate: None,
            unknown_recipients: None,
            addresses,
            logins,
            ..Self::default()
        }
    }
}

impl Default for GateRules {
    fn default() -> Self {
        let addresses = Addresses::default();
        let logins = Logins::new(&Self::FAILURE_WINDOWS, addresses.clone());
        Self {
            connection_rate: Some([300, 900, 2700]),
            open_connections: Some([30, 90, 270]),
            connections: 20_000,
            message_rate: Some([500, 1500, 4500]),
            unknown_recipients: Some([10, 30, 90]),
            addresses,
            logins,
        }
    }
}

/// Names of limits, for metrics.
const RATE: &str = "connection rate";
const OPEN: &str = "open connections";
const FULL: &str = "connections in all";
const MESSAGES: &str = "messages a minute";
const UNKNOWN: &str = "unknown recipients an hour";

/// One in this many connections is reserved for networks with a recent login, so that strangers who fill the server, from
/// however many networks, do not keep its users out.
const KEPT_FOR_USERS: usize = 16;

/// Counts connections, messages and unknown recipients.
pub(super) struct Gate {
    connections: usize,
    counts: Mutex<Counts>,
    clock: SteadyClock,
    unknown_recipients: Option<[u32; 3]>,
    pub(super) logins: Logins,
}

struct Counts {
    strangers: Connections,
    /// Connections from networks with a recent login. Strangers in the same wider networks do not use up their share.
    users: Connections,
    open: usize,
    messages: Limiter,
    unknown: Limiter,
}

/// Connections by address.
struct Connections {
    rate: Limiter,
    held: Option<Held>,
}

/// An admitted connection, which counts until this is dropped.
pub(super) struct Admission {
    gate: Arc<Gate>,
    ip: IpAddr,
    is_user: bool,
}

/// The refusal of a connection or message.
pub(super) struct Rejection {
    pub(super) reply: ReplyTemplate,
    pub(super) limit: &'static str,
    /// The network that has exceeded it; `None` for the limit over all.
    pub(super) network: Option<Network>,
}

impl Gate {
    pub(super) fn new(rules: &GateRules) -> Self {
        let addresses = || rules.addresses.clone();
        let limiter = |name, length, limits: Option<[u32; 3]>| {
            let window = limits.map(|limits| Window { name, length, limits });
            Limiter::new(window.as_slice(), addresses())
        };
        let minute = Duration::from_mins(1);
        let connections = || Connections {
            rate: limiter(RATE, minute, rules.connection_rate),
            held: rules.open_connections.map(|limits| Held::new(OPEN, limits, addresses())),
        };
        let counts = Counts {
            strangers: connections(),
            users: connections(),
            open: 0,
            messages: limiter(MESSAGES, minute, rules.message_rate),
            unknown: limiter(UNKNOWN, Duration::from_hours(1), rules.unknown_recipients),
        };
        Self {
            connections: rules.connections,
            counts: Mutex::new(counts),
            clock: SteadyClock::start(),
            unknown_recipients: rules.unknown_recipients,
            logins: rules.logins.clone(),
        }
    }

    /// Admits a connection, or rejects it.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr, submission: bool) -> Result<Admission, Rejection> {
        let now = self.clock.now();
        let is_user = submission && self.logins.knows(ip);
        let mut counts = self.counts();
        if let Decision::Refused(limit) = counts.of(is_user).rate.take(ip, now, 1) {
            return Err(Rejection::new(replies::CONNECTION_RATE, Some(limit)));
        }
        if submission && let Decision::Refused(limit) = self.logins.may_connect(ip) {
            return Err(Rejection::new(replies::TOO_MANY_AUTH_FAILURES, Some(limit)));
        }
        let kept = self.connections / KEPT_FOR_USERS;
        if counts.open >= self.connections - if is_user { 0 } else { kept } {
            return Err(Rejection::new(replies::SERVER_FULL, None));
        }
        let held = counts.of(is_user).held.as_mut();
        if let Some(Decision::Refused(limit)) = held.map(|held| held.take(ip, 1)) {
            return Err(Rejection::new(replies::OPEN_CONNECTIONS, Some(limit)));
        }
        counts.open += 1;
        Ok(Admission { gate: Arc::clone(self), ip, is_user })
    }

    /// Allows another server to begin a message, or refuses it.
    pub(super) fn message(&self, ip: IpAddr) -> Result<(), Rejection> {
        match self.counts().messages.take(ip, self.clock.now(), 1) {
            Decision::Allowed => Ok(()),
            Decision::Refused(limit) => Err(Rejection::new(replies::MESSAGE_RATE, Some(limit))),
        }
    }

    /// Counts an address that does not exist, which another server has tried. Returns by how many its network, or one around
    /// it, exceeds the number without delay.
    pub(super) fn unknown_recipient(&self, ip: IpAddr) -> u32 {
        let Some(free) = self.unknown_recipients else { return 0 };
        let (now, mut counts) = (self.clock.now(), self.counts());
        counts.unknown.add(ip, now, 1);
        let excess = counts.unknown.counts(ip, now).into_iter().zip(free);
        let excess = excess.map(|(count, free)| count.saturating_sub(u64::from(free))).max();
        u32::try_from(excess.unwrap_or_default()).unwrap_or(u32::MAX)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock()
    }
}

impl Counts {
    fn of(&mut self, is_user: bool) -> &mut Connections {
        if is_user { &mut self.users } else { &mut self.strangers }
    }
}

impl Rejection {
    fn new(reply: ReplyTemplate, limit: Option<Limit>) -> Self {
        let network = limit.and_then(|limit| match limit.scope {
            Scope::Network(_, network) => Some(network),
            Scope::Account => None,
        });
        Self { reply, limit: limit.map_or(FULL, |limit| limit.limit), network }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut counts = self.gate.counts();
        counts.open = counts.open.saturating_sub(1);
        if let Some(held) = &mut counts.of(self.is_user).held {
            held.give_back(self.ip, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratelimit::LoginKey;

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

    #[tokio::test]
    async fn names_the_network_that_holds_too_many_connections() {
        let gate = gate(&GateRules { open_connections: Some([1, 90, 270]), ..GateRules::open() });
        let first = gate.admit(ip(1), false);
        assert_eq!(refused(gate.admit(ip(1), false)), (OPEN, Some(Network::new(ip(1), 32))));
        drop(first);
        assert!(gate.admit(ip(1), false).is_ok());
    }

    #[tokio::test]
    async fn keeps_connections_for_users_where_they_have_logged_in() {
        let gate = gate(&GateRules { connections: 32, ..GateRules::open() });
        gate.logins.succeeded(ip(1), &LoginKey::Account("alice".into()));
        let mut open: Vec<_> = (0..30).map(|n| gate.admit([10, n, 0, 1].into(), n % 2 == 0).ok()).collect();
        assert!(open.iter().all(Option::is_some));
        for submission in [true, false] {
            assert_eq!(refused(gate.admit([10, 99, 0, 1].into(), submission)), (FULL, None));
        }
        assert_eq!(refused(gate.admit(ip(1), false)), (FULL, None), "other servers are no users");
        open.extend([gate.admit(ip(1), true).ok(), gate.admit(ip(2), true).ok()]);
        assert!(open.iter().all(Option::is_some));
        assert_eq!(refused(gate.admit(ip(1), true)), (FULL, None));
    }

    #[tokio::test]
    async fn strangers_of_the_same_provider_do_not_use_up_what_users_may_open() {
        let rules =
            GateRules { connection_rate: Some([9; 3]), open_connections: Some([3; 3]), ..GateRules::open() };
        for flood in [3, 9] {
            let gate = gate(&rules);
            gate.logins.succeeded(ip(1), &LoginKey::Account("alice".into()));
            let open: Vec<_> = (0..flood).map(|_| gate.admit([192, 0, 3, 1].into(), true)).collect();
            assert!(gate.admit([192, 0, 3, 2].into(), true).is_err());
            assert!(gate.admit(ip(1), false).is_err(), "other servers are no users");
            let user = gate.admit(ip(1), true);
            assert!(user.is_ok());
            drop((user, open));
            assert!(gate.counts().users.held.as_ref().is_some_and(Held::is_empty));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_the_messages_of_a_minute() {
        let gate = gate(&GateRules { message_rate: Some([2, 3, 4]), ..GateRules::open() });
        let begun = |last| gate.message(ip(last)).err().map(|rejection| (rejection.limit, rejection.network));
        assert_eq!([begun(1), begun(1), begun(2)], [None; 3]);
        assert_eq!(begun(1).unwrap().0, MESSAGES);
        assert_eq!(begun(3), Some((MESSAGES, Some(Network::new(ip(0), 26)))));
        assert_eq!(begun(64), None);
        tokio::time::advance(Duration::from_secs(66)).await;
        assert_eq!(begun(1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_unknown_recipients_by_network() {
        let gate = gate(&GateRules { unknown_recipients: Some([2, 3, 100]), ..GateRules::open() });
        assert_eq!([1, 1, 1, 1].map(|last| gate.unknown_recipient(ip(last))), [0, 0, 1, 2]);
        assert_eq!(gate.unknown_recipient(ip(2)), 2, "the site has tried five");
        assert_eq!(gate.unknown_recipient(ip(64)), 0);
        tokio::time::advance(Duration::from_mins(66)).await;
        assert_eq!(gate.unknown_recipient(ip(1)), 0);
        let open = Gate::new(&GateRules::open());
        assert!((0..100).all(|_| open.unknown_recipient(ip(1)) == 0));
    }
}
