//! Timeouts and delays. Time is paused: it only passes while all tasks wait.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::backend::TestBackend;
use common::driver::{Client, Stream, settings, tls};
use common::talk::Peer as _;
use moxd_smtpserver::{Delays, GateRules, Rules, Server, Settings, Stop};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// Starts a connection over a pipe that buffers `pipe` bytes; returns the client and the server's task.
fn start(rules: Arc<Rules>, pipe: usize) -> (Client<DuplexStream>, JoinHandle<()>, Arc<TestBackend>) {
    let (backend, stop) = (Arc::new(TestBackend::default()), Stop::new());
    let server = Server::new(Arc::clone(&backend), settings(stop.clone()));
    let (client, stream) = tokio::io::duplex(pipe);
    let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 25).into()];
    let task = tokio::spawn(async move { server.converse(stream, ends, rules, None).await });
    (Client::new(client, stop), task, backend)
}

/// Waits for the connection to be closed after a 421, and says after how many seconds.
async fn seconds_until_timeout(client: &mut Client<DuplexStream>) -> u64 {
    let start = Instant::now();
    // The test's client gives up earlier than the server, so it polls.
    let line = loop {
        sleep(Duration::from_millis(500)).await;
        if let Ok(line) = tokio::time::timeout(Duration::from_millis(1), client.line()).await {
            break line;
        }
    };
    assert!(line.as_deref().is_some_and(|line| line.starts_with("421 4.4.2 ")), "{line:?}");
    assert_eq!(client.line().await, None);
    (start.elapsed() + Duration::from_millis(600)).as_secs()
}

async fn greeted(rules: Arc<Rules>) -> Client<DuplexStream> {
    let (mut client, _, _) = start(rules, 1 << 16);
    client.reply().await;
    assert_eq!(client.ask("EHLO client.example").await, "250 SMTPUTF8");
    client
}

async fn in_data() -> Client<DuplexStream> {
    let mut client = greeted(common::rules("smtp", &[])).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<mox@localhost>").await;
    assert!(client.ask("DATA").await.starts_with("354"));
    client
}

#[tokio::test(start_paused = true)]
async fn waits_half_a_minute_for_the_first_command() {
    let (mut client, _, _) = start(common::rules("smtp", &[]), 1 << 16);
    client.reply().await;
    assert_eq!(seconds_until_timeout(&mut client).await, 30);
}

#[tokio::test(start_paused = true)]
async fn waits_five_minutes_for_a_later_command() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    assert_eq!(seconds_until_timeout(&mut client).await, 300);
}

#[tokio::test(start_paused = true)]
async fn a_command_in_pieces_has_one_deadline() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    for byte in b"NOOP " {
        client.send(&[*byte]).await;
        sleep(Duration::from_secs(50)).await;
    }
    assert_eq!(seconds_until_timeout(&mut client).await, 50);
}

#[tokio::test(start_paused = true)]
async fn waits_three_minutes_for_more_of_a_message() {
    let mut client = in_data().await;
    client.send(b"Subject: x\r\n").await;
    sleep(Duration::from_secs(170)).await;
    client.send(b"\r\n").await;
    assert_eq!(seconds_until_timeout(&mut client).await, 180);
}

