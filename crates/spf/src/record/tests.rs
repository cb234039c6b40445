use super::*;
use crate::ErrorKind;

#[track_caller]
fn check(text: &str, want: &str) {
    let record = Record::parse(text.as_bytes()).unwrap();
    assert_eq!(record.to_string(), want);
    assert_eq!(want.parse::<Record<'static>>().unwrap(), record.into_owned());
}

#[track_caller]
fn check_refused(text: &str, kind: ErrorKind, term: Option<&str>, position: Option<usize>) {
    let error = Record::parse(text.as_bytes()).unwrap_err();
    assert_eq!((error.kind(), error.term(), error.position()), (kind, term, position), "{text:?}");
}

#[test]
fn round_trips_in_plain_form() {
    check("v=spf1", "v=spf1");
    check("V=SPF1  MX   -aLL  ", "v=spf1 mx -all");
    check("v=spf1 +a ?mx/24 ~ptr:x.test -ip4:192.0.2.0/24", "v=spf1 a ?mx/24 ~ptr:x.test -ip4:192.0.2.0/24");
    check("v=spf1 a/32//128 mx:X.test/0//64 a//64", "v=spf1 a mx:X.test/0//64 a//64");
    check("v=spf1 ip4:192.0.2.1/32 ip6:2001:DB8:0::1/128", "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1");
    check(
        "v=spf1 exp=a.test all moo=%{d}/: REDIRECT=b.test",
        "v=spf1 all redirect=b.test exp=a.test moo=%{d}/:",
    );
    check("v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d}", "v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d}");
}

#[test]
fn lends_its_parts() {
    let record: Record<'_> = "v=spf1 -include:i.test/a.b redirect=r.test exp=e.test x=1 x=2".parse().unwrap();
    let [Directive { qualifier: Qualifier::Fail, mechanism: Mechanism::Include(target) }] =
        record.directives()
    else {
        panic!("{record:?}");
    };
    assert_eq!(target.as_str(), "i.test/a.b");
    assert_eq!(record.redirect().unwrap().as_str(), "r.test");
    assert_eq!(record.explanation().unwrap().as_str(), "e.test");
    let unknown: Vec<_> = record.unknown_modifiers().iter().map(|m| (m.name(), m.value())).collect();
    assert_eq!(unknown, [("x", "1"), ("x", "2")]);
}

#[test]
fn refuses_what_is_no_record() {
    check_refused("", ErrorKind::BadVersion, None, None);
    check_refused("v=spf2 -all", ErrorKind::BadVersion, None, None);
    check_refused("v=spf1-all", ErrorKind::BadVersion, None, None);
    check_refused(&format!("v=spf1{}", " ".repeat(MAX_RECORD)), ErrorKind::RecordTooLong, None, None);
}

#[test]
fn refuses_bad_terms_and_tells_where_they_stand() {
    let cases = [
        ("v=spf1 foo", ErrorKind::UnknownMechanism, "foo", 7),
        ("v=spf1  mx  -bar:x.test -all", ErrorKind::UnknownMechanism, "-bar:x.test", 12),
        ("v=spf1 mx a:b\u{7f}c.test", ErrorKind::BadCharacter, "a:b?c.test", 10),
        ("v=spf1 a:ü.test", ErrorKind::BadCharacter, "a:ü.test", 7),
        ("v=spf1 all:", ErrorKind::BadArgument, "all:", 7),
        ("v=spf1 include", ErrorKind::BadArgument, "include", 7),
        ("v=spf1 a:nodot", ErrorKind::BadDomainSpec, "a:nodot", 7),
        ("v=spf1 a:%{d", ErrorKind::BadMacro, "a:%{d", 7),
        ("v=spf1 a:%{t}", ErrorKind::ExplanationMacro, "a:%{t}", 7),
        ("v=spf1 ip4:1.2.3", ErrorKind::BadAddress, "ip4:1.2.3", 7),
        ("v=spf1 ip6:1.2.3.4", ErrorKind::BadAddress, "ip6:1.2.3.4", 7),
        ("v=spf1 mx/33", ErrorKind::BadPrefixLength, "mx/33", 7),
        ("v=spf1 exp=a.test exp=b.test", ErrorKind::RepeatedModifier, "exp=b.test", 18),
    ];
    for (text, kind, term, position) in cases {
        check_refused(text, kind, Some(term), Some(position));
    }
}

#[test]
fn reads_ip4_networks_as_the_grammar_has_them() {
    let network = |text: &str| {
        let record = format!("v=spf1 ip4:{text}").parse::<Record<'static>>().ok()?;
        match record.directives() {
            [Directive { mechanism: Mechanism::Ip4 { network, prefix }, .. }] => Some((*network, *prefix)),
            _ => None,
        }
    };
    for text in ["0.0.0.0", "1.20.199.255", "255.255.255.255", "249.99.10.9"] {
        assert_eq!(network(text), Some((text.parse().unwrap(), 32)), "{text}");
    }
    assert_eq!(network("192.0.2.0/0"), Some((Ipv4Addr::new(192, 0, 2, 0), 0)));
    for text in [
        "",
        ".",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        "256.0.0.1",
        "1.2.3.256",
        "1.2.3.999",
        "00.1.2.3",
        "1.2.3.04",
        "1.2.3.4a",
        "1.2.3.-4",
        "1.2.3.4/",
        "1.2.3.4/33",
        "1.2.3.4/00",
        "1.2.3.4/1/2",
        "1.2.3.4/ 8",
        "+1.2.3.4",
    ] {
        assert_eq!(network(text), None, "{text}");
    }
}

#[test]
fn networks_cover_their_addresses() {
    let check = |network: &str, prefix: u8, ip: &str, want: bool| {
        let both = DualPrefix { v4: prefix.min(32), v6: prefix };
        assert_eq!(
            both.covers(network.parse().unwrap(), ip.parse().unwrap()),
            want,
            "{network}/{prefix} {ip}"
        );
    };
    check("192.0.2.1", 32, "192.0.2.1", true);
    check("192.0.2.1", 32, "192.0.2.0", false);
    check("192.0.2.1", 31, "192.0.2.0", true);
    check("192.0.2.1", 0, "203.0.113.9", true);
    check("2001:db8::1", 128, "2001:db8::1", true);
    check("2001:db8::1", 127, "2001:db8::", true);
    check("2001:db8::1", 128, "2001:db8::", false);
    check("::", 0, "2001:db8::1", true);
    check("::", 0, "192.0.2.1", false);
}
