use super::*;
use crate::ErrorKind;

fn host() -> Domain {
    "mx.example.org".parse().unwrap()
}

#[track_caller]
fn check(results: &AuthResults, expected: &str) {
    let field = results.field();
    assert_eq!(field, expected);
    let value = field.strip_prefix("Authentication-Results:").unwrap();
    assert_eq!(AuthResults::parse(value.as_bytes()).as_ref(), Ok(results));
    let unfolded = field.replace("\r\n\t", " ").replace("\r\n", "");
    assert_eq!(results.to_string(), unfolded);
}

#[test]
fn round_trips_what_delivery_finds_out() {
    let mut results = AuthResults::of_host(&host(), false);
    let domain: Domain = "example.com".parse().unwrap();
    results.methods = vec![
        MethodResult::new("iprev", "pass").property("policy", "iprev", "2001:db8::1"),
        MethodResult::new("dkim", "pass")
            .comment("2048 bit rsa")
            .domain("header", "d", &domain, false)
            .property("header", "s", "sel")
            .property("header", "a", "rsa-sha256")
            .property("header", "b", "AbC/+9xYz012"),
        MethodResult::new("dkim", "permerror").reason("no key: syntax error"),
        MethodResult::new("spf", "softfail").property("smtp", "mailfrom", "example.com"),
        MethodResult::new("dmarc", "fail").property("header", "from", "example.com"),
    ];
    check(
        &results,
        "Authentication-Results: mx.example.org; iprev=pass policy.iprev=\"2001:db8::1\";\r\n\
         \tdkim=pass (2048 bit rsa) header.d=example.com header.s=sel\r\n\
         \theader.a=rsa-sha256 header.b=\"AbC/+9xYz012\"; dkim=permerror\r\n\
         \treason=\"no key: syntax error\"; spf=softfail smtp.mailfrom=example.com;\r\n\
         \tdmarc=fail header.from=example.com\r\n",
    );
}

#[test]
fn round_trips_international_names_with_their_ascii_form() {
    let host: Domain = "mx.bücher.example".parse().unwrap();
    let mut results = AuthResults::of_host(&host, true);
    results.methods = vec![MethodResult::new("spf", "pass").domain("smtp", "mailfrom", &host, true)];
    check(
        &results,
        "Authentication-Results: mx.bücher.example (mx.xn--bcher-kva.example); spf=pass\r\n\
         \tsmtp.mailfrom=mx.bücher.example (mx.xn--bcher-kva.example)\r\n",
    );
    assert_eq!(AuthResults::of_host(&host, false).authserv_id, "mx.xn--bcher-kva.example");
}

