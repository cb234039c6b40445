//! Is an address on a block list? (RFC 5782)
//!
//! Lists that refuse a resolver, or that were given up, answer every question. Believing each answer would turn all
//! mail away, so only a code that can be a listing is one, and [`health`] tells whether a list works at all.

use dns::{Domain, LookupError, LookupErrorKind, Name, Resolver, ipv4, join_all, reverse_name, txt};
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;

/// Codes of one answer that are kept; lists give one for each of their sublists.
pub const MAX_CODES: usize = 32;
/// Octets of the text that are kept. It often ends up in a reply, and RFC 5321 §4.5.3.1.5 gives a reply line 512 octets.
pub const MAX_TEXT: usize = 400;

/// RFC 5782 §5: this address is never listed, except by a list that answers everything.
const NEVER_LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// RFC 5782 §5: this address is always listed, except by a list that is empty or gone.
const ALWAYS_LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What a list says about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Not listed.
    Pass,
    /// Listed.
    Listed,
    /// Unknown: DNS or the list does not work.
    TempError,
}

impl Outcome {
    /// The word for metrics and people: `pass`, `fail` (when listed) or `temperror`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Listed => "fail",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a list does not say whether an address is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// DNS did not answer.
    Lookup(LookupError),
    /// The list answered with a code for errors (127.255.255.0/24, or 127.0.0.1), such as a resolver that it does not serve.
    ErrorCode(Ipv4Addr),
    /// The answer is outside of 127.0.0.0/8: the zone is no list, or no longer.
    NotACode(Ipv4Addr),
    /// The name of the zone leaves no room for an address before it.
    ZoneTooLong,
}

impl Reason {
    /// The stable token of this reason.
    pub fn token(&self) -> &'static str {
        match self {
            Self::Lookup(error) => error.kind().token(),
            Self::ErrorCode(_) => "dnsbl.error-code",
            Self::NotACode(_) => "dnsbl.not-a-code",
            Self::ZoneTooLong => "dnsbl.zone-too-long",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => error.fmt(f),
            Self::ErrorCode(code) => write!(f, "the list answers with the error code {code}"),
            Self::NotACode(code) => write!(f, "the zone answers with {code}, which no list does"),
            Self::ZoneTooLong => f.write_str("the name of the zone is too long to ask about addresses"),
        }
    }
}

/// What was found out about an address in one list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The result.
    pub result: Outcome,
    /// What the list answered, at most [`MAX_CODES`]; what a code means, the list tells. Error codes are among them.
    pub codes: Vec<Ipv4Addr>,
    /// What the list tells people about the entry: printable ASCII, at most [`MAX_TEXT`] octets.
    pub text: Option<String>,
    /// Why the list does not say, with temperror.
    pub reason: Option<Reason>,
}

/// Asks one list about one address; an IPv4-mapped IPv6 address counts as IPv4.
///
/// An answer with anything in it that is no listing counts as an error of the list: to turn mail away takes an answer
/// beyond doubt.
pub async fn check(dns: &dyn Resolver, zone: &Domain, ip: IpAddr) -> Evaluation {
    let Some(name) = question(zone, ip) else {
        return Evaluation::unknown(Reason::ZoneTooLong);
    };
    let mut evaluation = lookup(dns, &name).await;
    // Most addresses are not listed, so the text is asked for only when there is one.
    if !evaluation.codes.is_empty() {
        // RFC 5782 §2.1: the TXT record tells the reason of the entry. It is for people: without it nothing changes.
        evaluation.text = txt(dns, &name).await.ok().and_then(|answer| printable(&answer.records));
    }
    evaluation
}

impl Evaluation {
    fn unknown(reason: Reason) -> Self {
        Self { result: Outcome::TempError, codes: Vec::new(), text: None, reason: Some(reason) }
    }
}

/// The name whose records tell whether the address is listed; none if it would be too long.
fn question(zone: &Domain, ip: IpAddr) -> Option<Name> {
    // RFC 5782 §2.1: octets in reverse order; RFC 5782 §2.4: nibbles in reverse order, for IPv6.
    let reverse = reverse_name(ip);
    let text = reverse.as_str();
    let digits = text.strip_suffix(".in-addr.arpa").or_else(|| text.strip_suffix(".ip6.arpa"))?;
    Name::prefixed(digits, zone.name()).ok()
}

