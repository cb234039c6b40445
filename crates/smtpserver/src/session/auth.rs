//! AUTH: one exchange of `sasl`, in base64.

use std::mem;
use std::str::FromStr as _;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sasl::{Binding, Channel, ErrorKind, Mechanism, NONCE_OCTETS, Need, Nonce, TlsNeed, Verifier};
use smtp_parser::Auth;

use super::states::State;
use super::{
    Ask, AskLogin, AskNonce, AskSecret, CloseReason, LoginFailure, LoginFailureReason, Session, Step,
};
use crate::client::Login;
use crate::refusal::Refusal;
use crate::replies::{self, Wording};
use crate::rules::Delays;

/// Failed logins on a connection from which on it is served slowly.
const SLOW_FROM: u32 = 3;

/// An exchange under way.
pub(super) struct Exchange {
    mechanism: Mechanism,
    /// `None` until there is a nonce.
    server: Option<sasl::Server>,
    /// The initial response, until there is a nonce.
    initial: Option<Vec<u8>>,
    username: Option<String>,
    /// Began by itself, with the certificate of the handshake: nothing is said about it.
    silent: bool,
}

impl Session {
    pub(super) fn auth(&mut self, auth: Auth<'_>, out: &mut Vec<u8>) -> Step<'static> {
        if self.counts.failed_logins >= self.rules.limits.failed_logins {
            return self.close(replies::TOO_MANY_AUTH_FAILURES, CloseReason::Refused, out);
        }
        let name = auth.mechanism.to_string();
        // RFC 4954 §4: mechanism names do not mind their case.
        let mechanism = Mechanism::from_str(&name).ok().filter(|m| self.rules.mechanisms.contains(m));
        let Some(mechanism) = mechanism else {
            return self.no_login(None, LoginFailureReason::Protocol, replies::MECHANISM_UNKNOWN, &name, out);
        };
        if let Some(wording) = self.objection_to_mechanism(mechanism) {
            let reason = match wording {
                replies::BAD_CREDENTIALS => LoginFailureReason::Credentials,
                _ => LoginFailureReason::Unavailable,
            };
            return self.no_login(Some(mechanism), reason, wording, &name, out);
        }
        let initial = match auth.initial.map(|text| BASE64.decode(text)).transpose() {
            Ok(initial) => initial,
            Err(_) => {
                let reason = LoginFailureReason::Protocol;
                return self.no_login(Some(mechanism), reason, replies::AUTH_BASE64, "", out);
            }
        };
        let exchange = Exchange { mechanism, server: None, initial, username: None, silent: false };
        self.state = State::Authenticating(Box::new(exchange));
        let dear = self.counts.failed_logins.saturating_sub(Delays::FREE_LOGINS);
        self.ask(Ask::Nonce(AskNonce(self.rules.delays.failed_login.saturating_mul(dear))))
    }

    /// Why the mechanism, although we have it, cannot be used on this connection.
    fn objection_to_mechanism(&self, mechanism: Mechanism) -> Option<Wording> {
        let Some(tls) = &self.client.tls else {
            let needed = self.auth_waits_for_tls() || mechanism.needs_tls() == TlsNeed::Inherent;
            return needed.then_some(replies::AUTH_NEEDS_TLS);
        };
        if mechanism == Mechanism::External && tls.client_key.is_none() {
            return Some(replies::BAD_CREDENTIALS);
        }
        // TLS 1.2 here has nothing that could be bound to: it is as if the mechanism did not exist.
        (mechanism.is_plus() && tls.exporter.is_none()).then_some(replies::MECHANISM_UNKNOWN)
    }

    /// What an exchange can be bound to.
    fn channel(&self) -> Channel {
        let plus = self.rules.mechanisms.iter().any(|m| m.is_plus());
        match &self.client.tls {
            None => Channel::plaintext(),
            Some(tls) => match tls.exporter {
                Some(octets) => Channel::bound(Binding::TlsExporter, octets.to_vec()).with_plus_offered(plus),
                None => Channel::tls(),
            },
        }
    }

    /// There is a nonce: the exchange begins.
    pub(super) fn begin_exchange(
        &mut self,
        random: [u8; NONCE_OCTETS],
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let nonce = Nonce::stamped(random, seconds, self.rules.hostname.as_str());
        let channel = self.channel();
        let State::Authenticating(exchange) = &mut self.state else { return Step::Continue };
        let mut server = sasl::Server::new(exchange.mechanism, &channel, nonce);
        let step = server.begin(exchange.initial.take().as_deref());
        exchange.server = Some(server);
        self.exchange_step(step, out)
    }

    /// A certificate may say who the client is; its key was proved in the handshake.
    pub(super) fn identify_certificate(&mut self) -> Step<'static> {
        let certified = self.client.tls.as_ref().is_some_and(|tls| tls.client_key.is_some());
        if !certified || !self.rules.kind.is_submission() {
            return Step::Continue;
        }
        // The exchange has no use for the nonce.
        let nonce = Nonce::from_random([0; NONCE_OCTETS]);
        let mechanism = Mechanism::External;
        let mut server = sasl::Server::new(mechanism, &Channel::tls(), nonce);
        let step = server.begin(Some(b""));
        let exchange =
            Exchange { mechanism, server: Some(server), initial: None, username: None, silent: true };
        self.state = State::Authenticating(Box::new(exchange));
        self.exchange_step(step, &mut Vec::new())
    }

