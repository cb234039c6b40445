//! The conversation itself in the log, at level trace: `RC:` is what we read, `LS:` what we write.

use tracing::{Level, enabled, trace};

/// Which secrets may stand in a trace. Nothing else lets them in, not even the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reveal {
    /// Passwords and proofs.
    pub auth: bool,
    /// Messages.
    pub data: bool,
}

/// What some input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Command,
    Auth,
    Data,
}

impl Reveal {
    pub(super) fn received(self, octets: &[u8], input: Input) {
        if !enabled!(target: "smtpserver", Level::TRACE) || octets.is_empty() {
            return;
        }
        match input {
            Input::Auth if !self.auth => trace!(target: "smtpserver", "RC: ***"),
            Input::Data if !self.data => trace!(target: "smtpserver", "RC: ..."),
            Input::Command if !self.auth && is_auth(octets) => {
                // The mechanism is no secret, the initial response is.
                let words: Vec<_> = octets.split(|octet| *octet == b' ').take(2).collect();
                trace!(target: "smtpserver", "RC: {} ***", words.join(&b' ').escape_ascii());
            }
            _ => trace!(target: "smtpserver", "RC: {}", octets.escape_ascii()),
        }
    }

    pub(super) fn sent(octets: &[u8]) {
        if enabled!(target: "smtpserver", Level::TRACE) && !octets.is_empty() {
            trace!(target: "smtpserver", "LS: {}", octets.escape_ascii());
        }
    }
}

fn is_auth(octets: &[u8]) -> bool {
    octets.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH "))
}
