//! Developer mode as a developer meets it: started with nothing prepared, mail goes in by SMTP and comes out by verbs.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::client::Smtp;
use common::names::Names;
use common::run::{MOXD, has_keys, moxd, moxd_reading};
use common::server::{METRICS, Process, SMTP, SUBMISSION, SUBMISSIONS, Server, text};
use serde_json::json;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use xtask::trial::free_offset;

/// A message with parts that mail servers get wrong: lines of one and two dots, an empty line at the end, 8-bit
/// text, a long line.
fn awkward(number: u32) -> Vec<u8> {
    let long = "x".repeat(900);
    format!(
        "From: \"Mox\" <mox@localhost>\r\nTo: mox@localhost\r\nSubject: awkward {number}\r\n\
         Date: Tue, 03 Nov 2026 15:04:05 +0000\r\nMessage-ID: <Nr{number}@Client.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .\r\n..\r\n.dot\r\nFrom here on: grüße\r\n{long}\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn mail_comes_in_on_every_port_and_is_there_after_the_end() {
    let mut server = Server::develop();
    server.session(SMTP).deliver("you@example.org", &["mox@localhost"], &awkward(1));

    let mut client = server.session(SUBMISSION);
    client.starttls(&server.certificate());
    assert_eq!(client.auth("SCRAM-SHA-256-PLUS", "mox@localhost", "moxmoxmox"), "235 2.7.0 nice\r\n");
    client.deliver("mox@localhost", &["you@example.org"], &awkward(2));

    let mut client = server.session(SUBMISSIONS);
    assert_eq!(client.auth("PLAIN", "mox@localhost", "moxmoxmox"), "235 2.7.0 nice\r\n");
    client.deliver("mox@localhost", &["mox@localhost", "you@example.org"], &awkward(3));

    let rows = server.messages();
    let kept: Vec<_> = rows.iter().map(|row| server.show(row["id"].as_u64().unwrap())).collect();
    // Each recipient gets a copy: the server's fields in front, and the rest unchanged.
    for (message, number) in kept.iter().zip([1, 2, 3, 3]) {
        assert!(message.ends_with(&awkward(number)), "{}", String::from_utf8_lossy(message));
        assert!(message.starts_with(b"Delivered-To: "), "{}", String::from_utf8_lossy(message));
    }
    assert_eq!(rows.len(), 4);
    for row in &rows {
        has_keys(
            row,
            &[
                "id",
                "mailbox",
                "received",
                "size",
                "from",
                "subject",
                "message_id",
                "remote_ip",
                "mail_from",
                "rcpt_to",
                "flags",
                "validation",
                "reason",
            ],
        );
        has_keys(&row["validation"], &["ehlo", "mailfrom", "msgfrom"]);
    }
    let said =
        ["mailbox", "from", "subject", "message_id", "remote_ip", "mail_from", "rcpt_to", "flags", "reason"]
            .map(|key| rows[0][key].clone());
    let expected = json!([
        "Inbox",
        "mox@localhost",
        "awkward 1",
        "Nr1@Client.example",
        "127.0.0.1",
        "you@example.org",
        "mox@localhost",
        [],
        "not-decided"
    ]);
    assert_eq!(json!(said), expected);
    assert_eq!(rows[0]["size"], kept[0].len());
    let recipients: Vec<_> = rows.iter().map(|row| row["rcpt_to"].as_str().unwrap()).collect();
    assert_eq!(recipients, ["mox@localhost", "you@example.org", "mox@localhost", "you@example.org"]);

    // The verbs print the same with no server running, and with the next one.
    server.stop();
    assert_eq!(server.messages(), rows);
    assert_eq!(server.show(rows[3]["id"].as_u64().unwrap()), kept[3]);
    server.start();
    assert_eq!(server.messages(), rows);
    assert_eq!(server.show(rows[0]["id"].as_u64().unwrap()), kept[0]);
}

#[test]
fn makes_its_folder_once_and_says_how_to_use_it() {
    let mut server = Server::develop();
    let modes = [
        ("moxd.toml", 0o644),
        ("domains.toml", 0o644),
        ("localhost.crt", 0o644),
        ("localhost.key", 0o600),
        ("dkim-ed25519.key", 0o600),
    ];
    let read = |name: &str| std::fs::read(server.config(name)).unwrap();
    let before = modes.map(|(name, mode)| {
        let meta = std::fs::metadata(server.config(name)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{name}");
        read(name)
    });
    assert_eq!(
        server.verb(&["config", "test"]).text(),
        "moxd.toml and domains.toml are valid: 1 account, 1 domain\n"
    );
    server.stop();

    // A start in the default folder, without `--dir`, for its output.
    let log = std::fs::File::create(server.scratch("printed")).unwrap();
    let home = server.scratch("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::rename(server.dir(), home.join("moxd-localserve")).unwrap();
    let config = home.join("moxd-localserve/config");
    let mut command = Command::new(MOXD);
    let offset = (server.address(SMTP).port() - SMTP).to_string();
    command.args(["localserve", "--port-offset", &offset]).env("XDG_DATA_HOME", &home).stdin(Stdio::null());
    let mut process = Process::start_printing(&mut command, log);
    process.wait_for("ready");
    process.signal("INT");
    assert_eq!(process.end(), Some(0));
    let printed = std::fs::read_to_string(server.scratch("printed")).unwrap();
    for words in [
        format!("SMTP         {}", server.address(SMTP)),
        format!("submission   {}   user mox@localhost, password moxmoxmox", server.address(SUBMISSION)),
        format!("submissions  {}", server.address(SUBMISSIONS)),
        format!("metrics      http://{}/metrics", server.address(METRICS)),
        format!("moxd --config {} message list mox", text(&config.join("moxd.toml"))),
    ] {
        assert!(printed.contains(&words), "{words}\n{printed}");
    }
    let read = |name: &str| std::fs::read(config.join(name)).unwrap();
    assert_eq!(before, modes.map(|(name, _)| read(name)), "the files of the first start are kept");
}

#[test]
fn refuses_arguments_that_make_no_sense() {
    let dir = tempfile::tempdir().unwrap();
    let dir = text(dir.path());
    let why = moxd(["localserve", "--dir", &dir, "--ip", "192.0.2.1"]).wrong_arguments();
    assert_eq!(why, "--ip 192.0.2.1: developer mode is for loopback addresses alone");
    let why = moxd(["localserve", "--dir", &dir, "--port-offset", "64000"]).wrong_arguments();
    assert_eq!(why, "--port-offset 64000: the ports would exceed 65535");
    let why = moxd(["localserve", "--port-offset", "many"]).wrong_arguments();
    assert!(why.starts_with("invalid value 'many' for '--port-offset <N>': "), "{why}");
    let why = moxd(["localserve", "--dns", "localhost"]).wrong_arguments();
    assert!(why.contains("'--dns <ADDR[:PORT]>'"), "{why}");
    let why = moxd(["fly"]).wrong_arguments();
    assert!(why.starts_with("unrecognized subcommand 'fly'") && why.ends_with("try '--help'."), "{why}");
    // Without arguments, moxd prints its verbs.
    let ended = moxd::<&str>([]);
    assert!(ended.status == Some(2) && ended.stderr.contains("Usage: moxd"), "{}", ended.stderr);
}

/// Requests a simulated failure, and checks the reply; `*` in it stands for the request id.
#[track_caller]
fn fails(reply: &str, expected: &str) {
    let (head, tail) = expected.split_once('*').unwrap();
    assert!(reply.starts_with(head) && reply.trim_end().ends_with(tail), "{reply}");
}

#[test]
fn special_local_parts_fail_as_they_ask() {
    let server = Server::develop();
    for (local, reply) in [
        ("mailfrom-temperror", "451 4.0.0 failure with code 451 due to special localpart (*)"),
        ("mailfrompermerror", "550 5.0.0 failure with code 550 due to special localpart (*)"),
        ("mailfrom421", "421 4.0.0 failure with code 421 due to special localpart (*)"),
        ("mailfrom-599", "599 5.0.0 failure with code 599 due to special localpart (*)"),
    ] {
        let mut client = server.session(SMTP);
        fails(&client.ask(&format!("MAIL FROM:<{local}@example.org>")), reply);
    }
    for (local, at_recipient, at_data) in [
        ("rcptto-temperror", Some("451 4.0.0 failure with code 451 due to special localpart (*)"), None),
        ("rcptto552", Some("552 5.0.0 failure with code 552 due to special localpart (*)"), None),
        ("permerror", None, Some("550 5.0.0 failure with code 550 due to special localpart (*)")),
        ("x-temperror", None, Some("451 4.0.0 failure with code 451 due to special localpart (*)")),
        ("user452", None, Some("452 4.0.0 failure with code 452 due to special localpart (*)")),
        // Codes outside 400 to 599 simulate no failure: these are delivered.
        ("user600", None, None),
        ("user250", None, None),
        ("rcptto399", None, None),
        ("mailfrom550", None, None),
    ] {
        for port in [SMTP, SUBMISSION] {
            let mut client = if port == SMTP { server.session(port) } else { server.login(port) };
            client.expect("MAIL FROM:<mox@localhost>", "250 ");
            let reply = client.ask(&format!("RCPT TO:<{local}@example.org>"));
            if let Some(expected) = at_recipient {
                fails(&reply, expected);
                continue;
            }
            assert_eq!(reply, "250 2.1.0 now on the list\r\n", "{local}");
            client.expect("DATA", "354 ");
            let reply = client.finish(b"From: mox@localhost\r\n\r\nhello\r\n");
            match at_data {
                Some(expected) => fails(&reply, expected),
                None => assert!(reply.starts_with("250 2.2.0 it is done ("), "{local}: {reply}"),
            }
        }
    }
    // A recipient that is to fail in the queue, later, is accepted at submission.
    let mut client = server.login(SUBMISSION);
    client.deliver(
        "mox@localhost",
        &["queue-permerror@example.org"],
        b"From: mox@localhost\r\n\r\nhello\r\n",
    );
    // The four codes that are no failures, on two ports, and the last message.
    assert_eq!(server.messages().len(), 9);
}

/// The names of the header fields, in order.
fn names(message: &str) -> Vec<&str> {
    let (header, _) = message.split_once("\r\n\r\n").unwrap();
    let fields = header.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    fields.map(|field| field.split_once(':').unwrap().0).collect()
}

#[test]
fn fields_are_added_in_front_and_lies_about_us_are_removed() {
    let server = Server::develop();
    let message = "Received: from a.example by b.example; Tue, 03 Nov 2026 15:04:05 +0000\r\n\
        Authentication-Results: localhost; spf=pass\r\n smtp.mailfrom=bank.example\r\n\
        Authentication-Results: elsewhere.example; spf=pass smtp.mailfrom=bank.example\r\n\
        AUTHENTICATION-RESULTS: LocalHost 1;\r\n dmarc=pass header.from=bank.example\r\n\
        Bcc: hidden@example.org\r\nReturn-Path: <before@example.org>\r\nFrom: you@example.org\r\n\r\nhello\r\n";
    server.session(SMTP).deliver("you@example.org", &["mox@localhost"], message.as_bytes());
    let kept = server.newest();
    let ours = ["Delivered-To", "Return-Path", "Authentication-Results", "Received"];
    let theirs = ["Received", "Authentication-Results", "Bcc", "Return-Path", "From"];
    assert_eq!(names(&kept), [&ours[..], &theirs].concat());
    assert!(kept.starts_with("Delivered-To: mox@localhost\r\nReturn-Path: <you@example.org>\r\n"), "{kept}");
    assert!(!kept.contains("smtp.mailfrom=bank.example\r\nAuth"), "{kept}");
    assert!(kept.contains("Authentication-Results: elsewhere.example; spf=pass"), "{kept}");
    // Without DNS the server sends no queries, and proves nothing.
    let (_, results) = kept.split_once("Authentication-Results: localhost;").unwrap();
    let (results, _) = results.split_once("\r\nReceived:").unwrap();
    for method in ["iprev=none", "dkim=none", "spf=none", "dmarc=none"] {
        assert!(results.contains(method), "{results}");
    }
    assert!(!results.contains("=pass"), "{results}");
    let (_, received) = kept.split_once("\r\nReceived: ").unwrap();
    assert!(
        received.starts_with("from client.example ([127.0.0.1]) by localhost ([127.0.0.1])"),
        "{received}"
    );
    assert!(received.contains("with ESMTP id"), "{received}");
    assert!(
        received.contains("for\r\n\t<mox@localhost>;") || received.contains("for <mox@localhost>;"),
        "{received}"
    );
}

#[test]
fn submissions_are_completed_relieved_and_signed() {
    let mut server = Server::develop();
    let message = "Return-Path: <before@example.org>\r\nBcc: hidden@example.org,\r\n other@example.org\r\n\
        From: mox@localhost\r\nTo: you@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n";
    let mut client = server.login(SUBMISSION);
    client.deliver("mox@localhost", &["you@example.org"], message.as_bytes());
    let kept = server.newest();
    let ours = ["Delivered-To", "Return-Path", "Received", "Message-ID", "Date", "DKIM-Signature"];
    let theirs = ["Authentication-Results", "From", "To", "Subject"];
    assert_eq!(names(&kept), [&ours[..], &theirs].concat());
    assert!(kept.contains("Return-Path: <mox@localhost>\r\n") && !kept.contains("hidden@"), "{kept}");
    assert!(kept.contains("\r\nDKIM-Signature: v=1; d=localhost; s=local; "), "{kept}");
    assert!(
        kept.contains("Authentication-Results: localhost; auth=pass smtp.mailfrom=mox@localhost\r\n"),
        "{kept}"
    );
    assert!(!kept.contains("127.0.0.1") && !kept.contains("client.example"), "where users are: {kept}");
    let row = server.messages().remove(0);
    assert_eq!(row["subject"], "grüße");
    assert!(row["message_id"].as_str().unwrap().ends_with("@localhost"), "{row}");

    // Refuses a user who sends as someone else.
    let mut client = server.login(SUBMISSION);
    client.expect("MAIL FROM:<you@example.org>", "550 5.7.1 ");
    client.begin("mox@localhost", &["you@example.org"]);
    assert!(client.finish(b"From: you@example.org\r\n\r\nnot mine\r\n").starts_with("550 5.7.1 "));
    let mut client = server.session(SUBMISSION);
    client.expect("MAIL FROM:<mox@localhost>", "530 5.7.0 ");
    assert!(client.auth("SCRAM-SHA-256", "mox@localhost", "wrong").starts_with("535 5.7.8 "));
    assert_eq!(client.auth("SCRAM-SHA-256", "mox@localhost", "moxmoxmox"), "235 2.7.0 nice\r\n");
    server.stop();
    assert_eq!(server.messages().len(), 1);
}

/// A server whose log has no reader. It ends with the test.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one; returns it with its port offset.
fn start_unread(folder: &Path, level: &str) -> (Unread, u16) {
    // Another test may have taken a port since it was found free.
    let start = |_| {
        let offset = free_offset().unwrap();
        let mut command = Command::new(MOXD);
        command.args(["--log-level", level, "localserve", "--port-offset", &offset.to_string(), "--dir"]);
        command.arg(folder.join("x")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = Unread(command.spawn().unwrap());
        // The welcome is printed once all ports are open.
        let mut printed = BufReader::new(server.0.stdout.take().unwrap()).lines();
        let open = printed.any(|line| line.unwrap().contains("Ctrl-C"));
        open.then_some((server, offset))
    };
    (0..5).find_map(start).expect("free ports")
}

#[test]
fn serves_on_while_its_log_has_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, offset) = start_unread(folder.path(), "info");
    // Two lines for each connection: several times what the pipe holds.
    for _ in 0..600 {
        let mut client = Smtp::connect(([127, 0, 0, 1], SMTP + offset).into());
        client.expect("QUIT", "221 ");
    }
    xtask::trial::signal(server.0.id(), "TERM").unwrap();
    let mut log = String::new();
    server.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(server.0.wait().unwrap().success());
    // The lines that waited for the pipe were written in the end.
    assert_eq!(log.matches("connection closed").count(), 600);
    assert!(log.contains(": stopped") && !log.contains("lost"), "{log}");
}

#[test]
fn a_log_tells_how_much_of_it_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, offset) = start_unread(folder.path(), "debug");
    // A line for each command, more than may wait.
    for _ in 0..30 {
        let mut client = Smtp::connect(([127, 0, 0, 1], SMTP + offset).into());
        client.write("NOOP\r\n".repeat(900).as_bytes());
        (0..900).for_each(|_| assert!(client.reply().starts_with("250 ")));
    }
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    // There is room again once the line of a later command is read.
    let mut client = Smtp::connect(([127, 0, 0, 1], SMTP + offset).into());
    for number in 0.. {
        if number % 1000 == 0 {
            client.expect("HELP", "214");
        }
        if log.next().unwrap().contains("cmd=\"help\"") {
            break;
        }
    }
    xtask::trial::signal(server.0.id(), "TERM").unwrap();
    let lost = log.find(|line| line.contains("lines of this log were lost")).expect("it does not tell");
    assert!(lost.contains("WARN") && lost.contains("lines="), "{lost}");
    log.for_each(drop);
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn pedants_refuse_bad_style() {
    let server = Server::develop_with(&["--pedantic"]);
    let mut client = server.login(SUBMISSION);
    client.expect("MAIL FROM: <mox@localhost>", "501 5.5.2 ");
    let refused = [
        (&b"Return-Path: <a@b.example>\r\nFrom: mox@localhost\r\n\r\nhello\r\n"[..], "550 5.6.0 "),
        (
            "From: mox@localhost\r\n\r\ngrüße\r\n".as_bytes(),
            "500 5.6.0 message with non-us-ascii requires 8bitmime",
        ),
        (UNKNOWN_ENCODING, "554 5.6.0 malformed message: "),
    ];
    for (message, reply) in refused {
        let found = client.send("mox@localhost", &["you@example.org"], message);
        assert!(found.starts_with(reply), "{found}");
    }
    client.expect("MAIL FROM:<mox@localhost> BODY=8BITMIME", "250 ");
    client.expect("RCPT TO:<you@example.org>", "250 ");
    client.expect("DATA", "354 ");
    assert!(client.finish(&awkward(1)).starts_with("250 2.2.0 it is done ("));
    // The lenient dialect accepts deviations that are common.
    let lenient = Server::develop();
    let mut client = lenient.login(SUBMISSION);
    client.expect("MAIL FROM: <mox@localhost>", "250 ");
    client.expect("RSET", "250 ");
    let long = format!("From: mox@localhost\r\nX-Data: {}\r\n\r\nx\r\n", "y".repeat(2_000));
    for message in [UNKNOWN_ENCODING, long.as_bytes()] {
        let found = client.send("mox@localhost", &["you@example.org"], message);
        assert!(found.starts_with("250 2.2.0 "), "{found}");
        let mut stranger = lenient.session(SMTP);
        let found = stranger.send("app@example.com", &["you@example.org"], message);
        assert!(found.starts_with("250 2.2.0 "), "{found}");
    }
}

/// A Content-Transfer-Encoding that does not exist.
const UNKNOWN_ENCODING: &[u8] = b"From: mox@localhost\r\nContent-Transfer-Encoding: 8-bit\r\n\r\nx\r\n";

/// A domain of one's own, with an address and a key.
const DEVELOPMENT: &str = r#"
[domains."dev.example".dkim]
sign = ["first", "second"]
selectors.first = { key = "dkim-ed25519.key" }
selectors.second = { key = "dkim-rsa.key", canonicalization = "simple/simple" }

[accounts.dev.destinations]
"dev@dev.example" = {}
"#;

#[test]
fn signatures_verify_with_the_keys_in_dns() {
    let mut server = Server::develop();
    let rsa = text(&server.config("dkim-rsa.key"));
    assert_eq!(moxd(["dkim", "keygen", "rsa", "--out", &rsa]).text(), "");
    let domains = std::fs::read_to_string(server.config("domains.toml")).unwrap();
    std::fs::write(server.config("domains.toml"), domains + DEVELOPMENT).unwrap();
    assert_eq!(server.verb_reading(&["setaccountpassword", "dev"], b"developers alone\n").text(), "");
    server.process().signal("HUP");
    server.process().wait_for("reloaded");
    let mut client = server.session(SUBMISSIONS);
    assert!(client.auth("PLAIN", "dev@dev.example", "developers alone").starts_with("235 "));
    // The body has all that canonicalization changes, and arrives in pieces.
    client.begin("dev@dev.example", &["mox@localhost"]);
    client.write(b"From: dev@dev.example\r\nSubject:  two\r\n  lines \r\n\r\nblanks \t at the end  \r\n");
    assert!(client.finish(b"..\r\n\r\n\r\n").starts_with("250 "));
    let kept = server.newest();

    let record = |key: &str| moxd(["dkim", "txt", &text(&server.config(key))]).text().trim_end().to_owned();
    let names = Names::serve(&format!(
        "first._domainkey.dev.example. TXT \"{}\"\nsecond._domainkey.dev.example. TXT \"{}\"\n",
        record("dkim-ed25519.key"),
        record("dkim-rsa.key"),
    ));
    let verify = |message: &str| {
        let verb = ["dkim", "verify", "--dns", &names.address(), "--json", "-"];
        moxd_reading(verb, message.as_bytes()).json()
    };
    let keys = [("first", "ed25519-sha256", 256), ("second", "rsa-sha256", 2048)];
    let expected = keys.map(|(selector, algorithm, bits)| {
        json!({
            "status": "pass",
            "domain": "dev.example",
            "selector": selector,
            "algorithm": algorithm,
            "identity": "dev@dev.example",
            "error": null,
            "key_bits": bits,
            "dnssec": "unknown",
        })
    });
    assert_eq!(verify(&kept), json!(expected));
    // A changed header field, a changed body, and an added second author.
    for changed in [
        kept.replace("Subject:  two", "Subject:  too"),
        kept.replace("blanks", "blankz"),
        kept.replace("\r\nSubject:", "\r\nFrom: boss@bank.example\r\nSubject:"),
    ] {
        let found = verify(&changed);
        assert_eq!((&found[0]["status"], &found[1]["status"]), (&json!("fail"), &json!("fail")), "{found}");
    }
}

#[test]
fn ends_in_time_and_lets_a_running_transaction_finish() {
    let mut server = Server::develop();
    let mut idle = server.session(SMTP);
    let mut slow = server.session(SMTP);
    let mut busy = server.session(SMTP);
    // A recipient whose local part ends in `timeout` gets no reply for an hour.
    slow.expect("MAIL FROM:<you@example.org>", "250 ");
    slow.write(b"RCPT TO:<rcptto-timeout@example.org>\r\n");
    busy.begin("you@example.org", &["mox@localhost"]);
    busy.write(b"From: you@example.org\r\n\r\nhalf of it, ");

    server.process().signal("TERM");
    server.process().wait_for("stopping");
    let reply = idle.reply();
    assert!(reply.starts_with("421 4.3.2 shutting down"), "{reply}");
    assert_eq!(idle.line(), None);
    // New clients are not served: they cannot connect, or the server closes before the greeting, or with a 421.
    let mut greeting = String::new();
    if let Ok(mut stream) = TcpStream::connect(server.address(SMTP)) {
        let _ = stream.read_to_string(&mut greeting);
    }
    assert!(greeting.is_empty() || greeting.starts_with("421 "), "{greeting}");
    // The server answers status requests as long as it runs.
    server.verb(&["ctl", "status"]).text();
    assert!(busy.finish(b"and the rest\r\n").starts_with("250 2.2.0 it is done ("));
    let reply = busy.ask("MAIL FROM:<you@example.org>");
    assert!(reply.starts_with("421 4.3.2 shutting down"), "{reply}");
    assert!(slow.line().is_none_or(|line| line.starts_with("451 ") || line.starts_with("421 ")));
    drop(slow);

    assert_eq!(server.process().end(), Some(0));
    assert!(server.newest().ends_with("half of it, and the rest\r\n"));
    assert!(!server.data().join("ctl").exists());
}

#[test]
fn the_control_socket_is_the_owners_alone_and_does_what_it_should() {
    let mut server = Server::develop();
    let mode = std::fs::metadata(server.data().join("ctl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let status = server.verb(&["ctl", "status", "--json"]).json();
    has_keys(&status, &["version", "commit", "uptime_seconds", "listeners"]);
    let listeners: Vec<_> = [("smtp", SMTP), ("submission", SUBMISSION), ("submissions", SUBMISSIONS)]
        .map(|(kind, port)| format!("{kind} {}", server.address(port)))
        .to_vec();
    assert_eq!(status["listeners"], json!(listeners));
    let text = server.verb(&["ctl", "status"]).text();
    assert!(text.starts_with("moxd 0") && listeners.iter().all(|listener| text.contains(listener)), "{text}");
    assert_eq!(server.verb(&["ctl", "reload"]).text(), "");
    server.process().wait_for("reloaded");

    // When the verb returns, the data is free.
    assert_eq!(server.verb(&["ctl", "stop"]).text(), "");
    assert_eq!(server.messages(), Vec::<serde_json::Value>::new());
    assert_eq!(server.process().end(), Some(0));
    for verb in ["status", "reload", "stop", "loglevel"] {
        let why = server.verb(&["ctl", verb]).failed();
        assert_eq!(why, format!("no server runs on {}", common::server::text(&server.data())));
    }
}

#[test]
fn a_data_directory_has_one_server() {
    let mut server = Server::develop();
    server.session(SMTP).deliver(
        "you@example.org",
        &["mox@localhost"],
        b"From: you@example.org\r\n\r\none\r\n",
    );
    let (dir, offset) = (text(&server.dir()), free_offset().unwrap().to_string());
    let why = moxd(["--log-level", "error", "localserve", "--dir", &dir, "--port-offset", &offset]).failed();
    assert_eq!(why, format!("a server runs in {dir} already: stop it, or name another --dir"));

    // The first server goes on, and still has the control socket.
    server.session(SMTP).deliver(
        "you@example.org",
        &["mox@localhost"],
        b"From: you@example.org\r\n\r\ntwo\r\n",
    );
    assert_eq!(server.messages().len(), 2);

    // A killed server leaves its socket behind; verbs and the next server work all the same.
    server.process().signal("KILL");
    assert_eq!(server.process().end(), None);
    assert!(server.data().join("ctl").exists());
    assert_eq!(server.messages().len(), 2);
    server.start();
    assert_eq!(server.messages().len(), 2);
}

#[test]
fn metrics_are_served() {
    let server = Server::develop();
    server.session(SMTP).deliver(
        "you@example.org",
        &["mox@localhost"],
        b"From: you@example.org\r\n\r\none\r\n",
    );
    let mut client = server.login(SUBMISSION);
    client.deliver("mox@localhost", &["mox@localhost"], b"From: mox@localhost\r\n\r\ntwo\r\n");
    assert!(server.session(SUBMISSION).auth("PLAIN", "mox@localhost", "wrong").starts_with("535 "));

    let page = server.metrics();
    for line in [
        "mox_smtpserver_connection_total{kind=\"smtp\"} 1",
        "mox_smtpserver_connection_total{kind=\"submission\"} 2",
        "mox_smtpserver_delivery_total{result=\"delivered\",reason=\"localserve\"} 1",
        "mox_smtpserver_submission_total{result=\"ok\"} 1",
        "mox_authentication_total{kind=\"submission\",variant=\"plain\",result=\"ok\"} 1",
        "mox_authentication_total{kind=\"submission\",variant=\"plain\",result=\"badcreds\"} 1",
        "mox_panic_total{pkg=\"smtpserver\"} 0",
        "mox_smtpserver_command_duration_seconds_count{kind=\"smtp\",cmd=\"mail\",code=\"250\",ecode=\"2.1.0\"} 1",
    ] {
        assert!(page.lines().any(|have| have == line), "{line}\n{page}");
    }
}

#[test]
fn every_mechanism_of_passwords_is_there_to_be_tried() {
    let server = Server::develop();
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        let reply = server.session(SUBMISSIONS).auth(mechanism, "mox@localhost", "moxmoxmox");
        assert!(reply.starts_with("235 "), "{mechanism}: {reply}");
    }
}

#[test]
fn the_log_level_changes_while_the_server_runs() {
    let mut server = Server::develop_with(&["--log-level", "info"]);
    assert_eq!(server.verb(&["ctl", "loglevel"]).text(), "info\n");
    drop(server.session(SMTP));
    assert_eq!(server.verb(&["ctl", "loglevel", "info,smtpserver=trace"]).text(), "");
    drop(server.login(SUBMISSIONS));
    assert_eq!(server.verb(&["ctl", "loglevel"]).text(), "info,smtpserver=trace\n");
    let why = server.verb(&["ctl", "loglevel", "smtpserver=loud"]).failed();
    assert!(why.contains("smtpserver=loud"), "{why}");
    let traced = server.process().wait_for("RC: AUTH PLAIN");
    assert!(traced.rsplit_once(" delta=").is_some_and(|(_, delta)| delta.parse::<f64>().is_ok()), "{traced}");
    assert!(traced.contains("***") && !traced.contains("AG1v"), "{traced}");
    let said = server.stop();
    let (before, after) = said.split_once("log level changed").unwrap();
    assert!(!before.contains("RC: ") && after.contains("RC: EHLO"), "{said}");
    assert!(!said.contains("moxd_store: "), "the others say no more than before:\n{said}");
}

#[test]
fn logs_tell_what_happens_and_no_secrets() {
    let mut server = Server::develop_with(&["--log-format", "json", "--log-level", "debug"]);
    let mut client = server.login(SUBMISSIONS);
    client.deliver("mox@localhost", &["mox@localhost"], b"From: mox@localhost\r\n\r\nfor your eyes only\r\n");
    assert!(client.ask("RSET").starts_with("250 "));
    let mut client = server.session(SUBMISSION);
    assert!(client.auth("PLAIN", "mox@localhost", "almost-right").starts_with("535 "));
    let said = server.stop();
    for line in said.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
        // Lines about a connection have the time since the connection's last line.
        assert_eq!(event["delta"].is_number(), event["span"].is_object(), "{line}");
    }
    assert!(said.contains("\"message\":\"submission\"") && said.contains("\"cid\""), "{said}");
    for secret in ["moxmoxmox", "AG1veEBsb2NhbGhvc3QAbW94bW94bW94", "almost-right", "for your eyes only"] {
        assert!(!said.contains(secret), "{secret} in:\n{said}");
    }
}
