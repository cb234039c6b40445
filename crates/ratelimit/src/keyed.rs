//! Limits per key, whatever a key is.

use std::hash::Hash;
use std::time::{Duration, SystemTime};

use crate::slots::{Clock, Slots};
use crate::table::Table;

/// Most keys kept by default. With two windows a key costs about 200 octets, so this is 3 MiB.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// At most so many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWindow {
    /// The name of this limit, for whoever reads about a refusal.
    pub name: &'static str,
    /// How long the window is.
    pub length: Duration,
    /// How many fit in it.
    pub limit: u32,
}

/// A limit that would be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The name of the limit.
    pub limit: &'static str,
    /// When to try again; `None`: it will never fit.
    pub retry_after: Option<Duration>,
}

/// Counts per key in one or several windows at once, with a bounded number of keys.
///
/// Windows slide: no span of time as long as the window, wherever it begins, holds more than the limit. A key that was
/// not touched for long is forgotten when there are too many.
#[derive(Clone, Debug)]
pub struct KeyLimiter<K> {
    windows: Vec<(KeyWindow, Clock)>,
    table: Table<K, Vec<Slots>>,
}

impl<K: Hash + Eq + Clone> KeyLimiter<K> {
    /// All `windows` hold at once. Without any, nothing is ever refused.
    pub fn new(windows: &[KeyWindow], capacity: usize) -> Self {
        let windows = windows.iter().map(|window| (*window, Clock::new(window.length))).collect();
        Self { windows, table: Table::new(capacity) }
    }

    /// Would `n` more be within all limits? If not, which is the one to wait for longest?
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

    /// Counts `n` more, whatever the limits say.
    pub fn add(&mut self, key: &K, now: SystemTime, n: u64) {
        for slots in self.touch(key, now) {
            slots.add(n);
        }
    }

    /// Counts `n` more if they are within all limits; otherwise counts nothing and says why.
    pub fn take(&mut self, key: &K, now: SystemTime, n: u64) -> Option<Exceeded> {
        let exceeded = self.peek(key, now, n);
        match exceeded {
            None => self.add(key, now, n),
            // What is refused stays in memory, and follows a clock that was set back. But it makes no new row: a flood of
            // keys that are refused must not push out what is counted of others.
            Some(_) => self.follow(key, now),
        }
        exceeded
    }

    /// Undoes the counting of `n`, the newest first.
    pub fn give_back(&mut self, key: &K, now: SystemTime, n: u64) {
        if self.table.get(key).is_some() {
            for slots in self.touch(key, now) {
                slots.give_back(n);
            }
        }
    }

    /// Brings what is counted of a key up to `now`, also where that is earlier than before: a clock was set back.
    pub(crate) fn follow(&mut self, key: &K, now: SystemTime) {
        self.give_back(key, now, 0);
    }

    /// The keys for which one more would exceed a limit.
    pub(crate) fn exceeded(&self, now: SystemTime) -> impl Iterator<Item = (&K, Exceeded)> {
        self.table.keys().filter_map(move |key| Some((key, self.peek(key, now, 1)?)))
    }

    /// Forgets the keys that `goes` says yes to.
    pub(crate) fn forget(&mut self, goes: impl Fn(&K) -> bool) {
        self.table.retain(|key| !goes(key));
    }

    /// How many are counted in the longest window.
    pub fn count(&self, key: &K, now: SystemTime) -> u64 {
        self.at(key, now).map(|slots| slots.total()).max().unwrap_or(0)
    }

    /// Keys in memory.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is nothing counted at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a key, and gives what it had counted.
    pub(crate) fn remove(&mut self, key: &K, now: SystemTime) -> Vec<Slots> {
        let counted = self.at(key, now).collect();
        self.table.remove(key);
        counted
    }

    /// Takes out what another limiter, with windows of the same lengths, had counted.
    pub(crate) fn subtract(&mut self, key: &K, now: SystemTime, counted: &[Slots]) {
        if self.table.get(key).is_some() {
            for (slots, less) in self.touch(key, now).zip(counted) {
                slots.subtract(less);
            }
        }
    }

    /// The counts of a key as they are now.
    fn at(&self, key: &K, now: SystemTime) -> impl Iterator<Item = Slots> {
        let known = self.table.get(key).map(Vec::as_slice).unwrap_or_default();
        self.windows.iter().enumerate().map(move |(i, (_, clock))| {
            let mut slots = known.get(i).copied().unwrap_or_default();
            slots.advance(clock.slot(now));
            slots
        })
    }

    fn touch(&mut self, key: &K, now: SystemTime) -> impl Iterator<Item = &mut Slots> {
        let entry = self.table.touch(key);
        entry.resize_with(self.windows.len(), Slots::default);
        entry.iter_mut().zip(&self.windows).map(move |(slots, (_, clock))| {
            slots.advance(clock.slot(now));
            slots
        })
    }
}
