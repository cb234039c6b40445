//! The DNS tree walk (RFC 9989 §4.10), with all its queries at once, and the organizational domain.

use crate::{Error, PublicSuffix, Record, Rules, parse};
use dns::{Domain, LookupErrorKind, Name, Resolver, Security, suffix, txt};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// RFC 9989 §4.10 step 4: a name of this many labels or more is cut to one label less after the first query, so that no
/// walk has more queries than this.
const MAX_QUESTIONS: usize = 8;

/// One query for `_dmarc.<domain>`, and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// The domain that was queried.
    pub domain: Domain,
    /// What the domain publishes.
    pub found: Found,
    /// The DNSSEC verdict of the answer, or of the proof that there is none.
    pub security: Security,
}

/// The result of one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A record, with the text it was parsed from.
    Record(Box<Record>, String),
    /// A malformed DMARC record; only by RFC 7489.
    Broken(Error, String),
    /// Several DMARC records, which count as none.
    Several,
    /// The name exists, and has no DMARC record.
    Nothing,
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The query failed.
    Failed(LookupErrorKind),
}

impl Step {
    /// Returns the record, if there is exactly one and it is well-formed.
    pub fn record(&self) -> Option<&Record> {
        if let Found::Record(record, _) = &self.found { Some(record) } else { None }
    }

    pub(crate) fn failed(&self) -> bool {
        matches!(self.found, Found::Failed(_))
    }

    /// RFC 9989 §4.10 steps 2 and 6: a single record with `psd=y` or `psd=n` ends the walk.
    fn ends_walk(&self) -> bool {
        self.record().is_some_and(|record| record.psd != PublicSuffix::Unsaid)
    }
}

/// The organizational domain of a name, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Organization {
    /// The organizational domain; `None` if DNS failed before it was known.
    pub domain: Option<Domain>,
    /// The weakest DNSSEC verdict of the answers it rests on; `Unknown` by RFC 7489, which needs no query.
    pub security: Security,
    /// The queries, from the longest name to where the walk ended.
    pub steps: Vec<Step>,
}

/// Finds the organizational domain: by a tree walk, or by the public suffix list without a query.
pub async fn organization(dns: &dyn Resolver, domain: &Domain, rules: Rules) -> Organization {
    match rules {
        Rules::Rfc9989 => {
            let steps = walk(dns, domain).await;
            Organization { domain: select(domain, &steps), security: weakest(&steps), steps }
        }
        Rules::Rfc7489 => Organization {
            domain: Some(suffix::organizational(domain)),
            security: Security::Unknown,
            steps: Vec::new(),
        },
    }
}

/// Returns the weakest DNSSEC verdict of all answers.
pub(crate) fn weakest(steps: &[Step]) -> Security {
    steps.iter().map(|step| step.security).min().unwrap_or_default()
}

/// Queries a name and its parents; the answers end where the walk ends.
pub(crate) async fn walk(dns: &dyn Resolver, start: &Domain) -> Vec<Step> {
    ask_all(dns, &targets(start), Rules::Rfc9989, Step::ends_walk).await
}

/// RFC 9989 §4.10 steps 3, 4 and 7: the domains that a walk queries.
fn targets(start: &Domain) -> Vec<Domain> {
    let labels = start.name().labels().count();
    let parents = std::iter::successors(start.parent(), Domain::parent);
    let skipped = labels.saturating_sub(MAX_QUESTIONS);
    std::iter::once(start.clone()).chain(parents.skip(skipped)).collect()
}

