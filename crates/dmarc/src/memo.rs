//! [`Memo`]: no query is sent twice for one message.

use dns::{Kind, Lookup, Name, Outcome, Question, Resolver};
use futures_util::FutureExt as _;
use futures_util::future::WeakShared;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

type Asked<'d> = BTreeMap<Name, Vec<(Kind, State<'d>)>>;

/// How far a query has come.
enum State<'d> {
    /// In flight, as long as a lookup that waits for it exists: dropping the last one cancels the query.
    Open(WeakShared<Lookup<'d>>),
    Answered(Outcome),
}

/// A resolver over another that sends each query once. Later lookups of the same name and type share the answer, and
/// wait together while the query is in flight.
///
/// It keeps all answers: create it for one message, and drop it with the message. A query that no lookup waits for any
/// more is cancelled, so that it does not hold a socket or a place in a queue for as long as the message takes.
pub struct Memo<'d> {
    dns: Source<'d>,
    asked: Mutex<Asked<'d>>,
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

    /// Creates the lookup that sends the query.
    fn exchange(&self, question: Question<'_>) -> Lookup<'d> {
        let (dns, name, kind) = (self.dns.clone(), question.name.clone(), question.kind);
        Lookup::waiting(async move {
            let question = Question { name: &name, kind };
            match dns {
                Source::Borrowed(dns) => dns.lookup(question).await,
                Source::Owned(dns) => dns.lookup(question).await,
            }
        })
    }

    /// Keeps the answer of a query.
    fn keep(&self, question: Question<'_>, outcome: &Outcome) {
        if let Some(states) = self.asked.lock().get_mut(question.name)
            && let Some((_, state)) = states.iter_mut().find(|(kind, _)| *kind == question.kind)
        {
            *state = State::Answered(outcome.clone());
        }
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
        let mut asked = self.asked.lock();
        let states = asked.entry(question.name.clone()).or_default();
        let open = match states.iter().find(|(kind, _)| *kind == question.kind) {
            Some((_, State::Answered(outcome))) => return Lookup::ready(outcome.clone()),
            Some((_, State::Open(shared))) => shared.upgrade(),
            None => None,
        };
        let shared = open.unwrap_or_else(|| {
            let shared = self.exchange(question).shared();
            states.retain(|(kind, _)| *kind != question.kind);
            states.extend(shared.downgrade().map(|weak| (question.kind, State::Open(weak))));
            shared
        });
        Lookup::waiting(async move {
            let outcome = shared.await;
            self.keep(question, &outcome);
            outcome
        })
    }
}

impl fmt::Debug for Memo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("names", &self.asked.lock().keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "memo_tests.rs"]
mod tests;
