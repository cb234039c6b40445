//! The request to stop a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Asks a server to stop, and wakes all tasks that wait for that. Clones share the request.
#[derive(Clone, Default, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    stopping: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// A request that was not made yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the server to stop. This cannot be undone.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
    }

    /// Was the server asked to stop?
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Waits until a stop is requested.
    pub async fn stopped(&self) {
        let notified = self.0.notify.notified();
        // Registered before the flag is read, so that a stop between the two is not missed.
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if !self.is_stopping() {
            notified.await;
        }
    }

    /// Sleeps for `time`, or until a stop is requested.
    pub async fn sleep(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stopped() => {}
        }
    }
}
