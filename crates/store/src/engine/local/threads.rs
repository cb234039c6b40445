//! The threads: the only module of the engine that starts any, so that a scheduler of a test's own can stand in for it.

use std::thread::{self, JoinHandle};

use tracing::error;

use crate::error::{Error, Result};

/// A running thread.
#[derive(Debug)]
pub(super) struct Thread(JoinHandle<()>);

/// Starts a thread called `name`.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<Thread> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(Thread).map_err(|e| Error::io("starting a thread", e))
}

impl Thread {
    /// Blocks until the thread has ended. A panic in it is logged and goes no further.
    pub(super) fn join(self) {
        let name = self.0.thread().name().unwrap_or_default().to_owned();
        if self.0.join().is_err() {
            error!(thread = name, "a thread of the store has panicked");
        }
    }
}

/// Does `work` while `helper` runs on another thread; returns what `work` does once both have ended.
pub(super) fn with_helper<T>(helper: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        scope.spawn(helper);
        work()
    })
}
