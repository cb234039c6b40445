//! The clock for limits.

use std::time::SystemTime;

use tokio::time::Instant;

/// Starts with the system's time, and then follows the monotonic clock. When the system's clock is set, clients must neither
/// be released from a limit nor held back for longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct SteadyClock {
    wall: SystemTime,
    started: Instant,
}

impl SteadyClock {
    pub(super) fn start() -> Self {
        Self { wall: super::now(), started: Instant::now() }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.wall.checked_add(self.started.elapsed()).unwrap_or(self.wall)
    }
}
