//! The verbs that check one protocol each, against a name server on loopback: text for people, JSON with the
//! promised keys, exit status.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::names::Names;
use common::run::{Ended, has_keys, moxd, moxd_reading};
use common::server::text;
use serde_json::{Value, json};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const ZONE: &str = r#"
example.test.           TXT "v=spf1 ip4:192.0.2.0/28 a:mail.example.test include:_spf.example.test -all exp=why.example.test"
_spf.example.test.      TXT "v=spf1 ip6:2001:db8::/32 ?ip4:192.0.2.16/28 ~ip4:192.0.2.32/28"
why.example.test.       TXT "%{i} is not one of %{d}"
mail.example.test.      A 198.51.100.25
mail.example.test.      TXT "v=spf1 a -all"
soft.test.              TXT "v=spf1 ~all"
open.test.              TXT "v=spf1 ?all"
twice.test.             TXT "v=spf1 -all"
twice.test.             TXT "v=spf1 +all"
broken.test.            TXT "v=spf1 ip4:192.0.2 -all"
lost.test.              TXT "v=spf1 include:slow.test -all"
other.test.             TXT "unrelated"
!servfail slow.test.
"#;

fn ask(names: &Names, verb: &[&str]) -> Ended {
    let address = names.address();
    moxd(verb.iter().copied().chain(["--dns", &address]))
}

fn ask_json(names: &Names, verb: &[&str]) -> Value {
    let address = names.address();
    moxd(verb.iter().copied().chain(["--dns", &address, "--json"])).json()
}

/// `value` has these values, whatever else it has.
#[track_caller]
fn says(value: &Value, expected: &Value) {
    for (key, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[key], expected, "{key} of {value:#}");
    }
}

const SPF: &[&str] = &[
    "result",
    "identity",
    "domain",
    "mechanism",
    "explanation",
    "problem",
    "received_spf",
    "reason",
    "lookups",
    "void_lookups",
    "dnssec",
];
const IPREV: &[&str] = &["result", "name", "names", "reason", "dnssec"];

#[test]
fn spf_check_says_who_may_send_and_why() {
    let names = Names::serve(ZONE);
    let from_example = json!({ "identity": "mailfrom", "domain": "example.test" });
    for (ip, sender, result, mechanism) in [
        ("192.0.2.1", "ann@example.test", "pass", json!("ip4:192.0.2.0/28")),
        ("198.51.100.25", "ann@example.test", "pass", json!("a:mail.example.test")),
        ("2001:db8::1", "ann@example.test", "pass", json!("include:_spf.example.test")),
        // RFC 7208 §5.2: an include matches only if its record passes.
        ("192.0.2.17", "ann@example.test", "fail", json!("all")),
        ("203.0.113.9", "ann@example.test", "fail", json!("all")),
    ] {
        let found = ask_json(&names, &["spf", "check", "--ip", ip, "--mailfrom", sender]);
        has_keys(&found, SPF);
        says(&found, &from_example);
        let expected = json!({ "result": result, "problem": null });
        says(&found, &expected);
        assert!(found["mechanism"].as_str().unwrap().ends_with(mechanism.as_str().unwrap()), "{found}");
        let field = found["received_spf"].as_str().unwrap();
        assert!(field.starts_with(&format!("Received-SPF: {result} (")), "{field}");
        assert!(
            field.contains(&format!("client-ip={ip}")) || field.contains(&format!("client-ip=\"{ip}\"")),
            "{field}"
        );
    }
    let failed = ask_json(&names, &["spf", "check", "--ip", "203.0.113.9", "--mailfrom", "ann@example.test"]);
    assert_eq!(failed["explanation"], "203.0.113.9 is not one of example.test");

    for (sender, result) in [
        ("a@soft.test", "softfail"),
        ("a@open.test", "neutral"),
        ("a@other.test", "none"),
        ("a@nowhere.test", "none"),
        ("a@slow.test", "temperror"),
        ("a@lost.test", "temperror"),
        ("a@twice.test", "permerror"),
        ("a@broken.test", "permerror"),
    ] {
        let found = ask_json(&names, &["spf", "check", "--ip", "203.0.113.9", "--mailfrom", sender]);
        has_keys(&found, SPF);
        says(&found, &json!({ "result": result, "explanation": null }));
        assert_eq!(found["problem"].is_string(), result.ends_with("error"), "{found}");
    }
}

