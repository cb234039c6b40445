//! Reading a record (RFC 7208 §4.5 to §6, and the collected grammar of §12).

use super::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, Record};
use crate::domain_spec::{Use, check_macros};
use crate::{DomainSpec, Error, ErrorKind};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

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
        let mut record = Self { directives: Vec::with_capacity(USUAL_TERMS), ..Self::default() };
        let mut rest = terms;
        // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ). What a term leaves begins with a blank.
        while let Some((&first, after)) = rest.split_first() {
            rest = match first {
                b' ' => after,
                _ => record.term(rest).map_err(|kind| fault(kind, rest, text.len() - rest.len()))?,
            };
        }
        Ok(record)
    }

    /// Reads the term at the beginning, and returns what is after it.
    fn term(&mut self, text: &'a [u8]) -> Result<&'a [u8], ErrorKind> {
        let (qualifier, signed) = match text {
            [b'+', signed @ ..] => (Qualifier::Pass, signed),
            [b'-', signed @ ..] => (Qualifier::Fail, signed),
            [b'~', signed @ ..] => (Qualifier::Softfail, signed),
            [b'?', signed @ ..] => (Qualifier::Neutral, signed),
            _ => (Qualifier::Pass, text),
        };
        let end = signed.iter().position(|b| matches!(b, b' ' | b':' | b'/' | b'='));
        let (name, argument) = signed.split_at(end.unwrap_or(signed.len()));
        match argument.strip_prefix(b"=") {
            // RFC 7208 §4.6.1: modifiers have an equals sign right after the name, before any ":" or "/".
            Some(value) if is_name(name) && signed.len() == text.len() => self.modifier(name, value),
            _ => self.directive(qualifier, name, argument),
        }
    }

    fn directive(
        &mut self,
        qualifier: Qualifier,
        name: &[u8],
        argument: &'a [u8],
    ) -> Result<&'a [u8], ErrorKind> {
        // RFC 7208 §4.6.1: mechanism names are case-insensitive. The most frequent come first.
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if is("ip4") {
            return self.ip4(qualifier, argument);
        } else if is("ip6") {
            return self.ip6(qualifier, argument);
        }
        let (argument, rest) = cut_term(argument);
        let mechanism = if is("include") {
            Mechanism::Include(required_target(argument)?)
        } else if is("all") {
            if !argument.is_empty() {
                return Err(ErrorKind::BadArgument);
            }
            Mechanism::All
        } else if is("a") {
            let (target, prefix) = dual_prefix(argument)?;
            Mechanism::A { target: optional_target(target)?, prefix }
        } else if is("mx") {
            let (target, prefix) = dual_prefix(argument)?;
            Mechanism::Mx { target: optional_target(target)?, prefix }
        } else if is("exists") {
            Mechanism::Exists(required_target(argument)?)
        } else if is("ptr") {
            Mechanism::Ptr(optional_target(argument)?)
        } else {
            return Err(ErrorKind::UnknownMechanism);
        };
        self.directives.push(Directive { qualifier, mechanism });
        Ok(rest)
    }

    fn ip4(&mut self, qualifier: Qualifier, argument: &'a [u8]) -> Result<&'a [u8], ErrorKind> {
        let address = argument.strip_prefix(b":").ok_or(ErrorKind::BadArgument)?;
        let (network, rest) = ip4_network(address).ok_or(ErrorKind::BadAddress)?;
        let (prefix, rest) = prefix_length_after(rest, 32)?;
        self.directives.push(Directive { qualifier, mechanism: Mechanism::Ip4 { network, prefix } });
        Ok(rest)
    }

    fn ip6(&mut self, qualifier: Qualifier, argument: &'a [u8]) -> Result<&'a [u8], ErrorKind> {
        let address = argument.strip_prefix(b":").ok_or(ErrorKind::BadArgument)?;
        let (network, rest) = ip6_network(address).ok_or(ErrorKind::BadAddress)?;
        let (prefix, rest) = prefix_length_after(rest, 128)?;
        self.directives.push(Directive { qualifier, mechanism: Mechanism::Ip6 { network, prefix } });
        Ok(rest)
    }

    fn modifier(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<&'a [u8], ErrorKind> {
        let (value, rest) = cut_term(value);
        let slot = if name.eq_ignore_ascii_case(b"redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case(b"exp") {
            &mut self.explanation
        } else {
            let (name, value) = (text(name)?, text(value)?);
            check_macros(value, Use::Unknown)?;
            self.unknown.push(Modifier { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
            return Ok(rest);
        };
        let target = DomainSpec::parse(value)?;
        // RFC 7208 §6: these two modifiers must not appear in a record more than once each.
        match slot.replace(target) {
            Some(_) => Err(ErrorKind::RepeatedModifier),
            None => Ok(rest),
        }
    }
}

/// What is left of a term, and what is after it.
fn cut_term(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&b| b == b' ').unwrap_or(text.len()))
}

/// The fault of the term that `text` begins with. RFC 7208 §7.1: only visible ASCII has a place in one; internationalised
/// names are A-labels.
fn fault(kind: ErrorKind, text: &[u8], position: usize) -> Error {
    let (term, _) = cut_term(text);
    let visible = term.iter().all(u8::is_ascii_graphic);
    Error::in_term(if visible { kind } else { ErrorKind::BadCharacter }, term, position)
}

fn text(octets: &[u8]) -> Result<&str, ErrorKind> {
    str::from_utf8(octets).map_err(|_| ErrorKind::BadCharacter)
}

/// RFC 7208 §4.6.1: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ).
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn required_target(argument: &[u8]) -> Result<DomainSpec<'_>, ErrorKind> {
    DomainSpec::parse(argument.strip_prefix(b":").ok_or(ErrorKind::BadArgument)?)
}

