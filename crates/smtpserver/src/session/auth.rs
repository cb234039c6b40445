//! AUTH: one exchange of `sasl`, in base64.

use std::mem;
use std::str::FromStr as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::{Binding, Channel, ErrorKind, Mechanism, NONCE_BYTES, Need, Nonce, TlsNeed, Verifier};
use smtp_parser::Auth;

use super::states::{Pace, Proof, State};
use super::{Ask, AskLogin, AskNonce, AskSecret, CloseReason, Next, SecretReply, Session, Step};
use crate::backend::{LoginFailure, LoginFailureReason};
use crate::client::Login;
use crate::refusal::Refusal;
use crate::replies::{self, ReplyTemplate};

/// From this number of failed logins on, the session slows a connection down.
const SLOW_FROM: u32 = 3;

/// An exchange under way.
pub(super) struct Exchange {
    server: sasl::Server,
    mechanism: Mechanism,
    /// The user, once the client has named one.
    username: Option<String>,
    trigger: Trigger,
}

/// What began an exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// The client's AUTH command, which gets a reply.
    Command,
    /// A TLS handshake with a client certificate. The client did not ask for a login, so it gets no reply and there is
    /// no failed login.
    Handshake,
}

impl<T> Session<T> {
    pub(super) fn auth(&mut self, auth: Auth<'_>, out: &mut Vec<u8>) -> Next<'_, T> {
        if self.counts.failed_logins >= self.rules.limits.failed_logins {
            return self.close(replies::TOO_MANY_AUTH_FAILURES, CloseReason::Refused, out);
        }
        let name = auth.mechanism.to_string();
        // RFC 4954 §4: mechanism names are case-insensitive.
        let mechanism = Mechanism::from_str(&name).ok().filter(|m| self.rules.mechanisms.contains(m));
        let Some(mechanism) = mechanism else {
            self.count_failed_login(None, None, LoginFailureReason::Protocol);
            return self.fail(replies::MECHANISM_UNKNOWN, &[&name], out);
        };
        if let Some(template) = self.objection_to_mechanism(mechanism) {
            let reason = match template {
                replies::BAD_CREDENTIALS => LoginFailureReason::Credentials,
                _ => LoginFailureReason::Unavailable,
            };
            self.count_failed_login(Some(mechanism), None, reason);
            return self.fail(template, &[&name], out);
        }
        match auth.initial.map(|text| BASE64.decode(text)).transpose() {
            Ok(initial) => Step::Ask(Ask::Nonce(AskNonce { session: self, mechanism, initial })),
            Err(_) => {
                self.count_failed_login(Some(mechanism), None, LoginFailureReason::Protocol);
                self.fail(replies::AUTH_BASE64, &[], out)
            }
        }
    }

    /// Why the mechanism, although we have it, cannot be used on this connection.
    fn objection_to_mechanism(&self, mechanism: Mechanism) -> Option<ReplyTemplate> {
        let Some(tls) = &self.client.tls else {
            let needed = self.terms().auth_waits_for_tls() || mechanism.needs_tls() == TlsNeed::Inherent;
            return needed.then_some(replies::AUTH_NEEDS_TLS);
        };
        if mechanism == Mechanism::External && tls.client_key.is_none() {
            return Some(replies::BAD_CREDENTIALS);
        }
        // RFC 9266 §4.2: the exporter binds to the handshake in TLS 1.3 only. Below it there is no mechanism with PLUS.
        (mechanism.is_plus() && tls.exporter.is_none()).then_some(replies::MECHANISM_UNKNOWN)
    }

    /// What an exchange can be bound to.
    fn channel(&self) -> Channel {
        let plus = self.rules.mechanisms.iter().any(|m| m.is_plus());
        match &self.client.tls {
            None => Channel::plaintext(),
            Some(tls) => match tls.exporter {
                Some(exported) => {
                    Channel::bound(Binding::TlsExporter, exported.to_vec()).with_plus_offered(plus)
                }
                None => Channel::tls(),
            },
        }
    }

    /// Begins an exchange. `seed` are random bytes, which must be fresh, and the time.
    pub(super) fn begin_exchange(
        &mut self,
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        seed: ([u8; NONCE_BYTES], SystemTime),
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let (random, now) = seed;
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let nonce = Nonce::stamped(random, seconds, self.rules.hostname.as_str());
        let mut server = sasl::Server::new(mechanism, &self.channel(), nonce);
        let step = server.begin(initial);
        let exchange = Exchange { server, mechanism, username: None, trigger: Trigger::Command };
        self.exchange_step(Box::new(exchange), step, out)
    }

    /// Logs a user in with the certificate of the TLS handshake, which has proved that the client owns its key.
    pub(super) fn identify_certificate(&mut self) -> Next<'_, T> {
        let has_certificate = self.client.tls.as_ref().is_some_and(|tls| tls.client_key.is_some());
        if !has_certificate || !self.rules.kind.is_submission() {
            return Step::Continue;
        }
        // EXTERNAL has no use for the nonce.
        let nonce = Nonce::from_random([0; NONCE_BYTES]);
        let mechanism = Mechanism::External;
        let mut server = sasl::Server::new(mechanism, &Channel::tls(), nonce);
        let step = server.begin(Some(b""));
        let exchange = Exchange { server, mechanism, username: None, trigger: Trigger::Handshake };
        self.exchange_step(Box::new(exchange), step, &mut Vec::new())
    }

