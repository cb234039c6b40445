//! Messages from MAIL to the store, without a socket.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use dns::zone::Zone;
use moxd_intake::{
    AccountRules, Destination, DeveloperMode, Directory, Judges, JunkFlags, LocalDomain, Pattern, Ruleset,
};
use smtpserver::{Backend, Kind};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use store::Flags;

use common::*;

#[tokio::test]
async fn incoming_mail_gets_its_fields_in_order_and_keeps_its_bytes() {
    let server = server(None, AccountRules::default());
    let text = format!("{HEADER}\r\nbody\r\n");
    server
        .send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example", "bob@a.example"], &text)
        .await
        .unwrap();
    let [kept] = &server.inbox("bob")[..] else { panic!("one message") };
    assert!(kept.ends_with(&text));
    let names: Vec<&str> = kept
        .lines()
        .filter(|l| !l.starts_with('\t'))
        .map_while(|l| l.split_once(": "))
        .map(|p| p.0)
        .collect();
    assert_eq!(
        names,
        ["Delivered-To", "Return-Path", "Authentication-Results", "Received", "From", "To", "Subject"]
    );
    assert!(kept.contains("for <bob@a.example>"), "each recipient has a Received of its own");
    assert_eq!(server.inbox("ann").len(), 1);
}

#[tokio::test]
async fn the_mailbox_tells_what_is_junk_where_the_account_says_so() {
    for (not_junk, flags) in [(vec!["in".to_owned()], Flags::NOT_JUNK), (vec![], Flags::default())] {
        let junk_flags = Some(JunkFlags { not_junk, ..JunkFlags::default() });
        let server = server(None, AccountRules { junk_flags, ..AccountRules::default() });
        let text = format!("{HEADER}\r\nbody\r\n");
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        assert_eq!(server.records("ann")[0].facts.flags, flags);
    }
}

#[tokio::test]
async fn rulesets_choose_the_mailbox() {
    let server = server(Some("lists.example. TXT \"v=spf1 ip4:192.0.2.1 -all\""), AccountRules::default());
    let ruleset = |header: &str, domain: Option<&str>, mailbox: &str| Ruleset {
        mail_from: None,
        verified_domain: domain.map(|domain| domain.parse().unwrap()),
        headers: vec![(Pattern::new("^list-id$").unwrap(), Pattern::new(header).unwrap())],
        mailbox: mailbox.into(),
    };
    let rulesets =
        [ruleset("rust", Some("lists.example"), "Lists/Rust"), ruleset("<other", None, "Lists/Other")];
    let to = Destination { rulesets: Arc::from(rulesets), ..Destination::new("ann", "Inbox") };
    server.change_settings(|settings| {
        settings.directory.add_address("ann", "a.example".parse().unwrap(), to);
    });
    for (from, list, mailbox) in [
        ("bounces@lists.example", "<rust.lists.example>", "Lists/Rust"),
        ("bounces@b.example", "<rust.lists.example>", "Inbox"),
        ("bounces@b.example", "<Other.lists.example>", "Lists/Other"),
    ] {
        let text = format!("{HEADER}List-Id: {list}\r\n\r\nto {mailbox}\r\n");
        server.send(&client(Kind::Smtp, None), from, &["ann@a.example"], &text).await.unwrap();
        let account = server.store.account("ann").unwrap().unwrap();
        let chosen = server.store.mailbox(account, mailbox).unwrap().unwrap();
        assert_eq!(chosen.counts.messages, 1, "{from} {list}");
    }
}

#[tokio::test]
async fn a_message_goes_by_the_id_that_its_sender_wrote() {
    let long = "x".repeat(100_000);
    for (id, canonical, written) in [
        ("<Ab.C@Example.ORG>", "ab.c@example.org", "Ab.C@Example.ORG"),
        ("<ab.c@example.org>", "ab.c@example.org", ""),
        (&format!("<{long}@example.org>"), "", ""),
        ("none", "", ""),
    ] {
        let server = server(None, AccountRules::default());
        let text = format!("{HEADER}Message-ID: {id}\r\n\r\nbody\r\n");
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        let facts = &server.records("ann")[0].facts;
        assert_eq!(facts.origin.from_localpart, "ann");
        assert_eq!((facts.message_id.as_str(), facts.written_message_id.as_str()), (canonical, written));
    }
}

