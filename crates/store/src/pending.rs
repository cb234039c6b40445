//! A result that comes later, for callers with and without an async runtime.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::block_in_place,
};

/// A result that comes later, such as when the disk has stored something: await it, or block a thread on it with
/// [`wait`](Pending::wait).
///
/// Dropping it does not cancel the operation.
#[must_use = "nothing is acknowledged before this is done"]
pub struct Pending<T>(Inner<T>);

enum Inner<T> {
    Ready(Option<T>),
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T> Pending<T> {
    /// A result that is there already.
    pub fn ready(value: T) -> Pending<T> {
        Pending(Inner::Ready(Some(value)))
    }

    /// The result of `future`.
    pub fn new(future: impl Future<Output = T> + Send + 'static) -> Pending<T> {
        Pending(Inner::Later(Box::pin(future)))
    }
}

impl<T: Unpin> Pending<T> {
    /// Blocks this thread until the result is there. Must not be called on a runtime's worker thread.
    pub fn wait(self) -> T {
        let mut future = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            // A future must not be polled after it has finished. If this one is, it stays pending, and does not panic.
            Inner::Ready(value) => value.take().map_or(Poll::Pending, Poll::Ready),
            Inner::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

/// Runs `work`, which may take long or wait for the disk. On a worker of a multi-threaded runtime, the worker's other
/// tasks move to another thread first.
pub(crate) fn off_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_another_thread() {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let pending = Pending::new(async move { rx.await.unwrap() });
        let sender = thread::spawn(move || tx.send(7).unwrap());
        assert_eq!(pending.wait(), 7);
        sender.join().unwrap();
        assert_eq!(Pending::ready(3).wait(), 3);
    }
}
