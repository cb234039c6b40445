//! A message that a client offers, from MAIL to its end.

use crate::IntakeSettings;
use crate::body::Arriving;
use crate::evidence::Gathering;
use crate::recipients::Recipient;
use crate::signing::Hashing;
use smtp_parser::Path;
use smtpserver::Login;
use std::sync::Arc;

/// A message that a client offers, with what its kind of sender needs.
#[derive(Debug)]
pub struct Offer {
    pub(crate) message: OfferedMessage,
    pub(crate) offered: Offered,
}

/// The envelope and the content of a message, from a server or from a user.
#[derive(Debug)]
pub(crate) struct OfferedMessage {
    /// The settings as they were at MAIL; they hold to the end of the message.
    pub(crate) settings: Arc<IntakeSettings>,
    pub(crate) envelope: Envelope,
    pub(crate) arriving: Arriving,
}

/// Sender and recipients (RFC 5321 §2.3.1).
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) sender: Path,
    /// SMTPUTF8 was given: header and addresses may have UTF-8 (RFC 6531 §3.4).
    pub(crate) utf8: bool,
    /// REQUIRETLS was given (RFC 8689 §2).
    pub(crate) require_tls: bool,
    pub(crate) recipients: Vec<Recipient>,
}

/// The origin of a message, a server or a user, and the checks that run while it arrives.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Another server: evidence about the sender is gathered.
    FromServer { gathering: Box<Gathering> },
    /// A user of ours: what the signatures cover is hashed, from the end of the header on, where the domain signs.
    FromUser { login: Login, hashing: Option<Hashing> },
}

impl Offered {
    pub(crate) fn is_submission(&self) -> bool {
        matches!(self, Self::FromUser { .. })
    }

    /// Takes the next bytes of the body.
    pub(crate) fn body(&mut self, piece: &[u8]) {
        match self {
            Self::FromServer { gathering } => gathering.body(piece),
            Self::FromUser { hashing: Some(hashing), .. } => hashing.body(piece),
            Self::FromUser { hashing: None, .. } => {}
        }
    }
}
