//! The promises about failed logins, one by one.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use moxd_ratelimit::*;

const WINDOWS: [FailureWindow; 2] = [
    FailureWindow {
        name: "per minute",
        length: Duration::from_secs(60),
        networks: [10, 30, 90],
        account: 20,
    },
    FailureWindow {
        name: "per day",
        length: Duration::from_secs(86_400),
        networks: [50, 150, 450],
        account: 100,
    },
];

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 / 86_400 * 86_400 + seconds)
}

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn fail(failures: &mut Failures, ip: IpAddr, account: &str, times: u32, now: SystemTime) {
    (0..times).for_each(|_| failures.failed(ip, Some(account), now));
}

#[track_caller]
fn check(decision: Decision, expected: Option<(&str, &str)>) {
    let got = match decision {
        Decision::Allowed => None,
        Decision::Refused(Refusal { limit, scope: Scope::Network(class, _), .. }) => {
            Some((limit, class.token()))
        }
        Decision::Refused(Refusal { limit, scope: Scope::Account, .. }) => Some((limit, "account")),
    };
    assert_eq!(got, expected);
}

#[test]
fn ten_failures_a_minute_stop_an_address() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    fail(&mut failures, ip(1), "alice", 9, at(0));
    failures.failed(ip(1), None, at(1));
    check(failures.check(ip(1), None, at(1)), Some(("per minute", "host")));
    check(failures.check(ip(2), None, at(1)), None);
    check(failures.check(ip(1), None, at(70)), None);
}

#[test]
fn one_valid_account_does_not_reset_an_attackers_budget() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    for _ in 0..3 {
        fail(&mut failures, ip(1), "alice", 3, at(0));
        failures.succeeded(ip(1), "mallory", at(0));
    }
    fail(&mut failures, ip(1), "mallory", 1, at(0));
    check(failures.check(ip(1), None, at(0)), Some(("per minute", "host")));
}

#[test]
fn a_success_does_not_forgive_failures_from_elsewhere() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    fail(&mut failures, ip(1), "alice", 8, at(0));
    fail(&mut failures, ip(2), "alice", 9, at(0));
    failures.succeeded(ip(1), "alice", at(0));
    assert_eq!((failures.count(ip(1), "alice", at(0)), failures.count(ip(2), "alice", at(0))), (0, 9));
    fail(&mut failures, ip(2), "bob", 1, at(0));
    check(failures.check(ip(2), None, at(0)), Some(("per minute", "host")));
    check(failures.check(ip(1), None, at(0)), None);
}

#[test]
fn what_is_forgiven_is_not_what_others_did_later() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    fail(&mut failures, ip(1), "alice", 5, at(0));
    fail(&mut failures, ip(1), "bob", 5, at(50));
    failures.succeeded(ip(1), "alice", at(50));
    // Bob's five are there until they are a minute old themselves.
    fail(&mut failures, ip(1), "carol", 5, at(100));
    check(failures.check(ip(1), None, at(100)), Some(("per minute", "host")));
}

#[test]
fn an_account_attacked_from_everywhere_is_protected() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    for i in 0..20_u8 {
        fail(&mut failures, [10, i, 0, 1].into(), "alice", 1, at(0));
    }
    check(failures.check([10, 99, 0, 1].into(), Some("alice"), at(0)), Some(("per minute", "account")));
    check(failures.check([10, 99, 0, 1].into(), Some("bob"), at(0)), None);
    check(failures.check([10, 99, 0, 1].into(), None, at(0)), None);
}

#[test]
fn slow_attacks_meet_the_limit_of_a_day() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    for minute in 0..50 {
        fail(&mut failures, ip(1), "alice", 1, at(minute * 60));
    }
    check(failures.check(ip(1), None, at(50 * 60)), Some(("per day", "host")));
}

#[test]
fn a_clock_set_back_does_not_lock_out_for_good() {
    let mut failures = Failures::new(&WINDOWS, Addresses::default());
    fail(&mut failures, ip(1), "alice", 20, at(0) + Duration::from_secs(3600 * 24 * 365));
    check(failures.check(ip(1), Some("alice"), at(0)), Some(("per minute", "host")));
    check(failures.check(ip(1), Some("alice"), at(70)), None);
}
