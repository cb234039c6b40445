//! The checks that an operator makes by hand, one protocol at a time: `moxd spf`, `dkim`, `dmarc`, `iprev` and `dnsbl`.
//!
//! Each verb asks DNS, has the judge of its protocol evaluate, and prints the evaluation for people or as JSON. The crate
//! decides nothing about mail, and knows neither the store nor the configuration.

pub mod dkim;
pub mod dmarc;
pub mod names;
mod report;
pub mod spf;

pub use report::Report;

use anyhow::{Context, Result};
use cli::{Dns, Judged, Wrong};
use dns::Domain;
use dns_hickory::{HickoryResolver, Options};
use host::{terminal, text};
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

/// The largest message that these verbs read, in bytes.
const MAX_MESSAGE: u64 = 256 << 20;

/// The error of a verb with `--exit-code` whose result is not `pass`.
#[derive(Debug)]
pub struct NotPassed;

impl Display for NotPassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the result is not pass")
    }
}

impl std::error::Error for NotPassed {}

/// Ends a verb whose result was printed.
///
/// # Errors
/// The result is not `pass`, and the exit status is to say so.
pub fn conclude(judged: Judged, passed: bool) -> Result<()> {
    if judged.exit_code && !passed { Err(NotPassed.into()) } else { Ok(()) }
}

/// Runs `work` with the resolver that the arguments name.
///
/// # Errors
/// The work failed, DNS cannot be set up, or no server listens where the questions go.
pub fn with_dns<T, F: Future<Output = Result<T>>>(
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
            // An answer counts even if a probe was refused.
            biased;
            done = work(resolver) => done,
            () = refused(&servers) => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                anyhow::bail!("no DNS server listens at {}: connection refused", servers.join(", "))
            }
        }
    })
}

/// Completes once it is certain that no server listens at any of the addresses. The resolver does not notice that
/// its queries are lost there, and would wait for its timeout.
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
    // An empty datagram is no question: a server ignores it, and a host without one refuses it.
    socket.send(&[]).await?;
    let refuses = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    let by_udp = socket.recv(&mut [0]).await.is_err_and(refuses);
    Ok(by_udp && TcpStream::connect(server).await.is_err_and(refuses))
}

/// Parses an argument; the error quotes the argument and says why.
fn argument<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error| Wrong(format!("{name} {text}: {error}")).into())
}

/// A domain given as an argument.
fn domain(text: &str) -> Result<Domain> {
    argument("domain", text)
}

/// The argument of `--mailfrom`: an address, or none for the null path.
///
/// # Errors
/// It is not an address.
pub fn sender(text: &str) -> Result<Option<Mailbox>> {
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

/// Reads a message, and makes every line end CRLF.
///
/// # Errors
/// The message cannot be read, or is too large.
pub fn message(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    CrlfReader::new(input(path)?)
        .take(MAX_MESSAGE + 1)
        .read_to_end(&mut text)
        .with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(
        text.len() as u64 <= MAX_MESSAGE,
        "{} is larger than {MAX_MESSAGE} bytes",
        path.display()
    );
    Ok(text)
}

/// Writes to standard output.
fn print(text: &str) -> Result<()> {
    terminal::print(text.as_bytes())
}

/// Prints a JSON document.
///
/// # Errors
/// Standard output cannot be written to.
pub fn print_json(value: &Value) -> Result<()> {
    print(&format!("{}\n", text::json(value)))
}

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
