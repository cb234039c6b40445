//! Failed logins: whom to stop, whom to delay, and whom to forgive.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::keyed::{DEFAULT_CAPACITY, Exceeded, KeyLimiter, KeyWindow};
use crate::known::KnownNetworks;
use crate::limiter::{Addresses, Decision, Limiter, Refusal, Scope, Window};
use crate::login_key::LoginKey;
use crate::network::{Class, Network};
use crate::table::Table;
use crate::under_way::{Subject, UnderWay};

/// Time between two attempts at an account that has failed too often, from networks that it does not log in from. It
/// bounds what many addresses can guess together to 43,200 passwords a day.
pub const TURN: Duration = Duration::from_secs(2);

/// The longest an attempt waits for its turn; beyond this it is refused. Clients give up after a while.
pub const MAX_WAIT: Duration = Duration::from_secs(30);

/// How many failures are borne in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureWindow {
    /// The name of this limit.
    pub name: &'static str,
    /// How long the window is.
    pub length: Duration,
    /// Failures per network, for each of [`Class::ALL`]. Attempts from networks over it are refused.
    pub networks: [u32; 3],
    /// Failures per account, from wherever they come. Attempts at accounts over it wait for their turn.
    pub account: u32,
}

/// Counts failed logins per network, per account, and per account and address.
///
/// Nobody can keep an account from logging in where it has logged in of late: there the account's failures elsewhere do
/// not count, and those of neighbours neither, but only the account's own from that address. Elsewhere an account that
/// has failed too often is slowed down and not refused.
///
/// A success forgives the failures of its own account from its own address, and no others: whoever has one account
/// cannot use it to wipe out his attempts at the rest.
///
/// Memory: five tables of at most [`DEFAULT_CAPACITY`] rows of some 200 bytes, and two that only logins fill.
#[derive(Clone, Debug)]
pub struct Failures {
    networks: Limiter,
    accounts: KeyLimiter<LoginKey>,
    /// The failures of one account from one host: what a success forgives, and the limit at a known network.
    pairs: KeyLimiter<(LoginKey, Network)>,
    /// When the next attempt at an account over its limit may begin.
    turns: Table<LoginKey, Option<SystemTime>>,
    known: KnownNetworks,
    under_way: UnderWay,
}

/// May an attempt begin?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Start {
    /// Yes. It counts as under way until [`Failures::finish`].
    Now(Grant),
    /// Attempts under way may use up what is left: ask again when one of them has finished. The refusal is for those who
    /// do not want to wait longer.
    AfterOthers(Refusal),
    /// No.
    Refused(Refusal),
}

/// What goes with an attempt that may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Let so much time pass first: it is not the account's turn yet.
    pub wait: Duration,
    /// Failures of this account from this address within the longest window: what a delay can grow with.
    pub failures: u64,
    /// Has the account logged in from this network of late?
    pub known: bool,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Succeeded,
    /// It failed, or was given up.
    Failed,
    /// It failed by nothing the user can do, so it is not counted against the account.
    FailedUnarmed,
    /// We could not tell: nothing is counted.
    Undecided,
}

/// A network or an account that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Who is held back.
    pub who: Blockee,
    /// Until when, if nothing more fails.
    pub until: SystemTime,
}

/// Who is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blockee {
    /// Logins from this network are refused.
    Network(Network),
    /// Logins to this account wait for their turn, but for those from networks that it has logged in from of late.
    Account(Arc<str>),
}

