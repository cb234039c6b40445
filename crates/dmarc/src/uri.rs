//! [`Uri`]: the address of reports.

use crate::Rules;
use dns::Domain;
use std::fmt;

/// Addresses kept of one list. RFC 7489 §6.2 asks for at least two.
pub const MAX_URIS: usize = 16;

/// The address of a report (RFC 9989 §4.6), with the size that RFC 7489 §6.2 lets its owner set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    address: String,
    max_size: Option<u64>,
}

impl Uri {
    /// Parses one address; `None` if it is not a URI. By RFC 9989 a size behind `!` is ignored.
    pub fn parse(text: &str, rules: Rules) -> Option<Self> {
        // RFC 9989 §4.8: commas and exclamation marks inside the URI are percent-encoded.
        let (address, size) = text.split_once('!').map_or((text, None), |(a, size)| (a, Some(size)));
        let (scheme, rest) = address.split_once(':')?;
        // RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
        let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let rest_fits =
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b';'));
        if !scheme_fits || !rest_fits {
            return None;
        }
        let max_size = match (rules, size) {
            (Rules::Rfc7489, Some(size)) => Some(size_in_bytes(size)?),
            _ => None,
        };
        Some(Self { address: address.to_owned(), max_size })
    }

    /// The URI itself.
    pub fn as_str(&self) -> &str {
        &self.address
    }

    /// RFC 7489 §6.2: bytes of the largest report that the owner accepts.
    pub fn max_size(&self) -> Option<u64> {
        self.max_size
    }

    /// The mailbox of a `mailto:` URI, still percent-encoded; `None` for other schemes.
    pub fn mailbox(&self) -> Option<&str> {
        let (scheme, rest) = self.address.split_once(':')?;
        let mailbox = rest.split_once('?').map_or(rest, |(mailbox, _)| mailbox);
        scheme.eq_ignore_ascii_case("mailto").then_some(mailbox)
    }

    /// The domain of the mailbox; `None` if this is not a `mailto:` URI with a domain.
    pub fn domain(&self) -> Option<Domain> {
        self.mailbox()?.rsplit_once('@')?.1.parse().ok()
    }
}

/// RFC 7489 §6.4: `1*DIGIT [ "k" / "m" / "g" / "t" ]`, in powers of two (§6.2).
fn size_in_bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().split_last()? {
        (b'k' | b'K', digits) => (digits, 10),
        (b'm' | b'M', digits) => (digits, 20),
        (b'g' | b'G', digits) => (digits, 30),
        (b't' | b'T', digits) => (digits, 40),
        _ => (text.as_bytes(), 0),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.checked_mul(1 << shift)
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        self.max_size.map_or(Ok(()), |size| write!(f, "!{size}"))
    }
}
