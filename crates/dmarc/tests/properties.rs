//! Properties of DMARC for every record, every zone and every set of proofs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use dns::zone::{Zone, block_on_ready};
use dns::{Domain, Lookup, Question, Resolver};
use moxd_dmarc::{
    Alignment, Method, Organizations, Outcome, Percent, Policy, Proven, Rules, Verdict, check, discover,
    evaluate, fuzzing, needed, organization,
};
use proptest::prelude::*;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// A resolver with a clock: it answers at each tick the queries of the tick before.
struct Ticking {
    zone: Zone,
    now: AtomicUsize,
    asked: AtomicUsize,
}

impl Ticking {
    fn new(zone: &str) -> Self {
        Self { zone: Zone::parse(zone).unwrap(), now: AtomicUsize::new(0), asked: AtomicUsize::new(0) }
    }

    /// Runs a future to its end; returns its output and the number of ticks that it waited.
    fn drive<F: Future>(&self, future: F) -> (F::Output, usize) {
        let mut future = pin!(future);
        for delays in 0..100 {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return (output, delays);
            }
            self.now.fetch_add(1, Ordering::Relaxed);
        }
        panic!("no end");
    }
}

impl Resolver for Ticking {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let due = self.now.load(Ordering::Relaxed) + 1;
        let mut answer = self.zone.lookup(question);
        Lookup::waiting(poll_fn(move |context| {
            if self.now.load(Ordering::Relaxed) < due {
                Poll::Pending
            } else {
                Pin::new(&mut answer).poll(context)
            }
        }))
    }
}

const RECORD: &str = "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"";

fn pass(by: Method, name: &str) -> Proven {
    Proven { by, domain: domain(name), result: Outcome::Pass }
}

/// Asserts the number of DNS delays and of queries of a check.
#[track_caller]
fn costs(zone: &str, from: &str, proven: &[Proven], rules: Rules, want: (usize, usize)) {
    let dns = Ticking::new(zone);
    let (_, delays) = dns.drive(check(&dns, &domain(from), proven, rules, None));
    assert_eq!((delays, dns.asked.load(Ordering::Relaxed)), want);
}

#[test]
fn a_message_costs_one_dns_delay() {
    let own = [pass(Method::Spf, "example.com"), pass(Method::Dkim, "example.com")];
    costs(RECORD, "example.com", &own, Rules::Rfc9989, (1, 2));
    costs(RECORD, "example.com", &own, Rules::Rfc7489, (1, 1));
    let near = [pass(Method::Spf, "bounce.example.com"), pass(Method::Dkim, "mail.example.com")];
    costs(RECORD, "example.com", &near, Rules::Rfc9989, (1, 4));
    costs(RECORD, "news.example.com", &near, Rules::Rfc9989, (1, 5));
    costs(RECORD, "news.example.com", &near, Rules::Rfc7489, (1, 2));
    let far = [pass(Method::Spf, "bounce.sender.net"), pass(Method::Dkim, "sender.net"), near[0].clone()];
    costs(RECORD, "example.com", &far, Rules::Rfc9989, (1, 3));
    let deep = "a.b.c.d.e.f.g.h.i.j.k.example.com";
    costs(RECORD, deep, &own, Rules::Rfc9989, (1, 8));
}

#[test]
fn whether_a_subdomain_exists_costs_another_only_where_it_matters() {
    let zone = "_dmarc.example.com. TXT \"v=DMARC1; p=none; np=reject\"";
    costs(zone, "forged.example.com", &[], Rules::Rfc9989, (2, 4));
}

#[test]
fn an_answer_behind_the_end_of_a_walk_is_not_waited_for() {
    /// Never answers about `_dmarc.com`.
    struct Stuck(Zone);
    impl Resolver for Stuck {
        fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
            if question.name.as_str() == "_dmarc.com" {
                Lookup::waiting(std::future::pending())
            } else {
                self.0.lookup(question)
            }
        }
    }
    let dns = Stuck(Zone::parse("_dmarc.example.com. TXT \"v=DMARC1; p=reject; psd=n\"").unwrap());
    let found = block_on_ready(discover(&dns, &domain("example.com"), Rules::Rfc9989));
    assert_eq!(found.policy(), Policy::Reject);
}

#[test]
fn signatures_without_end_cost_a_bounded_number_of_walks() {
    let proven: Vec<Proven> = (0..1000).map(|n| pass(Method::Dkim, &format!("s{n}.example.com"))).collect();
    let dns =
        Ticking::new("_dmarc.example.com. TXT \"v=DMARC1; p=reject; adkim=r\"\n!servfail s1.example.com.");
    let ((discovery, _), _) = dns.drive(check(&dns, &domain("example.com"), &proven, Rules::Rfc9989, None));
    assert!(dns.asked.load(Ordering::Relaxed) <= 2 + 2 * moxd_dmarc::MAX_WALKS);
    assert_eq!(needed(&discovery, &proven, &Organizations::default()).len(), moxd_dmarc::MAX_WALKS);
}

