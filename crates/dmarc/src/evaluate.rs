//! [`evaluate`]: the verdict, from the discovered record and the proven identifiers, without DNS.

use crate::{Alignment, Discovery, Organization, Policy, Rules, Status, organization};
use dns::{Domain, Resolver, suffix};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::fmt;

/// Identifiers of one message that get a tree walk. No honest message has more signatures below the author's
/// organizational domain.
pub const MAX_WALKS: usize = 16;

/// The mechanism that authenticates a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// SPF of the `MAIL FROM` domain, which for a null reverse path is the `HELO` name (RFC 9989 §4.4.2).
    Spf,
    /// A DKIM signature, by its `d=` (RFC 9989 §4.4.1).
    Dkim,
}

/// How the check of one identifier ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The identifier is authenticated.
    Pass,
    /// Any result but `pass` and `temperror`.
    Fail,
    /// DNS failed; another try may pass.
    TempError,
}

/// One identifier that SPF or DKIM checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The mechanism that checked it.
    pub by: Method,
    /// The domain that was checked.
    pub domain: Domain,
    /// How the check ended.
    pub result: Outcome,
}

/// A random number for `pct`: 0 to 99. A message that is retried should keep its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// Takes any number modulo 100.
    pub fn new(n: u64) -> Self {
        Self((n % 100) as u8)
    }
}

/// The organizational domains of a message's identifiers, as far as they were looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organizations(BTreeMap<Domain, Option<Domain>>);

impl Organizations {
    /// Keeps the result of [`organization`] for `domain`.
    pub fn insert(&mut self, domain: Domain, found: &Organization) {
        self.0.insert(domain, found.domain.clone());
    }

    /// Whether this domain was looked up.
    pub fn contains(&self, domain: &Domain) -> bool {
        self.0.contains_key(domain)
    }

    /// Looks up all domains at the same time.
    pub async fn gather(&mut self, dns: &dyn Resolver, domains: &[Domain], rules: Rules) {
        type Part<'a> = std::pin::Pin<Box<dyn Future<Output = Organization> + Send + 'a>>;
        let walks = domains.iter().map(|domain| Box::pin(organization(dns, domain, rules)) as Part<'_>);
        for (domain, found) in domains.iter().zip(join_all(walks).await) {
            self.insert(domain.clone(), &found);
        }
    }
}

/// The result of DMARC (RFC 8601 §2.7.4 has its words).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No record applies.
    None,
    /// An aligned identifier passed.
    Pass,
    /// No aligned identifier passed.
    Fail,
    /// DNS failed; a later try may pass.
    TempError,
    /// The record that would apply is malformed.
    PermError,
}

impl Verdict {
    /// Returns the word in Authentication-Results and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What DMARC says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether an aligned identifier passed.
    pub result: Verdict,
    /// The published policy that applies to this author: `p`, `sp` or `np`.
    pub published: Policy,
    /// The published policy, or one step milder with `t=y`.
    pub policy: Policy,
    /// What the domain owner asks for: the policy if the message failed (one step milder if `pct` leaves it out), else
    /// `none`.
    pub disposition: Policy,
    /// SPF passed for an aligned domain.
    pub aligned_spf: bool,
    /// A DKIM signature of an aligned domain passed.
    pub aligned_dkim: bool,
    /// `t=y` made the policy milder; `policy_test_mode` in a report (RFC 9990).
    pub test_mode: bool,
    /// `pct` left the message out; `sampled_out` in a report (RFC 7489 §6.6.4).
    pub sampled_out: bool,
    /// The domain whose record applies.
    pub domain: Option<Domain>,
}

impl Evaluation {
    /// Whether the domain owner asks to refuse this message. RFC 9989 §5.4: local policy decides whether to do so, and not
    /// by this alone if the message may have come through a mailing list.
    pub fn reject(&self) -> bool {
        self.disposition == Policy::Reject
    }
}

