//! Logs and metrics.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use common::backend::TestBackend;
use common::driver::{Client, settings};
use common::talk::Peer as _;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use moxd_smtpserver::{GateRules, Reveal, Server, Settings, Stop};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::fmt::MakeWriter;

/// The log levels in use are global to the process, so observed conversations take turns.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Logs in, and sends a message with a secret in it.
const MESSAGE: &[&str] = &[
    "EHLO client.example",
    "AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmcgb25l",
    "AUTH PLAIN",
    "AG1veEBsb2NhbGhvc3QAbW94bW94bW94",
    "MAIL FROM:<mox@localhost>",
    "RCPT TO:<mox@localhost>",
    "DATA",
    "From: <mox@localhost>\r\n\r\na confession\r\n.",
    "QUIT",
];

/// Sends these lines; the last is QUIT.
async fn talk(lines: &[&str], reveal: Reveal) {
    let stop = Stop::new();
    let settings = Settings { reveal, ..settings(stop.clone()) };
    let server = Server::new(Arc::new(TestBackend::default()), settings);
    let (client, stream) = tokio::io::duplex(1 << 16);
    let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 587).into()];
    let rules = common::rules("submission", &[]);
    let task = tokio::spawn(async move { server.converse(stream, ends, rules, None).await });
    let mut client = Client::new(client, stop);
    client.reply().await;
    for line in lines {
        client.ask(line).await;
    }
    assert_eq!(client.line().await, None);
    task.await.unwrap();
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The log of a conversation.
async fn logged(lines: &[&str], level: tracing::Level, reveal: Reveal) -> String {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    talk(lines, reveal).await;
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_connection_is_two_lines_and_a_failed_login_one() {
    let _alone = ALONE.lock().await;
    let log = logged(MESSAGE, tracing::Level::INFO, Reveal::default()).await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("smtpserver::")).collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert!(lines[0].contains("new connection remote=192.0.2.1:4000"), "{log}");
    assert!(lines[1].contains("failed login") && lines[1].contains("badcreds"), "{log}");
    assert!(lines[2].contains("connection closed") && lines[2].contains("smtpserver.quit"), "{log}");
    assert!(lines[2].contains("remote=192.0.2.1:4000"), "{log}");
    assert!(lines[2].contains("username=\"mox@localhost\""), "{log}");
    // All lines carry the number of the connection and its id.
    assert!(lines.iter().all(|line| line.contains("smtp{cid=1 request=")), "{log}");
}

#[tokio::test]
async fn the_end_of_a_connection_tells_about_its_tls() {
    let _alone = ALONE.lock().await;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let rules = common::rules("submissions", &[]);
    for plaintext in [false, true] {
        let server = Server::new(Arc::new(TestBackend::default()), settings(Stop::new()));
        let (client, stream) = tokio::io::duplex(1 << 16);
        let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 465).into()];
        let (rules, tls) = (Arc::clone(&rules), common::driver::tls(&rules));
        let task = tokio::spawn(async move { server.converse(stream, ends, rules, Some(tls)).await });
        let mut client = Client::new(client, Stop::new());
        if plaintext {
            client.send(b"EHLO client.example\r\n").await;
        } else {
            client.start_tls().await;
            client.reply().await;
            client.ask("QUIT").await;
        }
        task.await.unwrap();
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].contains("kind=\"submissions\""), "{log}");
    assert!(lines[1].contains("cause=\"smtpserver.quit\" messages=0 tls=\"TLS1.3\" cipher=\"TLS_"), "{log}");
    assert!(lines[3].contains("cause=\"smtpserver.handshake-failed\" reason=\"nottls\" messages=0"), "{log}");
}

