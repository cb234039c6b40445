//! The table of commands, with the conditions for each. HELP and EHLO read it too.

use std::time::SystemTime;

use smtp_parser::{Bdat, Command, Hello, SyntaxError, Verb};

use super::extensions::Terms;
use super::states::{Proof, State};
use super::{Ask, AskHello, Attempted, CloseReason, Next, Session, Step};
use crate::client;
use crate::replies::{self, ReplyTemplate};

/// A condition for a command. All of them are checked before its arguments.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// Not too many messages were refused.
    Welcome,
    /// The client has said HELO or EHLO.
    Greeted,
    /// The listener is for users who submit mail.
    Submission,
    /// No login yet, except by certificate alone.
    NoLogin,
    /// No login yet, which STARTTLS would have to forget.
    NoLoginBeforeTls,
    /// A login where one is needed.
    Login,
    /// TLS where it is needed.
    Tls,
    /// No TLS yet.
    NoTls,
    /// The listener has a certificate.
    TlsAvailable,
    /// No transaction, for MAIL.
    NoMail,
    /// No transaction, for AUTH.
    NoMailForAuth,
    /// A transaction.
    Mail,
    /// A transaction with a recipient.
    Recipients,
    /// No chunk yet, for RCPT.
    NoChunkForRecipient,
    /// No chunk yet, for DATA.
    NoChunk,
    /// Not a body that only chunks can carry.
    NotBinary,
}

