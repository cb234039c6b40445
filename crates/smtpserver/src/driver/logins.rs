//! Attempts to log in, over all listeners and connections: who may try and when, and what counts as a failure.

use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ratelimit::{
    Addresses, Blocked, Blockee, Class, Decision, FailureWindow, Failures, Grant, LoginKey, MAX_WAIT,
    Network, Outcome, Refusal as Limit, Start,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::steady::SteadyClock;

/// Groups of networks. The end of an attempt wakes the attempts that wait in its group, instead of those of all networks.
const GROUPS: usize = 256;

/// The counts of failed logins, shared by everything that checks passwords. Clones share them.
#[derive(Clone)]
pub struct Logins(Arc<Inner>);

struct Inner {
    failures: Mutex<Failures>,
    clock: SteadyClock,
    /// Notified when an attempt has finished, by the group of its provider's network.
    finished: Vec<Notify>,
    hasher: RandomState,
}

impl Logins {
    /// All `windows` apply. Without any, no login is refused or delayed.
    pub fn new(windows: &[FailureWindow], addresses: Addresses) -> Self {
        Self(Arc::new(Inner {
            failures: Mutex::new(Failures::new(windows, addresses)),
            clock: SteadyClock::start(),
            finished: (0..GROUPS).map(|_| Notify::new()).collect(),
            hasher: RandomState::new(),
        }))
    }

    /// The networks and accounts that are held back, until when by a clock that shows `now`.
    pub fn blocked(&self, now: SystemTime) -> Vec<Blocked> {
        let steady = self.0.clock.now();
        on_the_wall(self.failures().blocked(steady), steady, now)
    }

    /// Forgets failures as [`Failures::lift`] does. Returns what was held back, until when by a clock that shows `now`.
    pub fn lift(&self, which: Option<&Blockee>, now: SystemTime) -> Vec<Blocked> {
        let steady = self.0.clock.now();
        let lifted = self.failures().lift(which, steady);
        // Waiting attempts may go on now.
        self.0.finished.iter().for_each(Notify::notify_waiters);
        on_the_wall(lifted, steady, now)
    }

    pub(super) fn may_connect(&self, ip: IpAddr) -> Decision {
        self.failures().may_connect(ip, self.0.clock.now())
    }

    /// Was there a recent login from the network that `ip` is in?
    pub(super) fn knows(&self, ip: IpAddr) -> bool {
        self.failures().knows(ip, self.0.clock.now())
    }

    /// Begins an attempt, as soon as those under way leave room for it.
    pub(super) async fn begin(&self, ip: IpAddr, key: LoginKey) -> Result<Attempt, Limit> {
        let patience = Instant::now() + MAX_WAIT;
        let finished = self.finished(ip);
        loop {
            let mut next = std::pin::pin!(finished.notified());
            // Registered before the counts are read, or one that finishes between the two would be missed.
            next.as_mut().enable();
            let start = self.failures().begin(ip, &key, self.0.clock.now());
            match start {
                Start::Now(grant) => return Ok(Attempt { logins: self.clone(), ip, key, grant, open: true }),
                Start::Refused(limit) => return Err(limit),
                Start::AfterOthers(limit) => {
                    if timeout_at(patience, next).await.is_err() {
                        return Err(limit);
                    }
                }
            }
        }
    }

    /// Counts a failed login without an attempt: the client has named no user.
    pub(super) fn failed(&self, ip: IpAddr, key: Option<&LoginKey>) {
        self.failures().failed(ip, key, self.0.clock.now());
    }

    /// Counts a successful login without an attempt: it needed no password.
    pub(super) fn succeeded(&self, ip: IpAddr, key: &LoginKey) {
        self.failures().succeeded(ip, key, self.0.clock.now());
    }

    /// The network of `class` that `ip` belongs to.
    pub(super) fn network(&self, class: Class, ip: IpAddr) -> Network {
        self.failures().network(class, ip)
    }

    fn finish(&self, ip: IpAddr, key: &LoginKey, outcome: Outcome) {
        self.failures().finish(ip, key, outcome, self.0.clock.now());
        self.finished(ip).notify_waiters();
    }

    fn finished(&self, ip: IpAddr) -> &Notify {
        // All networks that an attempt counts in are within the provider's.
        let provider = self.network(Class::Provider, ip);
        let group = self.0.hasher.hash_one(provider) % GROUPS as u64;
        let group = usize::try_from(group).unwrap_or_default();
        self.0.finished.get(group).expect("the group is one of them")
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.0.failures.lock()
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logins(..)")
    }
}

/// Translates times of the steady clock into those of the wall clock.
fn on_the_wall(blocked: Vec<Blocked>, steady: SystemTime, wall: SystemTime) -> Vec<Blocked> {
    let left = |until: SystemTime| until.duration_since(steady).unwrap_or(Duration::ZERO);
    let moved = |b: Blocked| Blocked { until: wall.checked_add(left(b.until)).unwrap_or(wall), ..b };
    blocked.into_iter().map(moved).collect()
}

/// An attempt under way. Dropping it counts a failure, so that a client cannot avoid one by closing the connection.
pub(super) struct Attempt {
    logins: Logins,
    ip: IpAddr,
    key: LoginKey,
    grant: Grant,
    open: bool,
}

impl Attempt {
    /// The conditions of the attempt.
    pub(super) fn grant(&self) -> Grant {
        self.grant
    }

    pub(super) fn finish(mut self, outcome: Outcome) {
        self.open = false;
        self.logins.finish(self.ip, &self.key, outcome);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.open {
            self.logins.finish(self.ip, &self.key, Outcome::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::GateRules;
    use super::*;

    fn logins() -> Logins {
        Logins::new(&GateRules::FAILURE_WINDOWS, Addresses::default())
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn alice() -> LoginKey {
        LoginKey::Account("alice".into())
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_wait_for_others_of_their_network_and_go_on_when_these_succeed() {
        let logins = logins();
        let mut open = Vec::new();
        for _ in 0..10 {
            open.push(logins.begin(ip(1), alice()).await.unwrap());
        }
        let waiting = {
            let logins = logins.clone();
            tokio::spawn(async move { logins.begin(ip(1), LoginKey::Account("bob".into())).await.is_ok() })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let start = Instant::now();
        open.pop().unwrap().finish(Outcome::Succeeded);
        assert!(waiting.await.unwrap());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_are_given_up_have_failed() {
        let logins = logins();
        for _ in 0..10 {
            drop(logins.begin(ip(1), alice()).await.unwrap());
        }
        assert_eq!(logins.begin(ip(1), alice()).await.err().unwrap().limit, "failed logins a minute");
        assert!(!logins.may_connect(ip(1)).is_allowed());
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_wait_for_others_only_for_a_while() {
        let logins = logins();
        let mut open = Vec::new();
        for _ in 0..10 {
            open.push(logins.begin(ip(1), alice()).await.unwrap());
        }
        let start = Instant::now();
        assert!(logins.begin(ip(1), alice()).await.is_err());
        assert_eq!(start.elapsed(), MAX_WAIT);
        drop(open);
    }

    #[tokio::test(start_paused = true)]
    async fn time_goes_by_what_has_passed_and_not_by_the_clock_on_the_wall() {
        let logins = logins();
        for _ in 0..10 {
            logins.failed(ip(1), Some(&alice()));
        }
        assert!(!logins.may_connect(ip(1)).is_allowed());
        // The list has wall-clock times, although the limits count by the monotonic clock.
        let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let [blocked] = &logins.blocked(wall)[..] else { panic!("one address") };
        let left = blocked.until.duration_since(wall).unwrap();
        assert!(left > Duration::ZERO && left <= Duration::from_secs(65), "{left:?}");
        tokio::time::advance(left).await;
        assert!(logins.may_connect(ip(1)).is_allowed());
    }
}
