//! Real sockets and real TLS, on loopback.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::backend::{PASSWORD, TestBackend, USER};
use common::driver::{AnyServer, Client, Stream, any_server, certificate, settings, tls};
use common::talk::Peer as _;
use moxd_smtpserver::{GateRules, Logins, Rules, Server, Settings, Stop, Tls, TlsRules};
use ratelimit::Addresses;
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A server on a port that the system chose.
struct Served {
    address: SocketAddr,
    stop: Stop,
    backend: Arc<TestBackend>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    async fn new(rules: Arc<Rules>, tls: Option<Tls>) -> Self {
        Self::with(rules, tls, TestBackend::default(), |settings| settings).await
    }

    /// A server for `kind` of session with these limits on connections.
    async fn with_gate(kind: &str, gate: GateRules) -> Self {
        let change = |settings: Settings| Settings { gate, ..settings };
        Self::with(common::rules(kind, &[]), None, TestBackend::default(), change).await
    }

    async fn with(
        rules: Arc<Rules>,
        tls: Option<Tls>,
        backend: TestBackend,
        change: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let (backend, stop) = (Arc::new(backend), Stop::new());
        let server = Server::new(Arc::clone(&backend), change(settings(stop.clone())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { server.serve(listener, rules, tls).await });
        Self { address, stop, backend, task }
    }

    /// Connects, without reading anything.
    async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap(), self.stop.clone())
    }

    /// Connects and says hello.
    async fn greeted(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        assert_eq!(&client.reply().await[..3], "220");
        assert_eq!(client.ask("EHLO client.example").await, "250 SMTPUTF8");
        client
    }

    /// Does STARTTLS with this server name; returns the server's certificate.
    async fn certificate_for(&self, name: &str) -> CertificateDer<'static> {
        let mut client = self.greeted().await;
        assert_eq!(&client.ask("STARTTLS").await[..3], "220");
        client.handshake(any_server(), name).await.unwrap();
        let Stream::Tls(stream) = &client.stream else { panic!("no TLS") };
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

#[tokio::test]
async fn chooses_certificates_by_name_and_takes_new_ones() {
    let rules = common::rules("smtp", &[]);
    let (first, first_der) = certificate(&["mx.example"]);
    let (second, second_der) = certificate(&["*.other.example", "other.example"]);
    let (third, third_der) = certificate(&["mx.example"]);
    let tls = Tls::new(vec![first, second.clone()], TlsRules::new(rules.kind)).unwrap();
    let served = Served::new(rules, Some(tls.clone())).await;
    assert_eq!(served.certificate_for("mx.example").await, first_der);
    assert_eq!(served.certificate_for("other.example").await, second_der);
    assert_eq!(served.certificate_for("a.other.example").await, second_der);
    assert_eq!(served.certificate_for("unknown.example").await, first_der, "the default");
    assert_eq!(served.certificate_for("192.0.2.1").await, first_der, "no name is sent for an address");

    assert_eq!(tls.replace(vec![]).unwrap_err().kind().token(), "smtpserver.no-certificate");
    assert_eq!(served.certificate_for("mx.example").await, first_der);
    let mut before = served.greeted().await;
    tls.replace(vec![third, second]).unwrap();
    assert_eq!(served.certificate_for("mx.example").await, third_der);
    assert_eq!(before.ask("NOOP").await, "250 2.0.0 alrighty", "connections go on");
}