    /// Takes a line that the client has sent within the exchange.
    pub(super) fn exchange_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Authenticating(mut exchange) = mem::replace(&mut self.state, State::Idle) else {
            return Step::Continue;
        };
        // RFC 4954 §4: a lone "*" ends the exchange.
        if line == b"*" {
            return self.exchange_failed(
                *exchange,
                LoginFailureReason::Aborted,
                (replies::AUTH_ABORTED, ""),
                out,
            );
        }
        let Ok(message) = BASE64.decode(line) else {
            return self.exchange_failed(
                *exchange,
                LoginFailureReason::Protocol,
                (replies::AUTH_BASE64, ""),
                out,
            );
        };
        let step = exchange.server.step(&message);
        self.exchange_step(exchange, step, out)
    }

    /// Ends the session because a line of an exchange, or AUTH itself, is too long.
    pub(super) fn response_too_long(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let (mechanism, username) = match mem::replace(&mut self.state, State::Idle) {
            State::Authenticating(exchange) => (Some(exchange.mechanism), exchange.username),
            _ => (None, None),
        };
        self.count_failed_login(mechanism, username, LoginFailureReason::Protocol);
        self.close(replies::AUTH_LINE_TOO_LONG, CloseReason::Refused, out)
    }

    pub(super) fn secret_supplied(
        &mut self,
        mut exchange: Box<Exchange>,
        verifier: Verifier,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let step = exchange.server.supply(verifier);
        self.exchange_step(exchange, step, out)
    }

    fn exchange_step(
        &mut self,
        mut exchange: Box<Exchange>,
        step: Result<sasl::Step, sasl::Error>,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        match step {
            Ok(sasl::Step::Challenge(challenge)) => {
                self.state = State::Authenticating(exchange);
                self.reply_halfway(replies::CHALLENGE, &[&BASE64.encode(challenge)], out);
                Step::Continue
            }
            Ok(sasl::Step::Need(need)) => {
                exchange.username = username(&need).map(str::to_owned);
                let reply = SecretReply { session: self, exchange };
                Step::Ask(Ask::Secret(AskSecret { reply, need }))
            }
            Ok(sasl::Step::Done(identity)) => {
                Step::Ask(Ask::Login(AskLogin { session: self, exchange, identity }))
            }
            Err(error) => {
                let (reason, template) = outcome(error.kind());
                self.exchange_failed(*exchange, reason, (template, &error.to_string()), out)
            }
        }
    }

    pub(super) fn logged_in(&mut self, exchange: Exchange, login: Login, out: &mut Vec<u8>) -> Next<'_, T> {
        // A client whose certificate proves one account does not act for another.
        if self.client.login.as_ref().is_some_and(|proved| proved.account != login.account) {
            let reply = (replies::AUTHZID_REFUSED, "");
            return self.exchange_failed(exchange, LoginFailureReason::Credentials, reply, out);
        }
        self.counts.failed_logins = 0;
        self.pace = Pace::Full;
        self.client.login = Some(Box::new(login));
        match exchange.trigger {
            Trigger::Handshake => {
                self.proof = Proof::Certificate;
                Step::Continue
            }
            Trigger::Command => {
                self.proof = Proof::Auth;
                self.succeed(replies::AUTHENTICATED, &[], out)
            }
        }
    }

    /// Ends an exchange that the owner has refused.
    pub(super) fn exchange_refused(
        &mut self,
        exchange: Exchange,
        refusal: &Refusal,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        match exchange.trigger {
            Trigger::Handshake => Step::Continue,
            Trigger::Command => self.login_refused(Some(exchange.mechanism), exchange.username, refusal, out),
        }
    }

    pub(super) fn login_refused(
        &mut self,
        mechanism: Option<Mechanism>,
        username: Option<String>,
        refusal: &Refusal,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let reason = match refusal.code().is_temporary() {
            true => LoginFailureReason::Unavailable,
            false => LoginFailureReason::Credentials,
        };
        self.count_failed_login(mechanism, username, reason);
        self.refuse(refusal, out)
    }

    /// Ends an exchange that has failed by itself, with this reply and its detail.
    fn exchange_failed(
        &mut self,
        exchange: Exchange,
        reason: LoginFailureReason,
        (template, detail): (ReplyTemplate, &str),
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        match exchange.trigger {
            Trigger::Handshake => Step::Continue,
            Trigger::Command => {
                self.count_failed_login(Some(exchange.mechanism), exchange.username, reason);
                self.fail(template, &[detail], out)
            }
        }
    }

    pub(super) fn count_failed_login(
        &mut self,
        mechanism: Option<Mechanism>,
        username: Option<String>,
        reason: LoginFailureReason,
    ) {
        self.counts.failed_logins = self.counts.failed_logins.saturating_add(1);
        if self.counts.failed_logins >= SLOW_FROM {
            self.slow_down();
        }
        self.login_failure = Some(LoginFailure { username, mechanism, reason });
    }
}

