//! Limits per key of any type.

use std::hash::Hash;
use std::time::{Duration, SystemTime};

use bounded_cache::BoundedCache;

use crate::slots::{Clock, Slots};

/// Keys kept in memory by default. With two windows a key costs about 200 bytes, so all take 3 MiB.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// A limit on events in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWindow {
    /// The name of this limit, shown with refusals.
    pub name: &'static str,
    /// The span of time.
    pub length: Duration,
    /// Events allowed in it.
    pub limit: u32,
}

/// A limit that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The name of the limit.
    pub limit: &'static str,
    /// How long to wait before another attempt. `None` if there are more events than the limit ever allows.
    pub retry_after: Option<Duration>,
}

/// Counts events per key in one or more windows, with a bounded number of keys.
///
/// Windows slide: no span as long as the window, wherever it begins, has more events than the limit. When there are too many
/// keys, those not used for longest are forgotten.
#[derive(Clone, Debug)]
pub struct KeyLimiter<K> {
    windows: Vec<(KeyWindow, Clock)>,
    table: BoundedCache<K, Vec<Slots>>,
}

impl<K: Hash + Eq + Clone> KeyLimiter<K> {
    /// All `windows` apply at once. Without any, nothing is refused.
    pub fn new(windows: &[KeyWindow], capacity: usize) -> Self {
        let windows = windows.iter().map(|window| (*window, Clock::new(window.length))).collect();
        Self { windows, table: BoundedCache::new(capacity) }
    }

    /// Returns the limit that `n` more events would exceed; of several, the one with the longest wait.
    pub fn peek(&self, key: &K, now: SystemTime, n: u64) -> Option<Exceeded> {
        self.at(key, now)
            .zip(&self.windows)
            .filter(|(slots, (window, _))| slots.total().saturating_add(n) > u64::from(window.limit))
            .map(|(slots, (window, clock))| Exceeded {
                limit: window.name,
                retry_after: slots.wait(n, u64::from(window.limit), *clock, now),
            })
            .max_by_key(|exceeded| exceeded.retry_after.unwrap_or(Duration::MAX))
    }

    /// Counts `n` more events, regardless of the limits.
    pub fn add(&mut self, key: &K, now: SystemTime, n: u64) {
        for slots in self.touch(key, now) {
            slots.add(n);
        }
    }

    /// Counts `n` more events, unless they would exceed a limit, which is returned.
    pub fn take(&mut self, key: &K, now: SystemTime, n: u64) -> Option<Exceeded> {
        let exceeded = self.peek(key, now, n);
        match exceeded {
            None => self.add(key, now, n),
            // The row of a refused key is refreshed, so that it follows a clock that was set back. No new row is made: a flood
            // of refused keys must not push out the rows of others.
            Some(_) => self.follow(key, now),
        }
        exceeded
    }

    /// Takes back `n` events, the newest first.
    pub fn give_back(&mut self, key: &K, now: SystemTime, n: u64) {
        if self.table.peek(key).is_some() {
            for slots in self.touch(key, now) {
                slots.give_back(n);
            }
        }
    }

    /// Moves the counts of a key to `now`, even if the clock was set back.
    pub(crate) fn follow(&mut self, key: &K, now: SystemTime) {
        self.give_back(key, now, 0);
    }

    /// The keys for which one more event would exceed a limit.
    pub(crate) fn exceeded(&self, now: SystemTime) -> impl Iterator<Item = (&K, Exceeded)> {
        self.table.keys().filter_map(move |key| Some((key, self.peek(key, now, 1)?)))
    }

    /// Forgets the keys for which `goes` returns true.
    pub(crate) fn forget(&mut self, goes: impl Fn(&K) -> bool) {
        self.table.retain(|key, _| !goes(key));
    }

    /// Events in the longest window.
    pub fn count(&self, key: &K, now: SystemTime) -> u64 {
        self.at(key, now).map(|slots| slots.total()).max().unwrap_or(0)
    }

    /// The number of keys in memory.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is nothing counted at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a key, and returns its counts.
    pub(crate) fn remove(&mut self, key: &K, now: SystemTime) -> Vec<Slots> {
        let counted = self.at(key, now).collect();
        self.table.remove(key);
        counted
    }

    /// Subtracts the counts of another limiter, whose windows have the same lengths.
    pub(crate) fn subtract(&mut self, key: &K, now: SystemTime, counted: &[Slots]) {
        if self.table.peek(key).is_some() {
            for (slots, less) in self.touch(key, now).zip(counted) {
                slots.subtract(less);
            }
        }
    }

    /// The counts of a key, moved to `now`.
    fn at(&self, key: &K, now: SystemTime) -> impl Iterator<Item = Slots> {
        let known = self.table.peek(key).map(Vec::as_slice).unwrap_or_default();
        self.windows.iter().enumerate().map(move |(i, (_, clock))| {
            let mut slots = known.get(i).copied().unwrap_or_default();
            slots.advance(clock.slot(now));
            slots
        })
    }

    fn touch(&mut self, key: &K, now: SystemTime) -> impl Iterator<Item = &mut Slots> {
        let entry = self.table.get_or_insert_with(key, Vec::new);
        entry.resize_with(self.windows.len(), Slots::default);
        entry.iter_mut().zip(&self.windows).map(move |(slots, (_, clock))| {
            slots.advance(clock.slot(now));
            slots
        })
    }
}
