//! The session: bytes in, replies and questions out. No socket, no clock, no randomness.

mod ask;
mod auth;
mod commands;
mod data;
mod extensions;
mod limits;
mod mail;
mod report;
mod states;
mod syntax;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use smtp_parser::{Reply, Verb};

use crate::backend::LoginFailure;
use crate::client::{Client, Peer, TlsFacts};
use crate::refusal::{Refusal, fill};
use crate::replies::{self, ReplyTemplate};
use crate::rules::{Limits, Rules};

pub use ask::{
    Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, Content, MessageReply,
    SecretReply,
};
use limits::Counts;
pub use report::{Attempted, DirectRefusal, ReplyOutcome};
use states::{Pace, Proof, State, Transaction};

/// One conversation, from the greeting to its end.
///
/// The owner gives it what the client sends ([`Session::receive`]), does what the [`Step`] says, and sends what the session
/// has written to `out`. `T` is what the owner keeps of a message: the session holds it from the answer to MAIL to
/// the end of the transaction, by success, failure or RSET.
pub struct Session<T> {
    rules: Arc<Rules>,
    client: Client,
    state: State<T>,
    proof: Proof,
    pace: Pace,
    counts: Counts,
    /// The command that the next reply is for.
    verb: Option<Verb>,
    last_reply: Option<ReplyOutcome>,
    login_failure: Option<LoginFailure>,
    /// Boxed because it is rare, and may hold all of a transaction.
    direct_refusal: Option<Box<DirectRefusal<T>>>,
}

/// What the owner has to do next.
#[derive(Debug)]
#[must_use]
pub enum Step<'s, 'i, T> {
    /// Send what was written, and give more input: what there is does not suffice.
    NeedInput,
    /// Call again with the input that is left.
    Continue,
    /// Answer this.
    Ask(Ask<'s, T>),
    /// Take this piece of the message.
    Content(Content<'s, 'i, T>),
    /// Send what was written, do a TLS handshake, and report it with [`Session::secured`]. Discard all input that came
    /// before the handshake.
    StartTls,
    /// Send what was written and close the connection.
    Close(CloseReason),
}

/// A step that does not depend on input.
pub type Next<'s, T> = Step<'s, 'static, T>;

/// Why a session is over.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said QUIT.
    Quit,
    /// The server stops.
    Stopping,
    /// The client took too long.
    TimedOut,
    /// The server does not want to serve the client any longer.
    Refused,
}

impl CloseReason {
    /// The stable name, for logs.
    pub fn token(self) -> &'static str {
        match self {
            Self::Quit => "smtpserver.quit",
            Self::Stopping => "smtpserver.stopping",
            Self::TimedOut => "smtpserver.timed-out",
            Self::Refused => "smtpserver.refused",
        }
    }
}

/// What a session waits for; each has a timeout of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The very first command.
    FirstCommand,
    /// A later command, or a line of an AUTH exchange.
    Command,
    /// The message.
    Data,
}

impl<T> Session<T> {
    /// A session before its greeting. Call [`Session::greet`] or [`Session::turn_away`] next, or, where the connection
    /// begins with TLS, [`Session::secured`].
    pub fn new(rules: Arc<Rules>, peer: Peer) -> Self {
        let client = Client::new(&rules, peer);
        Self {
            rules,
            client,
            state: State::Idle,
            proof: Proof::None,
            pace: Pace::Full,
            counts: Counts::default(),
            verb: None,
            last_reply: None,
            login_failure: None,
            direct_refusal: None,
        }
    }

    /// Greets the client (RFC 5321 §3.1: the server speaks first).
    pub fn greet(&mut self, out: &mut Vec<u8>) {
        let rules = Arc::clone(&self.rules);
        self.reply_halfway(replies::GREETING, &[rules.hostname.as_str(), &rules.software], out);
    }

    /// Rejects the client instead of greeting it (RFC 5321 §3.1).
    pub fn turn_away(&mut self, template: ReplyTemplate, out: &mut Vec<u8>) -> CloseReason {
        self.close_with(template, CloseReason::Refused, out)
    }

    /// Consumes bytes from the front of `input`; returns how many, and what to do next. `now` is the time; replies are
    /// appended to `out`.
    ///
    /// How the input is split does not matter, except for STARTTLS, behind which there must be nothing.
    pub fn receive<'s, 'i>(
        &'s mut self,
        input: &'i [u8],
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> (usize, Step<'s, 'i, T>) {
        match self.state {
            State::Receiving(_) | State::Skipping(_) => self.receive_data(input, out),
            State::Closed(reason) => (input.len(), Step::Close(reason)),
            State::Idle | State::Authenticating(_) | State::Mail(_) => self.receive_line(input, now, out),
        }
    }

    /// Begins again over TLS: what the client said before the handshake is forgotten (RFC 3207 §4.2).
    pub fn secured(&mut self, tls: TlsFacts) -> Next<'_, T> {
        self.state = State::Idle;
        self.proof = Proof::None;
        self.client.hello = None;
        self.client.login = None;
        self.client.tls = Some(Box::new(tls));
        self.identify_certificate()
    }

    /// Ends the session because the client took too long.
    pub fn timed_out(&mut self, out: &mut Vec<u8>) -> CloseReason {
        self.close_with(replies::TIMED_OUT, CloseReason::TimedOut, out)
    }