/// One command: its conditions in the order of their checks, and where it is offered.
struct Row {
    verb: Verb,
    checks: &'static [Check],
    offered: fn(Terms<'_>) -> bool,
}

use Check::{
    Greeted, Login, Mail, NoChunk, NoChunkForRecipient, NoLogin, NoLoginBeforeTls, NoMail, NoMailForAuth,
    NoTls, NotBinary, Recipients, Submission, Tls, TlsAvailable, Welcome,
};

/// Every command.
const COMMANDS: &[Row] = &[
    Row { verb: Verb::Helo, checks: &[], offered: always },
    Row { verb: Verb::Ehlo, checks: &[], offered: always },
    Row {
        verb: Verb::StartTls,
        checks: &[Greeted, NoTls, TlsAvailable, NoLoginBeforeTls],
        offered: |terms| terms.client.tls.is_none() && terms.rules.starttls,
    },
    Row {
        verb: Verb::Auth,
        checks: &[Greeted, Submission, NoLogin, NoMailForAuth],
        offered: |terms| terms.rules.kind.is_submission(),
    },
    Row { verb: Verb::Mail, checks: &[Welcome, Greeted, Login, Tls, NoMail], offered: always },
    Row { verb: Verb::Rcpt, checks: &[Greeted, Login, Tls, Mail, NoChunkForRecipient], offered: always },
    Row {
        verb: Verb::Data,
        checks: &[Greeted, Login, Tls, Mail, NoChunk, NotBinary, Recipients],
        offered: always,
    },
    Row { verb: Verb::Bdat, checks: &[Greeted, Login, Tls, Mail, Recipients], offered: always },
    Row { verb: Verb::Rset, checks: &[], offered: always },
    Row { verb: Verb::Vrfy, checks: &[], offered: always },
    Row { verb: Verb::Expn, checks: &[], offered: always },
    Row { verb: Verb::Help, checks: &[], offered: always },
    Row { verb: Verb::Noop, checks: &[], offered: always },
    Row { verb: Verb::Quit, checks: &[], offered: always },
];

fn always(_: Terms<'_>) -> bool {
    true
}

/// Does this listener offer the command to this client now?
pub(super) fn is_offered(verb: Verb, terms: Terms<'_>) -> bool {
    COMMANDS.iter().any(|row| row.verb == verb && (row.offered)(terms))
}

impl Check {
    /// The reply where it does not hold.
    fn failing<T>(self, session: &Session<T>) -> Option<ReplyTemplate> {
        let client = &session.client;
        let transaction = session.transaction();
        let (holds, template) = match self {
            Welcome => {
                let failures = session.counts.too_many_failed_messages(&session.rules.limits);
                (!failures, replies::TOO_MANY_FAILURES)
            }
            Greeted => (client.hello.is_some(), replies::NO_HELLO),
            Submission => (client.kind.is_submission(), replies::AUTH_NOT_HERE),
            NoLogin => (session.proof != Proof::Auth, replies::ALREADY_AUTHENTICATED),
            NoLoginBeforeTls => (client.login.is_none(), replies::STARTTLS_AFTER_AUTH),
            Login => (!client.kind.is_submission() || client.login.is_some(), replies::AUTH_REQUIRED),
            Tls => (!session.rules.mail_needs_tls || client.tls.is_some(), replies::STARTTLS_REQUIRED),
            NoTls => (client.tls.is_none(), replies::TLS_ACTIVE),
            TlsAvailable => (session.rules.starttls, replies::TLS_UNAVAILABLE),
            NoMail => (transaction.is_none(), replies::ALREADY_MAIL),
            NoMailForAuth => (transaction.is_none(), replies::AUTH_DURING_MAIL),
            Mail => (transaction.is_some(), replies::NO_MAIL),
            Recipients => (transaction.is_some_and(|t| t.recipients > 0), replies::NO_RECIPIENTS),
            NoChunkForRecipient => {
                (!transaction.is_some_and(|t| t.is_chunked()), replies::RECIPIENT_DURING_BDAT)
            }
            NoChunk => (!transaction.is_some_and(|t| t.is_chunked()), replies::DATA_DURING_BDAT),
            NotBinary => (!transaction.is_some_and(|t| t.is_binary()), replies::DATA_FOR_BINARY),
        };
        (!holds).then_some(template)
    }
}

impl<T> Session<T> {
    /// Takes one line: a command, or part of an AUTH exchange.
    pub(super) fn receive_line(
        &mut self,
        input: &[u8],
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> (usize, Next<'_, T>) {
        let limit = self.line_limit(input);
        let window = input.get(..limit).unwrap_or(input);
        let Some(end) = memchr::memchr(b'\n', window) else {
            if window.len() < limit {
                return (0, Step::NeedInput);
            }
            return (input.len(), self.line_too_long(limit, out));
        };
        // RFC 5321 §2.3.8: lines end in CRLF. A bare LF ends a command, too; that cannot smuggle anything.
        let line = input.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = input.get(end + 1..).unwrap_or_default();
        let step = match self.state {
            State::Authenticating(_) => self.exchange_line(line, out),
            _ => self.command(line, rest.is_empty(), now, out),
        };
        (end + 1, step)
    }

    /// The longest line that may come next: AUTH and its exchange have a limit of their own (RFC 5321 §4.5.3.1.4, RFC 4954
    /// §4).
    fn line_limit(&self, input: &[u8]) -> usize {
        let auth = |word: &[u8]| word.eq_ignore_ascii_case(b"AUTH ");
        let long = match self.state {
            State::Authenticating(_) => true,
            _ => self.rules.kind.is_submission() && input.get(..5).is_some_and(auth),
        };
        let limits = &self.rules.limits;
        if long { limits.auth_line.saturating_add(2).max(limits.line) } else { limits.line }
    }

    fn line_too_long(&mut self, limit: usize, out: &mut Vec<u8>) -> Next<'_, T> {
        if limit > self.rules.limits.line {
            return self.response_too_long(out);
        }
        self.reply(replies::LINE_TOO_LONG, &[&limit.to_string()], out);
        self.end(CloseReason::Refused)
    }

    fn command(
        &mut self,
        line: &[u8],
        last_of_input: bool,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let parsed = Command::parse(line, self.rules.dialect);
        let verb = match &parsed {
            Ok(command) => command.verb(),
            Err(error) => error.verb().unwrap_or(Verb::Unknown),
        };
        self.leave_slow_mode();
        self.verb = Some(verb);
        if let Some(template) = self.counts.exceeded(&self.rules.limits) {
            return self.close(template, CloseReason::Refused, out);
        }
        if verb == Verb::Unknown {
            return self.unknown_command(out);
        }
        self.counts.command(verb);
        let row = COMMANDS.iter().find(|row| row.verb == verb);
        let failing = row.and_then(|row| row.checks.iter().find_map(|check| check.failing(self)));
        match (parsed, failing) {
            // RFC 3030 §2: the bytes of a chunk come whatever the reply is.
            (Ok(Command::Bdat(bdat)), Some(template)) => self.skip_chunk(bdat, template, out),
            (Err(error), Some(_)) if verb == Verb::Bdat => self.syntax_error(&error, line, out),
            (_, Some(replies::TOO_MANY_FAILURES)) => {
                self.close(replies::TOO_MANY_FAILURES, CloseReason::Refused, out)
            }
            // Reported, because a sender that has to log in or use TLS first will ask where its mail is.
            (
                Ok(Command::Mail(mail)),
                Some(template @ (replies::AUTH_REQUIRED | replies::STARTTLS_REQUIRED)),
            ) => self.fail_directly(Attempted::Sender(mail.path), template, &[], out),
            (_, Some(template)) => self.fail(template, &[], out),
            (Err(error), None) => self.syntax_error(&error, line, out),
            (Ok(command), None) => self.execute(command, last_of_input, now, out),
        }
    }

