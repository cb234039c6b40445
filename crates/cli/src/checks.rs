//! The arguments of the verbs that check one protocol each.

use crate::{Dns, Output};
use clap::{Args, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// Arguments of every verb that queries DNS and reports what it found.
#[derive(Debug, Args)]
// As a group it would have the name of the verbs `lookup`.
#[group(skip)]
pub struct Lookup {
    #[command(flatten)]
    pub dns: Dns,
    #[command(flatten)]
    pub output: Output,
}

/// Arguments of every verb that ends in a result such as pass or fail.
#[derive(Debug, Clone, Copy, Args)]
pub struct Judged {
    /// Exit with status 3 unless the result is pass
    #[arg(long)]
    pub exit_code: bool,
}

/// Arguments of `verify`: what a client would tell the server at delivery.
#[derive(Debug, Args)]
pub struct Verify {
    /// Address of the client
    #[arg(long)]
    pub ip: IpAddr,
    /// Name given in HELO or EHLO
    #[arg(long)]
    pub helo: String,
    /// Address given in MAIL FROM; empty for the null path
    #[arg(long)]
    pub mailfrom: String,
    /// The message [default: standard input]
    #[arg(default_value = "-")]
    pub file: PathBuf,
    #[command(flatten)]
    pub lookup: Lookup,
    #[command(flatten)]
    pub judged: Judged,
}

/// Arguments of `dmarc check`.
#[derive(Debug, Args)]
pub struct DmarcCheck {
    /// Domain of the From header field
    #[arg(long)]
    pub from: String,
    /// Result of SPF, such as pass or softfail
    #[arg(long, requires = "spf_domain")]
    pub spf_result: Option<String>,
    /// Domain that SPF checked
    #[arg(long, requires = "spf_result")]
    pub spf_domain: Option<String>,
    /// Signing domain and result of one DKIM signature; may be given more than once
    #[arg(long, value_name = "DOMAIN=RESULT")]
    pub dkim: Vec<String>,
    /// Which standard to follow
    #[arg(long, value_enum, default_value_t = DmarcRfc::Rfc9989)]
    pub rfc: DmarcRfc,
    #[command(flatten)]
    pub lookup: Lookup,
    #[command(flatten)]
    pub judged: Judged,
}

/// Arguments of `spf check`.
#[derive(Debug, Args)]
pub struct SpfCheck {
    /// Address of the client
    #[arg(long)]
    pub ip: IpAddr,
    /// Address given in MAIL FROM; without it the HELO name is checked
    #[arg(long)]
    pub mailfrom: Option<String>,
    /// Name given in HELO or EHLO
    #[arg(long)]
    pub helo: Option<String>,
    /// Name of the receiving host, for Received-SPF and the macro r
    #[arg(long)]
    pub receiver: Option<String>,
    #[command(flatten)]
    pub lookup: Lookup,
    #[command(flatten)]
    pub judged: Judged,
}

#[derive(Debug, Subcommand)]
pub enum SpfVerb {
    /// May this address send for this sender?
    Check(SpfCheck),
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
pub enum DkimVerb {
    /// Verify every signature of a message
    Verify {
        /// The message [default: standard input]
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        lookup: Lookup,
        #[command(flatten)]
        judged: Judged,
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
    /// Print the TXT record for a private key: its value, or with --selector the line of a zone file
    Txt {
        /// The private key, PKCS#8 PEM
        file: PathBuf,
        /// Selector: print the line of a zone file, in strings of 255 bytes at most
        #[arg(long)]
        selector: Option<String>,
        /// Signing domain; without it the name is relative to that of the zone
        #[arg(long, requires = "selector")]
        domain: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    Ed25519,
    Rsa,
}

#[derive(Debug, Args)]
pub struct DkimSign {
    /// Signing domain (d=)
    #[arg(long)]
    pub domain: String,
    /// Selector (s=)
    #[arg(long)]
    pub selector: String,
    /// The private key, PKCS#8 PEM
    #[arg(long)]
    pub key: PathBuf,
    /// Canonicalization of header and body
    #[arg(long, value_name = "HEADER/BODY", default_value = "relaxed/relaxed")]
    pub canonicalization: String,
    /// Header fields to sign, separated by colons
    #[arg(long, value_name = "NAME:NAME")]
    pub headers: Option<String>,
    /// Agent or user identity (i=), such as user@example.org
    #[arg(long)]
    pub identity: Option<String>,
    /// Seconds until the signature expires (x=)
    #[arg(long, value_name = "SECONDS")]
    pub expire: Option<u64>,
    /// The message [default: standard input]
    #[arg(default_value = "-")]
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum DmarcVerb {
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
    Check(DmarcCheck),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DmarcRfc {
    /// Tree walk, np=, psd=, t=
    #[value(name = "9989")]
    Rfc9989,
    /// Public suffix list, pct=
    #[value(name = "7489")]
    Rfc7489,
}

#[derive(Debug, Subcommand)]
pub enum DnsblVerb {
    /// Is an address listed in a zone?
    Check {
        /// The zone of the list
        zone: String,
        /// The address
        ip: IpAddr,
        #[command(flatten)]
        lookup: Lookup,
        #[command(flatten)]
        judged: Judged,
    },
}
