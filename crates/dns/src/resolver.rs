//! Answers, and typed lookups of the records that mail needs.

use crate::{Kind, LookupError, LookupErrorKind, Mx, Name, Question, Record, Resolver, Tlsa};
use futures_util::future::join;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// What DNSSEC says about an answer (RFC 4035 §4.3). A bogus answer is an error, never an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Security {
    /// The answer was not validated, or could not be.
    #[default]
    Unknown,
    /// Proven to come from a zone that is not signed.
    Insecure,
    /// Validated up to a trust anchor, aliases included.
    Secure,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Insecure => "insecure",
            Self::Secure => "secure",
        })
    }
}

/// The records of an answer, at least one. Clones share the records, so a cache does not copy them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// In the order of the answer; MX records by preference.
    pub records: Arc<[T]>,
    /// The weakest verdict over all records and aliases of the answer.
    pub security: Security,
}

impl<T> Answer<T> {
    /// Was the whole answer validated?
    pub fn is_secure(&self) -> bool {
        self.security == Security::Secure
    }
}

async fn ask<T>(
    dns: &dyn Resolver,
    name: &Name,
    kind: Kind,
    pick: fn(&Record) -> Option<T>,
) -> Result<Answer<T>, LookupError> {
    let answer = dns.lookup(Question { name, kind }).await?;
    let records: Arc<[T]> = answer.records.iter().filter_map(pick).collect();
    if records.is_empty() {
        let error = LookupError::new(LookupErrorKind::NoData, name.clone(), kind);
        return Err(error.with_security(answer.security));
    }
    Ok(Answer { records, security: answer.security })
}

/// Looks up TXT records; the strings of each are joined.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn txt(dns: &dyn Resolver, name: &Name) -> Result<Answer<Vec<u8>>, LookupError> {
    let pick = |record: &Record| if let Record::Txt(text) = record { Some(text.clone()) } else { None };
    ask(dns, name, Kind::Txt, pick).await
}

/// Looks up mail exchanges, sorted by preference. Equal preferences keep the order of the answer; a client shuffles them.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn mx(dns: &dyn Resolver, name: &Name) -> Result<Answer<Mx>, LookupError> {
    let pick = |record: &Record| if let Record::Mx(mx) = record { Some(mx.clone()) } else { None };
    let mut answer = ask(dns, name, Kind::Mx, pick).await?;
    Arc::make_mut(&mut answer.records).sort_by_key(|mx| mx.preference);
    Ok(answer)
}

/// Looks up IPv4 addresses.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn ipv4(dns: &dyn Resolver, name: &Name) -> Result<Answer<Ipv4Addr>, LookupError> {
    let pick = |record: &Record| if let Record::A(ip) = record { Some(*ip) } else { None };
    ask(dns, name, Kind::A, pick).await
}

/// Looks up IPv6 addresses.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn ipv6(dns: &dyn Resolver, name: &Name) -> Result<Answer<Ipv6Addr>, LookupError> {
    let pick = |record: &Record| if let Record::Aaaa(ip) = record { Some(*ip) } else { None };
    ask(dns, name, Kind::Aaaa, pick).await
}

/// Looks up addresses of both families at the same time; IPv4 comes first.
///
/// # Errors
/// Neither family has a record (the error is an absence), or one lookup failed and the other found none.
pub async fn addresses(dns: &dyn Resolver, name: &Name) -> Result<Answer<IpAddr>, LookupError> {
    let (v4, v6) = join(ipv4(dns, name), ipv6(dns, name)).await;
    match (v4.map(widen), v6.map(widen)) {
        (Ok(a), Ok(b)) => Ok(Answer {
            records: a.records.iter().chain(&*b.records).copied().collect(),
            security: a.security.min(b.security),
        }),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        // After a failure there may still be records; absence would claim that there are none.
        (Err(a), Err(b)) => Err(if a.is_absent() { b } else { a }),
    }
}

fn widen<T: Copy + Into<IpAddr>>(answer: Answer<T>) -> Answer<IpAddr> {
    let records = answer.records.iter().map(|&ip| ip.into()).collect();
    Answer { records, security: answer.security }
}

/// Looks up the names that an address points to.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn pointers(dns: &dyn Resolver, ip: IpAddr) -> Result<Answer<Name>, LookupError> {
    let pick = |record: &Record| if let Record::Ptr(name) = record { Some(name.clone()) } else { None };
    ask(dns, &reverse_name(ip), Kind::Ptr, pick).await
}

/// Looks up certificate associations.
///
/// # Errors
/// There is no such record, or the lookup failed.
pub async fn tlsa(dns: &dyn Resolver, name: &Name) -> Result<Answer<Tlsa>, LookupError> {
    let pick = |record: &Record| if let Record::Tlsa(tlsa) = record { Some(tlsa.clone()) } else { None };
    ask(dns, name, Kind::Tlsa, pick).await
}

/// Returns the name of the pointers of an address, under `in-addr.arpa` (RFC 1035 §3.5) or `ip6.arpa` (RFC 3596 §2.5). An
/// IPv4-mapped IPv6 address counts as IPv4.
pub fn reverse_name(ip: IpAddr) -> Name {
    let text = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().map(|b| format!("{:x}.{:x}.", b & 15, b >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    };
    text.parse().expect("digits and dots of bounded length are a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Zone, block_on_ready};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn reverse_names_of_both_families() {
        let check = |ip: &str, want: &str| assert_eq!(reverse_name(ip.parse().unwrap()).as_str(), want);
        check("192.0.2.1", "1.2.0.192.in-addr.arpa");
        check("::ffff:192.0.2.1", "1.2.0.192.in-addr.arpa");
        check("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }

    #[test]
    fn addresses_joins_both_families_with_the_weaker_verdict() {
        let zone = Zone::parse("!secure s.test.\ns.test. A 192.0.2.1\ns.test. AAAA 2001:db8::1").unwrap();
        let answer = block_on_ready(addresses(&zone, &name("s.test"))).unwrap();
        assert_eq!(answer.records.len(), 2);
        assert!(answer.is_secure());
    }

    #[test]
    fn addresses_tells_a_failure_from_absence() {
        let zone = Zone::parse("!servfail f.test. AAAA\na.test. TXT x\nb.test. A 192.0.2.1").unwrap();
        assert_eq!(
            block_on_ready(addresses(&zone, &name("f.test"))).unwrap_err().kind(),
            LookupErrorKind::Temporary,
            "the other family may have the records"
        );
        assert_eq!(
            block_on_ready(addresses(&zone, &name("a.test"))).unwrap_err().kind(),
            LookupErrorKind::NoData
        );
        assert_eq!(
            block_on_ready(addresses(&zone, &name("n.test"))).unwrap_err().kind(),
            LookupErrorKind::NoName
        );
        assert_eq!(block_on_ready(addresses(&zone, &name("b.test"))).unwrap().records.len(), 1);
    }

    #[test]
    fn mx_come_by_preference() {
        let zone = Zone::parse("m.test. MX 20 b.test.\nm.test. MX 10 a.test.").unwrap();
        let hosts = block_on_ready(mx(&zone, &name("m.test"))).unwrap().records;
        assert_eq!(hosts.iter().map(|m| m.preference).collect::<Vec<_>>(), [10, 20]);
    }
}