fn optional_target(argument: &[u8]) -> Result<Option<DomainSpec<'_>>, ErrorKind> {
    if argument.is_empty() { Ok(None) } else { required_target(argument).map(Some) }
}

/// RFC 7208 §5.6: ip4-network, four numbers to 255 without leading zeros. Also what is after it.
fn ip4_network(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut rest = text;
    let mut network = 0;
    for n in 0..4 {
        if n > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (octet, after) = leading_number(rest)?;
        network = network << 8 | u32::from(octet);
        rest = after;
    }
    Some((Ipv4Addr::from_bits(network), rest))
}

/// RFC 7208 §5.6: ip6-network, any of the forms of RFC 4291 §2.2. Also what is after it.
fn ip6_network(text: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let mut groups = [0; 8];
    let (mut filled, mut gap, mut rest) = (0, None, text);
    if let Some(after) = rest.strip_prefix(b"::") {
        (gap, rest) = (Some(0), after);
    }
    while let Some((group, after)) = leading_group(rest) {
        if let [b'.', ..] = after {
            // RFC 4291 §2.2: the last two groups may be written as an IPv4 address.
            let (last, after) = ip4_network(rest)?;
            let [a, b, c, d] = last.octets().map(u16::from);
            groups.get_mut(filled..filled + 2)?.copy_from_slice(&[a << 8 | b, c << 8 | d]);
            (filled, rest) = (filled + 2, after);
            break;
        }
        *groups.get_mut(filled)? = group;
        filled += 1;
        rest = match after {
            // RFC 4291 §2.2: the "::" can only appear once.
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some(filled);
                after
            }
            [b':', after @ ..] if after.first().is_some_and(u8::is_ascii_hexdigit) => after,
            _ => {
                rest = after;
                break;
            }
        };
    }
    match (gap, groups.len() - filled) {
        (None, 0) => {}
        // RFC 4291 §2.2: "::" stands for one or more groups of zeros.
        (Some(gap), zeros @ 1..) => groups.get_mut(gap..)?.rotate_right(zeros),
        _ => return None,
    }
    Some((Ipv6Addr::from(groups), rest))
}

/// One to four hexadecimal digits, and what is after them.
fn leading_group(text: &[u8]) -> Option<(u16, &[u8])> {
    let (mut group, mut digits) = (0, 0);
    for &b in text.iter().take(4) {
        let Some(digit) = char::from(b).to_digit(16) else { break };
        group = group << 4 | digit;
        digits += 1;
    }
    if digits == 0 { None } else { Some((group as u16, text.get(digits..)?)) }
}

/// The prefix length at the end of a term, the longest if there is none, and what is after the term.
fn prefix_length_after(text: &[u8], longest: u8) -> Result<(u8, &[u8]), ErrorKind> {
    match text.split_first() {
        None | Some((b' ', _)) => Ok((longest, text)),
        Some((b'/', digits)) => {
            let (length, rest) = leading_number(digits).ok_or(ErrorKind::BadPrefixLength)?;
            let ended = rest.first().is_none_or(|&b| b == b' ');
            if ended && length <= longest { Ok((length, rest)) } else { Err(ErrorKind::BadPrefixLength) }
        }
        Some(_) => Err(ErrorKind::BadAddress),
    }
}

/// A decimal number from 0 to 255 without leading zeros, and what is after it.
fn leading_number(text: &[u8]) -> Option<(u8, &[u8])> {
    let digit =
        |n: usize| text.get(n).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit <= 9).map(u16::from);
    let first = digit(0)?;
    let (number, digits) = match (digit(1), digit(2)) {
        (None, _) => (first, 1),
        (Some(_), _) if first == 0 => return None,
        (Some(second), None) => (first * 10 + second, 2),
        (Some(second), Some(third)) => (first * 100 + second * 10 + third, 3),
    };
    Some((u8::try_from(number).ok()?, text.get(digits..)?))
}

/// RFC 7208 §5.6: "0", or digits without a leading zero, within the range.
fn prefix_length(digits: &[u8], longest: u8) -> Result<u8, ErrorKind> {
    match leading_number(digits) {
        Some((length, [])) if length <= longest => Ok(length),
        _ => Err(ErrorKind::BadPrefixLength),
    }
}

/// Cuts a dual-cidr-length off the end: `/n`, `//n` or `/n//n`. A "/" is a character of macro strings too, so only
/// digits up to the end make a prefix length.
fn dual_prefix(argument: &[u8]) -> Result<(&[u8], DualPrefix), ErrorKind> {
    let mut prefix = DualPrefix::WHOLE;
    let mut rest = argument;
    if let Some((before, digits)) = cut_number(rest)
        && let Some(before) = before.strip_suffix(b"/")
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
fn cut_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = text.iter().rposition(|b| !b.is_ascii_digit())?;
    let (before, digits) = (text.get(..slash)?, text.get(slash + 1..)?);
    (text.get(slash) == Some(&b'/') && !digits.is_empty()).then_some((before, digits))
}
