//! The rounds of DNS that an evaluation waits for, and the queries that it sends meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{Delayed, wait};
use dns::zone::Zone;
use dns::{Domain, Kind};
use moxd_spf::{Evaluation, Limits, Query, check};

/// Evaluates for 192.0.2.1 and example.test, and compares the rounds of waiting and the number of questions.
#[track_caller]
fn check_rounds(zone: &str, rounds: usize, questions: usize) -> Evaluation {
    let zone = Zone::parse(zone).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
    let dns = Delayed::new(&zone);
    let (evaluation, waited) = wait(check(&dns, &query, Limits::default()));
    let asked = dns.asked.lock().unwrap();
    assert_eq!((waited, asked.len()), (rounds, questions), "asked {asked:?}");
    evaluation
}

#[test]
fn one_include_takes_two_rounds() {
    let zone = r#"
example.test. TXT "v=spf1 include:i.test -all"
i.test. TXT "v=spf1 ip4:192.0.2.1 -all""#;
    assert_eq!(check_rounds(zone, 2, 2).result.as_str(), "pass");
}

#[test]
fn terms_are_asked_for_side_by_side() {
    let zone = r#"
example.test. TXT "v=spf1 a mx include:i1.test include:i2.test include:i3.test exists:%{l}.x.test -all"
example.test. A 192.0.2.9
example.test. MX 10 h.test.
h.test. A 192.0.2.9
i1.test. TXT "v=spf1 -all"
i2.test. TXT "v=spf1 -all"
i3.test. TXT "v=spf1 ip4:192.0.2.1 -all""#;
    let evaluation = check_rounds(zone, 3, 8);
    assert_eq!((evaluation.result.as_str(), evaluation.lookups, evaluation.void_lookups), ("pass", 5, 0));
}

#[test]
fn queries_the_terms_after_an_include_while_its_record_is_pending() {
    let zone = r#"
example.test. TXT "v=spf1 include:i.test include:j.test -all"
i.test. TXT "v=spf1 include:k.test -all"
j.test. TXT "v=spf1 ip4:192.0.2.1"
k.test. TXT "v=spf1 -all""#;
    assert_eq!(check_rounds(zone, 3, 4).lookups, 3);
}

#[test]
fn hosts_of_an_mx_are_asked_for_side_by_side() {
    let hosts: String =
        (0..10).map(|n| format!("example.test. MX {n} h{n}.test.\nh{n}.test. A 192.0.2.{n}\n")).collect();
    let zone = format!("example.test. TXT \"v=spf1 mx -all\"\n{hosts}");
    assert_eq!(check_rounds(&zone, 3, 12).result.as_str(), "pass");
}

#[test]
fn names_of_a_ptr_are_asked_for_side_by_side() {
    let names: String = (0..12)
        .map(|n| format!("1.2.0.192.in-addr.arpa. PTR h{n}.example.test.\nh{n}.example.test. A 192.0.2.9\n"))
        .collect();
    let zone = format!("example.test. TXT \"v=spf1 ptr -all\"\n{names}");
    assert_eq!(check_rounds(&zone, 3, 12).result.as_str(), "fail");
}

#[test]
fn queries_nothing_behind_a_known_match() {
    let zone = r#"
example.test. TXT "v=spf1 include:i.test ip4:192.0.2.1 a mx redirect=r.test"
i.test. TXT "v=spf1 -all""#;
    assert_eq!(check_rounds(zone, 2, 2).result.as_str(), "pass");
}

#[test]
fn queries_a_redirect_ahead() {
    let zone = r#"
example.test. TXT "v=spf1 a redirect=r.test"
example.test. A 192.0.2.9
r.test. TXT "v=spf1 -all""#;
    assert_eq!(check_rounds(zone, 2, 3).result.as_str(), "fail");
}

