//! The DNS queries that a client can cause, and when.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use dns::zone::Zone;
use moxd_intake::{AccountRules, Judges};
use smtpserver::{Backend, Kind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;

/// A server whose judges ask this DNS.
fn asking(dns: Arc<dyn dns::Resolver>) -> TestServer {
    server_with(Some(Judges::new(|_| dns.clone(), instant)), &AccountRules::default())
}

/// DNS that answers after a moment, and counts queries about names that contain a text.
struct Counted {
    zone: Zone,
    about: &'static str,
    asked: AtomicUsize,
}

impl Counted {
    fn new(zone: &str, about: &'static str) -> Arc<Self> {
        Arc::new(Self { zone: Zone::parse(zone).unwrap(), about, asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl dns::Resolver for Counted {
    fn lookup<'a>(&'a self, question: dns::Question<'a>) -> dns::Lookup<'a> {
        dns::Lookup::waiting(async move {
            if question.name.as_str().contains(self.about) {
                self.asked.fetch_add(1, Ordering::Relaxed);
            }
            tokio::task::yield_now().await;
            self.zone.lookup(question).await
        })
    }
}

/// Lets all tasks run as far as they can without waiting.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sender_without_recipient_causes_no_query() {
    let dns = Counted::new("b.example. TXT \"v=spf1 -all\"", "b.example");
    let server = asking(dns.clone());
    let smtp = client(Kind::Smtp, None);
    let mut connection = server.backend.connect(&smtp);
    let mut message = server.begin(&mut connection, &smtp, "x@b.example", &[]).await.unwrap();
    settle().await;
    assert_eq!(dns.asked(), 0);
    assert!(
        server
            .backend
            .recipient(&mut connection, &smtp, &mut message, &path("x@elsewhere.example"))
            .await
            .is_err()
    );
    settle().await;
    assert_eq!(dns.asked(), 0, "nor does a recipient that is refused");
    for recipient in ["ann@a.example", "bob@a.example"] {
        server.backend.recipient(&mut connection, &smtp, &mut message, &path(recipient)).await.unwrap();
        settle().await;
        assert_eq!(dns.asked(), 1, "{recipient}");
    }
}

#[tokio::test]
async fn aborted_transactions_do_not_cause_queries_without_end() {
    let terms: String = (0..9).map(|n| format!(" exists:{n}.%{{l}}.victim.example")).collect();
    let dns = Counted::new(&format!("b.example. TXT \"v=spf1{terms} -all\""), "victim.example");
    let server = asking(dns.clone());
    let smtp = client(Kind::Smtp, None);
    let mut connection = server.backend.connect(&smtp);
    for n in 0..900 {
        let sender = format!("x{n}@b.example");
        drop(server.begin(&mut connection, &smtp, &sender, &["ann@a.example"]).await.unwrap());
        let message = server.begin(&mut connection, &smtp, &sender, &["ann@a.example"]).await.unwrap();
        settle().await;
        drop(message);
    }
    assert!((100..=500).contains(&dns.asked()), "{} questions", dns.asked());
}

#[tokio::test]
async fn keys_of_an_unused_chain_are_not_queried() {
    let dns = Counted::new("", "_domainkey");
    let server = asking(dns.clone());
    let signed = "a=ed25519-sha256; s=s; b=AAAA";
    let hash = "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; h=from";
    let sets: String = (1..=50)
        .map(|i| {
            let status = if i == 1 { "none" } else { "pass" };
            format!(
                "ARC-Seal: i={i}; cv={status}; d=s{i}.example; {signed}\r\n\
                 ARC-Message-Signature: i={i}; d=m{i}.example; {hash}; {signed}\r\n\
                 ARC-Authentication-Results: i={i}; mx.example; none\r\n"
            )
        })
        .collect();
    let text = format!("{sets}{HEADER}\r\nbody\r\n");
    server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
    assert_eq!(dns.asked(), 0);
}

/// DNS that takes the same time for each query.
struct Slow(Zone);

const DELAY: Duration = Duration::from_millis(50);

impl dns::Resolver for Slow {
    fn lookup<'a>(&'a self, question: dns::Question<'a>) -> dns::Lookup<'a> {
        dns::Lookup::waiting(async move {
            tokio::time::sleep(DELAY).await;
            self.0.lookup(question).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_in_one_piece_waits_for_dns_twice() {
    let zone = "b.example. TXT \"v=spf1 include:i.example -all\"\ni.example. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n\
                _dmarc.b.example. TXT \"v=DMARC1; p=reject\"\n\
                1.2.0.192.in-addr.arpa. PTR m.b.example.\nm.b.example. A 192.0.2.1\n";
    let server = asking(Arc::new(Slow(Zone::parse(zone).unwrap())));
    let hash = "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let signatures: String = (0..16)
        .map(|n| {
            format!(
                "DKIM-Signature: v=1; a=ed25519-sha256; d=b.example; s=s{n}; h=from:subject; b=AAAA; {hash}\r\n"
            )
        })
        .collect();
    let text = format!("{signatures}From: x@b.example\r\nSubject: hi\r\n\r\nbody\r\n");
    let begin = tokio::time::Instant::now();
    server.send(&client(Kind::Smtp, None), "x@b.example", &["ann@a.example"], &text).await.unwrap();
    assert!(begin.elapsed() <= 2 * DELAY + DELAY / 2, "{:?}", begin.elapsed());
    let facts = &server.records("ann")[0].facts;
    assert_eq!(facts.validations.mail_from, store::Validation::Pass);
}
