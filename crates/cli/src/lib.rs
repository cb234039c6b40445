//! The command line of moxd: verbs, their arguments and their help texts.
//!
//! [`parse`] reads the arguments into [`Cli`]; [`pages`] writes the man pages and [`completions`] the
//! completion scripts for shells. The crate does not know what a verb does.

#![expect(
    missing_docs,
    reason = "a doc comment on an argument or a verb is its help text, and some have none"
)]

mod checks;
mod examples;
pub mod pages;

pub use checks::{
    DkimSign, DkimVerb, DmarcCheck, DmarcRfc, DmarcVerb, DnsblVerb, Judged, KeyAlgorithm, Lookup, SpfCheck,
    SpfVerb, Verify,
};
pub use clap_complete::Shell;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Reads the arguments, the first of which is the name of the program. `version` is what `--version` shows.
///
/// # Errors
/// The arguments are wrong, or ask for help; the error knows which, and has the text.
pub fn parse<A: Into<OsString> + Clone>(
    version: &'static str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command().version(version).try_get_matches_from(arguments)?)
}

/// The script that completes the command line in a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command().version(""), "moxd", &mut script);
    script
}

/// The command line with its examples.
fn command() -> Command {
    examples::with_examples(Cli::command(), "moxd")
}

/// Wrong arguments that only the verb itself can detect; the exit status is 2.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// A mail server for people who run their own mail.
#[derive(Debug, Parser)]
#[command(name = "moxd", arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file [default: ./config/moxd.toml, then /etc/moxd/moxd.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or filters such as info,smtpserver=trace; traceauth shows passwords
    /// too, tracedata also messages
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How to log to standard error [default: as moxd.toml says]
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Data directory; verbs about mail and about the running server then need no valid configuration
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run the server from the configuration file
    Serve,
    /// Run a server for development on loopback, with nothing to prepare
    ///
    /// It makes a folder with configuration, certificate, keys and the account mox (address mox@localhost, password
    /// moxmoxmox), and takes mail for any recipient.
    ///
    /// It fails on request, so that a program's handling of failures can be tried: a recipient whose local part ends in
    /// temperror, permerror, timeout or a code from 400 to 599 is refused with 451, with 550, with no reply for an hour, or
    /// with that code, at the end of DATA. Where the local part of the sender begins with mailfrom, or that of a recipient
    /// with rcptto, the reply comes at MAIL or RCPT. Addresses such as user550@localhost are caught by this too.
    Localserve(Localserve),
    /// Check the configuration, or print an example
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Set the password of an account, read from standard input
    Setaccountpassword {
        /// Name of the account, or one of its addresses
        account: String,
    },
    /// Talk to the running server
    #[command(subcommand)]
    Ctl(CtlVerb),
    /// Show the mailboxes of an account
    #[command(subcommand)]
    Mailbox(MailboxVerb),
    /// List, print or remove messages of an account
    #[command(subcommand)]
    Message(MessageVerb),
    /// Write the mail of an account to a Maildir or an mbox file
    Export {
        /// Mailbox format
        #[arg(value_enum)]
        format: MailFormat,
        /// Name of the account, or one of its addresses
        account: String,
        /// For maildir, a folder that is empty or does not exist yet (one Maildir per mailbox below it); for mbox, a new file, or
        /// `-` for standard output
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Read mail from a Maildir or an mbox file into a mailbox
    Import {
        /// Mailbox format
        #[arg(value_enum)]
        format: MailFormat,
        /// Name of the account, or one of its addresses
        account: String,
        /// Mailbox, made if it does not exist; mailboxes in a Maildir go below it, or beside it if it is Inbox
        mailbox: String,
        /// The Maildir, or a folder with Maildirs in it; or the mbox file, `-` for standard input
        path: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Walk a data directory or a backup and report every inconsistency; changes nothing in it
    Verifydata {
        /// The data directory, or what `backup` made
        dir: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Make a consistent copy of all mail, also while the server runs; configuration and keys are not in it
    Backup {
        /// Folder to make; must not exist yet. The server writes it, as the user that it runs as
        dir: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Give back the disk space of removed mail; the server also does so by itself, when it is worth the work
    Compact {
        /// Leave no byte of removed mail on the disk; writes all mail again
        #[arg(long)]
        thorough: bool,
    },
    /// Check a sender by SPF, or look up or parse a record (RFC 7208)
    #[command(subcommand)]
    Spf(SpfVerb),
    /// Verify or sign with DKIM, or make keys for it (RFC 6376)
    #[command(subcommand)]
    Dkim(DkimVerb),
    /// Look up or evaluate DMARC policies (RFC 9989, RFC 7489)
    #[command(subcommand)]
    Dmarc(DmarcVerb),
    /// Check the reverse DNS of an address (RFC 8601)
    Iprev {
        /// The address
        ip: IpAddr,
        #[command(flatten)]
        lookup: Lookup,
        #[command(flatten)]
        judged: Judged,
    },
    /// Query DNS block lists (RFC 5782)
    #[command(subcommand)]
    Dnsbl(DnsblVerb),
    /// Show everything that incoming delivery would find out about a message
    Verify(Verify),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the man pages into a folder
    Manpages {
        /// Folder for the pages, made if it does not exist
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Localserve {
    /// Folder for configuration and data, made if it does not exist [default: moxd-localserve in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Loopback address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub ip: IpAddr,
    /// Added to every port: SMTP 1025, submission 1587, submissions 1465, metrics 1081
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port_offset: u16,
    /// Refuse what is merely bad style, as `pedantic = true` in moxd.toml does
    #[arg(long)]
    pub pedantic: bool,
    #[command(flatten)]
    pub dns: Dns,
}

/// Which DNS servers to ask.
#[derive(Debug, Args)]
pub struct Dns {
    /// Ask this DNS server (UDP, TCP on truncation; port 53 unless one is given) instead of the system's; may be given more
    /// than once
    #[arg(long = "dns", value_name = "ADDR[:PORT]", value_parser = dns_server)]
    pub servers: Vec<SocketAddr>,
}

/// RFC 1035 §4.2: the port of DNS.
const DNS_PORT: u16 = 53;

fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().or_else(|_| bare.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT))).map_err(|_| {
        "give an IP address such as 127.0.0.1 or [::1], or one with a port, such as 127.0.0.1:5353".to_owned()
    })
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MailFormat {
    Maildir,
    Mbox,
}

#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Check the configuration files and print every error
    Test,
    /// Print a short example of a file; the two work as they stand, in one folder
    Example {
        /// Which file
        #[arg(value_enum, default_value_t = ConfigFile::Moxd)]
        file: ConfigFile,
    },
    /// Print an annotated moxd.toml with every setting
    DescribeStatic,
    /// Print an annotated domains.toml with every setting
    DescribeDomains,
}

/// A file of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFile {
    /// The server
    #[value(name = "moxd.toml")]
    Moxd,
    /// Domains and accounts
    #[value(name = "domains.toml")]
    Domains,
}

#[derive(Debug, Subcommand)]
pub enum CtlVerb {
    /// Read domains.toml and the TLS files again
    Reload,
    /// Stop the server gracefully
    Stop,
    /// Show the server's status
    Status {
        #[command(flatten)]
        output: Output,
    },
    /// Show who is held back after failed logins, or let them go
    #[command(subcommand)]
    Blocked(BlockedVerb),
    /// Show or change the log level until the server restarts
    Loglevel {
        /// As for --log-level
        filter: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum BlockedVerb {
    /// List addresses whose logins are refused, and accounts whose logins are slowed down except from where they have
    /// logged in recently
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Forget the failed logins of an address or an account, and list what was lifted
    Lift {
        /// IP address, network such as 192.0.2.0/24, account, or mail address of an account; a network around an address
        /// is lifted with it [default: everyone]
        #[arg(value_name = "ADDRESS|ACCOUNT")]
        name: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub enum MailboxVerb {
    /// List the mailboxes of an account with their counts
    List {
        /// Name of the account, or one of its addresses
        account: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum MessageVerb {
    /// List messages, oldest first
    List {
        /// Name of the account, or one of its addresses
        account: String,
        /// Only this mailbox
        mailbox: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Print a message as it is stored, byte for byte: the added header fields first
    Show {
        /// Name of the account, or one of its addresses
        account: String,
        /// Id of the message, as listed
        id: u64,
    },
    /// Remove messages for good
    Delete {
        /// Name of the account, or one of its addresses
        account: String,
        /// Ids of the messages, as listed
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
