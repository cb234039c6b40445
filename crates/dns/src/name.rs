//! [`Name`], [`Domain`] and [`Host`].

use crate::{NameError, NameErrorKind};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// RFC 1035 §2.3.4: bytes in one label.
pub const MAX_LABEL: usize = 63;
/// RFC 1035 §2.3.4: 255 bytes on the wire are at most 253 as text without the final dot.
pub const MAX_NAME: usize = 253;
/// Labels of the longest name: every label takes at least one byte and a dot.
pub const MAX_LABELS: usize = 127;

/// An absolute name as DNS knows it: any printable label, lower-case, written without the final dot.
///
/// Service names (`_dmarc.example.org`) and names from SPF macros are `Name`s but not [`Domain`]s. Names from macros may have
/// spaces, from a quoted local part or the `%_` of RFC 7208 §7.1.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Name {
    /// The root, written `.`; the exchange of a null MX (RFC 7505 §3).
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Creates a name from `label` (which may have dots) and `base` behind it.
    ///
    /// # Errors
    /// The joined text is too long for a name, or has characters that a name may not have.
    pub fn prefixed(label: &str, base: &Name) -> Result<Self, NameError> {
        format!("{label}.{base}").parse()
    }

    /// The name without a final dot; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is this the name without labels, `.`?
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }

    /// The name without its leftmost label; none for the root.
    pub fn parent(&self) -> Option<Name> {
        if self.is_root() {
            return None;
        }
        Some(self.0.split_once('.').map_or_else(Name::root, |(_, rest)| Name(Arc::from(rest))))
    }

    /// The name of the last `count` labels; the name itself if it has fewer. None if `count` is 0, and for the root.
    pub fn last_labels(&self, count: usize) -> Option<Name> {
        let dots = self.0.rmatch_indices('.').map(|(at, _)| at + 1);
        match count {
            _ if self.is_root() => None,
            0 => None,
            _ => Some(match { dots }.nth(count - 1) {
                Some(start) => Name(Arc::from(self.0.get(start..).unwrap_or_default())),
                None => self.clone(),
            }),
        }
    }

    /// Is this `other`, or a name below it?
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        other.is_root()
            || self.0.strip_suffix(other.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads a name with or without the final dot; letters are lower-cased.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::new(NameErrorKind::Empty));
        }
        // RFC 1035 §3.1: names are 255 octets or less.
        if text.len() > MAX_NAME {
            return Err(NameError::new(NameErrorKind::NameTooLong));
        }
        // One pass without an iterator of labels, because every lookup of a message parses a name.
        let (mut label, mut printable, mut upper) = (0, true, false);
        for b in text.bytes() {
            if b == b'.' {
                check_label(label)?;
                label = 0;
            } else {
                label += 1;
                printable &= matches!(b, b' '..=b'~');
                upper |= b.is_ascii_uppercase();
            }
        }
        check_label(label)?;
        if !printable {
            return Err(NameError::new(NameErrorKind::BadCharacter));
        }
        Ok(Self(if upper { Arc::from(text.to_ascii_lowercase()) } else { Arc::from(text) }))
    }
}

