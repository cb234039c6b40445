//! Answers the questions of a session by asking the backend.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ratelimit::{Class, Outcome, Scope};
use sasl::{Mechanism, NONCE_BYTES, Need};
use tracing::{debug, warn};

use super::logins::Attempt;
use super::recipients::Share;
use super::refusals::Refused;
use super::{Shared, now};
use crate::backend::{self, Backend, LoginFailure, LoginFailureReason, Standing};
use crate::client::Client;
use crate::refusal::Refusal;
use crate::replies;
use crate::rules::Rules;
use crate::session::{
    Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, Attempted,
    CloseReason, Content, DirectRefusal, Next, Session, Step,
};

/// The longest delay of a reply about an address that does not exist. RFC 5321 §4.5.3.2.3: clients wait for five minutes.
const MAX_RECIPIENT_DELAY: Duration = Duration::from_secs(20);

/// Answers the questions of one session.
pub(super) struct Responder<B: Backend> {
    shared: Arc<Shared<B>>,
    rules: Arc<Rules>,
    ip: IpAddr,
    /// The backend's own state for the connection.
    context: B::Connection,
    /// An attempt to log in whose outcome is open.
    attempt: Option<Attempt>,
}

/// The driver's state for a transaction.
pub(super) struct Transaction<B: Backend> {
    backend: B::Transaction,
    /// Its part of the recipients of all transactions.
    recipients: Share,
}

/// The driver's next step once all questions are answered.
pub(super) enum Settled {
    /// Go on with the input.
    Continue,
    /// Do a TLS handshake.
    StartTls,
    /// Close the connection.
    Close(CloseReason),
}

impl<B: Backend> Responder<B> {
    /// Tells the backend about a connection.
    pub(super) fn new(shared: Arc<Shared<B>>, rules: Arc<Rules>, client: &Client) -> Self {
        let context = shared.backend.connect(client);
        Self { shared, rules, ip: client.ip(), context, attempt: None }
    }

    /// Answers questions until the session asks no more.
    pub(super) async fn settle(&mut self, step: Next<'_, Transaction<B>>, out: &mut Vec<u8>) -> Settled {
        let mut step = step;
        loop {
            step = match step {
                Step::Ask(ask) => self.answer(ask, out).await,
                Step::StartTls => return Settled::StartTls,
                Step::Close(reason) => return Settled::Close(reason),
                Step::NeedInput | Step::Continue | Step::Content(_) => return Settled::Continue,
            };
        }
    }

