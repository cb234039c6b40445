//! The questions of a session, put to the backend.

use std::fmt;
use std::time::Duration;

use ring::rand::SecureRandom as _;
use sasl::{Mechanism, NONCE_OCTETS, Need};
use tracing::{debug, error, info, warn};

use super::connection::Connection;
use super::now;
use super::wire::Transport;
use crate::backend::{Backend, LoginFailure};
use crate::refusal::Refusal;
use crate::replies;
use crate::rules::Delays;
use crate::session::{
    Answer, Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender,
};

/// The longest an attempt to log in is held back: clients give up after a while.
const MAX_LOGIN_DELAY: Duration = Duration::from_secs(30);

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
        let Some(context) = &mut self.context else { return reply.refuse(internal("check the login")) };
        if let Some(username) = username(&need) {
            let account = self.shared.backend.login_key(username);
            // Other connections have tried, too: what counts is the account and where they come from.
            let Some(failures) = self.shared.gate.may_log_in(self.session.client().ip(), &account, now())
            else {
                return reply.refuse(Refusal::new(replies::AUTH_UNAVAILABLE));
            };
            let dear = failures.saturating_sub(u64::from(Delays::FREE_LOGINS));
            let delay = self.session.rules().delays.failed_login;
            let delay = delay.saturating_mul(u32::try_from(dear).unwrap_or(u32::MAX));
            self.shared.stop.sleep(delay.min(MAX_LOGIN_DELAY)).await;
        }
        match self.shared.backend.secret(context, self.session.client(), need).await {
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
                let account = self.shared.backend.login_key(&identity.username);
                self.shared.gate.login_succeeded(client.ip(), &account, now());
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
        if failure.reason.counts() {
            let account = failure.username.as_deref().map(|username| self.shared.backend.login_key(username));
            self.shared.gate.login_failed(ip, account.as_deref(), now());
        }
        let mechanism = failure.mechanism.map_or("", Mechanism::name);
        self.shared.metrics.login(mechanism, failure.reason.label());
        // What stands where the name should be may be a password: only who looks closely gets to see it.
        info!(%ip, mechanism, result = failure.reason.label(), "failed login");
        debug!(username = failure.username.as_deref().map(str::to_lowercase), "failed login");
        if let Some(context) = &mut self.context {
            self.shared.backend.login_failed(context, self.session.client(), failure);
        }
    }

    async fn sender(&mut self, ask: AskSender) -> Answer {
        // What was begun before has come to nothing, or there would be no MAIL.
        self.transaction = None;
        self.recipients.clear();
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
            return ask.refuse(Refusal::new(replies::TOO_MANY_RECIPIENTS_IN_ALL));
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

    /// A refusal, when it is time for it.
    async fn held_back(&mut self, refusal: Refusal) -> Refusal {
        self.shared.stop.sleep(refusal.delay()).await;
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
