//! [`DeveloperMode`]: a backend that fails on request, so that the author of a client can try out how it handles failures.
//!
//! It stands around another backend, which knows nothing of it. Local parts ask for failures (see [`crate::simulate`]); a
//! pedantic one also refuses messages whose MIME structure is broken, so that the author of the message notices.

use crate::simulate::{self, Failure};
use message::{Finding, FindingKind};
use ratelimit::LoginKey;
use sasl::{Identity, Need, Verifier};
use smtp_parser::{Localpart, Path};
use smtpserver::{
    Backend, Client, Hello, Login, LoginFailure, Received, Refusal, Refused, Sender, Standing, replies,
};
use std::sync::Arc;

/// How much of a message is kept in memory to check its MIME structure, in bytes.
const SAMPLE: usize = 256 * 1024;

/// Wraps a backend with simulated failures.
#[derive(Debug)]
pub struct DeveloperMode<B> {
    backend: Arc<B>,
    pedantic: bool,
}

/// A message of the backend inside, with the failures that its recipients ask for.
#[derive(Debug)]
pub struct Rehearsal<T> {
    inside: T,
    /// Recipients that ask for a failure after DATA, each once.
    failing: Vec<(Path, Failure)>,
    /// The first bytes of the message; kept by a pedantic developer mode alone.
    sample: Option<Vec<u8>>,
}

impl<B> DeveloperMode<B> {
    /// Wraps `backend`. A pedantic one checks MIME structures.
    pub fn new(backend: Arc<B>, pedantic: bool) -> Self {
        Self { backend, pedantic }
    }
}

/// The local part of a path that has one.
fn localpart(path: &Path) -> Option<&Localpart> {
    match path {
        Path::Mailbox(mailbox) => Some(&mailbox.localpart),
        Path::Literal(localpart, _) => Some(localpart),
        Path::Null | Path::Postmaster => None,
    }
}

/// Fails as the path asks, if it asks for a failure at this command.
fn fail_at_command(path: &Path, prefix: &str) -> Result<(), Refusal> {
    let local = localpart(path).filter(|local| local.as_str().starts_with(prefix));
    match local.and_then(simulate::failure) {
        Some(failure) => Err(simulate::refusal(failure, (3, 0))),
        None => Ok(()),
    }
}

/// The failure that a recipient asks for after DATA.
fn failure_after_data(path: &Path) -> Option<Failure> {
    let local = localpart(path)?;
    // These have failed at their own command already, or will fail in the queue.
    let elsewhere = ["mailfrom", "rcptto", "queue"].iter().any(|prefix| local.as_str().starts_with(prefix));
    if elsewhere { None } else { simulate::failure(local) }
}

impl<T> Rehearsal<T> {
    fn add_to_sample(&mut self, piece: &[u8]) {
        if let Some(sample) = &mut self.sample {
            let room = SAMPLE.saturating_sub(sample.len());
            sample.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }

    /// Refuses the message if its MIME structure is broken, or a recipient asks for a failure.
    fn check(&self) -> Result<(), Refusal> {
        if let Some(finding) = self.sample.as_deref().and_then(broken_structure) {
            return Err(Refusal::with(replies::MALFORMED_MESSAGE, finding.kind.token()));
        }
        let refusals: Vec<_> =
            self.failing.iter().map(|(_, failure)| simulate::refusal(*failure, (0, 0))).collect();
        if refusals.is_empty() { Ok(()) } else { Err(Refusal::all(&refusals)) }
    }
}

/// The first fault in the MIME structure of a message, of which `sample` is the start.
fn broken_structure(sample: &[u8]) -> Option<Finding> {
    let is_whole = sample.len() < SAMPLE;
    let empty_line = b"\r\n\r\n";
    let end = match is_whole {
        true => sample.len(),
        // Ends with an empty line, so that no header is cut.
        false => {
            let last = sample.windows(empty_line.len()).rposition(|bytes| bytes == empty_line);
            last.map_or(0, |at| at + empty_line.len())
        }
    };
    let (_, findings) = message::Part::parse(sample.get(..end)?, message::Limits::default());
    // The end of a part may be behind the sample.
    findings.into_iter().find(|finding| is_whole || finding.kind != FindingKind::UnclosedMultipart)
}

impl<B: Backend> Backend for DeveloperMode<B> {
    type Connection = B::Connection;
    type Transaction = Rehearsal<B::Transaction>;

    fn connect(&self, client: &Client) -> B::Connection {
        self.backend.connect(client)
    }

    async fn hello(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        hello: &Hello,
    ) -> Result<(), Refusal> {
        self.backend.hello(connection, client, hello).await
    }

    async fn secret(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        standing: Standing,
        need: Need,
    ) -> Result<Verifier, Refusal> {
        self.backend.secret(connection, client, standing, need).await
    }

    fn login_key(&self, username: &str) -> LoginKey {
        self.backend.login_key(username)
    }

    async fn login(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        identity: &Identity,
    ) -> Result<Login, Refusal> {
        self.backend.login(connection, client, identity).await
    }

    fn login_failed(&self, connection: &mut B::Connection, client: &Client, failure: &LoginFailure) {
        self.backend.login_failed(connection, client, failure);
    }

    async fn sender(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        sender: &Sender,
    ) -> Result<Self::Transaction, Refusal> {
        let inside = self.backend.sender(connection, client, sender).await?;
        fail_at_command(&sender.path, "mailfrom").inspect_err(|refusal| {
            self.backend.refused(client, Refused::Sender(&sender.path), refusal);
        })?;
        Ok(Rehearsal { inside, failing: Vec::new(), sample: self.pedantic.then(Vec::new) })
    }

    async fn recipient(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        transaction: &mut Self::Transaction,
        recipient: &Path,
    ) -> Result<(), Refusal> {
        fail_at_command(recipient, "rcptto").inspect_err(|refusal| {
            self.backend.refused(client, Refused::Recipient(&transaction.inside, recipient), refusal);
        })?;
        self.backend.recipient(connection, client, &mut transaction.inside, recipient).await?;
        let is_new = transaction.failing.iter().all(|(path, _)| path != recipient);
        if let Some(failure) = failure_after_data(recipient).filter(|_| is_new) {
            transaction.failing.push((recipient.clone(), failure));
        }
        Ok(())
    }

    async fn content(&self, transaction: &mut Self::Transaction, content: &[u8]) -> Result<(), Refusal> {
        transaction.add_to_sample(content);
        self.backend.content(&mut transaction.inside, content).await
    }

    fn refused(&self, client: &Client, what: Refused<'_, Self::Transaction>, refusal: &Refusal) {
        let what = match what {
            Refused::Sender(path) => Refused::Sender(path),
            Refused::Recipient(transaction, path) => Refused::Recipient(&transaction.inside, path),
            Refused::Message(transaction, size) => Refused::Message(&transaction.inside, size),
        };
        self.backend.refused(client, what, refusal);
    }

    async fn message(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        transaction: Self::Transaction,
        received: &Received,
    ) -> Result<(), Refusal> {
        transaction.check().inspect_err(|refusal| {
            self.backend.refused(client, Refused::Message(&transaction.inside, received.size), refusal);
        })?;
        self.backend.message(connection, client, transaction.inside, received).await
    }
}
