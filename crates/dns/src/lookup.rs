//! The seam to DNS: one trait with one method.

use crate::{Answer, Kind, LookupError, Name, Record};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The absolute name; no search list is ever applied to it.
    pub name: &'a Name,
    /// The record type.
    pub kind: Kind,
}

/// What a question leads to.
pub type Outcome = Result<Answer<Record>, LookupError>;

/// An answer: on its way, or there already. What a cache knows needs no boxed future.
pub enum Lookup<'a> {
    /// Known without waiting; none once it was handed over.
    Ready(Option<Outcome>),
    /// Somebody has to be asked.
    Waiting(Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>),
}

impl<'a> Lookup<'a> {
    /// An outcome that is there already.
    pub fn ready(outcome: Outcome) -> Self {
        Self::Ready(Some(outcome))
    }

    /// An outcome that takes time.
    pub fn waiting(future: impl Future<Output = Outcome> + Send + 'a) -> Self {
        Self::Waiting(Box::pin(future))
    }
}

impl Future for Lookup<'_> {
    type Output = Outcome;

    /// # Panics
    /// The outcome was handed over already, as with any future.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Self::Ready(outcome) => Poll::Ready(outcome.take().expect("not polled after its end")),
            Self::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl fmt::Debug for Lookup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(_) => "Lookup::Ready",
            Self::Waiting(_) => "Lookup::Waiting",
        })
    }
}

/// Whoever can answer a question.
///
/// An implementation follows aliases, bounds its time, and returns records of the asked type alone; an answer without
/// such records is an error of kind [`LookupErrorKind::NoData`](crate::LookupErrorKind::NoData). One boxed future for each question that has to be sent
/// is nothing beside the question, and no type parameter spreads through the crates that ask.
pub trait Resolver: Send + Sync {
    /// Asks one question.
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LookupErrorKind, zone::block_on_ready};

    #[test]
    fn an_outcome_arrives_whether_it_was_waited_for_or_not() {
        let name: Name = "example.test".parse().unwrap();
        let outcome: Outcome = Err(LookupError::new(LookupErrorKind::NoData, name, Kind::A));
        assert_eq!(block_on_ready(Lookup::ready(outcome.clone())), outcome);
        assert_eq!(block_on_ready(Lookup::waiting(std::future::ready(outcome.clone()))), outcome);
    }
}
