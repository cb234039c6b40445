//! One connection: gives input to the session, and does what its steps say.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use smtp_parser::Verb;
use tokio::time::Instant;
use tracing::{debug, info};

use super::answers::{Responder, Settled, Transaction};
use super::buffers::Buffer;
use super::clock::Clock;
use super::gate::Admission;
use super::pipe::Pipe;
use super::refusals::Refused;
use super::trace::{Input, Reveal};
use super::wire::{Transport, Wire};
use super::{Listener, Shared, handshake, now};
use crate::backend::Backend;
use crate::client::{Peer, TlsFacts};
use crate::replies::{self, ReplyTemplate};
use crate::session::{CloseReason, Session, Step, Waiting};

/// Bytes of replies after which they are written although more input is available. Input of a client that does not read is
/// not processed further, so such clients can make us keep no more than this on each connection.
const OUT_LIMIT: usize = 4 << 10;

/// The most bytes of encrypted output that are kept for a client that does not read; rustls has 64 KiB by default.
const TLS_OUT_LIMIT: usize = 16 << 10;

/// The most bytes of an incomplete line that any connection may keep. Commands are shorter; a line of AUTH may be six times
/// as long, for which there are few places ([`super::MAX_LONG_CARRIES`]).
const LONG_CARRY: usize = 2 << 10;

/// Why a connection has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client has closed it.
    Closed,
    /// The session is over, for this reason.
    Session(CloseReason),
    /// Reading or writing failed.
    Io(io::Error),
    /// The client does not read what we write.
    WriteTimedOut,
    /// The TLS handshake failed.
    Handshake(io::Error),
}

impl End {
    /// The stable name of the cause, for logs.
    fn token(&self) -> &'static str {
        match self {
            Self::Closed => "smtpserver.eof",
            Self::Session(reason) => reason.token(),
            Self::Io(_) => "smtpserver.io",
            Self::WriteTimedOut => "smtpserver.write-timed-out",
            Self::Handshake(_) => "smtpserver.handshake-failed",
        }
    }
}

/// One connection. It is kept small because most connections are idle most of the time.
pub(super) struct Connection<B: Backend, T> {
    pub(super) shared: Arc<Shared<B>>,
    listener: Arc<Listener>,
    pub(super) pipe: Pipe<T>,
    clock: Clock,
    pub(super) session: Session<Transaction<B>>,
    /// The state of slow mode that was logged last.
    logged_slow: bool,
}

impl<B: Backend, T: Transport> Connection<B, T> {
    pub(super) fn new(shared: Arc<Shared<B>>, listener: Arc<Listener>, stream: T, peer: Peer) -> Self {
        let session = Session::new(Arc::clone(&listener.rules), peer);
        let (pipe, clock) = (Pipe::new(Wire::Plain(stream)), Clock::new());
        Self { shared, listener, pipe, clock, session, logged_slow: false }
    }

    /// Serves the client, or rejects it.
    pub(super) async fn run(self) {
        self.shared.metrics.connected(self.session.rules().kind);
        match self.admit() {
            Ok(admission) => self.converse(admission).await,
            Err(reply) => Box::pin(self.turn_away(reply)).await,
        }
    }

    /// Asks the gate, unless the server stops anyway.
    fn admit(&self) -> Result<Admission, ReplyTemplate> {
        if self.shared.stop.is_stopping() {
            return Err(replies::SHUTTING_DOWN);
        }
        let (ip, submission) = (self.session.client().ip(), self.session.rules().kind.is_submission());
        self.shared.gate.admit(ip, submission).map_err(|rejection| {
            let for_logins = rejection.reply == replies::TOO_MANY_AUTH_FAILURES;
            self.shared.metrics.refused(rejection.limit, for_logins);
            self.shared.refusals.note(Refused::Connections, rejection.limit, rejection.network);
            rejection.reply
        })
    }