#[test]
fn spf_check_takes_the_helo_name_where_there_is_no_sender() {
    let names = Names::serve(ZONE);
    let helo = ["spf", "check", "--ip", "198.51.100.25", "--helo", "mail.example.test"];
    let expected =
        json!({ "result": "pass", "identity": "helo", "domain": "mail.example.test", "mechanism": "a" });
    says(&ask_json(&names, &helo), &expected);
    says(&ask_json(&names, &[&helo[..], &["--mailfrom", ""]].concat()), &expected);
    let receiver = ask_json(&names, &[&helo[..], &["--receiver", "mx.receiver.test"]].concat());
    assert!(receiver["received_spf"].as_str().unwrap().contains("receiver=mx.receiver.test"), "{receiver}");
    // An address literal is not a domain name, so it has no SPF record.
    says(
        &ask_json(&names, &["spf", "check", "--ip", "192.0.2.1", "--helo", "192.0.2.1"]),
        &json!({ "result": "none" }),
    );

    let why = ask(&names, &["spf", "check", "--ip", "192.0.2.1"]).wrong_arguments();
    assert_eq!(why, "neither --mailfrom nor --helo is given: nothing to check");
    let why = ask(&names, &["spf", "check", "--ip", "192.0.2", "--helo", "a.test"]).wrong_arguments();
    assert!(why.contains("'192.0.2' for '--ip <IP>'"), "{why}");
    let why = ask(&names, &["spf", "check", "--helo", "a.test"]).wrong_arguments();
    assert!(why.contains("--ip <IP>"), "{why}");
}

#[test]
fn spf_check_of_what_can_have_no_record_is_none() {
    let names = Names::serve(ZONE);
    let long = format!("ann@{}.test", "x".repeat(64));
    for sender in ["nobody", "ann@a..test", "ann@-a.test", &long, "ann@localhost", "ann@"] {
        let verb = ["spf", "check", "--ip", "192.0.2.1", "--mailfrom", sender, "--helo", "mail.example.test"];
        let found = ask_json(&names, &verb);
        has_keys(&found, SPF);
        let expected =
            json!({ "result": "none", "identity": "mailfrom", "mechanism": null, "problem": null });
        says(&found, &expected);
        let reason = found["reason"].as_str().unwrap();
        assert!(reason.starts_with("not a domain name of at least two labels"), "{sender}: {reason}");
        let field = found["received_spf"].as_str().unwrap();
        assert!(field.starts_with("Received-SPF: none ("), "{field}");
    }
    let found = ask_json(&names, &["spf", "check", "--ip", "192.0.2.1", "--helo", "a..test"]);
    says(&found, &json!({ "result": "none", "identity": "helo", "domain": null }));
    let text = ask(&names, &["spf", "check", "--ip", "192.0.2.1", "--mailfrom", "nobody"]).text();
    assert!(
        text.starts_with("result         none\nidentity       mailfrom\nreason         not a domain"),
        "{text}"
    );
}

#[test]
fn json_has_all_that_the_text_has() {
    let names = Names::serve(&format!("{ZONE}\n_dmarc.example.test. TXT \"v=DMARC1; p=reject\""));
    let found = ask_json(&names, &["spf", "check", "--ip", "203.0.113.9", "--mailfrom", "ann@example.test"]);
    says(&found, &json!({ "lookups": 2, "void_lookups": 0, "dnssec": "unknown", "reason": null }));
    assert!(!found["received_spf"].as_str().unwrap().contains('\n'), "on one line: {found}");
    let found = ask_json(&names, &["spf", "check", "--ip", "203.0.113.9", "--mailfrom", "a@other.test"]);
    assert_eq!(found["reason"], "no SPF record (other.test)");
    let asked = json!(["_dmarc.a.example.test", "_dmarc.example.test", "_dmarc.test"]);
    let found = ask_json(&names, &["dmarc", "lookup", "a.example.test"]);
    let expected = json!({ "applies": "reject", "organization": "example.test", "dnssec": "unknown" });
    says(&found, &expected);
    assert_eq!(found["asked"], asked);
    let found = ask_json(&names, &["dmarc", "check", "--from", "a.example.test"]);
    says(&found, &json!({ "record": "v=DMARC1; p=reject", "problem": null, "dnssec": "unknown" }));
    assert_eq!(found["asked"], asked);
    let found = ask_json(&names, &["iprev", "192.0.2.1"]);
    says(&found, &json!({ "dnssec": "unknown", "reason": "1.2.0.192.in-addr.arpa PTR: no such name" }));
}

/// The exit status of a verb.
#[track_caller]
fn ends_in(names: &Names, verb: &[&str], status: i32) {
    let verb: Vec<&str> = verb.iter().copied().chain(["--json"]).collect();
    let address = names.address();
    let ended = moxd(verb.iter().copied().chain(["--dns", &address, "--exit-code"]));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(status), ""), "{verb:?}");
    if status == 3 {
        // The verb prints the result in both cases; without the option it exits with 0.
        let plain = moxd(verb.iter().copied().chain(["--dns", &address])).done();
        assert_eq!(plain, ended.stdout, "{verb:?}");
        assert!(!plain.is_empty());
    }
}

