//! The questions of a session, put to the backend.

use std::fmt;
use std::time::Duration;

use ratelimit::{Class, Outcome, Scope};
use ring::rand::SecureRandom as _;
use sasl::{Mechanism, NONCE_OCTETS, Need};
use tracing::{debug, error, warn};

use super::connection::Connection;
use super::refusals::Refused;
use super::wire::Transport;
use crate::backend::{self, Backend, LoginFailure, LoginFailureReason, Standing};
use crate::refusal::Refusal;
use crate::replies;
use crate::rules::Delays;
use crate::session::{
    Answer, Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, Tried, Unasked,
};

/// The longest an attempt to log in is held back: clients give up after a while.
const MAX_LOGIN_DELAY: Duration = Duration::from_secs(30);

/// The longest a reply about an address that does not exist is delayed for those that were tried before. RFC 5321
/// §4.5.3.2.3: clients wait for five minutes.
const MAX_RECIPIENT_DELAY: Duration = Duration::from_secs(20);

impl<B: Backend, T: Transport> Connection<B, T> {
    /// The answer to a question, when it is time for it.
    pub(super) async fn reply_to(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::Hello(ask) => self.hello(ask).await,
            Ask::Nonce(ask) => self.nonce(ask).await,
            Ask::Secret(ask) => self.secret(ask).await,
            Ask::Login(ask) => self.login(ask).await,
            Ask::Sender(ask) => self.sender(ask).await,
            Ask::Recipient(ask) => self.recipient(ask).await,
            Ask::Message(ask) => self.message(ask).await,
        }
    }

    async fn hello(&mut self, ask: AskHello) -> Answer {
        let Some(context) = &mut self.context else { return ask.refuse(internal("check the name")) };
        match self.shared.backend.hello(context, self.session.client(), ask.hello()).await {
            Ok(()) => ask.accept(),
            Err(refusal) => {
                log_refusal(format_args!("EHLO {}", ask.hello().name), &refusal);
                ask.refuse(self.held_back(refusal).await)
            }
        }
    }

    async fn nonce(&mut self, ask: AskNonce) -> Answer {
        self.shared.stop.sleep(ask.wait().min(MAX_LOGIN_DELAY)).await;
        let mut random = [0; NONCE_OCTETS];
        match self.shared.random.fill(&mut random) {
            Ok(()) => ask.supply(random),
            Err(_) => {
                warn!("no random octets from the system: nobody can log in");
                ask.refuse(Refusal::new(replies::AUTH_UNAVAILABLE))
            }
        }
    }

    async fn secret(&mut self, ask: AskSecret) -> Answer {
        let (need, reply) = ask.split();
        let ip = self.session.client().ip();
        let network = self.shared.gate.logins.network(Class::Provider, ip);
        let mut standing = Standing { known: false, network };
        if let Some(username) = username(&need) {
            let key = self.shared.backend.login_key(username);
            // Other connections try, too: what counts is the account and where they come from.
            let attempt = match self.shared.gate.logins.begin(ip, key).await {
                Ok(attempt) => attempt,
                Err(limit) => {
                    self.shared.metrics.login_refused();
                    let network = match limit.scope {
                        Scope::Network(_, network) => network,
                        Scope::Account => self.shared.gate.logins.network(Class::Host, ip),
                    };
                    self.shared.refusals.note(Refused::Logins, limit.limit, Some(network));
                    return reply.refuse(Refusal::new(replies::AUTH_UNAVAILABLE));
                }
            };
            let grant = attempt.grant();
            self.attempt = Some(attempt);
            standing.known = grant.known;
            let dear = grant.failures.saturating_sub(u64::from(Delays::FREE_LOGINS));
            let delay = self.session.rules().delays.failed_login;
            let delay = delay.saturating_mul(u32::try_from(dear).unwrap_or(u32::MAX));
            self.shared.stop.sleep(delay.min(MAX_LOGIN_DELAY).max(grant.wait)).await;
        }
        let Some(context) = &mut self.context else { return reply.refuse(internal("check the login")) };
        match self.shared.backend.secret(context, self.session.client(), standing, need).await {
            Ok(verifier) => reply.supply(verifier),
            Err(refusal) => {
                log_refusal(format_args!("AUTH"), &refusal);
                reply.refuse(self.held_back(refusal).await)
            }
        }
    }

    async fn login(&mut self, ask: AskLogin) -> Answer {
        let Some(context) = &mut self.context else { return ask.refuse(internal("check the login")) };
        let identity = ask.identity();
        let client = self.session.client();
        match self.shared.backend.login(context, client, identity).await {
            Ok(login) => {
                match self.attempt.take() {
                    Some(attempt) => attempt.finish(Outcome::Succeeded),
                    None => {
                        let key = self.shared.backend.login_key(&identity.username);
                        self.shared.gate.logins.succeeded(client.ip(), &key);
                    }
                }
                self.shared.metrics.login(identity.mechanism.name(), "ok");
                tracing::Span::current().record("username", identity.username.to_lowercase());
                ask.accept(login)
            }
            Err(refusal) => {
                log_refusal(format_args!("AUTH"), &refusal);
                ask.refuse(self.held_back(refusal).await)
            }
        }
    }

    /// Tells of a failed login whoever has to know.
    pub(super) fn login_failed(&mut self, failure: &LoginFailure) {
        let ip = self.session.client().ip();
        let key = failure.username.as_deref().map(|username| self.shared.backend.login_key(username));
        match self.attempt.take() {
            Some(attempt) => attempt.finish(outcome(failure.reason)),
            None if failure.reason.counts() => self.shared.gate.logins.failed(ip, key.as_ref()),
            None => {}
        }
        let mechanism = failure.mechanism.map_or("", Mechanism::name);
        self.shared.metrics.login(mechanism, failure.reason.label());
        let host = self.shared.gate.logins.network(Class::Host, ip);
        self.shared.refusals.login_failed(host, mechanism, failure.reason.label(), key.as_ref());
        // What stands where the name should be may be a password: only an operator who looks closely gets to see it.
        debug!(
            username = failure.username.as_deref().map(str::to_lowercase),
            "failed login, as it was typed"
        );
        if let Some(context) = &mut self.context {
            self.shared.backend.login_failed(context, self.session.client(), failure);
        }
    }

    async fn sender(&mut self, ask: AskSender) -> Answer {
        // What was begun before has come to nothing, or there would be no MAIL.
        self.transaction = None;
        self.recipients.clear();
        if !self.session.rules().kind.is_submission()
            && let Err(rejection) = self.shared.gate.message(self.session.client().ip())
        {
            self.shared.metrics.message_refused(rejection.limit);
            self.shared.refusals.note(Refused::Messages, rejection.limit, rejection.network);
            return ask.refuse(Refusal::new(rejection.wording));
        }
        let Some(context) = &mut self.context else { return ask.refuse(internal("begin a message")) };
        match self.shared.backend.sender(context, self.session.client(), ask.sender()).await {
            Ok(transaction) => {
                self.transaction = Some(transaction);
                ask.accept()
            }
            Err(refusal) => {
                log_refusal(format_args!("MAIL FROM:{}", ask.sender().path), &refusal);
                ask.refuse(self.held_back(refusal).await)
            }
        }
    }

    async fn recipient(&mut self, ask: AskRecipient) -> Answer {
        let (Some(context), Some(transaction)) = (&mut self.context, &mut self.transaction) else {
            return ask.refuse(internal("take the recipient"));
        };
        if !self.recipients.take() {
            let refusal = Refusal::new(replies::TOO_MANY_RECIPIENTS_IN_ALL);
            let what = backend::Refused::Recipient(&*transaction, ask.path());
            self.shared.backend.refused(self.session.client(), what, &refusal);
            return ask.refuse(refusal);
        }
        match self.shared.backend.recipient(context, self.session.client(), transaction, ask.path()).await {
            Ok(()) => ask.accept(),
            Err(refusal) => {
                self.recipients.give_back();
                log_refusal(format_args!("RCPT TO:{}", ask.path()), &refusal);
                ask.refuse(self.held_back(refusal).await)
            }
        }
    }

    async fn message(&mut self, ask: AskMessage) -> Answer {
        let (Some(context), Some(transaction)) = (&mut self.context, self.transaction.take()) else {
            return ask.refuse(internal("take the message"));
        };
        match self.shared.backend.message(context, self.session.client(), transaction, ask.received()).await {
            Ok(()) => ask.accept(),
            Err(refusal) => {
                log_refusal(format_args!("a message of {} bytes", ask.received().size), &refusal);
                ask.refuse(self.held_back(refusal).await)
            }
        }
    }

    /// Tells the backend what it was not asked for.
    pub(super) fn tell_refused(&self, unasked: &Unasked) {
        let what = match (&unasked.tried, &self.transaction) {
            (Tried::Sender(path), _) => backend::Refused::Sender(path),
            (Tried::Recipient(path), Some(transaction)) => backend::Refused::Recipient(transaction, path),
            (Tried::Message(size), Some(transaction)) => backend::Refused::Message(transaction, *size),
            (_, None) => return,
        };
        self.shared.backend.refused(self.session.client(), what, &unasked.refusal);
    }

    /// A refusal, when it is time for it.
    async fn held_back(&mut self, refusal: Refusal) -> Refusal {
        let mut delay = refusal.delay();
        if refusal.is_about_unknown_recipient() {
            let excess = self.shared.gate.unknown_recipient(self.session.client().ip());
            let more = self.session.rules().delays.unknown_recipient.saturating_mul(excess);
            delay += more.min(MAX_RECIPIENT_DELAY);
        }
        self.shared.stop.sleep(delay).await;
        refusal
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

/// What a failed attempt is counted as.
fn outcome(reason: LoginFailureReason) -> Outcome {
    match reason {
        LoginFailureReason::SecretAbsent => Outcome::FailedUnarmed,
        LoginFailureReason::Unavailable => Outcome::Undecided,
        LoginFailureReason::Credentials | LoginFailureReason::Aborted | LoginFailureReason::Protocol => {
            Outcome::Failed
        }
    }
}

/// Logs what a client has tried in vain. Where that is our fault, the operator has to know.
pub(super) fn log_refusal(tried: fmt::Arguments<'_>, refusal: &Refusal) {
    if refusal.is_our_fault() {
        warn!(%tried, reply = %refusal, "command failed");
    } else {
        debug!(%tried, reply = %refusal, "command refused");
    }
}

/// The driver has lost its place, which it does not: it cannot do `what`.
fn internal(what: &'static str) -> Refusal {
    error!(what, "internal error: the connection has no state for this");
    Refusal::with(replies::INTERNAL_ERROR, what)
}
