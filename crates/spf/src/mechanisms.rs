//! The mechanisms of RFC 7208 §5.

use crate::checker::{Checker, Place, without_record};
use crate::domain_spec::Unusable;
use crate::lookups::{Found, Next, Upcoming, address_kind};
use crate::record::{DualPrefix, Mechanism, v4_covers, v6_covers};
use crate::{DomainSpec, Error, ErrorKind, Outcome};
use dns::{Kind, Mx, Name, Record, reverse_name};
use std::net::IpAddr;

/// RFC 7208 §4.6.4: hosts of one `mx`, and names of one `ptr` or `p` macro, whose addresses may be queried.
pub const MAX_NAMES: usize = 10;

/// The consequence of a failed query for the addresses of a host.
#[derive(Clone, Copy)]
enum Failing {
    /// RFC 7208 §5: a DNS error is a temperror.
    IsFatal,
    /// RFC 7208 §5.5: a DNS error while looking up an address: that name is skipped.
    IsSkipped,
}

impl Mechanism<'_> {
    /// Whether matching needs DNS.
    pub(crate) fn asks_dns(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4 { .. } | Self::Ip6 { .. })
    }

    /// Whether it matches; `None` if that needs DNS.
    pub(crate) fn matches_address(&self, ip: IpAddr) -> Option<bool> {
        match self {
            Self::All => Some(true),
            Self::Ip4 { network, prefix } => Some(v4_covers(*network, *prefix, ip)),
            Self::Ip6 { network, prefix } => Some(v6_covers(*network, *prefix, ip)),
            _ => None,
        }
    }
}