#[test]
fn exit_code_says_whether_it_passed() {
    let desk = Desk::new();
    let names = desk.names(
        "example.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.example.test. TXT \"v=DMARC1; p=reject\"\n\
         1.2.0.192.in-addr.arpa. PTR mail.example.test.\nmail.example.test. A 192.0.2.1\n\
         2.0.0.127.list.test. A 127.0.0.2\n9.2.0.192.list.test. A 127.0.0.4\n\
         8.2.0.192.list.test. A 127.0.0.1\n",
    );
    let (good, bad, half) = (desk.path("good"), desk.path("bad"), desk.path("half"));
    let signed = desk.sign("e", &[], MESSAGE.as_bytes());
    fs::write(&good, &signed).unwrap();
    fs::write(&bad, String::from_utf8(signed.clone()).unwrap().replace("From here", "From there")).unwrap();
    // One signature that passes is enough.
    fs::write(&half, desk.sign("gone", &[], &signed)).unwrap();
    for (ip, status) in [("192.0.2.1", 0), ("192.0.2.2", 3)] {
        ends_in(&names, &["spf", "check", "--ip", ip, "--mailfrom", "ann@example.test"], status);
        ends_in(&names, &["iprev", ip], status);
    }
    ends_in(&names, &["spf", "check", "--ip", "192.0.2.1", "--mailfrom", "nobody"], 3);
    for (file, status) in [(&good, 0), (&half, 0), (&bad, 3), (&desk.path("message"), 3)] {
        ends_in(&names, &["dkim", "verify", file], status);
        let from = ["--ip", "192.0.2.7", "--helo", "a.test", "--mailfrom", "ann@other.test"];
        ends_in(&names, &[&["verify"], &from[..], &[file]].concat(), status);
    }
    let check = ["dmarc", "check", "--from", "example.test", "--dkim"];
    ends_in(&names, &[&check[..], &["example.test=pass"]].concat(), 0);
    ends_in(&names, &[&check[..], &["example.test=fail"]].concat(), 3);
    for (zone, ip, status) in [
        ("list.test", "192.0.2.1", 0),
        ("list.test", "192.0.2.9", 3),
        // No answer says that the address is listed, and none that it is not.
        ("list.test", "192.0.2.8", 3),
        ("gone.test", "192.0.2.1", 3),
    ] {
        ends_in(&names, &["dnsbl", "check", zone, ip], status);
    }
    // --exit-code does not change the status of failed work (1) or of wrong arguments (2).
    moxd(["dkim", "verify", "--exit-code", "/nowhere"]).failed();
    moxd(["iprev", "--exit-code", "nobody"]).wrong_arguments();
}

#[test]
fn prints_spf_results_in_lines() {
    let names = Names::serve(ZONE);
    let text = ask(&names, &["spf", "check", "--ip", "203.0.113.9", "--mailfrom", "ann@example.test"]).text();
    for line in [
        "result         fail",
        "identity       mailfrom",
        "domain         example.test",
        "explanation    203.0.113.9 is not one of example.test",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(text.contains("Received-SPF: fail") && !text.contains('\u{1b}'), "{text}");

    let text = ask(&names, &["spf", "lookup", "_spf.example.test"]).text();
    let parts: Vec<_> =
        text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let expected =
        [["pass", "ip6:2001:db8::/32"], ["neutral", "ip4:192.0.2.16/28"], ["softfail", "ip4:192.0.2.32/28"]];
    assert_eq!(parts, expected);

    let found = ask_json(&names, &["spf", "lookup", "example.test"]);
    assert_eq!(found["directives"].as_array().unwrap().len(), 4);
    says(&found, &json!({ "redirect": null, "explanation": "why.example.test" }));
    assert_eq!(found["directives"][3], json!({ "result": "fail", "mechanism": "all" }));
    let parsed = moxd(["spf", "parse", "v=spf1 mx redirect=%{d}.test x=y", "--json"]).json();
    says(&parsed, &json!({ "redirect": "%{d}.test", "modifiers": [{ "name": "x", "value": "y" }] }));

    assert_eq!(ask(&names, &["spf", "lookup", "other.test"]).failed(), "other.test has no SPF record");
    assert!(
        ask(&names, &["spf", "lookup", "twice.test"])
            .failed()
            .starts_with("twice.test has several SPF records")
    );
    assert!(ask(&names, &["spf", "lookup", "slow.test"]).failed().contains("slow.test"));
    assert!(ask(&names, &["spf", "lookup", "a..test"]).wrong_arguments().starts_with("domain a..test: "));
    assert!(moxd(["spf", "parse", "v=spf1 ip4:192.0.2"]).failed().contains("ip4:192.0.2"));
}

#[test]
fn names_are_asked_over_tcp_where_an_answer_is_too_long() {
    let mut zone: String =
        (0..40).map(|i| format!("long.test. TXT \"{i} {}\"\n", "unrelated ".repeat(15))).collect();
    zone.push_str("long.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n");
    let names = Names::serve(&zone);
    let found = ask_json(&names, &["spf", "check", "--ip", "192.0.2.1", "--mailfrom", "ann@long.test"]);
    assert_eq!(found["result"], "pass");
    assert!(names.asked_over_tcp("long.test"));
}

#[test]
fn servers_are_asked_in_turn_and_silence_is_an_answer() {
    let names = Names::serve(ZONE);
    // A bound socket that is never read: a silent DNS server.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let verb =
        ["spf", "check", "--ip", "192.0.2.1", "--mailfrom", "ann@example.test", "--json", "--dns", &silent];
    let found = moxd(verb.iter().copied().chain(["--dns", &names.address()])).json();
    assert_eq!(found["result"], "pass");
    let found = moxd(verb).json();
    assert_eq!(found["result"], "temperror");
    let why = moxd(["iprev", "192.0.2.1", "--dns", "localhost"]).wrong_arguments();
    assert!(why.contains("give an IP address such as 127.0.0.1"), "{why}");
}

#[test]
fn tells_a_port_without_a_server_from_a_silent_server() {
    // A port below 1024, at an address that no test binds: no server listens there.
    let unused = "127.9.9.9:9";
    let names = Names::serve(ZONE);
    let verb = ["spf", "check", "--ip", "192.0.2.1", "--mailfrom", "ann@example.test", "--dns", unused];
    assert_eq!(moxd(verb).failed(), format!("no DNS server listens at {unused}: connection refused"));
    // Without a port, port 53 counts.
    let why = moxd(["iprev", "192.0.2.1", "--dns", "127.9.9.9"]).failed();
    assert_eq!(why, "no DNS server listens at 127.9.9.9:53: connection refused");
    let found = moxd(verb.iter().copied().chain(["--dns", &names.address(), "--json"])).json();
    assert_eq!(found["result"], "pass");
}

/// A folder with keys and a message in it.
struct Desk {
    folder: TempDir,
}

const MESSAGE: &str = "From: Ann <ann@example.test>\r\nTo: bob@receiver.test\r\nSubject:  two\r\n  lines \r\n\r\n\
                       blanks \t at the end  \r\n\r\nFrom here\r\n.\r\n\r\n\r\n";

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        assert_eq!(moxd(["dkim", "keygen", "ed25519", "--out", &desk.path("ed25519.key")]).text(), "");
        assert_eq!(moxd(["dkim", "keygen", "rsa", "--out", &desk.path("rsa.key")]).text(), "");
        fs::write(desk.path("message"), MESSAGE).unwrap();
        desk
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    fn record(&self, key: &str) -> String {
        moxd(["dkim", "txt", &self.path(key)]).text().trim_end().to_owned()
    }

    /// Serves the keys of example.test, and `further` records.
    fn names(&self, further: &str) -> Names {
        let (ed25519, rsa) = (self.record("ed25519.key"), self.record("rsa.key"));
        Names::serve(&format!(
            "e._domainkey.example.test. TXT \"{ed25519}\"\nr._domainkey.example.test. TXT \"{rsa}\"\n\
             !servfail slow._domainkey.example.test.\n{further}"
        ))
    }

    /// Signs with the selector `e` or `r`, whose key has the longer name.
    fn sign(&self, selector: &str, further: &[&str], message: &[u8]) -> Vec<u8> {
        let key = self.path(if selector == "r" { "rsa.key" } else { "ed25519.key" });
        let verb = ["dkim", "sign", "--domain", "example.test", "--selector", selector, "--key", &key];
        moxd_reading(verb.iter().chain(further), message).done()
    }
}

