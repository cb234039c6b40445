//! What a listener demands and allows. Plain values: no file is read and nothing is looked up here.

use std::sync::Arc;
use std::time::Duration;

use dns::Domain;
use sasl::Mechanism;
use smtp_parser::{Dialect, limits};

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Mail from other servers (port 25): no logins.
    Smtp,
    /// Mail from users, TLS by STARTTLS (port 587).
    Submission,
    /// Mail from users, TLS from the first octet (port 465).
    Submissions,
}

impl Kind {
    /// Do clients log in and submit here?
    pub fn is_submission(self) -> bool {
        !matches!(self, Self::Smtp)
    }

    /// Does the connection begin with a TLS handshake?
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Self::Submissions)
    }

    /// The name of the service, as the configuration and logs have it.
    pub fn service(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }

    /// The value of the metric label `kind`: both kinds of submission are `submission`.
    pub fn label(self) -> &'static str {
        if self.is_submission() { "submission" } else { "smtp" }
    }
}

/// Everything a session of one listener goes by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The listener's name, for logs and metrics.
    pub listener: Arc<str>,
    /// What the listener is for.
    pub kind: Kind,
    /// The name in the greeting and in the reply to EHLO.
    pub hostname: Domain,
    /// What stands after `ESMTP` in the greeting; no version, which tells scanners nothing.
    pub software: Arc<str>,
    /// How strict the grammar is; [`Dialect::Strict`] also has what the old system calls pedantic mode.
    pub dialect: Dialect,
    /// Is STARTTLS on offer? The driver needs a certificate for it.
    pub starttls: bool,
    /// Are PLAIN and LOGIN refused without TLS?
    pub auth_needs_tls: bool,
    /// Is mail refused without TLS?
    pub mail_needs_tls: bool,
    /// RFC 8689 §2: is REQUIRETLS announced over TLS? Only for who can keep it on the way out.
    pub require_tls: bool,
    /// RFC 4865 §4: the longest time a submitter may hold a message back; `None`: not announced.
    pub future_release: Option<Duration>,
    /// The mechanisms of AUTH, in the order of their announcement.
    pub mechanisms: Vec<Mechanism>,
    /// How much is taken of everything.
    pub limits: Limits,
    /// How long is waited for what.
    pub timeouts: Timeouts,
    /// How long bad clients are made to wait.
    pub delays: Delays,
}

impl Rules {
    /// The usual rules of a listener: TLS is demanded where passwords and users' mail are sent, CRAM-MD5 is off.
    pub fn new(kind: Kind, hostname: Domain) -> Self {
        Self {
            listener: Arc::from(kind.label()),
            kind,
            hostname,
            software: Arc::from("moxd"),
            dialect: Dialect::Lenient,
            starttls: !kind.is_implicit_tls(),
            auth_needs_tls: true,
            mail_needs_tls: kind.is_submission(),
            require_tls: false,
            future_release: None,
            mechanisms: Self::mechanisms(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            delays: Delays::default(),
        }
    }

    /// All mechanisms by their strength, but not CRAM-MD5, whose stored secret is as good as the password.
    fn mechanisms() -> Vec<Mechanism> {
        Mechanism::BY_STRENGTH.into_iter().filter(|m| *m != Mechanism::CramMd5).collect()
    }

    pub(crate) fn pedantic(&self) -> bool {
        self.dialect == Dialect::Strict
    }
}

/// How much is taken of everything.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message, announced by SIZE.
    pub message: u64,
    /// RFC 5321 §4.5.3.1.8: recipients of a message, announced by LIMITS.
    pub recipients: usize,
    /// RFC 5321 §4.5.3.1.4: octets of a command line with its end. It wants 512, and more for extensions.
    pub line: usize,
    /// RFC 4954 §4: octets of a line of an AUTH exchange without its end.
    pub auth_line: usize,
    /// Failed logins on a connection.
    pub failed_logins: u32,
    /// Messages refused on a connection beyond those taken.
    pub failed_messages: u32,
    /// Recipients refused on a connection since the last message was taken.
    pub failed_recipients: u32,
    /// Other commands refused on a connection since the last message was taken.
    pub failed_commands: u32,
    /// Commands that move nothing forward (NOOP, RSET, HELP, VRFY, EXPN, EHLO) since the last message was taken.
    pub idle_commands: u32,
    /// Commands of all kinds since the last message was taken; chunks of 1 KiB and more are no commands here.
    pub commands: u32,
}

impl Limits {
    /// The limit of a message where none is set, and the line between two enhanced codes: 100 MiB.
    pub const DEFAULT_MESSAGE: u64 = 100 << 20;
    /// RFC 1870 §4: a message over the limit is read to its end before it is refused, but no further than this many
    /// times the limit.
    pub const EXCESS: u64 = 2;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: Self::DEFAULT_MESSAGE,
            recipients: 1000,
            line: 2048,
            auth_line: limits::MAX_AUTH_LINE,
            failed_logins: 10,
            failed_messages: 10,
            failed_recipients: 2000,
            failed_commands: 100,
            idle_commands: 1000,
            commands: 10_000,
        }
    }
}

/// How long is waited for what. Each bounds one state of a session; together they bound a connection.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A TLS handshake in all.
    pub handshake: Duration,
    /// The first command: strangers who say nothing are not kept.
    pub first_command: Duration,
    /// RFC 5321 §4.5.3.2.7: a whole later command, from the reply before it to the end of its line.
    pub command: Duration,
    /// RFC 5321 §4.5.3.2.5: anything at all while a message is sent.
    pub data_block: Duration,
    /// A whole message, from DATA or the first BDAT on.
    pub message: Duration,
    /// Until the client has taken what was written.
    pub write: Duration,
    /// A connection on which no message is taken, and after a message until the next.
    pub unproductive: Duration,
    /// Running transactions after a stop was asked for.
    pub stop: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(30),
            first_command: Duration::from_secs(30),
            command: Duration::from_mins(5),
            data_block: Duration::from_mins(3),
            message: Duration::from_mins(30),
            write: Duration::from_secs(30),
            unproductive: Duration::from_hours(2),
            stop: Duration::from_secs(3),
        }
    }
}

/// How long bad clients are made to wait. Tests set them to zero.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Slow mode: before every read, and between the octets of a reply.
    pub bad_client: Duration,
    /// For each failed login beyond the third, before the next attempt.
    pub failed_login: Duration,
    /// For each address that does not exist, which a network has tried beyond those that are free
    /// ([`crate::GateRules::unknown_recipients`]), before the reply about the next.
    pub unknown_recipient: Duration,
}

impl Delays {
    /// None at all.
    pub const NONE: Self =
        Self { bad_client: Duration::ZERO, failed_login: Duration::ZERO, unknown_recipient: Duration::ZERO };
    /// Failed logins without a delay.
    const FREE_LOGINS: u64 = 3;
    /// The longest delay of a login, because clients give up after a while.
    const MAX_LOGIN: Duration = Duration::from_secs(30);

    /// The delay of an attempt to log in after this many failures.
    pub fn before_login(&self, failures: u64) -> Duration {
        let penalized = u32::try_from(failures.saturating_sub(Self::FREE_LOGINS)).unwrap_or(u32::MAX);
        self.failed_login.saturating_mul(penalized).min(Self::MAX_LOGIN)
    }
}

impl Default for Delays {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { bad_client: second, failed_login: second, unknown_recipient: second }
    }
}
