//! The log level as operators write it: which events the log shows, and which secrets a trace may show.

use anyhow::{Context, Result};
use config::{LogFilter, LogLevel};
use host::logging::{Form, Log};
use parking_lot::Mutex;
use smtpserver::Reveal;

/// Levels of libraries that warn about other people's name servers and clients, which moxd logs itself. What the operator writes
/// comes after them and wins.
const QUIET: &str = "hickory_net=error,hickory_proto=error,hickory_resolver=error,rustls=error";

/// The log of the server, with its level.
pub(crate) struct Logging {
    pub(crate) log: Log,
    /// Which secrets a trace may show; changes with the level.
    pub(crate) reveal: Reveal,
    /// As the operator wrote it.
    written: Mutex<String>,
}

impl Logging {
    /// Starts the log of the process. `level` is a level, or filters such as `info,smtpserver=trace`; parts of moxd go by
    /// their short names. Only the levels `traceauth` (passwords and proofs) and `tracedata` (messages too) show
    /// secrets. Dropping the second value writes the lines that wait.
    pub(crate) fn start(level: &str, form: Form) -> Result<(Self, impl Drop + use<>)> {
        let wanted = parse(level)?;
        let (log, writer) = Log::start(&wanted.directives, form)?;
        let reveal = Reveal::default();
        reveal.set(wanted.auth, wanted.data);
        Ok((Self { log, reveal, written: Mutex::new(level.to_owned()) }, writer))
    }

    /// Replaces the level.
    pub(crate) fn set(&self, level: &str) -> Result<()> {
        let wanted = parse(level)?;
        self.log.set(&wanted.directives)?;
        self.reveal.set(wanted.auth, wanted.data);
        level.clone_into(&mut self.written.lock());
        tracing::info!(filter = level, "log level changed");
        Ok(())
    }

    /// The level, as it was written.
    pub(crate) fn level(&self) -> String {
        self.written.lock().clone()
    }
}

/// A log level as the operator wrote it, parsed.
pub(crate) struct Wanted {
    /// For the library that filters events.
    directives: String,
    /// May a trace show passwords and proofs?
    auth: bool,
    /// May it show messages?
    data: bool,
}

/// Reads a level, or a list of filters.
pub(crate) fn parse(level: &str) -> Result<Wanted> {
    let filter: LogFilter = level.parse().with_context(|| format!("log level {level:?}"))?;
    Ok(Wanted {
        directives: format!("{QUIET},{}", filter.directives()),
        auth: filter.most() >= LogLevel::TraceAuth,
        data: filter.most() >= LogLevel::TraceData,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_typing_mistakes() {
        let error = parse("info,smtpserve=trace").map(|_| ()).unwrap_err();
        let text =
            "log level \"info,smtpserve=trace\": there is no part \"smtpserve\"; did you mean smtpserver?";
        assert_eq!(format!("{error:#}"), text);
    }
}
