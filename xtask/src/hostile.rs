//! `cargo xtask hostile`: clients that mean no good, and one honest client that must not notice them.
//!
//! Each attack runs for a while against a server of its own. Meanwhile an honest client sends a message a second; its
//! slowest message and the server's memory are what counts.
#![allow(clippy::disallowed_methods, reason = "a trial measures time")]

use crate::trial::{Client, Dice, Server};
use anyhow::{Result, ensure};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest an honest message may take.
const SLOWEST: Duration = Duration::from_millis(100);
/// The most memory the server may hold, in octets.
const MOST_MEMORY: u64 = 100 * 1024 * 1024;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Seconds each attack lasts
    #[arg(long, default_value_t = 12)]
    pub seconds: u64,
    /// Size of the attacks in percent of the full trial
    #[arg(long, default_value_t = 100)]
    pub percent: usize,
    /// Only attacks whose name contains this
    #[arg(long)]
    pub only: Option<String>,
}

/// One attack: what it does until told to stop.
type Attack = fn(&Scene<'_>);

/// Where an attack takes place.
struct Scene<'a> {
    smtp: SocketAddr,
    submission: SocketAddr,
    submissions: SocketAddr,
    percent: usize,
    stop: &'a AtomicBool,
}

impl Scene<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// A number of the full trial, cut down to this one.
    fn scaled(&self, n: usize) -> usize {
        (n * self.percent / 100).max(1)
    }

    fn connect(&self, to: SocketAddr) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(500))).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        Some(stream)
    }

    /// A session that has been greeted and is as far as these commands bring it.
    fn session(&self, to: SocketAddr, commands: &str) -> Option<TcpStream> {
        let mut client = Client::connect(to).ok()?;
        for command in commands.split_terminator('\n') {
            client.write(format!("{command}\r\n").as_bytes()).ok()?;
            client.reply().ok()?;
        }
        let stream = client.into_stream();
        stream.set_write_timeout(Some(Duration::from_millis(500))).ok()?;
        Some(stream)
    }

    /// Writes the same octets again and again for as long as the server takes them.
    fn flood(&self, mut stream: TcpStream, octets: &[u8]) {
        while self.goes_on() && stream.write_all(octets).is_ok() {}
    }

    /// Holds connections open and writes one octet of `text` to each, once a second.
    fn drip(&self, mut held: Vec<TcpStream>, text: &[u8]) {
        for octet in text.iter().cycle() {
            let started = Instant::now();
            for stream in &mut held {
                let _ = stream.write(&[*octet]);
            }
            while self.goes_on() && started.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if !self.goes_on() {
                return;
            }
        }
    }
}