    /// A line of the client's.
    pub(super) fn exchange_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Step<'static> {
        // RFC 4954 §4: a lone "*" ends the exchange.
        if line == b"*" {
            return self.end_exchange(LoginFailureReason::Aborted, replies::AUTH_ABORTED, "", out);
        }
        let Ok(message) = BASE64.decode(line) else {
            return self.end_exchange(LoginFailureReason::Protocol, replies::AUTH_BASE64, "", out);
        };
        let State::Authenticating(exchange) = &mut self.state else { return Step::Continue };
        let Some(server) = &mut exchange.server else { return Step::Continue };
        let step = server.step(&message);
        self.exchange_step(step, out)
    }

    /// A line of an exchange, or AUTH itself, has no end.
    pub(super) fn response_too_long(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        let exchange = self.leave_exchange();
        let (mechanism, username) =
            exchange.map_or((None, None), |exchange| (Some(exchange.mechanism), exchange.username));
        self.login_has_failed(mechanism, username, LoginFailureReason::Protocol);
        self.close(replies::AUTH_LINE_TOO_LONG, CloseReason::Refused, out)
    }

    /// The secret that was asked for.
    pub(super) fn secret(&mut self, secret: Result<Verifier, Refusal>, out: &mut Vec<u8>) -> Step<'static> {
        let verifier = match secret {
            Ok(verifier) => verifier,
            Err(refusal) => return self.login_refused(&refusal, out),
        };
        let State::Authenticating(exchange) = &mut self.state else { return Step::Continue };
        let Some(server) = &mut exchange.server else { return Step::Continue };
        let step = server.supply(verifier);
        self.exchange_step(step, out)
    }

    fn exchange_step(&mut self, step: Result<sasl::Step, sasl::Error>, out: &mut Vec<u8>) -> Step<'static> {
        match step {
            Ok(sasl::Step::Challenge(challenge)) => {
                self.say(replies::CHALLENGE, &BASE64.encode(challenge), out);
                self.said = None;
                Step::Continue
            }
            Ok(sasl::Step::Need(need)) => {
                if let State::Authenticating(exchange) = &mut self.state {
                    exchange.username = username(&need).map(str::to_owned);
                }
                self.ask(Ask::Secret(AskSecret(need)))
            }
            Ok(sasl::Step::Done(identity)) => self.ask(Ask::Login(AskLogin(identity))),
            Err(error) => {
                let (reason, wording) = outcome(error.kind());
                self.end_exchange(reason, wording, &error.to_string(), out)
            }
        }
    }

    /// Who it is, at last.
    pub(super) fn logged_in(&mut self, login: Result<Login, Refusal>, out: &mut Vec<u8>) -> Step<'static> {
        let login = match login {
            Ok(login) => login,
            Err(refusal) => return self.login_refused(&refusal, out),
        };
        // Whoever has a certificate for one account does not act for another.
        let other = self.client.login.as_ref().is_some_and(|proved| proved.account != login.account);
        if other {
            let wording = replies::AUTHZID_REFUSED;
            return self.end_exchange(LoginFailureReason::Credentials, wording, "", out);
        }
        let silent = self.leave_exchange().is_some_and(|exchange| exchange.silent);
        self.counts.failed_logins = 0;
        self.slow = false;
        self.certified = silent;
        self.client.login = Some(Box::new(login));
        if silent {
            return Step::Continue;
        }
        self.done(replies::AUTHENTICATED, out)
    }

    fn login_refused(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Step<'static> {
        let Some(exchange) = self.leave_exchange().filter(|exchange| !exchange.silent) else {
            return Step::Continue;
        };
        let reason = match refusal.code().is_temporary() {
            true => LoginFailureReason::Unavailable,
            false => LoginFailureReason::Credentials,
        };
        self.login_has_failed(Some(exchange.mechanism), exchange.username, reason);
        self.refuse(refusal, out)
    }

    fn end_exchange(
        &mut self,
        reason: LoginFailureReason,
        wording: Wording,
        detail: &str,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let Some(exchange) = self.leave_exchange().filter(|exchange| !exchange.silent) else {
            return Step::Continue;
        };
        self.login_has_failed(Some(exchange.mechanism), exchange.username, reason);
        self.fail(wording, detail, out)
    }

    fn leave_exchange(&mut self) -> Option<Box<Exchange>> {
        let greeted = if self.client.hello.is_some() { State::Greeted } else { State::Fresh };
        match mem::replace(&mut self.state, greeted) {
            State::Authenticating(exchange) => Some(exchange),
            _ => None,
        }
    }

    /// Refuses before there is an exchange.
    fn no_login(
        &mut self,
        mechanism: Option<Mechanism>,
        reason: LoginFailureReason,
        wording: Wording,
        detail: &str,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        self.login_has_failed(mechanism, None, reason);
        self.fail(wording, detail, out)
    }

    pub(super) fn login_has_failed(
        &mut self,
        mechanism: Option<Mechanism>,
        username: Option<String>,
        reason: LoginFailureReason,
    ) {
        self.counts.failed_logins = self.counts.failed_logins.saturating_add(1);
        self.slow |= self.counts.failed_logins >= SLOW_FROM;
        self.login_failure = Some(LoginFailure { username, mechanism, reason });
    }
}

