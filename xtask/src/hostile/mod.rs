//! `cargo xtask hostile`: attacks a server, while an honest client that must not notice uses it.
//!
//! Each attack runs for a fixed time. Meanwhile the honest client sends a message a second. The trial fails if its slowest
//! message takes too long, or if the server uses too much memory. The `rude` clients attack a server in developer mode, which
//! has no limits by address; the `strangers` attack a real server with its default limits, while the honest client comes from
//! another provider's network.
#![allow(clippy::disallowed_methods, reason = "a trial measures time")]

mod names;
mod rude;
mod strangers;

use crate::trial::{ADDRESS, Client, PASSWORD, Server, stream_from};
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use names::NameServer;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest an honest message may take.
const SLOWEST: Duration = Duration::from_millis(100);
/// The most memory the server may hold, in bytes.
const MOST_MEMORY: u64 = 100 * 1024 * 1024;
/// The most memory the server may hold once it has had time to give some back, in bytes.
const MEMORY_AFTERWARDS: u64 = 50 * 1024 * 1024;

/// The address of an attacker, unless the attack needs several.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// The address of the honest client, in another network than any attacker's by every prefix that moxd counts by.
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 200, 0, 1);
/// Longest time to connect over loopback; only an overwhelmed server takes longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Longest time that an attacker waits for the server to read or write.
const IMPATIENCE: Duration = Duration::from_millis(500);

/// Options of the trial.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Seconds each attack lasts
    #[arg(long, default_value_t = 12)]
    pub seconds: u64,
    /// Size of the attacks in percent of the full trial
    #[arg(long, default_value_t = 100)]
    pub percent: usize,
    /// Run only attacks whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// Open files that the real server is limited to [default: the limit of this process]. Not for developer mode, where one
    /// address may hold all connections
    #[arg(long)]
    pub descriptors: Option<u64>,
    /// Messages to import into the real server before the attacks; `moxd verifydata` then runs beside them
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
    /// Seconds in which the server has to return memory after an attack
    #[arg(long, default_value_t = 60)]
    pub recovery: u64,
}

/// An attack, which goes on until the scene says stop.
type Attack = fn(&Scene<'_>);

/// What an attack needs to know: the ports of the server, its own size, and when to stop.
struct Scene<'a> {
    smtp: SocketAddr,
    submission: SocketAddr,
    submissions: SocketAddr,
    percent: usize,
    stop: &'a AtomicBool,
}

