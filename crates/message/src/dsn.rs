//! Delivery status notifications (RFC 3464, RFC 6533): written, and read back.

mod parse;
mod status;
mod write;

pub use parse::parse;
pub use write::compose;

use crate::Date;
use smtp_parser::{EnhancedCode, Mailbox, Path};
use std::fmt;
use std::net::IpAddr;

/// Recipients of one report that are read. As many as one transaction may have.
pub const MAX_RECIPIENTS: usize = 1000;

/// What became of a message, for programs (RFC 3464 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The envelope identifier the sender gave with ENVID (RFC 3461 §4.4), decoded.
    pub envelope_id: Option<String>,
    /// Who reports.
    pub reporting_mta: Mta,
    /// The gateway that translated a report of another kind, if any.
    pub gateway: Option<Mta>,
    /// From whom the message was received.
    pub received_from: Option<Mta>,
    /// When the message was received.
    pub arrival: Option<Date>,
    /// What became of it, recipient by recipient.
    pub recipients: Vec<Recipient>,
}

impl Report {
    /// A report of this host, as yet without recipients.
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

/// What became of a message for one recipient (RFC 3464 §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recipient {
    /// The recipient the sender wrote to, as given with ORCPT.
    pub original: Option<OriginalAddress>,
    /// The recipient as we knew it.
    pub recipient: Path,
    /// What was done.
    pub action: Action,
    /// Why.
    pub status: EnhancedCode,
    /// The same in words.
    pub status_text: Option<String>,
    /// The server that told us, if one did.
    pub remote: Option<Mta>,
    /// What it told us: the SMTP reply.
    pub diagnostic: Option<String>,
    /// When we tried last.
    pub last_attempt: Option<Date>,
    /// Our identifier of the last attempt, for whoever reads logs.
    pub log_id: Option<String>,
    /// Until when we shall try, if we go on.
    pub retry_until: Option<Date>,
}

impl Recipient {
    /// What was done for a recipient, with the general status of that action: 5.0.0, 4.0.0 or 2.0.0.
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
    /// It was not delivered and will not be.
    Failed,
    /// It was not delivered yet; we go on trying.
    Delayed,
    /// It is in the recipient's mailbox.
    Delivered,
    /// It went on to a server that does not report.
    Relayed,
    /// It went on to several recipients.
    Expanded,
}

impl Action {
    /// All of them.
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

/// A server, by its name in DNS or what it said its name is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mta {
    /// The name, or an address literal.
    pub name: String,
    /// Its address, if that is to be told.
    pub ip: Option<IpAddr>,
}

impl Mta {
    /// A server of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ip: None }
    }

    /// The same with its address.
    #[must_use]
    pub fn at(mut self, ip: IpAddr) -> Self {
        self.ip = Some(ip);
        self
    }
}

/// An address of any kind, as ORCPT gives it (RFC 3461 §4.2), decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OriginalAddress {
    /// The kind of address: `rfc822` or `utf-8` as a rule.
    pub kind: String,
    /// The address.
    pub address: String,
}

impl OriginalAddress {
    /// An address of this kind.
    pub fn new(kind: impl Into<String>, address: impl Into<String>) -> Self {
        Self { kind: kind.into(), address: address.into() }
    }
}

/// The letter that carries a report, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who writes: postmaster of the reporting host.
    pub from: Mailbox,
    /// The sender of the message reported on.
    pub to: Mailbox,
    /// Subject, any text.
    pub subject: String,
    /// Its Message-ID with angle brackets, as [`crate::compose::message_id`] makes it.
    pub message_id: String,
    /// The Message-ID of the message reported on, with angle brackets.
    pub references: Option<String>,
    /// What happened, in words; lines may end in LF or CRLF.
    pub text: String,
    /// Use UTF-8 as RFC 6533 has it. Only done if the original needed SMTPUTF8.
    pub utf8: bool,
}

/// The message reported on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Original<'a> {
    /// The message or its header; only the header is sent back. Empty: nothing is.
    pub message: &'a [u8],
    /// Its transaction used SMTPUTF8.
    pub utf8: bool,
}

/// An enhanced status code at the start of a text, and the text after it.
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
