//! What is counted on a connection, and when it is too much.

use smtp_parser::Verb;

use crate::replies::{self, ReplyTemplate};
use crate::rules::Limits;

/// Octets of a chunk that moves a message forward. Whoever sends 100 MiB in chunks of 8 KiB is no flood of commands;
/// whoever sends crumbs is. What such chunks come to is bounded as the message is.
const CHUNK_OF_USE: u64 = 1 << 10;

/// What is counted on a connection. All but the first four begin anew with every message that is taken: who sends mail
/// is welcome to go on.
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
    /// A command has come.
    pub(super) fn command(&mut self, verb: Verb) {
        self.commands_in_all = self.commands_in_all.saturating_add(1);
        self.commands = self.commands.saturating_add(1);
        if is_idle(verb) {
            self.idle = self.idle.saturating_add(1);
        }
    }

    /// The chunk of the last command was taken: if it was of any use, the command is not counted.
    pub(super) fn chunk_taken(&mut self, size: u64) {
        if size >= CHUNK_OF_USE {
            self.commands = self.commands.saturating_sub(1);
        }
    }

    /// A command was refused. Logins and messages have counts of their own.
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

    /// Has the client had enough of everything?
    pub(super) fn exceeded(&self, limits: &Limits) -> Option<ReplyTemplate> {
        if self.commands > limits.commands || self.idle > limits.idle_commands {
            return Some(replies::TOO_MANY_COMMANDS);
        }
        let errors = self.failed_commands > limits.failed_commands;
        (errors || self.failed_recipients > limits.failed_recipients).then_some(replies::TOO_MANY_ERRORS)
    }

    /// Were more messages refused than a sender of real mail would have? Each one taken makes up for one refused.
    pub(super) fn too_many_failed_messages(&self, limits: &Limits) -> bool {
        self.failed_messages > limits.failed_messages.saturating_add(self.messages)
    }
}

/// Does the command move nothing forward?
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
