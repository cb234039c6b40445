//! Reading a record (RFC 7208 §4.5 to §6, and the collected grammar of §12).

use super::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, Record, v4_covers, v6_covers};
use crate::domain_spec::{Use, check_macros};
use crate::{DomainSpec, Error, ErrorKind};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        Self::parse_for(text, None)
    }

    /// As [`Record::parse`]. Networks that a client is not in are checked as all else, but not kept: most terms are
    /// networks, and cannot decide about this client.
    pub(crate) fn parse_for(text: &'a [u8], client: Option<IpAddr>) -> Result<Self, Error> {
        if text.len() > MAX_RECORD {
            return Err(Error::new(ErrorKind::RecordTooLong));
        }
        let terms = terms_of(text).ok_or_else(|| Error::new(ErrorKind::BadVersion))?;
        let mut record = Self { directives: Vec::with_capacity(USUAL_TERMS), ..Self::default() };
        let mut rest = terms;
        // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ). Reading a term stops at the blank after it.
        while let [first, after @ ..] = rest {
            if *first == b' ' {
                rest = after;
                continue;
            }
            let start = rest;
            record.term(&mut rest, client).map_err(|kind| fault(kind, start, text.len() - start.len()))?;
        }
        Ok(record)
    }

    fn term(&mut self, rest: &mut &'a [u8], client: Option<IpAddr>) -> Result<(), ErrorKind> {
        let qualifier = match **rest {
            [b'+', ..] => Some(Qualifier::Pass),
            [b'-', ..] => Some(Qualifier::Fail),
            [b'~', ..] => Some(Qualifier::Softfail),
            [b'?', ..] => Some(Qualifier::Neutral),
            _ => None,
        };
        if qualifier.is_some() {
            rest.split_off_first();
        }
        let name = cut(rest, |b| matches!(b, b' ' | b':' | b'/' | b'='));
        // RFC 7208 §4.6.1: modifiers have an equals sign right after the name, before any ":" or "/".
        if rest.first() == Some(&b'=') && qualifier.is_none() && is_name(name) {
            rest.split_off_first();
            self.modifier(name, cut_term(rest))
        } else {
            self.directive((qualifier.unwrap_or_default(), name), rest, client)
        }
    }

    /// A mechanism from its name; `rest` begins with its argument.
    fn directive(
        &mut self,
        (qualifier, name): (Qualifier, &[u8]),
        rest: &mut &'a [u8],
        client: Option<IpAddr>,
    ) -> Result<(), ErrorKind> {
        // RFC 7208 §4.6.1: mechanism names are case-insensitive. Hardly any are in capitals.
        let folded;
        let name = if name.iter().any(u8::is_ascii_uppercase) {
            folded = name.to_ascii_lowercase();
            &folded
        } else {
            name
        };
        let mechanism = match name {
            b"ip4" => {
                let (network, prefix) = network(rest, 32, ip4_network)?;
                if client.is_some_and(|ip| !v4_covers(network, prefix, ip)) {
                    return Ok(());
                }
                Mechanism::Ip4 { network, prefix }
            }
            b"ip6" => {
                let (network, prefix) = network(rest, 128, ip6_network)?;
                if client.is_some_and(|ip| !v6_covers(network, prefix, ip)) {
                    return Ok(());
                }
                Mechanism::Ip6 { network, prefix }
            }
            b"include" => Mechanism::Include(required_target(cut_term(rest))?),
            b"all" => match cut_term(rest) {
                [] => Mechanism::All,
                _ => return Err(ErrorKind::BadArgument),
            },
            b"a" => {
                let (target, prefix) = dual_prefix(cut_term(rest))?;
                Mechanism::A { target: optional_target(target)?, prefix }
            }
            b"mx" => {
                let (target, prefix) = dual_prefix(cut_term(rest))?;
                Mechanism::Mx { target: optional_target(target)?, prefix }
            }
            b"exists" => Mechanism::Exists(required_target(cut_term(rest))?),
            b"ptr" => Mechanism::Ptr(optional_target(cut_term(rest))?),
            _ => return Err(ErrorKind::UnknownMechanism),
        };
        self.directives.push(Directive { qualifier, mechanism });
        Ok(())
    }

    fn modifier(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), ErrorKind> {
        let slot = if name.eq_ignore_ascii_case(b"redirect") {
            &mut self.redirect
        } else if name.eq_ignore_ascii_case(b"exp") {
            &mut self.explanation
        } else {
            let (name, value) = (text(name)?, text(value)?);
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

/// Takes what stands before the first octet that ends it.
fn cut<'a>(rest: &mut &'a [u8], ends: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|&b| ends(b)).unwrap_or(rest.len());
    let (before, after) = rest.split_at(end);
    *rest = after;
    before
}

