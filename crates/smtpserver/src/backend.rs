//! What a session asks, and who answers.

use std::future::Future;

use ratelimit::{LoginKey, Network};
use sasl::{Identity, Mechanism, Need, Verifier};
use smtp_parser::Path;

use crate::client::{Client, Hello, Login};
use crate::envelope::{Received, Sender};
use crate::refusal::Refusal;

/// Answers what a session asks. One backend serves all connections, so it keeps nothing of one connection or message in
/// itself: that is what [`Backend::Connection`] and [`Backend::Transaction`] are for.
///
/// The driver calls at most one method of a connection at a time. It may drop a future it waits for when the server
/// stops; a future that has begun to commit a message should therefore not be undone by being dropped.
pub trait Backend: Send + Sync + 'static {
    /// What is kept of a connection, such as a reverse lookup under way. Dropped when the connection ends.
    type Connection: Send;
    /// What is kept of a message, from MAIL to its end. Dropped without a word where the message does not come to be
    /// (RSET, a lost connection, a refusal).
    type Transaction: Send;

    /// A client has connected, and nothing was said yet.
    fn connect(&self, client: &Client) -> Self::Connection;

    /// May the client call itself this? Asked for HELO and EHLO; on submission listeners only in the strict dialect.
    fn hello(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        hello: &Hello,
    ) -> impl Future<Output = Result<(), Refusal>> + Send {
        let _ = (connection, client, hello);
        async { Ok(()) }
    }

    /// What an exchange of AUTH needs to know of a user. Answer for users that do not exist as for those that do: a
    /// [`sasl::Decoy`], or a check that takes as long. A refusal is for trouble of our own. For [`Need::Certificate`],
    /// which is also asked right after a handshake with a certificate, the key is in [`Client::tls`]. Where there is more
    /// to do than can be done at a time, `standing` says who comes first.
    fn secret(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        standing: Standing,
        need: Need,
    ) -> impl Future<Output = Result<Verifier, Refusal>> + Send;

    /// What failed logins of `username` are counted under: one for all spellings that lead to the same secret, or guesses
    /// would be spread over them. It must not be easier to find for a user who exists.
    fn login_key(&self, username: &str) -> LoginKey;

    /// Who `identity`, just proved, is here; or why it may not log in after all.
    fn login(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        identity: &Identity,
    ) -> impl Future<Output = Result<Login, Refusal>> + Send;

    /// A login has failed. Told for the record; it holds nothing up.
    fn login_failed(&self, connection: &mut Self::Connection, client: &Client, failure: &LoginFailure) {
        let _ = (connection, client, failure);
    }

    /// MAIL: begins a transaction.
    fn sender(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        sender: &Sender,
    ) -> impl Future<Output = Result<Self::Transaction, Refusal>> + Send;

    /// RCPT: takes a recipient into the transaction, with whatever the backend has found out about it.
    fn recipient(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        transaction: &mut Self::Transaction,
        recipient: &Path,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The next octets of the message: dots unstuffed, lines ended by CRLF. After a refusal nothing more of the message
    /// is given; it is read to its end and then refused.
    fn content(
        &self,
        transaction: &mut Self::Transaction,
        content: &[u8],
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// The session has refused something by itself, and so without asking for it: a size, a parameter, a number of
    /// recipients, or a message for what it was like on the wire or after [`Backend::content`] wanted no more of it. Told
    /// for the record; it holds nothing up.
    fn refused(&self, client: &Client, what: Refused<'_, Self::Transaction>, refusal: &Refusal) {
        let _ = (client, what, refusal);
    }

    /// The message is complete. With `Ok` the client is told that it is ours: whatever must not be lost is on disk then.
    fn message(
        &self,
        connection: &mut Self::Connection,
        client: &Client,
        transaction: Self::Transaction,
        received: &Received,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// What the session has refused by itself.
#[derive(Debug)]
pub enum Refused<'a, T> {
    /// A sender, with which no transaction has begun.
    Sender(&'a Path),
    /// A recipient of a transaction, which goes on.
    Recipient(&'a T, &'a Path),
    /// The message of a transaction, of so many octets.
    Message(&'a T, u64),
}

/// How an attempt to log in stands beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Has the account logged in from there of late? Strangers must not be able to get in the way of such attempts.
    pub known: bool,
    /// The provider's network that the attempt comes from. One network must not take the share of others.
    pub network: Network,
}

/// A login that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFailure {
    /// The user, normalised, where the exchange came that far.
    pub username: Option<String>,
    /// The mechanism, where it is known.
    pub mechanism: Option<Mechanism>,
    /// Why.
    pub reason: LoginFailureReason,
}

/// Why a login has failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginFailureReason {
    /// Unknown user, wrong password, a right that is not there.
    Credentials,
    /// The user exists and has no secret for this mechanism; not the client's fault.
    SecretAbsent,
    /// The client stopped the exchange.
    Aborted,
    /// The client broke the protocol.
    Protocol,
    /// We could not tell, or do not allow it here.
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

    /// Does it count against the client's network?
    pub fn counts(self) -> bool {
        !matches!(self, Self::SecretAbsent | Self::Unavailable)
    }
}
