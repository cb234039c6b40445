//! One connection: gives input to the session, and does what the session wants.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_parser::Verb;
use tokio::time::Instant;
use tracing::{debug, info};

use super::answers::log_refusal;
use super::buffers::Buffer;
use super::clock::Clock;
use super::gate::Admission;
use super::logins::Attempt;
use super::pipe::Pipe;
use super::recipients::Share;
use super::refusals::Refused;
use super::trace::{Input, Reveal};
use super::wire::{Transport, Wire};
use super::{Listener, Shared, handshake, now};
use crate::backend::Backend;
use crate::client::{Peer, TlsFacts};
use crate::replies::{self, Wording};
use crate::session::{CloseReason, Session, Step, Waiting};

/// Bytes of replies that are written although more input is at hand. A client that does not read is answered no further,
/// so this times the connections is what such clients can make us keep.
const OUT_LIMIT: usize = 4 << 10;

/// Bytes of encrypted output that a connection keeps for a client that does not read; the library's default is 64 KiB.
const TLS_OUT_LIMIT: usize = 16 << 10;

/// Bytes of input without its line end that a connection may keep for itself. Commands are shorter; a line of AUTH may
/// be six times as long, for which there are few places.
const LONG_CARRY: usize = 2 << 10;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client has closed it.
    Closed,
    /// The session has, and why.
    Session(CloseReason),
    /// It broke.
    Io(io::Error),
    /// The client does not take what is written.
    WriteTimedOut,
    /// There was no handshake.
    Handshake(io::Error),
}

/// One connection. It is kept small: most of them wait for something most of the time.
pub(super) struct Connection<B: Backend, T> {
    pub(super) shared: Arc<Shared<B>>,
    listener: Arc<Listener>,
    pub(super) pipe: Pipe<T>,
    clock: Clock,
    pub(super) session: Session,
    /// The backend's part, from the moment the client is let in.
    pub(super) context: Option<B::Connection>,
    pub(super) transaction: Option<B::Transaction>,
    /// What the transaction's recipients take of what there is for all.
    pub(super) recipients: Share,
    /// An attempt to log in whose outcome is open.
    pub(super) attempt: Option<Attempt>,
    /// What was last said of slow mode in the log.
    slow: bool,
}

impl<B: Backend, T: Transport> Connection<B, T> {
    pub(super) fn new(shared: Arc<Shared<B>>, listener: Arc<Listener>, stream: T, peer: Peer) -> Self {
        let session = Session::new(Arc::clone(&listener.rules), peer);
        let (pipe, clock) = (Pipe::new(Wire::Plain(stream)), Clock::new());
        let recipients = Share::new(Arc::clone(&shared.recipients), session.client().ip());
        let (context, transaction, attempt, slow) = (None, None, None, false);
        Self { shared, listener, pipe, clock, session, context, transaction, recipients, attempt, slow }
    }

    /// Serves the client, or sends it away.
    pub(super) async fn run(self) {
        self.shared.metrics.connected(self.session.rules().kind);
        match self.admit() {
            Ok(admission) => self.converse(admission).await,
            Err(wording) => Box::pin(self.turn_away(wording)).await,
        }
    }

    /// Asks the gate, unless the server stops anyway.
    fn admit(&self) -> Result<Admission, Wording> {
        if self.shared.stop.is_stopping() {
            return Err(replies::SHUTTING_DOWN);
        }
        let (ip, submission) = (self.session.client().ip(), self.session.rules().kind.is_submission());
        self.shared.gate.admit(ip, submission).map_err(|rejection| {
            let for_logins = rejection.wording == replies::TOO_MANY_AUTH_FAILURES;
            self.shared.metrics.refused(rejection.limit, for_logins);
            self.shared.refusals.note(Refused::Connections, rejection.limit, rejection.network);
            rejection.wording
        })
    }

    /// The whole conversation; the client is counted until its end.
    async fn converse(mut self, _admission: Admission) {
        let Peer { remote, local, .. } = self.session.client().peer;
        let rules = self.session.rules();
        info!(%remote, %local, listener = &*rules.listener, kind = rules.kind.service(), "new connection");
        self.listener.open.increment(1);
        let _open = Closing(self.listener.open.clone());
        let end = match Box::pin(self.begin()).await {
            Ok(()) => loop {
                let buffer = match self.fill().await {
                    Ok(buffer) => buffer,
                    Err(end) => break end,
                };
                // Boxed, so that what a question needs takes memory only while it is asked.
                if let Err(end) = Box::pin(self.work(buffer)).await {
                    break end;
                }
            },
            Err(end) => end,
        };
        let messages = self.session.messages();
        let tls = self.session.client().tls.as_ref().map(|tls| (tls.version, tls.cipher));
        let (version, cipher) = tls.unzip();
        let (cause, reason) = Box::pin(self.finish(end)).await;
        info!(%remote, cause, reason, messages, tls = version, cipher, "connection closed");
    }

