//! DNS queries, counted as RFC 7208 §4.6.4 demands, and sent ahead of time so that waits overlap.
//!
//! An evaluation is sequential, and counts the terms that it reaches. While it waits for an answer, it also sends the
//! queries that come next if nothing matches, so that their answers are there when it reaches them. A resolver that
//! answers at once gets no query that the evaluation does not need.

use crate::checker::Place;
use crate::macros::{Sender, Values};
use crate::mechanisms::MAX_NAMES;
use crate::record::{Directive, Mechanism};
use crate::{DomainSpec, Error, ErrorKind, Limits, Query};
use dns::{Kind, Lookup, Name, Outcome, Question, Resolver, Security};
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Records of one type; empty if there are none.
pub(crate) type Found = Arc<[dns::Record]>;

/// The counters of one evaluation, and its queries in flight.
pub(crate) struct Lookups<'q> {
    dns: &'q dyn Resolver,
    limits: Limits,
    terms: usize,
    voids: usize,
    security: Option<Security>,
    /// Hosts whose addresses were queried, or may still be.
    hosts: usize,
    ahead: Vec<Ahead<'q>>,
    /// Terms that may still be queried ahead of time.
    ahead_left: usize,
    /// For each record being evaluated, by depth: how many of its last terms have not been queried ahead of time so far.
    unseen: Vec<usize>,
}

/// A query that was sent ahead of time.
struct Ahead<'q> {
    name: Name,
    kind: Kind,
    lookup: Lookup<'q>,
}

/// The queries that come next, as far as they are known.
#[derive(Clone, Copy)]
pub(crate) enum Next<'n> {
    Unknown,
    /// The addresses of more hosts of the same term.
    Hosts(&'n [Name], Kind),
    /// The terms after the current one.
    Terms(&'n Upcoming<'n>),
}

/// The rest of a record, and of those that included it.
pub(crate) struct Upcoming<'n> {
    pub(crate) directives: &'n [Directive<'n>],
    pub(crate) redirect: Option<&'n DomainSpec<'n>>,
    pub(crate) place: &'n Place<'n>,
    pub(crate) query: &'n Query<'n>,
    pub(crate) sender: Sender<'n>,
}

/// Returns the type of address record for a client's family.
pub(crate) fn address_kind(ip: IpAddr) -> Kind {
    if ip.is_ipv4() { Kind::A } else { Kind::Aaaa }
}

impl<'q> Lookups<'q> {
    pub(crate) fn new(dns: &'q dyn Resolver, limits: Limits) -> Self {
        Self {
            dns,
            limits,
            terms: 0,
            voids: 0,
            security: None,
            hosts: 0,
            ahead: Vec::new(),
            // An evaluation reaches no more terms than this, so queries for more would be wasted.
            ahead_left: limits.lookups,
            unseen: Vec::new(),
        }
    }

    /// Terms that queried DNS so far.
    pub(crate) fn terms(&self) -> usize {
        self.terms
    }

    /// Terms whose queries found nothing so far.
    pub(crate) fn voids(&self) -> usize {
        self.voids
    }

    /// The weakest DNSSEC verdict of all answers so far.
    pub(crate) fn security(&self) -> Security {
        self.security.unwrap_or_default()
    }

    /// Counts a term that queries DNS.
    pub(crate) fn count_term(&mut self) -> Result<(), Error> {
        // RFC 7208 §4.6.4: one limit over all records of an evaluation; exceeding it is a permerror.
        if self.terms >= self.limits.lookups {
            return Err(Error::new(ErrorKind::TooManyLookups));
        }
        self.terms += 1;
        Ok(())
    }

    /// Returns how many of a term's `hosts` may be queried for addresses, and counts them. They count whether or not each
    /// is reached, so that the result does not depend on how fast DNS answers.
    pub(crate) fn count_hosts(&mut self, hosts: usize) -> usize {
        // RFC 7208 §4.6.4: 10 for one term.
        let allowed = hosts.min(MAX_NAMES).min(self.limits.hosts.saturating_sub(self.hosts));
        self.hosts += allowed;
        allowed
    }

    /// Notes that the evaluation of a record begins, `depth` includes and redirects from the first.
    pub(crate) fn begin_record(&mut self, depth: usize) {
        self.unseen.truncate(depth);
    }

    /// Counts a term as a void lookup. Called at most once for a term.
    pub(crate) fn count_void(&mut self) -> Result<(), Error> {
        self.voids += 1;
        // RFC 7208 §4.6.4: exceeding the limit of void lookups produces a permerror.
        if self.voids > self.limits.void_lookups {
            return Err(Error::new(ErrorKind::TooManyVoidLookups));
        }
        Ok(())
    }

    /// Sends the first query of a term; if it finds nothing, the term counts as a void lookup.
    pub(crate) async fn ask(&mut self, name: &Name, kind: Kind, next: Next<'_>) -> Result<Found, Error> {
        let found = self.ask_uncounted(name, kind, next).await?;
        if found.is_empty() {
            self.count_void()?;
        }
        Ok(found)
    }

    /// Sends a query without counting; fails only if DNS does.
    pub(crate) async fn ask_uncounted(
        &mut self,
        name: &Name,
        kind: Kind,
        next: Next<'_>,
    ) -> Result<Found, Error> {
        let known = self.ahead.iter().position(|ahead| ahead.kind == kind && ahead.name == *name);
        let lookup = match known {
            Some(index) => self.ahead.swap_remove(index).lookup,
            None => match self.dns.lookup(Question { name, kind }) {
                Lookup::Ready(Some(outcome)) => return self.take(outcome),
                waiting => waiting,
            },
        };
        let outcome = self.wait(lookup, (name, kind), next).await;
        self.take(outcome)
    }