#[tokio::test]
async fn long_fields_do_not_make_a_message_too_large_to_keep() {
    let server = server(None, AccountRules::default());
    let long = "x".repeat(100_000);
    let text = format!(
        "From: <{long}@b.example>\r\nSubject: {long}\r\nReferences: <{long}@b.example>\r\nMessage-ID: <{long}@b.example>\r\n\r\nbody\r\n"
    );
    server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
    let origin = &server.records("ann")[0].facts.origin;
    assert_eq!((origin.from_localpart.as_str(), origin.from_domain.as_str()), ("", "b.example"));
}

#[tokio::test]
async fn many_large_headers_at_a_time_do_not_take_all_memory() {
    let server = server(None, AccountRules::default());
    let client = client(Kind::Smtp, None);
    let mut connection = server.backend.connect(&client);
    let large = format!("X-Large: {0}\r\n {0}\r\n", "x".repeat(985)).repeat(500);
    let (mut open, mut refused) = (Vec::new(), None);
    while refused.is_none() {
        let mut message =
            server.begin(&mut connection, &client, "x@b.example", &["ann@a.example"]).await.unwrap();
        refused = server.backend.content(&mut message, large.as_bytes()).await.err();
        open.push(message);
    }
    assert!((30..=35).contains(&open.len()), "{}", open.len());
    assert!(refused.unwrap().to_string().starts_with("451 4.4.5"));
    // Messages of usual size are still accepted.
    let text = format!("{HEADER}\r\nbody\r\n");
    server.send(&client, "x@b.example", &["ann@a.example"], &text).await.unwrap();
    // Once one large message has ended, the next is accepted.
    open.pop();
    open.pop();
    let text = format!("{large}{HEADER}\r\nbody\r\n");
    server.send(&client, "x@b.example", &["ann@a.example"], &text).await.unwrap();
    assert_eq!(server.inbox("ann").len(), 2);
}

#[tokio::test]
async fn drops_results_that_claim_to_be_ours() {
    let server = server(None, AccountRules::default());
    let forged = "Authentication-Results: mx.a.example; spf=pass\r\n\tsmtp.mailfrom=bank.example\r\n";
    let other = "Authentication-Results: mx.other.example; spf=fail\r\n";
    let text = format!("{forged}{other}{HEADER}\r\nbody\r\n");
    server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
    let [kept] = &server.inbox("ann")[..] else { panic!("one message") };
    assert!(kept.ends_with(&format!("{other}{HEADER}\r\nbody\r\n")) && !kept.contains("bank.example"));
}

#[tokio::test]
async fn received_names_the_first_name_of_an_address_where_none_resolves_back() {
    for (forward, name) in [("", "first.example"), ("second.example. A 192.0.2.1", "second.example")] {
        let zone = format!(
            "1.2.0.192.in-addr.arpa. PTR first.example.\n1.2.0.192.in-addr.arpa. PTR second.example.\n{forward}"
        );
        let server = server(Some(&zone), AccountRules::default());
        let text = format!("{HEADER}\r\nbody\r\n");
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        let unfolded = server.inbox("ann").remove(0).replace("\r\n\t", " ");
        assert!(unfolded.contains(&format!("from client.example ({name} [192.0.2.1])")), "{unfolded}");
    }
}

#[tokio::test]
async fn received_spf_alone_has_the_host_name_of_the_listener() {
    let server = server(Some("b.example. TXT \"v=spf1 -all\""), AccountRules::default());
    let mut client = client(Kind::Smtp, None);
    client.hostname = "in.a.example".parse().unwrap();
    let text = format!("{HEADER}\r\nbody\r\n");
    server.send(&client, "x@b.example", &["ann@a.example"], &text).await.unwrap();
    let unfolded = server.inbox("ann").remove(0).replace("\r\n\t", " ");
    assert!(unfolded.contains("receiver=in.a.example;"), "{unfolded}");
    assert!(unfolded.contains("Authentication-Results: mx.a.example;"), "{unfolded}");
    assert!(unfolded.contains(" by mx.a.example "), "{unfolded}");
}