fn check_label(length: usize) -> Result<(), NameError> {
    match length {
        0 => Err(NameError::new(NameErrorKind::EmptyLabel)),
        1..=MAX_LABEL => Ok(()),
        // RFC 1035 §3.1: labels are 63 octets or less.
        _ => Err(NameError::new(NameErrorKind::LabelTooLong)),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The domain of a host or mailbox: letters, digits, underscores and inner hyphens, kept as lower-case A-labels
/// (RFC 5890 §2.3.2.1).
///
/// Two spellings that IDNA maps to the same name are equal, and a final dot makes no difference. RFC 5321 §4.1.2 allows no
/// underscores, but real senders use them, DNS and RFC 5322 allow them, and a From domain that we could not parse would
/// escape its DMARC policy. [`Domain::is_hostname`] is false for names with underscores.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Name);

impl Domain {
    /// Reads a domain that must be ASCII already, as in a session without SMTPUTF8. A-labels are accepted.
    ///
    /// # Errors
    /// The same as for [`Domain::from_str`]; every non-ASCII character is a bad character.
    pub fn from_ascii(text: &str) -> Result<Self, NameError> {
        if !text.is_ascii() {
            return Err(NameError::new(NameErrorKind::BadCharacter));
        }
        text.parse()
    }

    /// The name for lookups.
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// Lower-case A-labels, without a final dot.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The form for people: U-labels where the name is internationalised.
    pub fn unicode(&self) -> String {
        if self.as_str().split('.').any(|label| label.starts_with("xn--")) {
            let (text, result) = idna::domain_to_unicode(self.as_str());
            if result.is_ok() {
                return text;
            }
        }
        self.as_str().to_owned()
    }

    /// The domain without its leftmost label; none for a single label.
    pub fn parent(&self) -> Option<Domain> {
        self.0.parent().filter(|p| !p.is_root()).map(Domain)
    }

    /// Is this `other`, or a subdomain of it?
    pub fn is_at_or_below(&self, other: &Domain) -> bool {
        self.0.is_at_or_below(&other.0)
    }

    /// May a host have this name (RFC 1123 §2.1: letters, digits and hyphens)? False for names with an underscore.
    pub fn is_hostname(&self) -> bool {
        !self.as_str().contains('_')
    }

    /// Converts a name from an answer, if it is a valid domain.
    pub fn from_name(name: &Name) -> Option<Domain> {
        name.as_str().parse().ok()
    }
}

impl FromStr for Domain {
    type Err = NameError;

    /// Reads a domain with or without the final dot, in A-labels or U-labels of any case.
    fn from_str(text: &str) -> Result<Self, NameError> {
        // The common case needs no tables, because UTS 46 only lower-cases ASCII.
        let plain = text.is_ascii() && !text.split('.').any(is_a_label);
        let name: Name = if plain { text.parse()? } else { to_a_labels(text)?.parse()? };
        if name.is_root() {
            return Err(NameError::new(NameErrorKind::Empty));
        }
        for label in name.labels() {
            if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
                return Err(NameError::new(NameErrorKind::BadCharacter));
            }
            // RFC 5321 §4.1.2: sub-domain = Let-dig [Ldh-str].
            if label.starts_with('-') || label.ends_with('-') {
                return Err(NameError::new(NameErrorKind::BadHyphen));
            }
        }
        Ok(Self(name))
    }
}

fn is_a_label(label: &str) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
}

/// The text with each U-label mapped to its A-label, and each A-label checked (UTS 46).
fn to_a_labels(text: &str) -> Result<Cow<'_, str>, NameError> {
    // Limit the work of the mapping before it starts: a U-label is at most 4 times as long as its A-label.
    if text.len() > 4 * MAX_NAME {
        return Err(NameError::new(NameErrorKind::NameTooLong));
    }
    // The caller checks for bad characters: Punycode keeps ASCII unchanged, so none can hide in an A-label.
    let (any_ascii, hyphens) = (AsciiDenyList::EMPTY, Hyphens::CheckFirstLast);
    Uts46::new()
        .to_ascii(text.as_bytes(), any_ascii, hyphens, DnsLength::Ignore)
        .map_err(|_| NameError::new(NameErrorKind::BadInternational))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({self})")
    }
}

impl AsRef<Name> for Domain {
    fn as_ref(&self) -> &Name {
        &self.0
    }
}

/// A domain, or an address literal (RFC 5321 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name.
    Domain(Domain),
    /// An address literal.
    Ip(IpAddr),
}

impl Host {
    /// The domain, if it is one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Ip(_) => None,
        }
    }
}

impl fmt::Display for Host {
    /// Writes the form of SMTP: `example.org`, `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

impl FromStr for Host {
    type Err = NameError;

    /// Reads a domain, or an address literal with both brackets. IPv6 requires the `IPv6:` tag.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) else {
            return text.parse().map(Self::Domain);
        };
        let bad = || NameError::new(NameErrorKind::BadCharacter);
        match inner.split_at_checked(5) {
            Some((tag, ip)) if tag.eq_ignore_ascii_case("ipv6:") => {
                ip.parse::<Ipv6Addr>().map(|ip| Self::Ip(IpAddr::V6(ip))).map_err(|_| bad())
            }
            _ => inner.parse().map(|ip| Self::Ip(IpAddr::V4(ip))).map_err(|_| bad()),
        }
    }
}

#[cfg(test)]
#[path = "name_tests.rs"]
mod tests;
