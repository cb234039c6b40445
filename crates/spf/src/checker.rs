//! The check_host() function (RFC 7208 §4): from a domain to its record, and through the terms.

use crate::evaluation::{Explanation, Matched};
use crate::lookups::{Lookups, Next, Upcoming};
use crate::macros::{Sender, Values};
use crate::plan::Plan;
use crate::record::is_record;
use crate::{Directive, DomainSpec, Error, ErrorKind, Limits, Outcome, Query};
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
    /// Known for the checked domain's own record, and what it redirects to.
    pub(crate) matched: Option<Matched>,
    pub(crate) explanation: Option<Explanation>,
}

/// The record that is being evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) domain: &'p Name,
    /// Includes and redirects that led here.
    pub(crate) depth: usize,
    /// The rest of the record that includes this one.
    pub(crate) including: Option<&'p Upcoming<'p>>,
}

impl<'q> Checker<'q> {
    pub(crate) fn new(
        dns: &'q dyn Resolver,
        query: &'q Query<'q>,
        sender: Sender<'q>,
        limits: Limits,
    ) -> Self {
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

    /// Evaluates the record of a domain and what it leads to.
    pub(crate) async fn check_host(&mut self, here: Place<'_>) -> Result<Verdict, Error> {
        let text = self.fetch(here).await?;
        let in_record = |error: Error| error.in_record(here.domain, here.depth);
        let plan = Plan::read(&text, self.query.ip).map_err(in_record)?;
        match plan.outcome() {
            Some(_) => Ok(verdict(&plan, plan.settled.as_ref(), here)),
            None => self.follow(&plan, here).await.map_err(in_record),
        }
    }

    /// The text of the one record of a domain.
    async fn fetch(&mut self, here: Place<'_>) -> Result<Vec<u8>, Error> {
        // RFC 7208 §4.3: not a multi-label domain name: none.
        if !here.domain.as_str().as_bytes().contains(&b'.') {
            return Err(Error::new(ErrorKind::BadDomain));
        }
        let next = here.including.map_or(Next::Unknown, Next::Terms);
        let found = self.lookups.ask_uncounted(here.domain, Kind::Txt, next).await?;
        let mut texts = found.into_iter().filter_map(|record| match record {
            dns::Record::Txt(text) if is_record(&text) => Some(text),
            _ => None,
        });
        // RFC 7208 §4.5: no record is none, more than one is permerror.
        match (texts.next(), texts.next()) {
            (Some(text), None) => Ok(text),
            (None, _) => Err(Error::new(ErrorKind::NoRecord)),
            (Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::SeveralRecords).in_record(here.domain, here.depth))
            }
        }
    }

    /// Goes through the terms that ask DNS. Boxed, since records lead to records.
    fn follow<'f>(
        &'f mut self,
        plan: &'f Plan<'f>,
        here: Place<'f>,
    ) -> Pin<Box<dyn Future<Output = Result<Verdict, Error>> + Send + 'f>> {
        Box::pin(async move {
            let mut rest = plan.asking.as_slice();
            // RFC 7208 §4.6.2: each mechanism is considered in turn from left to right.
            while let Some((directive, after)) = rest.split_first() {
                rest = after;
                let values = self.values(here.domain, None);
                let upcoming = Upcoming { directives: rest, redirect: plan.redirect(), values, place: here };
                let matched = self.matches(&directive.mechanism, &upcoming).await;
                if matched.map_err(|error| error.at_term(directive))? {
                    return Ok(verdict(plan, Some(directive), here));
                }
            }
            match plan.redirect() {
                Some(target) => {
                    let redirected = self.redirect(target, here).await;
                    redirected.map_err(|error| error.at_term(format_args!("redirect={target}")))
                }
                None => Ok(verdict(plan, plan.settled.as_ref(), here)),
            }
        })
    }

    // RFC 7208 §6.1: the result is that of the target, but none becomes permerror; redirect counts as a lookup (§4.6.4).
    async fn redirect(&mut self, redirect: &DomainSpec<'_>, here: Place<'_>) -> Result<Verdict, Error> {
        self.lookups.count_term()?;
        let target = self.target(Some(redirect), here.domain).await?;
        let target = target.map_err(|_| Error::new(ErrorKind::RedirectWithoutRecord))?;
        let there = Place { domain: &target, depth: here.depth + 1, including: here.including };
        let redirected = self.check_host(there).await;
        redirected.map_err(|error| without_record(error, ErrorKind::RedirectWithoutRecord))
    }
}

/// The end of a record: at a directive, or without a match.
fn verdict(plan: &Plan<'_>, directive: Option<&Directive<'_>>, here: Place<'_>) -> Verdict {
    // RFC 7208 §4.7: neutral, if none of the mechanisms match.
    let outcome = directive.map_or(Outcome::Neutral, |directive| directive.qualifier.outcome());
    if here.including.is_some() {
        // RFC 7208 §6.2: an include's own exp is not used.
        return Verdict { outcome, matched: None, explanation: None };
    }
    let matched = directive.map_or(Matched::Default, |d| Matched::Directive(d.clone().into_owned()));
    let target = plan.explanation.as_ref().filter(|_| outcome == Outcome::Fail);
    let explanation =
        target.map(|target| Explanation { domain: here.domain.clone(), target: target.clone().into_owned() });
    Verdict { outcome, matched: Some(matched), explanation }
}

/// What a none of the target means for the term that led there.
pub(crate) fn without_record(error: Error, kind: ErrorKind) -> Error {
    if error.kind().outcome() == Outcome::None { error.with_kind(kind) } else { error }
}
