//! The record types that mail uses.

use crate::Name;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record type that can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// IPv4 address.
    A,
    /// IPv6 address.
    Aaaa,
    /// Mail exchange.
    Mx,
    /// Text.
    Txt,
    /// Pointer, for reverse names.
    Ptr,
    /// Certificate association (RFC 6698 §2).
    Tlsa,
    /// Alias. Only checks of a domain's configuration look it up; resolvers follow aliases by themselves.
    Cname,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Ptr => "PTR",
            Self::Tlsa => "TLSA",
            Self::Cname => "CNAME",
        })
    }
}

/// The data of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// Mail exchange.
    Mx(Mx),
    /// The character-strings of one TXT record joined without a separator (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
    Txt(Vec<u8>),
    /// The name a reverse name points to.
    Ptr(Name),
    /// Certificate association.
    Tlsa(Tlsa),
    /// The name an alias stands for.
    Cname(Name),
}

impl Record {
    /// The type of this record.
    pub fn kind(&self) -> Kind {
        match self {
            Self::A(_) => Kind::A,
            Self::Aaaa(_) => Kind::Aaaa,
            Self::Mx(_) => Kind::Mx,
            Self::Txt(_) => Kind::Txt,
            Self::Ptr(_) => Kind::Ptr,
            Self::Tlsa(_) => Kind::Tlsa,
            Self::Cname(_) => Kind::Cname,
        }
    }
}

/// A mail exchange.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first (RFC 5321 §5.1).
    pub preference: u16,
    /// The host; the root in a null MX (RFC 7505 §3).
    pub exchange: Name,
}

/// A certificate association (RFC 6698 §2.1). Values that are not known yet survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// Certificate usage, §2.1.1.
    pub usage: u8,
    /// Selector, §2.1.2.
    pub selector: u8,
    /// Matching type, §2.1.3.
    pub matching: u8,
    /// Certificate association data, §2.1.4.
    pub data: Vec<u8>,
}
