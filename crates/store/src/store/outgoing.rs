//! What an account sent, for the limits of 24 hours: the rows, and what of them is kept in memory.

use std::{
    collections::{HashSet, VecDeque},
    ops::Range,
};

use super::rows::each;
use crate::{
    account::AccountId,
    codec::Reader,
    engine::{Engine, KeyRange},
    error::{Error, ErrorKind, Result},
    tables::{self, Key},
    transaction::SubmissionLimits,
};

/// How long a message counts, in milliseconds.
const WINDOW: u64 = 24 * 60 * 60 * 1000;
/// How far ahead of the clock a message may lie and still count, in milliseconds (our own limit): submissions side by side
/// have times of their own, and clocks are set back a little. What lies further ahead was sent while the clock was wrong.
const AHEAD: u64 = 60 * 1000;
/// Messages that do not count any more whose rows one submission removes at least, if there are so many (our own limit).
const MIN_REMOVED: usize = 64;

/// The key of a sent message: account, time, number within the account.
pub(super) fn key(account: AccountId, time: u64, number: u64) -> Vec<u8> {
    Key::of(tables::OUTGOING, account).time(time).time(number).done()
}

/// The value: whether the account never sent to this recipient before, and the recipient.
pub(super) fn value(recipient: &str, first: bool) -> Vec<u8> {
    let mut value = vec![u8::from(first)];
    value.extend_from_slice(recipient.as_bytes());
    value
}

/// The key under which the time of the first message to a recipient is kept.
pub(super) fn recipient_key(account: AccountId, recipient: &str) -> Vec<u8> {
    Key::of(tables::RECIPIENTS, account).bytes(recipient.as_bytes()).done()
}

/// Time, number, recipient and whether it was the first to it.
fn decode(key: &[u8], value: &[u8]) -> Option<(u64, u64, String, bool)> {
    let mut key = Reader::new(key.get(5..)?);
    let time = u64::from_be_bytes(key.array()?);
    let number = u64::from_be_bytes(key.array()?);
    let (first, recipient) = value.split_first()?;
    Some((time, number, String::from_utf8(recipient.to_vec()).ok()?, *first != 0))
}

/// What an account sent in the last 24 hours, and what waits to be removed.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    /// Time and number of each message, by time.
    sent: VecDeque<(u64, u64)>,
    /// First-time recipients with their time, by time.
    firsts: VecDeque<(u64, String)>,
    /// The same recipients, to find them.
    recent: HashSet<String>,
}

/// What a transaction adds to it.
#[derive(Default)]
pub(super) struct OutgoingDraft {
    /// Numbers of messages.
    pub(super) sent: Vec<u64>,
    /// First-time recipients.
    pub(super) firsts: HashSet<String>,
    /// How many messages go because they are too old, and because they lie ahead.
    removed: (usize, usize),
}

/// Those of these times that count at `now`. All others are too old, or lie ahead.
fn counting<T>(entries: &VecDeque<(u64, T)>, now: u64) -> Range<usize> {
    let start = entries.partition_point(|(time, _)| *time < now.saturating_sub(WINDOW));
    start..entries.partition_point(|(time, _)| *time <= now.saturating_add(AHEAD)).max(start)
}

/// Adds entries of the time `now`, which mostly is the latest.
fn insert<T>(entries: &mut VecDeque<(u64, T)>, now: u64, new: impl Iterator<Item = T>) {
    let behind = entries.split_off(entries.partition_point(|(time, _)| *time <= now));
    entries.extend(new.map(|entry| (now, entry)));
    entries.extend(behind);
}

impl Outgoing {
    pub(super) fn load(engine: &dyn Engine, id: AccountId) -> Result<Outgoing> {
        let mut outgoing = Outgoing::default();
        each(engine, &KeyRange::prefix(&Key::of(tables::OUTGOING, id).done()), |key, value| {
            let (time, number, recipient, first) = decode(key, value)?;
            outgoing.sent.push_back((time, number));
            if first {
                outgoing.recent.insert(recipient.clone());
                outgoing.firsts.push_back((time, recipient));
            }
            Some(())
        })?;
        Ok(outgoing)
    }

    /// Whether the account sent to this recipient for the first time lately; of earlier times the engine has a row.
    pub(super) fn has_met(&self, recipient: &str) -> bool {
        self.recent.contains(recipient)
    }