impl Failures {
    /// All `windows` hold at once. Without any, nothing is refused or delayed.
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
            turns: Table::new(DEFAULT_CAPACITY),
            known: KnownNetworks::new(),
            under_way: UnderWay::default(),
        }
    }

    /// Has anyone logged in of late from the network that `ip` is in?
    pub fn knows(&self, ip: IpAddr, now: SystemTime) -> bool {
        self.known.any(self.networks.network(Class::Site, ip), now)
    }

    /// May `ip` connect to log in? From a network over its limits only if someone has logged in from there of late: who
    /// may try is up to [`Failures::begin`] then.
    pub fn may_connect(&mut self, ip: IpAddr, now: SystemTime) -> Decision {
        self.networks.follow(ip, now);
        match self.networks.peek(ip, now, 1) {
            Decision::Refused(refusal) if !self.knows(ip, now) => Decision::Refused(refusal),
            _ => Decision::Allowed,
        }
    }

    /// Begins an attempt of `ip` to log in to `key`, if it may. Attempts under way count as failures until they have
    /// finished, so that no number of them at a time gets past a limit.
    pub fn begin(&mut self, ip: IpAddr, key: &LoginKey, now: SystemTime) -> Start {
        let pair = (key.clone(), self.networks.network(Class::Host, ip));
        // What is refused is touched as well, so that it follows a clock that was set back: or the refusal could last
        // for ever.
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

    /// An attempt that [`Failures::begin`] has let begin is over.
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

    /// A login failed that has not begun by [`Failures::begin`]. Without a key it failed before there was a name.
    pub fn failed(&mut self, ip: IpAddr, key: Option<&LoginKey>, now: SystemTime) {
        self.networks.add(ip, now, 1);
        if let Some(key) = key {
            self.accounts.add(key, now, 1);
            self.pairs.add(&(key.clone(), self.networks.network(Class::Host, ip)), now, 1);
        }
    }

    /// Who is held back, accounts last. Names that are nobody's are left out: they may be passwords.
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

    /// Forgets failures: of one account; of all networks that are within one, or that it is within; or all of them.
    /// Returns who was held back and is no more.
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
        self.turns.retain(|key| !is_lifted(key));
        self.pairs.forget(|(key, host)| is_lifted(key) || fits(&Blockee::Network(*host)));
        lifted
    }

    /// The network of `class` around `ip`, as these limits have it.
    pub fn network(&self, class: Class, ip: IpAddr) -> Network {
        self.networks.network(class, ip)
    }

    /// Why an attempt may not begin, if `more` failures are added to what is counted of each subject.
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
        // Who has logged in from here does not answer for neighbours, but has what one address may fail for himself.
        let (key, host) = pair;
        let under_way = more(Subject::Pair(key.clone(), *host));
        let exceeded = self.pairs.peek(pair, now, under_way.saturating_add(1))?;
        let scope = Scope::Network(Class::Host, *host);
        Some(Refusal { limit: exceeded.limit, scope, retry_after: exceeded.retry_after })
    }

    /// How long an attempt has to wait for its turn.
    fn turn(&mut self, pair: &(LoginKey, Network), known: bool, now: SystemTime) -> Result<Duration, Start> {
        let (key, host) = pair;
        let under_way = self.under_way.count(&Subject::Account(key.clone()));
        let exceeded = self.accounts.peek(key, now, under_way.saturating_add(1)).filter(|_| !known);
        let Some(exceeded) = exceeded else { return Ok(Duration::ZERO) };
        let last = self.turns.touch(key);
        // A turn further ahead than any can be was given before the clock was set back.
        let ahead = last.and_then(|last| last.duration_since(now).ok()).filter(|ahead| *ahead <= MAX_WAIT);
        let wait = ahead.unwrap_or_default() + TURN;
        let refusal = Refusal { limit: exceeded.limit, scope: Scope::Account, retry_after: Some(wait) };
        // One turn at a time for each address, so that a few of them cannot take all.
        if self.under_way.count(&Subject::Pair(key.clone(), *host)) > 0 {
            return Err(Start::AfterOthers(refusal));
        }
        if wait > MAX_WAIT {
            return Err(Start::Refused(refusal));
        }
        *last = now.checked_add(wait);
        Ok(wait)
    }

    /// A login succeeded that has not begun by [`Failures::begin`].
    pub fn succeeded(&mut self, ip: IpAddr, key: &LoginKey, now: SystemTime) {
        let pair = (key.clone(), self.networks.network(Class::Host, ip));
        let forgiven = self.pairs.remove(&pair, now);
        self.networks.subtract(ip, now, &forgiven);
        self.accounts.subtract(key, now, &forgiven);
        self.known.note(key, self.networks.network(Class::Site, ip), now);
    }

    /// What an attempt is counted by while it is under way.
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
