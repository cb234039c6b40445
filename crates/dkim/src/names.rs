//! The names in a signature: its selector, its identity, and the fields it covers.

use crate::tags::{is_fws, list, trim};
use crate::{Error, ErrorKind};
use dns::{Domain, Name};
use std::fmt;
use std::str::FromStr;

/// The name of one of a domain's keys: the value of `s=` (RFC 6376 §3.1), in lower-case A-labels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector(Name);

impl Selector {
    /// Returns the selector as in DNS, without a trailing dot.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the name of the key record (RFC 6376 §3.6.2.1).
    ///
    /// # Errors
    /// Selector and domain together are too long for a name.
    pub fn key_name(&self, domain: &Domain) -> Result<Name, Error> {
        format!("{}._domainkey.{domain}", self.as_str())
            .parse()
            .map_err(|_| Error::about(ErrorKind::TagValue, b"s"))
    }
}

impl FromStr for Selector {
    type Err = Error;

    /// Accepts labels of letters, digits, hyphens and underscores, which some use. RFC 8616 §5: U-labels are mapped.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::about(ErrorKind::TagValue, b"s");
        if text.ends_with('.') {
            return Err(bad());
        }
        if !text.is_ascii() {
            let domain: Domain = text.parse().map_err(|_| bad())?;
            return Ok(Self(domain.name().clone()));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if !text.bytes().all(allowed) {
            return Err(bad());
        }
        Ok(Self(text.parse().map_err(|_| bad())?))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The agent or user on whose behalf the domain signed: the value of `i=` (RFC 6376 §3.5), decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    local: Option<Box<str>>,
    domain: Domain,
}

impl Identity {
    /// Creates an identity; without a local part it stands for the entire domain.
    ///
    /// # Errors
    /// The local part has a control character.
    pub fn new(local: Option<&str>, domain: Domain) -> Result<Self, Error> {
        if local.is_some_and(|local| local.chars().any(char::is_control)) {
            return Err(Error::about(ErrorKind::TagValue, b"i"));
        }
        Ok(Self { local: local.map(Box::from), domain })
    }

    /// The local part, if there is one.
    pub fn local(&self) -> Option<&str> {
        self.local.as_deref()
    }

    /// The domain: the signing domain, or one below it.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Parses the value of `i=`: dkim-quoted-printable, `@`, domain.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, Error> {
        let bad = || Error::about(ErrorKind::TagValue, b"i");
        // A domain has no `@`, so the last one separates, even if a quoted local part has more.
        let at = value.iter().rposition(|b| *b == b'@').ok_or_else(bad)?;
        let (local, domain) = value.split_at_checked(at).ok_or_else(bad)?;
        let local = String::from_utf8(decode_quoted(local)).map_err(|_| bad())?;
        let domain = std::str::from_utf8(trim(domain.get(1..).unwrap_or_default())).map_err(|_| bad())?;
        let domain = domain.parse().map_err(|_| bad())?;
        Self::new(Some(local.as_str()).filter(|local| !local.is_empty()), domain)
    }

    /// Returns the value of `i=`, in ASCII, so that it fits into a message that is not internationalised.
    pub(crate) fn encoded(&self) -> String {
        format!("{}@{}", encode_quoted(self.local.as_deref().unwrap_or_default().as_bytes()), self.domain)
    }
}

impl fmt::Display for Identity {
    /// Prints `local@domain`, or `@domain`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local.as_deref().unwrap_or_default(), self.domain)
    }
}

/// The names of the fields that a signature covers, in its order: the value of `h=`, such as `From:To:Subject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldNames(String);

impl FieldNames {
    /// Returns the names in their order, as written; each as often as fields of that name are covered.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(':')
    }

    /// Whether the name is among them, in any case.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|field| field.eq_ignore_ascii_case(name))
    }

    /// Creates the list from names that were checked before.
    pub(crate) fn known(names: &str) -> Self {
        Self(names.to_owned())
    }

    /// Parses the value of `h=`. RFC 6376 §3.5: it may name fields that do not exist, but must not be empty.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, Error> {
        let mut names = String::with_capacity(value.len());
        for name in list(value) {
            let text = std::str::from_utf8(name).ok().filter(|text| is_field_name(text));
            let text = text.ok_or_else(|| Error::about(ErrorKind::TagValue, b"h"))?;
            if !names.is_empty() {
                names.push(':');
            }
            names.push_str(text);
        }
        Ok(Self(names))
    }
}