#[tokio::test]
async fn a_command_that_fails_is_logged_with_what_was_tried() {
    let _alone = ALONE.lock().await;
    // First a fault of the backend, which the operator has to see, then mistakes of the client.
    let broken = BASE64.encode("\0broken@localhost\0moxmoxmox");
    let auth = format!("AUTH PLAIN {broken}");
    let good = "AUTH PLAIN AG1veEBsb2NhbGhvc3QAbW94bW94bW94";
    let mail = ["MAIL FROM:<mox@localhost>", "RCPT TO:<rcptto550@localhost>", "MAIL FROM:<eve@localhost>"];
    let lines = ["EHLO client.example", &auth, good, mail[0], mail[1], "RSET", mail[2], "QUIT"];
    let log = logged(&lines, tracing::Level::DEBUG, Reveal::default()).await;
    for wanted in [
        "command failed tried=AUTH reply=451 4.3.0 error processing",
        "command refused tried=RCPT TO:<rcptto550@localhost> reply=550 5.0.0 ",
        "command refused tried=MAIL FROM:<eve@localhost> reply=550 5.7.1 ",
    ] {
        let level = if wanted.contains("failed") { " WARN " } else { "DEBUG " };
        let found = log.lines().find(|line| line.contains(wanted));
        assert!(found.is_some_and(|line| line.contains(level)), "{wanted}\n{log}");
    }
    assert!(!log.contains("moxmoxmox") && !log.contains(&broken), "{log}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_refused_connections_is_a_line_a_minute() {
    let _alone = ALONE.lock().await;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let stop = Stop::new();
    let gate = GateRules { connection_rate: Some([0, 900, 2700]), ..GateRules::open() };
    let server = Server::new(Arc::new(TestBackend::default()), Settings { gate, ..settings(stop.clone()) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rules = common::rules("smtp", &[]);
    let served = {
        let (server, rules) = (server.clone(), Arc::clone(&rules));
        tokio::spawn(async move { server.serve(listener, rules, None).await })
    };
    for _ in 0..40 {
        let (_client, stream) = tokio::io::duplex(1 << 16);
        let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 25).into()];
        server.converse(stream, ends, Arc::clone(&rules), None).await;
    }
    stop.stop();
    served.await.unwrap().unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    for (line, count) in lines.iter().zip([1, 39]) {
        let want =
            format!("connections refused limit=\"connection rate\" network=192.0.2.1/32 count={count}");
        assert!(line.contains(&want), "{log}");
    }
}

#[tokio::test]
async fn failed_logins_are_one_line_that_names_the_account_but_nothing_that_was_typed() {
    let _alone = ALONE.lock().await;
    let wrong = "AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmcgb25l";
    let log =
        logged(&["EHLO client.example", wrong, wrong, "QUIT"], tracing::Level::INFO, Reveal::default()).await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("failed login")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let fields = "network=192.0.2.1/32 mechanism=\"PLAIN\" result=\"badcreds\" account=\"mox@localhost\"";
    assert!(lines[0].contains(fields), "{log}");
    // hunter2 stands in place of the name, and no account has that name.
    let typed = "AUTH PLAIN AGh1bnRlcjIAeA==";
    let log = logged(&["EHLO client.example", typed, "QUIT"], tracing::Level::INFO, Reveal::default()).await;
    assert!(
        log.contains("failed login network=") && !log.contains("account") && !log.contains("hunter2"),
        "{log}"
    );
}

#[tokio::test]
async fn logs_the_beginning_and_the_end_of_slow_mode() {
    let _alone = ALONE.lock().await;
    let (wrong, right) =
        ("AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmcgb25l", "AUTH PLAIN AG1veEBsb2NhbGhvc3QAbW94bW94bW94");
    let lines = ["EHLO client.example", wrong, wrong, wrong, wrong, right, "NOOP", "QUIT"];
    let log = logged(&lines, tracing::Level::DEBUG, Reveal::default()).await;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("slow mode")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("slow=true") && lines[1].contains("slow=false"), "{log}");
}

#[tokio::test]
async fn no_level_shows_secrets() {
    let _alone = ALONE.lock().await;
    let log = logged(MESSAGE, tracing::Level::TRACE, Reveal::default()).await;
    for (text, there) in [
        ("LS: 220 localhost ESMTP moxd", true),
        ("RC: EHLO client.example", true),
        ("RC: AUTH PLAIN ***", true),
        ("RC: ***", true),
        ("RC: ...", true),
        ("RC: QUIT", true),
        ("AG1veEBsb2NhbGhvc3QA", false),
        ("confession", false),
    ] {
        assert_eq!(log.contains(text), there, "{text}\n{log}");
    }
}

