//! How often something happened within a window that ends now.
//!
//! The window is cut into [`SLOTS`] parts. What is counted are the part we are in and as many whole parts before it:
//! more than the window and never less, so that no window, wherever it starts, holds more than the limit. The price
//! is that an event is forgotten up to a part later than it could be.

use std::time::{Duration, SystemTime};

/// Parts of a window: an event counts for up to a twelfth of the window longer.
pub(crate) const SLOTS: usize = 12;

/// Parts that are counted.
const KEPT: usize = SLOTS + 1;

/// The clock of one window: which part is it now?
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
    /// The newest part that was counted in.
    newest: u64,
    /// Counts of the newest part, the one before it, and so on.
    counts: [u32; KEPT],
}

impl Slots {
    /// Moves on to part `now`, forgetting what is too old.
    pub(crate) fn advance(&mut self, now: u64) {
        if now >= self.newest {
            let by = usize::try_from(now - self.newest).unwrap_or(KEPT).min(KEPT);
            self.counts.rotate_right(by % KEPT);
            self.counts.iter_mut().take(by).for_each(|count| *count = 0);
            self.newest = now;
        } else if self.newest - now > SLOTS as u64 {
            // The clock was set back by more than the window. Waiting until it is there again could take for ever, so
            // everything counts as having happened now.
            let total = self.total();
            *self = Self { newest: now, counts: [0; KEPT] };
            self.add(total);
        }
        // Otherwise the clock is behind by a little, and the newest part it reached stays the current one.
    }

    /// All that is counted.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().map(|&count| u64::from(count)).sum()
    }

    /// Counts `n` more, now.
    pub(crate) fn add(&mut self, n: u64) {
        if let Some(count) = self.counts.first_mut() {
            *count = count.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
        }
    }

    /// Counts `n` less, the newest first.
    pub(crate) fn give_back(&mut self, mut n: u64) {
        for count in &mut self.counts {
            let less = u64::from(*count).min(n);
            *count = count.saturating_sub(u32::try_from(less).unwrap_or(u32::MAX));
            n -= less;
        }
    }

    /// Takes out exactly what `other` has, part by part. Both have advanced to the same part.
    pub(crate) fn subtract(&mut self, other: &Slots) {
        self.counts
            .iter_mut()
            .zip(&other.counts)
            .for_each(|(count, less)| *count = count.saturating_sub(*less));
    }

    /// How long until `n` more fit under `limit`? `None`: never.
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
