//! How a server is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// Asks a server to stop, and tells everyone in it. Clones are one.
#[derive(Clone, Default, Debug)]
pub struct Stop(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    stopping: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Not asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. There is no way back.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
    }

    /// Has somebody asked?
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }

    /// Waits until somebody asks.
    pub async fn stopped(&self) {
        let notified = self.0.notify.notified();
        // Registered before the flag is read, or a stop between the two would be missed.
        let mut notified = std::pin::pin!(notified);
        notified.as_mut().enable();
        if !self.is_stopping() {
            notified.await;
        }
    }

    /// Sleeps for `time`, less if somebody asks.
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
