//! What an evaluation found out.

use crate::{Directive, DomainSpec, Error, ErrorKind, Identity, Outcome};
use dns::{Domain, Name, Security};
use std::fmt;

/// What was found out. It owns its parts, and says why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The word of RFC 7208 §2.6.
    pub result: Outcome,
    /// Whose domain was checked; none if neither identity has a domain.
    pub identity: Option<Identity>,
    /// The domain that was checked.
    pub domain: Option<Domain>,
    /// What decided; none where no record was evaluated to its end.
    pub matched: Option<Matched>,
    /// The weakest DNSSEC verdict over all answers that evaluation used.
    pub security: Security,
    /// Why there is no verdict of a record: always known for none, temperror and permerror.
    pub reason: Option<Error>,
    /// Terms that asked DNS; never more than the limit.
    pub lookups: usize,
    /// Terms whose questions were answered with nothing; one more than the limit if that ended the evaluation.
    pub void_lookups: usize,
    pub(crate) explanation: Option<Explanation>,
}

/// What decided about a client. It prints as the mechanism of RFC 7208 §9.1: `-all`, `ip4:192.0.2.0/24`, `default`.
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

/// Where the explanation of a fail is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Explanation {
    /// The domain whose record has the `exp` modifier.
    pub(crate) domain: Name,
    pub(crate) target: DomainSpec<'static>,
}

impl Evaluation {
    /// Neither identity has a domain.
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

    /// The identity has no domain that could have a record: a name that breaks its grammar, or no address at all (RFC 7208
    /// §4.3: the result is none). A caller that reads names with [`dns::Domain`] cannot ask about it.
    pub fn malformed(identity: Identity) -> Self {
        Self {
            identity: Some(identity),
            reason: Some(Error::new(ErrorKind::BadDomain)),
            ..Self::without_identity()
        }
    }

    /// Details about an error (RFC 7208 §9.1); nothing unless the result is temperror or permerror.
    pub fn problem(&self) -> Option<&Error> {
        let is_error = matches!(self.result, Outcome::TempError | Outcome::PermError);
        self.reason.as_ref().filter(|_| is_error)
    }

    /// Does the domain publish an explanation of this fail? [`explain`](crate::explain) fetches it.
    pub fn has_explanation(&self) -> bool {
        self.explanation.is_some()
    }
}
