//! The rules of a listener, as plain values.

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
    /// Mail from users, TLS from the first byte (port 465).
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

/// The rules of a listener.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The listener's name, for logs and metrics.
    pub listener: Arc<str>,
    /// What the listener is for.
    pub kind: Kind,
    /// The name in the greeting and in the reply to EHLO.
    pub hostname: Domain,
    /// The software in the greeting. It has no version, of which only scanners would make use.
    pub software: Arc<str>,
    /// How strict the grammar is; [`Dialect::Strict`] is also known as pedantic mode.
    pub dialect: Dialect,
    /// Is STARTTLS on offer? The driver needs a certificate for it.
    pub starttls: bool,
    /// Are PLAIN and LOGIN refused without TLS?
    pub auth_needs_tls: bool,
    /// Is mail refused without TLS?
    pub mail_needs_tls: bool,
    /// Is REQUIRETLS announced over TLS (RFC 8689 §2)? Only for servers that also honour it when they send.
    pub require_tls: bool,
    /// The longest time for which a submitter may hold a message back (RFC 4865 §4); `None`: not announced.
    pub future_release: Option<Duration>,
    /// The mechanisms of AUTH, in the order of their announcement.
    pub mechanisms: Vec<Mechanism>,
    /// Limits on what a client may send.
    pub limits: Limits,
    /// How long the server waits in each state.
    pub timeouts: Timeouts,
    /// Delays for bad clients.
    pub delays: Delays,
}

impl Rules {
    /// The usual rules of a listener: passwords and users' mail require TLS, CRAM-MD5 is off.
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

    /// All mechanisms by their strength except CRAM-MD5, whose stored secret is as good as the password.
    fn mechanisms() -> Vec<Mechanism> {
        Mechanism::BY_STRENGTH.into_iter().filter(|m| *m != Mechanism::CramMd5).collect()
    }

    pub(crate) fn pedantic(&self) -> bool {
        self.dialect == Dialect::Strict
    }
}

/// Limits on what a client may send.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of a message in bytes, announced by SIZE.
    pub message: u64,
    /// Recipients of a message (RFC 5321 §4.5.3.1.8), announced by LIMITS.
    pub recipients: usize,
    /// Bytes of a command line with its end. RFC 5321 §4.5.3.1.4 demands 512, and more for extensions.
    pub line: usize,
    /// Bytes of a line of an AUTH exchange without its end (RFC 4954 §4).
    pub auth_line: usize,
    /// Failed logins on a connection.
    pub failed_logins: u32,
    /// Messages refused on a connection in excess of those accepted. Trouble on our side does not count.
    pub failed_messages: u32,
    /// Recipients refused on a connection since the last accepted message.
    pub failed_recipients: u32,
    /// Other commands refused on a connection since the last accepted message.
    pub failed_commands: u32,
    /// Commands that do not bring a message closer (NOOP, RSET, HELP, VRFY, EXPN, HELO, EHLO, STARTTLS) since the last
    /// accepted message.
    pub idle_commands: u32,
    /// Commands of all kinds since the last accepted message; BDAT with 1 KiB or more does not count.
    pub commands: u32,
}

impl Limits {
    /// The default limit of a message, 100 MiB. A lower limit is the operator's own and has another enhanced code.
    pub const DEFAULT_MESSAGE: u64 = 100 << 20;
    /// How many times the limit is read of a message that is over it (RFC 1870 §4: it is read to its end before it is
    /// refused).
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

/// Timeouts. Each bounds one state of a session; together they bound a connection.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A whole TLS handshake.
    pub handshake: Duration,
    /// The first command of a connection. Short, because silent strangers cost a connection.
    pub first_command: Duration,
    /// A later command, from the reply before it to the end of its line (RFC 5321 §4.5.3.2.7).
    pub command: Duration,
    /// The next piece of a message (RFC 5321 §4.5.3.2.5).
    pub data_block: Duration,
    /// A whole message, from DATA or the first BDAT on.
    pub message: Duration,
    /// Until the client has read our replies.
    pub write: Duration,
    /// From the beginning of the connection, or the last accepted message, to the next one.
    pub unproductive: Duration,
    /// How long transactions may go on once the server stops.
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

/// Delays for bad clients. Tests set them to zero.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delays {
    /// Slow mode: before every read, and between the bytes of a reply.
    pub bad_client: Duration,
    /// For each failed login beyond the third, before we check the next; the greater number of the connection and of the
    /// account and network counts.
    pub failed_login: Duration,
    /// Before the reply about an address that does not exist, for each such address that the network has tried in excess of
    /// [`crate::GateRules::unknown_recipients`].
    pub unknown_recipient: Duration,
}

impl Delays {
    /// Zero everywhere, for tests and developer mode.
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
