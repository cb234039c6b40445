//! Bounds on the memory and disk that one message can use: no product of two numbers that a stranger chooses.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::*;
use moxd_intake::{AccountRules, Destination, LocalDomain, MAX_DKIM_RESULTS, MAX_PREFIX, MAX_RESULTS};
use smtpserver::Kind;

/// A server where ann gets all of `a.example`.
fn with_catch_all(zone: Option<&str>) -> TestServer {
    let server = server(zone, AccountRules::default());
    let mut directory = directory(&["ann", "bob"], &AccountRules::default());
    directory.add_domain("a.example".parse().unwrap(), LocalDomain::default());
    directory.add_catch_all("a.example".parse().unwrap(), Destination::new("ann", "Inbox"));
    server.set_directory(directory);
    server
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("x{n}@a.example")).collect()
}

/// The most memory that this process has had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// The fields that the server put before the header.
fn prefix<'t>(text: &'t str, first_field: &str) -> &'t str {
    text.split_once(first_field).unwrap().0
}

#[tokio::test]
async fn references_are_not_kept_for_each_recipient() {
    let server = with_catch_all(None);
    let references = format!("<{}@b.example>\r\n ", "r".repeat(900)).repeat(1000);
    let text = format!("{HEADER}References: {references}\r\n\r\nbody\r\n");
    let to = addresses(1000);
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let before = peak();
    server.send(&client(Kind::Smtp, None), "x@b.example", &to, &text).await.unwrap();
    let grown = peak() - before;
    assert!(grown < 100, "{grown} MiB for a message of one");
    assert_eq!(server.records("ann").len(), 100, "a page of the thousand that came");
}

#[tokio::test]
async fn junk_signatures_are_counted_and_hide_no_good_one() {
    // A signature of ann's, made by a submission.
    let signed = server(None, AccountRules::default());
    let ann = client(Kind::Submission, Some("ann"));
    signed.send(&ann, "ann@a.example", &["bob@a.example"], &format!("{HEADER}\r\nbody\r\n")).await.unwrap();
    let sent = signed.inbox("bob").remove(0);
    let sent = sent.split_once("\r\nMessage-ID:").unwrap().1;
    let key = dkim::SigningKey::from_pem(KEY).unwrap();
    let zone = format!("s._domainkey.a.example. TXT \"{}\"", key.record());
    for (junk, listed) in [(0, 1), (15, 16), (16, 16), (980, 16)] {
        let server = with_catch_all(Some(&zone));
        let text = format!("{}Message-ID:{sent}", "DKIM-Signature: v=1; d=junk.example\r\n".repeat(junk));
        server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
        let inbox = server.inbox("ann");
        let prefix = prefix(&inbox[0], if junk > 0 { "DKIM-Signature" } else { "Message-ID" });
        let unfolded = prefix.replace("\r\n\t", " ");
        let results = unfolded.matches("dkim=").count() - usize::from(junk + 1 > listed);
        assert_eq!(results, listed, "{junk}");
        assert!(unfolded.contains("dkim=pass header.d=a.example"), "{unfolded}");
        let more = format!("dkim=policy reason=\"{} more signatures not listed\"", junk + 1 - listed);
        assert_eq!(unfolded.contains(&more), junk + 1 > MAX_DKIM_RESULTS, "{unfolded}");
        assert!(prefix.len() <= MAX_PREFIX, "{}", prefix.len());
    }
}

#[tokio::test]
async fn the_fields_before_a_copy_have_their_bounds_whatever_names_a_stranger_has() {
    let name = |label: &str| format!("{0}.{0}.{0}.example", label.repeat(50));
    let (long, selector) = (name("ü"), "s".repeat(60));
    let signature = |n: usize| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d={long}; s={selector}{n}; i={}@{long}; h=from:subject;\r\n\t\
             bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n",
            "ü".repeat(250)
        )
    };
    let text = format!("{}{HEADER}\r\nbody\r\n", (0..30).map(signature).collect::<String>());
    let ascii: dns::Domain = long.parse().unwrap();
    let zone = format!("{ascii}. TXT \"v=spf1 include:{ascii}. -all\"");
    let mut client = client(Kind::Smtp, None);
    client.hello.as_mut().unwrap().name = long.parse().unwrap();
    for count in [1, 1000] {
        let server = with_catch_all(Some(&zone));
        let to = addresses(count);
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        server.send(&client, &format!("{}@{long}", "ü".repeat(60)), &to, &text).await.unwrap();
        for kept in server.inbox("ann") {
            let prefix = prefix(&kept, "DKIM-Signature");
            assert!(prefix.contains("more signatures not listed"), "{prefix}");
            // With many copies, each has less room.
            let most = if count == 1 { MAX_PREFIX } else { MAX_PREFIX - MAX_RESULTS + 2 * 1024 };
            assert!(prefix.len() <= most, "{} of {count}", prefix.len());
        }
    }
}

#[tokio::test]
async fn refuses_more_header_fields_than_are_read() {
    let server = server(None, AccountRules::default());
    let text = format!("{}{HEADER}\r\nbody\r\n", "X: y\r\n".repeat(998));
    let smtp = client(Kind::Smtp, None);
    let refusal = server.send(&smtp, "x@b.example", &["ann@a.example"], &text).await.unwrap_err();
    assert!(refusal.to_string().contains("message.too-many-fields"), "{refusal}");
}
