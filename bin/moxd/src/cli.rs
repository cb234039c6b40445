//! The command line: verbs, their arguments and their help texts. `docs/` and the man pages are made from it.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// A mail server for people who run their own mail.
#[derive(Debug, Parser)]
#[command(name = "moxd", version, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Configuration file [default: ./config/moxd.toml, then /etc/moxd/moxd.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or filters such as info,smtpserver=trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// How to log to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the server from the configuration file
    Serve,
    /// Run a server for development on loopback, with nothing to prepare
    Localserve(Localserve),
    /// Check the configuration, or print an example
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Set the password of an account, read from standard input
    Setaccountpassword {
        /// Name of the account
        account: String,
    },
    /// Talk to the running server
    Ctl {
        #[command(subcommand)]
        verb: CtlVerb,
        #[command(flatten)]
        output: Output,
    },
    /// Mailboxes of an account
    #[command(subcommand)]
    Mailbox(MailboxVerb),
    /// Messages of an account
    #[command(subcommand)]
    Message(MessageVerb),
    /// Write the mail of an account to a Maildir or an mbox file
    Export {
        /// Form of the mail on disk
        #[arg(value_enum)]
        format: MailFormat,
        /// Name of the account
        account: String,
        /// Folder for maildir (one Maildir per mailbox below it); file or, with several mailboxes, folder for mbox
        path: PathBuf,
    },
    /// Read mail from a Maildir or an mbox file into a mailbox
    Import {
        /// Form of the mail on disk
        #[arg(value_enum)]
        format: MailFormat,
        /// Name of the account
        account: String,
        /// Mailbox, made if it is not there
        mailbox: String,
        /// The Maildir or the mbox file
        path: PathBuf,
    },
    /// Walk a data directory and report every inconsistency
    Verifydata {
        /// The data directory
        dir: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Make a consistent copy of the data directory, also while the server runs
    Backup {
        /// Folder to make; must not exist or be empty
        dir: PathBuf,
    },
    /// SPF (RFC 7208)
    #[command(subcommand)]
    Spf(SpfVerb),
    /// DKIM (RFC 6376)
    #[command(subcommand)]
    Dkim(DkimVerb),
    /// DMARC (RFC 9989, RFC 7489)
    #[command(subcommand)]
    Dmarc(DmarcVerb),
    /// Reverse DNS check of an address (RFC 8601 §2.7.3)
    Iprev {
        /// The address
        ip: IpAddr,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// DNS block lists (RFC 5782)
    #[command(subcommand)]
    Dnsbl(DnsblVerb),
    /// Everything that incoming delivery would find out about a message
    Verify {
        /// Address of the client
        #[arg(long)]
        ip: IpAddr,
        /// Name given in HELO or EHLO
        #[arg(long)]
        helo: String,
        /// Address given in MAIL FROM; empty for the null path
        #[arg(long)]
        mailfrom: String,
        /// The message [default: standard input]
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder
    Manpages {
        /// Folder for the pages, made if it is not there
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Localserve {
    /// Folder for configuration and data, made if it is not there [default: moxd-localserve in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Loopback address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) ip: IpAddr,
    /// Added to every port: SMTP 1025, submission 1587, submissions 1465, metrics 1081
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port_offset: u16,
    #[command(flatten)]
    pub(crate) dns: Dns,
}

/// Which DNS servers to ask.
#[derive(Debug, Args)]
pub(crate) struct Dns {
    /// Ask this DNS server (UDP, TCP on truncation) instead of the system's; may be given more than once
    #[arg(long = "dns", value_name = "ADDR:PORT")]
    pub(crate) servers: Vec<SocketAddr>,
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every verb takes that looks something up and reports it.
#[derive(Debug, Args)]
pub(crate) struct Lookup {
    #[command(flatten)]
    pub(crate) dns: Dns,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
pub(crate) enum MailFormat {
    Maildir,
    Mbox,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Check the configuration files and print every error
    Test,
    /// Print an annotated example of moxd.toml and domains.toml
    Example,
    /// Print an annotated moxd.toml with every setting
    DescribeStatic,
    /// Print an annotated domains.toml with every setting
    DescribeDomains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum CtlVerb {
    /// Read domains.toml and the TLS files again
    Reload,
    /// Stop the server gracefully
    Stop,
    /// Tell how the server does
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MailboxVerb {
    /// List the mailboxes of an account with their counts
    List {
        /// Name of the account
        account: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MessageVerb {
    /// List messages, oldest first
    List {
        /// Name of the account
        account: String,
        /// Only this mailbox
        mailbox: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Print a message as it is kept: the added header fields first, byte for byte
    Show {
        /// Name of the account
        account: String,
        /// Id of the message, as listed
        id: u64,
    },
    /// Remove messages for good
    Delete {
        /// Name of the account
        account: String,
        /// Ids of the messages, as listed
        #[arg(required = true)]
        ids: Vec<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpfVerb {
    /// May this address send for this sender?
    Check {
        /// Address of the client
        #[arg(long)]
        ip: IpAddr,
        /// Address given in MAIL FROM; without it the HELO name is checked
        #[arg(long)]
        mailfrom: Option<String>,
        /// Name given in HELO or EHLO
        #[arg(long)]
        helo: Option<String>,
        /// Name of the receiving host, for Received-SPF and the macro r
        #[arg(long)]
        receiver: Option<String>,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// Show the record of a domain
    Lookup {
        /// The domain
        domain: String,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// Read a record given as text
    Parse {
        /// The record
        record: String,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DkimVerb {
    /// Verify every signature of a message
    Verify {
        /// The message [default: standard input]
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// Sign a message: prints the DKIM-Signature field, then the message
    Sign(DkimSign),
    /// Make a key pair; the private key is written as PKCS#8 PEM
    Keygen {
        /// Kind of key
        #[arg(value_enum)]
        algorithm: KeyAlgorithm,
        /// Size of an RSA key, 2048 to 4096
        #[arg(long, default_value_t = 2048)]
        bits: usize,
        /// File to write; must not exist
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the TXT record for a private key
    Txt {
        /// The private key, PKCS#8 PEM
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    Ed25519,
    Rsa,
}

#[derive(Debug, Args)]
pub(crate) struct DkimSign {
    /// Signing domain (d=)
    #[arg(long)]
    pub(crate) domain: String,
    /// Selector (s=)
    #[arg(long)]
    pub(crate) selector: String,
    /// The private key, PKCS#8 PEM
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// Canonicalization of header and body
    #[arg(long, value_name = "HEADER/BODY", default_value = "relaxed/relaxed")]
    pub(crate) canonicalization: String,
    /// Header fields to sign, separated by colons
    #[arg(long, value_name = "NAME:NAME")]
    pub(crate) headers: Option<String>,
    /// Agent or user identity (i=), such as user@example.org
    #[arg(long)]
    pub(crate) identity: Option<String>,
    /// Seconds until the signature expires (x=)
    #[arg(long, value_name = "SECONDS")]
    pub(crate) expire: Option<u64>,
    /// The message [default: standard input]
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DmarcVerb {
    /// Find the record that applies to a domain
    Lookup {
        /// The domain
        domain: String,
        /// Which standard to follow
        #[arg(long, value_enum, default_value_t = DmarcRfc::Rfc9989)]
        rfc: DmarcRfc,
        #[command(flatten)]
        lookup: Lookup,
    },
    /// Evaluate given SPF and DKIM results for an author domain
    Check {
        /// Domain of the From header field
        #[arg(long)]
        from: String,
        /// SPF result
        #[arg(long, requires = "spf_domain")]
        spf_result: Option<String>,
        /// Domain that SPF checked
        #[arg(long, requires = "spf_result")]
        spf_domain: Option<String>,
        /// Signing domain and result of one DKIM signature; may be given more than once
        #[arg(long, value_name = "DOMAIN=RESULT")]
        dkim: Vec<String>,
        /// Which standard to follow
        #[arg(long, value_enum, default_value_t = DmarcRfc::Rfc9989)]
        rfc: DmarcRfc,
        #[command(flatten)]
        lookup: Lookup,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DmarcRfc {
    /// Tree walk, np=, psd=, t=
    #[value(name = "9989")]
    Rfc9989,
    /// Public suffix list, pct=
    #[value(name = "7489")]
    Rfc7489,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DnsblVerb {
    /// Is an address listed in a zone?
    Check {
        /// The zone of the list
        zone: String,
        /// The address
        ip: IpAddr,
        #[command(flatten)]
        lookup: Lookup,
    },
}
