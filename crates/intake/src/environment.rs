//! [`Environment`]: clocks and randomness as functions, so that a test can replay anything.

use std::time::{Instant, SystemTime};

/// The clocks and the source of randomness that intake uses.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// The time of day.
    pub now: fn() -> SystemTime,
    /// A clock that is never set, for durations.
    pub instant: fn() -> Instant,
    /// Fills a buffer with bytes of a cryptographic generator.
    pub random: fn(&mut [u8]),
}

impl Environment {
    /// `N` random bytes.
    pub(crate) fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}