    /// Holds the whole conversation. The gate counts the client until its end.
    async fn converse(mut self, _admission: Admission) {
        let Peer { remote, local, .. } = self.session.client().peer;
        let rules = self.session.rules();
        info!(%remote, %local, listener = &*rules.listener, kind = rules.kind.service(), "new connection");
        self.listener.open.increment(1);
        let _open = OpenGuard(self.listener.open.clone());
        let end = self.serve().await;
        let messages = self.session.messages();
        let tls = self.session.client().tls.as_ref().map(|tls| (tls.version, tls.cipher));
        let (version, cipher) = tls.unzip();
        let (cause, reason) = Box::pin(self.finish(end)).await;
        info!(%remote, cause, reason, messages, tls = version, cipher, "connection closed");
    }

    /// Serves the client until the connection ends.
    async fn serve(&mut self) -> End {
        let mut responder = match Box::pin(self.begin()).await {
            Ok(responder) => responder,
            Err(end) => return end,
        };
        loop {
            let buffer = match self.fill().await {
                Ok(buffer) => buffer,
                Err(end) => return end,
            };
            // Boxed, so that a question takes memory only while it waits for its answer.
            if let Err(end) = Box::pin(self.work(&mut responder, buffer)).await {
                return end;
            }
        }
    }

    /// Goes from the first byte to the greeting.
    async fn begin(&mut self) -> Result<Responder<B>, End> {
        let rules = Arc::clone(&self.listener.rules);
        let facts = match rules.kind.is_implicit_tls() {
            true => Some(self.secure(rules.timeouts.handshake).await?),
            false => None,
        };
        let shared = Arc::clone(&self.shared);
        let mut responder = Responder::new(shared, rules, self.session.client());
        if let Some(facts) = facts {
            let settled = responder.settle(self.session.secured(facts), &mut self.pipe.out).await;
            self.act(settled, &mut responder, &mut Buffer::default()).await?;
        }
        self.session.greet(&mut self.pipe.out);
        self.clock.note(&self.session, true);
        self.flush().await?;
        Ok(responder)
    }

