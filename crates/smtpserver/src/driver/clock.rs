//! Tracks what a connection is waiting for, and computes its deadline.

use std::time::Duration;

use tokio::time::Instant;

use crate::rules::Timeouts;
use crate::session::{Session, Waiting};

/// When the waits of a connection began.
pub(super) struct Clock {
    /// The last command, or the last piece of a message.
    waiting: Instant,
    /// The beginning of the message that is being received.
    message: Option<Instant>,
    /// The last accepted message, or the beginning of the connection.
    productive: Instant,
    /// Messages accepted by then.
    messages: u32,
}

impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { waiting: now, message: None, productive: now, messages: 0 }
    }

    /// Notes the session's state after input. `progress`: was there a whole command, or a piece of a message? A command that
    /// comes in pieces has one deadline for all of them; each piece of a message puts its deadline off.
    pub(super) fn note<T>(&mut self, session: &Session<T>, progress: bool) {
        let now = Instant::now();
        if progress {
            self.waiting = now;
        }
        if session.waiting() == Waiting::Data {
            self.message.get_or_insert(now);
        }
        if self.messages != session.messages() {
            self.messages = session.messages();
            self.productive = now;
        }
    }

    /// Forgets a message that is over, so that the next has a time of its own even if both come in one piece.
    pub(super) fn between_messages<T>(&mut self, session: &Session<T>) {
        if !session.in_transaction() && session.waiting() != Waiting::Data {
            self.message = None;
        }
    }

    /// When the message that is being received began.
    pub(super) fn message_began(&self) -> Option<Instant> {
        self.message
    }

    /// When the wait for input ends.
    pub(super) fn deadline(&self, waiting: Waiting, timeouts: &Timeouts) -> Instant {
        let wait = match waiting {
            Waiting::FirstCommand => timeouts.first_command,
            Waiting::Command => timeouts.command,
            Waiting::Data => timeouts.data_block,
        };
        let unproductive = after(self.productive, timeouts.unproductive);
        let whole = self.message.map_or(unproductive, |since| after(since, timeouts.message));
        after(self.waiting, wait).min(unproductive).min(whole)
    }
}

/// `time` after `since`; a year after it where that cannot be computed.
fn after(since: Instant, time: Duration) -> Instant {
    since.checked_add(time).unwrap_or_else(|| since + Duration::from_hours(24 * 365))
}
