//! Resolvers that record how evaluation waits, and its queries.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use dns::zone::Zone;
use dns::{Kind, Lookup, Name, Question, Resolver};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// A zone each of whose answers takes one round.
pub struct Delayed<'z> {
    zone: &'z Zone,
    /// Every query that was started.
    pub asked: Mutex<Vec<(Name, Kind)>>,
}

impl<'z> Delayed<'z> {
    pub fn new(zone: &'z Zone) -> Self {
        Self { zone, asked: Mutex::default() }
    }
}

impl Resolver for Delayed<'_> {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        self.asked.lock().unwrap().push((question.name.clone(), question.kind));
        let mut waited = false;
        Lookup::waiting(async move {
            poll_fn(|_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending })
                .await;
            self.zone.lookup(question).await
        })
    }
}

/// Drives a future to its end; returns its output and the number of rounds that it waited.
pub fn wait<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for rounds in 0..1_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return (output, rounds);
        }
    }
    panic!("still waiting after 1000 rounds");
}