/// RFC 5322 §3.6.8: printable ASCII without the colon. A semicolon cannot reach a tag value.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':' && b != b';')
}

impl FromStr for FieldNames {
    type Err = Error;

    /// Parses names with colons between them, as in `h=`.
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for FieldNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decodes dkim-quoted-printable (RFC 6376 §2.11). White space is not part of the text. An equals sign without two
/// hexadecimal digits after it stands for itself: some senders of tagged addresses do not encode it.
pub(crate) fn decode_quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if is_fws(first) {
            continue;
        }
        if *first == b'='
            && let Some((pair, after)) = tail.split_first_chunk::<2>()
            && let Some(byte) = hex_pair(*pair)
        {
            out.push(byte);
            rest = after;
            continue;
        }
        out.push(*first);
    }
    out
}

fn hex_pair([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// Encodes as dkim-quoted-printable; also the vertical bar, which separates the parts of `z=`.
pub(crate) fn encode_quoted(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            // RFC 6376 §2.11: dkim-safe-char is printable ASCII except semicolon and equals sign.
            b';' | b'=' | b'|' => out.push_str(&format!("={byte:02X}")),
            byte if byte.is_ascii_graphic() => out.push(char::from(*byte)),
            byte => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn identity(value: &str, want: Option<(&str, &str)>) {
        let found = Identity::parse(value.as_bytes()).ok();
        let shown = found.as_ref().map(|i| (i.local().unwrap_or_default(), i.domain().as_str()));
        assert_eq!(shown, want, "{value}");
        if let Some(identity) = found {
            assert_eq!(Identity::parse(identity.encoded().as_bytes()).as_ref(), Ok(&identity), "{value}");
        }
    }

    #[test]
    fn identities_are_decoded_and_encoded() {
        identity("joe@a.test", Some(("joe", "a.test")));
        identity("@A.test", Some(("", "a.test")));
        identity("joe=20doe@a.test", Some(("joe doe", "a.test")));
        identity("joe\r\n\t@a.test", Some(("joe", "a.test")));
        identity("\"a@b\"@a.test", Some(("\"a@b\"", "a.test")));
        // RFC 8616 §5: UTF-8 may stand as it is, in the local part and as U-labels.
        identity("jürgen@bücher.test", Some(("jürgen", "xn--bcher-kva.test")));
        identity("j=C3=BCrgen@a.test", Some(("jürgen", "a.test")));
        identity("bounce-a=b.test@a.test", Some(("bounce-a=b.test", "a.test")));
        identity("joe=3Ba=7Cb=3d@a.test", Some(("joe;a|b=", "a.test")));
        identity("joe", None);
        identity("joe@", None);
        identity("joe@a_b.test", Some(("joe", "a_b.test")));
        identity("joe@a b.test", None);
        identity("j=00oe@a.test", None);
        identity("j=FFoe@a.test", None);
    }

    #[test]
    fn selectors_are_labels() {
        let check = |text: &str, want: Option<&str>| {
            let found = text.parse::<Selector>().ok();
            assert_eq!(found.as_ref().map(Selector::as_str), want, "{text}");
        };
        check("2024-a.Mail", Some("2024-a.mail"));
        check("under_score", Some("under_score"));
        check("schlüssel", Some("xn--schlssel-95a"));
        check("", None);
        check("a..b", None);
        check("a.", None);
        check("schlüssel.", None);
        check("a b", None);
        check("a*", None);
    }

    #[test]
    fn field_names_are_a_list() {
        let check = |text: &str, want: Option<&str>| {
            let found = FieldNames::parse(text.as_bytes()).ok().map(|names| names.to_string());
            assert_eq!(found.as_deref(), want, "{text}");
        };
        check("From : to\r\n\t:X-=Odd", Some("From:to:X-=Odd"));
        check("", None);
        check("from:", None);
        check("from:a b", None);
        check("from:ü", None);
        assert!(FieldNames::parse(b"to:FROM").unwrap().contains("from"));
        assert!(!FieldNames::parse(b"from-x").unwrap().contains("from"));
    }
}