impl<'a> Scene<'a> {
    fn new(server: &Server, options: &Options, stop: &'a AtomicBool) -> Self {
        let [smtp, submission, submissions] = [1025, 1587, 1465].map(|port| server.address(port));
        Self { smtp, submission, submissions, percent: options.percent, stop }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Scales a number of the full trial to the size of this one; at least 1.
    fn scaled(&self, n: usize) -> usize {
        (n * self.percent / 100).max(1)
    }

    fn connect(&self, to: SocketAddr) -> Option<TcpStream> {
        let stream = stream_from(STRANGER, to, CONNECT_WITHIN).ok()?;
        stream.set_write_timeout(Some(IMPATIENCE)).ok()?;
        stream.set_read_timeout(Some(IMPATIENCE)).ok()?;
        Some(stream)
    }

    /// Opens a session and sends these commands, one a line, waiting for each reply.
    fn session(&self, to: SocketAddr, commands: &str) -> Option<TcpStream> {
        let mut client = Client::connect(to).ok()?;
        for command in commands.split_terminator('\n') {
            client.write(format!("{command}\r\n").as_bytes()).ok()?;
            client.reply().ok()?;
        }
        let stream = client.into_stream();
        stream.set_write_timeout(Some(IMPATIENCE)).ok()?;
        Some(stream)
    }

    /// Writes the same bytes again and again until the server stops reading.
    fn flood(&self, mut stream: TcpStream, bytes: &[u8]) {
        while self.goes_on() && stream.write_all(bytes).is_ok() {}
    }

    /// Holds connections open, and writes one byte of `text` to each once a second.
    fn drip(&self, mut held: Vec<TcpStream>, text: &[u8]) {
        for byte in text.iter().cycle() {
            for stream in &mut held {
                let _ = stream.write(&[*byte]);
            }
            self.rest(Duration::from_secs(1));
            if !self.goes_on() {
                return;
            }
        }
    }

    /// Waits for `time` or until the attack ends.
    fn rest(&self, time: Duration) {
        let started = Instant::now();
        while self.goes_on() && started.elapsed() < time {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The honest client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Honest {
    /// Delivers mail from another server.
    Server(&'static str),
    /// Logs in and submits mail.
    User,
}

impl Honest {
    /// Sends one message, from connect to 250.
    fn send(self, smtp: SocketAddr, submission: SocketAddr) -> Result<()> {
        let text = "a line of text\r\n".repeat(250);
        let to = match self {
            Self::Server(to) => to,
            Self::User => ADDRESS,
        };
        let from = if self == Self::User { ADDRESS } else { "a@a.example" };
        let data = format!("From: {from}\r\nSubject: honest\r\n\r\n{text}.\r\n");
        let port = if self == Self::User { submission } else { smtp };
        let mut client = Client::connect_from(HONEST, port)?;
        client.hello()?;
        if self == Self::User {
            let secret = BASE64_STANDARD.encode(format!("\0{ADDRESS}\0{PASSWORD}"));
            client.write(format!("AUTH PLAIN {secret}\r\n").as_bytes())?;
            client.expect(235)?;
        }
        client.send(from, to, data.as_bytes())
    }

    /// Sends a message a second until the attack ends. Returns how long each took, or why the server refused it.
    fn work(self, scene: &Scene<'_>) -> Vec<Result<Duration>> {
        let mut messages = Vec::new();
        while scene.goes_on() {
            let started = Instant::now();
            let sent = self.send(scene.smtp, scene.submission);
            messages.push(sent.map(|()| started.elapsed()));
            scene.rest(Duration::from_secs(1).saturating_sub(started.elapsed()));
        }
        messages
    }
}

/// How the server fared under one attack.
#[derive(Debug)]
pub struct Outcome {
    /// What the attack does, as in the table of docs/benchmarks.md.
    pub name: &'static str,
    /// Honest messages that the server accepted.
    pub sent: u64,
    /// Time of the slowest of them, from connect to 250.
    pub slowest: Duration,
    /// Errors of honest messages that the server did not accept.
    pub refused: Vec<String>,
    /// The most memory the server held, in bytes.
    pub memory: u64,
    /// The memory the server held once the attack was over, in bytes.
    pub afterwards: u64,
    /// Queries that the server sent to the name server of the trial; 0 in developer mode, which has none.
    pub queries: u64,
    /// Did the honest client and the server stay within all limits?
    pub kept: bool,
}

impl Outcome {
    fn line(&self) -> String {
        let Self { name, sent, slowest, refused, memory, afterwards, queries, kept } = self;
        let [memory, afterwards] = [memory, afterwards].map(|bytes| *bytes as f64 / 1_048_576.0);
        let mut line = format!(
            "{name:<50} {sent:>5} {slowest:>10.1?} {memory:>8.1} MiB {afterwards:>8.1} MiB {queries:>9}"
        );
        if !kept {
            line += "  <- not kept";
        }
        if let Some(why) = refused.first() {
            line += &format!("\n  {} honest messages were refused; the first: {why}", refused.len());
        }
        line
    }
}

/// Runs the trial in `scratch`.
///
/// # Errors
/// The server cannot be started, or refuses the honest client before an attack.
pub fn run(
    moxd: &Path,
    scratch: &Path,
    options: &Options,
    mut report: impl FnMut(&str),
) -> Result<Vec<Outcome>> {
    let wanted = |name: &str| options.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut outcomes = Vec::new();
    report(&format!(
        "{:<50} {:>5} {:>10} {:>12} {:>12} {:>9}",
        "attack", "sent", "slowest", "memory", "afterwards", "queries"
    ));
    for (name, attack) in rude::ATTACKS.iter().filter(|(name, _)| wanted(name)) {
        let dir = scratch.join("server");
        let mut server = Server::new(moxd, &dir)?;
        server.start()?;
        let honest = Honest::Server("mox@localhost");
        let outcome = one(name, *attack, honest, &mut server, None, options).context(*name)?;
        report(&outcome.line());
        outcomes.push(outcome);
        std::fs::remove_dir_all(&dir)?;
    }
    if strangers::ATTACKS.iter().any(|row| wanted(row.name)) {
        let names = NameServer::start()?;
        let mut server = Server::serving(moxd, &scratch.join("real"), names.address())?;
        server.limit_descriptors(options.descriptors);
        fill(&server, scratch, options.messages)?;
        for row in strangers::ATTACKS.iter().filter(|row| wanted(row.name)) {
            // The mail of earlier attacks is still there; the server has to start with it.
            server.start().context(row.name)?;
            let outcome = one(row.name, row.attack, row.honest, &mut server, Some(&names), options)
                .context(row.name)?;
            report(&outcome.line());
            outcomes.push(outcome);
        }
    }
    ensure!(!outcomes.is_empty(), "no attack has that name");
    Ok(outcomes)
}

/// Runs one attack against a server that is ready, and then stops the server.
fn one(
    name: &'static str,
    attack: Attack,
    honest: Honest,
    server: &mut Server,
    names: Option<&NameServer>,
    options: &Options,
) -> Result<Outcome> {
    let stop = AtomicBool::new(false);
    let scene = Scene::new(server, options, &stop);
    let asked = names.map_or(0, NameServer::queries);
    // The user has logged in from this address before, so the server knows it.
    honest.send(scene.smtp, scene.submission).context("before the attack")?;
    let messages = std::thread::scope(|scope| {
        let honest = scope.spawn(|| honest.work(&scene));
        scope.spawn(|| attack(&scene));
        let checks = (options.messages > 0 && names.is_some()).then(|| scope.spawn(|| check(&scene, server)));
        std::thread::sleep(Duration::from_secs(options.seconds));
        stop.store(true, Ordering::Relaxed);
        if let Some(checks) = checks {
            checks.join().unwrap_or_else(|_| anyhow::bail!("verifydata panicked"))?;
        }
        honest.join().map_err(|_| anyhow::anyhow!("the honest client panicked"))
    })?;
    let (mut sent, mut slowest, mut refused) = (0, Duration::ZERO, Vec::new());
    for message in messages {
        match message {
            Ok(time) => (sent, slowest) = (sent + 1, slowest.max(time)),
            Err(why) => refused.push(format!("{why:#}")),
        }
    }
    let (_, memory) = server.memory()?;
    let afterwards = recovered(server, Duration::from_secs(options.recovery))?;
    server.stop()?;
    let queries = names.map_or(0, NameServer::queries) - asked;
    let kept = sent > 0
        && refused.is_empty()
        && slowest <= SLOWEST
        && memory <= MOST_MEMORY
        && afterwards <= MEMORY_AFTERWARDS
        && queries <= names::MOST_QUERIES * options.seconds;
    Ok(Outcome { name, sent, slowest, refused, memory, afterwards, queries, kept })
}

/// Waits until the server has returned memory, at most `within`. Returns how many bytes it still holds.
fn recovered(server: &Server, within: Duration) -> Result<u64> {
    let started = Instant::now();
    loop {
        let (memory, _) = server.memory()?;
        if memory <= MEMORY_AFTERWARDS || started.elapsed() >= within {
            return Ok(memory);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Runs `moxd verifydata` repeatedly until the attack ends.
fn check(scene: &Scene<'_>, server: &Server) -> Result<()> {
    while scene.goes_on() {
        let data = server.data();
        let checked = server.verb(&["verifydata", &data.to_string_lossy()])?;
        let stdout = String::from_utf8_lossy(&checked.stdout);
        ensure!(checked.status.success(), "verifydata: {stdout}{}", String::from_utf8_lossy(&checked.stderr));
    }
    Ok(())
}

/// Imports this many messages of 1 KiB.
fn fill(server: &Server, scratch: &Path, messages: u64) -> Result<()> {
    if messages == 0 {
        return Ok(());
    }
    let path = scratch.join("fill.mbox");
    let mut file = BufWriter::new(std::fs::File::create(&path)?);
    let text = "a line of text\n".repeat(60);
    for number in 0..messages {
        write!(
            file,
            "From a@a.example Mon Nov  2 10:00:00 2026\nFrom: a@a.example\nMessage-ID: <{number}@fill.example>\n\
             Subject: message {number}\n\n{text}\n"
        )?;
    }
    file.flush()?;
    let imported = server.verb(&["import", "mbox", "mox", "Archive", &path.to_string_lossy()])?;
    ensure!(imported.status.success(), "import: {}", String::from_utf8_lossy(&imported.stderr));
    Ok(std::fs::remove_file(&path)?)
}
