//! Limits on failed logins: which attempts are refused, which wait, and which failures are forgiven.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bounded_cache::BoundedCache;

use crate::keyed::{DEFAULT_CAPACITY, Exceeded, KeyLimiter, KeyWindow};
use crate::known::KnownNetworks;
use crate::limiter::{Addresses, Decision, Limiter, Refusal, Scope, Window};
use crate::login_key::LoginKey;
use crate::network::{Class, Network};
use crate::under_way::{Subject, UnderWay};

/// Time between two attempts at an account that has failed too often, from networks that it does not log in from. It
/// bounds what many addresses can guess together to 43,200 passwords a day.
pub const TURN: Duration = Duration::from_secs(2);

/// The longest an attempt waits for its turn; beyond this it is refused. Clients give up after a while.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// A limit on failures in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureWindow {
    /// The name of this limit.
    pub name: &'static str,
    /// The span of time.
    pub length: Duration,
    /// Failures per network, for each of [`Class::ALL`]. Attempts from networks over it are refused.
    pub networks: [u32; 3],
    /// Failures per account, from all addresses together. Attempts at accounts over it wait for their turn.
    pub account: u32,
}

/// Counts failed logins per network, per account, and per account and address.
///
/// Attackers cannot keep an account from logging in where it has logged in recently: there only its own failures from the
/// same address count, not those elsewhere or of neighbours. Elsewhere an account over its limit is slowed down, not
/// refused.
///
/// A success forgives only the failures of its own account from its own address, so an attacker who has one account cannot
/// use it to clear attempts at others.
///
/// Memory: five tables of at most [`DEFAULT_CAPACITY`] rows of some 200 bytes, and two that only logins fill.
#[derive(Clone, Debug)]
pub struct Failures {
    networks: Limiter,
    accounts: KeyLimiter<LoginKey>,
    /// Failures of one account from one host. A success forgives these; at a known network these alone are limited.
    pairs: KeyLimiter<(LoginKey, Network)>,
    /// When the next attempt at an account over its limit may begin.
    turns: BoundedCache<LoginKey, Option<SystemTime>>,
    known: KnownNetworks,
    under_way: UnderWay,
}

/// May an attempt begin?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Start {
    /// It may. It counts as under way until [`Failures::finish`].
    Now(Grant),
    /// Attempts under way may use up the rest of the limit: call [`Failures::begin`] again when one of them has finished. The
    /// refusal is for callers that do not wait longer.
    AfterOthers(Refusal),
    /// It may not.
    Refused(Refusal),
}

/// The terms of an attempt that may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How long to wait first, because it is not the account's turn yet.
    pub wait: Duration,
    /// Failures of this account from this address within the longest window; a caller's delay can grow with it.
    pub failures: u64,
    /// Has the account logged in from this network recently?
    pub known: bool,
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The login succeeded.
    Succeeded,
    /// The login failed, or the client gave up.
    Failed,
    /// The login failed for a reason beyond the user's control, so it does not count against the account.
    FailedUnarmed,
    /// The check itself failed: nothing is counted.
    Undecided,
}

/// A network or an account that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The network or account.
    pub who: Blockee,
    /// The end of the block, if no further login fails.
    pub until: SystemTime,
}

/// The subject of a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blockee {
    /// Logins from this network are refused.
    Network(Network),
    /// Logins to this account wait for their turn, except from networks where it has logged in recently.
    Account(Arc<str>),
}

impl Failures {
    /// All `windows` apply at once. Without any, nothing is refused or delayed.
    pub fn new(windows: &[FailureWindow], addresses: Addresses) -> Self {
        let networks: Vec<_> =
            windows.iter().map(|w| Window { name: w.name, length: w.length, limits: w.networks }).collect();
        let keyed = |limit: fn(&FailureWindow) -> u32| -> Vec<_> {
            windows.iter().map(|w| KeyWindow { name: w.name, length: w.length, limit: limit(w) }).collect()
        };
        let host = |w: &FailureWindow| {
            let [host, ..] = w.networks;
            host
        };
        Self {
            networks: Limiter::new(&networks, addresses),
            accounts: KeyLimiter::new(&keyed(|w| w.account), DEFAULT_CAPACITY),
            pairs: KeyLimiter::new(&keyed(host), DEFAULT_CAPACITY),
            turns: BoundedCache::new(DEFAULT_CAPACITY),
            known: KnownNetworks::new(),
            under_way: UnderWay::default(),
        }
    }

    /// Has any account logged in recently from the network of `ip`?
    pub fn knows(&self, ip: IpAddr, now: SystemTime) -> bool {
        self.known.any(self.networks.network(Class::Site, ip), now)
    }

