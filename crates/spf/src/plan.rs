//! What a record comes down to for one client.

use crate::{Directive, DomainSpec, Record};
use std::net::IpAddr;

/// A record of which the address mechanisms are settled, since they need no DNS. Most included records are nothing but
/// addresses, and end here.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'r> {
    /// The directives before the one that is known to match.
    pub(crate) before: &'r [Directive<'r>],
    /// The first directive that matches without DNS.
    pub(crate) settled: Option<&'r Directive<'r>>,
    /// RFC 7208 §6.1: counts only if all mechanisms fail to match, so never beside an "all" (§5.1).
    pub(crate) redirect: Option<&'r DomainSpec<'r>>,
    pub(crate) explanation: Option<&'r DomainSpec<'r>>,
}

impl<'r> Plan<'r> {
    pub(crate) fn of(record: &'r Record<'r>, ip: IpAddr) -> Self {
        let directives = record.directives();
        let matches = |directive: &Directive<'_>| directive.mechanism.matches_address(ip) == Some(true);
        let end = directives.iter().position(matches).unwrap_or(directives.len());
        let (before, rest) = directives.split_at(end);
        Self::new(record, before, rest.first())
    }

    /// Of a record in which the first match without DNS is known, and what stands before it.
    pub(crate) fn new(
        record: &'r Record<'r>,
        before: &'r [Directive<'r>],
        settled: Option<&'r Directive<'r>>,
    ) -> Self {
        let redirect = record.redirect().filter(|_| settled.is_none());
        Self { before, settled, redirect, explanation: record.explanation() }
    }

    /// Does it take DNS to tell the result?
    pub(crate) fn asks_dns(&self) -> bool {
        self.redirect.is_some() || self.before.iter().any(|directive| directive.mechanism.asks_dns())
    }
}
