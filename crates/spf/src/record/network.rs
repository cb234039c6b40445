//! Parsing the arguments of `ip4` and `ip6`, and prefix lengths (RFC 7208 §5.6).
//!
//! Each function takes what it parses off the front of `rest`.

use super::parse::cut_term;
use crate::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Takes the address and prefix length of `ip4` or `ip6`.
pub(super) fn network<T>(
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
pub(super) fn ip4_network(rest: &mut &[u8]) -> Option<Ipv4Addr> {
    let mut network = u32::from(leading_number(rest)?);
    for _ in 0..3 {
        rest.split_off_first().filter(|&&b| b == b'.')?;
        network = network << 8 | u32::from(leading_number(rest)?);
    }
    Some(Ipv4Addr::from_bits(network))
}

/// Takes an ip6-network (RFC 7208 §5.6), in any of the forms of RFC 4291 §2.2.
pub(super) fn ip6_network(rest: &mut &[u8]) -> Option<Ipv6Addr> {
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
    let (mut number, mut digits) = (0_u16, 0);
    for &b in rest.iter().take(4).take_while(|b| b.is_ascii_digit()) {
        number = number * 10 + u16::from(b - b'0');
        digits += 1;
    }
    if digits == 0 || (digits > 1 && rest.first() == Some(&b'0')) {
        return None;
    }
    *rest = rest.get(digits..)?;
    u8::try_from(number).ok()
}

/// RFC 7208 §5.6: "0", or digits without a leading zero, within the range.
pub(super) fn prefix_length(mut digits: &[u8], longest: u8) -> Result<u8, ErrorKind> {
    let length = leading_number(&mut digits).filter(|&length| digits.is_empty() && length <= longest);
    length.ok_or(ErrorKind::BadPrefixLength)
}
