//! The states of a session. What only one state needs is kept in that state.

use smtp_parser::{Body, DataDecoder};

use super::CloseReason;
use super::auth::Exchange;
use crate::envelope::Sender;
use crate::refusal::Refusal;
use crate::replies::ReplyTemplate;

/// What a session expects next. While a question waits for its answer, the question owns the transaction or exchange and
/// the session is [`State::Idle`]; the owner cannot see that, because the question borrows the session.
pub(super) enum State<T> {
    /// A command; there is no transaction.
    Idle,
    /// The client's next line of an AUTH exchange.
    Authenticating(Box<Exchange>),
    /// A command; there is a transaction, of which chunks may have come already.
    Mail(Box<Transaction<T>>),
    /// Content: after DATA, or within a chunk of BDAT.
    Receiving(Box<Transaction<T>>),
    /// The rest of a chunk that is discarded.
    Skipping(Skip<T>),
    /// Nothing: the session is over.
    Closed(CloseReason),
}

/// A chunk that is discarded. RFC 3030 §2: the client sends its bytes before it sees our reply.
pub(super) struct Skip<T> {
    pub(super) left: u64,
    /// The reply after the last byte.
    pub(super) then: ReplyTemplate,
    /// The transaction, where there is one that lacks recipients.
    pub(super) transaction: Option<Box<Transaction<T>>>,
}

/// One message on its way, as far as the session knows it.
pub(super) struct Transaction<T> {
    pub(super) sender: Box<Sender>,
    pub(super) recipients: usize,
    /// The message, from DATA or the first chunk on.
    pub(super) reception: Option<Reception>,
    /// What the session's owner keeps of the message.
    pub(super) data: T,
}

/// A message that is being received.
pub(super) struct Reception {
    pub(super) decoder: DataDecoder,
    /// The chunk of BDAT; `None` after DATA.
    pub(super) chunk: Option<Chunk>,
    /// Why the message will be refused at its end, whatever still comes.
    pub(super) spoiled: Option<Refusal>,
}

/// A chunk of BDAT.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) size: u64,
    pub(super) left: u64,
    pub(super) last: bool,
}

/// How the client has proved who it is; [`crate::Client::login`] says who that is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It has not.
    None,
    /// By the certificate of its TLS handshake alone: it may still confirm that with AUTH.
    Certificate,
    /// By AUTH.
    Auth,
}

/// How fast the client is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Without delay.
    Full,
    /// Slowly until the first command outside of the transaction that earned it: another server.
    SlowForTransaction,
    /// Slowly until the client has logged in: a user.
    SlowUntilLogin,
}

impl<T> Transaction<T> {
    pub(super) fn new(sender: Box<Sender>, data: T) -> Self {
        Self { sender, recipients: 0, reception: None, data }
    }

    /// Settles that the message will be refused. The first reason counts.
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
