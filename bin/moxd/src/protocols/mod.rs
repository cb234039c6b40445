//! The protocols, one at a time: each verb asks, and prints what came of it for people or as JSON.

pub(crate) mod args;
pub(crate) mod dkim;
pub(crate) mod dmarc;
pub(crate) mod names;
pub(crate) mod spf;
pub(crate) mod verify;

use crate::cli::{Dns, Wrong};
use crate::console;
use crate::text::printable_lines;
use anyhow::{Context, Result};
use args::Judged;
use dns::Domain;
use dns_hickory::{HickoryResolver, Options};
use mailfiles::CrlfReader;
use serde_json::Value;
use smtp_parser::Mailbox;
use std::fmt::Display;
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use tokio::net::{TcpStream, UdpSocket};

/// The largest message that these verbs read, in octets.
const MAX_MESSAGE: u64 = 256 << 20;

/// The result is not `pass`, and the exit status is to say so.
#[derive(Debug)]
pub(crate) struct NotPassed;

impl Display for NotPassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the result is not pass")
    }
}

impl std::error::Error for NotPassed {}

/// Ends a verb whose result was printed.
fn conclude(judged: Judged, passed: bool) -> Result<()> {
    if judged.exit_code && !passed { Err(NotPassed.into()) } else { Ok(()) }
}

/// Runs what has to wait for DNS. `work` gets the resolver that the arguments name.
fn with_dns<T, F: Future<Output = Result<T>>>(
    arguments: &Dns,
    work: impl FnOnce(HickoryResolver) -> F,
) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let resolver = match arguments.servers.as_slice() {
            [] => HickoryResolver::from_system(Options::default()),
            servers => HickoryResolver::with_servers(servers, Options::default()),
        };
        let resolver = resolver.context("set up DNS")?;
        let servers = resolver.servers().to_vec();
        tokio::select! {
            // Who answers in spite of it has answered.
            biased;
            done = work(resolver) => done,
            () = refused(&servers) => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                anyhow::bail!("no DNS server listens at {}: connection refused", servers.join(", "))
            }
        }
    })
}

/// Ends when it is certain that nobody listens at any of the addresses. A question would be lost without a word there: what
/// sends it is not told.
async fn refused(servers: &[SocketAddr]) {
    for server in servers {
        if !is_refused(*server).await.unwrap_or(false) {
            std::future::pending::<()>().await;
        }
    }
}

async fn is_refused(server: SocketAddr) -> std::io::Result<bool> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    // No question: a server has nothing to say to it, and a host on which there is none says so.
    socket.send(&[]).await?;
    let refuses = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let by_udp = socket.recv(&mut [0]).await.is_err_and(refuses);
    Ok(by_udp && TcpStream::connect(server).await.is_err_and(refuses))
}

/// The value of an argument.
fn argument<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| Wrong(format!("{name} {text}: {error}")).into())
}

/// A domain given as an argument.
fn domain(text: &str) -> Result<Domain> {
    argument("domain", text)
}

/// The sender given as an argument: an address; none for the null path.
fn sender(text: &str) -> Result<Option<Mailbox>> {
    let wrong = |_| {
        Wrong(format!("--mailfrom {text}: not an address such as user@example.org; empty for the null path"))
    };
    if matches!(text, "" | "<>") { Ok(None) } else { Ok(Some(text.parse().map_err(wrong)?)) }
}

/// A file, or standard input where the path is `-`.
fn input(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    Ok(Box::new(File::open(path).with_context(|| format!("open {}", path.display()))?))
}

/// A message, with every line end made CRLF.
fn message(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    CrlfReader::new(input(path)?)
        .take(MAX_MESSAGE + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(
        text.len() as u64 <= MAX_MESSAGE,
        "{} is larger than {MAX_MESSAGE} octets",
        path.display()
    );
    Ok(text)
}

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    console::print(text.as_bytes())
}

/// Prints a JSON document.
fn print_json(value: &Value) -> Result<()> {
    print(&format!("{}\n", crate::text::json(value)))
}

/// A report for people: names and values in two columns.
#[derive(Default)]
struct Report(String);

impl Report {
    /// A line; left out where there is no value.
    fn line(&mut self, name: &str, value: impl Into<Option<String>>) {
        if let Some(value) = value.into() {
            self.0.push_str(&format!("{name:<14} {}\n", printable_lines(&value)));
        }
    }

    /// A line with a result, coloured on a terminal.
    fn result(&mut self, name: &str, word: &str) {
        self.0.push_str(&format!("{name:<14} {}\n", coloured(word)));
    }

    /// An empty line.
    fn gap(&mut self) {
        self.0.push('\n');
    }

    fn print(self) -> Result<()> {
        print(&self.0)
    }
}

/// A result word in green, red or yellow, if it is for a terminal.
fn coloured(word: &str) -> String {
    if !console::has_colours(&std::io::stdout()) {
        return word.to_owned();
    }
    let colour = match word {
        "pass" => 32,
        "fail" | "permerror" | "reject" | "listed" => 31,
        "softfail" | "temperror" | "policy" | "quarantine" => 33,
        _ => return word.to_owned(),
    };
    format!("\u{1b}[{colour}m{word}\u{1b}[0m")
}
