//! Properties of the limiters for any sequence of events and times.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use moxd_ratelimit::*;
use proptest::prelude::*;

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
}

/// A few addresses, in one provider's network and another's.
fn addresses() -> impl Strategy<Value = IpAddr> {
    prop::sample::select(vec![
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.99",
        "192.0.7.1",
        "198.51.100.1",
        "2001:db8::1",
    ])
    .prop_map(|text| text.parse().unwrap())
}

/// Milliseconds since the event before, the address, and the number of events.
fn events() -> impl Strategy<Value = Vec<(u64, IpAddr, u64)>> {
    prop::collection::vec((0_u64..4000, addresses(), 1_u64..4), 1..200)
}

proptest! {
    /// No span as long as the window has more allowed events than the limit, in any class.
    #[test]
    fn never_above_the_limit_in_any_window(events in events(), millis in 1_u64..60_000, host in 1_u32..20) {
        let limits = [host, host * 2, host * 3];
        let length = Duration::from_millis(millis);
        let mut limiter = Limiter::new(&[Window { name: "w", length, limits }], Addresses::default());
        let mut now = start();
        let mut taken = Vec::new();
        for (gap, ip, n) in events {
            now += Duration::from_millis(gap);
            if limiter.take(ip, now, n).is_allowed() {
                taken.push((now, ip, n));
            }
        }
        for (class, limit) in Class::ALL.into_iter().zip(limits) {
            for &(end, ip, _) in &taken {
                let network = Prefixes::default().network(class, ip);
                let inside = |&&(at, other, _): &&(SystemTime, IpAddr, u64)| {
                    at <= end && at + length > end && network.contains(other)
                };
                let sum: u64 = taken.iter().filter(inside).map(|(_, _, n)| n).sum();
                prop_assert!(sum <= u64::from(limit), "{sum} of {limit} in {network}");
            }
        }
    }

    /// The limiter is no stricter than documented: it allows an event if a window and a twelfth before it are under the limit.
    #[test]
    fn lets_through_what_fits(events in events(), seconds in 1_u64..60, limit in 1_u32..20) {
        let length = Duration::from_secs(seconds);
        let kept = length + length / 12;
        let mut limiter = KeyLimiter::new(&[KeyWindow { name: "w", length, limit }], 1000);
        let mut now = start();
        let mut taken: Vec<(SystemTime, IpAddr, u64)> = Vec::new();
        for (gap, key, n) in events {
            now += Duration::from_millis(gap);
            let refused = limiter.take(&key, now, n).is_some();
            let recent = taken.iter().filter(|(at, k, _)| *k == key && *at + kept > now);
            let recent: u64 = recent.map(|(_, _, n)| n).sum();
            prop_assert!(!refused || recent + n > u64::from(limit), "{recent} + {n} is within {limit}");
            if !refused {
                taken.push((now, key, n));
            }
        }
    }

    /// A refused client is allowed after exactly the time that the refusal names, and not earlier.
    #[test]
    fn keeps_its_word(events in events(), millis in 100_u64..60_000) {
        let window = KeyWindow { name: "w", length: Duration::from_millis(millis), limit: 5 };
        let mut limiter = KeyLimiter::new(&[window], 1000);
        let mut now = start();
        for (gap, key, n) in events {
            now += Duration::from_millis(gap);
            if let Some(exceeded) = limiter.take(&key, now, n) {
                let then = now + exceeded.retry_after.unwrap();
                prop_assert_eq!(limiter.peek(&key, then, n), None);
                prop_assert!(limiter.peek(&key, then - Duration::from_nanos(1), n).is_some());
            }
        }
    }

    /// No sequence of clock values causes a panic, and after two quiet windows the limiter is empty.
    #[test]
    fn no_clock_closes_the_gate_for_good(jumps in prop::collection::vec((any::<bool>(), 0_u64..u64::MAX / 4), 1..20)) {
        let length = Duration::from_secs(60);
        let mut limiter = KeyLimiter::new(&[KeyWindow { name: "w", length, limit: 1 }], 10);
        let mut now = start();
        for (back, seconds) in jumps {
            let jump = Duration::from_secs(seconds);
            now = if back { now.checked_sub(jump) } else { now.checked_add(jump) }.unwrap_or_else(start);
            let _ = limiter.take(&"key", now, 1);
            let _ = limiter.take(&"key", now, 1);
        }
        if let Some(later) = now.checked_add(length * 2) && later > SystemTime::UNIX_EPOCH + length * 2 {
            prop_assert_eq!(limiter.take(&"key", later, 1), None);
        }
    }

    /// After any failures and successes, the networks have exactly the failures that no success has forgiven.
    #[test]
    fn a_success_forgives_its_own_failures_alone(
        events in prop::collection::vec((0_u64..2000, addresses(), 0_usize..3, any::<bool>()), 1..60),
    ) {
        const NAMES: [&str; 3] = ["alice", "bob", "mallory"];
        let length = Duration::from_secs(3600);
        let window = FailureWindow { name: "w", length, networks: [u32::MAX; 3], account: u32::MAX };
        let mut failures = Failures::new(&[window], Addresses::default());
        let mut model: Vec<(IpAddr, usize)> = Vec::new();
        let mut now = start();
        for (gap, ip, who, success) in events {
            now += Duration::from_millis(gap);
            let key = LoginKey::Account(NAMES[who].into());
            let Start::Now(grant) = failures.begin(ip, &key, now) else { panic!("there is no limit") };
            let expected = model.iter().filter(|failure| **failure == (ip, who)).count();
            prop_assert_eq!(grant.failures, expected as u64);
            let outcome = if success { Outcome::Succeeded } else { Outcome::Failed };
            failures.finish(ip, &key, outcome, now);
            if success {
                model.retain(|failure| *failure != (ip, who));
            } else {
                model.push((ip, who));
            }
        }
    }

    /// However attempts overlap, no more fail within a window than the limit of their network allows, except from
    /// networks where the account has logged in recently.
    #[test]
    fn no_overlap_of_attempts_gets_past_a_limit(
        events in prop::collection::vec((0_u64..3000, addresses(), any::<bool>()), 1..150), host in 1_u32..8,
    ) {
        let (length, networks) = (Duration::from_secs(60), [host, host * 2, host * 3]);
        let window = FailureWindow { name: "w", length, networks, account: u32::MAX };
        let mut failures = Failures::new(&[window], Addresses::default());
        let key = LoginKey::Nobody(1);
        let (mut now, mut open, mut failed) = (start(), Vec::new(), Vec::new());
        for (gap, ip, begins) in events {
            now += Duration::from_millis(gap);
            if begins {
                if let Start::Now(_) = failures.begin(ip, &key, now) {
                    open.push(ip);
                }
            } else if let Some(ip) = open.pop() {
                failures.finish(ip, &key, Outcome::Failed, now);
                failed.push((now, ip));
            }
            for (class, limit) in Class::ALL.into_iter().zip(networks) {
                let network = Prefixes::default().network(class, ip);
                let recent = |(at, other): &&(SystemTime, IpAddr)| *at + length > now && network.contains(*other);
                let sum = failed.iter().filter(recent).count() + open.iter().filter(|ip| network.contains(**ip)).count();
                prop_assert!(sum <= limit as usize, "{sum} of {limit} in {network}");
            }
        }
    }
}
