//! A record, reduced to the terms that matter for one client.

use crate::{Directive, DomainSpec, Record};
use std::net::IpAddr;

/// A record whose address mechanisms are decided, since they need no DNS. Most included records consist of addresses alone
/// and are decided by that.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'r> {
    /// The directives before [`Plan::settled`], or all of them.
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

    /// Builds the plan of a record whose first match without DNS is known, and the directives before that.
    pub(crate) fn new(
        record: &'r Record<'r>,
        before: &'r [Directive<'r>],
        settled: Option<&'r Directive<'r>>,
    ) -> Self {
        let redirect = record.redirect().filter(|_| settled.is_none());
        Self { before, settled, redirect, explanation: record.explanation() }
    }

    /// Whether the result depends on DNS.
    pub(crate) fn asks_dns(&self) -> bool {
        self.redirect.is_some() || self.before.iter().any(|directive| directive.mechanism.asks_dns())
    }
}
