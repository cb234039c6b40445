//! The seam to everything that decides about mail.

use std::future::Future;

use ratelimit::{LoginKey, Network};
use sasl::{Identity, Mechanism, Need, Verifier};
use smtp_parser::Path;

use crate::client::{Client, Hello, Login};
use crate::envelope::{Received, Sender};
use crate::refusal::Refusal;

/// Answers the questions of sessions. One backend serves all connections, so state of a connection or message belongs into
/// [`Backend::Connection`] and [`Backend::Transaction`].
///
/// The driver calls at most one method at a time for a connection. It may drop a future when the server stops, so dropping
/// one must not undo a commit that has begun.
pub trait Backend: Send + Sync + 'static {
    /// State of a connection, such as a reverse lookup under way. Dropped when the connection ends.
    type Connection: Send;
    /// State of a message, from MAIL to its end. The driver drops it without further notice when the transaction ends without
    /// a message (RSET, a lost connection, a refusal).
    type Transaction: Send;

    /// Begins a connection, before the greeting.
    fn connect(&self, client: &Client) -> Self::Connection;

    /// Decides whether the client may give this name in HELO or EHLO. Not called on submission listeners in the lenient
    /// dialect.
    fn hello(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        hello: &Hello,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = (connection, client, hello);
        async { Ok(()) }
    }

    /// Supplies what an exchange of AUTH needs to know about a user. The answer for users that do not exist must look the same
    /// as for others: a [`sasl::Decoy`], or a check that takes as long. Only trouble on our side is a refusal. For
    /// [`Need::Certificate`], which also follows a handshake with a client certificate, the key is in [`Client::tls`].
    /// `standing` says which attempts come first under load.
    fn secret(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        standing: Standing,
        need: Need,
    ) -> impl Future<Output = Result<Verifier, Refusal>> + Send;

    /// The key that failed logins of `username` are counted by: the same for all spellings of one account, so that guesses
    /// cannot be spread over them. Computing it must not take less time for a user that exists.
    fn login_key(&self, username: &str) -> LoginKey;

    /// Finds the account of `identity`, which the client has proved; or says why it may not log in.
    fn login(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        identity: &Identity,
    ) -> impl Future<Output = Result<Login, Refusal>> + Send;

    /// Notes a failed login.
    fn login_failed(&self, connection: &mut Self::Connection, client: &Client, failure: &LoginFailure) {
        let _ = (connection, client, failure);
    }

    /// Decides about MAIL, and begins a transaction.
    fn sender(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        sender: &Sender,
    ) -> impl Future<Output = Result<Self::Transaction, Refusal>> + Send;

    /// Decides about RCPT, and adds the recipient to the transaction.
    fn recipient(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        transaction: &mut Self::Transaction,
        recipient: &Path,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes the next bytes of the message: dots removed, lines ended by CRLF. After a refusal the backend gets no more of the
    /// message; the session reads it to its end and then replies with the refusal.
    fn content(
        &self,
        transaction: &mut Self::Transaction,
        content: &[u8],
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Notes what the session has refused without asking: a size, a parameter, a recipient too many, or a message because of
    /// its form on the wire or a refusal by [`Backend::content`].
    fn refused(&self, client: &Client, what: Refused<'_, Self::Transaction>, refusal: &Refusal) {
        let _ = (client, what, refusal);
    }

    /// Decides about a complete message. `Ok` makes us responsible for it (RFC 5321 §6.1), so it must be on disk by then.
    fn message(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        transaction: Self::Transaction,
        received: &Received,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A command or message that the session refused without asking the backend.
#[derive(Debug)]
pub enum Refused<'a, T> {
    /// A sender, with which no transaction has begun.
    Sender(&'a Path),
    /// A recipient of a transaction, which goes on.
    Recipient(&'a T, &'a Path),
    /// The message of a transaction, with its size in bytes.
    Message(&'a T, u64),
}

/// The priority of an attempt to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Has the account logged in from there recently? Such attempts come before those of strangers.
    pub known: bool,
    /// The provider's network that the attempt comes from. Networks share what strangers get.
    pub network: Network,
}

/// A login that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFailure {
    /// The user, normalised, if the client has named one.
    pub username: Option<String>,
    /// The mechanism, where it is known.
    pub mechanism: Option<Mechanism>,
    /// Decides the reply, and whether the failure counts against the network.
    pub reason: LoginFailureReason,
}

/// Why a login has failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailureReason {
    /// Unknown user, wrong password, or no right to log in.
    Credentials,
    /// The user exists but has no secret for this mechanism, which is not the client's fault.
    SecretAbsent,
    /// The client stopped the exchange.
    Aborted,
    /// The client broke the protocol.
    Protocol,
    /// We could not check it, or do not allow it here.
    Unavailable,
}

impl LoginFailureReason {
    /// The value of the metric label `result`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Credentials => "badcreds",
            Self::Aborted => "aborted",
            Self::SecretAbsent | Self::Protocol | Self::Unavailable => "error",
        }
    }

    /// Does the failure count against the client's network?
    pub fn counts(self) -> bool {
        !matches!(self, Self::SecretAbsent | Self::Unavailable)
    }
}
