//! Properties of the checks for every address and every answer.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use dns::zone::{Zone, block_on_ready};
use dns::{Domain, Mx, Name, Record, reverse_name};
use moxd_iprev::{MAX_NAMES, Outcome, check, dnsbl, sender};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

fn list() -> Domain {
    "list.test".parse().unwrap()
}

/// The name of an address in the list, made another way than the crate makes it.
fn entry(ip: IpAddr) -> Name {
    let digits: Vec<String> = match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(ip) => format!("{:032x}", u128::from(ip)).chars().map(String::from).collect(),
    };
    let digits: Vec<String> = digits.into_iter().rev().collect();
    format!("{}.list.test", digits.join(".")).parse().unwrap()
}

fn zone(records: impl IntoIterator<Item = (Name, Record)>) -> Zone {
    let mut zone = Zone::default();
    records.into_iter().for_each(|(name, record)| zone.insert(name, record));
    zone
}

fn is_listing(code: &Ipv4Addr) -> bool {
    let range = |from, to| (u32::from(from)..=u32::from(to)).contains(&u32::from(*code));
    *code != Ipv4Addr::LOCALHOST && range(Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(127, 255, 254, 255))
}

/// Return codes near the limits of the valid ranges.
fn code() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        4 => (0..=255_u8).prop_map(|last| Ipv4Addr::new(127, 0, 0, last)),
        1 => (253..=255_u8, any::<u8>()).prop_map(|(third, last)| Ipv4Addr::new(127, 255, third, last)),
        1 => any::<Ipv4Addr>(),
    ]
}

fn host(number: u8) -> Name {
    format!("h{number}.test").parse().unwrap()
}

proptest! {
    #[test]
    fn an_entry_lists_its_address_and_no_other(ip: IpAddr, other: IpAddr) {
        let zone = zone([(entry(ip), Record::A(Ipv4Addr::new(127, 0, 0, 2)))]);
        prop_assert_eq!(block_on_ready(dnsbl::check(&zone, &list(), ip)).result, dnsbl::Outcome::Listed);
        let listed = block_on_ready(dnsbl::check(&zone, &list(), other)).result == dnsbl::Outcome::Listed;
        prop_assert_eq!(listed, other.to_canonical() == ip.to_canonical());
    }

    #[test]
    fn only_codes_beyond_doubt_list_an_address(
        codes in vec(code(), 1..50),
        texts in vec(vec(any::<u8>(), 0..200), 0..6),
    ) {
        let ip = IpAddr::from([192, 0, 2, 1]);
        let records = codes.iter().map(|code| Record::A(*code)).chain(texts.into_iter().map(Record::Txt));
        let evaluation = block_on_ready(dnsbl::check(&zone(records.map(|record| (entry(ip), record))), &list(), ip));
        let listed = codes.iter().all(is_listing);
        prop_assert_eq!(evaluation.result == dnsbl::Outcome::Listed, listed);
        prop_assert_eq!(evaluation.reason.is_none(), listed);
        prop_assert!(evaluation.codes.len() <= dnsbl::MAX_CODES && codes.starts_with(&evaluation.codes));
        let text = evaluation.text.unwrap_or_default();
        prop_assert!(text.len() <= dnsbl::MAX_TEXT && text.bytes().all(|b| (32..127).contains(&b)));
    }

    #[test]
    fn an_address_passes_by_a_name_that_has_it(ip: IpAddr, names in vec(any::<bool>(), 0..14)) {
        let hosts = || names.iter().zip(0_u8..);
        let pointers = hosts().map(|(_, n)| (reverse_name(ip), Record::Ptr(host(n))));
        let address = match ip.to_canonical() {
            IpAddr::V4(ip) => Record::A(ip),
            IpAddr::V6(ip) => Record::Aaaa(ip),
        };
        let addresses = hosts().filter(|(leads_back, _)| **leads_back).map(|(_, n)| (host(n), address.clone()));
        let evaluation = block_on_ready(check(&zone(pointers.chain(addresses)), ip));
        let first = hosts().take(MAX_NAMES).find(|(leads_back, _)| **leads_back).map(|(_, n)| host(n));
        let expected = match (&first, names.is_empty()) {
            (Some(_), _) => Outcome::Pass,
            (None, true) => Outcome::PermError,
            (None, false) => Outcome::Fail,
        };
        prop_assert_eq!(evaluation.result, expected);
        prop_assert_eq!(evaluation.name, first);
        prop_assert_eq!(evaluation.names.len(), names.len());
    }

    #[test]
    fn a_domain_accepts_by_a_host_that_has_an_address(hosts in vec(any::<bool>(), 1..14)) {
        let domain: Domain = "a.test".parse().unwrap();
        let numbered = || hosts.iter().zip(0_u8..);
        let mx = numbered().map(|(_, n)| {
            (domain.name().clone(), Record::Mx(Mx { preference: n.into(), exchange: host(n) }))
        });
        let address = Record::A(Ipv4Addr::new(192, 0, 2, 1));
        let addresses = numbered().filter(|(has, _)| **has).map(|(_, n)| (host(n), address.clone()));
        let outcome = block_on_ready(sender::can_receive(&zone(mx.chain(addresses)), &domain));
        let accepts = hosts.iter().take(sender::MAX_HOSTS).any(|has| *has);
        prop_assert_eq!(outcome, if accepts { sender::Outcome::Accepts } else { sender::Outcome::NoAddress });
    }
}
