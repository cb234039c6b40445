//! [`discover`]: finds the record that applies to an author domain.

use crate::walk::{ask_all, select, walk, weakest};
use crate::{ErrorKind, Found, Policy, PublicSuffix, Record, Rules, Step};
use dns::{Domain, LookupErrorKind, Resolver, Security, suffix, txt};

/// How a discovery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// DMARC does not apply: no record, or none with a usable policy.
    None,
    /// A record applies.
    Found,
    /// DNS failed before it was known which record applies.
    TempError,
    /// The record that would apply is malformed; only by RFC 7489.
    PermError,
}

impl Status {
    /// Returns the word for people and JSON; for a found record `pass`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Found => "pass",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

/// The domain that has the record which applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The author domain: `p` counts.
    Own,
    /// Its organizational domain: `sp` or `np` counts.
    Organizational,
    /// The public suffix above that (`psd=y`): `sp` or `np` counts.
    PublicSuffix,
}

/// The record that applies to an author domain, and the queries that found it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The specification that was followed.
    pub rules: Rules,
    /// The author's domain.
    pub from: Domain,
    /// How the discovery ended.
    pub status: Status,
    /// The record that applies; always there with [`Status::Found`].
    pub record: Option<Record>,
    /// The text of that record, or of the one that is malformed or unusable.
    pub text: Option<String>,
    /// The domain that has this text.
    pub domain: Option<Domain>,
    /// How that domain relates to the author domain.
    pub place: Option<Place>,
    /// The author's organizational domain; `None` if DNS failed before it was known.
    pub organizational: Option<Domain>,
    /// Whether the author domain exists. Queried only if the record has a different policy for subdomains that do not
    /// exist (`np`).
    pub exists: Option<bool>,
    /// The weakest DNSSEC verdict of the answers that decided which record applies.
    pub security: Security,
    /// The queries, the author domain first.
    pub steps: Vec<Step>,
    /// Why no record applies.
    pub problem: Option<ErrorKind>,
}

impl Discovery {
    /// Returns the published policy for this author: `p`, `sp` or `np`; `none` if no record applies.
    pub fn policy(&self) -> Policy {
        let Some(record) = &self.record else { return Policy::None };
        match self.place {
            Some(Place::Own) | None => record.p.unwrap_or_default(),
            Some(Place::Organizational | Place::PublicSuffix) => record.subdomain_policy(self.exists),
        }
    }

    fn new(rules: Rules, from: &Domain, steps: Vec<Step>) -> Self {
        Self {
            rules,
            from: from.clone(),
            status: Status::None,
            record: None,
            text: None,
            domain: None,
            place: None,
            organizational: None,
            exists: None,
            security: weakest(&steps),
            steps,
            problem: None,
        }
    }

    fn without(mut self, status: Status, problem: ErrorKind) -> Self {
        self.status = status;
        self.problem = Some(problem);
        self
    }

    /// Takes the record found at `step` as the one that applies.
    fn with(mut self, step: &Step, place: Place) -> Self {
        self.place = Some(place);
        self.domain = Some(step.domain.clone());
        match &step.found {
            Found::Record(record, text) => {
                self.text = Some(text.clone());
                // RFC 9989 §4.10.1: without a usable policy and without `rua`, no DMARC processing.
                if record.p.is_none() {
                    return self.without(Status::None, ErrorKind::NoPolicy);
                }
                self.record = Some(Record::clone(record));
                self.status = Status::Found;
                self
            }
            Found::Broken(error, text) => {
                self.text = Some(text.clone());
                self.without(Status::PermError, error.kind())
            }
            Found::Several | Found::Nothing | Found::NoName | Found::Failed(_) => self.without_any(),
        }
    }

    /// RFC 9989 §4.10.1: without any record, DMARC does not apply.
    fn without_any(self) -> Self {
        let several = self.steps.iter().any(|step| step.found == Found::Several);
        self.without(Status::None, if several { ErrorKind::MultipleRecords } else { ErrorKind::NoRecord })
    }
}

/// Finds the record that applies to the author domain. All queries are sent at once.
pub async fn discover(dns: &dyn Resolver, from: &Domain, rules: Rules) -> Discovery {
    match rules {
        Rules::Rfc9989 => by_walk(dns, from).await,
        Rules::Rfc7489 => by_suffix(dns, from).await,
    }
}

async fn by_walk(dns: &dyn Resolver, from: &Domain) -> Discovery {
    let steps = walk(dns, from).await;
    let mut discovery = Discovery::new(Rules::Rfc9989, from, steps.clone());
    discovery.organizational = select(from, &steps);
    // RFC 9989 §4.10.1: the author domain's own record comes first, whatever the rest of the walk finds.
    if let Some(own) = steps.first().filter(|step| step.record().is_some()) {
        discovery.security = own.security;
        return discovery.with(own, Place::Own);
    }
    let Some(organizational) = discovery.organizational.clone() else {
        return discovery.without(Status::TempError, ErrorKind::Dns);
    };
    // Then the organizational domain's, then that of the public suffix which ended the walk.
    let at_organization = |step: &&Step| step.domain == organizational && step.record().is_some();
    let at_suffix = |step: &&Step| step.record().is_some_and(|record| record.psd == PublicSuffix::Yes);
    let chosen = match (steps.iter().find(at_organization), steps.iter().find(at_suffix)) {
        (Some(step), _) => Some((step, Place::Organizational)),
        (None, Some(step)) => Some((step, Place::PublicSuffix)),
        (None, None) => None,
    };
    let Some((step, place)) = chosen else { return discovery.without_any() };
    let mut discovery = discovery.with(step, place);
    if let Some(record) = &discovery.record
        && record.subdomain_policy(Some(true)) != record.subdomain_policy(Some(false))
    {
        discovery.exists = exists(dns, from, &steps).await;
    }
    discovery
}

/// RFC 8020 §2: only NXDOMAIN says that a name does not exist, and then nothing exists below it.
async fn exists(dns: &dyn Resolver, from: &Domain, steps: &[Step]) -> Option<bool> {
    match steps.first().map(|step| &step.found) {
        Some(Found::NoName) => {}
        // `_dmarc.<from>` exists, so its parent does.
        _ => return Some(true),
    }
    // Any type would do; SPF queries this one anyway, so the answer is often cached.
    match txt(dns, from.name()).await {
        Ok(_) => Some(true),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName => Some(false),
            LookupErrorKind::NoData => Some(true),
            _ => None,
        },
    }
}

/// RFC 7489 §6.6.3: queries the author domain, else its organizational domain by the public suffix list.
async fn by_suffix(dns: &dyn Resolver, from: &Domain) -> Discovery {
    let organizational = suffix::organizational(from);
    let mut domains = vec![from.clone()];
    if organizational != *from {
        domains.push(organizational.clone());
    }
    // A record, malformed or not, or a failure at the author domain makes the other name irrelevant.
    let last = |step: &Step| matches!(step.found, Found::Record(..) | Found::Broken(..) | Found::Failed(_));
    let steps = ask_all(dns, &domains, Rules::Rfc7489, last).await;
    let mut discovery = Discovery::new(Rules::Rfc7489, from, steps.clone());
    discovery.organizational = Some(organizational);
    match steps.last().filter(|step| last(step)) {
        None => discovery.without_any(),
        Some(step) if step.failed() => discovery.without(Status::TempError, ErrorKind::Dns),
        Some(step) if step.domain == *from => discovery.with(step, Place::Own),
        Some(step) => discovery.with(step, Place::Organizational),
    }
}
