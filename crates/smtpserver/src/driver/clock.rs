//! Since when is waited for what, and until when.

use std::time::Duration;

use tokio::time::Instant;

use crate::rules::Timeouts;
use crate::session::{Session, Waiting};

/// Since when is waited for what.
pub(super) struct Clock {
    /// A command, or more of a message.
    waiting: Instant,
    /// The whole of a message.
    message: Option<Instant>,
    /// A message that is taken.
    productive: Instant,
    /// Messages taken by then.
    messages: u32,
}

impl Clock {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { waiting: now, message: None, productive: now, messages: 0 }
    }

    /// Notes what has happened. A command that comes in pieces has one deadline for all of them; a message may go on as
    /// long as pieces come.
    pub(super) fn note(&mut self, session: &Session, progress: bool) {
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

    /// Forgets a message that is over: the next has all of its time, although both may come in one piece.
    pub(super) fn between_messages(&mut self, session: &Session) {
        if !session.in_transaction() && session.waiting() != Waiting::Data {
            self.message = None;
        }
    }

    /// When the message that is being received began.
    pub(super) fn message_began(&self) -> Option<Instant> {
        self.message
    }

    /// Until when is waited for input.
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

/// `time` after `since`; a time that is too long to count is a year.
fn after(since: Instant, time: Duration) -> Instant {
    since.checked_add(time).unwrap_or_else(|| since + Duration::from_hours(24 * 365))
}