    /// Returns the records of an answer, and notes its DNSSEC verdict.
    fn take(&mut self, outcome: Outcome) -> Result<Found, Error> {
        let (found, security) = match outcome {
            Ok(answer) => (answer.records, answer.security),
            // RFC 7208 §5: "Name Error" counts as no error and zero answer records.
            Err(error) if error.is_absent() => (Found::default(), error.security()),
            Err(error) => return Err(Error::lookup(error)),
        };
        self.security = Some(self.security.map_or(security, |weakest| weakest.min(security)));
        Ok(found)
    }

    /// Waits for one answer, and drives the queries that were sent ahead of time.
    fn wait(
        &mut self,
        mut lookup: Lookup<'_>,
        current: (&Name, Kind),
        next: Next<'_>,
    ) -> impl Future<Output = Outcome> {
        let mut waiting = false;
        poll_fn(move |context| {
            if let Poll::Ready(outcome) = Pin::new(&mut lookup).poll(context) {
                return Poll::Ready(outcome);
            }
            if !std::mem::replace(&mut waiting, true) {
                self.look_ahead(next, current);
            }
            for ahead in &mut self.ahead {
                ahead.poll(context);
            }
            Poll::Pending
        })
    }

    /// Sends the queries that come next beside the current one.
    fn look_ahead(&mut self, next: Next<'_>, current: (&Name, Kind)) {
        match next {
            Next::Unknown => {}
            Next::Hosts(hosts, kind) => {
                for host in hosts {
                    self.start(host.clone(), kind, current);
                }
            }
            Next::Terms(upcoming) => {
                let mut record = Some(upcoming);
                while let Some(upcoming) = record {
                    self.look_at_terms(upcoming, current);
                    record = upcoming.place.including;
                }
            }
        }
    }

    /// Sends the queries of a record's terms that were not sent ahead before. Expanding macros takes time, so this looks at
    /// each term once, however often the evaluation waits.
    fn look_at_terms(&mut self, upcoming: &Upcoming<'_>, current: (&Name, Kind)) {
        let depth = upcoming.place.depth;
        if self.unseen.len() <= depth {
            self.unseen.resize(depth + 1, usize::MAX);
        }
        let terms = upcoming.terms();
        let unseen = self.unseen.get(depth).copied().unwrap_or(usize::MAX).min(terms.len());
        let seen = terms.len() - unseen;
        for (at, term) in terms.enumerate().skip(seen) {
            if self.ahead_left == 0 {
                return;
            }
            if let Some(left) = self.unseen.get_mut(depth) {
                *left = seen + unseen - at - 1;
            }
            let Some((target, kind)) = term else { continue };
            self.ahead_left -= 1;
            if let Some(name) = upcoming.name(target) {
                self.start(name, kind, current);
            }
        }
    }

    /// Sends a query unless it is in flight.
    fn start(&mut self, name: Name, kind: Kind, current: (&Name, Kind)) {
        let same = |ahead: &Ahead<'_>| ahead.kind == kind && ahead.name == name;
        if current == (&name, kind) || self.ahead.iter().any(same) {
            return;
        }
        let (dns, asked) = (self.dns, name.clone());
        let lookup = Lookup::waiting(async move { dns.lookup(Question { name: &asked, kind }).await });
        self.ahead.push(Ahead { name, kind, lookup });
    }
}

impl Ahead<'_> {
    fn poll(&mut self, context: &mut Context<'_>) {
        if let Lookup::Waiting(future) = &mut self.lookup
            && let Poll::Ready(outcome) = future.as_mut().poll(context)
        {
            self.lookup = Lookup::ready(outcome);
        }
    }
}

/// The target of a term (`None`: the record's own domain), and the type of its first query.
type FirstQuestion<'m, 'n> = (Option<&'m DomainSpec<'n>>, Kind);

impl<'n> Upcoming<'n> {
    /// The terms in order, each with its first query; `None` where that is not known ahead of time.
    fn terms(&self) -> impl ExactSizeIterator<Item = Option<FirstQuestion<'_, 'n>>> {
        let count = self.directives.len() + usize::from(self.redirect.is_some());
        (0..count).map(|at| match self.directives.get(at) {
            Some(directive) => self.question(&directive.mechanism),
            None => Some((self.redirect, Kind::Txt)),
        })
    }

    /// Returns the name that a term queries, unless finding it needs DNS.
    fn name(&self, target: Option<&DomainSpec<'_>>) -> Option<Name> {
        let domain = self.place.domain;
        match target {
            Some(target) if target.needs_validated_name() => None,
            Some(target) => target.target(&Values::of(self.query, self.sender, domain, None)).ok(),
            None => Some(domain.clone()),
        }
    }

    fn question<'m>(&self, mechanism: &'m Mechanism<'n>) -> Option<FirstQuestion<'m, 'n>> {
        match mechanism {
            Mechanism::Include(target) => Some((Some(target), Kind::Txt)),
            Mechanism::A { target, .. } => Some((target.as_ref(), address_kind(self.query.ip))),
            Mechanism::Mx { target, .. } => Some((target.as_ref(), Kind::Mx)),
            Mechanism::Exists(target) => Some((Some(target), Kind::A)),
            Mechanism::All | Mechanism::Ptr(_) | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => None,
        }
    }
}