    /// Waits for input, a deadline or a stop. A connection that waits holds no buffer.
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
            let reason = match event {
                Event::Input(buffer) => return buffer.map_err(End::Io)?.ok_or(End::Closed),
                Event::Deadline => Some(self.session.timed_out(&mut self.pipe.out)),
                Event::Stop => {
                    told = true;
                    self.session.stop(&mut self.pipe.out)
                }
            };
            if let Some(reason) = reason {
                return Err(self.close(reason).await);
            }
        }
    }

    /// Does what can be done with `buffer`, sends the replies, and keeps the rest of the input.
    async fn work(&mut self, responder: &mut Responder<B>, mut buffer: Buffer) -> Result<(), End> {
        let time = now();
        let mut started = Instant::now();
        let mut progress = false;
        loop {
            // RFC 5321 §3.8: a stop comes before the next command, also for clients that do not wait for replies.
            if self.shared.stop.is_stopping()
                && let Some(reason) = self.session.stop(&mut self.pipe.out)
            {
                return Err(self.close(reason).await);
            }
            let kind = self.kind_of_input();
            let (taken, step) = self.session.receive(buffer.input(), time, &mut self.pipe.out);
            self.shared.reveal.received(buffer.input().get(..taken).unwrap_or_default(), kind);
            let settled = match step {
                Step::NeedInput => break,
                Step::Content(content) => {
                    responder.content(content).await;
                    buffer.consume(taken);
                    Settled::Continue
                }
                Step::Ask(ask) => {
                    buffer.consume(taken);
                    // The answer may take long.
                    buffer = self.shared.buffers.slim(buffer);
                    responder.settle(Step::Ask(ask), &mut self.pipe.out).await
                }
                Step::Continue => {
                    buffer.consume(taken);
                    Settled::Continue
                }
                Step::StartTls => Settled::StartTls,
                Step::Close(reason) => Settled::Close(reason),
            };
            if !matches!(settled, Settled::Continue) {
                self.act(settled, responder, &mut buffer).await?;
            }
            progress = true;
            // A client that sends a thousand commands at once must not keep others from being served.
            tokio::task::coop::consume_budget().await;
            responder.report(&mut self.session);
            if self.observe(started) {
                started = Instant::now();
            }
            self.clock.between_messages(&self.session);
            if self.pipe.out.len() >= OUT_LIMIT || self.session.is_slow() {
                self.flush().await?;
            }
        }
        if !self.carry(&buffer) {
            let reason = self.session.turn_away(replies::SERVER_FULL, &mut self.pipe.out);
            return Err(self.close(reason).await);
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

    /// Returns whether the next input is a command, message data or part of an exchange, for the trace.
    fn kind_of_input(&self) -> Input {
        match self.session.waiting() {
            Waiting::Data => Input::Data,
            _ if self.session.is_authenticating() => Input::Auth,
            _ => Input::Command,
        }
    }

    /// Does what remains when all questions are answered, and what that leads to.
    async fn act(
        &mut self,
        settled: Settled,
        responder: &mut Responder<B>,
        buffer: &mut Buffer,
    ) -> Result<(), End> {
        let mut settled = settled;
        loop {
            settled = match settled {
                Settled::Continue => return Ok(()),
                Settled::StartTls => {
                    self.flush().await?;
                    // RFC 3207 §6: plaintext that came before the handshake is discarded.
                    *buffer = Buffer::default();
                    let facts = self.secure(self.session.rules().timeouts.handshake).await?;
                    responder.settle(self.session.secured(facts), &mut self.pipe.out).await
                }
                Settled::Close(reason) => {
                    responder.report(&mut self.session);
                    return Err(self.close(reason).await);
                }
            };
        }
    }

    /// Sends the last reply.
    pub(super) async fn close(&mut self, reason: CloseReason) -> End {
        self.observe(Instant::now());
        self.flush().await.err().unwrap_or(End::Session(reason))
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

    /// Counts and logs the outcome of the last command, if there is a new one. Its time is from the command, or from the
    /// beginning of the message, without the time that the client takes for its next command.
    fn observe(&mut self, started: Instant) -> bool {
        if self.logged_slow != self.session.is_slow() {
            self.logged_slow = !self.logged_slow;
            debug!(slow = self.logged_slow, "slow mode");
        }
        let Some(reply) = self.session.take_last_reply() else { return false };
        let since = match (reply.verb, self.clock.message_began()) {
            (Some(Verb::Data | Verb::Bdat), Some(since)) => since,
            _ => started,
        };
        let (kind, duration) = (self.session.rules().kind, since.elapsed());
        self.shared.metrics.replied(kind, reply, duration);
        debug!(
            kind = kind.service(),
            cmd = reply.verb.map_or("", Verb::label),
            code = reply.code.get(),
            ecode = reply.status.map(tracing::field::display),
            ?duration,
            "smtp command result"
        );
        true
    }

    /// Writes all replies; byte by byte in slow mode.
    async fn flush(&mut self) -> Result<(), End> {
        if self.pipe.out.is_empty() {
            return Ok(());
        }
        Reveal::sent(&self.pipe.out);
        let rules = self.session.rules();
        let pause = if self.session.is_slow() { rules.delays.bad_client } else { Duration::ZERO };
        self.pipe.write_out(rules.timeouts.write, pause, &self.shared.stop).await
    }

    /// Closes the connection. Returns the cause as a token, and another for why a handshake failed.
    pub(super) async fn finish(&mut self, end: End) -> (&'static str, Option<&'static str>) {
        let mut reason = None;
        match &end {
            End::Session(CloseReason::Quit) => self.pipe.say_goodbye().await,
            End::Session(_) => self.pipe.linger(&self.shared.buffers).await,
            End::Io(error) => debug!(%error, "connection broke"),
            End::Handshake(error) => {
                debug!(%error, "tls handshake failed");
                reason = Some(handshake::reason(error));
            }
            End::Closed | End::WriteTimedOut => {}
        }
        (end.token(), reason)
    }
}

/// What ends a wait.
enum Event {
    Input(io::Result<Option<Buffer>>),
    Deadline,
    Stop,
}

/// Decrements the gauge of open connections when it is dropped.
struct OpenGuard(::metrics::Gauge);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
