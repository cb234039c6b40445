//! Delivery status notifications (RFC 3464, RFC 6533): writing and reading them.

mod parse;
mod status;
mod write;

pub use parse::parse;
pub use write::compose;

use crate::Date;
use smtp_parser::{EnhancedCode, Mailbox, Path};
use std::fmt;
use std::net::IpAddr;

/// Recipients of one report that are read; a transaction may have as many.
pub const MAX_RECIPIENTS: usize = 1000;

/// The machine-readable part of a report: what happened to a message (RFC 3464 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The envelope identifier that the sender gave with ENVID (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<String>,
    /// The server that reports.
    pub reporting_mta: Mta,
    /// The gateway that translated a report of another kind, if any.
    pub gateway: Option<Mta>,
    /// The server that the message came from.
    pub received_from: Option<Mta>,
    /// When the message was received.
    pub arrival: Option<Date>,
    /// What happened for each recipient.
    pub recipients: Vec<Recipient>,
}

impl Report {
    /// Creates a report of this host without recipients.
    pub fn new(reporting_mta: Mta) -> Self {
        Self {
            envelope_id: None,
            reporting_mta,
            gateway: None,
            received_from: None,
            arrival: None,
            recipients: Vec::new(),
        }
    }
}

/// What happened to a message for one recipient (RFC 3464 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The recipient that the sender wrote to, from ORCPT.
    pub original: Option<OriginalAddress>,
    /// The recipient that we tried to deliver to.
    pub recipient: Path,
    /// The outcome of the last attempt.
    pub action: Action,
    /// The reason, as a code.
    pub status: EnhancedCode,
    /// The reason in words.
    pub status_text: Option<String>,
    /// The server that gave the reason, if one did.
    pub remote: Option<Mta>,
    /// The SMTP reply of that server.
    pub diagnostic: Option<String>,
    /// Time of the last attempt.
    pub last_attempt: Option<Date>,
    /// Our identifier of the last attempt, to find it in logs.
    pub log_id: Option<String>,
    /// Time of the last retry, if we go on trying.
    pub retry_until: Option<Date>,
}

impl Recipient {
    /// Creates the entry of a recipient with the general status of the action: 5.0.0, 4.0.0 or 2.0.0.
    pub fn new(recipient: Path, action: Action) -> Self {
        let status = match action {
            Action::Failed => EnhancedCode::permanent(0, 0),
            Action::Delayed => EnhancedCode::temporary(0, 0),
            Action::Delivered | Action::Relayed | Action::Expanded => EnhancedCode::success(0, 0),
        };
        Self {
            original: None,
            recipient,
            action,
            status,
            status_text: None,
            remote: None,
            diagnostic: None,
            last_attempt: None,
            log_id: None,
            retry_until: None,
        }
    }
}

/// What was done with a message for one recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Not delivered, and we gave up.
    Failed,
    /// Not delivered yet; we go on trying.
    Delayed,
    /// Delivered to the recipient's mailbox.
    Delivered,
    /// Relayed to a server that sends no reports.
    Relayed,
    /// Relayed to several recipients.
    Expanded,
}

impl Action {
    /// All actions, in the order of RFC 3464.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Delayed, Self::Delivered, Self::Relayed, Self::Expanded];

    /// The word of RFC 3464 §2.3.3.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A server, by its name in DNS or the name it gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mta {
    /// The name, or an address literal.
    pub name: String,
    /// Its address, if the report is to name it.
    pub ip: Option<IpAddr>,
}

impl Mta {
    /// Creates a server with a name and no address.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ip: None }
    }

    /// Sets the address.
    #[must_use]
    pub fn at(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }
}

/// An address of any kind from ORCPT (RFC 3461 §4.2), decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginalAddress {
    /// The kind of address, usually `rfc822` or `utf-8`.
    pub kind: String,
    /// The decoded text, which may be in any syntax.
    pub address: String,
}

impl OriginalAddress {
    /// Creates an address from its kind and decoded text.
    pub fn new(kind: impl Into<String>, address: impl Into<String>) -> Self {
        Self { kind: kind.into(), address: address.into() }
    }
}

/// The message that carries a report, with the text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The author: postmaster of the reporting host.
    pub from: Mailbox,
    /// The sender of the message reported on.
    pub to: Mailbox,
    /// The subject; any text.
    pub subject: String,
    /// Its Message-ID with angle brackets, as [`crate::compose::message_id`] makes it.
    pub message_id: String,
    /// The Message-ID of the message reported on, with angle brackets.
    pub references: Option<String>,
    /// The explanation for people; lines may end in LF or CRLF.
    pub text: String,
    /// Use UTF-8 (RFC 6533). Only has an effect if the original used SMTPUTF8.
    pub utf8: bool,
}

/// The message reported on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Original<'a> {
    /// The message or its header. Only the header is returned; nothing if this is empty.
    pub message: &'a [u8],
    /// Its transaction used SMTPUTF8.
    pub utf8: bool,
}

/// Splits a text into the enhanced status code at its start and the rest.
///
/// ```
/// let (code, rest) = moxd_message::dsn::split_status("5.1.1 no such user").ok_or("no code")?;
/// assert_eq!((code.to_string().as_str(), rest), ("5.1.1", "no such user"));
/// # Ok::<(), &str>(())
/// ```
pub fn split_status(text: &str) -> Option<(EnhancedCode, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (code, rest) = text.split_at_checked(end)?;
    Some((code.parse().ok()?, rest.trim_start()))
}

#[cfg(test)]
mod tests;
