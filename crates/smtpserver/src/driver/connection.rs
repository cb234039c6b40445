//! One connection: reads, flushes, keeps deadlines. What to do is the session's to say.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use smtp_parser::Verb;
use tokio::time::{Instant, Sleep};
use tracing::{debug, info};

use super::buffers::Buffer;
use super::gate::Admission;
use super::trace::{Input, Reveal};
use super::wire::{Transport, Wire};
use super::{Listener, Shared, handshake, log_connected, now};
use crate::backend::Backend;
use crate::client::Peer;
use crate::replies::{self, Wording};
use crate::session::{Ask, CloseReason, Session, Step, Waiting};

/// Octets of replies that are written although more input is at hand: who does not read gets no more said.
const OUT_LIMIT: usize = 16 << 10;
/// How long a client that was sent away may still read what it was told.
const LINGER: Duration = Duration::from_secs(1);
/// Octets of such a client that are thrown away at most.
const LINGER_OCTETS: usize = 1 << 20;

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

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One connection. It is kept small: most of them wait for something most of the time.
pub(super) struct Connection<B: Backend, T> {
    pub(super) shared: Arc<Shared<B>>,
    listener: Arc<Listener>,
    wire: Wire<T>,
    pub(super) session: Session,
    /// The backend's part, from the moment the client is let in.
    pub(super) context: Option<B::Connection>,
    pub(super) transaction: Option<B::Transaction>,
    /// Input that is no whole command yet.
    carry: Vec<u8>,
    out: Vec<u8>,
    timer: Pin<Box<Sleep>>,
    clock: Clock,
}

/// Since when is waited for what.
struct Clock {
    /// The command, or for the input after the last one.
    waiting: Instant,
    /// The message.
    message: Option<Instant>,
    /// A message that is taken.
    productive: Instant,
    /// Messages taken by then.
    messages: u32,
}

impl<B: Backend, T: Transport> Connection<B, T> {
    pub(super) fn new(shared: Arc<Shared<B>>, listener: Arc<Listener>, wire: Wire<T>, peer: Peer) -> Self {
        let session = Session::new(Arc::clone(&listener.rules), peer);
        let start = Instant::now();
        Self {
            shared,
            listener,
            wire,
            session,
            context: None,
            transaction: None,
            carry: Vec::new(),
            out: Vec::new(),
            timer: Box::pin(tokio::time::sleep_until(start)),
            clock: Clock { waiting: start, message: None, productive: start, messages: 0 },
        }
    }