    /// May `ip` connect to log in? From a network over its limits only if an account has logged in from there recently;
    /// [`Failures::begin`] then decides about each attempt.
    pub fn may_connect(&mut self, ip: IpAddr, now: SystemTime) -> Decision {
        self.networks.follow(ip, now);
        match self.networks.peek(ip, now, 1) {
            Decision::Refused(refusal) if !self.knows(ip, now) => Decision::Refused(refusal),
            _ => Decision::Allowed,
        }
    }

    /// Begins an attempt of `ip` to log in to `key`, if it may. Attempts under way count as failures until they finish, so
    /// that concurrent attempts cannot get past a limit.
    pub fn begin(&mut self, ip: IpAddr, key: &LoginKey, now: SystemTime) -> Start {
        let pair = (key.clone(), self.networks.network(Class::Host, ip));
        // Refused attempts refresh their rows too, so that these follow a clock that was set back. Otherwise a refusal could
        // last for ever.
        self.networks.follow(ip, now);
        self.accounts.follow(key, now);
        self.pairs.follow(&pair, now);
        let site = self.networks.network(Class::Site, ip);
        let known = self.networks.is_exempt(ip) || self.known.contains(key, site, now);
        if let Some(refusal) = self.objection(ip, &pair, known, now, |_| 0) {
            return Start::Refused(refusal);
        }
        if let Some(refusal) = self.objection(ip, &pair, known, now, |s| self.under_way.count(&s)) {
            return Start::AfterOthers(refusal);
        }
        let wait = match self.turn(&pair, known, now) {
            Ok(wait) => wait,
            Err(start) => return start,
        };
        let failures = self.pairs.count(&pair, now);
        self.under_way.begin(self.subjects(ip, key));
        Start::Now(Grant { wait, failures, known })
    }

    /// Ends an attempt that [`Failures::begin`] allowed.
    pub fn finish(&mut self, ip: IpAddr, key: &LoginKey, outcome: Outcome, now: SystemTime) {
        self.under_way.end(self.subjects(ip, key));
        match outcome {
            Outcome::Succeeded => self.succeeded(ip, key, now),
            Outcome::Failed => self.failed(ip, Some(key), now),
            Outcome::FailedUnarmed => {
                self.networks.add(ip, now, 1);
                self.pairs.add(&(key.clone(), self.networks.network(Class::Host, ip)), now, 1);
            }
            Outcome::Undecided => {}
        }
    }

    /// Counts a failed login that was not begun by [`Failures::begin`]. Without a key it failed before the client gave a name.
    pub fn failed(&mut self, ip: IpAddr, key: Option<&LoginKey>, now: SystemTime) {
        self.networks.add(ip, now, 1);
        if let Some(key) = key {
            self.accounts.add(key, now, 1);
            self.pairs.add(&(key.clone(), self.networks.network(Class::Host, ip)), now, 1);
        }
    }

    /// Networks and accounts that are held back, accounts last. Names without an account are left out: they may be passwords.
    pub fn blocked(&self, now: SystemTime) -> Vec<Blocked> {
        let until =
            |exceeded: Exceeded| exceeded.retry_after.and_then(|after| now.checked_add(after)).unwrap_or(now);
        let networks = self.networks.exceeded(now);
        let networks =
            networks.map(|(network, e)| Blocked { who: Blockee::Network(network), until: until(e) });
        let accounts = self.accounts.exceeded(now).filter_map(|(key, e)| match key {
            LoginKey::Account(name) => {
                Some(Blocked { who: Blockee::Account(Arc::clone(name)), until: until(e) })
            }
            LoginKey::Nobody(_) => None,
        });
        let mut blocked: Vec<_> = networks.chain(accounts).collect();
        blocked.sort_by(|a, b| a.who.cmp(&b.who));
        blocked
    }

    /// Forgets the failures of one account, of a network with all that it contains or is contained in, or all failures.
    /// Returns the blocks that this lifts.
    pub fn lift(&mut self, which: Option<&Blockee>, now: SystemTime) -> Vec<Blocked> {
        let fits = |who: &Blockee| match (which, who) {
            (None, _) => true,
            (Some(Blockee::Network(wanted)), Blockee::Network(network)) => wanted.overlaps(network),
            (Some(wanted), who) => wanted == who,
        };
        let lifted = self.blocked(now).into_iter().filter(|blocked| fits(&blocked.who)).collect();
        self.networks.forget(|network| fits(&Blockee::Network(*network)));
        let is_lifted = |key: &LoginKey| match key {
            LoginKey::Account(name) => fits(&Blockee::Account(Arc::clone(name))),
            LoginKey::Nobody(_) => which.is_none(),
        };
        self.accounts.forget(is_lifted);
        self.turns.retain(|key, _| !is_lifted(key));
        self.pairs.forget(|(key, host)| is_lifted(key) || fits(&Blockee::Network(*host)));
        lifted
    }