fn verify(names: &Names, message: &[u8]) -> Value {
    moxd_reading(["dkim", "verify", "--dns", &names.address(), "--json"], message).json()
}

const DKIM: &[&str] =
    &["status", "domain", "selector", "algorithm", "identity", "error", "key_bits", "dnssec"];

#[test]
fn dkim_keys_are_made_once_and_for_the_owner_alone() {
    let desk = Desk::new();
    for (key, start) in [("ed25519.key", "v=DKIM1;k=ed25519;p="), ("rsa.key", "v=DKIM1;")] {
        let pem = fs::read_to_string(desk.path(key)).unwrap();
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{pem}");
        assert_eq!(fs::metadata(desk.path(key)).unwrap().permissions().mode() & 0o777, 0o600);
        let record = desk.record(key);
        assert!(record.replace("; ", ";").starts_with(start), "{record}");
        assert_eq!(moxd_reading(["dkim", "txt", "-"], pem.as_bytes()).text().trim_end(), record);
        let why = moxd(["dkim", "keygen", "ed25519", "--out", &desk.path(key)]).failed();
        let expected = "it exists, and no key is overwritten; name another file";
        assert_eq!(why, format!("make {}: {expected}", desk.path(key)));
        assert_eq!(fs::read_to_string(desk.path(key)).unwrap(), pem);
    }
    let out = desk.path("other.key");
    let why = moxd(["dkim", "keygen", "rsa", "--bits", "1024", "--out", &out]).wrong_arguments();
    assert_eq!(why, "--bits 1024: RSA keys have 2048 to 4096 bits");
    moxd(["dkim", "keygen", "dsa", "--out", &out]).wrong_arguments();
    assert!(!std::path::Path::new(&out).exists());
    let missing = desk.path("no/folder/x.key");
    let why = moxd(["dkim", "keygen", "ed25519", "--out", &missing]).failed();
    let folder = desk.path("no/folder");
    assert_eq!(why, format!("make {missing}: there is no folder {folder}; make it first: mkdir -p {folder}"));
    let why = moxd(["dkim", "txt", &desk.path("message")]).failed();
    assert!(
        why.starts_with(&format!("{}: private key cannot be used: it is not PEM", desk.path("message"))),
        "{why}"
    );
    let der = desk.path("der");
    fs::write(&der, b"\x30\x82\x04\xa4\x02\x01\x00\xff\xfe").unwrap();
    let why = moxd(["dkim", "txt", &der]).failed();
    assert!(why.contains("openssl pkey -inform DER"), "{why}");
    let why = moxd(["dkim", "txt", "/nowhere"]).failed();
    assert!(why.contains("/nowhere"), "{why}");
}