#[tokio::test(start_paused = true)]
async fn waits_half_an_hour_for_a_whole_message() {
    let mut client = in_data().await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1740) {
        client.send(b"x").await;
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(seconds_until_timeout(&mut client).await, 60);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_messages_ends_after_two_hours() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    let start = Instant::now();
    for _ in 0..25 {
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 alrighty");
        sleep(Duration::from_secs(278)).await;
    }
    assert_eq!(client.ask("NOOP").await, "250 2.0.0 alrighty");
    let waited = start.elapsed().as_secs() + seconds_until_timeout(&mut client).await;
    assert!((7199..=7201).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn closes_on_a_client_that_does_not_read() {
    let (client, task, _) = start(common::rules("smtp", &[]), 200);
    let Stream::Plain(stream) = client.stream else { panic!("there is no TLS") };
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = tokio::spawn(async move { while write.write_all(b"NOOP\r\n").await.is_ok() {} });
    let start = Instant::now();
    task.await.unwrap();
    // Only the write timeout passes: the server waits for nothing else afterwards.
    assert_eq!(start.elapsed().as_secs(), 30);
    writing.await.unwrap();
    let mut rest = Vec::new();
    read.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 200, "no more than the pipe holds was written");
}

#[tokio::test(start_paused = true)]
async fn failed_logins_wait_and_are_answered_slowly() {
    let mut rules = Rules::clone(&common::rules("submission", &[]));
    rules.delays = Delays::default();
    let mut client = greeted(Arc::new(rules)).await;
    let wrong = "AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmc=";
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let reply = client.ask(wrong).await;
        assert!(reply.starts_with("535 5.7.8 "), "{reply}");
        // Slow mode: 1 s before every byte, CRLF included, but the first.
        times.push(start.elapsed().as_secs().saturating_sub(reply.len() as u64 + 1));
    }
    // Slow mode begins with the third reply. Before the fourth command is read it is 1 s, and the fifth attempt waits
    // another for the failures before it.
    assert_eq!(times, [0, 0, 0, 1, 2]);
    let start = Instant::now();
    client.ask("AUTH PLAIN AG1veEBsb2NhbGhvc3QAbW94bW94bW94").await;
    assert!(start.elapsed().as_secs() <= 5, "a login ends slow mode: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_delivering_server_is_slow_for_one_transaction_only() {
    let mut rules = Rules::clone(&common::rules("smtp", &[]));
    rules.delays = Delays::default();
    let mut client = greeted(Arc::new(rules)).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.ask("RCPT TO:<slow550@localhost>").await;
    client.ask("DATA").await;
    let start = Instant::now();
    assert!(client.ask(".").await.starts_with("550 "));
    assert!(start.elapsed().as_secs() > 60);
    // The read is still slow, the reply is not.
    let start = Instant::now();
    client.ask("NOOP").await;
    assert_eq!(start.elapsed().as_secs(), 1);
    let start = Instant::now();
    client.ask("NOOP").await;
    assert_eq!(start.elapsed().as_secs(), 0);
}

/// Serves one end of a pipe with this server, from 192.0.2.1; the other end, and the task.
fn connect(server: &Server<TestBackend>, rules: &Arc<Rules>) -> (Client<DuplexStream>, JoinHandle<()>) {
    let (client, stream) = tokio::io::duplex(1 << 16);
    let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 465).into()];
    let (server, rules) = (server.clone(), Arc::clone(rules));
    let tls = tls(&rules);
    let task = tokio::spawn(async move { server.converse(stream, ends, rules, Some(tls)).await });
    (Client::new(client, Stop::new()), task)
}

fn server(gate: GateRules) -> Server<TestBackend> {
    Server::new(Arc::new(TestBackend::default()), Settings { gate, ..settings(Stop::new()) })
}

#[tokio::test(start_paused = true)]
async fn a_handshake_before_a_refusal_has_little_time() {
    let rules = common::rules("submissions", &[]);
    for (open, seconds) in [(1, 30), (0, 3)] {
        let server = server(GateRules { open_connections: Some([open; 3]), ..GateRules::open() });
        let start = Instant::now();
        let (_silent, task) = connect(&server, &rules);
        task.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), seconds, "room for {open}");
    }
}

