//! The metrics of a server. Handles are made once.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use smtp_parser::Verb;

use crate::rules::Kind;
use crate::session::ReplyOutcome;

/// Upper bounds of the buckets of `mox_smtpserver_command_duration_seconds`, in seconds.
pub const COMMAND_BUCKETS: [f64; 13] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// Most label sets of one metric: our own codes need far fewer.
const MAX_HANDLES: usize = 2000;

const CONNECTIONS: &str = "mox_smtpserver_connection_total";
const REFUSED: &str = "mox_smtpserver_connection_refused_total";
const MESSAGES_REFUSED: &str = "mox_smtpserver_message_refused_total";
const DURATION: &str = "mox_smtpserver_command_duration_seconds";
const STARTTLS: &str = "mox_smtpserver_delivery_starttls_total";
const STARTTLS_ERRORS: &str = "mox_smtpserver_delivery_starttls_errors_total";
const AUTHENTICATION: &str = "mox_authentication_total";
const RATE_LIMITED: &str = "mox_authentication_ratelimited_total";
const OPEN: &str = "mox_connections_count";
/// Name of the metric that counts contained panics, by the label `pkg`. A backend counts the panics of its own parts here too.
pub const PANICS: &str = "mox_panic_total";

/// Handles of a server.
pub(super) struct Metrics {
    connections: [Counter; 2],
    rate_limited: Counter,
    starttls: Counter,
    pub(super) panics: Counter,
    durations: RwLock<HashMap<Labels, Histogram>>,
}

/// The labels of a duration.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Labels {
    submission: bool,
    reply: (Option<Verb>, u16, Option<(u16, u16)>),
}

impl Metrics {
    pub(super) fn new() -> Self {
        describe_counter!(CONNECTIONS, "SMTP connections accepted, by kind.");
        describe_counter!(REFUSED, "SMTP connections sent away at once, by limit.");
        describe_counter!(MESSAGES_REFUSED, "Messages refused at MAIL, by limit.");
        describe_histogram!(DURATION, "Time from a command to its reply.");
        describe_counter!(STARTTLS, "TLS handshakes of delivering servers.");
        describe_counter!(STARTTLS_ERRORS, "Failed TLS handshakes of delivering servers, by reason.");
        describe_counter!(AUTHENTICATION, "Logins, by mechanism and result.");
        describe_counter!(RATE_LIMITED, "Connections and logins refused for failed logins.");
        describe_gauge!(OPEN, "Open connections, by listener.");
        describe_counter!(PANICS, "Unexpected faults, each contained to one connection.");
        let panics = counter!(PANICS, "pkg" => "smtpserver");
        panics.absolute(0);
        Self {
            connections: [Kind::Smtp, Kind::Submission]
                .map(|kind| counter!(CONNECTIONS, "kind" => kind.label())),
            rate_limited: counter!(RATE_LIMITED, "kind" => "submission"),
            starttls: counter!(STARTTLS),
            panics,
            durations: RwLock::default(),
        }
    }

    /// The gauge of the open connections of a listener.
    pub(super) fn open(listener: &str) -> Gauge {
        gauge!(OPEN, "protocol" => "smtp", "listener" => listener.to_owned())
    }

    pub(super) fn connected(&self, kind: Kind) {
        let [smtp, submission] = &self.connections;
        if kind.is_submission() { submission } else { smtp }.increment(1);
    }

    /// Counts a connection that was rejected because of `limit`.
    pub(super) fn refused(&self, limit: &'static str, for_logins: bool) {
        counter!(REFUSED, "limit" => limit).increment(1);
        if for_logins {
            self.rate_limited.increment(1);
        }
    }

    /// Counts an attempt to log in that was refused because of earlier failures.
    pub(super) fn login_refused(&self) {
        self.rate_limited.increment(1);
    }

    /// Counts a message that was refused because of `limit`.
    pub(super) fn message_refused(&self, limit: &'static str) {
        counter!(MESSAGES_REFUSED, "limit" => limit).increment(1);
    }

    /// Counts a handshake with another server, or its failure.
    pub(super) fn handshake(&self, failure: Option<&'static str>) {
        self.starttls.increment(1);
        if let Some(reason) = failure {
            counter!(STARTTLS_ERRORS, "reason" => reason).increment(1);
        }
    }

    /// Counts a login. `mechanism` is empty where it is unknown.
    pub(super) fn login(&self, mechanism: &'static str, result: &'static str) {
        let variant = mechanism.to_ascii_lowercase();
        counter!(AUTHENTICATION, "kind" => "submission", "variant" => variant, "result" => result)
            .increment(1);
    }

    /// Records how long a command took until this reply.
    pub(super) fn replied(&self, kind: Kind, reply: ReplyOutcome, time: Duration) {
        let status = reply.status.map(|status| (status.subject(), status.detail()));
        let labels =
            Labels { submission: kind.is_submission(), reply: (reply.verb, reply.code.get(), status) };
        let durations = self.durations.read();
        if let Some(histogram) = durations.get(&labels) {
            histogram.record(time);
            return;
        }
        drop(durations);
        let mut durations = self.durations.write();
        if durations.len() < MAX_HANDLES {
            durations.entry(labels).or_insert_with(|| duration(kind, reply)).record(time);
        }
    }
}

/// A new handle, with its labels as text.
fn duration(kind: Kind, reply: ReplyOutcome) -> Histogram {
    histogram!(
        DURATION,
        "kind" => kind.label(),
        "cmd" => reply.verb.map_or("", Verb::label),
        "code" => reply.code.to_string(),
        "ecode" => reply.status.map(|status| status.to_string()).unwrap_or_default(),
    )
}
