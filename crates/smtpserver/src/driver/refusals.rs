//! Connections that limits refuse, as the log shows them: a flood must not become a flood of lines.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ratelimit::Network;
use tokio::time::Instant;
use tracing::info;

/// Time between two lines about one limit and network.
pub(super) const PAUSE: Duration = Duration::from_mins(1);
/// Most limits and networks that have lines of their own. Refusals beyond them are counted together, by limit.
const MAX_ROWS: usize = 1024;

/// Counts refused connections by limit and network. The first is logged at once, those after it once a minute.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Key, Row>>);

/// A limit, and the network that has exceeded it; none for limits over everyone.
type Key = (&'static str, Option<Network>);

struct Row {
    /// When this row was last logged.
    logged: Instant,
    /// Refusals since then.
    count: u64,
}

impl Refusals {
    /// A connection was refused.
    pub(super) fn note(&self, limit: &'static str, network: Option<Network>) {
        if self.is_news(limit, network, Instant::now()) {
            log((limit, network), 1);
        }
    }

    /// Logs what was counted in rows that were last logged at least `age` ago, and forgets rows without news.
    pub(super) fn report(&self, age: Duration) {
        for (key, count) in self.due(age, Instant::now()) {
            log(key, count);
        }
    }

    /// Counts a refusal. True for the first of its limit and network, which is not counted but logged.
    fn is_news(&self, limit: &'static str, network: Option<Network>, now: Instant) -> bool {
        let mut rows = self.rows();
        let full = rows.len() >= MAX_ROWS && !rows.contains_key(&(limit, network));
        let key = (limit, network.filter(|_| !full));
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
                due.push((*key, count));
            }
            count > 0
        });
        due
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Key, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log((limit, network): Key, count: u64) {
    let network: &dyn fmt::Display = network.as_ref().map_or(&"any", |network| network);
    info!(limit, %network, count, "connections refused");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: &str = "connection rate";

    fn network(third: u8) -> Option<Network> {
        Some(Network::new([192, 0, third, 0].into(), 24))
    }

    #[test]
    fn counts_each_network_and_reports_once_a_minute() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert!(refusals.is_news(LIMIT, network(1), start));
        assert!((0..50).all(|_| !refusals.is_news(LIMIT, network(1), start)));
        assert!(refusals.is_news(LIMIT, network(2), start));
        assert_eq!(refusals.due(PAUSE, start + PAUSE / 2), []);
        assert_eq!(refusals.due(PAUSE, start + PAUSE), [((LIMIT, network(1)), 50)]);
        // The second network has no news and is forgotten; the first is counted on.
        assert!(refusals.is_news(LIMIT, network(2), start + PAUSE));
        assert!(!refusals.is_news(LIMIT, network(1), start + PAUSE));
        assert_eq!(refusals.due(Duration::ZERO, start + PAUSE), [((LIMIT, network(1)), 1)]);
    }

    #[test]
    fn counts_together_what_has_no_room_for_a_row() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let of = |n: usize| {
            let [_, .., b, c] = n.to_be_bytes();
            Some(Network::new([10, b, c, 0].into(), 24))
        };
        assert!((0..MAX_ROWS).all(|n| refusals.is_news(LIMIT, of(n), start)));
        assert!(refusals.is_news(LIMIT, of(MAX_ROWS), start), "the first of the rest");
        assert!((MAX_ROWS..2 * MAX_ROWS).all(|n| !refusals.is_news(LIMIT, of(n), start)));
        assert_eq!(refusals.rows().len(), MAX_ROWS + 1);
        assert_eq!(refusals.due(PAUSE, start + PAUSE), [((LIMIT, None), MAX_ROWS as u64)]);
    }
}
