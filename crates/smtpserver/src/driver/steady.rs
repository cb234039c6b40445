//! The time that limits go by.

use std::time::SystemTime;

use tokio::time::Instant;

/// Begins with the system's time and then goes on by what passes, whatever is done to the system's clock: a clock that is
/// set must neither free who is held back nor hold anyone back for longer.
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
