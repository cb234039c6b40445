//! Reading a record (RFC 7208 §4.5 to §6, and the collected grammar of §12).

use super::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, Record};
use crate::domain_spec::{Use, check_macros};
use crate::{DomainSpec, Error, ErrorKind};
use bstr::ByteSlice;
use std::borrow::Cow;
use std::net::Ipv4Addr;

/// Octets of the longest record: RFC 1035 §3.2.1 gives the data of one record a length of 16 bits.
pub const MAX_RECORD: usize = 65_535;

/// Room for so many directives is made at once; more grow it.
const USUAL_TERMS: usize = 8;

const VERSION: &[u8] = b"v=spf1";

/// RFC 7208 §4.5: the version section is terminated by a space or the end of the record.
pub(crate) fn is_record(text: &[u8]) -> bool {
    terms_of(text).is_some()
}

/// What follows the version section.
fn terms_of(text: &[u8]) -> Option<&[u8]> {
    let (version, terms) = text.split_at_checked(VERSION.len())?;
    let ended = terms.first().is_none_or(|&b| b == b' ');
    (ended && (version == VERSION || version.eq_ignore_ascii_case(VERSION))).then_some(terms)
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
        // RFC 7208 §7.1: only visible ASCII has a place in a term; internationalised names are A-labels. One look at the
        // whole record spares every term its own.
        if terms.iter().fold(0, |strange, &b| strange | u8::from(!matches!(b, b' '..=b'~'))) != 0 {
            return Err(bad_octet(terms));
        }
        let mut rest = str::from_utf8(terms).map_err(|_| Error::new(ErrorKind::BadCharacter))?;
        let mut record = Self { directives: Vec::with_capacity(USUAL_TERMS), ..Self::default() };
        // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ).
        while let Some(after) = rest.strip_prefix(' ') {
            let (term, after) = after.split_at(after.as_bytes().find_byte(b' ').unwrap_or(after.len()));
            if !term.is_empty() {
                let position = text.len() - after.len() - term.len();
                record.term(term).map_err(|kind| Error::in_term(kind, term.as_bytes(), position))?;
            }
            rest = after;
        }
        Ok(record)
    }

    fn term(&mut self, term: &'a str) -> Result<(), ErrorKind> {
        let end = term.bytes().position(|b| matches!(b, b':' | b'/' | b'=')).unwrap_or(term.len());
        let (name, argument) = term.split_at(end);
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

/// The term that has an octet beyond visible ASCII.
fn bad_octet(terms: &[u8]) -> Error {
    let mut position = VERSION.len();
    for term in terms.split(|&b| b == b' ') {
        if !term.iter().all(u8::is_ascii_graphic) {
            return Error::in_term(ErrorKind::BadCharacter, term, position);
        }
        position += term.len() + 1;
    }
    Error::new(ErrorKind::BadCharacter)
}

/// RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A mechanism from its name, qualifier included, and all that follows it.
fn directive<'a>(name: &'a str, argument: &'a str) -> Result<Directive<'a>, ErrorKind> {
    let sign = match name.as_bytes().first() {
        Some(b'+') => Some(Qualifier::Pass),
        Some(b'-') => Some(Qualifier::Fail),
        Some(b'~') => Some(Qualifier::Softfail),
        Some(b'?') => Some(Qualifier::Neutral),
        _ => None,
    };
    let name = if sign.is_some() { name.get(1..).unwrap_or_default() } else { name };
    Ok(Directive { qualifier: sign.unwrap_or_default(), mechanism: mechanism(name, argument)? })
}

fn mechanism<'a>(name: &str, argument: &'a str) -> Result<Mechanism<'a>, ErrorKind> {
    // RFC 7208 §4.6.1: mechanism names are case-insensitive. The most frequent come first.
    let is = |word: &str| name.eq_ignore_ascii_case(word);
    if is("ip4") {
        let (network, prefix) = network(argument, 32, ip4_network)?;
        Ok(Mechanism::Ip4 { network, prefix })
    } else if is("include") {
        required_target(argument).map(Mechanism::Include)
    } else if is("all") {
        if argument.is_empty() { Ok(Mechanism::All) } else { Err(ErrorKind::BadArgument) }
    } else if is("ip6") {
        let (network, prefix) = network(argument, 128, |text| text.parse().ok())?;
        Ok(Mechanism::Ip6 { network, prefix })
    } else if is("a") {
        let (target, prefix) = dual_prefix(argument)?;
        Ok(Mechanism::A { target: optional_target(target)?, prefix })
    } else if is("mx") {
        let (target, prefix) = dual_prefix(argument)?;
        Ok(Mechanism::Mx { target: optional_target(target)?, prefix })
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
fn network<T>(argument: &str, longest: u8, read: impl Fn(&str) -> Option<T>) -> Result<(T, u8), ErrorKind> {
    let argument = argument.strip_prefix(':').ok_or(ErrorKind::BadArgument)?;
    let (address, length) = match argument.as_bytes().find_byte(b'/') {
        Some(end) => {
            let (address, length) = argument.split_at(end);
            (address, prefix_length(length.strip_prefix('/').unwrap_or(length), longest)?)
        }
        None => (argument, longest),
    };
    Ok((read(address).ok_or(ErrorKind::BadAddress)?, length))
}

/// RFC 7208 §5.6: ip4-network, four numbers to 255 without leading zeros.
fn ip4_network(text: &str) -> Option<Ipv4Addr> {
    let (mut network, mut dots, mut octet) = (0, 0, None);
    for &b in text.as_bytes() {
        octet = match (b, octet) {
            (b'0'..=b'9', None) => Some(u32::from(b - b'0')),
            (b'0'..=b'9', Some(number @ 1..=25)) => Some(number * 10 + u32::from(b - b'0')),
            (b'.', Some(number @ 0..=255)) => {
                network = network << 8 | number;
                dots += 1;
                None
            }
            _ => return None,
        };
    }
    let last = octet.filter(|&number| number <= 255 && dots == 3)?;
    Some(Ipv4Addr::from_bits(network << 8 | last))
}

/// RFC 7208 §5.6: "0", or digits without a leading zero, within the range.
fn prefix_length(digits: &str, longest: u8) -> Result<u8, ErrorKind> {
    number(digits.as_bytes()).filter(|&length| length <= longest).ok_or(ErrorKind::BadPrefixLength)
}

/// A decimal number from 0 to 255 without leading zeros.
fn number(digits: &[u8]) -> Option<u8> {
    let digit = |b: u8| b.is_ascii_digit().then(|| u16::from(b - b'0'));
    let number = match *digits {
        [a] => digit(a)?,
        [a @ b'1'..=b'9', b] => digit(a)? * 10 + digit(b)?,
        [a @ b'1'..=b'9', b, c] => digit(a)? * 100 + digit(b)? * 10 + digit(c)?,
        _ => return None,
    };
    u8::try_from(number).ok()
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
