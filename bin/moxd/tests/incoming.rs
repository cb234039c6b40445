//! The evidence about mail from other servers, as the delivered message and its record show it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::client::Smtp;
use common::names::Names;
use common::run::{moxd, moxd_reading};
use common::server::{SMTP, SUBMISSION, Server, text};
use serde_json::{Value, json};

const ZONE: &str = r#"
1.0.0.127.in-addr.arpa.         PTR mail.example.test.
mail.example.test.              A 127.0.0.1
mail.example.test.              TXT "v=spf1 a -all"
example.test.                   TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.example.test.            TXT "v=DMARC1; p=reject"
bounce.example.test.            TXT "v=spf1 ip4:127.0.0.1 -all"
news.example.test.              A 192.0.2.1
unsigned.test.                  TXT "v=spf1 ip4:192.0.2.1 -all"
vouched.test.                   TXT "v=spf1 ip4:127.0.0.1 -all"
mail.vouched.test.              A 192.0.2.1
xn--bcher-kva.test.             TXT "v=spf1 ip4:127.0.0.1 ~all"
!servfail slow.test.
!servfail _dmarc.slow.test.
"#;

/// A server in developer mode that asks a name server, and the key of example.test.
struct Scene {
    server: Server,
    names: Names,
    key: String,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = text(&folder.path().join("key"));
        assert_eq!(moxd(["dkim", "keygen", "ed25519", "--out", &key]).text(), "");
        let record = moxd(["dkim", "txt", &key]).text();
        let names = Names::serve(&format!("{ZONE}e._domainkey.example.test. TXT \"{}\"", record.trim_end()));
        let server = Server::develop_with(&["--dns", &names.address()]);
        let kept = text(&server.scratch("key"));
        std::fs::rename(key, &kept).unwrap();
        Self { server, names, key: kept }
    }

    fn signed(&self, message: &str) -> String {
        let verb = ["dkim", "sign", "--domain", "example.test", "--selector", "e", "--key", &self.key];
        moxd_reading(verb, message.as_bytes()).text()
    }

    /// Opens a connection and sends EHLO with the name `helo`.
    fn connect(&self, helo: &str) -> Smtp {
        let mut client = Smtp::connect(self.server.address(SMTP));
        client.expect(&format!("EHLO {helo}"), "250");
        client
    }

    /// Delivers a message; returns the stored message and its record.
    fn deliver(&self, from: &str, message: &str) -> (Kept, Value) {
        let mut client = self.connect("mail.example.test");
        client.deliver(from, &["mox@localhost"], message.as_bytes());
        (Kept(self.server.newest()), self.server.messages().pop().unwrap())
    }
}

/// The stored message.
struct Kept(String);

impl Kept {
    /// The fields that the server put before the received message, unfolded.
    fn fields(&self, received: &str) -> Vec<(String, String)> {
        let ours = self.0.strip_suffix(received).unwrap_or_else(|| panic!("changed: {}", self.0));
        let unfolded = ours.replace("\r\n\t", " ").replace("\r\n ", " ");
        let field =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        unfolded.split_terminator("\r\n").map(|line| field(line).unwrap()).collect()
    }

    /// The value of one of them.
    fn field(&self, received: &str, name: &str) -> String {
        let found = self.fields(received).into_iter().find(|(have, _)| have == name);
        found.unwrap_or_else(|| panic!("no {name}: {}", self.0)).1
    }

    /// The methods of our Authentication-Results.
    fn results(&self, received: &str) -> Vec<String> {
        let value = self.field(received, "Authentication-Results");
        let methods = value.strip_prefix("localhost; ").unwrap_or_else(|| panic!("{value}"));
        methods.split("; ").map(str::to_owned).collect()
    }
}

