//! The check_host() function (RFC 7208 §4): from a domain to its record, and through the terms.

use crate::evaluation::Explanation;
use crate::lookups::{Lookups, Next, Upcoming};
use crate::macros::{Sender, Values};
use crate::record::{Directive, is_record};
use crate::{DomainSpec, Error, ErrorKind, Limits, Outcome, Query, Record};
use dns::{Kind, Name, Resolver};
use std::pin::Pin;

/// One evaluation under way.
pub(crate) struct Checker<'q> {
    pub(crate) query: &'q Query<'q>,
    pub(crate) sender: Sender<'q>,
    pub(crate) lookups: Lookups<'q>,
}

/// How a record decided.
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    pub(crate) mechanism: Option<String>,
    pub(crate) explanation: Option<Explanation>,
}

/// Where the evaluation of a record leads.
enum Step {
    Decided(Verdict),
    Redirected(Name),
}

impl<'q> Checker<'q> {
    pub(crate) fn new(dns: &'q dyn Resolver, query: &'q Query<'q>, sender: Sender<'q>, limits: Limits) -> Self {
        Self { query, sender, lookups: Lookups::new(dns, limits) }
    }

    /// What the macros stand for in the record of `domain`.
    pub(crate) fn values<'v>(&self, domain: &'v Name, validated: Option<&'v Name>) -> Values<'v>
    where
        'q: 'v,
    {
        let Query { ip, helo, .. } = *self.query;
        Values { sender: self.sender, domain, ip, helo, validated, explaining: None }
    }

    /// Evaluates the record of `domain` and what it leads to. `including` is the rest of the record that includes it.
    pub(crate) async fn check_host(
        &mut self,
        mut domain: Name,
        including: Option<&Upcoming<'_>>,
    ) -> Result<Verdict, Error> {
        let mut depth = including.map_or(0, |including| including.depth + 1);
        let mut text = self.fetch(&domain, depth, including).await?;
        loop {
            let record = Record::parse(&text).map_err(|error| error.in_record(&domain, depth))?;
            let step = self.step(&record, &domain, depth, including).await;
            let target = match step.map_err(|error| error.in_record(&domain, depth))? {
                Step::Decided(verdict) => return Ok(verdict),
                Step::Redirected(target) => target,
            };
            let found = self.fetch(&target, depth + 1, including).await;
            text = found.map_err(|error| {
                without_record(error, ErrorKind::RedirectWithoutRecord).in_record(&domain, depth)
            })?;
            domain = target;
            depth += 1;
        }
    }

    /// The same for an include; boxed, since records include records.
    pub(crate) fn check_included<'f>(
        &'f mut self,
        domain: Name,
        including: &'f Upcoming<'f>,
    ) -> Pin<Box<dyn Future<Output = Result<Verdict, Error>> + Send + 'f>> {
        Box::pin(self.check_host(domain, Some(including)))
    }

    /// The text of the one record of a domain.
    async fn fetch(
        &mut self,
        domain: &Name,
        depth: usize,
        including: Option<&Upcoming<'_>>,
    ) -> Result<Vec<u8>, Error> {
        // RFC 7208 §4.3: not a multi-label domain name: none.
        if domain.labels().nth(1).is_none() {
            return Err(Error::new(ErrorKind::BadDomain));
        }
        let next = including.map_or(Next::Unknown, Next::Terms);
        let found = self.lookups.ask_uncounted(domain, Kind::Txt, next).await?;
        let mut texts = found.into_iter().filter_map(|record| match record {
            dns::Record::Txt(text) if is_record(&text) => Some(text),
            _ => None,
        });
        // RFC 7208 §4.5: no record is none, more than one is permerror.
        match (texts.next(), texts.next()) {
            (Some(text), None) => Ok(text),
            (None, _) => Err(Error::new(ErrorKind::NoRecord)),
            (Some(_), Some(_)) => Err(Error::new(ErrorKind::SeveralRecords).in_record(domain, depth)),
        }
    }

    /// Goes through the terms of one record.
    async fn step(
        &mut self,
        record: &Record<'_>,
        domain: &Name,
        depth: usize,
        including: Option<&Upcoming<'_>>,
    ) -> Result<Step, Error> {
        let mut directives = record.directives();
        // RFC 7208 §4.6.2: each mechanism is considered in turn from left to right.
        while let Some((directive, rest)) = directives.split_first() {
            directives = rest;
            let matched = match directive.mechanism.matches_address(self.query.ip) {
                Some(matched) => matched,
                None => {
                    let values = self.values(domain, None);
                    let redirect = record.redirect();
                    let upcoming = Upcoming { directives, redirect, values, depth, including };
                    let matched = self.matches(&directive.mechanism, &upcoming).await;
                    matched.map_err(|error| error.at_term(directive))?
                }
            };
            if matched {
                return Ok(Step::Decided(verdict(record, directive, domain, including.is_none())));
            }
        }
        // RFC 7208 §4.7: nothing matched and no redirect: neutral. An "all" never gets here, so its record's redirect is
        // ignored (§5.1).
        let Some(redirect) = record.redirect() else {
            let mechanism = including.is_none().then(|| "default".to_owned());
            return Ok(Step::Decided(Verdict { outcome: Outcome::Neutral, mechanism, explanation: None }));
        };
        self.redirect(redirect, domain).await.map(Step::Redirected).map_err(|error| {
            error.at_term(format_args!("redirect={redirect}"))
        })
    }

    async fn redirect(&mut self, redirect: &DomainSpec<'_>, domain: &Name) -> Result<Name, Error> {
        self.lookups.count_term()?;
        let target = self.target(Some(redirect), domain).await?;
        // RFC 7208 §6.1: a malformed target-name is a permerror.
        target.map_err(|_| Error::new(ErrorKind::RedirectWithoutRecord))
    }
}

fn verdict(record: &Record<'_>, directive: &Directive<'_>, domain: &Name, is_own: bool) -> Verdict {
    let outcome = directive.qualifier.outcome();
    // RFC 7208 §6.2: an include's own exp is not used; after a redirect the target's is.
    let target = record.explanation().filter(|_| is_own && outcome == Outcome::Fail);
    let explanation =
        target.map(|target| Explanation { domain: domain.clone(), target: target.clone().into_owned() });
    Verdict { outcome, mechanism: is_own.then(|| directive.to_string()), explanation }
}

/// What a none of the target means for the term that led there.
pub(crate) fn without_record(error: Error, kind: ErrorKind) -> Error {
    if error.kind().outcome() == Outcome::None { error.with_kind(kind) } else { error }
}
