use super::*;
use crate::{ErrorKind, Limits, check};
use dns::zone::{Zone, block_on_ready};
use dns::{Domain, Host};

/// The field of a query about `example.test`, folding undone.
fn field(record: &str, mail_from: Option<&str>, helo: &str, ip: &str) -> ReceivedSpf {
    let zone = Zone::parse(&format!("example.test. TXT \"{record}\"\n!servfail broken.test.")).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let (helo, receiver): (Host, Domain) = (helo.parse().unwrap(), "mx.receiver.test".parse().unwrap());
    let mut query = Query::new(ip.parse().unwrap()).helo(&helo).receiver(&receiver);
    if let Some(localpart) = mail_from {
        query = query.mail_from(localpart, &domain);
    }
    ReceivedSpf::new(&query, &block_on_ready(check(&zone, &query, Limits::default())))
}

#[track_caller]
fn check_field(field: &ReceivedSpf, want: &str) {
    let printed = field.to_string();
    assert_eq!(printed.replace("\r\n\t", " "), want);
    assert!(printed.split("\r\n").all(|line| line.chars().count() <= 78), "{printed}");
    assert_eq!(ReceivedSpf::parse(printed.as_bytes()).as_ref(), Ok(field));
}

#[test]
fn says_in_words_what_was_found() {
    let words = |record: &str| field(record, Some("alice"), "c.test", "192.0.2.1").comment().to_owned();
    let who = "domain of alice@example.test";
    assert_eq!(
        words("v=spf1 +all"),
        format!("mx.receiver.test: {who} designates 192.0.2.1 as permitted sender")
    );
    assert_eq!(
        words("v=spf1 -all"),
        format!("mx.receiver.test: {who} does not designate 192.0.2.1 as permitted sender")
    );
    assert_eq!(
        words("v=spf1 ~all"),
        format!(
            "mx.receiver.test: {who} does not designate 192.0.2.1 as permitted sender, but is not sure of it"
        )
    );
    assert_eq!(words("v=spf1"), format!("mx.receiver.test: {who} neither permits nor denies 192.0.2.1"));
    assert_eq!(words("hello"), format!("mx.receiver.test: {who} does not designate permitted senders"));
    assert_eq!(words("v=spf1 foo"), format!("mx.receiver.test: error in the SPF records for {who}"));
    assert_eq!(
        words("v=spf1 a:broken.test"),
        format!("mx.receiver.test: error in DNS while checking 192.0.2.1 for {who}")
    );
}

#[test]
fn a_local_part_is_quoted_as_in_the_envelope() {
    let check = |localpart: &str, mailbox: &str| {
        let field = field("v=spf1 +all", Some(localpart), "c.test", "192.0.2.1");
        assert_eq!(field.value("envelope-from"), Some(mailbox));
        let words = format!("mx.receiver.test: domain of {mailbox} designates 192.0.2.1 as permitted sender");
        assert_eq!(field.comment(), words);
        assert_eq!(ReceivedSpf::parse(field.to_string().as_bytes()).as_ref(), Ok(&field));
    };
    check("a b", "\"a b\"@example.test");
    check("a@b", "\"a@b\"@example.test");
    check("a\"b\\c", "\"a\\\"b\\\\c\"@example.test");
    check(".dots..", "\".dots..\"@example.test");
    check("(comment)", "\"(comment)\"@example.test");
    check("j\u{fc}rgen", "j\u{fc}rgen@example.test");
    check("o'neil+x", "o'neil+x@example.test");
    let printed = field("v=spf1 +all", Some("a b"), "c.test", "192.0.2.1").to_string();
    assert!(printed.contains("envelope-from=\"\\\"a b\\\"@example.test\";"), "{printed}");
}

#[test]
fn prints_the_pairs_of_the_section() {
    check_field(
        &field("v=spf1 ip4:192.0.2.0/24 -all", Some("alice"), "c.test", "192.0.2.1"),
        "Received-SPF: pass (mx.receiver.test: domain of alice@example.test designates 192.0.2.1 as permitted sender) \
         client-ip=192.0.2.1; envelope-from=\"alice@example.test\"; helo=c.test; mechanism=\"ip4:192.0.2.0/24\"; \
         receiver=mx.receiver.test; identity=mailfrom",
    );
    check_field(
        &field("v=spf1 -all", None, "example.test", "2001:db8::1"),
        "Received-SPF: fail (mx.receiver.test: domain of postmaster@example.test does not designate 2001:db8::1 as \
         permitted sender, from EHLO because MAIL FROM is empty) client-ip=\"2001:db8::1\"; \
         envelope-from=\"postmaster@example.test\"; helo=example.test; mechanism=-all; receiver=mx.receiver.test; \
         identity=helo",
    );
}

