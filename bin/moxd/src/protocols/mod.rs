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
use dns::Domain;
use dns_hickory::{Hickory, Options};
use mailfiles::CrlfReader;
use serde_json::Value;
use smtp_parser::Mailbox;
use std::fmt::Display;
use std::fs::File;
use std::future::Future;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::str::FromStr;

/// The largest message that these verbs read, in octets.
const MAX_MESSAGE: u64 = 256 << 20;

/// Runs what has to wait for DNS. `work` gets the resolver that the arguments name.
fn with_dns<T, F: Future<Output = Result<T>>>(arguments: &Dns, work: impl FnOnce(Hickory) -> F) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let resolver = match arguments.servers.as_slice() {
            [] => Hickory::from_system(),
            servers => Hickory::with_servers(servers, Options::default()),
        };
        work(resolver.context("set up DNS")?).await
    })
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
    if !std::io::stdout().is_terminal() {
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
