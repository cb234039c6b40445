//! Logs the conversation at level trace: `RC:` is what we read, `LS:` what we write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, enabled, trace};

/// Which secrets the trace log shows: none by default, whatever the level. Clones share the setting, so that it can be
/// changed while the server runs.
#[derive(Clone, Debug, Default)]
pub struct Reveal(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    auth: AtomicBool,
    data: AtomicBool,
}

impl Reveal {
    /// `auth`: passwords and proofs. `data`: messages.
    pub fn set(&self, auth: bool, data: bool) {
        self.0.auth.store(auth, Ordering::Relaxed);
        self.0.data.store(data, Ordering::Relaxed);
    }

    fn auth(&self) -> bool {
        self.0.auth.load(Ordering::Relaxed)
    }

    fn data(&self) -> bool {
        self.0.data.load(Ordering::Relaxed)
    }
}

/// The kind of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Command,
    Auth,
    Data,
}

impl Reveal {
    pub(super) fn received(&self, bytes: &[u8], input: Input) {
        if !enabled!(Level::TRACE) || bytes.is_empty() {
            return;
        }
        match input {
            Input::Auth if !self.auth() => trace!("RC: ***"),
            Input::Data if !self.data() => trace!("RC: ..."),
            Input::Command if !self.auth() && is_auth(bytes) => {
                // The mechanism is no secret, the initial response is.
                let words: Vec<_> = bytes.split(|byte| *byte == b' ').take(2).collect();
                trace!("RC: {} ***", words.join(&b' ').escape_ascii());
            }
            _ => trace!("RC: {}", bytes.escape_ascii()),
        }
    }

    pub(super) fn sent(bytes: &[u8]) {
        if enabled!(Level::TRACE) && !bytes.is_empty() {
            trace!("LS: {}", bytes.escape_ascii());
        }
    }
}

fn is_auth(bytes: &[u8]) -> bool {
    bytes.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH "))
}
