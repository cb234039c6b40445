//! `[log]`.

use crate::read::Table;
use crate::schema::{Key, Sample, Section};
use crate::values;

/// What is logged, and how.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or filters such as `info,smtpserver=trace`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(crate) static SECTION: Section = Section {
    doc: &["What is logged to standard error."],
    keys: &[
        Key {
            name: "level",
            sample: Sample::Default("\"info\""),
            doc: &[
                "error, warn, info, debug or trace, for all or for a part: \"info,smtpserver=debug\".",
                "trace shows what is said in a session without passwords and messages, traceauth with passwords,",
                "tracedata all of it.",
            ],
        },
        Key { name: "format", sample: Sample::Default("\"text\""), doc: &["\"text\" or \"json\"."] },
    ],
    children: &[],
};

pub(crate) fn read(table: &Table<'_>) -> Option<Log> {
    let level = table.get("level", values::line);
    let format = table.get("format", values::choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    Some(Log { level: level?, format: format? })
}