    /// Checks the limits on `recipients` messages more, of which `firsts` go to recipients never sent to before: first the
    /// messages, then, if it can matter, the recipients.
    pub(super) fn check(
        &self,
        draft: &OutgoingDraft,
        limits: SubmissionLimits,
        now: u64,
        recipients: usize,
        firsts: usize,
    ) -> Result<()> {
        let sent = (counting(&self.sent, now).len() + draft.sent.len() + recipients) as u64;
        let max = limits.messages();
        if sent > max {
            return Err(Error::new(ErrorKind::MessageLimit, format!("{max} messages in 24 hours")));
        }
        let max = limits.first_time_recipients();
        let met = (counting(&self.firsts, now).len() + draft.firsts.len() + firsts) as u64;
        if sent >= max && met > max {
            let text = format!("{max} first-time recipients in 24 hours");
            return Err(Error::new(ErrorKind::RecipientLimit, text));
        }
        Ok(())
    }

    /// Times and numbers of messages that do not count any more, to be removed with a submission to `recipients`. It removes
    /// more than it adds, so that they become fewer.
    pub(super) fn remove<'a>(
        &'a self,
        draft: &mut OutgoingDraft,
        now: u64,
        recipients: usize,
    ) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let counting = counting(&self.sent, now);
        let most = MIN_REMOVED.max(2 * recipients);
        let old = counting.start.min(most);
        let ahead = (self.sent.len() - counting.end).min(most - old);
        draft.removed = (old, ahead);
        self.sent.range(..old).chain(self.sent.range(self.sent.len() - ahead..)).copied()
    }

    /// Takes over what a transaction at the time `now` adds and removes.
    pub(super) fn advance(&mut self, draft: OutgoingDraft, now: u64) {
        let (old, ahead) = draft.removed;
        self.sent.truncate(self.sent.len().saturating_sub(ahead));
        self.sent.drain(..old.min(self.sent.len()));
        if !draft.sent.is_empty() {
            let counting = counting(&self.firsts, now);
            let recent = &mut self.recent;
            let mut forget = |(_, recipient): (u64, String)| {
                recent.remove(&recipient);
            };
            self.firsts.drain(counting.end..).for_each(&mut forget);
            self.firsts.drain(..counting.start).for_each(forget);
        }
        insert(&mut self.sent, now, draft.sent.into_iter());
        self.recent.extend(draft.firsts.iter().cloned());
        insert(&mut self.firsts, now, draft.firsts.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = WINDOW;

    /// Sends one message, without a limit.
    fn send(outgoing: &mut Outgoing, now: u64, number: u64) -> Vec<(u64, u64)> {
        let mut draft = OutgoingDraft::default();
        let removed = outgoing.remove(&mut draft, now, 1).collect();
        draft.sent.push(number);
        outgoing.advance(draft, now);
        removed
    }

    #[test]
    fn counts_neither_what_is_old_nor_what_lies_ahead() {
        let mut outgoing = Outgoing::default();
        let now = 100 * DAY;
        // The clock was a year ahead, then a little, then right, then a little behind.
        for (number, time) in [now + 365 * DAY, now + AHEAD, now, now - 5].into_iter().enumerate() {
            let draft = OutgoingDraft { sent: vec![number as u64], ..OutgoingDraft::default() };
            outgoing.advance(draft, time);
        }
        assert!(outgoing.sent.iter().is_sorted(), "{outgoing:?}");
        assert_eq!(counting(&outgoing.sent, now).len(), 3);
        assert_eq!(counting(&outgoing.sent, now + DAY).len(), 2, "one is too old by then");
        assert_eq!(counting(&outgoing.sent, now - 6).len(), 2, "one lies ahead by more than is allowed for");
    }

    #[test]
    fn removes_what_does_not_count_a_little_at_a_time() {
        let mut outgoing = Outgoing::default();
        let now = 100 * DAY;
        for number in 0..200 {
            send(&mut outgoing, if number % 2 == 0 { now - 2 * DAY } else { now - 2 * DAY + 1 }, number);
        }
        for number in 200..400 {
            let mut draft = OutgoingDraft::default();
            draft.sent.push(number);
            outgoing.advance(draft, now + 300 * DAY);
        }
        let mut removed = Vec::new();
        for number in 400.. {
            let gone = send(&mut outgoing, now, number);
            assert!(gone.len() <= MIN_REMOVED);
            if gone.is_empty() {
                break;
            }
            removed.extend(gone);
        }
        removed.sort_unstable_by_key(|(_, number)| *number);
        assert!(removed.iter().map(|(_, number)| *number).eq(0..400));
        assert_eq!(counting(&outgoing.sent, now), 0..outgoing.sent.len());
    }
}