#[test]
fn dkim_records_can_be_pasted_into_a_zone() {
    let desk = Desk::new();
    for (key, strings) in [("ed25519.key", 1), ("rsa.key", 2)] {
        let line = |further: &[&str]| {
            let verb = ["dkim", "txt", &desk.path(key)].map(str::to_owned);
            moxd(verb.iter().map(String::as_str).chain(further.iter().copied())).text()
        };
        let whole = line(&["--selector", "2026a", "--domain", "example.test"]);
        let value = whole.strip_prefix("2026a._domainkey.example.test. IN TXT \"").unwrap();
        let parts: Vec<&str> = value.trim_end().trim_end_matches('"').split("\" \"").collect();
        assert_eq!(parts.len(), strings, "{whole}");
        assert!(parts.iter().all(|part| part.len() <= 255), "{whole}");
        assert_eq!(parts.concat(), desk.record(key));
        assert!(line(&["--selector", "2026a"]).starts_with("2026a._domainkey IN TXT \"v=DKIM1;"));
        // A name server that has the printed record in its zone verifies signatures of the key.
        let names = Names::serve(&whole.replace(" IN ", " "));
        let path = desk.path(key);
        let sign = ["dkim", "sign", "--domain", "example.test", "--selector", "2026a", "--key", &path];
        let signed = moxd_reading(sign, MESSAGE.as_bytes()).done();
        assert_eq!(verify(&names, &signed)[0]["status"], "pass");
    }
    let key = desk.path("rsa.key");
    moxd(["dkim", "txt", &key, "--domain", "example.test"]).wrong_arguments();
    moxd(["dkim", "txt", &key, "--selector", "a..b"]).wrong_arguments();
}

#[test]
fn dkim_keys_are_read_by_others() {
    let desk = Desk::new();
    // RFC 8410 §7: version 0, and nothing behind the private key.
    let pem = fs::read_to_string(desk.path("ed25519.key")).unwrap();
    let body = pem.lines().nth(1).unwrap();
    assert!(body.starts_with("MC4CAQAwBQYDK2VwBCIEI") && body.len() == 64, "{pem}");
    assert_eq!(pem.lines().count(), 3);
}

#[test]
fn dkim_verifies_what_it_signs() {
    let desk = Desk::new();
    let names = desk.names("");
    for (selector, algorithm) in [("e", "ed25519-sha256"), ("r", "rsa-sha256")] {
        for canonicalization in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
            let signed = desk.sign(selector, &["--canonicalization", canonicalization], MESSAGE.as_bytes());
            assert!(signed.starts_with(b"DKIM-Signature: ") && signed.ends_with(MESSAGE.as_bytes()));
            let found = verify(&names, &signed);
            has_keys(&found[0], DKIM);
            let expected = json!([{
                "status": "pass",
                "domain": "example.test",
                "selector": selector,
                "algorithm": algorithm,
                "identity": found[0]["identity"],
                "error": null,
                "key_bits": if selector == "r" { 2048 } else { 256 },
                "dnssec": "unknown",
            }]);
            assert_eq!(found, expected, "{canonicalization}");
            // A file with bare LF is read as if it had CRLF.
            let unix = String::from_utf8(signed).unwrap().replace("\r\n", "\n");
            assert_eq!(verify(&names, unix.as_bytes()), expected, "{canonicalization}");
            let changed = verify(&names, unix.replace("From here", "From there").as_bytes());
            assert_eq!(changed[0]["status"], "fail");
            assert!(changed[0]["error"].is_string());
        }
    }
    let options = ["--headers", "from:subject", "--identity", "ann@mail.example.test", "--expire", "600"];
    let signed = String::from_utf8(desk.sign("e", &options, MESSAGE.as_bytes())).unwrap();
    let field = signed.split("\r\nFrom:").next().unwrap();
    assert!(field.contains("x=") && field.contains("i=ann@mail.example.test"), "{field}");
    let reduced = signed.replace("To: bob", "To: eve");
    says(
        &verify(&names, reduced.as_bytes())[0],
        &json!({ "status": "pass", "identity": "ann@mail.example.test" }),
    );
    let file = desk.path("signed");
    fs::write(&file, &signed).unwrap();
    assert_eq!(ask_json(&names, &["dkim", "verify", &file])[0]["status"], "pass");
    let text = ask(&names, &["dkim", "verify", &file]).text();
    for line in ["result         pass", "domain         example.test", "selector       e"] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }

    let sign = |further: &[&str]| {
        let key = desk.path("ed25519.key");
        let verb = ["dkim", "sign", "--domain", "example.test", "--selector", "e", "--key", &key];
        moxd_reading(verb.iter().chain(further), MESSAGE.as_bytes())
    };
    for wrong in [
        ["--canonicalization", "relaxed/loose"],
        ["--headers", "to:subject: "],
        // A header without From, and identities that are malformed or outside the signing domain.
        ["--headers", "to:subject"],
        ["--identity", "ann"],
        ["--identity", "ann@elsewhere.test"],
        ["--expire", "soon"],
    ] {
        assert!(sign(&wrong).wrong_arguments().contains(wrong[0]), "{wrong:?}");
    }
}

