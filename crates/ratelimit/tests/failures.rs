//! Tests of the limits on failed logins, one rule each.
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

fn alice() -> LoginKey {
    account("alice")
}

fn account(name: &str) -> LoginKey {
    LoginKey::Account(name.into())
}

fn failures() -> Failures {
    Failures::new(&WINDOWS, Addresses::default())
}

fn fail(failures: &mut Failures, ip: IpAddr, name: &str, times: u32, now: SystemTime) {
    (0..times).for_each(|_| failures.failed(ip, Some(&account(name)), now));
}

/// Makes an attempt that ends at once; returns its grant, or why it may not begin.
fn attempt(
    failures: &mut Failures,
    ip: IpAddr,
    key: &LoginKey,
    outcome: Outcome,
    now: SystemTime,
) -> Result<Grant, Refusal> {
    match failures.begin(ip, key, now) {
        Start::Now(grant) => {
            failures.finish(ip, key, outcome, now);
            Ok(grant)
        }
        Start::AfterOthers(_) => panic!("no other is under way"),
        Start::Refused(refusal) => Err(refusal),
    }
}

fn log_in(failures: &mut Failures, ip: IpAddr, name: &str, now: SystemTime) -> Result<Grant, Refusal> {
    attempt(failures, ip, &account(name), Outcome::Succeeded, now)
}

#[track_caller]
fn check(decision: Decision, expected: Option<(&str, &str)>) {
    let got = match decision {
        Decision::Allowed => None,
        Decision::Refused(refusal) => Some(scope(&refusal)),
    };
    assert_eq!(got, expected);
}

fn scope(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal.scope {
        Scope::Network(class, _) => (refusal.limit, class.token()),
        Scope::Account => (refusal.limit, "account"),
    }
}

#[test]
fn ten_failures_a_minute_stop_an_address() {
    let mut failures = failures();
    fail(&mut failures, ip(1), "alice", 9, at(0));
    failures.failed(ip(1), None, at(1));
    check(failures.may_connect(ip(1), at(1)), Some(("per minute", "host")));
    let refusal = log_in(&mut failures, ip(1), "bob", at(1)).unwrap_err();
    assert_eq!(scope(&refusal), ("per minute", "host"));
    check(failures.may_connect(ip(2), at(1)), None);
    check(failures.may_connect(ip(1), at(70)), None);
}

#[test]
fn one_valid_account_does_not_reset_an_attackers_budget() {
    let mut failures = failures();
    for _ in 0..3 {
        fail(&mut failures, ip(1), "alice", 3, at(0));
        log_in(&mut failures, ip(1), "mallory", at(0)).unwrap();
    }
    fail(&mut failures, ip(1), "alice", 1, at(0));
    let refused = attempt(&mut failures, ip(1), &alice(), Outcome::Failed, at(0)).unwrap_err();
    assert_eq!(scope(&refused), ("per minute", "host"));
}

#[test]
fn a_success_does_not_forgive_failures_from_elsewhere() {
    let mut failures = failures();
    fail(&mut failures, ip(1), "alice", 8, at(0));
    fail(&mut failures, ip(2), "alice", 9, at(0));
    assert_eq!(log_in(&mut failures, ip(1), "alice", at(0)).unwrap().failures, 8);
    assert_eq!(log_in(&mut failures, ip(1), "alice", at(0)).unwrap().failures, 0);
    assert_eq!(attempt(&mut failures, ip(2), &alice(), Outcome::Failed, at(0)).unwrap().failures, 9);
    let refused = attempt(&mut failures, ip(2), &account("bob"), Outcome::Failed, at(0)).unwrap_err();
    assert_eq!(scope(&refused), ("per minute", "host"));
}

#[test]
fn what_is_forgiven_is_not_what_others_did_later() {
    let mut failures = failures();
    fail(&mut failures, ip(1), "alice", 5, at(0));
    fail(&mut failures, ip(1), "bob", 5, at(50));
    // Bob's five are there until they are a minute old themselves.
    failures.finish(ip(1), &alice(), Outcome::Succeeded, at(50));
    fail(&mut failures, ip(1), "carol", 5, at(100));
    let refused = attempt(&mut failures, ip(1), &account("carol"), Outcome::Failed, at(100)).unwrap_err();
    assert_eq!(scope(&refused), ("per minute", "host"));
}