#[tokio::test(start_paused = true)]
async fn over_the_rate_or_the_whole_there_is_no_handshake() {
    let rules = common::rules("submissions", &[]);
    for gate in [
        GateRules { connection_rate: Some([0; 3]), ..GateRules::open() },
        GateRules { connections: 0, ..GateRules::open() },
    ] {
        let start = Instant::now();
        let (mut client, task) = connect(&server(gate), &rules);
        client.handshake(common::driver::any_server(), "localhost").await.unwrap_err();
        task.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn refused_clients_that_do_not_leave_hold_few_places() {
    let rules = common::rules("smtp", &[]);
    // Sixteen connections may be open, so two refused ones may linger.
    let server = server(GateRules { open_connections: Some([0; 3]), connections: 16, ..GateRules::open() });
    let start = Instant::now();
    let (mut lingering, mut tasks) = (Vec::new(), Vec::new());
    for place in 0..100 {
        let (mut client, task) = connect(&server, &rules);
        match client.line().await {
            Some(line) => {
                assert!(line.starts_with("421 4.7.0 too many open connections"), "{line}");
                lingering.push(client);
                tasks.push(task);
            }
            None => {
                assert!(place >= 2, "there was a place");
                // The server has dropped the connection, although the client has not closed its end.
                task.await.unwrap();
            }
        }
    }
    assert_eq!((lingering.len(), start.elapsed()), (2, Duration::ZERO));
    // Their places are free again a second later.
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let (mut client, _task) = connect(&server, &rules);
    assert!(client.line().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_too_large_ends_at_once() {
    let rules = common::rules("submissions", &[]);
    // The beginning of a hello of 60,000 bytes, in one record.
    let mut hello = [b"\x16\x03\x01\x3e\x80\x01\x00\xea\x60\x03\x03".as_slice(), &[0; 32_000]].concat();
    hello.splice(5 + 16_000..5 + 16_000, *b"\x16\x03\x01\x3e\x80");
    for (length, seconds) in [(15_000, 30), (30_000, 0)] {
        let (mut client, task) = connect(&server(GateRules::open()), &rules);
        let start = Instant::now();
        client.send(&hello[..length]).await;
        task.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), seconds, "{length} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn long_lines_without_an_end_have_few_places() {
    let rules = common::rules("submission", &[]);
    let server = server(GateRules::open());
    // A length that every command may have, and one that only AUTH may have.
    for (length, places) in [(2_000, 2_000), (3_000, 1_024)] {
        let mut clients = Vec::new();
        for _ in 0..places {
            let (mut client, task) = connect(&server, &rules);
            client.reply().await;
            client.send(format!("AUTH PLAIN {}", "A".repeat(length)).as_bytes()).await;
            clients.push((client, task));
        }
        let (mut one_more, _task) = connect(&server, &rules);
        one_more.reply().await;
        // The server has read all input of the others before this.
        one_more.send(format!("AUTH PLAIN {}", "A".repeat(3_000)).as_bytes()).await;
        let full = places == 1_024;
        if full {
            let line = one_more.line().await;
            assert!(line.as_deref().is_some_and(|line| line.starts_with("421 4.3.2 ")), "{line:?}");
            // A line that ends, or a client that disconnects, makes room.
            let (mut ended, _task) = clients.remove(0);
            assert!(ended.ask("").await.starts_with("50"));
        }
        let (mut last, _task) = connect(&server, &rules);
        last.reply().await;
        last.send(format!("AUTH PLAIN {}", "A".repeat(3_000)).as_bytes()).await;
        assert!(last.ask("").await.starts_with("50"), "{length}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_cannot_hold_all_recipients() {
    let rules = common::rules("smtp", &[]);
    let server = server(GateRules { open_connections: Some([30, 90, 270]), ..GateRules::open() });
    let mut clients = Vec::new();
    let mut taken = 0;
    for _ in 0..9 {
        let (mut client, _task) = connect(&server, &rules);
        client.reply().await;
        client.ask("EHLO client.example").await;
        client.ask("MAIL FROM:<a@client.example>").await;
        client.send("RCPT TO:<mox@localhost>\r\n".repeat(1000).as_bytes()).await;
        for _ in 0..1000 {
            let reply = client.reply().await;
            taken += usize::from(reply.starts_with("250 "));
            let full =
                "452 4.5.3 too many recipients on this server at the moment, send to the others later (";
            assert!(reply.starts_with("250 ") || reply.starts_with(full), "{reply}");
        }
        clients.push(client);
    }
    assert_eq!(taken, 8192 + 9, "the first of a message is not counted");
    // A message for one recipient is still accepted, and a transaction that ends gives its part back.
    let mut one = clients.pop().unwrap();
    for (line, reply) in [
        ("RSET", "250 "),
        ("MAIL FROM:<a@client.example>", "250 "),
        ("RCPT TO:<mox@localhost>", "250 "),
        ("RCPT TO:<mox@localhost>", "250 "),
        ("DATA", "354 "),
        (".", "250 "),
    ] {
        let have = one.ask(line).await;
        assert!(have.starts_with(reply), "{line}: {have}");
    }
}

/// Submission with delays as they are, after enough failed logins for slow mode.
async fn slowed() -> Client<DuplexStream> {
    let mut rules = Rules::clone(&common::rules("submission", &[]));
    rules.delays = Delays::default();
    let mut client = greeted(Arc::new(rules)).await;
    for _ in 0..3 {
        assert!(client.ask("AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmc=").await.starts_with("535 "));
    }
    client
}

#[tokio::test(start_paused = true)]
async fn slow_mode_does_not_put_a_deadline_off() {
    // There is always more input when the server reads again.
    let mut client = slowed().await;
    let start = Instant::now();
    let Stream::Plain(stream) = &mut client.stream else { panic!("there is no TLS") };
    while start.elapsed() < Duration::from_secs(1000) && stream.write_all(b"N").await.is_ok() {
        sleep(Duration::from_millis(900)).await;
    }
    // Five minutes for the command, and then the reply goes out byte by byte.
    let waited = start.elapsed().as_secs();
    assert!((300..=400).contains(&waited), "{waited}");
    assert!(client.reply().await.starts_with("421 4.4.2 "));
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn each_message_of_many_has_half_an_hour() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    let begin = "MAIL FROM:<a@client.example>\r\nRCPT TO:<mox@localhost>\r\nBDAT 4\r\nab";
    client.send(begin.as_bytes()).await;
    // The end of one message and the beginning of the next always come together.
    for _ in 0..30 {
        sleep(Duration::from_secs(100)).await;
        client.send(format!("\r\nBDAT 0 LAST\r\n{begin}").as_bytes()).await;
        for reply in ["250 2.1.0 ", "250 2.1.0 ", "250 2.0.0 ", "250 2.2.0 "] {
            let have = client.reply().await;
            assert!(have.starts_with(reply), "{have}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_connect_during_a_stop_get_a_reply() {
    let stop = Stop::new();
    stop.stop();
    let server = Server::new(Arc::new(TestBackend::default()), settings(stop.clone()));
    let (client, stream) = tokio::io::duplex(1 << 16);
    let ends = [([192, 0, 2, 1], 4000).into(), ([127, 0, 0, 1], 25).into()];
    tokio::spawn(async move { server.converse(stream, ends, common::rules("smtp", &[]), None).await });
    let mut client = Client::new(client, stop);
    assert!(client.reply().await.starts_with("421 4.3.2 shutting down ("));
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_before_a_command_that_comes_with_it() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    // No other task runs between these two statements.
    client.stop().await;
    client.send(b"NOOP\r\n").await;
    assert!(client.reply().await.starts_with("421 4.3.2 "));
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_before_the_next_of_many_commands() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    client
        .send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<rcptto-timeout@localhost>\r\nRSET\r\nNOOP\r\n")
        .await;
    sleep(Duration::from_secs(10)).await;
    client.stop().await;
    for reply in ["250 2.1.0 ", "451 4.0.0 ", "250 2.0.0 all clear", "421 4.3.2 "] {
        let have = client.reply().await;
        assert!(have.starts_with(reply), "{have}");
    }
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_special_local_part_takes_an_hour_unless_the_server_stops() {
    let mut client = greeted(common::rules("smtp", &[])).await;
    client.ask("MAIL FROM:<a@client.example>").await;
    client.send(b"RCPT TO:<rcptto-timeout@localhost>\r\n").await;
    let start = Instant::now();
    sleep(Duration::from_secs(1000)).await;
    client.stop().await;
    assert_eq!(&client.reply().await[..10], "451 4.0.0 ");
    assert_eq!(start.elapsed().as_secs(), 1000);
}
