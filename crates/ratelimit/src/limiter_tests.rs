use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 / 60 * 60) + Duration::from_secs_f64(seconds)
}

fn per_minute() -> Limiter {
    Limiter::new(
        &[Window { name: "per minute", length: MINUTE, limits: [300, 900, 2700] }],
        Addresses::default(),
    )
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[track_caller]
fn refused(decision: Decision) -> Refusal {
    match decision {
        Decision::Refused(refusal) => refusal,
        Decision::Allowed => panic!("allowed"),
    }
}

#[track_caller]
fn check_scope(refusal: Refusal, class: Class, network: &str) {
    assert_eq!(refusal.scope, Scope::Network(class, network.parse().unwrap()));
}

#[test]
fn refuses_the_301st_in_a_minute() {
    let mut limiter = per_minute();
    assert!((0..300).all(|i| limiter.take(ip("192.0.2.1"), at(f64::from(i) / 10.0), 1).is_allowed()));
    let refusal = refused(limiter.take(ip("192.0.2.1"), at(30.0), 1));
    check_scope(refusal, Class::Host, "192.0.2.1/32");
    assert_eq!(refusal.limit, "per minute");
}

#[test]
fn half_a_minute_after_a_boundary_is_not_a_new_minute() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(59.0), 300).is_allowed());
    assert!(
        !limiter.take(ip("192.0.2.1"), at(61.0), 1).is_allowed(),
        "a fixed window would start again here"
    );
    assert!(!limiter.take(ip("192.0.2.1"), at(118.9), 1).is_allowed());
    assert!(limiter.take(ip("192.0.2.1"), at(59.0 + 60.0 + 5.0), 300).is_allowed(), "at most a twelfth late");
}

#[test]
fn counts_the_networks_around_an_address() {
    let mut limiter = per_minute();
    for last in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert!(limiter.take(ip(last), at(0.0), 300).is_allowed());
    }
    check_scope(refused(limiter.take(ip("192.0.2.4"), at(1.0), 1)), Class::Site, "192.0.2.0/26");
    for site in ["192.0.3.1", "192.0.4.1", "192.0.5.1", "192.0.6.1", "192.0.7.1", "192.0.1.1"] {
        assert!(limiter.take(ip(site), at(1.0), 300).is_allowed());
    }
    check_scope(refused(limiter.take(ip("192.0.1.99"), at(1.0), 1)), Class::Provider, "192.0.0.0/21");
    assert!(limiter.take(ip("192.0.8.1"), at(1.0), 1).is_allowed(), "another provider");
}

#[test]
fn mapped_addresses_are_ipv4() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(0.0), 300).is_allowed());
    check_scope(refused(limiter.take(ip("::ffff:192.0.2.1"), at(0.0), 1)), Class::Host, "192.0.2.1/32");
}

#[test]
fn a_refusal_counts_nothing_anywhere() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(0.0), 300).is_allowed());
    for _ in 0..1000 {
        assert!(!limiter.take(ip("192.0.2.1"), at(0.0), 1).is_allowed());
    }
    assert!(limiter.take(ip("192.0.2.2"), at(0.0), 300).is_allowed());
}

#[test]
fn all_windows_hold_at_once() {
    let windows = [
        Window { name: "per minute", length: MINUTE, limits: [10, 30, 90] },
        Window { name: "per day", length: 1440 * MINUTE, limits: [50, 150, 450] },
    ];
    let mut limiter = Limiter::new(&windows, Addresses::default());
    for minute in 0..5 {
        assert!(limiter.take(ip("192.0.2.1"), at(f64::from(minute) * 66.0), 10).is_allowed());
        assert_eq!(
            refused(limiter.peek(ip("192.0.2.1"), at(f64::from(minute) * 66.0), 1)).limit == "per day",
            minute == 4
        );
    }
    let refusal = refused(limiter.take(ip("192.0.2.1"), at(900.0), 1));
    assert_eq!(refusal.limit, "per day");
    assert!(refusal.retry_after.unwrap() > 1400 * MINUTE);
}