/// The user that a question is about.
fn username(need: &Need) -> Option<&str> {
    match need {
        Need::Password { username, .. } | Need::Scram { username, .. } | Need::CramMd5 { username } => {
            Some(username)
        }
        Need::Certificate { username } => username.as_deref(),
    }
}

/// What an error of the exchange is for the record, and to the client.
fn outcome(kind: ErrorKind) -> (LoginFailureReason, Wording) {
    use LoginFailureReason::{Credentials, Protocol, SecretAbsent, Unavailable};
    match kind {
        ErrorKind::Credentials => (Credentials, replies::BAD_CREDENTIALS),
        ErrorKind::SecretAbsent => (SecretAbsent, replies::BAD_CREDENTIALS),
        ErrorKind::Authzid => (Credentials, replies::AUTHZID_REFUSED),
        ErrorKind::BindingMismatch | ErrorKind::BindingRefused => (Credentials, replies::BINDING_MISMATCH),
        ErrorKind::InitialResponse => (Protocol, replies::AUTH_INITIAL_RESPONSE),
        ErrorKind::TlsRequired => (Unavailable, replies::AUTH_NEEDS_TLS),
        ErrorKind::Misuse | ErrorKind::Stored => (Unavailable, replies::AUTH_UNAVAILABLE),
        // A name or password that cannot be one is no one's.
        ErrorKind::Unprepared => (Credentials, replies::BAD_CREDENTIALS),
        _ => (Protocol, replies::AUTH_MALFORMED),
    }
}