    /// The whole connection.
    pub(super) async fn run(mut self) {
        log_connected(&self.session.client().peer, self.session.rules());
        self.shared.metrics.connected(self.session.rules().kind);
        self.listener.open.increment(1);
        let _open = Closing(self.listener.open.clone());
        let admission = self.admit();
        let end = match Box::pin(self.begin(admission.as_ref().err().copied())).await {
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
        let cause = Box::pin(self.finish(end)).await;
        info!(target: "smtpserver", cause, messages = self.session.messages(), "connection closed");
    }

    /// Asks the gate, unless the server stops anyway.
    fn admit(&mut self) -> Result<Admission, Wording> {
        if self.shared.stop.is_stopping() {
            return Err(replies::SHUTTING_DOWN);
        }
        let (ip, submission) = (self.session.client().ip(), self.session.rules().kind.is_submission());
        self.shared.gate.admit(ip, submission, now()).map_err(|rejection| {
            let for_logins = rejection.wording == replies::TOO_MANY_AUTH_FAILURES;
            self.shared.metrics.refused(rejection.limit, for_logins);
            if rejection.log {
                info!(target: "smtpserver", %ip, limit = rejection.limit, "connections refused");
            }
            rejection.wording
        })
    }

    /// From the first octet to the greeting, or to what is said instead.
    async fn begin(&mut self, turned_away: Option<Wording>) -> Result<(), End> {
        if self.session.rules().kind.is_implicit_tls() {
            self.secure().await?;
        }
        if let Some(wording) = turned_away {
            let step = self.session.turn_away(wording, &mut self.out);
            return self.act(step, &mut Buffer::default()).await;
        }
        self.context = Some(self.shared.backend.connect(self.session.client()));
        if let Some(facts) = self.tls_facts() {
            let step = self.session.secured(facts);
            self.act(step, &mut Buffer::default()).await?;
        }
        self.session.greet(&mut self.out);
        self.clock.waiting = Instant::now();
        self.flush().await
    }

    /// Waits for input: a buffer with what was left and what has come. Nothing is allocated before it comes.
    async fn fill(&mut self) -> Result<Buffer, End> {
        if self.session.is_slow() {
            self.shared.stop.sleep(self.session.rules().delays.bad_client).await;
        }
        let deadline = self.deadline();
        self.timer.as_mut().reset(deadline);
        let stop = self.shared.stop.clone();
        let stopped = stop.stopped();
        let mut stopped = std::pin::pin!(stopped);
        let mut told = false;
        loop {
            let event = poll_fn(|cx| {
                if let Poll::Ready(read) = self.poll_fill(cx) {
                    return Poll::Ready(Event::Input(read));
                }
                if self.timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Deadline);
                }
                if !told && stopped.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Stop);
                }
                Poll::Pending
            })
            .await;
            let step = match event {
                Event::Input(buffer) => return buffer?.ok_or(End::Closed),
                Event::Deadline => self.session.timed_out(&mut self.out),
                Event::Stop => {
                    told = true;
                    self.session.stop(&mut self.out)
                }
            };
            if let Step::Close(reason) = step {
                self.flush().await?;
                return Err(End::Session(reason));
            }
        }
    }

    /// Reads once. A buffer is held only if there is something to read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Buffer>>> {
        let large = self.session.waiting() == Waiting::Data;
        let mut buffer = self.shared.buffers.take(large, &self.carry);
        let polled = self.wire.poll_read(cx, buffer.room());
        match polled {
            Poll::Ready(Ok(length)) if length > 0 => {
                buffer.filled_more(length);
                self.carry = Vec::new();
                Poll::Ready(Ok(Some(buffer)))
            }
            other => {
                self.shared.buffers.give(buffer);
                other.map_ok(|_| None)
            }
        }
    }

    /// Until when is waited for input.
    fn deadline(&mut self) -> Instant {
        let timeouts = &self.session.rules().timeouts;
        let wait = match self.session.waiting() {
            Waiting::FirstCommand => timeouts.first_command,
            Waiting::Command => timeouts.command,
            Waiting::Data => timeouts.data_block,
        };
        let unproductive = self.clock.productive + timeouts.unproductive;
        let whole = self.clock.message.map_or(unproductive, |since| since + timeouts.message);
        (self.clock.waiting + wait).min(unproductive).min(whole)
    }

    /// Does what can be done with `buffer`, sends what was said, and keeps the rest.
    async fn work(&mut self, mut buffer: Buffer) -> Result<(), End> {
        let mut started = Instant::now();
        let time = now();
        let mut done = false;
        loop {
            let input = self.input();
            let (taken, step) = self.session.receive(buffer.input(), time, &mut self.out);
            self.shared.reveal.received(buffer.input().get(..taken).unwrap_or_default(), input);
            match step {
                Step::NeedInput => break,
                Step::Content(content) => {
                    if let Some(transaction) = &mut self.transaction
                        && let Err(refusal) = self.shared.backend.content(transaction, content).await
                    {
                        self.session.refuse_content(refusal);
                    }
                    buffer.consume(taken);
                }
                Step::Continue => buffer.consume(taken),
                step => {
                    let step = owned(step);
                    buffer.consume(taken);
                    self.act(step, &mut buffer).await?;
                }
            }
            done = true;
            if self.observe(started) {
                started = Instant::now();
            }
            if !self.session.in_transaction() {
                self.transaction = None;
            }
            if self.out.len() >= OUT_LIMIT || self.session.is_slow() {
                self.flush().await?;
            }
        }
        self.carry = buffer.input().to_vec();
        self.shared.buffers.give(buffer);
        self.keep_time(done);
        self.flush().await?;
        // An idle connection keeps no memory for replies.
        self.out = Vec::new();
        Ok(())
    }

    /// What the next input is, for the trace.
    fn input(&self) -> Input {
        match self.session.waiting() {
            Waiting::Data => Input::Data,
            _ if self.session.is_authenticating() => Input::Auth,
            _ => Input::Command,
        }
    }

    /// Notes for the deadlines what has happened. A command that comes in pieces has one deadline for all of them; a
    /// message may go on as long as pieces come.
    fn keep_time(&mut self, done: bool) {
        let time = Instant::now();
        let clock = &mut self.clock;
        let data = self.session.waiting() == Waiting::Data;
        if done {
            clock.waiting = time;
        }
        match clock.message {
            None if data => clock.message = Some(time),
            Some(_) if !self.session.in_transaction() => clock.message = None,
            _ => {}
        }
        if clock.messages != self.session.messages() {
            clock.messages = self.session.messages();
            clock.productive = time;
        }
    }

    /// Does what a step asks for. What it leads to is done as well.
    async fn act(&mut self, step: Step<'static>, buffer: &mut Buffer) -> Result<(), End> {
        let mut step = step;
        loop {
            step = match step {
                Step::Ask(ask) => {
                    if matches!(ask, Ask::Message(_)) {
                        *buffer = self.shared.buffers.slim(std::mem::take(buffer));
                    }
                    let answer = self.reply_to(ask).await;
                    self.session.answer(answer, now(), &mut self.out)
                }
                Step::StartTls => {
                    self.flush().await?;
                    // Whatever else came in plaintext is not looked at.
                    *buffer = Buffer::default();
                    self.secure().await?;
                    match self.tls_facts() {
                        Some(facts) => self.session.secured(facts),
                        None => Step::Continue,
                    }
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

    /// Does a handshake.
    async fn secure(&mut self) -> Result<(), End> {
        let stream = match std::mem::replace(&mut self.wire, Wire::Gone) {
            Wire::Plain(stream) => stream,
            other => {
                self.wire = other;
                return Ok(());
            }
        };
        let rules = self.session.rules();
        let Some(tls) = &self.listener.tls else {
            return Err(End::Handshake(io::Error::other("no certificate for this listener")));
        };
        let done = handshake::accept(stream, tls, &self.shared.signers, rules.timeouts.handshake).await;
        if !rules.kind.is_submission() {
            self.shared.metrics.handshake(done.as_ref().err().map(handshake::reason));
        }
        self.wire = Wire::Tls(Box::new(done.map_err(End::Handshake)?));
        Ok(())
    }

    fn tls_facts(&self) -> Option<crate::client::TlsFacts> {
        let Wire::Tls(stream) = &self.wire else { return None };
        let facts = handshake::facts(stream.get_ref().1);
        debug!(
            target: "smtpserver",
            version = facts.version, cipher = facts.cipher, sni = facts.sni.as_deref(), "tls handshake done"
        );
        Some(facts)
    }

    /// Counts the reply that was given, if one was. Clients are told apart from us by when the clock starts: at the
    /// command, not while it is waited for.
    fn observe(&mut self, started: Instant) -> bool {
        if let Some(failure) = self.session.take_login_failure() {
            self.login_failed(&failure);
        }
        let Some(said) = self.session.take_said() else { return false };
        let since = match (said.verb, self.clock.message) {
            (Some(Verb::Data | Verb::Bdat), Some(since)) => since,
            _ => started,
        };
        let time = since.elapsed();
        let kind = self.session.rules().kind;
        self.shared.metrics.said(kind, said, time);
        debug!(
            target: "smtpserver",
            kind = kind.label(), cmd = said.verb.map_or("", Verb::label), code = said.code.get(),
            ecode = said.status.map(tracing::field::display), duration = ?time, "smtp command result"
        );
        true
    }

    /// Writes all that was said; octet by octet to those who have earned it.
    async fn flush(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        Reveal::sent(&self.out);
        let delay = self.session.rules().delays.bad_client;
        let whole = self.out.len();
        if !self.session.is_slow() || delay.is_zero() {
            self.write(0, whole).await?;
        } else {
            for at in 0..whole {
                if at > 0 {
                    self.shared.stop.sleep(delay).await;
                }
                self.write(at, at + 1).await?;
            }
        }
        self.out.clear();
        Ok(())
    }

    /// Writes a part of `out`. There is a timer only if it does not go out at once.
    async fn write(&mut self, from: usize, to: usize) -> Result<(), End> {
        let mut at = from;
        let mut timed = false;
        poll_fn(|cx| {
            let polled = self.poll_write(cx, &mut at, to);
            if polled.is_ready() {
                return polled.map_err(End::Io);
            }
            if !timed {
                timed = true;
                let deadline = Instant::now() + self.session.rules().timeouts.write;
                self.timer.as_mut().reset(deadline);
            }
            self.timer.as_mut().poll(cx).map(|()| Err(End::WriteTimedOut))
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, at: &mut usize, to: usize) -> Poll<io::Result<()>> {
        while let Some(octets) = self.out.get(*at..to).filter(|octets| !octets.is_empty()) {
            match ready!(self.wire.poll_write(cx, octets))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *at += written,
            }
        }
        self.wire.poll_flush(cx)
    }

    /// Closes. What we have said last is not lost by our hanging up on a client that is still talking.
    async fn finish(&mut self, end: End) -> &'static str {
        self.transaction = None;
        self.context = None;
        if let End::Session(CloseReason::Refused) = end {
            let _ = tokio::time::timeout(LINGER, poll_fn(|cx| self.poll_linger(cx))).await;
        } else if let End::Session(_) = end
            && let Wire::Tls(_) = self.wire
        {
            // The closing alert goes out if it can at once; nobody is waited for.
            poll_fn(|cx| Poll::Ready(self.wire.poll_shutdown(cx).is_ready())).await;
        }
        match end {
            End::Closed => "smtpserver.eof",
            End::Session(reason) => reason.token(),
            End::Io(error) => {
                debug!(target: "smtpserver", %error, "connection broke");
                "smtpserver.io"
            }
            End::WriteTimedOut => "smtpserver.write-timed-out",
            End::Handshake(error) => {
                debug!(target: "smtpserver", %error, "tls handshake failed");
                "smtpserver.handshake-failed"
            }
        }
    }

    /// Says that we say no more, and reads until the client has understood.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_shutdown(cx))?;
        let mut buffer = self.shared.buffers.take(false, &[]);
        let mut thrown = 0;
        let polled = loop {
            match self.wire.poll_read(cx, buffer.room()) {
                Poll::Ready(Ok(length)) if length > 0 && thrown < LINGER_OCTETS => thrown += length,
                Poll::Pending => break Poll::Pending,
                Poll::Ready(_) => break Poll::Ready(Ok(())),
            }
        };
        self.shared.buffers.give(buffer);
        polled
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

/// A step that does not hold on to its input.
fn owned(step: Step<'_>) -> Step<'static> {
    match step {
        Step::Ask(ask) => Step::Ask(ask),
        Step::StartTls => Step::StartTls,
        Step::Close(reason) => Step::Close(reason),
        Step::NeedInput | Step::Continue | Step::Content(_) => Step::Continue,
    }
}