    async fn answer<'s>(
        &mut self,
        ask: Ask<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        match ask {
            Ask::Hello(ask) => self.hello(ask, out).await,
            Ask::Nonce(ask) => self.nonce(ask, out),
            Ask::Secret(ask) => self.secret(ask, out).await,
            Ask::Login(ask) => self.login(ask, out).await,
            Ask::Sender(ask) => self.sender(ask, out).await,
            Ask::Recipient(ask) => self.recipient(ask, out).await,
            Ask::Message(ask) => self.message(ask, out).await,
        }
    }

    async fn hello<'s>(
        &mut self,
        ask: AskHello<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        match self.shared.backend.hello(&mut self.context, ask.client(), ask.hello()).await {
            Ok(()) => ask.accept(now(), out),
            Err(refusal) => {
                log_refusal(format_args!("EHLO {}", ask.hello().name), &refusal);
                self.hold_back(&refusal).await;
                ask.refuse(&refusal, out)
            }
        }
    }

    fn nonce<'s>(&self, ask: AskNonce<'s, Transaction<B>>, out: &mut Vec<u8>) -> Next<'s, Transaction<B>> {
        let mut random = [0; NONCE_BYTES];
        match getrandom::fill(&mut random) {
            Ok(()) => ask.supply(random, now(), out),
            Err(_) => {
                warn!("no random bytes from the system, so logins are impossible");
                ask.refuse(&Refusal::new(replies::AUTH_UNAVAILABLE), out)
            }
        }
    }

    async fn secret<'s>(
        &mut self,
        ask: AskSecret<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        // Attempts on other connections count, too: by the account and the network they come from.
        let mut failures = u64::from(ask.failed_logins());
        let mut turn = Duration::ZERO;
        let (need, reply) = ask.split();
        let logins = &self.shared.gate.logins;
        let mut standing = Standing { known: false, network: logins.network(Class::Provider, self.ip) };
        if let Some(username) = username(&need) {
            let key = self.shared.backend.login_key(username);
            let attempt = match logins.begin(self.ip, key).await {
                Ok(attempt) => attempt,
                Err(limit) => {
                    self.shared.metrics.login_refused();
                    let network = match limit.scope {
                        Scope::Network(_, network) => network,
                        Scope::Account => logins.network(Class::Host, self.ip),
                    };
                    self.shared.refusals.note(Refused::Logins, limit.limit, Some(network));
                    return reply.refuse(&Refusal::new(replies::AUTH_UNAVAILABLE), out);
                }
            };
            let grant = attempt.grant();
            self.attempt = Some(attempt);
            standing.known = grant.known;
            failures = failures.max(grant.failures);
            turn = grant.wait;
        }
        self.shared.stop.sleep(self.rules.delays.before_login(failures).max(turn)).await;
        match self.shared.backend.secret(&mut self.context, reply.client(), standing, need).await {
            Ok(verifier) => reply.supply(verifier, out),
            Err(refusal) => {
                log_refusal(format_args!("AUTH"), &refusal);
                self.hold_back(&refusal).await;
                reply.refuse(&refusal, out)
            }
        }
    }

    async fn login<'s>(
        &mut self,
        ask: AskLogin<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        let identity = ask.identity();
        match self.shared.backend.login(&mut self.context, ask.client(), identity).await {
            Ok(login) => {
                match self.attempt.take() {
                    Some(attempt) => attempt.finish(Outcome::Succeeded),
                    None => {
                        let key = self.shared.backend.login_key(&identity.username);
                        self.shared.gate.logins.succeeded(self.ip, &key);
                    }
                }
                self.shared.metrics.login(identity.mechanism.name(), "ok");
                tracing::Span::current().record("username", identity.username.to_lowercase());
                ask.accept(login, out)
            }
            Err(refusal) => {
                log_refusal(format_args!("AUTH"), &refusal);
                self.hold_back(&refusal).await;
                ask.refuse(&refusal, out)
            }
        }
    }

    async fn sender<'s>(
        &mut self,
        ask: AskSender<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        if !self.rules.kind.is_submission()
            && let Err(rejection) = self.shared.gate.message(self.ip)
        {
            self.shared.metrics.message_refused(rejection.limit);
            self.shared.refusals.note(Refused::Messages, rejection.limit, rejection.network);
            return ask.refuse(&Refusal::new(rejection.reply), out);
        }
        match self.shared.backend.sender(&mut self.context, ask.client(), ask.sender()).await {
            Ok(backend) => {
                let recipients = Share::new(Arc::clone(&self.shared.recipients), self.ip);
                ask.accept(Transaction { backend, recipients }, out)
            }
            Err(refusal) => {
                log_refusal(format_args!("MAIL FROM:{}", ask.sender().path), &refusal);
                self.hold_back(&refusal).await;
                ask.refuse(&refusal, out)
            }
        }
    }

    async fn recipient<'s>(
        &mut self,
        mut ask: AskRecipient<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        let (client, transaction, path) = ask.parts();
        if !transaction.recipients.take() {
            let refusal = Refusal::new(replies::TOO_MANY_RECIPIENTS_IN_ALL);
            let what = backend::Refused::Recipient(&transaction.backend, path);
            self.shared.backend.refused(client, what, &refusal);
            return ask.refuse(&refusal, out);
        }
        let backend = &self.shared.backend;
        match backend.recipient(&mut self.context, client, &mut transaction.backend, path).await {
            Ok(()) => ask.accept(out),
            Err(refusal) => {
                transaction.recipients.give_back();
                log_refusal(format_args!("RCPT TO:{path}"), &refusal);
                self.hold_back(&refusal).await;
                ask.refuse(&refusal, out)
            }
        }
    }

    /// Gives the backend a piece of the message.
    pub(super) async fn content(&mut self, mut content: Content<'_, '_, Transaction<B>>) {
        let (transaction, bytes) = content.parts();
        if let Err(refusal) = self.shared.backend.content(&mut transaction.backend, bytes).await {
            log_refusal(format_args!("part of a message"), &refusal);
            content.refuse(refusal);
        }
    }

    async fn message<'s>(
        &mut self,
        ask: AskMessage<'s, Transaction<B>>,
        out: &mut Vec<u8>,
    ) -> Next<'s, Transaction<B>> {
        let (Transaction { backend: message, recipients: _recipients }, reply) = ask.split();
        let (client, received) = (reply.client(), reply.received());
        match self.shared.backend.message(&mut self.context, client, message, received).await {
            Ok(()) => reply.accept(out),
            Err(refusal) => {
                log_refusal(format_args!("a message of {} bytes", received.size), &refusal);
                self.hold_back(&refusal).await;
                reply.refuse(&refusal, out)
            }
        }
    }

    /// Reports what the session has decided without a question: refusals to the backend, and failed logins to everything
    /// that counts them.
    pub(super) fn report(&mut self, session: &mut Session<Transaction<B>>) {
        if let Some(refusal) = session.take_direct_refusal() {
            self.report_refusal(session, &refusal);
        }
        if let Some(failure) = session.take_login_failure() {
            self.report_failed_login(session.client(), &failure);
        }
    }

    fn report_refusal(&self, session: &Session<Transaction<B>>, refusal: &DirectRefusal<Transaction<B>>) {
        let what = match (&refusal.attempted, session.transaction_data()) {
            (Attempted::Sender(path), _) => backend::Refused::Sender(path),
            (Attempted::Recipient(path), Some(open)) => backend::Refused::Recipient(&open.backend, path),
            (Attempted::Recipient(_), None) => return,
            (Attempted::Message(ended, size), _) => backend::Refused::Message(&ended.backend, *size),
        };
        self.shared.backend.refused(session.client(), what, &refusal.refusal);
    }

    fn report_failed_login(&mut self, client: &Client, failure: &LoginFailure) {
        let key = failure.username.as_deref().map(|username| self.shared.backend.login_key(username));
        match self.attempt.take() {
            Some(attempt) => attempt.finish(outcome(failure.reason)),
            None if failure.reason.counts() => self.shared.gate.logins.failed(self.ip, key.as_ref()),
            None => {}
        }
        let mechanism = failure.mechanism.map_or("", Mechanism::name);
        self.shared.metrics.login(mechanism, failure.reason.label());
        let host = self.shared.gate.logins.network(Class::Host, self.ip);
        self.shared.refusals.login_failed(host, mechanism, failure.reason.label(), key.as_ref());
        // The client may have sent a password in place of the name, so only the debug log shows it.
        debug!(
            username = failure.username.as_deref().map(str::to_lowercase),
            "failed login, as it was typed"
        );
        self.shared.backend.login_failed(&mut self.context, client, failure);
    }

    /// Waits as long as the refusal asks for. One about an address that does not exist waits longer the more of them the
    /// network has tried.
    async fn hold_back(&mut self, refusal: &Refusal) {
        let mut delay = refusal.delay();
        if refusal.is_about_unknown_recipient() {
            let excess = self.shared.gate.unknown_recipient(self.ip);
            let more = self.rules.delays.unknown_recipient.saturating_mul(excess);
            delay += more.min(MAX_RECIPIENT_DELAY);
        }
        self.shared.stop.sleep(delay).await;
    }
}

/// The user whose password a question is about.
fn username(need: &Need) -> Option<&str> {
    match need {
        Need::Password { username, .. } | Need::Scram { username, .. } | Need::CramMd5 { username } => {
            Some(username)
        }
        Need::Certificate { .. } => None,
    }
}

/// The outcome that the limits on logins count.
fn outcome(reason: LoginFailureReason) -> Outcome {
    match reason {
        LoginFailureReason::SecretAbsent => Outcome::FailedUnarmed,
        LoginFailureReason::Unavailable => Outcome::Undecided,
        LoginFailureReason::Credentials | LoginFailureReason::Aborted | LoginFailureReason::Protocol => {
            Outcome::Failed
        }
    }
}

/// Logs a command that was refused. The operator has to know where that is our fault.
fn log_refusal(tried: fmt::Arguments<'_>, refusal: &Refusal) {
    if refusal.is_our_fault() {
        warn!(%tried, reply = %refusal, "command failed");
    } else {
        debug!(%tried, reply = %refusal, "command refused");
    }
}
