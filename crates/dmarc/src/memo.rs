//! [`Memo`]: one message asks no question twice.

use dns::{Kind, Lookup, Name, Outcome, Question, Resolver};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

type Places<'d> = BTreeMap<Name, Vec<(Kind, Arc<Shared<'d>>)>>;

/// A resolver over another that asks each question once: who asks it again gets the same answer, and waits for it
/// together with the first if it is still open.
///
/// It forgets no answer: made for the questions of one message, and dropped with it. A question that nobody waits for any
/// more is given up, so that it holds no socket and no turn for as long as the message takes.
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
    /// Over a resolver that lives longer.
    pub fn new(dns: &'d dyn Resolver) -> Self {
        Self { dns: Source::Borrowed(dns), asked: Mutex::default() }
    }

    /// The one place for a question, made when it is asked first.
    fn place(&self, question: Question<'_>) -> Arc<Shared<'d>> {
        let Question { name, kind } = question;
        let mut asked = lock(&self.asked);
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
    /// Over a resolver that is shared: for work that is handed to other tasks.
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

/// One that waits for an answer.
struct Waiter<'m, 'd> {
    memo: &'m Memo<'d>,
    question: Question<'m>,
    place: Arc<Shared<'d>>,
}

impl Drop for Waiter<'_, '_> {
    fn drop(&mut self) {
        let mut asked = lock(&self.memo.asked);
        // One is in the table, one is ours; under the lock there can be no new one.
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
        f.debug_struct("Memo").field("names", &lock(&self.asked).keys()).finish_non_exhaustive()
    }
}

/// One lookup that several wait for; whoever is polled drives it.
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
        matches!(&*lock(&self.state), State::Done(_))
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Outcome> {
        let mut state = lock(&self.state);
        let future = match &mut *state {
            State::Done(outcome) => return Poll::Ready(outcome.clone()),
            State::Open(future) => future,
        };
        // Registered before the poll, so that no wake-up falls between the two.
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

/// Those who wait for one lookup. All are woken, since the one that drove it last may be gone.
#[derive(Default)]
struct Waiting(Mutex<Vec<Waker>>);

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|known| known.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        for waker in std::mem::take(&mut *lock(&self.0)) {
            waker.wake();
        }
    }
}

/// Nothing that holds one of these locks panics half way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
#[path = "memo_tests.rs"]
mod tests;
