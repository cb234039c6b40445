//! The record: its directives and modifiers, which RFC 7208 §4.6.1 calls terms.

mod network;
mod parse;
mod print;

use crate::{DomainSpec, Error, Outcome};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

pub use parse::MAX_RECORD;
pub(crate) use parse::{Reading, is_record};

/// An SPF record. It borrows from the text it was parsed from; `str::parse` returns one that owns its parts.
///
/// It prints in plain form: mechanism names in lower case, single spaces, modifiers at the end, no `+`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record<'a> {
    directives: Vec<Directive<'a>>,
    redirect: Option<DomainSpec<'a>>,
    explanation: Option<DomainSpec<'a>>,
    unknown: Vec<Modifier<'a>>,
}

/// A mechanism with the result of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Directive<'a> {
    /// The result of a match.
    pub qualifier: Qualifier,
    /// What the client has to match.
    pub mechanism: Mechanism<'a>,
}

/// The sign before a mechanism (RFC 7208 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Qualifier {
    /// `+`, or no sign.
    #[default]
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

impl Qualifier {
    /// Returns the result of a match.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Pass => Outcome::Pass,
            Self::Fail => Outcome::Fail,
            Self::SoftFail => Outcome::SoftFail,
            Self::Neutral => Outcome::Neutral,
        }
    }
}

/// What a client is matched against (RFC 7208 §5); exhaustive, since the RFC closes the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism<'a> {
    /// Always matches (§5.1).
    All,
    /// The record of another domain says pass (§5.2).
    Include(DomainSpec<'a>),
    /// An address of a name (§5.3).
    A {
        /// The name; by default the record's own domain.
        target: Option<DomainSpec<'a>>,
        /// Leading bits that are compared.
        prefix: DualPrefix,
    },
    /// An address of a mail exchange (§5.4).
    Mx {
        /// The name that has the exchanges; by default the record's own domain.
        target: Option<DomainSpec<'a>>,
        /// Leading bits that are compared.
        prefix: DualPrefix,
    },
    /// The validated name of the address is at or below a name (§5.5).
    Ptr(Option<DomainSpec<'a>>),
    /// A network of IPv4 (§5.6).
    Ip4 {
        /// An address of the network.
        network: Ipv4Addr,
        /// Leading bits that are compared, 0 to 32.
        prefix: u8,
    },
    /// A network of IPv6 (§5.6).
    Ip6 {
        /// An address of the network.
        network: Ipv6Addr,
        /// Leading bits that are compared, 0 to 128.
        prefix: u8,
    },
    /// A name has any IPv4 address (§5.7).
    Exists(DomainSpec<'a>),
}

/// Prefix lengths for both families (RFC 7208 §5.6, dual-cidr-length).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DualPrefix {
    /// For IPv4, 0 to 32.
    pub v4: u8,
    /// For IPv6, 0 to 128.
    pub v6: u8,
}

impl DualPrefix {
    // RFC 7208 §5.6: if omitted, the lengths are /32 and /128.
    const WHOLE: Self = Self { v4: 32, v6: 128 };

    /// Whether both addresses are of one family and in one network.
    pub(crate) fn covers(self, network: IpAddr, ip: IpAddr) -> bool {
        match network {
            IpAddr::V4(network) => v4_covers(network, self.v4, ip),
            IpAddr::V6(network) => v6_covers(network, self.v6, ip),
        }
    }
}

impl Default for DualPrefix {
    fn default() -> Self {
        Self::WHOLE
    }
}

pub(crate) fn v4_covers(network: Ipv4Addr, prefix: u8, ip: IpAddr) -> bool {
    let IpAddr::V4(ip) = ip else { return false };
    let differing = network.to_bits() ^ ip.to_bits();
    differing.leading_zeros() >= u32::from(prefix)
}

pub(crate) fn v6_covers(network: Ipv6Addr, prefix: u8, ip: IpAddr) -> bool {
    let IpAddr::V6(ip) = ip else { return false };
    let differing = network.to_bits() ^ ip.to_bits();
    differing.leading_zeros() >= u32::from(prefix)
}

/// A modifier that this crate gives no meaning (RFC 7208 §6: unrecognized modifiers are ignored).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modifier<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
}

impl Modifier<'_> {
    /// The name as published.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value as published, a macro string.
    pub fn value(&self) -> &str {
        &self.value
    }

    fn into_owned(self) -> Modifier<'static> {
        Modifier { name: Cow::Owned(self.name.into_owned()), value: Cow::Owned(self.value.into_owned()) }
    }
}

impl<'a> Record<'a> {
    /// The mechanisms with their qualifiers, in order.
    pub fn directives(&self) -> &[Directive<'a>] {
        &self.directives
    }

    /// The domain whose record counts if nothing matches (RFC 7208 §6.1). Without effect beside an `all`.
    pub fn redirect(&self) -> Option<&DomainSpec<'a>> {
        self.redirect.as_ref()
    }

    /// The name at which the explanation of a fail is published: the `exp` modifier (RFC 7208 §6.2).
    pub fn explanation(&self) -> Option<&DomainSpec<'a>> {
        self.explanation.as_ref()
    }

    /// The modifiers that are ignored.
    pub fn unknown_modifiers(&self) -> &[Modifier<'a>] {
        &self.unknown
    }

    /// Bytes that an owned record takes for its terms, beside their text.
    pub(crate) fn terms_size(&self) -> usize {
        // The text of a term is an allocation of its own; a modifier has two.
        const ALLOCATION: usize = 32;
        self.directives.capacity() * (size_of::<Directive<'_>>() + ALLOCATION)
            + self.unknown.capacity() * (size_of::<Modifier<'_>>() + 2 * ALLOCATION)
    }

    /// Copies the texts, so that nothing is borrowed.
    pub fn into_owned(self) -> Record<'static> {
        Record {
            directives: self.directives.into_iter().map(Directive::into_owned).collect(),
            redirect: self.redirect.map(DomainSpec::into_owned),
            explanation: self.explanation.map(DomainSpec::into_owned),
            unknown: self.unknown.into_iter().map(Modifier::into_owned).collect(),
        }
    }
}

impl Directive<'_> {
    /// Copies the texts, so that nothing is borrowed.
    pub fn into_owned(self) -> Directive<'static> {
        Directive { qualifier: self.qualifier, mechanism: self.mechanism.into_owned() }
    }
}

impl Mechanism<'_> {
    fn into_owned(self) -> Mechanism<'static> {
        match self {
            Self::All => Mechanism::All,
            Self::Include(target) => Mechanism::Include(target.into_owned()),
            Self::A { target, prefix } => Mechanism::A { target: target.map(DomainSpec::into_owned), prefix },
            Self::Mx { target, prefix } => {
                Mechanism::Mx { target: target.map(DomainSpec::into_owned), prefix }
            }
            Self::Ptr(target) => Mechanism::Ptr(target.map(DomainSpec::into_owned)),
            Self::Ip4 { network, prefix } => Mechanism::Ip4 { network, prefix },
            Self::Ip6 { network, prefix } => Mechanism::Ip6 { network, prefix },
            Self::Exists(target) => Mechanism::Exists(target.into_owned()),
        }
    }
}

impl FromStr for Record<'static> {
    type Err = Error;

    /// Parses as [`Record::parse`] does, but the record owns its parts.
    fn from_str(text: &str) -> Result<Self, Error> {
        Record::parse(text.as_bytes()).map(Record::into_owned)
    }
}

#[cfg(test)]
mod tests;