/// Logs in with SCRAM, bound to the channel; returns the last reply.
async fn scram_plus(client: &mut Client<TcpStream>, binding: Option<Vec<u8>>) -> String {
    let Stream::Tls(stream) = &client.stream else { panic!("no TLS") };
    let exported =
        stream.get_ref().1.export_keying_material(vec![0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    let bytes = binding.unwrap_or_else(|| exported.unwrap());
    let channel = sasl::Channel::bound(sasl::Binding::TlsExporter, bytes);
    let credentials = sasl::Credentials::new(USER, PASSWORD).unwrap();
    let nonce = sasl::Nonce::from_random([5; 18]);
    let mut exchange = sasl::Client::new(sasl::Mechanism::ScramSha256Plus, &credentials, &channel, nonce);
    let mut line = format!("AUTH SCRAM-SHA-256-PLUS {}", base64(&exchange.begin().unwrap().unwrap()));
    loop {
        let reply = client.ask(&line).await;
        let Some(challenge) = reply.strip_prefix("334 ") else { return reply };
        line = base64(&exchange.step(&unbase64(challenge)).unwrap());
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

fn unbase64(text: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
}

#[tokio::test]
async fn binds_scram_to_the_channel() {
    let rules = common::rules("submissions", &["auth-needs-tls".to_owned()]);
    let tls = tls(&rules);
    let served = Served::new(rules, Some(tls)).await;
    for (binding, expected) in [(Some(vec![1; 32]), "535 5.7.7 "), (None, "235 2.7.0 ")] {
        let mut client = served.connect().await;
        client.start_tls().await;
        assert_eq!(&client.reply().await[..3], "220");
        client.ask("EHLO client.example").await;
        let reply = scram_plus(&mut client, binding).await;
        assert_eq!(&reply[..10], expected, "{reply}");
    }
    assert_eq!(served.backend.events().last().unwrap(), "login mox@localhost SCRAM-SHA-256-PLUS");
}

#[tokio::test]
async fn speaks_tls_1_2_without_binding() {
    let rules = common::rules("submissions", &[]);
    let tls = tls(&rules);
    let served = Served::new(rules, Some(tls)).await;
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = builder
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    let mut client = served.connect().await;
    client.handshake(Arc::new(config), "localhost").await.unwrap();
    assert_eq!(&client.reply().await[..3], "220");
    client.send(b"EHLO client.example\r\n").await;
    let mut auth = String::new();
    while let Some(line) = client.line().await {
        if line.starts_with("250-AUTH") {
            auth = line.clone();
        }
        if line.starts_with("250 ") {
            break;
        }
    }
    assert_eq!(auth, "250-AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
    let reply = client.ask("AUTH SCRAM-SHA-256-PLUS").await;
    assert!(reply.starts_with("504 5.5.4 "), "{reply}");
}

#[tokio::test]
async fn a_client_certificate_logs_in() {
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let key = ring::digest::digest(&ring::digest::SHA256, &subject_public_key(&made));
    for (known, expected) in [(true, "250 2.1.0 "), (false, "530 5.7.0 ")] {
        let rules = common::rules("submissions", &[]);
        let tls = tls(&rules);
        let client_key = known.then(|| key.as_ref().try_into().unwrap());
        let backend = TestBackend { client_key, ..TestBackend::default() };
        let served = Served::with(rules, Some(tls), backend, |settings| settings).await;
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_client_auth_cert(
                vec![made.cert.der().clone()],
                PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let mut client = served.connect().await;
        client.handshake(Arc::new(config), "localhost").await.unwrap();
        assert_eq!(&client.reply().await[..3], "220");
        client.ask("EHLO client.example").await;
        let reply = client.ask("MAIL FROM:<mox@localhost>").await;
        assert_eq!(&reply[..10], expected, "{reply}");
        client.ask("RSET").await;
        // AUTH can confirm the login, but not for another account. Without a certificate, AUTH decides.
        let other = client.ask("AUTH PLAIN AG90aGVyQGxvY2FsaG9zdABtb3htb3htb3g=").await;
        assert_eq!(&other[..10], if known { "535 5.7.8 " } else { "235 2.7.0 " }, "{other}");
        let confirmed = client.ask("AUTH EXTERNAL =").await;
        assert_eq!(&confirmed[..10], if known { "235 2.7.0 " } else { "503 5.5.1 " }, "{confirmed}");
        let again = client.ask("AUTH EXTERNAL =").await;
        assert_eq!(&again[..10], "503 5.5.1 ", "{again}");
    }
}

#[tokio::test]
async fn refuses_to_keep_large_certificates_of_clients() {
    let made = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let rules = common::rules("submissions", &[]);
    let tls = tls(&rules);
    let served = Served::new(rules, Some(tls)).await;
    for (certificates, taken) in [(5, true), (40, false)] {
        let chain = vec![made.cert.der().clone(); certificates];
        assert_eq!(chain.iter().map(|one| one.len()).sum::<usize>() <= 8 << 10, taken);
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer))
            .with_client_auth_cert(chain, PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
            .unwrap();
        let mut client = served.connect().await;
        // In TLS 1.3 the client completes the handshake before the server has seen its certificate.
        client.handshake(Arc::new(config), "localhost").await.unwrap();
        assert_eq!(client.line().await.is_some_and(|line| line.starts_with("220 ")), taken);
    }
}

fn subject_public_key(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(&made.signing_key)
}

#[tokio::test]
async fn plaintext_after_starttls_is_never_a_command() {
    let rules = common::rules("smtp", &[]);
    let tls = tls(&rules);
    let served = Served::new(rules, Some(tls)).await;
    // In the same packet as STARTTLS.
    let mut client = served.greeted().await;
    client.send(b"STARTTLS\r\nMAIL FROM:<evil@client.example>\r\n").await;
    assert_eq!(&client.reply().await[..10], "503 5.5.1 ");
    assert_eq!(client.line().await, None);
    // After the reply to STARTTLS.
    let mut client = served.greeted().await;
    assert_eq!(&client.ask("STARTTLS").await[..10], "220 2.0.0 ");
    client.send(b"MAIL FROM:<evil@client.example>\r\nRCPT TO:<mox@localhost>\r\n").await;
    // The answer is a TLS alert, or nothing.
    let Stream::Plain(stream) = &mut client.stream else { panic!("TLS") };
    let mut read = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(stream, &mut read).await;
    assert!(read.is_empty() || read[0] == 21, "{read:?}");
    assert!(!served.backend.events().iter().any(|event| event.starts_with("sender")));
}

#[tokio::test]
async fn a_message_arrives_as_it_was_sent() {
    let served = Served::new(common::rules("smtp", &[]), None).await;
    let mut client = served.greeted().await;
    for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<mox@localhost>", "DATA"] {
        client.ask(line).await;
    }
    let line = "A line of text, longer than most, so that there is something to read.\r\n";
    let body = format!("Subject: large\r\n\r\n{}", line.repeat(40_000));
    client.send(body.as_bytes()).await;
    assert!(client.ask(".").await.starts_with("250 2.2.0 it is done ("));
    let messages = served.backend.messages();
    assert!(messages[0].content == body.as_bytes());
    assert_eq!(messages[0].received.size, body.len() as u64);
    assert_eq!(messages[0].recipients, ["<mox@localhost>"]);
}

#[tokio::test]
async fn a_message_that_finds_no_room_is_read_to_its_end() {
    let backend = TestBackend { full_after: Some(10_000), ..TestBackend::default() };
    let served = Served::with(common::rules("smtp", &[]), None, backend, |settings| settings).await;
    let mut client = served.greeted().await;
    for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<mox@localhost>", "DATA"] {
        client.ask(line).await;
    }
    client.send(&b"0123456789\r\n".repeat(100_000)).await;
    assert_eq!(&client.ask(".").await[..10], "452 4.3.1 ");
    assert_eq!(client.ask("MAIL FROM:<a@client.example>").await, "250 2.1.0 looking good");
    assert!(served.backend.messages().is_empty());
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_committed() {
    let commits = Arc::new(Semaphore::new(0));
    let backend = TestBackend { commits: Some(Arc::clone(&commits)), ..TestBackend::default() };
    let served = Served::with(common::rules("smtp", &[]), None, backend, |settings| settings).await;
    let mut client = served.greeted().await;
    for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<mox@localhost>", "DATA"] {
        client.ask(line).await;
    }
    client.send(b".\r\n").await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), client.line()).await;
    assert!(early.is_err(), "{early:?}");
    commits.add_permits(1);
    assert!(client.reply().await.starts_with("250 2.2.0 it is done ("));
    assert_eq!(served.backend.events().last().unwrap(), "message");
}

#[tokio::test]
async fn a_fault_closes_one_connection_alone() {
    let backend = TestBackend { fragile: true, ..TestBackend::default() };
    let served = Served::with(common::rules("smtp", &[]), None, backend, |settings| settings).await;
    let mut other = served.greeted().await;
    let mut client = served.greeted().await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.send(b"RCPT TO:<fragile@localhost>\r\n").await;
    assert_eq!(client.line().await, None);
    assert_eq!(other.ask("NOOP").await, "250 2.0.0 alrighty");
    assert_eq!(served.greeted().await.ask("NOOP").await, "250 2.0.0 alrighty");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_waits_for_transactions() {
    let served = Served::new(common::rules("smtp", &[]), None).await;
    let mut idle = served.greeted().await;
    let mut busy = served.greeted().await;
    for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<mox@localhost>", "DATA"] {
        busy.ask(line).await;
    }
    served.stop.stop();
    assert_eq!(&idle.reply().await[..10], "421 4.3.2 ");
    assert_eq!(idle.line().await, None);
    assert!(busy.ask(".").await.starts_with("250 2.2.0 it is done ("));
    assert_eq!(&busy.reply().await[..10], "421 4.3.2 ");
    served.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err(), "the port is still open");
}