/// The user whose secret is needed.
fn username(need: &Need) -> Option<&str> {
    match need {
        Need::Password { username, .. } | Need::Scram { username, .. } | Need::CramMd5 { username } => {
            Some(username)
        }
        Need::Certificate { username } => username.as_deref(),
    }
}

/// How an error of the exchange is recorded, and the reply to the client.
fn outcome(kind: ErrorKind) -> (LoginFailureReason, ReplyTemplate) {
    use LoginFailureReason::{Credentials, Protocol, SecretAbsent, Unavailable};
    match kind {
        ErrorKind::Credentials => (Credentials, replies::BAD_CREDENTIALS),
        ErrorKind::SecretAbsent => (SecretAbsent, replies::BAD_CREDENTIALS),
        ErrorKind::Authzid => (Credentials, replies::AUTHZID_REFUSED),
        ErrorKind::BindingMismatch | ErrorKind::BindingRefused => (Credentials, replies::BINDING_MISMATCH),
        ErrorKind::InitialResponse => (Protocol, replies::AUTH_INITIAL_RESPONSE),
        ErrorKind::TlsRequired => (Unavailable, replies::AUTH_NEEDS_TLS),
        ErrorKind::Misuse | ErrorKind::Stored => (Unavailable, replies::AUTH_UNAVAILABLE),
        // No user has a name or password that cannot be prepared (RFC 4013).
        ErrorKind::Unprepared => (Credentials, replies::BAD_CREDENTIALS),
        _ => (Protocol, replies::AUTH_MALFORMED),
    }
}
