//! What a session reports to its owner beside its steps: for metrics, logs and limits. Each is taken once.

use smtp_parser::{Code, EnhancedCode, Path, Verb};

use super::Session;
use crate::backend::LoginFailure;
use crate::refusal::Refusal;

/// The outcome of a command: the codes of its reply. Challenges, 354 and the greeting have none, since they do not
/// complete a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyOutcome {
    /// The command; `None` before the first.
    pub verb: Option<Verb>,
    /// Three digits (RFC 5321 §4.2).
    pub code: Code,
    /// The enhanced code.
    pub status: Option<EnhancedCode>,
}

/// A refusal that the session has decided without asking its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectRefusal<T> {
    /// What was refused.
    pub attempted: Attempted<T>,
    /// The reply.
    pub refusal: Refusal,
}

/// What a client attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempted<T> {
    /// MAIL with this path.
    Sender(Path),
    /// RCPT with this path, in the transaction that is under way.
    Recipient(Path),
    /// A message: the owner's data of its transaction, which is over, and its size in bytes.
    Message(T, u64),
}

impl<T> Session<T> {
    /// The outcome of the last command, if it was not taken yet.
    pub fn take_last_reply(&mut self) -> Option<ReplyOutcome> {
        self.last_reply.take()
    }

    /// The last refusal without a question, if it was not taken yet.
    pub fn take_direct_refusal(&mut self) -> Option<Box<DirectRefusal<T>>> {
        self.direct_refusal.take()
    }

    /// The last failed login, if it was not taken yet.
    pub fn take_login_failure(&mut self) -> Option<LoginFailure> {
        self.login_failure.take()
    }
}