#[test]
fn attackers_cannot_keep_an_account_from_logging_in() {
    let mut failures = failures();
    let home: IpAddr = [10, 0, 0, 1].into();
    log_in(&mut failures, home, "alice", at(0)).unwrap();
    // An attacker tries wrong passwords from a few addresses, all day.
    for host in 0..30 {
        fail(&mut failures, [192, 0, host, 1].into(), "alice", 10, at(60));
    }
    // The known address and its neighbours log in without delay.
    for last in [1, 2] {
        let grant = log_in(&mut failures, [10, 0, 0, last].into(), "alice", at(60)).unwrap();
        assert_eq!(grant, Grant { wait: Duration::ZERO, failures: 0, known: true });
    }
    // An unknown network waits for its turn.
    let road: IpAddr = [198, 51, 100, 1].into();
    let grant = log_in(&mut failures, road, "alice", at(60)).unwrap();
    assert_eq!((grant.wait, grant.known), (TURN, false));
    // After that login the network is known, too.
    assert!(log_in(&mut failures, road, "alice", at(60)).unwrap().known);
    assert_eq!(log_in(&mut failures, road, "bob", at(60)).unwrap().wait, Duration::ZERO);
}

#[test]
fn attempts_at_an_account_under_attack_take_turns_wherever_they_come_from() {
    for key in [alice(), LoginKey::Nobody(7)] {
        let mut failures = failures();
        for host in 0..20 {
            failures.failed([10, host, 0, 1].into(), Some(&key), at(0));
        }
        let from = |host: u8| -> IpAddr { [10, 100 + host, 0, 1].into() };
        let turns = u8::try_from(MAX_WAIT.as_secs() / TURN.as_secs()).unwrap();
        for host in 0..turns {
            let Start::Now(grant) = failures.begin(from(host), &key, at(0)) else { panic!("a turn") };
            assert_eq!(grant.wait, TURN * (u32::from(host) + 1));
        }
        let Start::Refused(refusal) = failures.begin(from(turns), &key, at(0)) else { panic!("no turn") };
        assert_eq!(
            (scope(&refusal), refusal.retry_after),
            (("per minute", "account"), Some(MAX_WAIT + TURN))
        );
        // An address has one turn at a time.
        assert!(matches!(failures.begin(from(0), &key, at(10)), Start::AfterOthers(_)));
        let Start::Now(grant) = failures.begin(from(turns), &key, at(10)) else { panic!("a turn") };
        assert_eq!(grant.wait, MAX_WAIT - Duration::from_secs(8));
    }
}

#[test]
fn neighbours_do_not_shut_out_who_has_logged_in_from_the_same_address() {
    let mut failures = failures();
    log_in(&mut failures, ip(1), "alice", at(0)).unwrap();
    fail(&mut failures, ip(1), "carol", 50, at(0));
    check(failures.may_connect(ip(1), at(0)), None);
    assert!(log_in(&mut failures, ip(1), "alice", at(0)).is_ok());
    assert!(log_in(&mut failures, ip(1), "carol", at(0)).is_err());
    // Alice has the failures that one address may have, and no more.
    fail(&mut failures, ip(1), "alice", 10, at(0));
    let refused = log_in(&mut failures, ip(1), "alice", at(0)).unwrap_err();
    assert_eq!(scope(&refused), ("per minute", "host"));
}

#[test]
fn attempts_at_a_time_do_not_get_past_a_limit() {
    let mut failures = failures();
    let started = (0..30).filter(|_| matches!(failures.begin(ip(1), &alice(), at(0)), Start::Now(_))).count();
    assert_eq!(started, 10, "as many as may fail");
    // Successful attempts make room, failed ones do not.
    failures.finish(ip(1), &alice(), Outcome::Failed, at(0));
    assert!(matches!(failures.begin(ip(1), &alice(), at(0)), Start::AfterOthers(_)));
    failures.finish(ip(1), &alice(), Outcome::Undecided, at(0));
    assert!(matches!(failures.begin(ip(1), &alice(), at(0)), Start::Now(_)));
    for _ in 0..9 {
        assert!(matches!(failures.begin(ip(1), &alice(), at(0)), Start::AfterOthers(_)));
        failures.finish(ip(1), &alice(), Outcome::Failed, at(0));
    }
    assert!(matches!(failures.begin(ip(1), &alice(), at(0)), Start::Refused(_)));
    // Attempts from neighbouring addresses do not get around the limit.
    let mut started = 0;
    for last in 64..128 {
        for _ in 0..10 {
            started += u32::from(matches!(failures.begin(ip(last), &alice(), at(0)), Start::Now(_)));
        }
    }
    assert!(started <= 30, "{started}");
}

#[test]
fn honest_logins_at_a_time_are_not_refused() {
    let mut failures = failures();
    let names: Vec<_> = (0..50).map(|n| account(&format!("user{n}"))).collect();
    let mut waiting = 0;
    for name in &names {
        match failures.begin(ip(1), name, at(0)) {
            Start::Now(_) => {}
            Start::AfterOthers(_) => waiting += 1,
            Start::Refused(_) => panic!("refused"),
        }
    }
    assert_eq!(waiting, 40);
    for name in names.iter().take(10) {
        failures.finish(ip(1), name, Outcome::Succeeded, at(0));
    }
    assert!(matches!(failures.begin(ip(1), &names[10], at(0)), Start::Now(_)));
}

