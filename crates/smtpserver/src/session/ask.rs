//! The questions of a session. Each can be answered once, and an answer can only be made from its question.

use std::time::Duration;

use sasl::{Identity, NONCE_OCTETS, Need, Verifier};
use smtp_parser::Path;

use crate::client::{Hello, Login};
use crate::envelope::{Received, Sender};
use crate::refusal::Refusal;

/// A question. [`super::Session::answer`] takes the answer; until then the session takes no input.
#[derive(Debug)]
pub enum Ask {
    /// May the client call itself this?
    Hello(AskHello),
    /// Octets from a random generator, after a while.
    Nonce(AskNonce),
    /// What an exchange of AUTH needs to know of a user.
    Secret(AskSecret),
    /// Who a proved identity is here.
    Login(AskLogin),
    /// May this sender begin a transaction?
    Sender(AskSender),
    /// May this recipient have the message?
    Recipient(AskRecipient),
    /// The message is complete: is it taken?
    Message(AskMessage),
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub struct Answer(pub(super) Given);

#[derive(Debug)]
pub(super) enum Given {
    Hello(Result<Hello, Refusal>),
    Nonce([u8; NONCE_OCTETS]),
    Secret(Result<Verifier, Refusal>),
    Login(Result<Login, Refusal>),
    Sender(Result<Box<Sender>, Refusal>),
    Recipient(Result<(), Refusal>),
    Message(Result<(), Refusal>),
}

/// May the client call itself this?
#[derive(Debug)]
pub struct AskHello(pub(super) Hello);

impl AskHello {
    /// What the client calls itself.
    pub fn hello(&self) -> &Hello {
        &self.0
    }

    /// Yes.
    pub fn accept(self) -> Answer {
        Answer(Given::Hello(Ok(self.0)))
    }

    /// No.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Hello(Err(refusal)))
    }
}

/// Octets from a random generator, after a while.
#[derive(Debug)]
pub struct AskNonce(pub(super) Duration);

impl AskNonce {
    /// How long to wait with the answer: clients that fail too often must not go on at once.
    pub fn wait(&self) -> Duration {
        self.0
    }

    /// Octets of a cryptographic random generator, used for nothing else.
    pub fn supply(self, random: [u8; NONCE_OCTETS]) -> Answer {
        Answer(Given::Nonce(random))
    }

    /// There are none, and without them there is no exchange.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Login(Err(refusal)))
    }
}

/// What an exchange of AUTH needs to know of a user.
#[derive(Debug)]
pub struct AskSecret(pub(super) Need);

impl AskSecret {
    /// What is needed, and how to answer with it.
    pub fn split(self) -> (Need, SecretReply) {
        (self.0, SecretReply(()))
    }
}

/// Makes the answer to an [`AskSecret`].
#[derive(Debug)]
pub struct SecretReply(());

impl SecretReply {
    /// The secret.
    pub fn supply(self, verifier: Verifier) -> Answer {
        Answer(Given::Secret(Ok(verifier)))
    }

    /// It cannot be told: trouble of our own.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Secret(Err(refusal)))
    }
}

/// Who a proved identity is here.
#[derive(Debug)]
pub struct AskLogin(pub(super) Identity);

impl AskLogin {
    /// Who the client has proved to be.
    pub fn identity(&self) -> &Identity {
        &self.0
    }

    /// This account.
    pub fn accept(self, login: Login) -> Answer {
        Answer(Given::Login(Ok(login)))
    }

    /// Nobody who may log in.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Login(Err(refusal)))
    }
}

/// May this sender begin a transaction?
#[derive(Debug)]
pub struct AskSender(pub(super) Box<Sender>);

impl AskSender {
    /// What MAIL said.
    pub fn sender(&self) -> &Sender {
        &self.0
    }

    /// Yes.
    pub fn accept(self) -> Answer {
        Answer(Given::Sender(Ok(self.0)))
    }

    /// No.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Sender(Err(refusal)))
    }
}

/// May this recipient have the message?
#[derive(Debug)]
pub struct AskRecipient(pub(super) Path);

impl AskRecipient {
    /// The recipient.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Yes.
    pub fn accept(self) -> Answer {
        Answer(Given::Recipient(Ok(())))
    }

    /// No.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Recipient(Err(refusal)))
    }
}

/// The message is complete: is it taken?
#[derive(Debug)]
pub struct AskMessage(pub(super) Received);

impl AskMessage {
    /// What is known of it.
    pub fn received(&self) -> &Received {
        &self.0
    }

    /// It is ours, and will not be lost.
    pub fn accept(self) -> Answer {
        Answer(Given::Message(Ok(())))
    }

    /// It is not taken.
    pub fn refuse(self, refusal: Refusal) -> Answer {
        Answer(Given::Message(Err(refusal)))
    }
}