#[test]
fn mail_that_is_what_it_says_comes_with_proof() {
    let scene = Scene::new();
    let message = scene.signed("From: Ann <ann@example.test>\r\nSubject: proven\r\n\r\nhello\r\n");
    let (kept, record) = scene.deliver("ann@example.test", &message);
    let fields = kept.fields(&message);
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Delivered-To", "Return-Path", "Authentication-Results", "Received-SPF", "Received"]);

    // RFC 8601 §2.2: what was checked, in the order of the session.
    let results = kept.results(&message);
    let [iprev, dkim, spf, dmarc] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!(iprev, "iprev=pass policy.iprev=127.0.0.1");
    assert!(dkim.starts_with("dkim=pass "), "{dkim}");
    for property in ["header.d=example.test", "header.s=e", "header.a=ed25519-sha256"] {
        assert!(dkim.split(' ').any(|word| word == property), "{dkim}");
    }
    let (_, signature) = message.split_once("b=").unwrap();
    let start: String =
        signature.split(|c: char| c.is_whitespace()).collect::<String>().chars().take(12).collect();
    assert!(
        dkim.contains(&format!("header.b={start}")) || dkim.contains(&format!("header.b=\"{start}\"")),
        "{dkim}"
    );
    assert_eq!(spf, "spf=pass (without dnssec) smtp.mailfrom=example.test");
    assert_eq!(dmarc, "dmarc=pass (policy reject, without dnssec) header.from=example.test");

    let spf = kept.field(&message, "Received-SPF");
    assert!(spf.starts_with("pass ("), "{spf}");
    for pair in ["client-ip=127.0.0.1", "helo=mail.example.test", "identity=mailfrom", "receiver=localhost"] {
        assert!(spf.contains(pair), "{pair}: {spf}");
    }
    let received = kept.field(&message, "Received");
    assert!(received.starts_with("from mail.example.test ([127.0.0.1]) by localhost"), "{received}");

    let expected = json!({ "ehlo": "unknown", "mailfrom": "pass", "msgfrom": "strict" });
    assert_eq!(record["validation"], expected);
    assert_eq!(
        (&record["mail_from"], &record["remote_ip"]),
        (&json!("ann@example.test"), &json!("127.0.0.1"))
    );
    let page = scene.server.metrics();
    for labels in [
        "mox_iprev_lookup_total_count{status=\"pass\"}",
        "mox_spf_verify_duration_seconds_count{status=\"pass\"}",
        "mox_dkim_verify_duration_seconds_count{algorithm=\"ed25519-sha256\",status=\"pass\"}",
        "mox_dmarc_verify_duration_seconds_count{status=\"pass\",reject=\"no\",use=\"yes\"}",
    ] {
        assert!(page.lines().any(|line| line == format!("{labels} 1")), "{labels}\n{page}");
    }
    for judge in ["iprev", "spf", "dkim", "dmarc"] {
        let asked = format!("mox_dns_lookup_duration_seconds_count{{pkg=\"{judge}\",type=");
        assert!(page.contains(&asked), "{asked}\n{page}");
    }

    // `moxd verify` finds the same.
    let verb =
        ["verify", "--ip", "127.0.0.1", "--helo", "mail.example.test", "--mailfrom", "ann@example.test"];
    let address = scene.names.address();
    let verified =
        moxd_reading(verb.iter().copied().chain(["--dns", &address, "--json"]), message.as_bytes()).json();
    let field = verified["authentication_results"].as_str().unwrap().replace("\r\n\t", " ");
    assert_eq!(field, format!("Authentication-Results: localhost; {}", results.join("; ")));
}

/// Delivers a message, and checks Authentication-Results, Received-SPF and the record.
#[track_caller]
fn check(scene: &Scene, from: &str, message: &str, results: &[&str], spf: &str, validation: [&str; 3]) {
    let (kept, record) = scene.deliver(from, message);
    let found = kept.results(message);
    let fit =
        found.len() == results.len() && found.iter().zip(results).all(|(have, want)| have.starts_with(want));
    assert!(fit, "{found:#?}\n{results:#?}");
    let field = kept.field(message, "Received-SPF");
    assert!(field.starts_with(&format!("{spf} (")), "{field}");
    let [ehlo, mailfrom, msgfrom] = validation;
    assert_eq!(record["validation"], json!({ "ehlo": ehlo, "mailfrom": mailfrom, "msgfrom": msgfrom }));
}

#[test]
fn mail_is_judged_by_each_of_its_names() {
    let scene = Scene::new();
    let message = |from: &str| format!("From: {from}\r\nSubject: judged\r\n\r\nhello\r\n");
    // Another name of the same organization suffices: by DMARC if there is a record, else recorded as `relaxed`.
    check(
        &scene,
        "ann@bounce.example.test",
        &message("ann@news.example.test"),
        &[
            "iprev=pass",
            "dkim=none",
            "spf=pass",
            "dmarc=pass (policy reject, without dnssec) header.from=news.example.test",
        ],
        "pass",
        ["unknown", "pass", "dmarc"],
    );
    check(
        &scene,
        "ann@vouched.test",
        &message("ann@mail.vouched.test"),
        &["iprev=pass", "dkim=none", "spf=pass", "dmarc=none"],
        "pass",
        ["unknown", "pass", "relaxed"],
    );
    // No domain vouches for the message. It is accepted all the same: the verdict is made elsewhere.
    check(
        &scene,
        "ann@unsigned.test",
        &message("boss@example.test"),
        &["iprev=pass", "dkim=none reason=\"no dkim signatures\"", "spf=fail", "dmarc=fail"],
        "fail",
        ["unknown", "fail", "none"],
    );
    // A delivery report has the null path as its sender, so SPF checks the EHLO name.
    check(
        &scene,
        "",
        &message("postmaster@mail.example.test"),
        &["iprev=pass", "dkim=none", "spf=pass (without dnssec) smtp.helo=mail.example.test", "dmarc=pass"],
        "pass",
        ["pass", "unknown", "strict"],
    );
    // A DNS failure is a temporary error, and does not count against the sender.
    check(
        &scene,
        "ann@slow.test",
        &message("ann@slow.test"),
        &["iprev=pass", "dkim=none", "spf=temperror", "dmarc=temperror"],
        "temperror",
        ["unknown", "temperror", "none"],
    );
    // Two authors of one domain have its policy; without a single author domain there is nothing to prove.
    let two = "From: a@example.test, b@example.test\r\n\r\nhello\r\n";
    let judged = ["iprev=pass", "dkim=none", "spf=pass", "dmarc=pass"];
    check(&scene, "ann@example.test", two, &judged, "pass", ["unknown", "pass", "strict"]);
    for nobody in
        ["Subject: no author\r\n\r\nhello\r\n", "From: a@example.test, b@unsigned.test\r\n\r\nhello\r\n"]
    {
        check(
            &scene,
            "ann@example.test",
            nobody,
            &["iprev=pass", "dkim=none", "spf=pass", "dmarc=none"],
            "pass",
            ["unknown", "pass", "none"],
        );
    }
}

