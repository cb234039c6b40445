//! The check_host() function (RFC 7208 §4): fetches the record of a domain and evaluates its terms.

use crate::evaluation::{Explanation, Matched};
use crate::lookups::{Lookups, Next, Upcoming};
use crate::macros::{Sender, Values};
use crate::plan::Plan;
use crate::record::{Reading, is_record};
use crate::{Directive, DomainSpec, Error, ErrorKind, Limits, Outcome, Query};
use dns::{Kind, Name, Resolver};
use std::pin::Pin;

/// One evaluation under way.
pub(crate) struct Checker<'q> {
    pub(crate) query: &'q Query<'q>,
    pub(crate) sender: Sender<'q>,
    pub(crate) lookups: Lookups<'q>,
    /// What decided in the checked domain's own record, or in the one it redirects to.
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
        Self { query, sender, lookups: Lookups::new(dns, limits), matched: None, explanation: None }
    }

    /// Returns what the macros stand for in the record of `domain`.
    pub(crate) fn values<'v>(&self, domain: &'v Name, validated: Option<&'v Name>) -> Values<'v>
    where
        'q: 'v,
    {
        Values::of(self.query, self.sender, domain, validated)
    }

    /// Evaluates the record of a domain, and those that it includes or redirects to.
    pub(crate) async fn check_host(&mut self, here: &Place<'_>) -> Result<Outcome, Error> {
        // RFC 7208 §4.3: not a multi-label domain name: none.
        if !here.domain.as_str().as_bytes().contains(&b'.') {
            return Err(Error::new(ErrorKind::BadDomain));
        }
        self.lookups.begin_record(here.depth);
        let next = here.including.map_or(Next::Unknown, Next::Terms);
        let found = self.lookups.ask_uncounted(here.domain, Kind::Txt, next).await?;
        let in_record = |error: Error| error.in_record(here.domain, here.depth);
        // RFC 7208 §4.5: no record is none.
        let texts = found.iter().filter_map(|found| match found {
            dns::Record::Txt(text) => Some(text.as_slice()),
            _ => None,
        });
        let text = record_among(texts).map_err(in_record)?.ok_or_else(|| Error::new(ErrorKind::NoRecord))?;
        let mut reading = Reading::for_client(self.query.ip);
        let kept;
        let plan = match self.query.cache {
            None => {
                reading.read(text).map_err(in_record)?;
                reading.plan()
            }
            Some(cache) => {
                kept = cache.read(here.domain, text).map_err(in_record)?;
                Plan::of(&kept, self.query.ip)
            }
        };
        if plan.asks_dns() {
            self.follow(plan, here).await.map_err(in_record)
        } else {
            Ok(self.decide(&plan, plan.settled, here))
        }
    }

    /// Evaluates the terms that query DNS. Boxed, since this recurses through includes and redirects.
    fn follow<'f>(
        &'f mut self,
        plan: Plan<'f>,
        here: &'f Place<'f>,
    ) -> Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send + 'f>> {
        Box::pin(async move {
            let mut rest = plan.before;
            // RFC 7208 §4.6.2: each mechanism is considered in turn from left to right.
            while let Some((directive, after)) = rest.split_first() {
                rest = after;
                if !directive.mechanism.asks_dns() {
                    continue;
                }
                let (query, sender) = (self.query, self.sender);
                let upcoming =
                    Upcoming { directives: rest, redirect: plan.redirect, place: here, query, sender };
                let matched = self.matches(&directive.mechanism, &upcoming).await;
                if matched.map_err(|error| error.at_term(directive))? {
                    return Ok(self.decide(&plan, Some(directive), here));
                }
            }
            match plan.redirect {
                Some(target) => {
                    let redirected = self.redirect(target, here).await;
                    redirected.map_err(|error| error.at_term(format_args!("redirect={target}")))
                }
                None => Ok(self.decide(&plan, plan.settled, here)),
            }
        })
    }

    // RFC 7208 §6.1: the result is that of the target, but none becomes permerror; redirect counts as a lookup (§4.6.4).
    async fn redirect(&mut self, redirect: &DomainSpec<'_>, here: &Place<'_>) -> Result<Outcome, Error> {
        self.lookups.count_term()?;
        let target = self.target(redirect, here.domain).await?;
        let target = target.map_err(|_| Error::new(ErrorKind::RedirectWithoutRecord))?;
        let there = Place { domain: &target, depth: here.depth + 1, including: here.including };
        let redirected = self.check_host(&there).await;
        redirected.map_err(|error| without_record(error, ErrorKind::RedirectWithoutRecord))
    }

    /// Ends the evaluation of a record: at the directive that matched, or without a match.
    fn decide(&mut self, plan: &Plan<'_>, directive: Option<&Directive<'_>>, here: &Place<'_>) -> Outcome {
        // RFC 7208 §4.7: neutral, if none of the mechanisms match.
        let outcome = directive.map_or(Outcome::Neutral, |directive| directive.qualifier.outcome());
        // RFC 7208 §6.2: an include's own exp is not used.
        if here.including.is_none() {
            self.matched =
                Some(directive.map_or(Matched::Default, |d| Matched::Directive(d.clone().into_owned())));
            let target = plan.explanation.filter(|_| outcome == Outcome::Fail);
            self.explanation = target.map(|target| Explanation {
                domain: here.domain.clone(),
                target: target.clone().into_owned(),
            });
        }
        outcome
    }
}

/// Returns the text of the one SPF record among the TXT records of a domain.
pub(crate) fn record_among<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Result<Option<&'t [u8]>, Error> {
    let mut records = texts.filter(|text| is_record(text));
    match (records.next(), records.next()) {
        (record, None) => Ok(record),
        // RFC 7208 §4.5: more than one record is a permerror.
        (_, Some(_)) => Err(Error::new(ErrorKind::SeveralRecords)),
    }
}

/// Turns a none of the target into the error `kind` of the term that led there.
pub(crate) fn without_record(error: Error, kind: ErrorKind) -> Error {
    if error.kind().outcome() == Outcome::None { error.with_kind(kind) } else { error }
}
