//! The counts of a session, and its limits.

use smtp_parser::Verb;

use crate::replies::{self, ReplyTemplate};
use crate::rules::Limits;

/// The size of a chunk from which on its command does not count: 100 MiB in chunks of 8 KiB are no flood of commands. The
/// limit of a message bounds the number of such chunks.
const SMALLEST_FREE_CHUNK: u64 = 1 << 10;

/// The counts of a session. An accepted message resets all but the first four, so that they do not limit a client that
/// sends mail.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) messages: u32,
    pub(super) commands_in_all: u64,
    pub(super) failed_messages: u32,
    pub(super) failed_logins: u32,
    commands: u32,
    idle: u32,
    failed_commands: u32,
    failed_recipients: u32,
}

impl Counts {
    /// Counts a command.
    pub(super) fn command(&mut self, verb: Verb) {
        self.commands_in_all = self.commands_in_all.saturating_add(1);
        self.commands = self.commands.saturating_add(1);
        if is_idle(verb) {
            self.idle = self.idle.saturating_add(1);
        }
    }

    /// Takes back the count of a BDAT command whose chunk was not small.
    pub(super) fn chunk_accepted(&mut self, size: u64) {
        if size >= SMALLEST_FREE_CHUNK {
            self.commands = self.commands.saturating_sub(1);
        }
    }

    /// Counts a refused command. Logins and messages have counts of their own.
    pub(super) fn failed(&mut self, verb: Option<Verb>) {
        let count = match verb {
            Some(Verb::Auth) => return,
            Some(Verb::Rcpt) => &mut self.failed_recipients,
            _ => &mut self.failed_commands,
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn message_accepted(&mut self) {
        let (messages, failed_messages) = (self.messages.saturating_add(1), self.failed_messages);
        let (commands_in_all, failed_logins) = (self.commands_in_all, self.failed_logins);
        *self = Self { messages, commands_in_all, failed_messages, failed_logins, ..Self::default() };
    }

    pub(super) fn message_failed(&mut self) {
        self.failed_messages = self.failed_messages.saturating_add(1);
    }

    /// The reply to a client that has exceeded a limit.
    pub(super) fn exceeded(&self, limits: &Limits) -> Option<ReplyTemplate> {
        if self.commands > limits.commands || self.idle > limits.idle_commands {
            return Some(replies::TOO_MANY_COMMANDS);
        }
        let errors = self.failed_commands > limits.failed_commands;
        (errors || self.failed_recipients > limits.failed_recipients).then_some(replies::TOO_MANY_ERRORS)
    }

    /// Were more messages refused than a sender of real mail would have? Each accepted one makes up for a refused one.
    pub(super) fn too_many_failed_messages(&self, limits: &Limits) -> bool {
        self.failed_messages > limits.failed_messages.saturating_add(self.messages)
    }
}

/// Is it a command that does not bring a message closer?
fn is_idle(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Noop
            | Verb::Rset
            | Verb::Help
            | Verb::Vrfy
            | Verb::Expn
            | Verb::Helo
            | Verb::Ehlo
            | Verb::StartTls
    )
}
