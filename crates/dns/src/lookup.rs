//! The seam to DNS: one trait with one method.

use crate::{Answer, Kind, LookupError, Name, Record};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A name and the type of records wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The absolute name; no search list is ever applied to it.
    pub name: &'a Name,
    /// The record type.
    pub kind: Kind,
}

/// The outcome of a question.
pub type Outcome = Result<Answer<Record>, LookupError>;

/// A future for an outcome. An outcome from a cache is ready and needs no boxed future.
pub enum Lookup<'a> {
    /// Known without waiting; none after the outcome was returned.
    Ready(Option<Outcome>),
    /// A server must be queried.
    Waiting(Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>),
}

impl<'a> Lookup<'a> {
    /// Creates a lookup whose outcome is known.
    pub fn ready(outcome: Outcome) -> Self {
        Self::Ready(Some(outcome))
    }

    /// Creates a lookup whose outcome takes time.
    pub fn waiting(future: impl Future<Output = Outcome> + Send + 'a) -> Self {
        Self::Waiting(Box::pin(future))
    }
}

impl Future for Lookup<'_> {
    type Output = Outcome;

    /// # Panics
    /// The outcome was returned already, as with any future.
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

/// Answers questions to DNS.
///
/// An implementation follows aliases, limits its time, and returns only records of the requested type; an answer without such
/// records is an error of kind [`LookupErrorKind::NoData`](crate::LookupErrorKind::NoData). A boxed future costs nothing
/// compared with a question on the network, and spares the calling crates a type parameter.
pub trait Resolver: Send + Sync {
    /// Starts one lookup.
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