#[test]
fn a_missing_secret_is_not_held_against_the_account_but_against_the_address() {
    let mut failures = failures();
    for _ in 0..10 {
        attempt(&mut failures, ip(1), &alice(), Outcome::FailedUnarmed, at(0)).unwrap();
    }
    assert!(attempt(&mut failures, ip(1), &alice(), Outcome::FailedUnarmed, at(0)).is_err());
    for host in 2..12 {
        attempt(&mut failures, [10, host, 0, 1].into(), &alice(), Outcome::FailedUnarmed, at(0)).unwrap();
    }
    assert_eq!(log_in(&mut failures, [10, 99, 0, 1].into(), "alice", at(0)).unwrap().wait, Duration::ZERO);
}

#[test]
fn exempt_networks_are_free_of_the_limits_of_accounts_too() {
    let allowed = vec!["10.0.0.0/8".parse().unwrap()];
    let mut failures = Failures::new(&WINDOWS, Addresses { allowed, ..Addresses::default() });
    fail(&mut failures, [10, 0, 0, 1].into(), "alice", 500, at(0));
    check(failures.may_connect([10, 0, 0, 1].into(), at(0)), None);
    assert_eq!(log_in(&mut failures, [10, 0, 0, 2].into(), "alice", at(0)).unwrap().wait, Duration::ZERO);
}

#[test]
fn slow_attacks_meet_the_limit_of_a_day() {
    let mut failures = failures();
    for minute in 0..50 {
        fail(&mut failures, ip(1), "alice", 1, at(minute * 60));
    }
    check(failures.may_connect(ip(1), at(50 * 60)), Some(("per day", "host")));
}

#[test]
fn a_clock_set_back_does_not_lock_out_for_good() {
    let mut failures = failures();
    let later = at(0) + Duration::from_secs(3600 * 24 * 365);
    fail(&mut failures, ip(1), "alice", 20, later);
    for host in 0..20 {
        fail(&mut failures, [10, host, 0, 1].into(), "alice", 1, later);
    }
    let on_the_road = |host: u8| -> IpAddr { [10, 100 + host, 0, 1].into() };
    assert_eq!(
        attempt(&mut failures, on_the_road(1), &alice(), Outcome::Undecided, later).unwrap().wait,
        TURN
    );
    check(failures.may_connect(ip(1), at(0)), Some(("per minute", "host")));
    assert_eq!(
        attempt(&mut failures, on_the_road(2), &alice(), Outcome::Undecided, at(0)).unwrap().wait,
        TURN
    );
    check(failures.may_connect(ip(1), at(70)), None);
    assert_eq!(log_in(&mut failures, on_the_road(3), "alice", at(70)).unwrap().wait, Duration::ZERO);
}

#[test]
fn lists_who_is_held_back_and_lifts_it() {
    let mut failures = failures();
    for host in 0..2 {
        fail(&mut failures, [10, host, 0, 1].into(), "alice", 10, at(0));
    }
    for last in 1..=3 {
        (0..10).for_each(|_| failures.failed(ip(last), Some(&LoginKey::Nobody(9)), at(0)));
    }
    let listed = |failures: &Failures| -> Vec<String> {
        let name = |who| match who {
            Blockee::Network(network) => format!("{network}"),
            Blockee::Account(name) => format!("{name}"),
        };
        failures.blocked(at(1)).into_iter().map(|blocked| name(blocked.who)).collect()
    };
    let network = |text: &str| Blockee::Network(text.parse().unwrap());
    let hosts = ["10.0.0.1/32", "10.1.0.1/32"];
    let others = ["192.0.2.0/26", "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"];
    assert_eq!(listed(&failures), [&hosts[..], &others[..], &["alice"]].concat());
    assert!(failures.blocked(at(1)).iter().all(|b| b.until > at(59) && b.until <= at(66)));
    assert!(failures.blocked(at(70)).is_empty());

    // Lifting an account removes its delays, and leaves the limits of addresses.
    let lifted = failures.lift(Some(&Blockee::Account("alice".into())), at(1));
    assert_eq!(lifted.len(), 1);
    assert_eq!(log_in(&mut failures, [10, 99, 0, 1].into(), "alice", at(1)).unwrap().wait, Duration::ZERO);
    assert_eq!(listed(&failures), [&hosts[..], &others[..]].concat());
    // Lifting an address lifts the networks around it.
    assert_eq!(failures.lift(Some(&network("192.0.2.2")), at(1)).len(), 2);
    assert!(log_in(&mut failures, ip(2), "bob", at(1)).is_ok());
    assert_eq!(listed(&failures), [&hosts[..], &["192.0.2.1/32", "192.0.2.3/32"]].concat());
    assert_eq!(failures.lift(Some(&network("10.0.0.0/8")), at(1)).len(), 2);
    assert!(failures.lift(Some(&network("203.0.113.1")), at(1)).is_empty());
    assert_eq!(failures.lift(None, at(1)).len(), 2);
    assert!(listed(&failures).is_empty());
}