#[test]
fn dkim_tells_every_signature_in_the_order_of_the_header() {
    let desk = Desk::new();
    let names = desk.names("");
    let first = desk.sign("r", &[], MESSAGE.as_bytes());
    let second = desk.sign("slow", &[], &first);
    let third = desk.sign("gone", &[], &second);
    let broken = [b"DKIM-Signature: v=1; a=rsa-sha256; d=; s=\r\n", third.as_slice()].concat();
    let found = verify(&names, &broken);
    let statuses: Vec<_> =
        found.as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["permerror", "permerror", "temperror", "pass"]);
    found.as_array().unwrap().iter().for_each(|row| has_keys(row, DKIM));
    assert_eq!(found[1]["selector"], "gone");
    assert!(found[1]["error"].is_string() && found[2]["error"].is_string());

    assert_eq!(verify(&names, MESSAGE.as_bytes()), json!([]));
    let text = ask(&names, &["dkim", "verify", &desk.path("message")]).text();
    assert!(text.starts_with("result         none\n"), "{text}");
    assert_eq!(verify(&names, b""), json!([]));
    assert_eq!(verify(&names, b"\xff\x00 no header at all"), json!([]));
    let why = ask(&names, &["dkim", "verify", "/nowhere"]).failed();
    assert!(why.contains("/nowhere"), "{why}");
}

const POLICIES: &str = r#"
_dmarc.example.test.          TXT "v=DMARC1; p=reject; sp=quarantine; np=none; rua=mailto:reports@example.test"
_dmarc.mail.strict.test.      TXT "v=DMARC1; p=quarantine; psd=n"
_dmarc.strict.test.           TXT "v=DMARC1; p=reject; adkim=s; aspf=s; pct=0"
_dmarc.trial.test.            TXT "v=DMARC1; p=reject; t=y"
_dmarc.broken.test.           TXT "v=DMARC1; p=perhaps"
!servfail _dmarc.slow.test.
a.example.test.               A 192.0.2.1
example.test.                 A 192.0.2.1
x.y.mail.strict.test.         A 192.0.2.1
strict.test.                  A 192.0.2.1
trial.test.                   A 192.0.2.1
"#;

#[test]
fn dmarc_lookup_finds_the_record_by_either_standard() {
    let names = Names::serve(POLICIES);
    let lookup = |domain: &str, rfc: &str| ask_json(&names, &["dmarc", "lookup", domain, "--rfc", rfc]);
    let found = ask_json(&names, &["dmarc", "lookup", "a.example.test"]);
    let keys =
        ["status", "domain", "record", "policy", "problem", "applies", "organization", "dnssec", "asked"];
    has_keys(&found, &keys);
    says(&found, &json!({ "status": "pass", "domain": "example.test", "problem": null }));
    let policy = json!({ "p": "reject", "sp": "quarantine", "np": "none", "adkim": "r", "aspf": "r", "psd": "u", "t": false });
    says(&found["policy"], &policy);
    assert_eq!(found["record"].as_str().unwrap().split(';').next(), Some("v=DMARC1"));
    assert_eq!(found["policy"]["rua"], json!(["mailto:reports@example.test"]));

    // By the newer standard a domain can declare itself an organization (psd=n); the older one has a list of suffixes.
    assert_eq!(lookup("x.mail.strict.test", "9989")["domain"], "mail.strict.test");
    assert_eq!(lookup("x.mail.strict.test", "7489")["domain"], "strict.test");
    for rfc in ["9989", "7489"] {
        says(
            &lookup("nothing.test", rfc),
            &json!({ "status": "none", "domain": null, "record": null, "policy": null }),
        );
        assert_eq!(lookup("slow.test", rfc)["status"], "temperror");
        assert_ne!(lookup("broken.test", rfc)["status"], "temperror");
    }
    let text = ask(&names, &["dmarc", "lookup", "a.example.test"]).text();
    assert!(text.contains("found at       example.test\n"), "{text}");
    ask(&names, &["dmarc", "lookup", "example.test", "--rfc", "822"]).wrong_arguments();
    ask(&names, &["dmarc", "lookup"]).wrong_arguments();
}

