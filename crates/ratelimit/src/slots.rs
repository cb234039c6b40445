//! Counts events within a window that ends now.
//!
//! The window is cut into [`SLOTS`] parts. The counts cover the current part and [`SLOTS`] whole parts before it: at least the
//! window, so that no window, wherever it starts, has more events than the limit. The price is that an event is forgotten up
//! to a part later than necessary.

use std::time::{Duration, SystemTime};

/// Parts of a window. An event counts for up to one part longer than the window.
pub(crate) const SLOTS: usize = 12;

/// Parts that have a count.
const KEPT: usize = SLOTS + 1;

/// Tells the current part of one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    slot_nanos: u128,
}

impl Clock {
    pub(crate) fn new(window: Duration) -> Self {
        // Rounded up, so that all parts together are never shorter than the window.
        Self { slot_nanos: window.as_nanos().div_ceil(SLOTS as u128).max(1) }
    }

    /// The number of the part that `now` is in. Before 1970 it is the first.
    pub(crate) fn slot(self, now: SystemTime) -> u64 {
        u64::try_from(nanos(now) / self.slot_nanos).unwrap_or(u64::MAX)
    }

    /// From `now` until part `slot` starts.
    fn until(self, slot: u64, now: SystemTime) -> Duration {
        let start = u128::from(slot).saturating_mul(self.slot_nanos);
        let wait = start.saturating_sub(nanos(now));
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

fn nanos(now: SystemTime) -> u128 {
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// The counts of one key in one window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots {
    /// The number of the newest part with a count.
    newest: u64,
    /// Counts of the newest part, the one before it, and so on.
    counts: [u32; KEPT],
}

impl Slots {
    /// Moves to part `now`, and forgets the parts that are too old.
    pub(crate) fn advance(&mut self, now: u64) {
        if now >= self.newest {
            let by = usize::try_from(now - self.newest).unwrap_or(KEPT).min(KEPT);
            self.counts.rotate_right(by % KEPT);
            self.counts.iter_mut().take(by).for_each(|count| *count = 0);
            self.newest = now;
        } else if self.newest - now > SLOTS as u64 {
            // The clock was set back by more than the window. Until it is there again could take for ever, so all events count
            // as happening now.
            let total = self.total();
            *self = Self { newest: now, counts: [0; KEPT] };
            self.add(total);
        }
        // Otherwise the clock is behind by a little, and the newest part it reached stays the current one.
    }

    /// All events.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Adds `n` events to the newest part.
    pub(crate) fn add(&mut self, n: u64) {
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// Removes `n` events, the newest first.
    pub(crate) fn give_back(&mut self, mut n: u64) {
        for count in &mut self.counts {
            let less = u64::from(*count).min(n);
            *count = count.saturating_sub(u32::try_from(less).unwrap_or(u32::MAX));
            n -= less;
        }
    }

    /// Subtracts `other` part by part. Both must have advanced to the same part.
    pub(crate) fn subtract(&mut self, other: &Slots) {
        self.counts
            .iter_mut()
            .zip(&other.counts)
            .for_each(|(count, less)| *count = count.saturating_sub(*less));
    }

    /// How long until `n` more events are within `limit`; `None` if never.
    pub(crate) fn wait(&self, n: u64, limit: u64, clock: Clock, now: SystemTime) -> Option<Duration> {
        let mut excess = self.total().checked_add(n)?.saturating_sub(limit);
        if n > limit {
            return None;
        }
        // Oldest first: the count `age` parts before the newest is forgotten when `KEPT - age` more parts have begun.
        for (age, &count) in self.counts.iter().enumerate().rev() {
            excess = excess.saturating_sub(u64::from(count));
            if excess == 0 {
                let remaining = (KEPT - age) as u64;
                return Some(clock.until(self.newest.saturating_add(remaining), now));
            }
        }
        None
    }
}
