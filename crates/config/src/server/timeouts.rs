//! `[timeouts]`.

use std::time::Duration;

use crate::problem::ProblemKind;
use crate::read::Table;
use crate::schema::{Key, Sample, Section};
use crate::values;

/// How long is waited for what. Each bounds one state of a session.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A TLS handshake in all.
    pub handshake: Duration,
    /// The first command of a stranger.
    pub first_command: Duration,
    /// A later command.
    pub command: Duration,
    /// Anything at all while a message is sent.
    pub data_block: Duration,
    /// A whole message.
    pub message: Duration,
    /// Until a client has taken a reply.
    pub write: Duration,
    /// A connection on which no message is taken.
    pub unproductive: Duration,
    /// Running transactions after a stop was asked for.
    pub stop: Duration,
}

pub(crate) static SECTION: Section = Section {
    doc: &["Timeouts (units s, m, h, d)."],
    keys: &[
        Key { name: "handshake", sample: Sample::Default("\"30s\""), doc: &["A TLS handshake in all."] },
        Key {
            name: "first_command",
            sample: Sample::Default("\"30s\""),
            doc: &["The first command of a client."],
        },
        Key {
            name: "command",
            sample: Sample::Default("\"5m\""),
            doc: &["Every later command. RFC 5321 §4.5.3.2.7 asks for five minutes."],
        },
        Key {
            name: "data_block",
            sample: Sample::Default("\"3m\""),
            doc: &["The next octets of a message. RFC 5321 §4.5.3.2.5 asks for three minutes."],
        },
        Key { name: "message", sample: Sample::Default("\"30m\""), doc: &["A whole message."] },
        Key {
            name: "write",
            sample: Sample::Default("\"30s\""),
            doc: &["Until a client has taken a reply."],
        },
        Key {
            name: "unproductive",
            sample: Sample::Default("\"2h\""),
            doc: &["A connection on which no message is taken."],
        },
        Key {
            name: "stop",
            sample: Sample::Default("\"3s\""),
            doc: &["Running transactions after a stop was asked for."],
        },
    ],
    children: &[],
};

pub(crate) fn read(table: &Table<'_>) -> Option<Timeouts> {
    let get = |name| {
        let time = table.get(name, values::duration)?;
        if time.is_zero() {
            table.problem(ProblemKind::BadValue, name, "is no time at all", "give at least \"1s\"");
        }
        Some(time)
    };
    let (handshake, first_command, command) = (get("handshake"), get("first_command"), get("command"));
    let (data_block, message, write) = (get("data_block"), get("message"), get("write"));
    let (unproductive, stop) = (get("unproductive"), get("stop"));
    Some(Timeouts {
        handshake: handshake?,
        first_command: first_command?,
        command: command?,
        data_block: data_block?,
        message: message?,
        write: write?,
        unproductive: unproductive?,
        stop: stop?,
    })
}