const ATTACKS: &[(&str, Attack)] = &[
    ("nothing at all", |s| {
        while s.goes_on() {
            std::thread::sleep(Duration::from_millis(20))
        }
    }),
    ("2,000 connections of an octet a second", |s| {
        let held = (0..s.scaled(2000)).filter_map(|_| s.connect(s.smtp)).collect();
        s.drip(held, b"EHLO a.example\r\n");
    }),
    ("500 slow in DATA", |s| {
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        let held = (0..s.scaled(500)).filter_map(|_| s.session(s.smtp, begin)).collect();
        s.drip(held, b"Subject: slow\r\n");
    }),
    ("1,000 half-open TLS handshakes", |s| {
        let held: Vec<_> = (0..s.scaled(1000)).filter_map(|_| s.connect(s.submissions)).collect();
        // The head of a ClientHello record that never goes on.
        s.drip(held, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    }),
    ("lines of 100 MB", |s| {
        let line = vec![b'x'; 1 << 20];
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, "EHLO a.example\n") else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("lines of 100 MB in DATA", |s| {
        let line = vec![b'x'; 1 << 20];
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, begin) else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("endless AUTH", |s| {
        let line = vec![b'Q'; 1 << 16];
        while s.goes_on() {
            let Some(mut stream) = s.session(s.submission, "EHLO a.example\nAUTH SCRAM-SHA-256\n") else {
                continue;
            };
            (0..1000).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("wrong passwords", |s| {
        std::thread::scope(|scope| {
            for _ in 0..s.scaled(50) {
                scope.spawn(|| {
                    while s.goes_on() {
                        let Some(mut stream) = s.session(s.submission, "EHLO a.example\n") else { continue };
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                        let line = b"AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmd3cm9uZw==\r\n";
                        let mut reply = [0; 256];
                        while s.goes_on()
                            && stream.write_all(line).is_ok()
                            && stream.read(&mut reply).is_ok_and(|n| n > 0)
                        {}
                    }
                });
            }
        });
    }),
    ("a million RCPTs", |s| {
        let batch = "RCPT TO:<mox@localhost>\r\n".repeat(1000);
        while s.goes_on() {
            let Some(stream) = s.session(s.smtp, "EHLO a.example\nMAIL FROM:<a@a.example>\n") else {
                continue;
            };
            pump(s, stream, &[batch.as_bytes()], 1000);
        }
    }),
    ("an endless header", |s| {
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        let field = format!("X-Long: {}\r\n", "y".repeat(900)).repeat(70);
        while s.goes_on() {
            let Some(stream) = s.session(s.smtp, begin) else { continue };
            s.flood(stream, field.as_bytes());
        }
    }),
    ("MIME nested 10,000 deep", |s| {
        let mut text = String::from("From: a@a.example\r\nMIME-Version: 1.0\r\n");
        for level in 0..10_000 {
            text.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
        }
        whole_messages(s, &text);
    }),
    ("a million header fields", |s| {
        let text = "A: b\r\n".repeat(1_000_000) + "\r\nbody\r\n";
        whole_messages(s, &text);
    }),
    ("STARTTLS, then garbage", |s| {
        let mut dice = Dice::new(7);
        while s.goes_on() {
            let Some(mut stream) = s.session(s.submission, "EHLO a.example\nSTARTTLS\n") else { continue };
            let garbage: Vec<u8> = (0..4096).map(|_| dice.next() as u8).collect();
            let _ = stream.write_all(&garbage);
            let _ = stream.read(&mut [0; 64]);
        }
    }),
    ("NOOPs whose replies are not read", |s| {
        let noops = "NOOP\r\n".repeat(10_000);
        let mut held = Vec::new();
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, "EHLO a.example\n") else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(noops.as_bytes()).is_ok()).count();
            held.push(stream);
        }
    }),
    ("fast connect and close", |s| {
        while s.goes_on() {
            drop(s.connect(s.smtp));
        }
    }),
];

/// Writes pieces in turn while it reads what comes back, so that the server is never the one who waits.
fn pump(scene: &Scene<'_>, stream: TcpStream, pieces: &[&[u8]], times: usize) {
    let Ok(mut reader) = stream.try_clone() else { return };
    let _ = reader.set_read_timeout(Some(Duration::from_millis(500)));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while scene.goes_on() {
                match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Err(e) if !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                    _ => {}
                }
            }
        });
        let mut stream = &stream;
        for piece in pieces.iter().cycle().take(times * pieces.len()) {
            if !scene.goes_on() || stream.write_all(piece).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
}

/// Sends the same whole message again and again.
fn whole_messages(scene: &Scene<'_>, text: &str) {
    let data = format!("{text}\r\n.\r\n");
    while scene.goes_on() {
        let Ok(mut client) = Client::connect(scene.smtp) else { continue };
        let _ = client.hello();
        while scene.goes_on() {
            if client.send("a@a.example", "mox@localhost", data.as_bytes()).is_err() {
                break;
            }
        }
    }
}

/// Sends a message a second until told to stop; returns how many, and how long the slowest took from connect to 250.
fn honest(to: SocketAddr, stop: &AtomicBool) -> Result<(u64, Duration)> {
    let data =
        format!("From: a@a.example\r\nSubject: honest\r\n\r\n{}.\r\n", "a line of text\r\n".repeat(250));
    let (mut sent, mut slowest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let mut client = Client::connect(to)?;
        client.hello()?;
        client.send("a@a.example", "mox@localhost", data.as_bytes())?;
        slowest = slowest.max(started.elapsed());
        sent += 1;
        while started.elapsed() < Duration::from_secs(1) && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok((sent, slowest))
}

/// What one attack did to the others.
#[derive(Debug)]
pub struct Outcome {
    /// Name of the attack.
    pub name: &'static str,
    /// Honest messages sent.
    pub sent: u64,
    /// The slowest of them, from connect to 250.
    pub slowest: Duration,
    /// The most memory the server held, in octets.
    pub memory: u64,
    /// Was the promise kept?
    pub kept: bool,
}

/// Runs the trial in `scratch`.
///
/// # Errors
/// The server could not be started, or the honest client was refused.
pub fn run(
    moxd: &Path,
    scratch: &Path,
    options: &Options,
    mut say: impl FnMut(&str),
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    say(&format!("{:<44} {:>6} {:>12} {:>12}", "attack", "sent", "slowest", "memory"));
    for (name, attack) in ATTACKS {
        if options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let dir = scratch.join("server");
        let mut server = Server::new(moxd, &dir)?;
        server.start()?;
        let stop = AtomicBool::new(false);
        let scene = Scene {
            smtp: server.address(1025),
            submission: server.address(1587),
            submissions: server.address(1465),
            percent: options.percent,
            stop: &stop,
        };
        let (sent, slowest) = std::thread::scope(|scope| {
            let honest = scope.spawn(|| honest(server.address(1025), &stop));
            scope.spawn(|| attack(&scene));
            std::thread::sleep(Duration::from_secs(options.seconds));
            stop.store(true, Ordering::Relaxed);
            honest.join().unwrap_or_else(|_| anyhow::bail!("the honest client failed"))
        })?;
        let (_, memory) = server.memory()?;
        server.stop()?;
        std::fs::remove_dir_all(&dir)?;
        let kept = slowest <= SLOWEST && memory <= MOST_MEMORY && sent > 0;
        let verdict = if kept { "" } else { "  <- not kept" };
        say(&format!(
            "{name:<44} {sent:>6} {slowest:>12.1?} {:>8.1} MiB{verdict}",
            memory as f64 / 1_048_576.0
        ));
        outcomes.push(Outcome { name, sent, slowest, memory, kept });
    }
    ensure!(!outcomes.is_empty(), "no attack of that name");
    Ok(outcomes)
}
