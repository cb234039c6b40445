//! The inbox of an engine thread: messages wait in it until the thread takes them.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The messages for one thread, its owner. What was put in first comes out first.
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    /// Notified when a message came in, or the inbox was closed.
    filled: Condvar,
}

struct State<T> {
    messages: Vec<T>,
    is_closed: bool,
    /// Whether the owner sleeps: only then is it worth waking.
    is_awaited: bool,
}

impl<T> Default for Inbox<T> {
    fn default() -> Inbox<T> {
        let state = State { messages: Vec::new(), is_closed: false, is_awaited: false };
        Inbox { state: Mutex::new(state), filled: Condvar::new() }
    }
}

impl<T> Inbox<T> {
    /// Puts a message in; gives it back if the inbox is closed.
    pub(super) fn push(&self, message: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(message);
        }
        state.messages.push(message);
        if std::mem::take(&mut state.is_awaited) {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for messages and takes all of them; `None` once the inbox is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        state.is_awaited = true;
        self.filled.wait_while(&mut state, State::is_idle);
        state.take()
    }

    /// As [`Inbox::take`], but after `at_most` it returns without messages.
    pub(super) fn take_within(&self, at_most: Duration) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        state.is_awaited = true;
        let result = self.filled.wait_while_for(&mut state, State::is_idle, at_most);
        if result.timed_out() { Some(state.take().unwrap_or_default()) } else { state.take() }
    }

    /// Takes the messages that are there, without waiting.
    pub(super) fn take_now(&self) -> Vec<T> {
        std::mem::take(&mut self.state.lock().messages)
    }

    /// Lets no more messages in. The owner still gets those that are there.
    pub(super) fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_one();
    }

    /// Closes the inbox of an owner that has ended, and drops the messages that it will never take. Their senders learn that
    /// from the end of the channel for the answer.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let messages = std::mem::take(&mut state.messages);
        // Messages may send others when they are dropped.
        drop(state);
        drop(messages);
    }
}

impl<T> State<T> {
    fn is_idle(&mut self) -> bool {
        self.messages.is_empty() && !self.is_closed
    }

    fn take(&mut self) -> Option<Vec<T>> {
        self.is_awaited = false;
        let is_over = self.messages.is_empty() && self.is_closed;
        (!is_over).then(|| std::mem::take(&mut self.messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_out_everything_before_the_end() {
        let inbox = Inbox::default();
        inbox.push(1).unwrap();
        inbox.push(2).unwrap();
        inbox.close();
        assert_eq!(inbox.push(3), Err(3));
        assert_eq!(inbox.take(), Some(vec![1, 2]));
        assert_eq!(inbox.take(), None);
        assert_eq!(inbox.take_within(Duration::ZERO), None);
    }

    #[test]
    fn wakes_its_owner() {
        let (inbox, heard) = (Inbox::default(), Inbox::default());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(messages) = inbox.take() {
                    messages.into_iter().for_each(|n: u32| heard.push(n).unwrap());
                }
                heard.close();
            });
            for n in 0..100 {
                inbox.push(n).unwrap();
                // No wait here takes nearly as long.
                assert_eq!(heard.take_within(Duration::from_secs(1_000_000)), Some(vec![n]));
            }
            inbox.close();
            assert_eq!(heard.take(), None);
        });
        assert_eq!(Inbox::<u32>::default().take_within(Duration::ZERO), Some(Vec::new()));
    }

    #[test]
    fn an_abandoned_inbox_drops_what_waits() {
        let (inbox, waits) = (Inbox::default(), std::sync::Arc::new(()));
        inbox.push(waits.clone()).unwrap();
        inbox.abandon();
        assert_eq!(std::sync::Arc::strong_count(&waits), 1);
        assert!(inbox.push(waits).is_err());
    }
}
