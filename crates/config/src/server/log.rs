//! `[log]`.

use std::fmt;
use std::str::FromStr;

use toml::de::DeValue;

use crate::hint;
use crate::problem::in_quotes;
use crate::read::{Table, Wrong};
use crate::schema::{Key, Sample, Section};
use crate::values;

/// Level and format of the log.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or a list of filters such as `info,smtpserver=trace`.
    pub level: String,
    /// The format of a line; [`LogFormat::Text`] by default.
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(crate) static SECTION: Section = Section {
    doc: &["The log, on standard error."],
    keys: &[
        Key {
            name: "level",
            sample: Sample::Default("\"info\""),
            doc: &[
                "error, warn, info, debug or trace, for all or for a part: \"info,smtpserver=debug\".",
                "trace shows the lines of a session without passwords and messages, traceauth with passwords, tracedata",
                "with both.",
            ],
        },
        Key { name: "format", sample: Sample::Default("\"text\""), doc: &["\"text\" or \"json\"."] },
    ],
    children: &[],
};

pub(crate) fn read(table: &Table<'_>) -> Option<Log> {
    let level = table.get("level", filter);
    let format = table.get("format", values::choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
    Some(Log { level: level?, format: format? })
}

/// Checks a filter and returns it as it was written.
fn filter(value: &DeValue<'_>) -> Result<String, Wrong> {
    let given = values::line(value)?;
    match given.parse::<LogFilter>() {
        Ok(_) => Ok(given),
        Err(BadFilter { what, mend }) => Err(Wrong::value(what, mend)),
    }
}

/// A level for each part of moxd, in the order written. The empty part stands for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(pub Vec<(String, LogLevel)>);

/// Log levels; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// The server cannot do its work.
    Error,
    /// An operator should look into it.
    Warn,
    /// The fate of each connection and message.
    Info,
    /// Every command.
    Debug,
    /// Every line of a session, without secrets.
    Trace,
    /// As `Trace`, with passwords and proofs.
    TraceAuth,
    /// As `TraceAuth`, with messages.
    TraceData,
}

impl LogFilter {
    /// The filter as `tracing_subscriber::EnvFilter` reads it, which knows nothing of secrets.
    pub fn directives(&self) -> String {
        let directives = self.0.iter().map(|(part, level)| match part.as_str() {
            "" => level.without_secrets().to_owned(),
            part => format!("{part}={}", level.without_secrets()),
        });
        directives.collect::<Vec<_>>().join(",")
    }

    /// The level of the part that is logged most.
    pub fn most(&self) -> LogLevel {
        self.0.iter().map(|(_, level)| *level).max().unwrap_or(LogLevel::Off)
    }
}

impl LogLevel {
    /// The level by the name that libraries know. Which secrets a trace shows is decided where its lines are made.
    fn without_secrets(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace | Self::TraceAuth | Self::TraceData => "trace",
        }
    }

    const NAMES: [(&'static str, Self); 8] = [
        ("off", Self::Off),
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
        ("traceauth", Self::TraceAuth),
        ("tracedata", Self::TraceData),
    ];
}

/// The parts of moxd that log, by the short names of their crates.
const PARTS: [&str; 8] =
    ["admin", "certificates", "dns-hickory", "host", "intake", "moxd", "smtpserver", "store"];
/// Libraries whose log lines appear with those of moxd.
const LIBRARIES: [&str; 5] = ["hickory_net", "hickory_proto", "hickory_resolver", "hyper", "rustls"];

/// A mistake in a filter, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFilter {
    what: String,
    mend: String,
}

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for BadFilter {}

impl FromStr for LogFilter {
    type Err = BadFilter;

    /// Reads a level, or a list such as `info,smtpserver=trace`. Short names of parts become those of their crates.
    fn from_str(text: &str) -> Result<Self, BadFilter> {
        text.split(',').map(directive).collect::<Result<_, _>>().map(Self)
    }
}