/// Queries all domains at once and returns the answers in order, up to the first for which `last` holds. It does not wait
/// for the answers behind that.
pub(crate) async fn ask_all(
    dns: &dyn Resolver,
    domains: &[Domain],
    rules: Rules,
    last: fn(&Step) -> bool,
) -> Vec<Step> {
    type Question<'a> = Pin<Box<dyn Future<Output = Step> + Send + 'a>>;
    let open = |domain| Some(Box::pin(ask(dns, domain, rules)) as Question<'_>);
    let mut questions: Vec<Option<Question<'_>>> = domains.iter().map(open).collect();
    let mut answers: Vec<Option<Step>> = vec![None; questions.len()];
    let complete = poll_fn(|context| {
        for (question, answer) in questions.iter_mut().zip(&mut answers) {
            if let Some(future) = question
                && let Poll::Ready(step) = future.as_mut().poll(context)
            {
                *answer = Some(step);
                *question = None;
            }
        }
        let known = answers.iter().take_while(|answer| answer.is_some()).flatten();
        let end = known.clone().position(last).map(|n| n + 1);
        match end {
            Some(end) => Poll::Ready(end),
            None if known.count() == domains.len() => Poll::Ready(domains.len()),
            None => Poll::Pending,
        }
    })
    .await;
    answers.into_iter().flatten().take(complete).collect()
}

async fn ask(dns: &dyn Resolver, domain: &Domain, rules: Rules) -> Step {
    let step = |found, security| Step { domain: domain.clone(), found, security };
    let Ok(name) = Name::prefixed("_dmarc", domain.name()) else {
        // A name too long for a query cannot have a record.
        return step(Found::NoName, Security::Unknown);
    };
    match txt(dns, &name).await {
        Ok(answer) => step(read(&answer.records, rules), answer.security),
        Err(error) => {
            let found = match error.kind() {
                LookupErrorKind::NoName => Found::NoName,
                LookupErrorKind::NoData => Found::Nothing,
                failure => Found::Failed(failure),
            };
            step(found, error.security())
        }
    }
}

/// RFC 9989 §4.10 step 2, RFC 7489 §6.6.3: discards other texts, and all DMARC records if there are several.
fn read(texts: &[Vec<u8>], rules: Rules) -> Found {
    let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
    let mut records = texts.filter(|text| parse::body(text, rules).is_some());
    match (records.next(), records.next()) {
        (None, _) => Found::Nothing,
        (Some(_), Some(_)) => Found::Several,
        (Some(text), None) => match Record::parse(&text, rules) {
            Ok(record) => Found::Record(Box::new(record), text.into_owned()),
            Err(error) => Found::Broken(error, text.into_owned()),
        },
    }
}

/// RFC 9989 §4.10.2: chooses the organizational domain by the records of a walk; `None` if a query failed.
pub(crate) fn select(start: &Domain, steps: &[Step]) -> Option<Domain> {
    if steps.iter().any(Step::failed) {
        return None;
    }
    let mut shortest = None;
    for step in steps {
        // Rule 1 needs no code: a record with `psd=n` ends the walk, so that no shorter name follows it.
        match step.record().map(|record| record.psd) {
            Some(PublicSuffix::Yes) if step.domain != *start => return Some(child(start, &step.domain)),
            Some(_) => shortest = Some(step.domain.clone()),
            None => {}
        }
    }
    Some(shortest.unwrap_or_else(|| start.clone()))
}

/// Returns the domain one label below `parent`, on the way to `below`.
fn child(below: &Domain, parent: &Domain) -> Domain {
    let mut name = below.clone();
    while let Some(next) = name.parent().filter(|next| next != parent) {
        name = next;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &str, want: &[&str]) {
        let targets = targets(&start.parse().unwrap());
        assert_eq!(targets.iter().map(Domain::as_str).collect::<Vec<_>>(), want);
    }

    // RFC 9989 §4.10: the example of eight questions, and its borders.
    #[test]
    fn a_walk_has_at_most_eight_questions() {
        check("com", &["com"]);
        check("mail.example.com", &["mail.example.com", "example.com", "com"]);
        let seven = ["g.h.i.j.mail.example.com", "h.i.j.mail.example.com", "i.j.mail.example.com"];
        let four = ["j.mail.example.com", "mail.example.com", "example.com", "com"];
        let rest = [&seven[..], &four[..]].concat();
        check("g.h.i.j.mail.example.com", &rest);
        for start in ["f.g.h.i.j.mail.example.com", "a.b.c.d.e.f.g.h.i.j.mail.example.com"] {
            check(start, &[&[start], &rest[..]].concat());
        }
    }
}