/// Everything but the text.
async fn lookup(dns: &dyn Resolver, name: &Name) -> Evaluation {
    let codes = match ipv4(dns, name).await {
        Ok(answer) => answer.records,
        // RFC 5782 §2.1: no A record, not listed.
        Err(error) if error.is_absent() => {
            return Evaluation { result: Outcome::Pass, codes: Vec::new(), text: None, reason: None };
        }
        Err(error) => return Evaluation::unknown(Reason::Lookup(error)),
    };
    let reason = codes.iter().find_map(|code| objection(*code));
    let codes = codes.iter().take(MAX_CODES).copied().collect();
    let result = if reason.is_some() { Outcome::TempError } else { Outcome::Listed };
    Evaluation { result, codes, text: None, reason }
}

/// Why a code is no listing.
fn objection(code: Ipv4Addr) -> Option<Reason> {
    match code.octets() {
        // The convention of the large public lists, which no RFC tells: wrong zone, public resolver, over the quota.
        [127, 255, 255, _] => Some(Reason::ErrorCode(code)),
        // No list has it for an entry; it is what some answer to those they do not serve, and what a resolver says that
        // blocks names.
        [127, 0, 0, 1] => Some(Reason::ErrorCode(code)),
        // RFC 5782 §2.1: 127.0.0.2 by convention; §2.3: other values of 127.0.0.0/8 tell sublists apart.
        [127, ..] => None,
        _ => Some(Reason::NotACode(code)),
    }
}

/// Is there anything at or below this name? RFC 8020 §2: NXDOMAIN means that there is not.
async fn exists(dns: &dyn Resolver, zone: &Domain) -> bool {
    !ipv4(dns, zone.name()).await.is_err_and(|error| error.kind() == LookupErrorKind::NoName)
}

/// Texts joined with `; `, fit for a log and a reply: whatever is not printable ASCII becomes a question mark.
fn printable(texts: &[Vec<u8>]) -> Option<String> {
    let joined = texts.iter().filter(|text| !text.is_empty()).enumerate().flat_map(|(n, text)| {
        let separator: &[u8] = if n == 0 { b"" } else { b"; " };
        separator.iter().chain(text)
    });
    let shown = |b: &u8| if matches!(b, b' '..=b'~') { char::from(*b) } else { '?' };
    Some(joined.map(shown).take(MAX_TEXT).collect()).filter(|text: &String| !text.is_empty())
}

/// Does a list work?
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It lists what it has to list, and not what it must not.
    Healthy,
    /// It lists 127.0.0.1, so it is likely to list everything.
    ListsEverything,
    /// It does not list 127.0.0.2, so it is likely to list nothing.
    ListsNothing,
    /// There is no zone of this name.
    NoZone,
    /// It cannot be told.
    Unknown(Reason),
}

impl Health {
    /// Does it list what it has to, and not what it must not?
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// May the list be asked? Yes, if it is healthy, and also when DNS did not answer: that says nothing about the list.
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Healthy | Self::Unknown(Reason::Lookup(_)))
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::ListsEverything => write!(f, "not healthy: it lists {NEVER_LISTED}"),
            Self::ListsNothing => write!(f, "not healthy: it does not list {ALWAYS_LISTED}"),
            Self::NoZone => f.write_str("there is no such zone"),
            Self::Unknown(reason) => write!(f, "unknown: {reason}"),
        }
    }
}

/// Asks a list about the two addresses that tell whether it works (RFC 5782 §5), both at the same time; and about its zone where
/// it lists nothing.
///
/// RFC 5782 §7: a list whose test entries are wrong should not be used. The caller asks every few hours, not each time.
/// A list of IPv6 addresses alone has neither entry and is not healthy: one list is asked about both families here.
pub async fn health(dns: &dyn Resolver, zone: &Domain) -> Health {
    let (Some(never), Some(always)) =
        (question(zone, NEVER_LISTED.into()), question(zone, ALWAYS_LISTED.into()))
    else {
        return Health::Unknown(Reason::ZoneTooLong);
    };
    type Asked<'a> = Pin<Box<dyn Future<Output = Evaluation> + Send + 'a>>;
    let asked: Vec<Asked<'_>> = vec![Box::pin(lookup(dns, &never)), Box::pin(lookup(dns, &always))];
    let mut reason = None;
    for (evaluation, expected) in join_all(asked).await.into_iter().zip([Outcome::Pass, Outcome::Listed]) {
        match evaluation.result {
            Outcome::TempError => reason = reason.or(evaluation.reason),
            result if result == expected => {}
            Outcome::Listed => return Health::ListsEverything,
            Outcome::Pass => {
                return if exists(dns, zone).await { Health::ListsNothing } else { Health::NoZone };
            }
        }
    }
    reason.map_or(Health::Healthy, Health::Unknown)
}
