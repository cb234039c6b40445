use super::*;

#[track_caller]
fn accepts(text: &str, ascii: &str) {
    assert_eq!(text.parse::<Domain>().map(|d| d.to_string()), Ok(ascii.to_owned()), "{text:?}");
}

#[track_caller]
fn refuses(text: &str, kind: NameErrorKind) {
    assert_eq!(text.parse::<Domain>().map_err(|e| e.kind()), Err(kind), "{text:?}");
}

#[test]
fn accepts_domains_and_lower_cases_them() {
    accepts("example.org", "example.org");
    accepts("EXAMPLE.Org", "example.org");
    accepts("a-b.1x.org", "a-b.1x.org");
    accepts("localhost", "localhost");
}

#[test]
fn accepts_every_spelling_of_an_international_domain_as_one() {
    accepts("xn--bcher-kva.example", "xn--bcher-kva.example");
    accepts("XN--BCHER-KVA.example", "xn--bcher-kva.example");
    accepts("bücher.example", "xn--bcher-kva.example");
    accepts("BÜCHER.example", "xn--bcher-kva.example");
    accepts("bu\u{308}cher.example", "xn--bcher-kva.example");
    let domain: Domain = "BÜCHER.example".parse().unwrap();
    assert_eq!(domain.unicode(), "bücher.example");
}

#[test]
fn accepts_underscores_wherever_they_stand() {
    for text in
        ["em_12.example.com", "_dmarc.example.org", "a_.example", "_", "_a._b.example", "a_-_b.example"]
    {
        accepts(text, text);
    }
    accepts("Head_Office.Example.COM", "head_office.example.com");
    accepts("bücher_.example", "xn--bcher_-3ya.example");
    accepts("a_b.bücher.example", "a_b.xn--bcher-kva.example");
    let hostname = |text: &str| text.parse::<Domain>().unwrap().is_hostname();
    assert!(hostname("a-b.example.org") && hostname("bücher.example"));
    assert!(!hostname("a_b.example.org") && !hostname("bücher_.example"));
}

#[test]
fn accepts_a_final_dot_as_the_same_domain() {
    accepts("example.org.", "example.org");
    accepts("bücher.example.", "xn--bcher-kva.example");
    // UTS 46 maps the ideographic full stop to a dot.
    accepts("bücher.example\u{3002}", "xn--bcher-kva.example");
    for text in [".", "..", "example.org..", "bücher.example..", "\u{3002}"] {
        assert!(text.parse::<Domain>().is_err(), "{text}");
    }
}

#[test]
fn refuses_what_no_domain_is_called() {
    refuses("", NameErrorKind::Empty);
    refuses(".", NameErrorKind::Empty);
    refuses(".example.org", NameErrorKind::EmptyLabel);
    refuses("a..b", NameErrorKind::EmptyLabel);
    refuses("a!b.example", NameErrorKind::BadCharacter);
    refuses("bücher!.example", NameErrorKind::BadCharacter);
    refuses("b\u{fc}cher\u{2474}.example", NameErrorKind::BadCharacter);
    refuses("a b.example", NameErrorKind::BadCharacter);
    refuses("-a.example", NameErrorKind::BadHyphen);
    refuses("a-.example", NameErrorKind::BadHyphen);
    refuses(&format!("{}.example", "a".repeat(64)), NameErrorKind::LabelTooLong);
    refuses(&vec!["abcdefg"; 32].join("."), NameErrorKind::NameTooLong);
    refuses("xn--a.example", NameErrorKind::BadInternational);
    refuses("-bücher.example", NameErrorKind::BadInternational);
    refuses(&format!("{}.example", "ü".repeat(64)), NameErrorKind::LabelTooLong);
    refuses(&vec!["bücher"; 32].join("."), NameErrorKind::NameTooLong);
    refuses(&"ü".repeat(1000), NameErrorKind::NameTooLong);
}

#[test]
fn accepts_the_longest_label_and_name() {
    accepts(&"a".repeat(63), &"a".repeat(63));
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
    assert_eq!(longest.len(), MAX_NAME);
    accepts(&longest, &longest);
}

#[test]
fn names_allow_what_dns_allows() {
    let name: Name = "_dmarc.Example.ORG.".parse().unwrap();
    assert_eq!(name.to_string(), "_dmarc.example.org");
    assert_eq!(name.parent().unwrap().as_str(), "example.org");
    assert_eq!(name.labels().collect::<Vec<_>>(), ["_dmarc", "example", "org"]);
    assert!(".".parse::<Name>().unwrap().is_root());
    let blank: Name = "A b.example.org".parse().unwrap();
    assert_eq!(blank.labels().next(), Some("a b"));
    for text in ["a\tb", "a\0b", "a\u{7f}b", "ä", "a..b"] {
        assert!(text.parse::<Name>().is_err(), "{text:?}");
    }
}

#[test]
fn at_or_below_is_about_labels() {
    let at = |a: &str, b: &str| a.parse::<Name>().unwrap().is_at_or_below(&b.parse().unwrap());
    assert!(at("example.org", "example.org"));
    assert!(at("a.example.org", "example.org"));
    assert!(!at("badexample.org", "example.org"));
    assert!(!at("org", "example.org"));
    assert!(at("org", "."));
}

#[test]
fn hosts_are_written_as_smtp_writes_them() {
    for text in ["example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
        assert_eq!(text.parse::<Host>().unwrap().to_string(), text);
    }
    for text in ["[2001:db8::1]", "[IPv6:192.0.2.1]", "[192.0.2.1", "[]", "[é]"] {
        assert!(text.parse::<Host>().is_err(), "{text}");
    }
}
