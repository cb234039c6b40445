//! Which command is legal when: one table. HELP and EHLO read it too.

use std::time::SystemTime;

use smtp_parser::{Bdat, Command, Hello, SyntaxError, Verb};

use super::states::State;
use super::{Ask, AskHello, CloseReason, Session, Step, Tried};
use crate::client;
use crate::replies::{self, Wording};

/// What must hold before a command is looked at more closely.
#[derive(Clone, Copy, Debug)]
enum Check {
    /// Not only failures so far.
    Welcome,
    /// HELO or EHLO was said.
    Greeted,
    /// A listener where users submit mail.
    Submission,
    /// No login yet, but that of a certificate.
    NoLogin,
    /// No login yet, or STARTTLS would have to forget it.
    NoLoginBeforeTls,
    /// A login where one is needed.
    Login,
    /// TLS where it is needed.
    Tls,
    /// No TLS yet.
    NoTls,
    /// There is a certificate.
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

/// One command: what must hold for it, in the order in which it is checked, and where it is on offer at all.
struct Row {
    verb: Verb,
    checks: &'static [Check],
    offered: fn(&Session) -> bool,
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
        offered: |session| session.client.tls.is_none() && session.rules.starttls,
    },
    Row {
        verb: Verb::Auth,
        checks: &[Greeted, Submission, NoLogin, NoMailForAuth],
        offered: |session| session.rules.kind.is_submission(),
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

fn always(_: &Session) -> bool {
    true
}

/// Is the command on offer on this listener, and now?
pub(super) fn is_offered(verb: Verb, session: &Session) -> bool {
    COMMANDS.iter().any(|row| row.verb == verb && (row.offered)(session))
}

impl Check {
    /// What is said where it does not hold.
    fn failing(self, session: &Session) -> Option<Wording> {
        let client = &session.client;
        let transaction = session.transaction();
        let (holds, wording) = match self {
            Welcome => (!session.is_unwelcome(), replies::TOO_MANY_FAILURES),
            Greeted => (client.hello.is_some(), replies::NO_HELLO),
            Submission => (client.kind.is_submission(), replies::AUTH_NOT_HERE),
            NoLogin => (client.login.is_none() || session.certified, replies::ALREADY_AUTHENTICATED),
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
        (!holds).then_some(wording)
    }
}

impl Session {
    /// Takes one line: a command, or part of an AUTH exchange.
    pub(super) fn receive_line(
        &mut self,
        input: &[u8],
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> (usize, Step<'static>) {
        let limit = self.line_limit(input);
        let window = input.get(..limit).unwrap_or(input);
        let Some(end) = memchr::memchr(b'\n', window) else {
            if window.len() < limit {
                return (0, Step::NeedInput);
            }
            return (input.len(), self.line_too_long(limit, out));
        };
        // RFC 5321 §2.3.8: lines end in CRLF. A bare LF ends a command all the same, which can smuggle nothing.
        let line = input.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = input.get(end + 1..).unwrap_or_default();
        let step = match self.state {
            State::Authenticating(_) => self.exchange_line(line, out),
            _ => self.command(line, rest.is_empty(), now, out),
        };
        (end + 1, step)
    }

    /// RFC 5321 §4.5.3.1.4, RFC 4954 §4: a command has one limit, what belongs to AUTH another.
    fn line_limit(&self, input: &[u8]) -> usize {
        let auth = |word: &[u8]| word.eq_ignore_ascii_case(b"AUTH ");
        let long = match self.state {
            State::Authenticating(_) => true,
            _ => self.rules.kind.is_submission() && input.get(..5).is_some_and(auth),
        };
        let limits = &self.rules.limits;
        if long { limits.auth_line.saturating_add(2).max(limits.line) } else { limits.line }
    }

    fn line_too_long(&mut self, limit: usize, out: &mut Vec<u8>) -> Step<'static> {
        if limit > self.rules.limits.line {
            return self.response_too_long(out);
        }
        self.say(replies::LINE_TOO_LONG, &limit.to_string(), out);
        self.over(CloseReason::Refused)
    }

    fn command(
        &mut self,
        line: &[u8],
        last_of_input: bool,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let parsed = Command::parse(line, self.rules.dialect);
        let verb = match &parsed {
            Ok(command) => command.verb(),
            Err(error) => error.verb().unwrap_or(Verb::Unknown),
        };
        self.leave_slow_mode();
        self.verb = Some(verb);
        if self.stopping && !self.in_transaction() {
            return self.close(replies::SHUTTING_DOWN, CloseReason::Stopping, out);
        }
        if let Some(wording) = self.counts.exceeded(&self.rules.limits) {
            return self.close(wording, CloseReason::Refused, out);
        }
        if verb == Verb::Unknown {
            return self.unknown_command(out);
        }
        self.counts.command(verb);
        let row = COMMANDS.iter().find(|row| row.verb == verb);
        let failing = row.and_then(|row| row.checks.iter().find_map(|check| check.failing(self)));
        match (parsed, failing) {
            // The octets of a chunk come whatever is said to the command.
            (Ok(Command::Bdat(bdat)), Some(wording)) => self.skip_chunk(bdat, wording, out),
            (Err(error), Some(_)) if verb == Verb::Bdat => self.syntax_error(&error, line, out),
            (_, Some(replies::TOO_MANY_FAILURES)) => {
                self.close(replies::TOO_MANY_FAILURES, CloseReason::Refused, out)
            }
            // Of a sender who should have come otherwise, somebody will ask where the mail is.
            (
                Ok(Command::Mail(mail)),
                Some(wording @ (replies::AUTH_REQUIRED | replies::STARTTLS_REQUIRED)),
            ) => self.fail_unasked(Tried::Sender(mail.path), wording, "", out),
            (_, Some(wording)) => self.fail(wording, "", out),
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
    ) -> Step<'static> {
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
                self.done(replies::RESET_OK, out)
            }
            Command::Vrfy(_) => self.done(replies::VRFY, out),
            Command::Expn(_) => self.done(replies::EXPN, out),
            Command::Help(_) => self.help(out),
            Command::Noop => self.done(replies::NOOP_OK, out),
            Command::Quit => self.close(replies::BYE, CloseReason::Quit, out),
            Command::Unknown(_) => self.unknown_command(out),
        }
    }

    fn unknown_command(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        // Whoever begins with something else speaks another protocol, and maybe for somebody else (RFC 5321 §7.8).
        if self.counts.commands_in_all == 0 {
            return self.close(replies::NOT_SMTP, CloseReason::Refused, out);
        }
        self.counts.command(Verb::Unknown);
        self.fail(replies::UNKNOWN_COMMAND, "", out)
    }

    /// HELO and EHLO.
    fn hello(
        &mut self,
        hello: &Hello<'_>,
        extended: bool,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        if self.rules.kind.is_submission() && !self.rules.pedantic() {
            // RFC 5321 §4.1.4: what mail programs call themselves is seldom a name that exists.
            let name = dns::Host::Ip(self.client.ip());
            return self.greeted(client::Hello { name, extended }, now, out);
        }
        match &hello.host {
            Ok(name) => self.ask(Ask::Hello(AskHello(client::Hello { name: name.clone(), extended }))),
            Err(error) => self.bad_syntax(error, out),
        }
    }

    /// RFC 5321 §4.1.4: hello is also a RSET. A login stays.
    pub(super) fn greeted(
        &mut self,
        hello: client::Hello,
        now: SystemTime,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let extended = hello.extended;
        self.client.hello = Some(hello);
        self.state = State::Greeted;
        // RFC 5321 §4.1.1.1: HELO has one line and brings no extensions.
        let text = if extended { self.announcement(now) } else { self.rules.hostname.to_string() };
        self.say(replies::HELLO, &text, out);
        Step::Continue
    }

    fn start_tls(&mut self, last_of_input: bool, out: &mut Vec<u8>) -> Step<'static> {
        // RFC 3207 §6: what follows in plaintext may have been put there by somebody in between. Nobody who means it has
        // anything to say before the handshake.
        if !last_of_input {
            return self.close(replies::STARTTLS_PIPELINED, CloseReason::Refused, out);
        }
        self.reset();
        let _ = self.done(replies::STARTTLS_GO, out);
        Step::StartTls
    }

    fn help(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        let offered = COMMANDS.iter().filter(|row| (row.offered)(self));
        let words: Vec<String> = offered.map(|row| row.verb.label().to_ascii_uppercase()).collect();
        self.say(replies::HELP, &words.join(" "), out);
        Step::Continue
    }

    /// Forgets the transaction.
    pub(super) fn reset(&mut self) {
        if self.in_transaction() {
            self.state = State::Greeted;
        }
    }

    /// Errors in arguments that are no parameters.
    pub(super) fn bad_syntax(&mut self, error: &SyntaxError, out: &mut Vec<u8>) -> Step<'static> {
        self.fail(replies::BAD_SYNTAX, &error.to_string(), out)
    }
}