#[test]
fn signatures_are_looked_at_one_by_one() {
    let scene = Scene::new();
    let signed = scene.signed("From: Ann <ann@example.test>\r\nSubject: signed\r\n\r\nhello\r\n");
    let twice = scene.signed(&signed);
    let changed = twice.replace("hello", "hallo");
    let broken = format!("DKIM-Signature: v=1; d=example.test; s=e\r\n{signed}");
    for (message, dkim, dmarc, msgfrom) in [
        (&twice, &["dkim=pass", "dkim=pass"][..], "dmarc=pass", "strict"),
        (&changed, &["dkim=fail", "dkim=fail"], "dmarc=fail", "none"),
        (&broken, &["dkim=permerror", "dkim=pass"], "dmarc=pass", "strict"),
    ] {
        let results = [&["iprev=pass"], dkim, &["spf=fail", dmarc]].concat();
        check(&scene, "ann@unsigned.test", message, &results, "fail", ["unknown", "fail", msgfrom]);
    }
}

#[test]
fn names_in_other_letters_are_shown_in_them_where_the_client_can_read_them() {
    let scene = Scene::new();
    let message = "From: ann@bücher.test\r\n\r\nhello\r\n";
    let mut client = scene.connect("mail.example.test");
    client.expect("MAIL FROM:<ann@bücher.test> SMTPUTF8", "250 ");
    client.expect("RCPT TO:<mox@localhost>", "250 ");
    client.expect("DATA", "354 ");
    assert!(client.finish(message.as_bytes()).starts_with("250 "));
    let kept = Kept(scene.server.newest());
    let results = kept.results(message);
    assert_eq!(results[2], "spf=pass (without dnssec) smtp.mailfrom=bücher.test (xn--bcher-kva.test)");
    assert!(
        results[3].starts_with("dmarc=none") && results[3].contains("header.from=bücher.test"),
        "{results:?}"
    );

    let (kept, record) =
        scene.deliver("ann@xn--bcher-kva.test", "From: ann@xn--bcher-kva.test\r\n\r\nhello\r\n");
    assert!(kept.0.contains("smtp.mailfrom=xn--bcher-kva.test") && kept.0.is_ascii(), "{}", kept.0);
    assert_eq!(record["from"], "ann@bücher.test");
    assert_eq!(record["validation"]["msgfrom"], "strict");
}

#[test]
fn a_connection_is_looked_up_once_and_submissions_not_at_all() {
    let scene = Scene::new();
    let mut client = scene.connect("mail.example.test");
    let message = "From: ann@example.test\r\n\r\nhello\r\n";
    for _ in 0..3 {
        client.deliver("ann@example.test", &["mox@localhost", "you@example.org"], message.as_bytes());
    }
    assert_eq!(scene.server.messages().len(), 6);
    assert_eq!(scene.names.count("1.0.0.127.in-addr.arpa", "PTR"), 1);
    let before = scene.names.count("", "");

    let mut client = scene.server.login(SUBMISSION);
    let message =
        "From: mox@localhost\r\nMessage-ID: <1@a>\r\nDate: Tue, 03 Nov 2026 15:04:05 +0000\r\n\r\nhello\r\n";
    client.deliver("mox@localhost", &["mox@localhost"], message.as_bytes());
    let kept = Kept(scene.server.newest());
    assert_eq!(kept.results(message), ["auth=pass smtp.mailfrom=mox@localhost"]);
    assert!(!kept.0.contains("Received-SPF"), "{}", kept.0);
    assert_eq!(scene.names.count("", ""), before, "something was asked about a user's mail");
    let unknown = json!({ "ehlo": "unknown", "mailfrom": "unknown", "msgfrom": "unknown" });
    assert_eq!(scene.server.messages().pop().unwrap()["validation"], unknown);
}
