//! The result of an evaluation, with its reasons.

use crate::{Directive, DomainSpec, Error, ErrorKind, Identity, Outcome};
use dns::{Domain, Name, Security};
use std::fmt;

/// The result of an evaluation, with its reasons. It borrows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The word of RFC 7208 §2.6.
    pub result: Outcome,
    /// The identity that was checked; `None` if neither has a domain.
    pub identity: Option<Identity>,
    /// The domain that was checked.
    pub domain: Option<Domain>,
    /// What decided; `None` if no record was evaluated to its end.
    pub matched: Option<Matched>,
    /// The weakest DNSSEC verdict of all answers that the evaluation used.
    pub security: Security,
    /// Why no record decided: always there for none, temperror and permerror.
    pub reason: Option<Error>,
    /// Terms that queried DNS; never more than the limit.
    pub lookups: usize,
    /// Terms whose queries found nothing; one more than the limit if that ended the evaluation.
    pub void_lookups: usize,
    pub(crate) explanation: Option<Explanation>,
}

/// What decided the result. It prints as the mechanism of RFC 7208 §9.1: `-all`, `ip4:192.0.2.0/24`, `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matched {
    /// A directive of the domain's own record, or of one it redirects to.
    Directive(Directive<'static>),
    /// No directive matched (RFC 7208 §4.7).
    Default,
}

impl fmt::Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directive(directive) => directive.fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Where the domain publishes the explanation of a fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// The domain whose record has the `exp` modifier.
    pub(crate) domain: Name,
    pub(crate) target: DomainSpec<'static>,
}

impl Evaluation {
    /// The result where neither identity has a domain.
    pub(crate) fn without_identity() -> Self {
        Self {
            result: Outcome::None,
            identity: None,
            domain: None,
            matched: None,
            security: Security::default(),
            reason: Some(Error::new(ErrorKind::NoIdentity)),
            lookups: 0,
            void_lookups: 0,
            explanation: None,
        }
    }

    /// The result for an identity whose domain is malformed (RFC 7208 §4.3: none). A [`Query`](crate::Query) cannot
    /// express it, since [`dns::Domain`] is always well-formed.
    pub fn malformed(identity: Identity) -> Self {
        Self {
            identity: Some(identity),
            reason: Some(Error::new(ErrorKind::BadDomain)),
            ..Self::without_identity()
        }
    }

    /// The error behind a temperror or permerror (RFC 7208 §9.1); `None` for other results.
    pub fn problem(&self) -> Option<&Error> {
        let is_error = matches!(self.result, Outcome::TempError | Outcome::PermError);
        self.reason.as_ref().filter(|_| is_error)
    }

    /// Whether the domain publishes an explanation of this fail, which [`explain`](crate::explain) fetches.
    pub fn has_explanation(&self) -> bool {
        self.explanation.is_some()
    }
}
