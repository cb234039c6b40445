//! Parsing a record (RFC 7208 §4.5 to §6, and the collected grammar of §12).

use super::network::{ip4_network, ip6_network, network, prefix_length};
use super::{Directive, DualPrefix, Mechanism, Modifier, Qualifier, Record, v4_covers, v6_covers};
use crate::domain_spec::{Use, check_macros};
use crate::plan::Plan;
use crate::{DomainSpec, Error, ErrorKind};
use std::borrow::Cow;
use std::net::IpAddr;

/// Bytes of the longest record: RFC 1035 §3.2.1 gives the data of a record a length of 16 bits.
pub const MAX_RECORD: usize = 65_535;

/// Directives that a new record has room for; more make it grow.
const USUAL_TERMS: usize = 8;

/// RFC 7208 §4.5: the version section is terminated by a space or the end of the record.
pub(crate) fn is_record(text: &[u8]) -> bool {
    terms_of(text).is_some()
}

/// Returns the text behind the version section; `None` if there is no such section.
fn terms_of(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'v' | b'V', b'=', b's' | b'S', b'p' | b'P', b'f' | b'F', b'1', terms @ ..] => {
            terms.first().is_none_or(|&b| b == b' ').then_some(terms)
        }
        _ => None,
    }
}

impl<'a> Record<'a> {
    /// Parses the text of a TXT record, with its strings joined.
    ///
    /// # Errors
    /// The first fault of syntax with its term. RFC 7208 §4.6: a fault anywhere invalidates the record.
    pub fn parse(text: &'a [u8]) -> Result<Self, Error> {
        let record = Self { directives: Vec::with_capacity(USUAL_TERMS), ..Self::default() };
        let mut reading = Reading { client: None, record, settled: None };
        reading.read(text)?;
        Ok(reading.record)
    }
}

/// A record that is being parsed: all of it, or the terms that matter for one client.
pub(crate) struct Reading<'a> {
    /// The client whose terms are kept; `None` keeps all terms.
    client: Option<IpAddr>,
    record: Record<'a>,
    /// The first directive that matches the client without DNS.
    settled: Option<Directive<'a>>,
}

impl<'a> Reading<'a> {
    /// Keeps the terms that matter for one client. Every term is checked, but two kinds are dropped: networks that do not
    /// contain the client, which most terms are, and terms behind a match.
    pub(crate) fn for_client(ip: IpAddr) -> Self {
        Self { client: Some(ip), record: Record::default(), settled: None }
    }

    /// Returns the record reduced to what matters for the client.
    pub(crate) fn plan(&self) -> Plan<'_> {
        Plan::new(&self.record, &self.record.directives, self.settled.as_ref())
    }

    /// Parses a text as [`Record::parse`] does.
    pub(crate) fn read(&mut self, text: &'a [u8]) -> Result<(), Error> {
        if text.len() > MAX_RECORD {
            return Err(Error::new(ErrorKind::RecordTooLong));
        }
        let terms = terms_of(text).ok_or_else(|| Error::new(ErrorKind::BadVersion))?;
        let mut rest = terms;
        // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ). Parsing a term stops at the space after it.
        while let [first, after @ ..] = rest {
            if *first == b' ' {
                rest = after;
                continue;
            }
            let start = rest;
            self.term(&mut rest).map_err(|kind| fault(kind, start, text.len() - start.len()))?;
        }
        Ok(())
    }

    fn term(&mut self, rest: &mut &'a [u8]) -> Result<(), ErrorKind> {
        let qualifier = match **rest {
            [b'+', ..] => Some(Qualifier::Pass),
            [b'-', ..] => Some(Qualifier::Fail),
            [b'~', ..] => Some(Qualifier::SoftFail),
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
            self.directive(qualifier.unwrap_or_default(), name, rest)
        }
    }

    /// Parses a mechanism by its name; `rest` begins with its argument.
    fn directive(&mut self, qualifier: Qualifier, name: &[u8], rest: &mut &'a [u8]) -> Result<(), ErrorKind> {
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
                if self.client.is_some_and(|ip| !v4_covers(network, prefix, ip)) {
                    return Ok(());
                }
                Mechanism::Ip4 { network, prefix }
            }
            b"ip6" => {
                let (network, prefix) = network(rest, 128, ip6_network)?;
                if self.client.is_some_and(|ip| !v6_covers(network, prefix, ip)) {
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
        self.keep(Directive { qualifier, mechanism });
        Ok(())
    }

    fn keep(&mut self, directive: Directive<'a>) {
        match self.client {
            Some(_) if self.settled.is_some() => {}
            Some(ip) if directive.mechanism.matches_address(ip) == Some(true) => {
                self.settled = Some(directive)
            }
            _ => self.record.directives.push(directive),
        }
    }

    fn modifier(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), ErrorKind> {
        let slot = if name.eq_ignore_ascii_case(b"redirect") {
            &mut self.record.redirect
        } else if name.eq_ignore_ascii_case(b"exp") {
            &mut self.record.explanation
        } else {
            let (name, value) = (text(name)?, text(value)?);
            check_macros(value, Use::Unknown)?;
            self.record.unknown.push(Modifier { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
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

/// Takes the text before the first byte for which `ends` holds.
fn cut<'a>(rest: &mut &'a [u8], ends: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|&b| ends(b)).unwrap_or(rest.len());
    let (before, after) = rest.split_at(end);
    *rest = after;
    before
}

/// Takes the rest of a term.
pub(super) fn cut_term<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    cut(rest, |b| b == b' ')
}

/// Returns the fault of the term that `text` begins with. RFC 7208 §7.1: a term has only visible ASCII; internationalised
/// names are A-labels.
fn fault(kind: ErrorKind, mut text: &[u8], position: usize) -> Error {
    let term = cut_term(&mut text);
    let visible = term.iter().all(u8::is_ascii_graphic);
    Error::in_term(if visible { kind } else { ErrorKind::BadCharacter }, term, position)
}

fn text(bytes: &[u8]) -> Result<&str, ErrorKind> {
    str::from_utf8(bytes).map_err(|_| ErrorKind::BadCharacter)
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

/// Cuts a dual-cidr-length off the end: `/n`, `//n` or `/n//n`. A "/" may also stand in a macro string, so only digits up
/// to the end make a prefix length.
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

/// Splits off a final `/digits`: returns the text before it, and the digits.
fn cut_number(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = text.iter().rposition(|b| !b.is_ascii_digit())?;
    let (before, digits) = (text.get(..slash)?, text.get(slash + 1..)?);
    (text.get(slash) == Some(&b'/') && !digits.is_empty()).then_some((before, digits))
}
