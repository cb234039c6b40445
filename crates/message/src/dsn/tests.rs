use super::*;
use crate::{Limits, Part, headers};

fn letter() -> Letter {
    Letter {
        from: "postmaster@mx.example.org".parse().unwrap(),
        to: "sender@example.com".parse().unwrap(),
        subject: "mail could not be delivered".to_owned(),
        message_id: "<abcdefgh@mx.example.org>".to_owned(),
        references: Some("<original@example.com>".to_owned()),
        text: "Your message was not delivered.\nSorry.\n".to_owned(),
        utf8: false,
    }
}

fn report() -> Report {
    let now = Date::new(1_793_718_245, 0);
    let mut report = Report::new(Mta::new("mx.example.org"));
    report.envelope_id = Some("QQ314159".to_owned());
    report.received_from = Some(Mta::new("client.example.com").at("192.0.2.7".parse().unwrap()));
    report.arrival = Some(now);
    let mut first = Recipient::new("a+b@example.net".parse::<Mailbox>().unwrap().into(), Action::Failed);
    first.original = Some(OriginalAddress::new("rfc822", "alias@example.net"));
    first.status = EnhancedCode::permanent(1, 1);
    first.status_text = Some("no such user (sorry)".to_owned());
    first.remote = Some(Mta::new("mail.example.net").at("2001:db8::25".parse().unwrap()));
    first.diagnostic = Some("550 5.1.1 no such user (see https://example.net/)".to_owned());
    first.last_attempt = Some(now);
    first.log_id = Some("17".to_owned());
    let mut second = Recipient::new(Path::Postmaster, Action::Delayed);
    second.retry_until = Some(Date::new(1_793_818_245, 60));
    report.recipients = vec![first, second];
    report
}

const ORIGINAL: &[u8] = b"From: <sender@example.com>\r\nSubject: hi\r\n\r\nsecret body\r\n";

#[track_caller]
fn round_trip(letter: &Letter, report: &Report, original: Original<'_>) -> (String, Part) {
    let message = compose(letter, report, original, Date::new(1_793_718_245, 0)).unwrap();
    let (part, findings) = Part::parse(&message, Limits::default());
    assert_eq!(findings, []);
    assert_eq!(parse(&part, &message).as_ref(), Some(report), "{}", String::from_utf8_lossy(&message));
    assert!(message.split(|b| *b == b'\n').all(|line| line.len() <= 998));
    (String::from_utf8(message).unwrap(), part)
}

#[test]
fn round_trips_addresses_that_look_like_comments_and_quotes() {
    for address in
        ["(a", "a)b", "\"a", "\"a (b\"@c", "a\\(b", "a\nb", " a ", "ü(ü)", "\u{1}\"", "\"a(b\"c\"d"]
    {
        for utf8 in [true, false] {
            let mut report = report();
            report.recipients[0].original = Some(OriginalAddress::new("utf-8", address));
            let letter = Letter { utf8, ..letter() };
            round_trip(&letter, &report, Original { message: ORIGINAL, utf8 });
        }
    }
}

#[test]
fn a_comment_in_a_quoted_name_is_no_address() {
    for name in ["\"a ([192.0.2.1])", "\"a([192.0.2.1])\"", "a(b"] {
        let status = format!(
            "Reporting-MTA: dns; {name}\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n"
        );
        let start = "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
                     Content-Type: message/delivery-status\r\n\r\n";
        let message = format!("{start}{status}\r\n--b--\r\n");
        let (part, _) = Part::parse(message.as_bytes(), Limits::default());
        assert_eq!(parse(&part, message.as_bytes()).unwrap().reporting_mta.ip, None, "{name}");
        crate::fuzzing::dsn(message.as_bytes());
    }
}

#[test]
fn round_trips_a_report_in_ascii() {
    let (message, part) = round_trip(&letter(), &report(), Original { message: ORIGINAL, utf8: false });
    assert!(message.is_ascii());
    assert!(!message.contains("secret body"));
    assert_eq!(message[part.parts[2].body.clone()], *"From: <sender@example.com>\r\nSubject: hi\r\n\r\n");
    for line in [
        "From: <postmaster@mx.example.org>\r\n",
        "To: <sender@example.com>\r\n",
        "References: <original@example.com>\r\n",
        "Date: Tue, 3 Nov 2026 15:04:05 +0000\r\n",
        "Reporting-MTA: dns;mx.example.org\r\n",
        "Received-From-MTA: dns;client.example.com ([192.0.2.7])\r\n",
        "Final-Recipient: rfc822;a+b@example.net\r\n",
        "Remote-MTA: dns;mail.example.net ([IPv6:2001:db8::25])\r\n",
        "Status: 5.1.1 (no such user \\(sorry\\))\r\n",
        "Status: 4.0.0\r\n",
        "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n",
        "Your message was not delivered.\r\nSorry.\r\n",
    ] {
        assert!(message.contains(line), "{line}\n{message}");
    }
}