    /// Ends the session because the server stops. Returns `None` where a transaction is under way, which may go on: the
    /// owner then calls this again before every [`Session::receive`].
    pub fn stop(&mut self, out: &mut Vec<u8>) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            State::Mail(_) | State::Receiving(_) | State::Skipping(_) => None,
            State::Idle | State::Authenticating(_) => {
                Some(self.close_with(replies::SHUTTING_DOWN, CloseReason::Stopping, out))
            }
        }
    }

    /// What the session knows about the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The rules of the listener.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Is a transaction under way?
    pub fn in_transaction(&self) -> bool {
        self.transaction().is_some()
    }

    /// The owner's data of the transaction that is under way.
    pub fn transaction_data(&self) -> Option<&T> {
        self.transaction().map(|transaction| &transaction.data)
    }

    /// Is the client being punished with replies that go out byte by byte?
    pub fn is_slow(&self) -> bool {
        self.pace != Pace::Full
    }

    /// Is the next input part of an AUTH exchange, which no log should show?
    pub fn is_authenticating(&self) -> bool {
        matches!(self.state, State::Authenticating(_))
    }

    /// What the session waits for.
    pub fn waiting(&self) -> Waiting {
        match self.state {
            State::Receiving(_) | State::Skipping(_) => Waiting::Data,
            _ if self.counts.commands_in_all == 0 => Waiting::FirstCommand,
            _ => Waiting::Command,
        }
    }

    /// Messages accepted so far.
    pub fn messages(&self) -> u32 {
        self.counts.messages
    }

    fn transaction(&self) -> Option<&Transaction<T>> {
        match &self.state {
            State::Mail(transaction) | State::Receiving(transaction) => Some(transaction),
            State::Skipping(skip) => skip.transaction.as_deref(),
            State::Idle | State::Authenticating(_) | State::Closed(_) => None,
        }
    }

    /// Serves the client slowly from now on.
    fn slow_down(&mut self) {
        self.pace = match self.rules.kind.is_submission() {
            true => Pace::SlowUntilLogin,
            false => Pace::SlowForTransaction,
        };
    }

    /// Writes a reply.
    fn reply(&mut self, template: ReplyTemplate, details: &[&str], out: &mut Vec<u8>) {
        let status = template.enhanced();
        let mut text = fill(template.text, details);
        if needs_id(template) {
            text = format!("{text} ({})", self.client.peer.id);
        }
        self.last_reply = Some(ReplyOutcome { verb: self.verb, code: template.code, status });
        Reply::new(template.code, status, text).write_to(out);
    }

    /// Writes a reply that does not complete a command.
    fn reply_halfway(&mut self, template: ReplyTemplate, details: &[&str], out: &mut Vec<u8>) {
        self.reply(template, details, out);
        self.last_reply = None;
    }

    /// Writes a success.
    fn succeed(&mut self, template: ReplyTemplate, details: &[&str], out: &mut Vec<u8>) -> Next<'_, T> {
        self.reply(template, details, out);
        Step::Continue
    }

    /// Writes an error from the list of replies, and counts it.
    fn fail(&mut self, template: ReplyTemplate, details: &[&str], out: &mut Vec<u8>) -> Next<'_, T> {
        self.counts.failed(self.verb);
        self.reply(template, details, out);
        Step::Continue
    }

    /// The same about a sender, recipient or message that the owner was not asked about.
    fn fail_directly(
        &mut self,
        attempted: Attempted<T>,
        template: ReplyTemplate,
        details: &[&str],
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let refusal = Refusal::filled(template, details);
        self.direct_refusal = Some(Box::new(DirectRefusal { attempted, refusal }));
        self.fail(template, details, out)
    }

    /// Writes a refusal, and counts it.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Next<'_, T> {
        self.counts.failed(self.verb);
        if refusal.is_slow() {
            self.slow_down();
        }
        let (code, status) = (refusal.code(), Some(refusal.status()));
        self.last_reply = Some(ReplyOutcome { verb: self.verb, code, status });
        let text = format!("{} ({})", refusal.text(), self.client.peer.id);
        Reply::new(code, status, text).write_to(out);
        if refusal.is_closing() { self.end(CloseReason::Refused) } else { Step::Continue }
    }

    /// Writes the last reply.
    fn close(&mut self, template: ReplyTemplate, reason: CloseReason, out: &mut Vec<u8>) -> Next<'_, T> {
        Step::Close(self.close_with(template, reason, out))
    }

    fn close_with(&mut self, template: ReplyTemplate, reason: CloseReason, out: &mut Vec<u8>) -> CloseReason {
        self.reply(template, &[], out);
        self.state = State::Closed(reason);
        reason
    }

    fn end(&mut self, reason: CloseReason) -> Next<'_, T> {
        self.state = State::Closed(reason);
        Step::Close(reason)
    }
}

/// Does a reply carry the request id? Every error does, so that a complaint can quote it. So do the receipt for a message,
/// which its sender may want to quote, the answers to VRFY and EXPN, which reveal nothing, and the reply to STARTTLS.
fn needs_id(template: ReplyTemplate) -> bool {
    let error = template.code.is_temporary() || template.code.is_permanent();
    error || [replies::MESSAGE_OK, replies::VRFY, replies::EXPN, replies::STARTTLS_GO].contains(&template)
}

/// The reply to a message of more than the limit, or to a limit that is exceeded: which of the two codes depends on whether
/// it is the operator's own limit or that of the system (RFC 1870 §6.1).
fn too_large(bytes: u64) -> ReplyTemplate {
    if bytes < Limits::DEFAULT_MESSAGE { replies::MESSAGE_OVER_LIMIT } else { replies::MESSAGE_TOO_LARGE }
}