/// Takes what is left of a term.
fn cut_term<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    cut(rest, |b| b == b' ')
}

/// The fault of the term that `text` begins with. RFC 7208 §7.1: only visible ASCII has a place in one; internationalised
/// names are A-labels.
fn fault(kind: ErrorKind, mut text: &[u8], position: usize) -> Error {
    let term = cut_term(&mut text);
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

/// The address and prefix length of `ip4` and `ip6`.
fn network<T>(
    rest: &mut &[u8],
    longest: u8,
    address: impl FnOnce(&mut &[u8]) -> Option<T>,
) -> Result<(T, u8), ErrorKind> {
    rest.split_off_first().filter(|&&b| b == b':').ok_or(ErrorKind::BadArgument)?;
    let address = address(rest).ok_or(ErrorKind::BadAddress)?;
    match rest.first() {
        None | Some(b' ') => Ok((address, longest)),
        Some(b'/') => {
            rest.split_off_first();
            Ok((address, prefix_length(cut_term(rest), longest)?))
        }
        Some(_) => Err(ErrorKind::BadAddress),
    }
}

/// Takes an ip4-network (RFC 7208 §5.6): four numbers to 255 without leading zeros.
fn ip4_network(rest: &mut &[u8]) -> Option<Ipv4Addr> {
    let mut network = u32::from(leading_number(rest)?);
    for _ in 0..3 {
        rest.split_off_first().filter(|&&b| b == b'.')?;
        network = network << 8 | u32::from(leading_number(rest)?);
    }
    Some(Ipv4Addr::from_bits(network))
}

/// Takes an ip6-network (RFC 7208 §5.6), in any of the forms of RFC 4291 §2.2.
fn ip6_network(rest: &mut &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    let (mut filled, mut gap) = (0, None);
    if let [b':', b':', after @ ..] = *rest {
        (gap, *rest) = (Some(0), after);
    }
    loop {
        let start = *rest;
        let Some(group) = leading_group(rest) else { break };
        if rest.first() == Some(&b'.') {
            // RFC 4291 §2.2: the last two groups may be written as an IPv4 address.
            *rest = start;
            let [a, b, c, d] = ip4_network(rest)?.octets().map(u16::from);
            groups.get_mut(filled..filled + 2)?.copy_from_slice(&[a << 8 | b, c << 8 | d]);
            filled += 2;
            break;
        }
        *groups.get_mut(filled)? = group;
        filled += 1;
        match *rest {
            // RFC 4291 §2.2: the "::" can only appear once.
            [b':', b':', after @ ..] if gap.is_none() => (gap, *rest) = (Some(filled), after),
            [b':', after @ ..] if after.first().is_some_and(u8::is_ascii_hexdigit) => *rest = after,
            _ => break,
        }
    }
    match (gap, groups.len() - filled) {
        (None, 0) => {}
        // RFC 4291 §2.2: "::" stands for one or more groups of zeros.
        (Some(gap), zeros @ 1..) => groups.get_mut(gap..)?.rotate_right(zeros),
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

/// Takes one to four hexadecimal digits.
fn leading_group(rest: &mut &[u8]) -> Option<u16> {
    let (mut group, mut digits) = (0, 0);
    for &b in rest.iter().take(4) {
        let Some(digit) = char::from(b).to_digit(16) else { break };
        group = group << 4 | digit as u16;
        digits += 1;
    }
    *rest = rest.get(digits..)?;
    (digits > 0).then_some(group)
}

/// Takes a decimal number from 0 to 255 without leading zeros.
fn leading_number(rest: &mut &[u8]) -> Option<u8> {
    let digit = |n: usize| rest.get(n).filter(|b| b.is_ascii_digit()).map(|b| u16::from(b - b'0'));
    let first = digit(0)?;
    let (number, digits) = match (digit(1), digit(2)) {
        (None, _) => (first, 1),
        (Some(_), _) if first == 0 => return None,
        (Some(second), None) => (first * 10 + second, 2),
        (Some(second), Some(third)) => (first * 100 + second * 10 + third, 3),
    };
    *rest = rest.get(digits..)?;
    u8::try_from(number).ok()
}

/// RFC 7208 §5.6: "0", or digits without a leading zero, within the range.
fn prefix_length(mut digits: &[u8], longest: u8) -> Result<u8, ErrorKind> {
    let length = leading_number(&mut digits).filter(|&length| digits.is_empty() && length <= longest);
    length.ok_or(ErrorKind::BadPrefixLength)
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