#[test]
fn round_trips_a_report_in_utf8() {
    let mut letter = Letter { utf8: true, subject: "nicht zugestellt: Grüße".to_owned(), ..letter() };
    letter.to = "gräf@bücher.example".parse().unwrap();
    let mut report = report();
    report.recipients[0] =
        Recipient::new("jürgen@bücher.example".parse::<Mailbox>().unwrap().into(), Action::Relayed);
    report.recipients[0].original = Some(OriginalAddress::new("utf-8", "ü=+\\@example.net"));
    report.recipients[0].diagnostic = Some("250 schön".to_owned());
    let original = Original { message: "Subject: Grüße\r\n\r\n".as_bytes(), utf8: true };
    let (message, _) = round_trip(&letter, &report, original);
    for line in [
        "To: <gräf@bücher.example>\r\n",
        "Subject: nicht zugestellt: Grüße\r\n",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: Grüße\r\n",
        "Final-Recipient: utf-8;jürgen@bücher.example\r\n",
    ] {
        assert!(message.contains(line), "{line}\n{message}");
    }
    // RFC 6533 §3: without UTF-8 the same report is written with escapes.
    report.recipients[0].diagnostic = None;
    let (message, part) = round_trip(&Letter { utf8: false, ..letter }, &report, original);
    assert!(message.is_ascii());
    assert_eq!(
        crate::decode_words(headers(message.as_bytes()).first("Subject").unwrap().value.trim_ascii()),
        "nicht zugestellt: Grüße"
    );
    assert!(message.contains("Final-Recipient: utf-8;j\\x{FC}rgen@xn--bcher-kva.example\r\n"), "{message}");
    assert!(message.contains("Original-Recipient: utf-8;\\x{FC}\\x{3D}\\x{2B}\\x{5C}@example.net\r\n"));
    assert_eq!(*part.parts[2].decoded(message.as_bytes(), 1000), *"Subject: Grüße\r\n\r\n".as_bytes());
}

#[test]
fn utf8_is_only_for_originals_that_used_it() {
    let letter = Letter { utf8: true, text: "Grüße\r\n".to_owned(), ..letter() };
    let (message, part) = round_trip(&letter, &report(), Original { message: ORIGINAL, utf8: false });
    assert!(message.is_ascii());
    assert_eq!(part.parts[0].text(message.as_bytes(), 100), "Grüße\r\n");
}

#[test]
fn boundaries_and_odd_originals_do_not_break_a_report() {
    let fake =
        "--=abcdefghmxexampleorg.0\r\n--=abcdefghmxexampleorg.41--\r\n=abcdefghmxexampleorg.999999999999\r\n";
    for original in [fake.as_bytes(), b"", b"\xff\xfe: \x00\r\n", &[b'x'; 5000], b"no end"] {
        for utf8 in [false, true] {
            let letter = Letter { utf8, text: fake.to_owned(), ..letter() };
            let (_, part) = round_trip(&letter, &report(), Original { message: original, utf8 });
            assert_eq!(part.parts.len(), if original.is_empty() { 2 } else { 3 });
        }
    }
}

#[test]
fn nothing_a_server_said_leaves_its_field() {
    let mut report = report();
    report.recipients[0].diagnostic = Some("550 a\r\nAction: delivered\r\n\r\nb \0".to_owned());
    report.recipients[0].status_text = Some(") \r\nAction: delivered".to_owned());
    let message = compose(&letter(), &report, Original::default(), Date::new(0, 0)).unwrap();
    let (part, _) = Part::parse(&message, Limits::default());
    let read = parse(&part, &message).unwrap();
    assert_eq!(read.recipients.len(), 2);
    assert_eq!(read.recipients[0].action, Action::Failed);
    assert_eq!(read.recipients[0].diagnostic.as_deref(), Some("550 a Action: delivered b ?"));
}