    fn execute(
        &mut self,
        command: Command<'_>,
        last_of_input: bool,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        match command {
            Command::Helo(hello) => self.hello(&hello, false, now, out),
            Command::Ehlo(hello) => self.hello(&hello, true, now, out),
            Command::StartTls => self.start_tls(last_of_input, out),
            Command::Auth(auth) => self.auth(auth, out),
            Command::Mail(mail) => self.mail(mail, now, out),
            Command::Rcpt(rcpt) => self.rcpt(rcpt, out),
            Command::Data => self.data(out),
            Command::Bdat(Bdat { size, last }) => self.bdat(size, last, out),
            Command::Rset => {
                self.reset();
                self.succeed(replies::RESET_OK, &[], out)
            }
            Command::Vrfy(_) => self.succeed(replies::VRFY, &[], out),
            Command::Expn(_) => self.succeed(replies::EXPN, &[], out),
            Command::Help(_) => self.help(out),
            Command::Noop => self.succeed(replies::NOOP_OK, &[], out),
            Command::Quit => self.close(replies::BYE, CloseReason::Quit, out),
            Command::Unknown(_) => self.unknown_command(out),
        }
    }

    fn unknown_command(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        // A client whose first line is no command speaks another protocol, perhaps tricked into it by a web page
        // (RFC 5321 §7.8: a server may close on clients that misbehave).
        if self.counts.commands_in_all == 0 {
            return self.close(replies::NOT_SMTP, CloseReason::Refused, out);
        }
        self.counts.command(Verb::Unknown);
        self.fail(replies::UNKNOWN_COMMAND, &[], out)
    }

    /// HELO and EHLO.
    fn hello(
        &mut self,
        hello: &Hello<'_>,
        extended: bool,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        if self.rules.kind.is_submission() && !self.rules.pedantic() {
            // RFC 5321 §4.1.4: mail programs seldom give a name that exists, so the address stands for them.
            let name = dns::Host::Ip(self.client.ip());
            return self.greeted(client::Hello { name, extended }, now, out);
        }
        match &hello.host {
            Ok(name) => {
                let hello = client::Hello { name: name.clone(), extended };
                Step::Ask(Ask::Hello(AskHello { session: self, hello }))
            }
            Err(error) => self.bad_syntax(error, out),
        }
    }

    /// Greets the client back. HELO and EHLO also reset the transaction (RFC 5321 §4.1.4); a login stays.
    pub(super) fn greeted(
        &mut self,
        hello: client::Hello,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let extended = hello.extended;
        self.client.hello = Some(hello);
        self.state = State::Idle;
        // RFC 5321 §4.1.1.1: HELO has one line and brings no extensions.
        let text = if extended { self.announcement(now) } else { self.rules.hostname.to_string() };
        self.succeed(replies::HELLO, &[&text], out)
    }

    fn start_tls(&mut self, last_of_input: bool, out: &mut Vec<u8>) -> Next<'_, T> {
        // RFC 3207 §6: an attacker on the path may have added what follows in plaintext. Honest clients send nothing more
        // before the handshake.
        if !last_of_input {
            return self.close(replies::STARTTLS_PIPELINED, CloseReason::Refused, out);
        }
        self.reset();
        self.reply(replies::STARTTLS_GO, &[], out);
        Step::StartTls
    }

    fn help(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        let offered = COMMANDS.iter().filter(|row| (row.offered)(self.terms()));
        let words: Vec<String> = offered.map(|row| row.verb.label().to_ascii_uppercase()).collect();
        self.succeed(replies::HELP, &[&words.join(" ")], out)
    }

    /// Forgets the transaction.
    pub(super) fn reset(&mut self) {
        if self.transaction().is_some() {
            self.state = State::Idle;
        }
    }

    /// Replies to an error in an argument that is no parameter.
    pub(super) fn bad_syntax(&mut self, error: &SyntaxError, out: &mut Vec<u8>) -> Next<'_, T> {
        self.fail(replies::BAD_SYNTAX, &[&error.to_string()], out)
    }
}
