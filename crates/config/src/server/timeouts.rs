//! `[timeouts]`.

use std::time::Duration;

use crate::problem::ProblemKind;
use crate::read::Table;
use crate::schema::{Key, Sample, Section};
use crate::values;

/// Timeouts. Each bounds one state of a session.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole TLS handshake.
    pub handshake: Duration,
    /// For the first command of a client.
    pub first_command: Duration,
    /// For every later command.
    pub command: Duration,
    /// For the next bytes of a message.
    pub data_block: Duration,
    /// For a whole message.
    pub message: Duration,
    /// For a client to read a reply.
    pub write: Duration,
    /// For a connection on which no message is accepted.
    pub unproductive: Duration,
    /// How long transactions may go on once the server stops.
    pub stop: Duration,
}

pub(crate) static SECTION: Section = Section {
    doc: &["Timeouts (units s, m, h, d)."],
    keys: &[
        Key { name: "handshake", sample: Sample::Default("\"30s\""), doc: &["For a whole TLS handshake."] },
        Key {
            name: "first_command",
            sample: Sample::Default("\"30s\""),
            doc: &["For the first command of a client."],
        },
        Key {
            name: "command",
            sample: Sample::Default("\"5m\""),
            doc: &["For every later command. RFC 5321 §4.5.3.2.7 asks for five minutes."],
        },
        Key {
            name: "data_block",
            sample: Sample::Default("\"3m\""),
            doc: &["For the next bytes of a message. RFC 5321 §4.5.3.2.5 asks for three minutes."],
        },
        Key { name: "message", sample: Sample::Default("\"30m\""), doc: &["For a whole message."] },
        Key { name: "write", sample: Sample::Default("\"30s\""), doc: &["For a client to read a reply."] },
        Key {
            name: "unproductive",
            sample: Sample::Default("\"2h\""),
            doc: &["For a connection on which no message is accepted."],
        },
        Key {
            name: "stop",
            sample: Sample::Default("\"3s\""),
            doc: &["For transactions to end after the server is told to stop."],
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
