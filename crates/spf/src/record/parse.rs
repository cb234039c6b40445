//! Reading a record (RFC 7208 §4.5 to §6, and the collected grammar of §12).

use super::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, Record};
use crate::domain_spec::{Use, check_macros};
use crate::{DomainSpec, Error, ErrorKind};
use std::borrow::Cow;

/// Octets of the longest record: RFC 1035 §3.2.1 gives the data of one record a length of 16 bits.
pub const MAX_RECORD: usize = 65_535;

const VERSION: &[u8] = b"v=spf1";

/// RFC 7208 §4.5: the version section is terminated by a space or the end of the record.
pub(crate) fn is_record(text: &[u8]) -> bool {
    terms_of(text).is_some()
}

/// What follows the version section.
fn terms_of(text: &[u8]) -> Option<&[u8]> {
    let (version, terms) = text.split_at_checked(VERSION.len())?;
    let ended = terms.first().is_none_or(|&b| b == b' ');
    (ended && version.eq_ignore_ascii_case(VERSION)).then_some(terms)
}

impl<'a> Record<'a> {
    /// Reads the text of a TXT record, its strings joined.
    ///
    /// # Errors
    /// The first fault of syntax with its term. RFC 7208 §4.6: one anywhere spoils the record.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        if text.len() > MAX_RECORD {
            return Err(Error::new(ErrorKind::RecordTooLong));
        }
        let terms = terms_of(text).ok_or_else(|| Error::new(ErrorKind::BadVersion))?;
        let mut record = Self::default();
        let mut position = VERSION.len();
        // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ).
        for term in terms.split(|&b| b == b' ') {
            if !term.is_empty() {
                record.term(term).map_err(|kind| Error::in_term(kind, term, position))?;
            }
            position += term.len() + 1;
        }
        Ok(record)
    }

    fn term(&mut self, term: &'a [u8]) -> Result<(), ErrorKind> {
        // RFC 7208 §7.1: only visible ASCII has a place in a term; internationalised names are A-labels.
        let text = str::from_utf8(term).ok().filter(|t| t.is_ascii()).ok_or(ErrorKind::BadDomainSpec)?;
        let end = text.bytes().position(|b| matches!(b, b':' | b'/' | b'=')).unwrap_or(text.len());
        let (name, argument) = text.split_at(end);
        // RFC 7208 §4.6.1: modifiers have an equals sign right after the name, before any ":" or "/".
        match argument.strip_prefix('=') {
            Some(value) if is_name(name) => self.modifier(name, value),
            _ => {
                self.directives.push(directive(name, argument)?);
                Ok(())
            }
        }
    }

    fn modifier(&mut self, name: &'a str, value: &'a str) -> Result<(), ErrorKind> {
        let slot = if name.eq_ignore_ascii_case("redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case("exp") {
            &mut self.explanation
        } else {
            check_macros(value, Use::Unknown)?;
            self.unknown.push(Modifier { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
            return Ok(());
        };
        let target = DomainSpec::parse(value)?;
        // RFC 7208 §6: these two modifiers must not appear in a record more than once each.
        match slot.replace(target) {
            Some(_) => Err(ErrorKind::RepeatedModifier),
            None => Ok(()),
        }
    }
}

/// RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A mechanism from its name, qualifier included, and all that follows it.
fn directive<'a>(name: &'a str, argument: &'a str) -> Result<Directive<'a>, ErrorKind> {
    let (qualifier, name) = match name.split_at_checked(1) {
        Some(("+", name)) => (Qualifier::Pass, name),
        Some(("-", name)) => (Qualifier::Fail, name),
        Some(("~", name)) => (Qualifier::Softfail, name),
        Some(("?", name)) => (Qualifier::Neutral, name),
        _ => (Qualifier::Pass, name),
    };
    Ok(Directive { qualifier, mechanism: mechanism(name, argument)? })
}

fn mechanism<'a>(name: &str, argument: &'a str) -> Result<Mechanism<'a>, ErrorKind> {
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if is("ip4") {
        let (network, prefix) = network(argument, 32)?;
        Ok(Mechanism::Ip4 { network, prefix })
    } else if is("ip6") {
        let (network, prefix) = network(argument, 128)?;
        Ok(Mechanism::Ip6 { network, prefix })
    } else if is("include") {
        required_target(argument).map(Mechanism::Include)
    } else if is("a") {
        let (target, prefix) = dual_prefix(argument)?;
        Ok(Mechanism::A { target: optional_target(target)?, prefix })
    } else if is("mx") {
        let (target, prefix) = dual_prefix(argument)?;
        Ok(Mechanism::Mx { target: optional_target(target)?, prefix })
    } else if is("all") {
        if argument.is_empty() { Ok(Mechanism::All) } else { Err(ErrorKind::BadArgument) }
    } else if is("exists") {
        required_target(argument).map(Mechanism::Exists)
    } else if is("ptr") {
        optional_target(argument).map(Mechanism::Ptr)
    } else {
        Err(ErrorKind::UnknownMechanism)
    }
}

fn required_target(argument: &str) -> Result<DomainSpec<'_>, ErrorKind> {
    DomainSpec::parse(argument.strip_prefix(':').ok_or(ErrorKind::BadArgument)?)
}

fn optional_target(argument: &str) -> Result<Option<DomainSpec<'_>>, ErrorKind> {
    if argument.is_empty() { Ok(None) } else { required_target(argument).map(Some) }
}

/// The address and prefix length of `ip4` and `ip6`.
fn network<T: std::str::FromStr>(argument: &str, longest: u8) -> Result<(T, u8), ErrorKind> {
    let argument = argument.strip_prefix(':').ok_or(ErrorKind::BadArgument)?;
    let (address, length) = match argument.split_once('/') {
        Some((address, length)) => (address, prefix_length(length, longest)?),
        None => (argument, longest),
    };
    Ok((address.parse().map_err(|_| ErrorKind::BadAddress)?, length))
}

/// RFC 7208 §5.6: "0", or digits without a leading zero, within the range.
fn prefix_length(digits: &str, longest: u8) -> Result<u8, ErrorKind> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let length = if plain { digits.parse().ok() } else { None };
    length.filter(|&length| length <= longest).ok_or(ErrorKind::BadPrefixLength)
}

/// Cuts a dual-cidr-length off the end: `/n`, `//n` or `/n//n`. A "/" is a character of macro strings too, so only
/// digits up to the end make a prefix length.
fn dual_prefix(argument: &str) -> Result<(&str, DualPrefix), ErrorKind> {
    let mut prefix = DualPrefix::WHOLE;
    let mut rest = argument;
    if let Some((before, digits)) = cut_number(rest)
        && let Some(before) = before.strip_suffix('/')
    {
        prefix.v6 = prefix_length(digits, 128)?;
        rest = before;
    }
    if let Some((before, digits)) = cut_number(rest) {
        prefix.v4 = prefix_length(digits, 32)?;
        rest = before;
    }
    Ok((rest, prefix))
}

/// The text before a final `/digits`, and the digits.
fn cut_number(text: &str) -> Option<(&str, &str)> {
    let (before, digits) = text.rsplit_once('/')?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some((before, digits))
}
