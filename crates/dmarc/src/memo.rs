//! [`Memo`]: no query is sent twice for one message.

use dns::{Kind, Lookup, Name, Outcome, Question, Resolver};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

type Places<'d> = BTreeMap<Name, Vec<(Kind, Arc<Shared<'d>>)>>;

/// A resolver over another that sends each query once. Later lookups of the same name and type share the answer, and
/// wait together while the query is in flight.
///
/// It keeps all answers: create it for one message, and drop it with the message. A query that no lookup waits for any
/// more is cancelled, so that it does not hold a socket or a place in a queue for as long as the message takes.
pub struct Memo<'d> {
    dns: Source<'d>,
    asked: Mutex<Places<'d>>,
}

#[derive(Clone)]
enum Source<'d> {
    Borrowed(&'d dyn Resolver),
    Owned(Arc<dyn Resolver>),
}

impl<'d> Memo<'d> {
    /// Wraps a borrowed resolver.
    pub fn new(dns: &'d dyn Resolver) -> Self {
        Self { dns: Source::Borrowed(dns), asked: Mutex::default() }
    }

    /// Returns the shared lookup for a question; creates it on the first call.
    fn place(&self, question: Question<'_>) -> Arc<Shared<'d>> {
        let Question { name, kind } = question;
        let mut asked = self.asked.lock();
        let places = asked.entry(name.clone()).or_default();
        if let Some((_, place)) = places.iter().find(|(known, _)| *known == kind) {
            return Arc::clone(place);
        }
        let (dns, name) = (self.dns.clone(), name.clone());
        let place = Arc::new(Shared::new(async move {
            let question = Question { name: &name, kind };
            match dns {
                Source::Borrowed(dns) => dns.lookup(question).await,
                Source::Owned(dns) => dns.lookup(question).await,
            }
        }));
        places.push((kind, Arc::clone(&place)));
        place
    }
}

impl Memo<'static> {
    /// Wraps a shared resolver, for work in other tasks.
    pub fn shared(dns: Arc<dyn Resolver>) -> Self {
        Self { dns: Source::Owned(dns), asked: Mutex::default() }
    }
}

impl Resolver for Memo<'_> {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let waiter = Waiter { memo: self, question, place: self.place(question) };
        Lookup::waiting(poll_fn(move |context| waiter.place.poll(context)))
    }
}

/// A lookup that waits for a shared answer.
struct Waiter<'m, 'd> {
    memo: &'m Memo<'d>,
    question: Question<'m>,
    place: Arc<Shared<'d>>,
}

impl Drop for Waiter<'_, '_> {
    fn drop(&mut self) {
        let mut asked = self.memo.asked.lock();
        // The table has one reference and this waiter another; while the lock is held there can be no new one.
        if Arc::strong_count(&self.place) > 2 || self.place.is_done() {
            return;
        }
        if let Some(places) = asked.get_mut(self.question.name) {
            places.retain(|(kind, _)| *kind != self.question.kind);
        }
    }
}

impl fmt::Debug for Memo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("names", &self.asked.lock().keys()).finish_non_exhaustive()
    }
}

/// One query that several lookups wait for. Each drives it when it is polled.
struct Shared<'d> {
    state: Mutex<State<'d>>,
    waiting: Arc<Waiting>,
}

enum State<'d> {
    Open(Lookup<'d>),
    Done(Outcome),
}

impl<'d> Shared<'d> {
    fn new(lookup: impl Future<Output = Outcome> + Send + 'd) -> Self {
        Self { state: Mutex::new(State::Open(Lookup::waiting(lookup))), waiting: Arc::default() }
    }

    fn is_done(&self) -> bool {
        matches!(&*self.state.lock(), State::Done(_))
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Outcome> {
        let mut state = self.state.lock();
        let future = match &mut *state {
            State::Done(outcome) => return Poll::Ready(outcome.clone()),
            State::Open(future) => future,
        };
        // Registered before the poll, so that no wake-up is lost in between.
        self.waiting.add(context.waker());
        let waker = Waker::from(Arc::clone(&self.waiting));
        let Poll::Ready(outcome) = Pin::new(future).poll(&mut Context::from_waker(&waker)) else {
            return Poll::Pending;
        };
        *state = State::Done(outcome.clone());
        drop(state);
        waker.wake();
        Poll::Ready(outcome)
    }
}

/// The wakers of all lookups that wait for one query. All are woken, since the one that was polled last may be dropped.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = self.0.lock();
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        for waker in std::mem::take(&mut *self.0.lock()) {
            waker.wake();
        }
    }
}

#[cfg(test)]
#[path = "memo_tests.rs"]
mod tests;
