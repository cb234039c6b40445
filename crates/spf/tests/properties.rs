//! Properties of SPF for every record and every zone.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{Delayed, wait};
use dns::Domain;
use dns::zone::{Zone, block_on_ready};
use moxd_spf::{Cache, Limits, Mechanism, Query, Record, check, fuzzing};
use proptest::prelude::*;
use std::net::Ipv6Addr;

/// A term that is often right, and sometimes nearly.
fn term() -> impl Strategy<Value = String> {
    let target = prop_oneof![
        4 => "[abc]\\.test",
        1 => "%\\{[slodiphvSLcrt]{1}[0-9]{0,2}r?[.+-]{0,2}\\}\\.test",
        1 => "[!-~]{0,20}",
    ];
    let argument = (
        target,
        prop_oneof![3 => Just(String::new()), 1 => "/[0-9]{1,3}", 1 => "(/[0-9]{1,2})?//[0-9]{1,3}"],
    );
    prop_oneof![
        6 => ("[+~?-]?(include|a|mx|ptr|exists)", argument).prop_map(|(name, (t, p))| format!("{name}:{t}{p}")),
        2 => "[+~?-]?(all|a|mx|ptr)".prop_map(|name| name),
        2 => "[+~?-]?ip4:192\\.0\\.2\\.[0-9]{1,3}(/[0-9]{1,2})?",
        1 => "-?ip6:[0-9a-f:]{1,12}(/[0-9]{1,3})?",
        1 => "(redirect|exp|moo)=([abc]\\.test|[!-~]{0,12})",
        1 => "[ -~]{0,12}",
    ]
}

fn record() -> impl Strategy<Value = String> {
    prop::collection::vec(term(), 0..8).prop_map(|terms| format!("v=spf1 {}", terms.join(" ")))
}

proptest! {
    #[test]
    fn round_trips_records(record in record()) {
        fuzzing::spf_record(record.as_bytes());
    }

    /// An `ip6` accepts exactly the addresses that the standard library parses.
    #[test]
    fn reads_ip6_as_the_standard_library_does(
        groups in any::<[u16; 8]>(),
        zeros in any::<u8>(),
        garbled in "[0-9a-fA-F:]{0,12}(::?[0-9]{1,3}\\.0\\.2\\.[0-9]{1,3})?",
        at in 0..40_usize,
        put in "[:.0a]?",
    ) {
        let mut bit = 0;
        let zeroed = groups.map(|group| {
            bit += 1;
            if zeros >> (bit - 1) & 1 == 1 { 0 } else { group }
        });
        let printed = Ipv6Addr::from(zeroed).to_string();
        let mut bent = printed.clone();
        bent.insert_str(at.min(printed.len()), &put);
        for text in [printed, bent, garbled] {
            let record = format!("v=spf1 ip6:{text} ip6:{text}/64");
            let read = Record::parse(record.as_bytes()).ok().map(|record| record.directives()[1].clone());
            let want = text.parse::<Ipv6Addr>().ok();
            let want = want.map(|network| Mechanism::Ip6 { network, prefix: 64 });
            prop_assert_eq!(read.map(|directive| directive.mechanism), want, "{}", text);
        }
    }

    #[test]
    fn reads_any_bytes(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::spf_record(&data);
        fuzzing::spf_record(&[b"v=spf1 ", data.as_slice()].concat());
        fuzzing::spf_check(&data);
    }

    #[test]
    fn round_trips_received_spf(value in "\\PC{0,60}", comment in "[ -~]{0,60}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let comment = comment.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)");
        fuzzing::spf_record(format!("pass ({comment}) helo=\"{quoted}\"; x=y;").as_bytes());
    }

    #[test]
    fn survives_hostile_zones(records in prop::collection::vec(record(), 1..6), first in any::<u8>()) {
        let mut data = vec![first];
        data.extend(records.join("\n").into_bytes());
        fuzzing::spf_check(&data);
    }

    /// Neither look-ahead while waiting nor a cache changes the result or the counts.
    #[test]
    fn delays_and_caches_change_nothing(records in prop::collection::vec(record(), 3), addresses in "[abc]{0,3}") {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut text: String =
            ["a", "b", "c"].iter().zip(&records).map(|(name, r)| format!("{name}.test. TXT \"{}\"\n", quote(r))).collect();
        for name in addresses.chars() {
            text += &format!("{name}.test. A 192.0.2.7\n{name}.test. MX 1 {name}.test.\n");
        }
        text += "1.2.0.192.in-addr.arpa. PTR a.test.\n";
        let zone = Zone::parse(&text).unwrap();
        let domain: Domain = "a.test".parse().unwrap();
        let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
        let at_once = block_on_ready(check(&zone, &query, Limits::default()));
        let delayed = Delayed::new(&zone);
        prop_assert_eq!(&wait(check(&delayed, &query, Limits::default())).0, &at_once);
        let cache = Cache::new(1 << 16);
        for _ in 0..2 {
            prop_assert_eq!(&block_on_ready(check(&zone, &query.cache(&cache), Limits::default())), &at_once);
        }
    }
}

/// Evaluates `example.test` over a zone with many random records.
#[track_caller]
fn check_hostile(zone: &str, want: &str) {
    let zone = Zone::parse(zone).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
    let evaluation = block_on_ready(check(&zone, &query, Limits::default()));
    let reason = evaluation.reason.map_or("-", |reason| reason.kind().token());
    assert_eq!(format!("{} {reason}", evaluation.result), want);
    assert!(evaluation.lookups <= 10);
}

#[test]
fn survives_a_huge_record() {
    let many = "a:x.test ".repeat(7_000);
    check_hostile(
        &format!("example.test. TXT \"v=spf1 {many}\"\nx.test. A 192.0.2.9"),
        "permerror spf.too-many-lookups",
    );
    let many = "a:x.test ".repeat(8_000);
    check_hostile(&format!("example.test. TXT \"v=spf1 {many}\""), "permerror spf.record-too-long");
    let blanks = " ".repeat(60_000);
    check_hostile(&format!("example.test. TXT \"v=spf1{blanks}-all\""), "fail -");
}

#[test]
fn survives_many_strings() {
    let strings = "\"x=y \" ".repeat(10_000);
    check_hostile(&format!("example.test. TXT \"v=spf1 \" {strings} \"-all\""), "fail -");
}

#[test]
fn survives_macros_that_swell() {
    let swell = "%{s}".repeat(7_000);
    check_hostile(&format!("example.test. TXT \"v=spf1 exists:{swell} a:{swell}.test -all\""), "fail -");
}

#[test]
fn survives_includes_that_fan_out() {
    let zone = r#"
example.test. TXT "v=spf1 include:a.example.test include:b.example.test include:c.example.test"
*.example.test. TXT "v=spf1 include:x.%{d} include:y.%{d} include:z.%{d}""#;
    check_hostile(zone, "permerror spf.too-many-lookups");
}

#[test]
fn survives_alias_loops() {
    check_hostile("example.test. TXT \"v=spf1 a:l.test -all\"\nl.test. CNAME l.test.", "temperror spf.dns");
}