fn directive(text: &str) -> Result<(String, LogLevel), BadFilter> {
    let (part, level) = text.rsplit_once('=').map_or((None, text), |(part, level)| (Some(part), level));
    let Some((_, level)) = LogLevel::NAMES.into_iter().find(|(name, _)| *name == level) else {
        let names = || LogLevel::NAMES.into_iter().map(|(name, _)| name);
        let mend = hint::nearest(level, names()).map_or_else(
            || format!("give one of {}", names().collect::<Vec<_>>().join(", ")),
            |nearest| format!("did you mean {nearest}?"),
        );
        return Err(BadFilter { what: format!("there is no log level {}", in_quotes(level)), mend });
    };
    let part = part.map(full_name).transpose()?.unwrap_or_default();
    Ok((part, level))
}

/// The log target of a part. Targets of moxd's crates have the prefix `moxd_`, which may be left out.
fn full_name(part: &str) -> Result<String, BadFilter> {
    let first = part.split("::").next().unwrap_or_default();
    let within = part.strip_prefix(first).unwrap_or_default();
    if LIBRARIES.contains(&first) || first == "moxd" {
        return Ok(part.to_owned());
    }
    let short = first.strip_prefix("moxd_").unwrap_or(first).replace('_', "-");
    if PARTS.contains(&short.as_str()) {
        return Ok(format!("moxd_{}{within}", short.replace('-', "_")));
    }
    let mend = hint::nearest(first, PARTS.into_iter().chain(LIBRARIES)).map_or_else(
        || format!("name one of {}", PARTS.join(", ")),
        |nearest| format!("did you mean {nearest}?"),
    );
    Err(BadFilter { what: format!("there is no part {}", in_quotes(first)), mend })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_levels_and_parts_by_their_short_names() {
        let text = "info,smtpserver=trace,dns-hickory=debug,dns_hickory=warn,moxd_store=off,rustls=error,moxd=tracedata";
        let LogFilter(directives) = text.parse().unwrap();
        let expected = [
            ("", LogLevel::Info),
            ("moxd_smtpserver", LogLevel::Trace),
            ("moxd_dns_hickory", LogLevel::Debug),
            ("moxd_dns_hickory", LogLevel::Warn),
            ("moxd_store", LogLevel::Off),
            ("rustls", LogLevel::Error),
            ("moxd", LogLevel::TraceData),
        ];
        assert_eq!(directives, expected.map(|(part, level)| (part.to_owned(), level)));
        let LogFilter(directives) = "intake::delivery=debug".parse().unwrap();
        assert_eq!(directives, [("moxd_intake::delivery".to_owned(), LogLevel::Debug)]);
    }

    #[test]
    fn prints_directives_without_secret_levels_and_keeps_the_highest() {
        for (text, directives, most) in [
            ("trace", "trace", LogLevel::Trace),
            (
                "info,smtpserver=traceauth,hyper=warn",
                "info,moxd_smtpserver=trace,hyper=warn",
                LogLevel::TraceAuth,
            ),
            ("tracedata,dns-hickory=off", "trace,moxd_dns_hickory=off", LogLevel::TraceData),
        ] {
            let filter: LogFilter = text.parse().unwrap();
            assert_eq!((filter.directives().as_str(), filter.most()), (directives, most), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_level_or_no_part() {
        for (text, why) in [
            ("loud", "there is no log level \"loud\"; give one of off, error,"),
            ("ifno", "there is no log level \"ifno\"; did you mean info?"),
            ("info,smtpserve=trace", "there is no part \"smtpserve\"; did you mean smtpserver?"),
            ("info,banana=trace", "there is no part \"banana\"; name one of admin, certificates,"),
            ("smtpserver=loud", "there is no log level \"loud\""),
            ("info,", "there is no log level \"\""),
            ("", "there is no log level \"\""),
            ("=info", "there is no part \"\""),
        ] {
            let error = text.parse::<LogFilter>().map(drop).map_err(|error| error.to_string());
            assert!(error.clone().is_err_and(|error| error.starts_with(why)), "{text}: {error:?}");
        }
    }
}
