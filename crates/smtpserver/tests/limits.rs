//! Limits on strangers, and that they do not lock out users. Time is paused: it only passes while all tasks wait.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::backend::TestBackend;
use common::driver::{Client, settings};
use moxd_smtpserver::{Delays, GateRules, Rules, Server, Settings, Stop};
use ratelimit::{MAX_WAIT, TURN};
use tokio::io::DuplexStream;
use tokio::time::Instant;

const RIGHT: &str = "moxmoxmox";
const WRONG: &str = "wrong horse";

/// A server with the limits of `gate`.
struct Net {
    server: Server<TestBackend>,
    rules: Arc<Rules>,
}

impl Net {
    fn new(listener: &str, gate: GateRules) -> Self {
        let mut rules = Rules::clone(&common::rules(listener, &[]));
        rules.delays = Delays::default();
        // Slow replies have tests of their own.
        rules.delays.bad_client = Duration::ZERO;
        let settings = Settings { gate, ..settings(Stop::new()) };
        Self { server: Server::new(Arc::new(TestBackend::default()), settings), rules: Arc::new(rules) }
    }

    /// A connection from this address that has said EHLO.
    async fn greeted(&self, ip: [u8; 4]) -> Client<DuplexStream> {
        let (client, stream) = tokio::io::duplex(1 << 16);
        let ends = [(ip, 4000).into(), ([127, 0, 0, 1], 25).into()];
        let (server, rules) = (self.server.clone(), Arc::clone(&self.rules));
        tokio::spawn(async move { server.converse(stream, ends, rules, None).await });
        let mut client = Client::new(client, Stop::new());
        client.reply().await;
        client.ask("EHLO client.example").await;
        client
    }

    /// Tries one login from this address; returns the code of the reply, and the seconds that it took.
    async fn log_in(&self, ip: [u8; 4], user: &str, password: &str) -> (String, u64) {
        let mut client = self.greeted(ip).await;
        timed(&mut client, &plain(user, password)).await
    }
}

fn plain(user: &str, password: &str) -> String {
    format!("AUTH PLAIN {}", BASE64.encode(format!("\0{user}\0{password}")))
}

/// Sends a line; returns the code of the reply, and the seconds that it took.
async fn timed(client: &mut Client<DuplexStream>, line: &str) -> (String, u64) {
    let start = Instant::now();
    let reply = client.ask(line).await;
    (reply[..3].to_owned(), start.elapsed().as_secs())
}

fn answer(code: &str, seconds: u64) -> (String, u64) {
    (code.to_owned(), seconds)
}

#[tokio::test(start_paused = true)]
async fn failures_elsewhere_do_not_keep_an_account_from_logging_in() {
    let net = Net::new("submission", GateRules::default());
    let home = [192, 0, 2, 1];
    assert_eq!(net.log_in(home, "mox@localhost", RIGHT).await, answer("235", 0));
    // Each from a network of its own, so that only the account's limit applies.
    for from in 0..100 {
        let (code, _) = net.log_in([10, 0, from, 1], &format!("mox+{from}@localhost"), WRONG).await;
        assert_eq!(code, "535", "{from}");
    }
    // Networks from which the account has logged in before are not slowed down; others wait for their turn.
    assert_eq!(net.log_in(home, "mox@localhost", RIGHT).await, answer("235", 0));
    let turn = TURN.as_secs();
    assert_eq!(net.log_in([10, 0, 101, 1], "mox@localhost", WRONG).await, answer("535", turn));
    assert_eq!(net.log_in([198, 51, 100, 1], "mox@localhost", RIGHT).await, answer("235", turn));
    assert_eq!(net.log_in([198, 51, 100, 1], "mox@localhost", RIGHT).await, answer("235", 0));
    assert_eq!(net.log_in([10, 0, 102, 1], "other@localhost", WRONG).await, answer("535", 0));
}

#[tokio::test(start_paused = true)]
async fn neighbours_do_not_shut_out_an_account_that_logs_in_from_there() {
    let net = Net::new("submission", GateRules::default());
    let nat = [192, 0, 2, 1];
    assert_eq!(net.log_in(nat, "mox@localhost", RIGHT).await, answer("235", 0));
    for _ in 0..10 {
        assert_eq!(net.log_in(nat, "phone@localhost", WRONG).await.0, "535");
    }
    assert_eq!(net.log_in(nat, "phone@localhost", WRONG).await.0, "454");
    assert_eq!(net.log_in(nat, "mox@localhost", RIGHT).await, answer("235", 0));
}