/// Texts that look like records, more often than not.
fn recordlike() -> impl Strategy<Value = String> {
    let tag = prop_oneof![
        "(p|sp|np) ?= ?(none|quarantine|reject|maybe|)",
        "(adkim|aspf)=[rsx]",
        "(fo)=[01ds:]{0,5}",
        "(rua|ruf)=(mailto:[a-c]@[a-c]\\.test(!1[kmgt]?)?,?){0,3}",
        "(psd|t)=[ynu]",
        "(pct|ri)=[0-9]{0,4}",
        "rf=[a-z:]{0,8}",
        "[ -~]{0,12}",
    ];
    (prop_oneof!["v=DMARC1", "v = DMARC1 ", "V=DMARC1", "v=DMARC"], prop::collection::vec(tag, 0..8))
        .prop_map(|(version, tags)| format!("{version};{}", tags.join(";")))
}

/// Names around one organization.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("example.com".to_owned()),
        "[ab]\\.example\\.com",
        "[ab]\\.[ab]\\.example\\.com",
        Just("com".to_owned()),
        Just("example.net".to_owned()),
    ]
}

/// Zones with records and failures at such names.
fn zone() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        8 => (name(), recordlike()).prop_map(|(name, text)| format!("_dmarc.{name}. TXT {text:?}")),
        1 => name().prop_map(|name| format!("!servfail _dmarc.{name}.")),
        1 => name().prop_map(|name| format!("!secure {name}.")),
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

fn proofs() -> impl Strategy<Value = Vec<Proven>> {
    let by = prop_oneof![Just(Method::Spf), Just(Method::Dkim)];
    let result = prop_oneof![Just(Outcome::Pass), Just(Outcome::Fail), Just(Outcome::TempError)];
    let proof =
        (by, name(), result).prop_map(|(by, name, result)| Proven { by, domain: domain(&name), result });
    prop::collection::vec(proof, 0..5)
}

fn rules() -> impl Strategy<Value = Rules> {
    prop_oneof![Just(Rules::Rfc9989), Just(Rules::Rfc7489)]
}

proptest! {
    #[test]
    fn records_round_trip(text in recordlike()) {
        fuzzing::dmarc_record(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_record_or_none(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::dmarc_record(&data);
        fuzzing::dmarc_record(&[b"v=DMARC1;p=none;", &data[..]].concat());
    }

    #[test]
    fn stricter_alignment_never_passes_more(
        (zone, from, proven, rules) in (zone(), name(), proofs(), rules()),
    ) {
        let Ok(zone) = Zone::parse(&zone) else { return Ok(()) };
        let from = domain(&from);
        let (mut discovery, _) = block_on_ready(check(&zone, &from, &proven, rules, None));
        let mut organizations = Organizations::default();
        let domains: Vec<Domain> = proven.iter().map(|p| p.domain.clone()).collect();
        block_on_ready(organizations.gather(&zone, &domains, rules));
        let mut with = |alignment| {
            if let Some(record) = &mut discovery.record {
                (record.adkim, record.aspf) = (alignment, alignment);
            }
            evaluate(&discovery, &proven, &organizations, None)
        };
        let (relaxed, strict) = (with(Alignment::Relaxed), with(Alignment::Strict));
        prop_assert!(strict.result != Verdict::Pass || relaxed.result == Verdict::Pass);
        prop_assert!(!strict.aligned_spf || relaxed.aligned_spf);
        prop_assert!(!strict.aligned_dkim || relaxed.aligned_dkim);
    }

    #[test]
    fn what_is_not_needed_changes_nothing(
        (zone, from, proven, rules) in (zone(), name(), proofs(), rules()),
    ) {
        let Ok(zone) = Zone::parse(&zone) else { return Ok(()) };
        let from = domain(&from);
        let (discovery, lazy) = block_on_ready(check(&zone, &from, &proven, rules, None));
        let mut organizations = Organizations::default();
        for identifier in &proven {
            organizations.insert(identifier.domain.clone(), &block_on_ready(organization(&zone, &identifier.domain, rules)));
        }
        prop_assert_eq!(&lazy, &evaluate(&discovery, &proven, &organizations, None));
        // The definition, without any short cut, gives the same: equal organizational domains.
        if let (Some(author), Some(record)) = (&discovery.organizational, &discovery.record) {
            let aligned = |by: Method, mode: Alignment| proven.iter().any(|identifier| {
                let theirs = block_on_ready(organization(&zone, &identifier.domain, rules)).domain;
                identifier.by == by
                    && identifier.result == Outcome::Pass
                    && (identifier.domain == from || (mode == Alignment::Relaxed && theirs.as_ref() == Some(author)))
            });
            if lazy.result != Verdict::None {
                prop_assert_eq!(lazy.aligned_spf, aligned(Method::Spf, record.aspf));
                prop_assert_eq!(lazy.aligned_dkim, aligned(Method::Dkim, record.adkim));
            }
        }
    }

    #[test]
    fn only_a_failure_is_rejected(
        (zone, from, proven, rules) in (zone(), name(), proofs(), rules()),
        dice in 0u64..100,
    ) {
        let Ok(zone) = Zone::parse(&zone) else { return Ok(()) };
        let (_, evaluation) = block_on_ready(check(&zone, &domain(&from), &proven, rules, Some(Percent::new(dice))));
        prop_assert!(evaluation.disposition <= evaluation.policy && evaluation.policy <= evaluation.published);
        prop_assert!(evaluation.disposition == Policy::None || evaluation.result == Verdict::Fail);
        prop_assert!(evaluation.result != Verdict::Pass || evaluation.aligned_spf || evaluation.aligned_dkim);
    }
}