#[test]
fn round_trips_addresses_that_look_like_something_else() {
    for address in [
        "\"a  (b) c\"@example.net",
        "\">\"@example.net",
        "\"a;b\"@example.net",
        "\"\\\"\"@example.net",
        "a+b=c@example.net",
        "\"\\x{41}\"@example.net",
        "\"ü \\\\x{41}\"@example.net",
    ] {
        let mut report = report();
        report.recipients[1].recipient = address.parse::<Mailbox>().unwrap().into();
        report.recipients[0].recipient = Path::Literal("a".parse().unwrap(), "2001:db8::1".parse().unwrap());
        for utf8 in [false, true] {
            let letter = Letter { to: "\"two  spaces\"@example.com".parse().unwrap(), utf8, ..letter() };
            let (message, _) = round_trip(&letter, &report, Original { message: b"", utf8 });
            assert!(message.contains("\r\nTo: <\"two  spaces\"@example.com>\r\n"));
        }
    }
}

#[test]
fn accepts_what_other_servers_write() {
    let status = "Reporting-MTA: (a (nested) comment) DNS ; mx.example.org\r\nX-Queue: 1\r\n\r\n\r\n\
        final-recipient: RFC822; <a@example.net>\r\nACTION: Failed (comment)\r\nStatus: 5.1.1 no such\r\n user\r\n\
        Diagnostic-Code: X-Local; whatever\r\nRemote-MTA: x; y\r\nLast-Attempt-Date: yesterday\r\n";
    let read = read(status, "message/delivery-status").unwrap();
    assert_eq!(read.reporting_mta, Mta::new("mx.example.org"));
    let recipient = &read.recipients[0];
    assert_eq!(recipient.recipient.to_string(), "<a@example.net>");
    assert_eq!(recipient.status_text.as_deref(), Some("no such user"));
    assert_eq!((&recipient.diagnostic, &recipient.remote, recipient.last_attempt), (&None, &None, None));
}

fn read(status: &str, kind: &str) -> Option<Report> {
    let message = format!(
        "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n--b\r\nContent-Type: {kind}\r\n\r\n\
         {status}\r\n--b--\r\n"
    );
    let (part, _) = Part::parse(message.as_bytes(), Limits::default());
    parse(&part, message.as_bytes())
}

#[test]
fn refuses_reports_that_lack_or_repeat_a_field() {
    let message = "Reporting-MTA: dns;m\r\n";
    let recipient = "Final-Recipient: rfc822;a@b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n";
    let whole = format!("{message}\r\n{recipient}");
    assert!(read(&whole, "message/delivery-status").is_some());
    assert!(read(&whole, "message/rfc822").is_none());
    for line in whole.split_inclusive("\r\n").filter(|line| *line != "\r\n") {
        assert!(read(&whole.replace(line, ""), "message/delivery-status").is_none(), "without {line}");
        assert!(
            read(&whole.replace(line, &line.repeat(2)), "message/delivery-status").is_none(),
            "twice {line}"
        );
    }
    for (from, to) in [
        ("rfc822;a@b.example", "rfc822;not an address"),
        ("rfc822;", "x400;"),
        ("dns;", "x-other;"),
        ("failed", "lost"),
        ("5.0.0", "5"),
        ("rfc822;a@", "utf-8;ä@"),
    ] {
        assert!(read(&whole.replace(from, to), "message/delivery-status").is_none(), "{to}");
    }
    assert!(read(&whole.replace("rfc822;a@", "utf-8;ä@"), "message/global-delivery-status").is_some());
    assert!(read(&whole.replace("rfc822;a@", "utf-8;\\x{E4}@"), "message/delivery-status").is_some());
}

#[test]
fn refuses_a_report_without_recipients() {
    let report = Report::new(Mta::new("mx.example.org"));
    let error = compose(&letter(), &report, Original::default(), Date::new(0, 0)).unwrap_err();
    assert_eq!(error.kind().token(), "message.no-recipient");
}

#[test]
fn recognises_enhanced_codes() {
    let split = |text| split_status(text).map(|(code, rest)| (code.to_string(), rest));
    assert_eq!(split("5.1.1 no"), Some(("5.1.1".to_owned(), "no")));
    assert_eq!(split("4.0.0"), Some(("4.0.0".to_owned(), "")));
    for text in ["", "5.1", "55.1.1 x", "5.1.1.1", "x 5.1.1", "3.0.0 x", "250 2.0.0"] {
        assert_eq!(split(text), None, "{text}");
    }
}
