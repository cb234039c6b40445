//! The questions of a session, and their answers.
//!
//! A question borrows the session that asks it, and its answer is one of its own methods. So the compiler rules out an
//! answer to a question that was not asked, a second answer, an answer from another session, and input given to a session
//! that waits for an answer.
//!
//! A question also owns what it is about (the exchange of AUTH, the transaction). An owner that drops a question without
//! an answer thereby ends that exchange or transaction; the client gets no reply to its command.

use std::fmt;
use std::time::SystemTime;

use sasl::{Identity, Mechanism, NONCE_BYTES, Need, Verifier};
use smtp_parser::Path;

use super::auth::Exchange;
use super::states::{State, Transaction};
use super::{Next, Session};
use crate::client::{Client, Hello, Login};
use crate::envelope::{Received, Sender};
use crate::refusal::Refusal;

/// A question for the session's owner.
pub enum Ask<'s, T> {
    /// May the client call itself this?
    Hello(AskHello<'s, T>),
    /// Asks for random bytes.
    Nonce(AskNonce<'s, T>),
    /// What does an exchange of AUTH have to know about a user?
    Secret(AskSecret<'s, T>),
    /// Which account does a proved identity belong to?
    Login(AskLogin<'s, T>),
    /// May this sender begin a transaction?
    Sender(AskSender<'s, T>),
    /// May this recipient have the message?
    Recipient(AskRecipient<'s, T>),
    /// The message is complete: does the owner accept it?
    Message(AskMessage<'s, T>),
}

impl<T> fmt::Debug for Ask<'_, T> {
    /// The question's name alone: what it is about may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hello(_) => "Hello",
            Self::Nonce(_) => "Nonce",
            Self::Secret(_) => "Secret",
            Self::Login(_) => "Login",
            Self::Sender(_) => "Sender",
            Self::Recipient(_) => "Recipient",
            Self::Message(_) => "Message",
        })
    }
}

/// May the client call itself this?
#[must_use]
pub struct AskHello<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) hello: Hello,
}

impl<'s, T> AskHello<'s, T> {
    /// The client, whose new name is not among these facts yet.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// The name that the client gave.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Accepts the name; the reply announces the extensions.
    pub fn accept(self, now: SystemTime, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.greeted(self.hello, now, out)
    }

    /// Refuses the name.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.refuse(refusal, out)
    }
}

/// Asks for random bytes, with which an exchange of AUTH begins.
#[must_use]
pub struct AskNonce<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) mechanism: Mechanism,
    /// The decoded initial response.
    pub(super) initial: Option<Vec<u8>>,
}

impl<'s, T> AskNonce<'s, T> {
    /// Supplies bytes of a cryptographic random generator, which must not be used for anything else.
    pub fn supply(self, random: [u8; NONCE_BYTES], now: SystemTime, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.begin_exchange(self.mechanism, self.initial.as_deref(), (random, now), out)
    }

    /// Refuses the exchange, which needs random bytes that the owner does not have.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.login_refused(Some(self.mechanism), None, refusal, out)
    }
}

/// What does an exchange of AUTH have to know about a user?
#[must_use]
pub struct AskSecret<'s, T> {
    pub(super) reply: SecretReply<'s, T>,
    pub(super) need: Need,
}

impl<'s, T> AskSecret<'s, T> {
    /// Failed logins on this connection so far. The more there are, the longer the answer should take.
    pub fn failed_logins(&self) -> u32 {
        self.reply.session.counts.failed_logins
    }

    /// Separates what is needed from the reply.
    pub fn split(self) -> (Need, SecretReply<'s, T>) {
        (self.need, self.reply)
    }
}

/// The answer to an [`AskSecret`].
#[must_use]
pub struct SecretReply<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) exchange: Box<Exchange>,
}

impl<'s, T> SecretReply<'s, T> {
    /// The client that logs in.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// Supplies the secret, or the result of the check.
    pub fn supply(self, verifier: Verifier, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.secret_supplied(self.exchange, verifier, out)
    }

