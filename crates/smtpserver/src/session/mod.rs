//! The session: octets in, replies and questions out. No socket, no clock, no randomness.

mod ask;
mod auth;
mod commands;
mod data;
mod extensions;
mod limits;
mod mail;
mod states;
mod syntax;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use smtp_parser::{Code, EnhancedCode, Path, Reply, Verb};

use crate::backend::{LoginFailure, LoginFailureReason};
use crate::client::{Client, Peer, TlsFacts};
use crate::refusal::{Refusal, fill};
use crate::replies::{self, Wording};
use crate::rules::{Limits, Rules};

use ask::Given;
pub use ask::{
    Answer, Ask, AskHello, AskLogin, AskMessage, AskNonce, AskRecipient, AskSecret, AskSender, SecretReply,
};
use limits::Counts;
use states::State;

/// One conversation, from the greeting to its end.
///
/// Give it what the client sends ([`Session::receive`]), do what its [`Step`] says, and send what it has written.
pub struct Session {
    rules: Arc<Rules>,
    client: Client,
    state: State,
    counts: Counts,
    /// The command that is being answered.
    verb: Option<Verb>,
    /// The last reply, for whoever counts replies.
    said: Option<Said>,
    login_failure: Option<LoginFailure>,
    unasked: Option<Unasked>,
    /// The login is that of the certificate alone: the client may still confirm it with AUTH.
    certified: bool,
    /// A question is out.
    asking: bool,
    slow: bool,
    stopping: bool,
}

/// What has to happen next.
#[derive(Debug)]
#[must_use]
pub enum Step<'i> {
    /// Nothing more can be done with this input: send what was written, and give more.
    NeedInput,
    /// Something was done: call again with the input that is left.
    Continue,
    /// Answer this.
    Ask(Ask),
    /// Octets of the message, for the transaction that [`Ask::Sender`] began.
    Content(&'i [u8]),
    /// Send what was written, do a TLS handshake, and report it with [`Session::secured`]. Input that came before the
    /// handshake is not to be given to the session.
    StartTls,
    /// Send what was written and close.
    Close(CloseReason),
}

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
    /// The client was sent away.
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

/// A reply that was given, for metrics and logs. Challenges, 354 and the greeting are none: they are halfway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The command; `None` before the first.
    pub verb: Option<Verb>,
    /// The code.
    pub code: Code,
    /// The enhanced code.
    pub status: Option<EnhancedCode>,
}

/// What the session has refused by itself, and so without asking for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unasked {
    /// What the client wanted.
    pub tried: Tried,
    /// The reply.
    pub refusal: Refusal,
}

/// What a client wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// MAIL with this path.
    Sender(Path),
    /// RCPT with this path.
    Recipient(Path),
    /// A message of so many octets.
    Message(u64),
}

/// What a session waits for, which decides for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The very first command.
    FirstCommand,
    /// A later command, or a line of an AUTH exchange.
    Command,
    /// The message.
    Data,
}

impl Session {
    /// A session in which nothing was said yet. Next is [`Session::greet`], or [`Session::turn_away`].
    pub fn new(rules: Arc<Rules>, peer: Peer) -> Self {
        let client = Client::new(&rules, peer);
        Self {
            rules,
            client,
            state: State::Fresh,
            counts: Counts::default(),
            verb: None,
            said: None,
            login_failure: None,
            unasked: None,
            certified: false,
            asking: false,
            slow: false,
            stopping: false,
        }
    }

    /// RFC 5321 §3.1: the server speaks first.
    pub fn greet(&mut self, out: &mut Vec<u8>) {
        let text = format!("{} ESMTP {}", self.rules.hostname, self.rules.software);
        self.say(replies::GREETING, &text, out);
        self.said = None;
    }

