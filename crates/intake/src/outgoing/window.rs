//! What one account sent in the last 24 hours. Pure: times are arguments, in milliseconds since 1970.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

/// How long a sent message counts, in milliseconds.
pub(super) const WINDOW: u64 = 24 * 60 * 60 * 1000;
/// How far ahead of the clock a message may lie and still count, in milliseconds (our own limit). Concurrent submissions
/// have times of their own, and clocks are set back a little. Messages further ahead were sent while the clock was wrong.
pub(super) const AHEAD: u64 = 60 * 1000;
/// Rows of messages that no longer count which one submission removes at least, if there are that many (our own limit).
const MIN_REMOVED: usize = 64;

/// How much an account may send in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutgoingLimits {
    /// Messages; each recipient of a message counts as one.
    pub(crate) messages: u32,
    /// Recipients to whom the account never sent before.
    pub(crate) first_time_recipients: u32,
}

/// The limit that a submission would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    Messages,
    FirstTimeRecipients,
}

/// The messages that an account sent, without those that a submission has removed because they no longer count.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Time and number of each message, by time.
    sent: VecDeque<(u64, u64)>,
    /// First-time recipients with the time of their first message, by time.
    firsts: VecDeque<(u64, String)>,
    /// The same recipients, for lookups.
    recent: HashSet<String>,
    /// The number of the next message: tells apart messages of one millisecond.
    next: u64,
}

/// One recipient of a submission, as its row tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent<'a> {
    pub(super) number: u64,
    pub(super) recipient: &'a str,
    /// Did the account never send to this recipient before?
    pub(super) is_first: bool,
}

/// Those of these times that count at `now`. Times before the range are too old, times behind it lie ahead.
fn counting<T>(entries: &VecDeque<(u64, T)>, now: u64) -> Range<usize> {
    let start = entries.partition_point(|(time, _)| *time < now.saturating_sub(WINDOW));
    start..entries.partition_point(|(time, _)| *time <= now.saturating_add(AHEAD)).max(start)
}

/// Inserts an entry of the time `now`, which mostly is the latest.
fn insert<T>(entries: &mut VecDeque<(u64, T)>, now: u64, entry: T) {
    let at = entries.partition_point(|(time, _)| *time <= now);
    entries.insert(at, (now, entry));
}

impl Window {
    /// Adds a stored row. Rows come in the order of time and number.
    pub(super) fn load(&mut self, time: u64, row: &Sent<'_>) {
        self.next = self.next.max(row.number.saturating_add(1));
        self.sent.push_back((time, row.number));
        if row.is_first && self.recent.insert(row.recipient.to_owned()) {
            self.firsts.push_back((time, row.recipient.to_owned()));
        }
    }

    /// Adds a submission at the time `now`, if the limits allow it, and returns the rows to store. `unknown` are those of
    /// `recipients` to whom the store knows no message.
    ///
    /// # Errors
    /// The limit that it would exceed; messages are counted first.
    pub(super) fn send<'a>(
        &mut self,
        recipients: &'a [String],
        unknown: &HashSet<&str>,
        limits: OutgoingLimits,
        now: u64,
    ) -> Result<Vec<Sent<'a>>, Exceeded> {
        let sent = counting(&self.sent, now).len() + recipients.len();
        if sent > limits.messages as usize {
            return Err(Exceeded::Messages);
        }
        let new = unknown.iter().filter(|recipient| !self.recent.contains(**recipient)).count();
        if counting(&self.firsts, now).len() + new > limits.first_time_recipients as usize {
            return Err(Exceeded::FirstTimeRecipients);
        }
        let mut unknown = unknown.clone();
        let mut rows = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            // Of several messages to one recipient, one is the first.
            let is_first = unknown.remove(recipient.as_str());
            if is_first && self.recent.insert(recipient.clone()) {
                insert(&mut self.firsts, now, recipient.clone());
            }
            let number = self.next;
            self.next += 1;
            insert(&mut self.sent, now, number);
            rows.push(Sent { number, recipient, is_first });
        }
        Ok(rows)
    }

    /// Forgets messages that do not count at `now`, and returns time and number of each, whose rows are to be removed. A
    /// submission to `recipients` recipients removes more rows than it adds, so that they become fewer.
    pub(super) fn remove(&mut self, recipients: usize, now: u64) -> Vec<(u64, u64)> {
        let firsts = counting(&self.firsts, now);
        let mut stale = self.firsts.split_off(firsts.end);
        stale.extend(self.firsts.drain(..firsts.start));
        for (_, recipient) in stale {
            self.recent.remove(&recipient);
        }
        let sent = counting(&self.sent, now);
        let most = MIN_REMOVED.max(2 * recipients);
        let old = sent.start.min(most);
        let ahead = (self.sent.len() - sent.end).min(most - old);
        let ahead = self.sent.split_off(self.sent.len() - ahead);
        self.sent.drain(..old).chain(ahead).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = WINDOW;
    const ENOUGH: OutgoingLimits = OutgoingLimits { messages: 1000, first_time_recipients: 1000 };

    /// Sends one message to a recipient that the store knows, and returns what is to be removed.
    fn send(window: &mut Window, now: u64) -> Vec<(u64, u64)> {
        window.send(&["a@x.test".to_owned()], &HashSet::new(), ENOUGH, now).unwrap();
        window.remove(1, now)
    }

    #[test]
    fn counts_neither_what_is_old_nor_what_lies_ahead() {
        let mut window = Window::default();
        let now = 100 * DAY;
        // The clock was a year ahead, then a little, then right, then a little behind.
        for time in [now + 365 * DAY, now + AHEAD, now, now - 5] {
            window.send(&["a@x.test".to_owned()], &HashSet::new(), ENOUGH, time).unwrap();
        }
        assert!(window.sent.iter().is_sorted(), "{window:?}");
        assert_eq!(counting(&window.sent, now).len(), 3);
        assert_eq!(counting(&window.sent, now + DAY).len(), 2, "one is too old by then");
        assert_eq!(counting(&window.sent, now - 6).len(), 2, "one lies ahead by more than is allowed for");
    }

    #[test]
    fn removes_what_does_not_count_a_little_at_a_time() {
        let mut window = Window::default();
        let now = 100 * DAY;
        for (time, count) in [(now - 2 * DAY, 100), (now - 2 * DAY + 1, 100), (now + 300 * DAY, 200)] {
            for _ in 0..count {
                let number = window.next;
                window.load(time, &Sent { number, recipient: "a@x.test", is_first: false });
            }
        }
        let mut removed = Vec::new();
        loop {
            let gone = send(&mut window, now);
            assert!(gone.len() <= MIN_REMOVED);
            if gone.is_empty() {
                break;
            }
            removed.extend(gone);
        }
        removed.sort_unstable_by_key(|(_, number)| *number);
        assert!(removed.iter().map(|(_, number)| *number).eq(0..400));
        assert_eq!(counting(&window.sent, now), 0..window.sent.len());
    }

    #[test]
    fn counts_a_recipient_once_that_two_rows_call_the_first() {
        let mut window = Window::default();
        for number in 0..2 {
            window.load(5, &Sent { number, recipient: "a@x.test", is_first: true });
        }
        let limits = OutgoingLimits { messages: 10, first_time_recipients: 2 };
        let to = ["b@x.test".to_owned()];
        let unknown = HashSet::from(["b@x.test"]);
        assert_eq!(window.send(&to, &unknown, limits, 6).map(|rows| rows[0].number), Ok(2));
    }
}