#[test]
fn tells_a_problem_only_where_there_is_one() {
    let permerror = field("v=spf1 ip4:192.0.2.1 foo:bar.test", Some("alice"), "c.test", "192.0.2.1");
    assert_eq!(permerror.value("problem"), Some("unknown mechanism: foo:bar.test at byte 21 (example.test)"));
    assert_eq!(permerror.value("mechanism"), None);
    assert_eq!(field("hello", Some("alice"), "c.test", "192.0.2.1").value("problem"), None);
    assert_eq!(field("v=spf1", Some("alice"), "c.test", "192.0.2.1").value("mechanism"), Some("default"));
    let long = field(&format!("v=spf1 {}", "x".repeat(500)), Some("alice"), "c.test", "192.0.2.1");
    assert_eq!(long.value("problem").unwrap().len(), 67);
}

#[test]
fn leaves_out_an_identity_that_is_none() {
    check_field(
        &field("v=spf1", None, "[192.0.2.1]", "192.0.2.1"),
        "Received-SPF: none (mx.receiver.test: no domain to check, MAIL FROM is empty and EHLO gives no name) \
         client-ip=192.0.2.1; helo=\"[192.0.2.1]\"; receiver=mx.receiver.test",
    );
}

#[test]
fn tells_of_an_identity_that_is_malformed() {
    let query = Query::new("192.0.2.1".parse().unwrap());
    let evaluation = Evaluation::malformed(Identity::MailFrom);
    assert_eq!(evaluation.reason.as_ref().map(|reason| reason.kind()), Some(ErrorKind::BadDomain));
    check_field(
        &ReceivedSpf::new(&query, &evaluation),
        "Received-SPF: none (mailfrom has no domain that could designate permitted senders) client-ip=192.0.2.1; \
         identity=mailfrom",
    );
}

#[test]
fn lets_no_sender_break_out_of_its_place() {
    let sly = field("v=spf1 -all", Some("a)\r\nX: y (\"\\;\0"), "c.test", "192.0.2.1");
    assert_eq!(sly.value("envelope-from"), Some("\"a)??X: y (\\\"\\\\;?\"@example.test"));
    let printed = sly.to_string();
    assert!(!printed.contains("\r\nX"));
    assert_eq!(ReceivedSpf::parse(printed.as_bytes()), Ok(sly));
}

#[test]
fn reads_the_styles_of_others() {
    let parsed = ReceivedSpf::parse(
        b"Received-SPF: Pass (mybox.example.test: domain of\r\n myname@example.test (a (b)) designates)\r\n     \
          receiver=mybox.example.test; CLIENT-IP=192.0.2.1;\r\n envelope-from=\"my\\\"name@example.test\"; \
          mechanism=ip4:192.0.2.1; helo (c) = foo.test; empty=\"\";",
    )
    .unwrap();
    assert_eq!(parsed.result(), Outcome::Pass);
    assert_eq!(parsed.comment(), "mybox.example.test: domain of myname@example.test (a (b)) designates");
    let pairs: Vec<_> = parsed.pairs().collect();
    assert_eq!(
        pairs,
        [
            ("receiver", "mybox.example.test"),
            ("CLIENT-IP", "192.0.2.1"),
            ("envelope-from", "my\"name@example.test"),
            ("mechanism", "ip4:192.0.2.1"),
            ("helo", "foo.test"),
            ("empty", ""),
        ]
    );
    assert_eq!(parsed.value("client-ip"), Some("192.0.2.1"));
    assert_eq!(ReceivedSpf::parse(b"softfail").unwrap().result(), Outcome::SoftFail);
}

#[test]
fn refuses_what_is_no_field() {
    let long = format!("pass ({})", "x".repeat(20_000));
    for text in [
        "",
        "Received-SPF:",
        "maybe x=y",
        "pass (open",
        "pass x",
        "pass x=\"open",
        "pass =y",
        "pass x=y z=1",
        &long,
    ] {
        let error = ReceivedSpf::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadReceivedSpf, "{text:?}");
    }
    assert!(ReceivedSpf::parse(b"pass x=\xff").is_err());
}
