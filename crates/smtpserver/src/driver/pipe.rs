//! Reads and writes of a connection.

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

/// How long the connection stays open for a client to read the last reply, if it has not sent QUIT.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are read from such a client and discarded.
const LINGER_BYTES: usize = 1 << 20;

/// A connection with its unprocessed input and its unsent replies.
pub(super) struct Pipe<T> {
    pub(super) wire: Wire<T>,
    /// An incomplete line.
    pub(super) carry: Vec<u8>,
    /// The place for a carry that is longer than commands are.
    pub(super) long: Option<OwnedSemaphorePermit>,
    pub(super) out: Vec<u8>,
    /// One timer for all waits, because making one costs more than moving it.
    timer: Pin<Box<Sleep>>,
}

impl<T: Transport> Pipe<T> {
    pub(super) fn new(wire: Wire<T>) -> Self {
        let timer = Box::pin(tokio::time::sleep_until(Instant::now()));
        Self { wire, carry: Vec::new(), long: None, out: Vec::new(), timer }
    }

    /// Sets the deadline of [`Pipe::poll_deadline`].
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.timer.as_mut().reset(deadline);
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }

    /// Reads once: a buffer with the carry and the new input, or `None` at the end of the stream. Without input no buffer is
    /// in use.
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

    /// Writes all replies within `timeout`; byte by byte, if there is a `pause` to be made between them.
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

    /// Writes a part of `out`. Sets the timer only if the write does not complete at once.
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
                // The client is slow to read, so the replies should not occupy spare memory.
                self.out.shrink_to_fit();
                self.set_deadline(Instant::now() + timeout);
            }
            self.poll_deadline(cx).map(|()| Err(End::WriteTimedOut))
        })
        .await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, at: &mut usize, to: usize) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.out.get(*at..to).filter(|bytes| !bytes.is_empty()) {
            match ready!(self.wire.poll_write(cx, bytes))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *at += written,
            }
        }
        self.wire.poll_flush(cx)
    }

    /// Shuts down our side, and reads until the client closes its own. A client that is still sending when we close might
    /// lose the last reply.
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
                Poll::Ready(Ok(length)) if length > 0 && *thrown < LINGER_BYTES => *thrown += length,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Sends the closing alert of TLS, if that is possible without waiting.
    pub(super) async fn say_goodbye(&mut self) {
        if let Wire::Tls(_) = self.wire {
            poll_fn(|cx| Poll::Ready(self.wire.poll_shutdown(cx).is_ready())).await;
        }
    }
}
