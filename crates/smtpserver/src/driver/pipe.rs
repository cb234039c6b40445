//! Octets in and out of a connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::buffers::{Buffer, Buffers};
use super::connection::End;
use super::stop::Stop;
use super::wire::{Transport, Wire};

/// How long a client that did not ask for the end may still read what it was told.
const LINGER: Duration = Duration::from_secs(1);
/// Octets of such a client that are thrown away at most.
const LINGER_OCTETS: usize = 1 << 20;

/// A connection with what was read and not understood yet, and what was said and not written yet.
pub(super) struct Pipe<T> {
    pub(super) wire: Wire<T>,
    /// Input that is no whole command yet.
    pub(super) carry: Vec<u8>,
    /// The place of a carry that is longer than commands are.
    pub(super) long: Option<OwnedSemaphorePermit>,
    pub(super) out: Vec<u8>,
    /// One timer for everything: making one costs more than moving it.
    timer: Pin<Box<Sleep>>,
}

impl<T: Transport> Pipe<T> {
    pub(super) fn new(wire: Wire<T>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        Self { wire, carry: Vec::new(), long: None, out: Vec::new(), timer }
    }

    /// From now on it is `deadline` that is waited for.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }

    /// Reads once: a buffer with what was left and what has come, or none at the end. A buffer is held only if there is
    /// something to read.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        large: bool,
    ) -> Poll<io::Result<Option<Buffer>>> {
        let mut buffer = buffers.take(large, &self.carry);
        match self.wire.poll_read(cx, buffer.room()) {
            Poll::Ready(Ok(length)) if length > 0 => {
                buffer.filled_more(length);
                self.carry = Vec::new();
                Poll::Ready(Ok(Some(buffer)))
            }
            other => other.map_ok(|_| None),
        }
    }

    /// Writes all that was said within `timeout`; octet by octet with a `pause` between them, if there is one.
    pub(super) async fn write_out(
        &mut self,
        timeout: Duration,
        pause: Duration,
        stop: &Stop,
    ) -> Result<(), End> {
        let whole = self.out.len();
        if pause.is_zero() {
            self.write(0, whole, timeout).await?;
        } else {
            for at in 0..whole {
                if at > 0 {
                    stop.sleep(pause).await;
                }
                self.write(at, at + 1, timeout).await?;
            }
        }
        self.out.clear();
        Ok(())
    }

    /// Writes a part of `out`. The timer is touched only if it does not go out at once.
    async fn write(&mut self, from: usize, to: usize, timeout: Duration) -> Result<(), End> {
        let mut at = from;
        let mut timed = false;
        poll_fn(|cx| {
            let polled = self.poll_write(cx, &mut at, to);
            if polled.is_ready() {
                return polled.map_err(End::Io);
            }
            if !timed {
                timed = true;
                // The client takes its time: what it has not read yet takes no more memory than it needs.
                self.out.shrink_to_fit();
                self.set_deadline(Instant::now() + timeout);
            }
            self.poll_deadline(cx).map(|()| Err(End::WriteTimedOut))
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

    /// Says that nothing more will be said, and reads until the client has understood: a client that is still talking
    /// when we hang up may never see what it was told.
    pub(super) async fn linger(&mut self, buffers: &Buffers) {
        let mut thrown = 0;
        let _ = tokio::time::timeout(LINGER, poll_fn(|cx| self.poll_linger(cx, buffers, &mut thrown))).await;
    }

    fn poll_linger(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
        thrown: &mut usize,
    ) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_shutdown(cx))?;
        let mut buffer = buffers.take(false, &[]);
        loop {
            match self.wire.poll_read(cx, buffer.room()) {
                Poll::Ready(Ok(length)) if length > 0 && *thrown < LINGER_OCTETS => *thrown += length,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// The closing alert of TLS goes out if it can at once; nobody is waited for.
    pub(super) async fn say_goodbye(&mut self) {
        if let Wire::Tls(_) = self.wire {
            poll_fn(|cx| Poll::Ready(self.wire.poll_shutdown(cx).is_ready())).await;
        }
    }
}
