//! The conversation itself in the log, at level trace: `RC:` is what we read, `LS:` what we write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Level, enabled, trace};

/// Which secrets may stand in a trace: none at first. Nothing else lets them in, not even the level. Clones share it, so
/// that it can be changed while the server runs.
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

/// What some input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Command,
    Auth,
    Data,
}

impl Reveal {
    pub(super) fn received(&self, octets: &[u8], input: Input) {
        if !enabled!(Level::TRACE) || octets.is_empty() {
            return;
        }
        match input {
            Input::Auth if !self.auth() => trace!("RC: ***"),
            Input::Data if !self.data() => trace!("RC: ..."),
            Input::Command if !self.auth() && is_auth(octets) => {
                // The mechanism is no secret, the initial response is.
                let words: Vec<_> = octets.split(|octet| *octet == b' ').take(2).collect();
                trace!("RC: {} ***", words.join(&b' ').escape_ascii());
            }
            _ => trace!("RC: {}", octets.escape_ascii()),
        }
    }

    pub(super) fn sent(octets: &[u8]) {
        if enabled!(Level::TRACE) && !octets.is_empty() {
            trace!("LS: {}", octets.escape_ascii());
        }
    }
}

fn is_auth(octets: &[u8]) -> bool {
    octets.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH "))
}
