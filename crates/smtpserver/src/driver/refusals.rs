//! Logs refusals by limits, so that a flood of clients does not become a flood of lines.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ratelimit::{LoginKey, Network};
use tokio::time::Instant;
use tracing::info;

/// The time between two lines about one limit and network.
pub(super) const PAUSE: Duration = Duration::from_mins(1);
/// Most pairs of limit and network with lines of their own. Refusals beyond them are counted by limit alone.
const MAX_ROWS: usize = 1024;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refused {
    Connections,
    /// Logins, by a limit.
    Logins,
    /// Logins with wrong credentials.
    Credentials,
    Messages,
}

/// Counts what is refused by limit and network. The first is logged at once, those after it once a minute.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, Row>>);

/// Refusals with the same key share a count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    what: Refused,
    /// The limit, or the result of a login.
    why: &'static str,
    /// The network that has exceeded the limit; none for limits over everyone.
    network: Option<Network>,
    /// The account that a login was for, if there is one of that name.
    account: Option<Arc<str>>,
}

struct Row {
    /// When this row was last logged.
    logged: Instant,
    /// Refusals since then.
    count: u64,
}

impl Refusals {
    /// Counts a refusal by a limit.
    pub(super) fn note(&self, what: Refused, why: &'static str, network: Option<Network>) {
        let key = Key { what, why, network, account: None };
        if self.is_news(&key, Instant::now()) {
            log(&key, 1);
        }
    }

    /// Counts a failed login from `host`. The log names the account if it exists, but no other name, which may be a password
    /// typed in the wrong place.
    pub(super) fn login_failed(
        &self,
        host: Network,
        mechanism: &'static str,
        result: &'static str,
        key: Option<&LoginKey>,
    ) {
        let account = key.and_then(|key| match key {
            LoginKey::Account(name) => Some(Arc::clone(name)),
            LoginKey::Nobody(_) => None,
        });
        let key = Key { what: Refused::Credentials, why: result, network: Some(host), account };
        if self.is_news(&key, Instant::now()) {
            let account = key.account.as_deref();
            info!(network = %host, mechanism, result, account, "failed login");
        }
    }

    /// Logs what was counted in rows that were last logged at least `age` ago, and forgets rows without news.
    pub(super) fn report(&self, age: Duration) {
        for (key, count) in self.due(age, Instant::now()) {
            log(&key, count);
        }
    }

    /// Counts a refusal. True for the first of its kind, which is not counted but logged.
    fn is_news(&self, key: &Key, now: Instant) -> bool {
        let mut rows = self.rows();
        let mut key = key.clone();
        if rows.len() >= MAX_ROWS && !rows.contains_key(&key) {
            (key.network, key.account) = (None, None);
        }
        match rows.get_mut(&key) {
            Some(row) => {
                row.count = row.count.saturating_add(1);
                false
            }
            None => {
                rows.insert(key, Row { logged: now, count: 0 });
                true
            }
        }
    }

    fn due(&self, age: Duration, now: Instant) -> Vec<(Key, u64)> {
        let mut due = Vec::new();
        self.rows().retain(|key, row| {
            if now.duration_since(row.logged) < age {
                return true;
            }
            let count = std::mem::take(&mut row.count);
            row.logged = now;
            if count > 0 {
                due.push((key.clone(), count));
            }
            count > 0
        });
        due
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Key, Row>> {
        self.0.lock()
    }
}

fn log(key: &Key, count: u64) {
    let Key { what, why, network, account } = key;
    let network: &dyn fmt::Display = network.as_ref().map_or(&"any", |network| network);
    let account = account.as_deref();
    match what {
        Refused::Connections => info!(limit = why, %network, count, "connections refused"),
        Refused::Logins => info!(limit = why, %network, count, "logins refused"),
        Refused::Credentials => info!(result = why, %network, account, count, "failed logins"),
        Refused::Messages => info!(limit = why, %network, count, "messages refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: &str = "connection rate";

    fn key(network: Option<Network>) -> Key {
        Key { what: Refused::Connections, why: LIMIT, network, account: None }
    }

    fn network(third: u8) -> Option<Network> {
        Some(Network::new([192, 0, third, 0].into(), 24))
    }

    #[test]
    fn counts_each_network_and_reports_once_a_minute() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert!(refusals.is_news(&key(network(1)), start));
        assert!((0..50).all(|_| !refusals.is_news(&key(network(1)), start)));
        assert!(refusals.is_news(&key(network(2)), start));
        assert_eq!(refusals.due(PAUSE, start + PAUSE / 2), []);
        assert_eq!(refusals.due(PAUSE, start + PAUSE), [(key(network(1)), 50)]);
        // The second network has no news and is forgotten; the first is counted on.
        assert!(refusals.is_news(&key(network(2)), start + PAUSE));
        assert!(!refusals.is_news(&key(network(1)), start + PAUSE));
        assert_eq!(refusals.due(Duration::ZERO, start + PAUSE), [(key(network(1)), 1)]);
    }

    #[test]
    fn counts_failed_logins_by_account_and_names_none_that_is_not_there() {
        let refusals = Refusals::default();
        let host = Network::new([192, 0, 2, 1].into(), 32);
        let account = |name: &str| LoginKey::Account(name.into());
        for key in [Some(account("ann")), Some(account("bob")), Some(LoginKey::Nobody(1)), None] {
            for _ in 0..3 {
                refusals.login_failed(host, "PLAIN", "badcreds", key.as_ref());
            }
        }
        let mut due = refusals.due(Duration::ZERO, Instant::now());
        due.sort_by(|a, b| a.0.account.cmp(&b.0.account));
        let due: Vec<_> = due.iter().map(|(key, count)| (key.account.as_deref(), *count)).collect();
        assert_eq!(due, [(None, 5), (Some("ann"), 2), (Some("bob"), 2)]);
    }

    #[test]
    fn counts_together_what_has_no_room_for_a_row() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let of = |n: usize| {
            let [_, .., b, c] = n.to_be_bytes();
            Some(Network::new([10, b, c, 0].into(), 24))
        };
        assert!((0..MAX_ROWS).all(|n| refusals.is_news(&key(of(n)), start)));
        assert!(refusals.is_news(&key(of(MAX_ROWS)), start), "the first of the rest");
        assert!((MAX_ROWS..2 * MAX_ROWS).all(|n| !refusals.is_news(&key(of(n)), start)));
        assert_eq!(refusals.rows().len(), MAX_ROWS + 1);
        assert_eq!(refusals.due(PAUSE, start + PAUSE), [(key(None), MAX_ROWS as u64)]);
    }
}