#[test]
fn says_when_to_come_back_and_keeps_its_word() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(1.0), 100).is_allowed());
    assert!(limiter.take(ip("192.0.2.1"), at(21.0), 200).is_allowed());
    for n in [1, 100, 101, 300] {
        let wait = refused(limiter.peek(ip("192.0.2.1"), at(30.0), n)).retry_after.unwrap();
        assert!(limiter.peek(ip("192.0.2.1"), at(30.0) + wait, n).is_allowed(), "{n}");
        let early = at(30.0) + wait - Duration::from_millis(1);
        assert!(!limiter.peek(ip("192.0.2.1"), early, n).is_allowed(), "{n}");
    }
    assert_eq!(refused(limiter.peek(ip("192.0.2.1"), at(30.0), 301)).retry_after, None, "never fits");
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(0.0), 300).is_allowed());
    limiter.give_back(ip("192.0.2.1"), at(10.0), 2);
    assert!(limiter.take(ip("192.0.2.1"), at(10.0), 2).is_allowed());
    assert!(!limiter.take(ip("192.0.2.1"), at(10.0), 1).is_allowed());
    limiter.give_back(ip("198.51.100.1"), at(10.0), 5);
    assert!(!limiter.take(ip("198.51.100.1"), at(10.0), 301).is_allowed(), "nothing goes below zero");
}

#[test]
fn a_clock_that_is_a_little_behind_opens_nothing() {
    let mut limiter = per_minute();
    assert!(limiter.take(ip("192.0.2.1"), at(60.0), 300).is_allowed());
    // Back and forth over the border of a part, as threads that read the clock before they get the lock.
    for _ in 0..100 {
        assert!(!limiter.take(ip("192.0.2.1"), at(54.9), 1).is_allowed());
        assert!(!limiter.take(ip("192.0.2.1"), at(65.0), 1).is_allowed());
    }
}

#[test]
fn a_clock_set_back_by_years_closes_nothing_for_good() {
    let mut limiter = per_minute();
    let years = Duration::from_secs(3600 * 24 * 365 * 70);
    assert!(limiter.take(ip("192.0.2.1"), at(0.0) + years, 300).is_allowed());
    let refusal = refused(limiter.take(ip("192.0.2.1"), at(0.0), 1));
    assert!(refusal.retry_after.unwrap() <= MINUTE + MINUTE / 12, "{refusal:?}");
    assert!(limiter.take(ip("192.0.2.1"), at(70.0), 300).is_allowed());
    assert!(limiter.take(ip("192.0.2.2"), SystemTime::UNIX_EPOCH - years, 300).is_allowed());
}

#[test]
fn allowed_networks_have_no_limit() {
    let allowed = vec!["192.0.2.0/24".parse().unwrap()];
    let windows = [Window { name: "per minute", length: MINUTE, limits: [1, 1, 1] }];
    let mut limiter = Limiter::new(&windows, Addresses { allowed, ..Addresses::default() });
    assert!((0..100).all(|_| limiter.take(ip("::ffff:192.0.2.1"), at(0.0), 1).is_allowed()));
    assert!(limiter.take(ip("192.0.3.1"), at(0.0), 1).is_allowed());
}

#[test]
fn without_windows_there_is_no_limit() {
    let mut limiter = Limiter::new(&[], Addresses::default());
    assert!(limiter.take(ip("192.0.2.1"), at(0.0), u64::MAX).is_allowed());
}

#[test]
fn memory_is_bounded_and_the_wider_network_still_counts() {
    let windows = [Window { name: "per minute", length: MINUTE, limits: [300, 900, 2700] }];
    let mut limiter = Limiter::with_capacity(&windows, Addresses::default(), 100);
    for i in 0..10_000_u32 {
        let ip = IpAddr::from([0x2001, 0xdb8, 0, (i % 65_536) as u16, 0, 0, 0, 1]);
        assert_eq!(
            limiter.take(ip, at(0.0), 1).is_allowed(),
            i < 900,
            "one /48, whatever was forgotten of its hosts"
        );
        assert!(limiter.classes.iter().all(|class| class.len() <= 100));
    }
}

#[test]
fn a_refused_flood_pushes_out_no_client() {
    let window = Window { name: "w", length: Duration::from_secs(60), limits: [2, 3, 4] };
    let mut limiter = Limiter::with_capacity(&[window], Addresses::default(), 8);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let other: IpAddr = "192.0.2.1".parse().unwrap();
    assert!(limiter.take(other, now, 2).is_allowed());
    // Each attempt comes from a new address in one provider's network.
    for host in 0..100_u16 {
        let flood: IpAddr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, host, 0, 0, 0, 1).into();
        let _ = limiter.take(flood, now, 1);
    }
    assert!(!limiter.take(other, now, 1).is_allowed());
    assert!(!limiter.take("2001:db8:0:200::1".parse().unwrap(), now, 1).is_allowed());
}
