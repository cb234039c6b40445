//! Decides what happens to one recipient's copy of a message from another server. Pure: the evidence, the account's
//! history and its rules are arguments.
//!
//! Every message is accepted so far. The reason says that nothing was decided, and is stored with the copy.

use crate::Evidence;

/// The account's history with the sender. Empty so far: no history is read yet.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct History {}

/// What the account demands of a message. It demands nothing so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct VerdictRules {}

/// What happens to a copy, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What happens to the copy.
    pub action: Action,
    /// The check that decided.
    pub reason: Reason,
    /// The checks that were made, in their order.
    pub path: Vec<Step>,
}

/// What happens to a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is delivered.
    Accept,
}

/// Why a copy was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No check has been made.
    NotDecided,
}

impl Reason {
    /// The token that is stored with the message.
    pub fn token(self) -> &'static str {
        match self {
            Self::NotDecided => "not-decided",
        }
    }
}

/// One check on the way to a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The name of the check, such as `spf`.
    pub check: &'static str,
    /// The value that the check looked at, such as `softfail`.
    pub saw: String,
    /// What the check concluded, such as `continue`.
    pub outcome: &'static str,
}

/// Decides about one copy of a message. The same arguments give the same verdict.
pub fn decide(_evidence: &Evidence, _history: &History, _rules: &VerdictRules) -> Verdict {
    Verdict { action: Action::Accept, reason: Reason::NotDecided, path: Vec::new() }
}