#[tokio::test]
async fn a_stop_resets_no_client_that_is_still_sending() {
    let commits = Arc::new(Semaphore::new(0));
    let backend = TestBackend { commits: Some(Arc::clone(&commits)), ..TestBackend::default() };
    let served = Served::with(common::rules("smtp", &[]), None, backend, |settings| settings).await;
    let mut client = served.greeted().await;
    // A transaction may go on to its end, and is committed.
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<mox@localhost>").await;
    client.send(b"BDAT 0 LAST\r\n").await;
    // More than the server reads at once, so that it never reads some of it.
    client.send(&b"NOOP\r\n".repeat(10_000)).await;
    served.stop.stop();
    commits.add_permits(1);
    let Stream::Plain(stream) = &mut client.stream else { panic!("TLS") };
    let mut replies = String::new();
    tokio::io::AsyncReadExt::read_to_string(stream, &mut replies).await.expect("closed, not reset");
    let codes: Vec<_> = replies.lines().map(|line| &line[..9]).collect();
    assert_eq!(codes, ["250 2.2.0", "421 4.3.2"]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let mut rules = Rules::clone(&common::rules("smtp", &[]));
    rules.timeouts.stop = std::time::Duration::from_millis(100);
    let served = Served::new(Arc::new(rules), None).await;
    let mut busy = served.greeted().await;
    busy.ask("MAIL FROM:<a@client.example>").await;
    served.stop.stop();
    served.task.await.unwrap().unwrap();
    assert_eq!(busy.line().await, None);
}

/// The first line of a new connection.
async fn first_line(served: &Served) -> String {
    served.connect().await.reply().await
}

#[tokio::test]
async fn refuses_too_many_open_connections_until_one_is_closed() {
    let gate = GateRules { open_connections: Some([2, 90, 270]), ..GateRules::open() };
    let served = Served::with_gate("smtp", gate).await;
    let first = served.greeted().await;
    let mut second = served.greeted().await;
    let line = first_line(&served).await;
    assert!(line.starts_with("421 4.7.0 too many open connections from your ip or network ("), "{line}");
    assert_eq!(second.ask("QUIT").await, "221 2.0.0 okay thanks bye");
    assert_eq!(second.line().await, None);
    // The task ends, and gives its place back, shortly after the client sees the connection closed.
    while !first_line(&served).await.starts_with("220") {
        tokio::task::yield_now().await;
    }
    drop(first);
}

#[tokio::test]
async fn refuses_connections_over_the_rate_and_over_the_whole() {
    let gate = GateRules { connection_rate: Some([2, 900, 2700]), ..GateRules::open() };
    let served = Served::with_gate("smtp", gate).await;
    for expected in
        ["220 ", "220 ", "421 4.7.0 connection rate from your ip or network too high, slow down please"]
    {
        let line = first_line(&served).await;
        assert!(line.starts_with(expected), "{line}");
    }
    let served = Served::with_gate("smtp", GateRules { connections: 1, ..GateRules::open() }).await;
    let _first = served.greeted().await;
    let line = first_line(&served).await;
    assert!(line.starts_with("421 4.3.2 too many connections, try again later ("), "{line}");
}

#[tokio::test]
async fn refuses_submitters_after_too_many_failed_logins() {
    let logins = Logins::new(&GateRules::FAILURE_WINDOWS, Addresses::default());
    let gate = GateRules { logins, ..GateRules::open() };
    let submission = Served::with_gate("submission", gate.clone()).await;
    for _ in 0..2 {
        let mut client = submission.greeted().await;
        for _ in 0..5 {
            let reply = client.ask("AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmc=").await;
            assert!(reply.starts_with("535 5.7.8 "), "{reply}");
        }
    }
    let line = first_line(&submission).await;
    assert!(line.starts_with("421 4.7.0 too many auth failures ("), "{line}");
    // Failed logins do not affect mail from other servers.
    let smtp = Served::with_gate("smtp", gate).await;
    assert!(first_line(&smtp).await.starts_with("220 "));
}

#[tokio::test]
async fn a_silent_handshake_ends() {
    let mut rules = Rules::clone(&common::rules("submissions", &[]));
    rules.timeouts.handshake = std::time::Duration::from_millis(100);
    let tls = tls(&rules);
    let served = Served::new(Arc::new(rules), Some(tls)).await;
    assert_eq!(served.connect().await.line().await, None);
}
