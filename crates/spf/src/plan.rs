//! What a record comes down to for one client.

use crate::record::{Term, read_terms};
use crate::{Directive, DomainSpec, Error, Outcome};
use std::net::IpAddr;

/// A record whose address mechanisms are settled: they need no DNS, so they are held against the client while the
/// record is read. Most included records are nothing but addresses, and end here.
pub(crate) struct Plan<'a> {
    /// The mechanisms that ask DNS, before the one that is known to match.
    pub(crate) asking: Vec<Directive<'a>>,
    /// The first directive that matches without DNS.
    pub(crate) settled: Option<Directive<'a>>,
    pub(crate) redirect: Option<DomainSpec<'a>>,
    pub(crate) explanation: Option<DomainSpec<'a>>,
}

impl<'a> Plan<'a> {
    pub(crate) fn read(text: &'a [u8], ip: IpAddr) -> Result<Self, Error> {
        let mut plan = Self { asking: Vec::new(), settled: None, redirect: None, explanation: None };
        read_terms(text, |term| match term {
            // RFC 7208 §4.6.2: the first match ends processing.
            Term::Directive(_) if plan.settled.is_some() => {}
            Term::Directive(directive) => match directive.mechanism.matches_address(ip) {
                Some(true) => plan.settled = Some(directive),
                Some(false) => {}
                None => plan.asking.push(directive),
            },
            Term::Redirect(target) => plan.redirect = Some(target),
            Term::Explanation(target) => plan.explanation = Some(target),
            Term::Unknown(_) => {}
        })?;
        Ok(plan)
    }

    /// The modifier that counts: RFC 7208 §6.1 follows it only if all mechanisms fail to match, so never beside an "all".
    pub(crate) fn redirect(&self) -> Option<&DomainSpec<'a>> {
        self.redirect.as_ref().filter(|_| self.settled.is_none())
    }

    /// The result, if it takes no DNS.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let certain = self.asking.is_empty() && self.redirect().is_none();
        certain.then(|| self.settled.as_ref().map_or(Outcome::Neutral, |d| d.qualifier.outcome()))
    }
}