/// Evaluates a message. Pure: the caller looks up the organizational domains of identifiers before (see [`needed`]); one
/// that is missing counts as a DNS failure.
///
/// By RFC 7489 a message is left out if `dice` is not below `pct`; without `dice` none is.
pub fn evaluate(
    discovery: &Discovery,
    proven: &[Proven],
    organizations: &Organizations,
    dice: Option<Percent>,
) -> Evaluation {
    let mut evaluation = Evaluation {
        result: Verdict::None,
        published: discovery.policy(),
        policy: Policy::None,
        disposition: Policy::None,
        aligned_spf: false,
        aligned_dkim: false,
        test_mode: false,
        sampled_out: false,
        domain: None,
    };
    let record = match (discovery.status, &discovery.record) {
        (Status::Found, Some(record)) => record,
        (Status::TempError, _) => return Evaluation { result: Verdict::TempError, ..evaluation },
        (Status::PermError, _) => return Evaluation { result: Verdict::PermError, ..evaluation },
        (Status::None | Status::Found, _) => return evaluation,
    };
    evaluation.domain.clone_from(&discovery.domain);
    // RFC 9989 §4.7: with `t=y` the policy applied is one level below the specified one.
    evaluation.test_mode = record.t && evaluation.published != Policy::None;
    evaluation.policy = if record.t { evaluation.published.milder() } else { evaluation.published };

    let mut undecided = false;
    for identifier in proven {
        match (identifier.result, aligned(discovery, identifier, organizations)) {
            (Outcome::Fail, _) | (_, Some(false)) => {}
            (Outcome::Pass, Some(true)) => match identifier.by {
                Method::Spf => evaluation.aligned_spf = true,
                Method::Dkim => evaluation.aligned_dkim = true,
            },
            // RFC 9989 §5.3.6: if a needed answer is missing, the result is neither pass nor fail. An identifier that is not
            // aligned is not needed: otherwise a forger could disable the policy by breaking the DNS of a domain of his own.
            (Outcome::TempError, _) | (_, None) => undecided = true,
        }
    }
    // RFC 9989 §5.3.5: one aligned identifier is enough.
    evaluation.result = match (evaluation.aligned_spf || evaluation.aligned_dkim, undecided) {
        (true, _) => Verdict::Pass,
        (false, true) => Verdict::TempError,
        (false, false) => Verdict::Fail,
    };
    if evaluation.result == Verdict::Fail {
        // RFC 7489 §6.6.4: a message that is left out gets the next milder policy.
        evaluation.sampled_out = dice.is_some_and(|dice| dice.0 >= record.pct);
        let policy = evaluation.policy;
        evaluation.disposition = if evaluation.sampled_out { policy.milder() } else { policy };
    }
    evaluation
}

/// Returns the identifiers whose organizational domain [`evaluate`] needs and `organizations` lacks; at most [`MAX_WALKS`].
pub fn needed(discovery: &Discovery, proven: &[Proven], organizations: &Organizations) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::new();
    if discovery.status != Status::Found || discovery.rules == Rules::Rfc7489 {
        return domains;
    }
    for identifier in proven {
        let open = identifier.result != Outcome::Fail
            && discovery.organizational.is_some()
            && aligned(discovery, identifier, organizations).is_none();
        let known = organizations.contains(&identifier.domain) || domains.contains(&identifier.domain);
        if open && !known && domains.len() < MAX_WALKS {
            domains.push(identifier.domain.clone());
        }
    }
    domains
}

/// Whether a tree walk from `identifier` is likely to be needed, before anything is known of the author domain: the names
/// differ and share their last two labels. [`needed`] finds those that this misses.
pub fn worth_walking(from: &Domain, identifier: &Domain) -> bool {
    let mut common = from.name().labels().rev().zip(identifier.name().labels().rev());
    from != identifier && common.by_ref().take(2).filter(|(a, b)| a == b).count() == 2
}

/// Whether the identifier is aligned with the author domain; `None` if DNS did not say.
fn aligned(discovery: &Discovery, identifier: &Proven, organizations: &Organizations) -> Option<bool> {
    let record = discovery.record.as_ref()?;
    let mode = match identifier.by {
        Method::Spf => record.aspf,
        Method::Dkim => record.adkim,
    };
    // RFC 9989 §4.10.2: equal names need no organizational domain, and strict alignment is nothing else.
    if identifier.domain == discovery.from {
        return Some(true);
    }
    if mode == Alignment::Strict {
        return Some(false);
    }
    let Some(author) = &discovery.organizational else {
        // Only a name that shares a suffix with the author's can share its organizational domain.
        let last = |domain: &Domain| domain.name().labels().next_back().map(str::to_owned);
        return if last(&identifier.domain) == last(&discovery.from) { None } else { Some(false) };
    };
    if identifier.domain == *author {
        // The walk from here goes on as the author's did, and ends in the same place.
        return Some(true);
    }
    if !identifier.domain.is_at_or_below(author) {
        return Some(false);
    }
    match discovery.rules {
        Rules::Rfc7489 => Some(suffix::organizational(&identifier.domain) == *author),
        Rules::Rfc9989 => {
            let found = organizations.0.get(&identifier.domain)?.as_ref()?;
            Some(found == author)
        }
    }
}