#[tokio::test]
async fn unknown_recipients_are_refused_after_the_message() {
    let server = server(None, AccountRules::default());
    let smtp = client(Kind::Smtp, None);
    let text = format!("{HEADER}\r\nbody\r\n");
    let check = async |to: &[&str], want: &str| {
        let refusal = server.send(&smtp, "x@b.example", to, &text).await.unwrap_err();
        assert!(refusal.to_string().starts_with(want), "{to:?}: {refusal}");
    };
    check(&["eve@a.example"], "550 5.1.1 no such user(s)").await;
    let alone =
        "452 4.5.3 max of 1 recipients reached for this message, send the others in a message of their own";
    check(&["ann@a.example", "eve@a.example"], alone).await;
    check(&["eve@a.example", "ann@a.example"], alone).await;
    check(&["ann@elsewhere.example"], "550 5.1.1 not accepting email for domain").await;
    assert!(server.inbox("ann").is_empty(), "nothing was taken in part");
    let two = server.send(&smtp, "", &["ann@a.example", "bob@a.example"], &text).await.unwrap_err();
    assert!(two.to_string().starts_with("452 4.5.3 only one recipient"), "{two}");
}

#[tokio::test]
async fn a_submission_to_another_host_is_refused_with_the_reason() {
    let server = server(None, AccountRules::default());
    let user = client(Kind::Submission, Some("ann"));
    let text = format!("{HEADER}\r\nbody\r\n");
    let refusal = server.send(&user, "ann@a.example", &["x@elsewhere.example"], &text).await.unwrap_err();
    assert_eq!(refusal.to_string(), "550 5.1.1 this server does not send to other hosts yet");
}

#[tokio::test]
async fn a_message_in_circles_is_refused() {
    let server = server(None, AccountRules::default());
    let smtp = client(Kind::Smtp, None);
    let hops = |n: usize| format!("{}{HEADER}\r\nbody\r\n", "Received: by x; now\r\n".repeat(n));
    server.send(&smtp, "x@b.example", &["ann@a.example"], &hops(100)).await.unwrap();
    let refusal = server.send(&smtp, "x@b.example", &["ann@a.example"], &hops(101)).await.unwrap_err();
    assert!(refusal.to_string().starts_with("550 5.4.6"), "{refusal}");
}

#[tokio::test]
async fn submissions_are_completed_signed_and_stripped() {
    let server = server(None, AccountRules::default());
    let text = format!("Return-Path: <old@b.example>\r\nBcc: secret@b.example\r\n{HEADER}\r\nbody\r\n");
    server
        .send(&client(Kind::Submission, Some("ann")), "ann@a.example", &["bob@a.example"], &text)
        .await
        .unwrap();
    let [kept] = &server.inbox("bob")[..] else { panic!("one message") };
    assert!(!kept.contains("secret@b.example") && !kept.contains("old@b.example"), "{kept}");
    assert!(kept.contains("Received: from mx.a.example by"), "where the user is stays unsaid: {kept}");
    assert!(
        kept.contains("\r\nMessage-ID: <") && kept.contains("\r\nDate: Fri, 15 Jan 2027 08:00:00 +0000\r\n")
    );
    assert!(kept.contains("auth=pass smtp.mailfrom=ann@a.example"));

    let key = dkim::SigningKey::from_pem(KEY).unwrap();
    let zone = Zone::parse(&format!("s._domainkey.a.example. TXT \"{}\"", key.record())).unwrap();
    let verified = dkim::verify(&zone, kept.as_bytes(), &dkim::Policy::default(), 1_800_000_001).await;
    let [signature] = &verified.signatures[..] else { panic!("one signature") };
    assert_eq!(signature.status, dkim::Status::Pass, "{:?}", signature.error);
    assert_eq!(signature.claims().identity.unwrap().to_string(), "ann@a.example");
}