#[test]
fn round_trips_quoting_and_addresses() {
    let one = |value: &str| AuthResults {
        authserv_id: "mx".to_owned(),
        comment: None,
        methods: vec![MethodResult::new("auth", "pass").property("smtp", "mailfrom", value)],
    };
    let check_value = |value: &str, written: &str| {
        let start = "Authentication-Results: mx; auth=pass smtp.mailfrom=";
        check(&one(value), &format!("{start}{written}\r\n"));
    };
    check_value("a+b@example.org", "a+b@example.org");
    check_value(r#""a b"@example.org"#, r#""a b"@example.org"#);
    check_value(r#""a\"b"@example.org"#, r#""a\"b"@example.org"#);
    check_value("", r#""""#);
    check_value(r#"a "quote""#, r#""a \"quote\"""#);
    check_value(r"back\slash", r#""back\\slash""#);
    check_value("x;y=z", r#""x;y=z""#);
    // RFC 2045 §5.1: tspecials make no token.
    for special in
        ["2001:db8::1", "a/b", "AbC+9=", "a?b", "[192.0.2.1]", "a,b", "<a>", "a@b@c.example", "a@", "a@b c"]
    {
        check_value(special, &format!("\"{special}\""));
    }
    for bare in [
        "192.0.2.1",
        "AbC+9xYz",
        "a|b~c",
        "@example.org",
        "bücher.example",
        "jürgen@bücher.example",
        "a=b/c@b.example",
    ] {
        check_value(bare, bare);
    }
    check_value("ü!", r#""ü!""#);
    check_value("a\u{3000}b@example.org", "\"a\u{3000}b@example.org\"");
    check_value("x(y", r#""x(y""#);
    check_value(r#""a b"@not a domain"#, r#""\"a b\"@not a domain""#);
}

#[test]
fn line_ends_in_quotes_print_the_same_each_time() {
    for value in [
        "mx; a=b c.d=\"a\r\n b\"@example.org",
        "mx; a=b c.d=\"\\\r\"@example.org",
        "\"x\ty\"@b.example; none",
    ] {
        assert!(AuthResults::parse(value.as_bytes()).is_ok());
        crate::fuzzing::auth_results(value.as_bytes());
    }
}

#[test]
fn nothing_a_value_says_leaves_its_place() {
    let mut results = AuthResults::new("mx\r\nEvil: 1");
    results.methods =
        vec![MethodResult::new("spf\r\n", "pa;ss").comment("a)(\\\r\nb").reason("x\r\nEvil: 1\0").property(
            "smtp\n",
            "mail from",
            "\"\r\n\"@example.org",
        )];
    let field = results.field();
    assert_eq!(field.matches("\r\n").count(), field.matches("\r\n\t").count() + 1, "{field:?}");
    assert!(
        field.starts_with("Authentication-Results: \"mx??Evil: 1\"; spf=pass (a\\)\\(\\\\??b)"),
        "{field:?}"
    );
    let long = AuthResults::new("é\"".repeat(5000));
    assert!(long.field().lines().all(|line| line.len() <= 998));
}

#[test]
fn a_name_or_address_is_never_cut() {
    // Cut at 200 characters this name would end in that of a bank, which proved nothing.
    let long = format!("{0}.{0}.{0}", "a".repeat(62));
    let domain: Domain = format!("{long}.bank.example.evil.example").parse().unwrap();
    let mailbox: Mailbox = format!("{}@{domain}", "x".repeat(128)).parse().unwrap();
    let mut results = AuthResults::new("mx");
    results.methods = vec![
        MethodResult::new("dkim", "pass").domain("header", "d", &domain, false),
        MethodResult::new("auth", "pass").mailbox("smtp", "mailfrom", &mailbox, false),
    ];
    let read = AuthResults::parse(results.field().split_once(':').unwrap().1.as_bytes()).unwrap();
    assert_eq!(read.methods[0].get("header", "d"), Some(domain.as_str()));
    assert_eq!(read.methods[1].get("smtp", "mailfrom"), Some(&*mailbox.to_string()));
}

#[test]
fn what_no_line_has_room_for_is_left_out() {
    let mut results = AuthResults::new("mx");
    let method = MethodResult::new("dkim", "fail").comment("c").property("header", "i", "é@".repeat(500));
    results.methods.push(method.clone().property("header", "s", "sel"));
    results.methods.push(method);
    assert_eq!(results.field(), "Authentication-Results: mx; dkim=fail (c) header.s=sel; dkim=fail\r\n");
}

#[test]
fn accepts_what_others_write() {
    let parse = |text: &str| AuthResults::parse(text.as_bytes()).unwrap();
    assert_eq!(parse("example.org 1; none"), AuthResults::new("example.org"));
    assert_eq!(parse("example.org"), AuthResults::new("example.org"));
    let google = parse(
        "mx.google.com;\r\n       dkim=pass header.i=@example.org header.s=20230601 header.b=\"a=b\";\r\n       \
         spf=pass (google.com: domain of a@b designates 192.0.2.1 as permitted (sic)) smtp.mailfrom=a@b;\r\n       \
         dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=example.org;",
    );
    assert_eq!(google.methods.len(), 3);
    assert_eq!(google.methods[0].get("header", "I"), Some("@example.org"));
    assert_eq!(
        google.methods[1].comment.as_deref(),
        Some("google.com: domain of a@b designates 192.0.2.1 as permitted (sic)")
    );
    let odd =
        parse("(c) mx (d) ; (e) dkim / 2 (f) = (g) fail (h) reason (i) = (j) \"bad sig\" header . b = x (k)");
    assert_eq!(odd.methods[0].version, Some(2));
    assert_eq!(odd.methods[0].reason.as_deref(), Some("bad sig"));
    assert_eq!(odd.methods[0].properties[0].comment.as_deref(), Some("k"));
}

#[test]
fn refuses_what_cannot_be_told_apart() {
    for text in [
        "",
        ";",
        "; spf=pass",
        "mx 2; spf=pass",
        "mx; spf",
        "mx; spf=",
        "mx; spf=pass smtp",
        "mx; spf=pass smtp.x",
        "mx; spf=pass \"x\"",
        "mx; spf=pass (open",
        "mx; spf=pass a.b=\"open",
        "mx spf=pass",
    ] {
        let error = AuthResults::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadAuthResults, "{text}");
    }
}

#[test]
fn round_trips_arc_fields() {
    let mut results = AuthResults::new("mx");
    results.methods.push(MethodResult::new("arc", "none"));
    let field = results.arc_field(7);
    assert_eq!(field, "ARC-Authentication-Results: i=7; mx; arc=none\r\n");
    let value = field.split_once(':').unwrap().1;
    assert_eq!(AuthResults::parse_arc(value.as_bytes()), Ok((7, results)));
    for text in ["mx; arc=none", "i=0; mx; arc=none", "i=51; mx", "i=1 mx", "i=; mx", "a=1; i=1; mx"] {
        assert!(AuthResults::parse_arc(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn finds_fields_that_claim_to_be_ours() {
    for text in [
        " mx.example.org; spf=pass",
        " MX.Example.ORG ; spf=pass",
        "\"mx.example.org\"; none",
        "(x) mx.example.org",
        "\r\n mx.example.org.;none",
        "mx.example.org/1; none",
        "mx.example.org(x); none",
        " mx.example.org 1; none",
        "",
        "  ",
        ";",
        "(open mx",
        "\"open",
        "\" mx.example.org \"; none",
        "mx.example.org, x; spf=pass",
        "mx.example.org=1; spf=pass",
        "mx.example.org:25; spf=pass",
        "mx.example.org@x; spf=pass",
        "mx.example.org\\; spf=pass",
        "<mx.example.org>; spf=pass",
        "[mx.example.org]; spf=pass",
        "=?utf-8?q?mx.example.org?=; spf=pass",
    ] {
        assert!(claims(text.as_bytes(), &host()), "{text:?}");
    }
    for text in [
        "mx.example.com; spf=pass",
        "example.org; x",
        "a.mx.example.org",
        "mx.example.org.evil; mx.example.org",
        // As written by those who leave the identifier out.
        "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=mx.example.org; dkim=none",
    ] {
        assert!(!claims(text.as_bytes(), &host()), "{text:?}");
    }
    let international: Domain = "bücher.example".parse().unwrap();
    assert!(claims("BÜCHER.example; x".as_bytes(), &international));
    assert!(claims(b"xn--bcher-kva.example; x", &international));
}

#[track_caller]
fn check_kept(block: &str, kept: &str) {
    let ranges = without_claims(block.as_bytes(), &host());
    assert_eq!(ranges.iter().map(|r| &block[r.clone()]).collect::<String>(), kept);
    assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    assert!(ranges.iter().all(|range| !range.is_empty()));
}

#[test]
fn removes_forged_fields_and_nothing_else() {
    let ours = "authentication-RESULTS : mx.example.org;\r\n\tspf=pass\r\n smtp.x=y\r\n";
    let other = "Authentication-Results: other.example; spf=pass\r\n";
    let rest = "Subject: x\r\n\r\nAuthentication-Results: mx.example.org; spf=pass\r\n";
    check_kept(rest, rest);
    check_kept(&format!("{ours}{rest}"), rest);
    check_kept(&format!("{other}{ours}{ours}A: b\r\n{ours}{rest}"), &format!("{other}A: b\r\n{rest}"));
    check_kept(&format!("no colon\r\n{ours}\r\n"), "no colon\r\n\r\n");
    check_kept(ours, "");
    check_kept("", "");
    let many = "A: b\r\n".repeat(3000);
    check_kept(&format!("{many}{ours}{rest}"), &format!("{many}{rest}"));
}