    /// Refuses the login because of trouble on our side.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.exchange_refused(*self.exchange, refusal, out)
    }
}

/// Which account does a proved identity belong to?
#[must_use]
pub struct AskLogin<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) exchange: Box<Exchange>,
    pub(super) identity: Identity,
}

impl<'s, T> AskLogin<'s, T> {
    /// The client that logs in.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// The user that the client has proved to be.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Logs the client in to this account.
    pub fn accept(self, login: Login, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.logged_in(*self.exchange, login, out)
    }

    /// Refuses the login although the proof is right.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.exchange_refused(*self.exchange, refusal, out)
    }
}

/// May this sender begin a transaction?
#[must_use]
pub struct AskSender<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) sender: Box<Sender>,
}

impl<'s, T> AskSender<'s, T> {
    /// The client that sends.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// The sender and parameters of MAIL.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Begins a transaction. The session keeps `data` for its owner until the transaction ends.
    pub fn accept(self, data: T, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.begin_transaction(self.sender, data, out)
    }

    /// Refuses the sender, so that no transaction begins.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.refuse(refusal, out)
    }
}

/// May this recipient have the message?
#[must_use]
pub struct AskRecipient<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) transaction: Box<Transaction<T>>,
    pub(super) path: Path,
}

impl<'s, T> AskRecipient<'s, T> {
    /// The client, the owner's data of the transaction, and the recipient.
    pub fn parts(&mut self) -> (&Client, &mut T, &Path) {
        (&self.session.client, &mut self.transaction.data, &self.path)
    }

    /// Adds the recipient.
    pub fn accept(mut self, out: &mut Vec<u8>) -> Next<'s, T> {
        self.transaction.recipients += 1;
        self.session.state = State::Mail(self.transaction);
        self.session.recipient_added(out)
    }

    /// Refuses the recipient. The transaction goes on.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.state = State::Mail(self.transaction);
        self.session.refuse(refusal, out)
    }
}

/// The message is complete: does the owner accept it?
#[must_use]
pub struct AskMessage<'s, T> {
    pub(super) reply: MessageReply<'s, T>,
    pub(super) transaction: Box<Transaction<T>>,
}

impl<'s, T> AskMessage<'s, T> {
    /// Separates the owner's data of the transaction, which is over, from the reply.
    pub fn split(self) -> (T, MessageReply<'s, T>) {
        (self.transaction.data, self.reply)
    }
}

/// The answer to an [`AskMessage`].
#[must_use]
pub struct MessageReply<'s, T> {
    pub(super) session: &'s mut Session<T>,
    pub(super) received: Received,
}

impl<'s, T> MessageReply<'s, T> {
    /// The client that sends.
    pub fn client(&self) -> &Client {
        &self.session.client
    }

    /// Facts about the message.
    pub fn received(&self) -> &Received {
        &self.received
    }

    /// Accepts the message: it is ours now, and must not be lost.
    pub fn accept(self, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.message_accepted(out)
    }

    /// Refuses the message, whose transaction is over.
    pub fn refuse(self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'s, T> {
        self.session.message_refused(refusal, out)
    }
}

/// A piece of the message, for the transaction that [`Ask::Sender`] began.
pub struct Content<'s, 'i, T> {
    pub(super) transaction: &'s mut Transaction<T>,
    pub(super) bytes: &'i [u8],
}

impl<'i, T> Content<'_, 'i, T> {
    /// The owner's data of the transaction, and the piece.
    pub fn parts(&mut self) -> (&mut T, &'i [u8]) {
        (&mut self.transaction.data, self.bytes)
    }

    /// Refuses the message. The session reads it to its end without giving more of it, and then replies with `refusal`.
    pub fn refuse(self, refusal: Refusal) {
        self.transaction.spoil(refusal);
    }
}

impl<T> fmt::Debug for Content<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}