#[test]
fn dmarc_check_judges_what_was_proven() {
    let names = Names::serve(POLICIES);
    let check = |from: &str, rfc: &str, proven: &[&str]| {
        let verb = [&["dmarc", "check", "--from", from, "--rfc", rfc], proven].concat();
        let found = ask_json(&names, &verb);
        let further = ["record", "problem", "dnssec", "asked"];
        let keys = ["result", "policy", "reject", "domain", "aligned_spf", "aligned_dkim"];
        has_keys(&found, &[&keys[..], &further].concat());
        let word = |key: &str| found[key].as_str().unwrap_or("-").to_owned();
        let flags =
            [&found["reject"], &found["aligned_spf"], &found["aligned_dkim"]].map(|v| v.as_bool().unwrap());
        (word("result"), word("policy"), word("domain"), flags)
    };
    let row = |result: &str, policy: &str, domain: &str, flags: [bool; 3]| {
        (result.to_owned(), policy.to_owned(), domain.to_owned(), flags)
    };
    let spf: &[&str] = &["--spf-result", "pass", "--spf-domain", "mail.example.test"];
    for rfc in ["9989", "7489"] {
        let reject = row("fail", "reject", "example.test", [true, false, false]);
        assert_eq!(check("example.test", rfc, &[]), reject);
        assert_eq!(
            check("example.test", rfc, &["--dkim", "example.test=fail", "--dkim", "other.test=pass"]),
            reject
        );
        let by_spf = row("pass", "reject", "example.test", [false, true, false]);
        assert_eq!(check("example.test", rfc, spf), by_spf);
        let by_dkim = row("pass", "reject", "example.test", [false, false, true]);
        assert_eq!(
            check("example.test", rfc, &["--dkim", "other.test=pass", "--dkim", "EXAMPLE.test=pass"]),
            by_dkim
        );
        let below = row("fail", "quarantine", "example.test", [false, false, false]);
        assert_eq!(check("a.example.test", rfc, &[]), below);
        assert_eq!(check("nothing.test", rfc, &[]).0, "none");
        assert_eq!(check("slow.test", rfc, &[]).0, "temperror");
        // Strict alignment wants the same name.
        assert_eq!(check("strict.test", rfc, &["--dkim", "mail.strict.test=pass"]).0, "fail");
        assert_eq!(check("strict.test", rfc, &["--dkim", "strict.test=pass"]).0, "pass");
        assert_eq!(check("strict.test", rfc, &["--dkim", "strict.test=temperror"]).0, "temperror");
    }
    // Where the standards differ: np=, t=, and who is an organization.
    assert_eq!(check("nobody.example.test", "9989", &[]).1, "none");
    assert_eq!(check("nobody.example.test", "7489", &[]).1, "quarantine");
    assert_eq!(check("trial.test", "9989", &[]).1, "quarantine");
    assert_eq!(check("trial.test", "7489", &[]).1, "reject");
    assert_eq!(check("x.y.mail.strict.test", "9989", &[]).2, "mail.strict.test");
    assert_eq!(check("x.y.mail.strict.test", "7489", &[]).2, "strict.test");

    let text = ask(&names, &["dmarc", "check", "--from", "example.test"]).text();
    for line in
        ["result         fail", "policy         reject", "reject         yes", "spf            not aligned"]
    {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    for wrong in [
        &["--dkim", "example.test"][..],
        &["--dkim", "example.test=great"],
        &["--spf-result", "pass"],
        &["--spf-result", "great", "--spf-domain", "example.test"],
        &["--rfc", "1"],
    ] {
        ask(&names, &[&["dmarc", "check", "--from", "example.test"], wrong].concat()).wrong_arguments();
    }
}

#[test]
fn iprev_goes_from_the_address_to_names_and_back() {
    let names = Names::serve(
        "1.2.0.192.in-addr.arpa. PTR mail.example.test.\n1.2.0.192.in-addr.arpa. PTR other.example.test.\n\
         mail.example.test. A 192.0.2.1\nother.example.test. A 192.0.2.9\n\
         2.2.0.192.in-addr.arpa. PTR liar.example.test.\nliar.example.test. A 192.0.2.3\n\
         !servfail 4.2.0.192.in-addr.arpa.\n\
         1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR six.example.test.\n\
         six.example.test. AAAA 2001:db8::1\n",
    );
    for (ip, result, name) in [
        ("192.0.2.1", "pass", json!("mail.example.test")),
        ("2001:db8::1", "pass", json!("six.example.test")),
        ("192.0.2.2", "fail", json!(null)),
        ("192.0.2.3", "permerror", json!(null)),
        ("192.0.2.4", "temperror", json!(null)),
    ] {
        let found = ask_json(&names, &["iprev", ip]);
        has_keys(&found, IPREV);
        says(&found, &json!({ "result": result, "name": name }));
    }
    let mut found = ask_json(&names, &["iprev", "192.0.2.1"])["names"].take();
    found.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    assert_eq!(found, json!(["mail.example.test", "other.example.test"]));
    let text = ask(&names, &["iprev", "192.0.2.1"]).text();
    assert!(
        text.starts_with("result         pass\n") && text.contains("name           mail.example.test\n"),
        "{text}"
    );
    ask(&names, &["iprev", "mail.example.test"]).wrong_arguments();
}

#[test]
fn dnsbl_tells_listings_from_lists_that_do_not_work() {
    let names = Names::serve(
        "2.0.0.127.list.test. A 127.0.0.2\n9.2.0.192.list.test. A 127.0.0.4\n\
         9.2.0.192.list.test. TXT \"see https://list.test/192.0.2.9\"\n*.all.test. A 127.0.0.2\n",
    );
    let check = |zone: &str, ip: &str| ask_json(&names, &["dnsbl", "check", zone, ip]);
    let listed = check("list.test", "192.0.2.9");
    let expected = json!({
        "zone": "list.test",
        "ip": "192.0.2.9",
        "result": "fail",
        "codes": ["127.0.0.4"],
        "reason": "see https://list.test/192.0.2.9",
        "healthy": true,
        "health": "healthy",
    });
    assert_eq!(listed, expected);
    says(&check("list.test", "192.0.2.1"), &json!({ "result": "pass", "codes": [], "healthy": true }));
    assert_eq!(check("all.test", "192.0.2.1")["healthy"], false);
    let expected = json!({ "result": "temperror", "healthy": false, "health": "there is no such zone" });
    says(&check("gone.test", "192.0.2.1"), &expected);
    let text = ask(&names, &["dnsbl", "check", "gone.test", "192.0.2.1"]).text();
    assert!(text.contains("reason         there is no such zone\n"), "{text}");
    let text = ask(&names, &["dnsbl", "check", "list.test", "192.0.2.9"]).text();
    assert!(text.contains("codes          127.0.0.4\n"), "{text}");
    ask(&names, &["dnsbl", "check", "list.test", "nine"]).wrong_arguments();
    ask(&names, &["dnsbl", "check", "a..b", "192.0.2.1"]).wrong_arguments();
}

#[test]
fn verify_tells_all_that_delivery_would_find_out() {
    let desk = Desk::new();
    let names = desk.names(
        "example.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.example.test. TXT \"v=DMARC1; p=reject\"\n\
         1.2.0.192.in-addr.arpa. PTR mail.example.test.\nmail.example.test. A 192.0.2.1\n",
    );
    let signed = desk.sign("e", &[], MESSAGE.as_bytes());
    let verify = |ip: &str, sender: &str, message: &[u8]| {
        let address = names.address();
        let verb = [
            "verify",
            "--ip",
            ip,
            "--helo",
            "mail.example.test",
            "--mailfrom",
            sender,
            "--dns",
            &address,
            "--json",
        ];
        let found = moxd_reading(verb, message).json();
        has_keys(&found, &["iprev", "spf", "dkim", "dmarc", "authentication_results"]);
        found
    };
    let found = verify("192.0.2.1", "ann@example.test", &signed);
    has_keys(&found["iprev"], IPREV);
    has_keys(&found["spf"], SPF);
    has_keys(&found["dkim"][0], DKIM);
    has_keys(&found["dmarc"], &["result", "policy", "reject", "domain", "aligned_spf", "aligned_dkim"]);
    for part in [&found["iprev"], &found["spf"], &found["dmarc"]] {
        assert_eq!(part["result"], "pass", "{part}");
    }
    let field = found["authentication_results"].as_str().unwrap();
    assert!(field.starts_with("Authentication-Results: ") && !field.ends_with('\n'), "{field}");
    let results: Vec<_> =
        field.split(';').skip(1).map(|method| method.split_whitespace().next().unwrap()).collect();
    assert_eq!(results, ["iprev=pass", "dkim=pass", "spf=pass", "dmarc=pass"]);

    // Forwarded by another server: the signature still vouches for it.
    let found = verify("198.51.100.7", "list@lists.test", &signed);
    says(&found["dmarc"], &json!({ "result": "pass", "aligned_spf": false, "aligned_dkim": true }));
    says(&found["spf"], &json!({ "result": "none", "domain": "lists.test" }));
    let found = verify("198.51.100.7", "", MESSAGE.as_bytes());
    says(&found["dmarc"], &json!({ "result": "fail", "policy": "reject", "reject": true }));
    says(&found["spf"], &json!({ "identity": "helo", "domain": "mail.example.test" }));
    assert_eq!(found["dkim"], json!([]));
    // A message without an author.
    let found = verify("192.0.2.1", "ann@example.test", b"Subject: no author\r\n\r\n");
    assert_eq!(found["dmarc"], json!(null));

    let file = desk.path("signed");
    fs::write(&file, &signed).unwrap();
    let verb = [
        "verify",
        "--ip",
        "192.0.2.1",
        "--helo",
        "mail.example.test",
        "--mailfrom",
        "ann@example.test",
        &file,
    ];
    let text = ask(&names, &verb).text();
    for line in ["iprev          pass", "spf            pass", "dkim           pass", "dmarc          pass"] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(text.contains("Authentication-Results: ") && text.contains("Received-SPF: pass"), "{text}");
    for wrong in [&["--helo", "a b"][..], &["--mailfrom", "ann"], &["--ip", "here"]] {
        let mut verb = vec!["verify", "--ip", "192.0.2.1", "--helo", "a.test", "--mailfrom", "a@b.test"];
        let at = verb.iter().position(|word| *word == wrong[0]).unwrap();
        verb[at + 1] = wrong[1];
        ask(&names, &verb).wrong_arguments();
    }
    ask(&names, &["verify", "--ip", "192.0.2.1"]).wrong_arguments();
}