#[tokio::test]
async fn international_names_stand_as_they_are_where_the_message_may_have_them() {
    let server = server(None, AccountRules::default());
    let mut directory = directory(&["ann", "bob"], &AccountRules::default());
    let domain: dns::Domain = "bücher.example".parse().unwrap();
    directory.add_domain(domain.clone(), LocalDomain::default());
    directory.add_catch_all(domain, Destination::new("ann", "Inbox"));
    server.set_directory(directory);
    let ann = client(Kind::Submission, Some("ann"));
    for (address, delivered_to, mail_from) in [
        ("a@bücher.example", "a@bücher.example", "a@bücher.example (a@xn--bcher-kva.example)"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example\r\n"),
    ] {
        let text = format!("From: {address}\r\n\r\nbody\r\n");
        server.send(&ann, address, &[address], &text).await.unwrap();
        let inbox = server.inbox("ann");
        let unfolded = inbox.last().unwrap().replace("\r\n\t", " ");
        assert!(unfolded.starts_with(&format!("Delivered-To: {delivered_to}\r\n")), "{unfolded}");
        assert!(unfolded.contains(&format!("auth=pass smtp.mailfrom={mail_from}")), "{unfolded}");
    }
}

#[tokio::test]
async fn blind_copies_of_what_is_sent_once_more_stay_blind() {
    let server = server(None, AccountRules::default());
    let text = format!("Resent-Bcc : secret@b.example\r\nResent-To: bob@a.example\r\n{HEADER}\r\nbody\r\n");
    let ann = client(Kind::Submission, Some("ann"));
    server.send(&ann, "ann@a.example", &["bob@a.example"], &text).await.unwrap();
    let kept = server.inbox("bob").remove(0);
    assert!(!kept.contains("secret@b.example") && kept.contains("Resent-To: bob@a.example"), "{kept}");
}

#[tokio::test]
async fn replaces_unreadable_dates_and_identifiers() {
    const DATE: &str = "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n";
    const ID: &str = "Message-ID: <BwcHBwcHBwcHBwcHBwcHBw@mx.a.example>\r\n";
    let own_date = "Date: 1 Jan 27 10:00 EST (noon)\r\n";
    let own_id = "Message-ID: <Own@a.example> (c)\r\n";
    for (given, kept) in [
        (String::new(), [ID, DATE]),
        ("Date: 2027-01-15T08:00:00Z\r\nMessage-Id: none\r\n".to_owned(), [ID, DATE]),
        ("Date:\r\nMessage-Id:\r\n \r\n".to_owned(), [ID, DATE]),
        (format!("{own_id}{own_date}"), [own_id, own_date]),
        // RFC 5322 §3.6: each field occurs at most once. If it occurs more often, the first that can be read counts.
        (
            format!("{own_id}{own_date}Message-ID: <x@b.example>\r\nDate: 2 Jan 2027 00:00 Z\r\n"),
            [own_id, own_date],
        ),
        (format!("Date: soon\r\nMessage-ID: <>\r\n{own_id}{own_date}"), [own_id, own_date]),
    ] {
        let server = server(None, AccountRules::default());
        let text = format!("{HEADER}{given}\r\nbody\r\n");
        let ann = client(Kind::Submission, Some("ann"));
        server.send(&ann, "ann@a.example", &["bob@a.example"], &text).await.unwrap();
        let message = server.inbox("bob").remove(0);
        let headers = message::headers(message.as_bytes());
        for (name, field) in ["Message-ID", "Date"].into_iter().zip(kept) {
            let all: Vec<_> = headers.all(name).map(|field| field.raw.to_string()).collect();
            assert_eq!(all, [field], "{given}");
        }
        let id = &server.records("bob")[0].facts.message_id;
        let wanted = if kept[0] == ID { "bwchbwchbwchbwchbwchbw@mx.a.example" } else { "own@a.example" };
        assert_eq!(id, wanted, "{given}");
    }
}

#[tokio::test]
async fn a_pedantic_developer_mode_refuses_broken_structure() {
    let server = server(None, AccountRules::default());
    let smtp = client(Kind::Smtp, None);
    let start = format!("{HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n");
    let large = format!("{}\r\n", "x".repeat(70)).repeat(5000);
    let long = format!("{HEADER}X-Data: {}\r\n\r\nbody\r\n", "y".repeat(2000));
    for pedantic in [true, false] {
        let backend = Arc::new(DeveloperMode::new(Arc::clone(&server.backend), pedantic));
        let developer = TestServer { backend, store: server.store.clone() };
        for (body, works) in [
            ("short\r\n--b--\r\n".to_owned(), true),
            ("short\r\n".to_owned(), false),
            (format!("{large}--b--\r\n"), true),
            (format!("{large}--b\r\nContent-Type: multipart/mixed\r\n\r\n--b--\r\n"), true),
            (format!("--b\r\nContent-Type: multipart/mixed\r\n\r\n{large}--b--\r\n"), false),
        ] {
            let text = format!("{start}{body}");
            let sent = developer.send(&smtp, "x@b.example", &["ann@a.example"], &text).await;
            assert_eq!(sent.is_ok(), works || !pedantic, "{} bytes: {sent:?}", body.len());
        }
        let sent = developer.send(&smtp, "x@b.example", &["ann@a.example"], &long).await;
        let refusal = sent.err().map(|refusal| refusal.to_string());
        assert_eq!(refusal.is_some_and(|text| text.contains("message.line-too-long")), pedantic);
    }
    let text = format!("{start}short\r\n");
    server.send(&smtp, "x@b.example", &["ann@a.example"], &text).await.unwrap();
}

#[tokio::test]
async fn developer_mode_fails_as_local_parts_ask_and_delivers_the_rest() {
    let server = server(None, AccountRules::default());
    let mut directory = directory(&["ann"], &AccountRules::default());
    directory.set_everything(Destination::new("ann", "Inbox"));
    server.set_directory(directory);
    let backend = Arc::new(DeveloperMode::new(Arc::clone(&server.backend), false));
    let developer = TestServer { backend, store: server.store.clone() };
    let text = format!("{HEADER}\r\nbody\r\n");
    let smtp = client(Kind::Smtp, None);
    let send = async |from: &str, to: &[&str]| {
        let sent = developer.send(&smtp, from, to, &text).await;
        sent.map_err(|refusal| refusal.to_string().split(' ').take(2).collect::<Vec<_>>().join(" "))
    };
    let failed = |code: &str| Err(code.to_owned());
    assert_eq!(send("mailfrom-temperror@b.example", &["ann@a.example"]).await, failed("451 4.0.0"));
    assert_eq!(send("x@b.example", &["rcptto552@a.example"]).await, failed("552 5.0.0"));
    assert_eq!(send("x@b.example", &["ann@a.example", "x-permerror@a.example"]).await, failed("550 5.0.0"));
    let twice = ["x421@a.example", "x421@a.example"];
    assert_eq!(send("x@b.example", &twice).await, failed("421 4.0.0"), "the same recipient twice");
    assert!(server.inbox("ann").is_empty());
    // These would fail in the queue, or simulate nothing in this place.
    let others = ["queue550@c.example", "mailfrom550@c.example", "who@c.example"];
    assert_eq!(send("rcptto-temperror@b.example", &others).await, Ok(()));
    assert_eq!(server.inbox("ann").len(), others.len());
    // A real server simulates no failures.
    server.send(&smtp, "mailfrom550@b.example", &["x550@a.example"], &text).await.unwrap();
}

#[tokio::test]
async fn the_reason_of_the_verdict_is_stored_with_every_message() {
    let server = server(None, AccountRules::default());
    let text = format!("{HEADER}\r\nbody\r\n");
    server.send(&client(Kind::Smtp, None), "x@b.example", &["bob@a.example"], &text).await.unwrap();
    let ann = client(Kind::Submission, Some("ann"));
    server.send(&ann, "ann@a.example", &["bob@a.example"], &text).await.unwrap();
    let reasons: Vec<_> = server.records("bob").into_iter().map(|message| message.facts.reason).collect();
    assert_eq!(reasons, ["not-decided", "not-decided"]);
}

#[tokio::test]
async fn a_submission_needs_no_body() {
    let server = server(None, AccountRules::default());
    let ann = client(Kind::Submission, Some("ann"));
    server.send(&ann, "ann@a.example", &["bob@a.example"], HEADER).await.unwrap();
    let kept = server.inbox("bob").remove(0);
    assert!(kept.ends_with(HEADER) && kept.contains("\r\nMessage-ID: <"), "{kept}");
    let key = dkim::SigningKey::from_pem(KEY).unwrap();
    let zone = Zone::parse(&format!("s._domainkey.a.example. TXT \"{}\"", key.record())).unwrap();
    let verified = dkim::verify(&zone, kept.as_bytes(), &dkim::Policy::default(), 1_800_000_001).await;
    assert_eq!(verified.signatures[0].status, dkim::Status::Pass, "{:?}", verified.signatures[0].error);
}

#[tokio::test]
async fn mbox_separators_are_no_part_of_a_message() {
    let server = server(None, AccountRules::default());
    let text = format!("From ann Tue Nov  3 15:04:05 2026\r\n>From x\r\n{HEADER}\r\nbody\r\n");
    let ann = client(Kind::Submission, Some("ann"));
    server.send(&ann, "ann@a.example", &["bob@a.example"], &text).await.unwrap();
    server.send(&client(Kind::Smtp, None), "x@b.example", &["bob@a.example"], &text).await.unwrap();
    for kept in server.inbox("bob") {
        assert!(kept.ends_with(&format!("\r\n{HEADER}\r\nbody\r\n")), "{kept}");
        assert_eq!(message::headers(kept.as_bytes()).findings(), []);
    }
}

#[tokio::test]
async fn no_line_of_a_message_continues_a_field_of_ours() {
    let server = server(None, AccountRules::default());
    let text = format!(" ; Thu, 1 Jan 1998 00:00:00 +0000\r\n\tx\r\n{HEADER}\r\nbody\r\n");
    server.send(&client(Kind::Smtp, None), "x@b.example", &["bob@a.example"], &text).await.unwrap();
    let [kept] = &server.inbox("bob")[..] else { panic!("one message") };
    assert!(kept.ends_with(&format!("\r\n{HEADER}\r\nbody\r\n")) && !kept.contains("1998"), "{kept}");
}

#[tokio::test]
async fn pedantic_mode_refuses_text_around_a_message_id() {
    let server = server(None, AccountRules::default());
    let (ann, smtp) = (client(Kind::Submission, Some("ann")), client(Kind::Smtp, None));
    for (id, works) in [("<a@b.example>", true), ("<a@b.example> (added)", false), ("x <a@b.example>", false)]
    {
        for pedantic in [false, true] {
            server.change_settings(|settings| settings.pedantic = pedantic);
            let text = format!("{HEADER}Message-ID: {id}\r\n\r\nbody\r\n");
            for client in [&ann, &smtp] {
                let sent = server.send(client, "ann@a.example", &["bob@a.example"], &text).await;
                assert_eq!(sent.is_ok(), works || !pedantic, "{id}: {sent:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_from_that_breaks_the_grammar_is_under_its_dmarc_policy() {
    let zone = "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"\nhead_office.example.com. A 192.0.2.9\n\
                example.com. A 192.0.2.9\nmail.example.com. A 192.0.2.9";
    for (from, domain) in [
        ("Head Office <boss@head_office.example.com>", "head_office.example.com"),
        ("[Ticket 7] <boss@example.com>", "example.com"),
        ("Example, Inc. <boss@example.com>", "example.com"),
        ("boss@example.com <boss@mail.example.com>", "mail.example.com"),
        ("Boss <boss@example.com.>", "example.com"),
        ("Boss <boss@example.com", "example.com"),
        ("\"boss@example.com\"", "example.com"),
    ] {
        let server = server(Some(zone), AccountRules::default());
        let text = format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n");
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        let unfolded = server.inbox("ann").remove(0).replace("\r\n\t", " ");
        let result = format!("dmarc=fail (policy reject, without dnssec) header.from={domain}");
        assert!(unfolded.contains(&result), "{from}: {unfolded}");
    }
}

#[tokio::test]
async fn a_record_has_what_stands_in_from() {
    let longer = format!("<{}>", "x".repeat(400));
    for (from, local, domain) in [
        ("Mail System <MAILER-DAEMON>", "MAILER-DAEMON", ""),
        ("Ann <ann@example.com>, Bob <bob@example.org>", "ann@example.com", ""),
        ("alice@example.com <bob@example.com>", "bob", "example.com"),
        ("Ann <ann@under_score.example.com>", "ann", "under_score.example.com"),
        ("[Ticket 7] <ann@example.com>", "ann", "example.com"),
        (&longer, &longer[1..321], ""),
    ] {
        let server = server(None, AccountRules::default());
        let text = format!("From: {from}\r\n\r\nx\r\n");
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        let origin = &server.records("ann")[0].facts.origin;
        assert_eq!((origin.from_localpart.as_str(), origin.from_domain.as_str()), (local, domain), "{from}");
    }
}

#[tokio::test]
async fn users_send_as_themselves() {
    let server = server(None, AccountRules::default());
    let ann = client(Kind::Submission, Some("ann"));
    let check = async |from: &str, header: &str, want: &str| {
        let text = format!("{header}\r\nbody\r\n");
        let refusal = server.send(&ann, from, &["bob@a.example"], &text).await.unwrap_err();
        assert!(refusal.to_string().starts_with(want), "{from} {header}: {refusal}");
    };
    check("bob@a.example", HEADER, "550 5.7.1").await;
    check("ann@b.example", HEADER, "550 5.7.1").await;
    check("ann@a.example", "From: bob@a.example\r\n", "550 5.7.1").await;
    check("ann@a.example", "From: ann@a.example, bob@a.example\r\n", "550 5.6.0").await;
    check("ann@a.example", "From: ann@a.example\r\nFrom: ann@a.example\r\n", "550 5.6.0").await;
    check("ann@a.example", "Subject: nobody\r\n", "550 5.6.0").await;
    let refusal = server.send(&ann, "ann@a.example", &["eve@a.example"], HEADER).await.unwrap_err();
    assert!(refusal.to_string().starts_with("550 5.1.1 no such user"), "{refusal}");
}

#[tokio::test]
async fn pedantic_mode_refuses_bad_style() {
    let server = server(None, AccountRules::default());
    let ann = client(Kind::Submission, Some("ann"));
    let send = async |header: &str| {
        let text = format!("From: ann@a.example\r\n{header}\r\nbody\r\n");
        server
            .send(&ann, "ann@a.example", &["bob@a.example"], &text)
            .await
            .map_err(|refusal| refusal.to_string())
    };
    let cases = [
        ("Return-Path: <bob@a.example>\r\n", "550 5.6.0 message must not have Return-Path"),
        ("Subject: Gr\u{fc}\u{df}e\r\n", "550 5.6.0 message requires the smtputf8 parameter"),
    ];
    for pedantic in [false, true] {
        server.change_settings(|settings| settings.pedantic = pedantic);
        for (header, why) in cases {
            let sent = send(header).await;
            assert!(sent.as_ref().is_err_and(|said| said.starts_with(why)) == pedantic, "{header}: {sent:?}");
        }
        assert_eq!(send("Subject: plain\r\n").await, Ok(()));
    }
}

#[tokio::test]
async fn an_account_has_its_limits() {
    let server = server(
        None,
        AccountRules { messages_per_day: 3, first_time_recipients_per_day: 1, ..AccountRules::default() },
    );
    let ann = client(Kind::Submission, Some("ann"));
    let text = format!("{HEADER}\r\nbody\r\n");
    let send =
        async |to: &[&str]| server.send(&ann, "ann@a.example", to, &text).await.map_err(|e| e.to_string());
    send(&["bob@a.example"]).await.unwrap();
    let refused = send(&["ann@a.example"]).await.unwrap_err();
    assert!(refused.starts_with("451 4.7.1 max number of new/first-time recipients (1)"), "{refused}");
    send(&["bob@a.example"]).await.unwrap();
    send(&["bob@a.example"]).await.unwrap();
    let refused = send(&["bob@a.example"]).await.unwrap_err();
    assert!(refused.starts_with("451 4.7.1 max number of messages (3)"), "{refused}");
    assert_eq!(server.inbox("bob").len(), 3);
}

#[tokio::test]
async fn evidence_is_in_the_message_and_in_its_record() {
    let zone = "
        1.2.0.192.in-addr.arpa. PTR client.example.
        client.example. A 192.0.2.1
        b.example. TXT \"v=spf1 ip4:192.0.2.0/24 -all\"
        _dmarc.b.example. TXT \"v=DMARC1; p=reject\"
    ";
    let server = server(Some(zone), AccountRules::default());
    let text = "From: x@b.example\r\nSubject: hi\r\n\r\nbody\r\n";
    server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], text).await.unwrap();
    let [kept] = &server.inbox("ann")[..] else { panic!("one message") };
    let unfolded = kept.replace("\r\n\t", " ");
    assert!(
        unfolded
            .contains("iprev=pass policy.iprev=192.0.2.1; dkim=none reason=\"no dkim signatures\"; spf=pass"),
        "{kept}"
    );
    assert!(unfolded.contains("dmarc=pass (policy reject, without dnssec) header.from=b.example"), "{kept}");
    let order: Vec<_> = ["Authentication-Results:", "Received-SPF: pass", "Received: from"]
        .iter()
        .map(|f| kept.find(f))
        .collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{kept}");

    let [message] = &server.records("ann")[..] else { panic!("one message") };
    assert_eq!(message.facts.validations.mail_from, store::Validation::Pass);
    assert_eq!(message.facts.validations.from, store::Validation::Strict);
    assert_eq!(message.facts.subject, "hi");
}

/// DNS that records which judges have queried it.
struct Heard {
    zone: Arc<Zone>,
    judge: &'static str,
    asked: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl dns::Resolver for Heard {
    fn lookup<'a>(&'a self, question: dns::Question<'a>) -> dns::Lookup<'a> {
        self.asked.lock().unwrap().insert(self.judge);
        self.zone.lookup(question)
    }
}

#[tokio::test]
async fn a_message_without_an_existing_recipient_causes_no_more_queries() {
    let text = "DKIM-Signature: v=1; a=ed25519-sha256; d=b.example; s=s; h=from:subject; b=AAAA;\r\n\t\
         bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\nFrom: x@b.example\r\nSubject: hi\r\n\r\n";
    for (to, wanted) in
        [("ann@a.example", &["dkim", "dmarc", "iprev", "spf"][..]), ("eve@a.example", &["iprev", "spf"])]
    {
        let (zone, asked) = (Arc::new(Zone::parse("").unwrap()), Arc::new(Mutex::default()));
        let judges = Judges::new(
            |judge| Arc::new(Heard { zone: zone.clone(), judge, asked: Arc::clone(&asked) }),
            instant,
        );
        let server = server_with(Some(judges), &AccountRules::default());
        let smtp = client(Kind::Smtp, None);
        let mut connection = server.backend.connect(&smtp);
        let mut message = server.begin(&mut connection, &smtp, "x@b.example", &[to]).await.unwrap();
        server.backend.content(&mut message, text.as_bytes()).await.unwrap();
        // Lets the judges start.
        tokio::task::yield_now().await;
        let asked: Vec<_> = asked.lock().unwrap().iter().copied().collect();
        assert_eq!(asked, wanted, "{to}");
    }
}

#[test]
fn failed_logins_are_counted_by_account_without_telling_which_accounts_exist() {
    let server = server(None, AccountRules::default());
    let mut directory = Directory::new();
    let domain = |name: &str| name.parse().unwrap();
    let to = |account: &str| Destination::new(account, "Inbox");
    directory.add_domain(domain("a.example"), LocalDomain { separators: vec!['+'], case_sensitive: false });
    directory.add_domain(domain("c.example"), LocalDomain::default());
    directory.add_address("ann", domain("a.example"), to("ann"));
    directory.add_address("sales", domain("a.example"), to("ann"));
    directory.add_catch_all(domain("c.example"), to("bob"));
    server.set_directory(directory);
    let same = [
        &["ann@a.example", "ANN@A.EXAMPLE", "ann+1@a.example", "Ann+2@a.example", "sales+x@a.example"][..],
        &["x@c.example", "anybody@c.example", "y+z@C.example"],
        // Recipients that do not exist count in the same way.
        &["eve@a.example", "Eve@A.example", "eve+1@a.example", "eve+2@a.example"],
        &["joe@elsewhere.example", "JOE@elsewhere.example"],
        &["ann", "ANN"],
        &["account ann"],
    ];
    let keys = same.map(|names| {
        let mut keys: Vec<_> = names.iter().map(|name| server.backend.login_key(name)).collect();
        keys.dedup();
        assert_eq!(keys.len(), 1, "{names:?}: {keys:?}");
        keys.remove(0)
    });
    let all: std::collections::HashSet<_> = keys.iter().collect();
    assert_eq!(all.len(), same.len(), "{keys:?}");
}