#[test]
fn two_terms_share_one_query() {
    let zone = r#"
example.test. TXT "v=spf1 include:i.test a:h.test include:i.test a:h.test -all"
h.test. A 192.0.2.9
i.test. TXT "v=spf1 -all""#;
    // The first term uses up the answer that was queried ahead. The second queries again in its turn: evaluation looks
    // ahead at each term once, and at that time the query of this one was under way.
    assert_eq!(check_rounds(zone, 4, 5).lookups, 4);
}

#[test]
fn looking_ahead_is_bounded_by_the_limit_of_lookups() {
    let terms: String = (0..400).map(|n| format!(" include:i{n}.test")).collect();
    let zone = format!("example.test. TXT \"v=spf1{terms} -all\"\n*.test. TXT \"v=spf1 -all\"");
    // 1 for the record, 10 that count, and no more than 10 ahead of them.
    let zone = Zone::parse(&zone).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
    let dns = Delayed::new(&zone);
    let (evaluation, _) = wait(check(&dns, &query, Limits::default()));
    assert_eq!(evaluation.reason.unwrap().kind().token(), "spf.too-many-lookups");
    let asked = dns.asked.lock().unwrap();
    assert!(asked.len() <= 1 + 10 + 10, "{} questions", asked.len());
    assert!(asked.iter().all(|(_, kind)| *kind == Kind::Txt));
}

#[test]
fn terms_that_cannot_be_reached_are_not_looked_at() {
    // A macro that expands to a local part outside ASCII makes no valid name: these terms send no query, but still count.
    let terms = " exists:%{l}.x.test".repeat(10);
    let zone =
        Zone::parse(&format!("example.test. TXT \"v=spf1 a:h.test{terms} include:i.test -all\"")).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("\u{fc}ber", &domain);
    let dns = Delayed::new(&zone);
    let (evaluation, _) = wait(check(&dns, &query, Limits::default()));
    assert_eq!(evaluation.reason.unwrap().kind().token(), "spf.too-many-lookups");
    let asked = dns.asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[test]
fn what_a_record_can_make_us_ask_is_bounded() {
    // Ten terms of ten hosts each, none of which is the client's.
    let terms: String = (0..10).map(|n| format!(" mx:m{n}.test")).collect();
    let mut text = format!("example.test. TXT \"v=spf1{terms} -all\"\n");
    for (m, h) in (0..100).map(|n| (n / 10, n % 10)) {
        text += &format!("m{m}.test. MX {h} h{h}.m{m}.test.\nh{h}.m{m}.test. A 198.51.100.1\n");
    }
    let evaluation = {
        let zone = Zone::parse(&text).unwrap();
        let domain: Domain = "example.test".parse().unwrap();
        let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
        let dns = Delayed::new(&zone);
        let (evaluation, _) = wait(check(&dns, &query, Limits::default()));
        let asked = dns.asked.lock().unwrap();
        let addresses = asked.iter().filter(|(_, kind)| *kind == Kind::A).count();
        assert_eq!(addresses, Limits::default().hosts);
        assert!(asked.len() <= 1 + 10 + addresses, "{} questions", asked.len());
        evaluation
    };
    assert_eq!(evaluation.result.as_str(), "permerror");
    assert_eq!(evaluation.reason.unwrap().kind().token(), "spf.too-many-hosts");
}

#[test]
fn names_of_an_address_count_with_the_hosts_of_exchanges() {
    let names: String = (0..10)
        .map(|n| {
            format!("1.2.0.192.in-addr.arpa. PTR h{n}.example.test.\nh{n}.example.test. A 198.51.100.1\n")
        })
        .collect();
    let terms = " ptr".repeat(6);
    let zone = Zone::parse(&format!("example.test. TXT \"v=spf1{terms} -all\"\n{names}")).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain);
    let dns = Delayed::new(&zone);
    let (evaluation, _) = wait(check(&dns, &query, Limits::default()));
    assert_eq!(evaluation.result.as_str(), "fail", "what is beyond the limit is ignored");
    let asked = dns.asked.lock().unwrap();
    assert_eq!(asked.iter().filter(|(_, kind)| *kind == Kind::A).count(), Limits::default().hosts);
}