#[tokio::test(start_paused = true)]
async fn failures_of_a_connection_and_of_its_account_delay_a_login_once() {
    let net = Net::new("submission", GateRules::default());
    let mut client = net.greeted([192, 0, 2, 1]).await;
    for seconds in [0, 0, 0, 0, 1, 2, 3] {
        assert_eq!(timed(&mut client, &plain("mox@localhost", WRONG)).await, answer("535", seconds));
    }
    // The account's failures count on another connection as well.
    assert_eq!(net.log_in([192, 0, 2, 1], "mox@localhost", WRONG).await, answer("535", 4));
}

#[tokio::test(start_paused = true)]
async fn exchanges_under_way_count_until_they_end() {
    let net = Net::new("submission", GateRules::default());
    let first = BASE64.encode("n,,n=mox@localhost,r=0123456789abcdef");
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut client = net.greeted([192, 0, 2, 1]).await;
        assert!(client.ask(&format!("AUTH SCRAM-SHA-256 {first}")).await.starts_with("334 "));
        open.push(client);
    }
    // The eleventh waits for one of them, in vain.
    let (code, seconds) = net.log_in([192, 0, 2, 1], "mox@localhost", RIGHT).await;
    assert_eq!((code.as_str(), seconds), ("454", MAX_WAIT.as_secs()));
    // A client that closes the connection in the middle has failed.
    drop(open);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (client, stream) = tokio::io::duplex(1 << 16);
    let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 25).into()];
    let (server, rules) = (net.server.clone(), Arc::clone(&net.rules));
    tokio::spawn(async move { server.converse(stream, ends, rules, None).await });
    let line = Client::new(client, Stop::new()).reply().await;
    assert!(line.starts_with("421 4.7.0 too many auth failures"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_minute_are_bounded_by_address() {
    let gate = || GateRules { message_rate: Some([2, 3, 4]), ..GateRules::open() };
    let net = Net::new("smtp", gate());
    let mut client = net.greeted([192, 0, 2, 1]).await;
    for _ in 0..2 {
        assert!(client.ask("MAIL FROM:<a@client.example>").await.starts_with("250 "));
        client.ask("RSET").await;
    }
    let reply = client.ask("MAIL FROM:<a@client.example>").await;
    assert!(
        reply.starts_with("451 4.7.0 message rate from your ip or network too high, slow down please"),
        "{reply}"
    );
    assert!(client.ask("RCPT TO:<mox@localhost>").await.starts_with("503 "));
    // The limit covers all connections of an address.
    assert_eq!(timed(&mut net.greeted([192, 0, 2, 1]).await, "MAIL FROM:<>").await.0, "451");
    assert_eq!(timed(&mut net.greeted([192, 0, 2, 2]).await, "MAIL FROM:<>").await.0, "250");
    assert_eq!(timed(&mut net.greeted([192, 0, 2, 3]).await, "MAIL FROM:<>").await.0, "451");
    tokio::time::sleep(Duration::from_secs(66)).await;
    assert!(client.ask("MAIL FROM:<a@client.example>").await.starts_with("250 "));
    // Users have limits of their own.
    let net = Net::new("submission", gate());
    for _ in 0..5 {
        let mut client = net.greeted([192, 0, 2, 1]).await;
        client.ask(&plain("mox@localhost", RIGHT)).await;
        assert_eq!(timed(&mut client, "MAIL FROM:<mox@localhost>").await.0, "250");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_try_many_addresses_wait_ever_longer() {
    let gate = GateRules { unknown_recipients: Some([3, 6, 9]), ..GateRules::open() };
    let net = Net::new("smtp", gate);
    let mut client = net.greeted([192, 0, 2, 1]).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    for seconds in [0, 0, 0, 1, 2, 3] {
        assert_eq!(timed(&mut client, "RCPT TO:<nobody@localhost>").await, answer("550", seconds));
    }
    // Addresses that exist are not delayed; the count goes on over connections.
    assert_eq!(timed(&mut client, "RCPT TO:<mox@localhost>").await, answer("250", 0));
    for (last, seconds) in [(1, 4), (2, 2), (2, 3)] {
        let mut client = net.greeted([192, 0, 2, last]).await;
        client.ask("MAIL FROM:<a@client.example>").await;
        assert_eq!(timed(&mut client, "RCPT TO:<nobody@localhost>").await, answer("550", seconds), "{last}");
    }
    // Another network has a count of its own, and there is a longest delay.
    let mut client = net.greeted([198, 51, 100, 1]).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    let mut longest = 0;
    for _ in 0..40 {
        longest = timed(&mut client, "RCPT TO:<nobody@localhost>").await.1;
    }
    assert_eq!(longest, 20);
}