#[tokio::test]
async fn shows_secrets_where_the_operator_wants_them() {
    let _alone = ALONE.lock().await;
    let reveal = Reveal::default();
    reveal.set(true, true);
    let log = logged(MESSAGE, tracing::Level::TRACE, reveal).await;
    assert!(log.contains("RC: AG1veEBsb2NhbGhvc3QAbW94bW94bW94"), "{log}");
    assert!(log.contains("a confession"), "{log}");
}

/// Metrics in memory, by name and labels.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<BTreeMap<String, f64>>>);

/// One metric.
struct Number(Numbers, String);

impl Number {
    fn add(&self, value: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, value: u64) {
        self.add(value as f64);
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, _: f64) {}
}

impl HistogramFn for Number {
    fn record(&self, _: f64) {
        self.add(1.0);
    }
}

impl Numbers {
    fn number(&self, key: &Key) -> Arc<Number> {
        let mut labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        labels.sort();
        Arc::new(Number(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.number(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.number(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.number(key))
    }
}

#[tokio::test]
async fn counts_what_happens() {
    let _alone = ALONE.lock().await;
    let numbers = Numbers::default();
    let _guard = metrics::set_default_local_recorder(&numbers);
    talk(MESSAGE, Reveal::default()).await;
    let have: Vec<_> =
        numbers.0.lock().unwrap().iter().map(|(name, value)| format!("{name} {value}")).collect();
    let duration = |cmd, code, ecode| {
        format!(
            "mox_smtpserver_command_duration_seconds cmd={cmd} code={code} ecode={ecode} kind=submission 1"
        )
    };
    let want = [
        "mox_authentication_total kind=submission result=badcreds variant=plain 1".to_owned(),
        "mox_authentication_total kind=submission result=ok variant=plain 1".to_owned(),
        "mox_connections_count listener=submission protocol=smtp 0".to_owned(),
        "mox_panic_total pkg=smtpserver 0".to_owned(),
        duration("auth", "235", "2.7.0"),
        duration("auth", "535", "5.7.8"),
        duration("data", "250", "2.2.0"),
        duration("ehlo", "250", ""),
        duration("mail", "250", "2.1.0"),
        duration("quit", "221", "2.0.0"),
        duration("rcpt", "250", "2.1.0"),
        "mox_smtpserver_connection_total kind=submission 1".to_owned(),
    ];
    assert_eq!(have, want);
}

#[tokio::test]
async fn counts_a_panic_and_gives_back_the_place_of_its_connection() {
    let _alone = ALONE.lock().await;
    let numbers = Numbers::default();
    let _guard = metrics::set_default_local_recorder(&numbers);
    let stop = Stop::new();
    // The server accepts one connection at a time.
    let gate = GateRules { connections: 1, ..GateRules::open() };
    let backend = TestBackend { fragile: true, ..TestBackend::default() };
    let server = Server::new(Arc::new(backend), Settings { gate, ..settings(stop.clone()) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let rules = common::rules("smtp", &[]);
    let served = tokio::spawn(async move { server.serve(listener, rules, None).await });
    for _ in 0..2 {
        let mut client = Client::new(TcpStream::connect(address).await.unwrap(), stop.clone());
        assert_eq!(&client.reply().await[..4], "220 ");
        client.ask("EHLO client.example").await;
        client.ask("MAIL FROM:<a@client.example>").await;
        client.send(b"RCPT TO:<fragile@localhost>\r\n").await;
        assert_eq!(client.line().await, None);
    }
    stop.stop();
    served.await.unwrap().unwrap();
    let numbers = numbers.0.lock().unwrap();
    assert_eq!(numbers["mox_panic_total pkg=smtpserver"], 2.0);
    assert_eq!(numbers["mox_connections_count listener=smtp protocol=smtp"], 0.0);
}