    /// From the first octet to the greeting.
    async fn begin(&mut self) -> Result<(), End> {
        let rules = self.session.rules();
        let facts = match rules.kind.is_implicit_tls() {
            true => Some(self.secure(rules.timeouts.handshake).await?),
            false => None,
        };
        self.context = Some(self.shared.backend.connect(self.session.client()));
        if let Some(facts) = facts {
            let step = self.session.secured(facts);
            self.act(step, &mut Buffer::default()).await?;
        }
        self.session.greet(&mut self.pipe.out);
        self.clock.note(&self.session, true);
        self.flush().await
    }

    /// Waits for input, or for what comes in its place. Nothing is allocated before it comes.
    async fn fill(&mut self) -> Result<Buffer, End> {
        let rules = self.session.rules();
        if self.session.is_slow() {
            self.shared.stop.sleep(rules.delays.bad_client).await;
        }
        let deadline = self.clock.deadline(self.session.waiting(), &rules.timeouts);
        self.pipe.set_deadline(deadline);
        // In slow mode a client can always have something to read, which must not put the deadline off.
        let late = Instant::now() >= deadline;
        let large = self.session.waiting() == Waiting::Data;
        let shared = Arc::clone(&self.shared);
        let mut stopped = std::pin::pin!(shared.stop.stopped());
        let mut told = false;
        loop {
            let event = poll_fn(|cx| {
                if !late && let Poll::Ready(read) = self.pipe.poll_fill(cx, &shared.buffers, large) {
                    return Poll::Ready(Event::Input(read));
                }
                if self.pipe.poll_deadline(cx).is_ready() {
                    return Poll::Ready(Event::Deadline);
                }
                if !told && stopped.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Stop);
                }
                Poll::Pending
            })
            .await;
            let step = match event {
                Event::Input(buffer) => return buffer.map_err(End::Io)?.ok_or(End::Closed),
                Event::Deadline => self.session.timed_out(&mut self.pipe.out),
                Event::Stop => {
                    told = true;
                    self.session.stop(&mut self.pipe.out)
                }
            };
            if let Step::Close(reason) = step {
                self.observe(Instant::now());
                self.flush().await?;
                return Err(End::Session(reason));
            }
        }
    }

    /// Does what can be done with `buffer`, sends what was said, and keeps the rest.
    async fn work(&mut self, mut buffer: Buffer) -> Result<(), End> {
        let time = now();
        let mut started = Instant::now();
        let mut progress = false;
        loop {
            // RFC 5321 §3.8: a stop is told before the next command, also to those who do not wait for replies.
            if self.shared.stop.is_stopping()
                && let Step::Close(reason) = self.session.stop(&mut self.pipe.out)
            {
                return self.act(Step::Close(reason), &mut buffer).await;
            }
            let kind = self.kind_of_input();
            let (taken, step) = self.session.receive(buffer.input(), time, &mut self.pipe.out);
            if let Some(unasked) = self.session.take_unasked() {
                self.tell_refused(&unasked);
            }
            self.shared.reveal.received(buffer.input().get(..taken).unwrap_or_default(), kind);
            let step = match step {
                Step::NeedInput => break,
                Step::Content(content) => {
                    if let Some(transaction) = &mut self.transaction
                        && let Err(refusal) = self.shared.backend.content(transaction, content).await
                    {
                        log_refusal(format_args!("part of a message"), &refusal);
                        self.session.refuse_content(refusal);
                    }
                    Step::Continue
                }
                Step::Continue => Step::Continue,
                Step::Ask(ask) => Step::Ask(ask),
                Step::StartTls => Step::StartTls,
                Step::Close(reason) => Step::Close(reason),
            };
            buffer.consume(taken);
            if !matches!(step, Step::Continue) {
                self.act(step, &mut buffer).await?;
            }
            progress = true;
            // Who sends a thousand commands at once waits for the others in between.
            tokio::task::coop::consume_budget().await;
            if self.observe(started) {
                started = Instant::now();
            }
            if !self.session.in_transaction() {
                self.transaction = None;
                self.recipients.clear();
            }
            self.clock.between_messages(&self.session);
            if self.pipe.out.len() >= OUT_LIMIT || self.session.is_slow() {
                self.flush().await?;
            }
        }
        if !self.carry(&buffer) {
            let step = self.session.turn_away(replies::SERVER_FULL, &mut self.pipe.out);
            return self.act(step, &mut buffer).await;
        }
        drop(buffer);
        self.clock.note(&self.session, progress);
        self.flush().await?;
        // An idle connection keeps no memory for replies.
        self.pipe.out = Vec::new();
        Ok(())
    }

    /// Keeps input that is no whole command yet, if there is room for it.
    fn carry(&mut self, buffer: &Buffer) -> bool {
        let rest = buffer.input();
        if rest.len() <= LONG_CARRY {
            self.pipe.long = None;
        } else if self.pipe.long.is_none() {
            self.pipe.long = Arc::clone(&self.shared.long_carries).try_acquire_owned().ok();
            if self.pipe.long.is_none() {
                return false;
            }
        }
        self.pipe.carry = rest.to_vec();
        true
    }

    /// What the next input is, for the trace.
    fn kind_of_input(&self) -> Input {
        match self.session.waiting() {
            Waiting::Data => Input::Data,
            _ if self.session.is_authenticating() => Input::Auth,
            _ => Input::Command,
        }
    }

    /// Does what a step asks for, and what that leads to.
    pub(super) async fn act(&mut self, step: Step<'static>, buffer: &mut Buffer) -> Result<(), End> {
        let mut step = step;
        loop {
            step = match step {
                Step::Ask(ask) => {
                    *buffer = self.shared.buffers.slim(std::mem::take(buffer));
                    let answer = self.reply_to(ask).await;
                    self.session.answer(answer, now(), &mut self.pipe.out)
                }
                Step::StartTls => {
                    self.flush().await?;
                    // Whatever else came in plaintext is not looked at.
                    *buffer = Buffer::default();
                    let facts = self.secure(self.session.rules().timeouts.handshake).await?;
                    self.session.secured(facts)
                }
                Step::Close(reason) => {
                    self.observe(Instant::now());
                    self.flush().await?;
                    return Err(End::Session(reason));
                }
                Step::NeedInput | Step::Continue | Step::Content(_) => return Ok(()),
            };
        }
    }

    /// Does a handshake within `time`.
    pub(super) async fn secure(&mut self, time: Duration) -> Result<TlsFacts, End> {
        let failed = |text: &'static str| End::Handshake(io::Error::other(text));
        let Wire::Plain(stream) = std::mem::replace(&mut self.pipe.wire, Wire::Gone) else {
            return Err(failed("a second handshake"));
        };
        let tls = self.listener.tls.as_ref().ok_or_else(|| failed("no certificate for this listener"))?;
        let done = handshake::accept(stream, tls, &self.shared.signers, time).await;
        if !self.session.rules().kind.is_submission() {
            self.shared.metrics.handshake(done.as_ref().err().map(handshake::reason));
        }
        let mut stream = Box::new(done.map_err(End::Handshake)?);
        stream.get_mut().1.set_buffer_limit(Some(TLS_OUT_LIMIT));
        let facts = handshake::facts(stream.get_ref().1);
        debug!(sni = facts.sni.as_deref(), "tls handshake done");
        self.pipe.wire = Wire::Tls(stream);
        Ok(facts)
    }

    /// Counts the reply that was given, if one was. Its time is from the command, or from the beginning of the message;
    /// what a client takes to send the next command is not in it.
    fn observe(&mut self, started: Instant) -> bool {
        if let Some(failure) = self.session.take_login_failure() {
            self.login_failed(&failure);
        }
        if self.slow != self.session.is_slow() {
            self.slow = !self.slow;
            debug!(slow = self.slow, "slow mode");
        }
        let Some(said) = self.session.take_said() else { return false };
        let since = match (said.verb, self.clock.message_began()) {
            (Some(Verb::Data | Verb::Bdat), Some(since)) => since,
            _ => started,
        };
        let (kind, duration) = (self.session.rules().kind, since.elapsed());
        self.shared.metrics.said(kind, said, duration);
        debug!(
            kind = kind.service(),
            cmd = said.verb.map_or("", Verb::label),
            code = said.code.get(),
            ecode = said.status.map(tracing::field::display),
            ?duration,
            "smtp command result"
        );
        true
    }

    /// Writes all that was said; octet by octet to those who have earned it.
    async fn flush(&mut self) -> Result<(), End> {
        if self.pipe.out.is_empty() {
            return Ok(());
        }
        Reveal::sent(&self.pipe.out);
        let rules = self.session.rules();
        let pause = if self.session.is_slow() { rules.delays.bad_client } else { Duration::ZERO };
        self.pipe.write_out(rules.timeouts.write, pause, &self.shared.stop).await
    }

    /// Closes. Returns why in one word, and in another why a handshake failed.
    pub(super) async fn finish(&mut self, end: End) -> (&'static str, Option<&'static str>) {
        self.transaction = None;
        self.recipients.clear();
        self.context = None;
        let mut reason = None;
        let cause = match end {
            End::Closed => "smtpserver.eof",
            End::Session(reason) => {
                match reason {
                    CloseReason::Quit => self.pipe.say_goodbye().await,
                    _ => self.pipe.linger(&self.shared.buffers).await,
                }
                reason.token()
            }
            End::Io(error) => {
                debug!(%error, "connection broke");
                "smtpserver.io"
            }
            End::WriteTimedOut => "smtpserver.write-timed-out",
            End::Handshake(error) => {
                debug!(%error, "tls handshake failed");
                reason = Some(handshake::reason(&error));
                "smtpserver.handshake-failed"
            }
        };
        (cause, reason)
    }
}

/// What ends a wait.
enum Event {
    Input(io::Result<Option<Buffer>>),
    Deadline,
    Stop,
}

/// Takes one from the open connections at its end.
struct Closing(::metrics::Gauge);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
