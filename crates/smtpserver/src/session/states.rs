//! The states of a session. What only one state needs is kept in that state.

use smtp_parser::{Body, DataDecoder};

use super::CloseReason;
use super::auth::Exchange;
use crate::envelope::Sender;
use crate::refusal::Refusal;
use crate::replies::Wording;

/// Where a session is.
pub(super) enum State {
    /// Nothing was said, or TLS has just begun.
    Fresh,
    /// After HELO or EHLO.
    Greeted,
    /// Within AUTH.
    Authenticating(Box<Exchange>),
    /// After MAIL: recipients are taken, or chunks.
    Mail(Box<Transaction>),
    /// After DATA, or within a chunk.
    Receiving(Box<Transaction>),
    /// Within a chunk that nobody wants.
    Skipping(Skip),
    /// At the end.
    Closing(CloseReason),
}

/// A chunk that nobody wants. RFC 3030 §2: its octets come all the same.
pub(super) struct Skip {
    pub(super) left: u64,
    /// What is said at its end.
    pub(super) then: Wording,
    /// The transaction, where there is one that lacks recipients.
    pub(super) transaction: Option<Box<Transaction>>,
}

/// One message on its way, as far as the session knows it.
pub(super) struct Transaction {
    pub(super) sender: Box<Sender>,
    pub(super) recipients: usize,
    /// The message, from DATA or the first chunk on.
    pub(super) reception: Option<Reception>,
}

/// A message that is being received.
pub(super) struct Reception {
    pub(super) decoder: DataDecoder,
    /// The chunk of BDAT; `None` after DATA.
    pub(super) chunk: Option<Chunk>,
    /// What will be said at the end, whatever still comes.
    pub(super) spoiled: Option<Refusal>,
}

/// A chunk of BDAT.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) size: u64,
    pub(super) left: u64,
    pub(super) last: bool,
}

impl Transaction {
    pub(super) fn new(sender: Box<Sender>) -> Self {
        Self { sender, recipients: 0, reception: None }
    }

    /// Nothing can save the message any more; the first reason counts.
    pub(super) fn spoil(&mut self, refusal: Refusal) {
        if let Some(reception) = &mut self.reception {
            reception.spoiled.get_or_insert(refusal);
        }
    }

    pub(super) fn is_binary(&self) -> bool {
        self.sender.body == Some(Body::BinaryMime)
    }

    /// Has BDAT begun?
    pub(super) fn is_chunked(&self) -> bool {
        self.reception.as_ref().is_some_and(|reception| reception.chunk.is_some())
    }
}