    /// RFC 5321 §3.1: or sends the client away at once.
    pub fn turn_away(&mut self, wording: Wording, out: &mut Vec<u8>) -> Step<'static> {
        self.close(wording, CloseReason::Refused, out)
    }

    /// Takes octets from the front of `input`: how many, and what to do next. `now` is the time, `out` gets replies.
    ///
    /// How the input is split changes nothing, but for STARTTLS: nothing may stand behind it.
    pub fn receive<'i>(&mut self, input: &'i [u8], now: SystemTime, out: &mut Vec<u8>) -> (usize, Step<'i>) {
        if self.asking {
            return (0, Step::NeedInput);
        }
        match self.state {
            State::Receiving(_) | State::Skipping(_) => self.receive_data(input, out),
            State::Closing(reason) => (input.len(), Step::Close(reason)),
            _ => self.receive_line(input, now, out),
        }
    }

    /// Takes the answer to a question.
    pub fn answer(&mut self, answer: Answer, now: SystemTime, out: &mut Vec<u8>) -> Step<'static> {
        self.asking = false;
        match answer.0 {
            Given::Hello(Ok(hello)) => self.greeted(hello, now, out),
            Given::Nonce(random) => self.begin_exchange(random, now, out),
            Given::Secret(secret) => self.secret(secret, out),
            Given::Login(login) => self.logged_in(login, out),
            Given::Sender(Ok(sender)) => self.begin_transaction(sender, out),
            Given::Recipient(Ok(())) => self.recipient_taken(out),
            Given::Message(Ok(())) => self.message_taken(out),
            Given::Message(Err(refusal)) => self.message_refused(&refusal, out),
            Given::Hello(Err(refusal)) | Given::Sender(Err(refusal)) | Given::Recipient(Err(refusal)) => {
                self.refuse(&refusal, out)
            }
        }
    }

    /// The backend wants no more of the message. It is read to its end, and then this is said.
    pub fn refuse_content(&mut self, refusal: Refusal) {
        if let State::Receiving(transaction) = &mut self.state {
            transaction.spoil(refusal);
        }
    }

    /// A TLS handshake is done: everything said before it is forgotten (RFC 3207 §4.2).
    pub fn secured(&mut self, tls: TlsFacts) -> Step<'static> {
        self.state = State::Fresh;
        self.client.hello = None;
        self.client.login = None;
        self.certified = false;
        self.client.tls = Some(Box::new(tls));
        self.identify_certificate()
    }

    /// The client took too long.
    pub fn timed_out(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        self.close(replies::TIMED_OUT, CloseReason::TimedOut, out)
    }

    /// The server stops. A transaction may go on to its end; without one the session is over, and so it is at the next
    /// command outside of one.
    pub fn stop(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        self.stopping = true;
        match self.state {
            State::Closing(reason) => Step::Close(reason),
            State::Mail(_) | State::Receiving(_) | State::Skipping(_) => Step::Continue,
            _ if self.asking => Step::Continue,
            _ => self.close(replies::SHUTTING_DOWN, CloseReason::Stopping, out),
        }
    }

    /// What is known of the client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The rules that it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Is there a transaction? If not, what [`Ask::Sender`] began has come to nothing.
    pub fn in_transaction(&self) -> bool {
        self.transaction().is_some()
    }

    /// Does the client get its replies octet by octet?
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    /// Is the next input part of an AUTH exchange, which no log should show?
    pub fn is_authenticating(&self) -> bool {
        matches!(self.state, State::Authenticating(_))
    }

    /// What is waited for.
    pub fn waiting(&self) -> Waiting {
        match self.state {
            State::Receiving(_) | State::Skipping(_) => Waiting::Data,
            _ if self.counts.commands_in_all == 0 => Waiting::FirstCommand,
            _ => Waiting::Command,
        }
    }

    /// Messages taken so far.
    pub fn messages(&self) -> u32 {
        self.counts.messages
    }

    /// The last reply, once.
    pub fn take_said(&mut self) -> Option<Said> {
        self.said.take()
    }

    /// What was refused last without asking for it, once.
    pub fn take_unasked(&mut self) -> Option<Unasked> {
        self.unasked.take()
    }

    /// The last failed login, once.
    pub fn take_login_failure(&mut self) -> Option<LoginFailure> {
        self.login_failure.take()
    }

    fn ask(&mut self, ask: Ask) -> Step<'static> {
        self.asking = true;
        Step::Ask(ask)
    }

    /// Writes a reply.
    fn say(&mut self, wording: Wording, detail: &str, out: &mut Vec<u8>) {
        let status = wording.enhanced();
        let mut text = fill(wording.text, detail);
        if needs_id(wording) {
            text = format!("{text} ({})", self.client.peer.id);
        }
        self.said = Some(Said { verb: self.verb, code: wording.code, status });
        Reply::new(wording.code, status, text).write_to(out);
    }

    /// Writes a success.
    fn done(&mut self, wording: Wording, out: &mut Vec<u8>) -> Step<'static> {
        self.say(wording, "", out);
        Step::Continue
    }

    /// Writes an error of our own wording.
    fn fail(&mut self, wording: Wording, detail: &str, out: &mut Vec<u8>) -> Step<'static> {
        self.counts.failed(self.verb);
        self.say(wording, detail, out);
        Step::Continue
    }

    /// Writes an error of our own wording about something that is not asked for.
    fn fail_unasked(
        &mut self,
        tried: Tried,
        wording: Wording,
        detail: &str,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        self.unasked = Some(Unasked { tried, refusal: Refusal::with(wording, detail) });
        self.fail(wording, detail, out)
    }

    /// Writes a refusal.
    fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Step<'static> {
        self.counts.failed(self.verb);
        self.slow |= refusal.is_slow();
        let (code, status) = (refusal.code(), Some(refusal.status()));
        self.said = Some(Said { verb: self.verb, code, status });
        let text = format!("{} ({})", refusal.text(), self.client.peer.id);
        Reply::new(code, status, text).write_to(out);
        if refusal.is_closing() {
            self.state = State::Closing(CloseReason::Refused);
            return Step::Close(CloseReason::Refused);
        }
        Step::Continue
    }

    /// Writes the last reply.
    fn close(&mut self, wording: Wording, reason: CloseReason, out: &mut Vec<u8>) -> Step<'static> {
        self.say(wording, "", out);
        self.over(reason)
    }

    fn over(&mut self, reason: CloseReason) -> Step<'static> {
        self.state = State::Closing(reason);
        Step::Close(reason)
    }
}

/// Every error has the request id, so that whoever complains can say which; so has the receipt for a message, which its
/// sender may want to quote, the two answers to VRFY and EXPN, which are no real answers, and the one before TLS.
fn needs_id(wording: Wording) -> bool {
    let error = wording.code.is_temporary() || wording.code.is_permanent();
    error || [replies::MESSAGE_OK, replies::VRFY, replies::EXPN, replies::STARTTLS_GO].contains(&wording)
}

/// Which of two codes a message over the limit gets: is the limit the operator's own, or that of the system?
fn too_large(limit: u64) -> Wording {
    if limit < Limits::DEFAULT_MESSAGE { replies::MESSAGE_OVER_LIMIT } else { replies::MESSAGE_TOO_LARGE }
}