impl Checker<'_> {
    /// Whether a mechanism that queries DNS matches.
    pub(crate) async fn matches(
        &mut self,
        mechanism: &Mechanism<'_>,
        upcoming: &Upcoming<'_>,
    ) -> Result<bool, Error> {
        self.lookups.count_term()?;
        let target = match mechanism {
            Mechanism::Include(target) | Mechanism::Exists(target) => Some(target),
            Mechanism::A { target, .. } | Mechanism::Mx { target, .. } | Mechanism::Ptr(target) => {
                target.as_ref()
            }
            Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => None,
        };
        let domain = upcoming.place.domain;
        let name = match target {
            // Most targets have no macros, and then no future is needed.
            Some(target) => match target.without_macros() {
                Some(name) => name,
                None => self.target(target, domain).await?,
            },
            None => Ok(domain.clone()),
        };
        let name = match name {
            Ok(name) => name,
            // RFC 7208 §5.2: check_host() of a malformed domain says none (§4.3), which an include makes a permerror.
            Err(Unusable::Malformed) if matches!(mechanism, Mechanism::Include(_)) => {
                return Err(Error::new(ErrorKind::IncludeWithoutRecord));
            }
            // RFC 7208 §4.8: other malformed target-names are left open. They do not match here: what the sender puts into a
            // macro must not invalidate the record. RFC 8616 §4: a local part that is not ASCII does not match either.
            Err(_) => return Ok(false),
        };
        match mechanism {
            // RFC 7208 §5.2: pass matches; fail, softfail and neutral do not; none is a permerror; errors are passed on.
            Mechanism::Include(_) => {
                let place = upcoming.place;
                let there = Place { domain: &name, depth: place.depth + 1, including: Some(upcoming) };
                match self.check_host(&there).await {
                    Ok(outcome) => Ok(outcome == Outcome::Pass),
                    Err(error) => Err(without_record(error, ErrorKind::IncludeWithoutRecord)),
                }
            }
            // RFC 7208 §5: A records are fetched for an IPv4 client, AAAA records for an IPv6 client.
            Mechanism::A { prefix, .. } => {
                let kind = address_kind(self.query.ip);
                let found = self.lookups.ask(&name, kind, Next::Terms(upcoming)).await?;
                Ok(self.is_covered(&found, *prefix))
            }
            Mechanism::Mx { prefix, .. } => self.mx(&name, *prefix, upcoming).await,
            Mechanism::Ptr(_) => self.ptr(&name).await,
            // RFC 7208 §5.7: an A query even when the connection is IPv6; any record matches.
            Mechanism::Exists(_) => {
                let found = self.lookups.ask(&name, Kind::A, Next::Terms(upcoming)).await?;
                Ok(!found.is_empty())
            }
            Mechanism::All | Mechanism::Ip4 { .. } | Mechanism::Ip6 { .. } => Ok(false),
        }
    }

    /// Returns the target-name of a domain-spec (RFC 7208 §4.8).
    pub(crate) async fn target(
        &mut self,
        target: &DomainSpec<'_>,
        domain: &Name,
    ) -> Result<Result<Name, Unusable>, Error> {
        if let Some(name) = target.without_macros() {
            return Ok(name);
        }
        let validated = if target.needs_validated_name() {
            // Boxed, because hardly any record needs it and it would enlarge the future of every include.
            Box::pin(self.validated_name(domain)).await?
        } else {
            None
        };
        Ok(target.target(&self.values(domain, validated.as_ref())))
    }

    /// Whether one of the addresses, with the prefix, covers the client's.
    fn is_covered(&self, found: &Found, prefix: DualPrefix) -> bool {
        found.iter().filter_map(address).any(|network| prefix.covers(network, self.query.ip))
    }

    /// Returns the first of a term's hosts that has an address which covers the client's.
    async fn first_covering<'h>(
        &mut self,
        hosts: &'h [Name],
        prefix: DualPrefix,
        failing: Failing,
    ) -> Result<Option<&'h Name>, Error> {
        let kind = address_kind(self.query.ip);
        let (mut silent, mut answered) = (false, false);
        for host in hosts {
            let found = match self.lookups.ask_uncounted(host, kind, Next::Hosts(hosts, kind)).await {
                Err(_) if matches!(failing, Failing::IsSkipped) => continue,
                found => found?,
            };
            if self.is_covered(&found, prefix) {
                return Ok(Some(host));
            }
            silent |= found.is_empty();
            answered |= !found.is_empty();
        }
        // RFC 7208 §4.6.4: the number of terms whose queries return nothing is limited. So the hosts of a term count once,
        // however many they are, and not at all if one has addresses: many hosts have none of the client's family.
        if silent && !answered {
            self.lookups.count_void()?;
        }
        Ok(None)
    }

    async fn mx(&mut self, name: &Name, prefix: DualPrefix, upcoming: &Upcoming<'_>) -> Result<bool, Error> {
        let found = self.lookups.ask(name, Kind::Mx, Next::Terms(upcoming)).await?;
        let exchanges = found.iter().filter_map(|r| if let Record::Mx(mx) = r { Some(mx) } else { None });
        // RFC 7505 §3: a null MX names no host.
        let mut exchanges: Vec<&Mx> = exchanges.filter(|mx| !mx.exchange.is_root()).collect();
        exchanges.sort_by_key(|mx| mx.preference);
        let hosts: Vec<Name> = exchanges.into_iter().map(|mx| mx.exchange.clone()).collect();
        let asked = hosts.get(..self.lookups.count_hosts(hosts.len())).unwrap_or(&hosts);
        if self.first_covering(asked, prefix, Failing::IsFatal).await?.is_some() {
            return Ok(true);
        }
        // RFC 7208 §4.6.4: at most 10 hosts are queried; more are a permerror.
        if hosts.len() > asked.len() { Err(Error::new(ErrorKind::TooManyHosts)) } else { Ok(false) }
    }

    async fn ptr(&mut self, target: &Name) -> Result<bool, Error> {
        let mut names = self.pointers().await?;
        names.retain(|name| name.is_at_or_below(target));
        Ok(self.first_validated(&names).await?.is_some())
    }

    /// Returns the value of the `p` macro (RFC 7208 §7.3): the domain itself, else a subdomain, else any other name.
    pub(crate) async fn validated_name(&mut self, domain: &Name) -> Result<Option<Name>, Error> {
        self.lookups.count_term()?;
        let mut names = self.pointers().await?;
        names.sort_by_key(|name| (name != domain, !name.is_at_or_below(domain)));
        Ok(self.first_validated(&names).await?.cloned())
    }

    /// Returns up to [`MAX_NAMES`] names that the client's address points to.
    async fn pointers(&mut self) -> Result<Vec<Name>, Error> {
        let found = match self.lookups.ask(&reverse_name(self.query.ip), Kind::Ptr, Next::Unknown).await {
            // RFC 7208 §5.5: a DNS error while looking up PTR: no match.
            Err(error) if error.kind() == ErrorKind::Dns => return Ok(Vec::new()),
            found => found?,
        };
        let name = |record: &Record| if let Record::Ptr(name) = record { Some(name.clone()) } else { None };
        // RFC 7208 §4.6.4: all records other than the first 10 must be ignored.
        Ok(found.iter().filter_map(name).take(MAX_NAMES).collect())
    }

    /// Returns the first name that has the client's address.
    async fn first_validated<'n>(&mut self, names: &'n [Name]) -> Result<Option<&'n Name>, Error> {
        // RFC 7208 §4.6.4: names beyond the limit are ignored.
        let names = names.get(..self.lookups.count_hosts(names.len())).unwrap_or(names);
        self.first_covering(names, DualPrefix::default(), Failing::IsSkipped).await
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match record {
        Record::A(ip) => Some(IpAddr::V4(*ip)),
        Record::Aaaa(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}
