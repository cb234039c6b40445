//! Checks whether an address is on a block list (RFC 5782).
//!
//! A list that refuses a resolver, or was abandoned, may answer every query. Believing it would turn all mail away, so
//! only a code that can be a listing counts as one, and [`health`] checks whether a list works at all.

use dns::{Domain, LookupError, LookupErrorKind, Name, Resolver, ipv4, reverse_name, txt};
use futures_util::future::join;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Codes kept of one answer. A list returns one for each of its sublists that has the address.
pub const MAX_CODES: usize = 32;
/// Bytes of the text that are kept. It often ends up in a reply, and RFC 5321 §4.5.3.1.5 allows a reply line 512.
pub const MAX_TEXT: usize = 400;

/// RFC 5782 §5: this address is never listed, except by a list that answers everything.
const NEVER_LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// RFC 5782 §5: this address is always listed, except by a list that is empty or gone.
const ALWAYS_LISTED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// What a list says about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The list does not have the address.
    Pass,
    /// The list has the address, by at least one code.
    Listed,
    /// DNS or the list does not work.
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
    /// The answer is outside of 127.0.0.0/8: the zone is not a list, or no longer one.
    NotACode(Ipv4Addr),
    /// The zone's name is so long that no address fits before it.
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
            Self::NotACode(code) => write!(f, "the zone answers with {code}, which no block list does"),
            Self::ZoneTooLong => f.write_str("the zone name is too long for queries about addresses"),
        }
    }
}

/// The answer of one list about an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether the address is listed.
    pub result: Outcome,
    /// The codes of the answer, up to [`MAX_CODES`], with error codes. Each list documents what its codes mean.
    pub codes: Vec<Ipv4Addr>,
    /// The list's explanation of the entry for people: printable ASCII, up to [`MAX_TEXT`] bytes.
    pub text: Option<String>,
    /// Why there is no answer, with temperror.
    pub reason: Option<Reason>,
}

/// Queries one list about one address. An IPv4-mapped IPv6 address counts as IPv4.
///
/// An answer that contains anything but listings counts as an error of the list: only an answer beyond doubt may turn
/// mail away.
pub async fn check(dns: &dyn Resolver, zone: &Domain, ip: IpAddr) -> Evaluation {
    let Some(name) = question(zone, ip) else {
        return Evaluation::unknown(Reason::ZoneTooLong);
    };
    let mut evaluation = lookup(dns, &name).await;
    // Most addresses are not listed, so the text is queried only for those that are.
    if !evaluation.codes.is_empty() {
        // RFC 5782 §2.1: the TXT record has the reason of the entry. It is for people: the result stands without it.
        evaluation.text = txt(dns, &name).await.ok().and_then(|answer| printable(&answer.records));
    }
    evaluation
}

impl Evaluation {
    fn unknown(reason: Reason) -> Self {
        Self { result: Outcome::TempError, codes: Vec::new(), text: None, reason: Some(reason) }
    }
}

/// Returns the name whose records say whether the address is listed; `None` if it would be too long.
fn question(zone: &Domain, ip: IpAddr) -> Option<Name> {
    // RFC 5782 §2.1: the octets of an IPv4 address in reverse order; §2.4: the nibbles of an IPv6 address.
    let reverse = reverse_name(ip);
    let text = reverse.as_str();
    let digits = text.strip_suffix(".in-addr.arpa").or_else(|| text.strip_suffix(".ip6.arpa"))?;
    Name::prefixed(digits, zone.name()).ok()
}

/// Queries the list for all but the text.
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

/// Returns why a code is not a listing.
fn objection(code: Ipv4Addr) -> Option<Reason> {
    match code.octets() {
        // A convention of the large public lists, not of an RFC: wrong zone, public resolver, over the quota.
        [127, 255, 255, _] => Some(Reason::ErrorCode(code)),
        // No list uses it for an entry. Some return it to clients that they do not serve, and resolvers that block names
        // return it for those.
        [127, 0, 0, 1] => Some(Reason::ErrorCode(code)),
        // RFC 5782 §2.1: 127.0.0.2 by convention; §2.3: other values of 127.0.0.0/8 tell sublists apart.
        [127, ..] => None,
        _ => Some(Reason::NotACode(code)),
    }
}

/// Whether anything exists at or below the zone's name. RFC 8020 §2: NXDOMAIN means that nothing does.
async fn exists(dns: &dyn Resolver, zone: &Domain) -> bool {
    !ipv4(dns, zone.name()).await.is_err_and(|error| error.kind() == LookupErrorKind::NoName)
}

/// Joins texts with `; ` for logs and replies: every byte that is not printable ASCII becomes a question mark.
fn printable(texts: &[Vec<u8>]) -> Option<String> {
    let joined = texts.iter().filter(|text| !text.is_empty()).enumerate().flat_map(|(n, text)| {
        let separator: &[u8] = if n == 0 { b"" } else { b"; " };
        separator.iter().chain(text)
    });
    let shown = |b: &u8| if matches!(b, b' '..=b'~') { char::from(*b) } else { '?' };
    Some(joined.map(shown).take(MAX_TEXT).collect()).filter(|text: &String| !text.is_empty())
}

/// Whether a list works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It lists 127.0.0.2 and does not list 127.0.0.1 (RFC 5782 §5).
    Healthy,
    /// It lists 127.0.0.1, so it is likely to list everything.
    ListsEverything,
    /// It does not list 127.0.0.2, so it is likely to list nothing.
    ListsNothing,
    /// The zone does not exist.
    NoZone,
    /// DNS or the list did not answer.
    Unknown(Reason),
}

impl Health {
    /// Whether both test addresses get the answer that RFC 5782 §5 demands.
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy)
    }

    /// Whether the list may be used: it is healthy, or DNS did not answer, which says nothing about the list.
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

/// Queries a list about its two test addresses (RFC 5782 §5) at the same time, and about its zone if it lists nothing.
///
/// RFC 5782 §7: a list whose test entries are wrong should not be used. Call it every few hours, not for each message. A
/// list of IPv6 addresses alone has neither entry and is not healthy: [`check`] queries one list about both families.
pub async fn health(dns: &dyn Resolver, zone: &Domain) -> Health {
    let (Some(never), Some(always)) =
        (question(zone, NEVER_LISTED.into()), question(zone, ALWAYS_LISTED.into()))
    else {
        return Health::Unknown(Reason::ZoneTooLong);
    };
    let (never, always) = join(lookup(dns, &never), lookup(dns, &always)).await;
    let mut reason = None;
    for (evaluation, expected) in [(never, Outcome::Pass), (always, Outcome::Listed)] {
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
