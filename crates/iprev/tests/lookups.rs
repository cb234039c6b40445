//! The queries of the checks, and how often the checks wait for DNS.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use dns::zone::Zone;
use dns::{Lookup, Question, Resolver};
use moxd_iprev::{check, dnsbl, sender};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// A zone that answers each query at the second poll, and records the queries.
struct Slow {
    zone: Zone,
    asked: Mutex<Vec<String>>,
}

impl Resolver for Slow {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        self.asked.lock().unwrap().push(format!("{} {}", question.name, question.kind));
        let mut waited = false;
        Lookup::waiting(std::future::poll_fn(move |context| {
            if !waited {
                waited = true;
                return Poll::Pending;
            }
            Pin::new(&mut self.zone.lookup(question)).poll(context)
        }))
    }
}

/// Runs a check to its end; returns how often it waited, and for which queries.
#[track_caller]
fn costs(zone: &str, waits: usize, questions: &[&str], ask: impl AsyncFnOnce(&Slow)) {
    let slow = Slow { zone: Zone::parse(zone).unwrap(), asked: Mutex::default() };
    let waited = {
        let mut check = pin!(ask(&slow));
        let mut turns = (0..100).map(|_| check.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        turns.position(|poll| poll.is_ready()).unwrap()
    };
    assert_eq!(slow.asked.into_inner().unwrap(), questions);
    assert_eq!(waited, waits, "waits");
}

#[test]
fn names_of_an_address_are_looked_up_side_by_side() {
    let zone = "1.2.0.192.in-addr.arpa. PTR a.test.\n1.2.0.192.in-addr.arpa. PTR b.test.";
    let questions = ["1.2.0.192.in-addr.arpa PTR", "a.test A", "b.test A"];
    costs(zone, 2, &questions, async |dns| drop(check(dns, "192.0.2.1".parse().unwrap()).await));
}

#[test]
fn an_address_that_is_not_listed_costs_one_question() {
    let list = "list.test".parse().unwrap();
    let ask = async |dns: &Slow| drop(dnsbl::check(dns, &list, "192.0.2.1".parse().unwrap()).await);
    costs("", 1, &["1.2.0.192.list.test A"], ask);
    let questions = ["1.2.0.192.list.test A", "1.2.0.192.list.test TXT"];
    costs("1.2.0.192.list.test. A 127.0.0.2", 2, &questions, ask);
}

#[test]
fn both_questions_about_the_health_of_a_list_go_out_together() {
    let list = "list.test".parse().unwrap();
    let questions = ["1.0.0.127.list.test A", "2.0.0.127.list.test A"];
    let ask = async |dns: &Slow| drop(dnsbl::health(dns, &list).await);
    costs("2.0.0.127.list.test. A 127.0.0.2", 1, &questions, ask);
    // If the address is not listed, the check also tests whether the list works.
    costs("", 2, &[&questions[..], &["list.test A"]].concat(), ask);
}

#[test]
fn queries_the_best_host_of_a_sender_alone_and_the_others_together() {
    let domain = "a.test".parse().unwrap();
    let ask = async |dns: &Slow| drop(sender::can_receive(dns, &domain).await);
    let hosts = "a.test. MX 3 m3.test.\na.test. MX 1 m1.test.\na.test. MX 2 m2.test.";
    let questions =
        ["a.test MX", "m1.test A", "m1.test AAAA", "m2.test A", "m2.test AAAA", "m3.test A", "m3.test AAAA"];
    costs(hosts, 3, &questions, ask);
    let best = ["a.test MX", "m1.test A", "m1.test AAAA"];
    costs(&format!("{hosts}\nm1.test. A 192.0.2.1"), 2, &best, ask);
    costs("a.test. MX 0 .", 1, &["a.test MX"], ask);
}