    /// The network of `class` around `ip`, by the prefixes of these limits.
    pub fn network(&self, class: Class, ip: IpAddr) -> Network {
        self.networks.network(class, ip)
    }

    /// The limit that refuses an attempt, if `more` failures are added to the count of each subject.
    fn objection(
        &self,
        ip: IpAddr,
        pair: &(LoginKey, Network),
        known: bool,
        now: SystemTime,
        more: impl Fn(Subject) -> u64,
    ) -> Option<Refusal> {
        let add = |class, network| more(Subject::Network(class, network)).saturating_add(1);
        let Decision::Refused(refusal) = self.networks.peek_each(ip, now, add) else { return None };
        if !known {
            return Some(refusal);
        }
        // An account that has logged in from here does not answer for its neighbours. It has the limit of one host alone.
        let (key, host) = pair;
        let under_way = more(Subject::Pair(key.clone(), *host));
        let exceeded = self.pairs.peek(pair, now, under_way.saturating_add(1))?;
        let scope = Scope::Network(Class::Host, *host);
        Some(Refusal { limit: exceeded.limit, scope, retry_after: exceeded.retry_after })
    }

    /// How long an attempt must wait for its turn.
    fn turn(&mut self, pair: &(LoginKey, Network), known: bool, now: SystemTime) -> Result<Duration, Start> {
        let (key, host) = pair;
        let under_way = self.under_way.count(&Subject::Account(key.clone()));
        let exceeded = self.accounts.peek(key, now, under_way.saturating_add(1)).filter(|_| !known);
        let Some(exceeded) = exceeded else { return Ok(Duration::ZERO) };
        let last = self.turns.get_or_insert_with(key, || None);
        // A turn further ahead than any can be was given before the clock was set back.
        let ahead = last.and_then(|last| last.duration_since(now).ok()).filter(|ahead| *ahead <= MAX_WAIT);
        let wait = ahead.unwrap_or_default() + TURN;
        let refusal = Refusal { limit: exceeded.limit, scope: Scope::Account, retry_after: Some(wait) };
        // An address has one turn at a time, so that a few addresses cannot take all turns.
        if self.under_way.count(&Subject::Pair(key.clone(), *host)) > 0 {
            return Err(Start::AfterOthers(refusal));
        }
        if wait > MAX_WAIT {
            return Err(Start::Refused(refusal));
        }
        *last = now.checked_add(wait);
        Ok(wait)
    }

    /// Notes a successful login that was not begun by [`Failures::begin`].
    pub fn succeeded(&mut self, ip: IpAddr, key: &LoginKey, now: SystemTime) {
        let pair = (key.clone(), self.networks.network(Class::Host, ip));
        let forgiven = self.pairs.remove(&pair, now);
        self.networks.subtract(ip, now, &forgiven);
        self.accounts.subtract(key, now, &forgiven);
        self.known.note(key, self.networks.network(Class::Site, ip), now);
    }

    /// The subjects that an attempt counts for while it is under way.
    fn subjects(&self, ip: IpAddr, key: &LoginKey) -> impl Iterator<Item = Subject> + use<> {
        let networks = Class::ALL.map(|class| Subject::Network(class, self.networks.network(class, ip)));
        let host = self.networks.network(Class::Host, ip);
        networks.into_iter().chain([Subject::Account(key.clone()), Subject::Pair(key.clone(), host)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_nothing_of_attempts_that_have_finished() {
        let mut failures = Failures::new(&[], Addresses::default());
        let (now, key) = (SystemTime::UNIX_EPOCH, LoginKey::Nobody(1));
        let outcomes = [Outcome::Succeeded, Outcome::Failed, Outcome::FailedUnarmed, Outcome::Undecided];
        for (last, outcome) in (1..).zip(outcomes) {
            let ip = [192, 0, 2, last].into();
            assert!(matches!(failures.begin(ip, &key, now), Start::Now(_)));
            assert!(!failures.under_way.is_empty());
            failures.finish(ip, &key, outcome, now);
            assert!(failures.under_way.is_empty());
        }
    }

    #[test]
    fn a_key_takes_the_same_room_whatever_was_typed() {
        assert!(size_of::<LoginKey>() <= 24);
    }
}
