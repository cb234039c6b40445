//! Logs: to standard error, one line an event, as text or as JSON. A thread of their own writes them: who reads the log, or
//! the disk it goes to, may stand still, and the server must not.

use crate::cli::LogFormat;
use crate::console;
use crate::lines::Lines;
use anyhow::{Context, Result};
use config::{LogFilter, LogLevel};
use nix::sys::stat::fstat;
use parking_lot::Mutex;
use smtpserver::Reveal;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::fmt::format::{Format, Full};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// Most lines that wait to be written: some 5 MB at level info, and seconds of a busy server. Beyond them lines are lost,
/// and counted.
const MAX_WAITING_LINES: usize = 16_384;

/// What is logged, while the program runs.
pub(crate) struct Logging {
    lost: ErrorCounter,
    /// Lost lines that the log tells of already.
    told: AtomicUsize,
    filter: reload::Handle<EnvFilter, Registry>,
    reveal: Reveal,
    /// As the operator wrote it.
    written: Mutex<String>,
}

impl Logging {
    /// Sets logging up for the process. `filter` is a level, or filters such as `info,smtpserver=trace`; parts of moxd
    /// go by their short names. Secrets are left out of a trace but with the levels `traceauth` (passwords and proofs)
    /// and `tracedata` (messages too). Lines that wait are written when the guard is dropped, or soon given up.
    pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(Self, WorkerGuard)> {
        let wanted = Filter::parse(filter)?;
        let (layer, handle) = reload::Layer::new(wanted.directives);
        let registry = tracing_subscriber::registry().with(layer);
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_WAITING_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(std::io::stderr());
        let lost = writer.error_counter();
        let lines = Layer::new().with_writer(writer);
        let journal = writes_to_journal();
        match format {
            // The journal has its own time, and keeps no colours.
            LogFormat::Text if journal => {
                let format =
                    |format: Format<Full>| Lines::new(format.with_ansi(false).without_time()).in_journal();
                registry.with(lines.with_ansi(false).map_event_format(format)).init();
            }
            LogFormat::Text => {
                let ansi = console::has_colours(&std::io::stderr());
                let format = |format: Format<Full>| Lines::new(format.with_ansi(ansi));
                registry.with(lines.with_ansi(ansi).map_event_format(format)).init();
            }
            LogFormat::Json => {
                // Without the list of spans: there is one span a line, and it stands in `span`.
                let lines = lines.json().with_span_list(false);
                let format = |format| match journal {
                    true => Lines::new(format).of_json().in_journal(),
                    false => Lines::new(format).of_json(),
                };
                registry.with(lines.map_event_format(format)).init();
            }
        }
        log_panics();
        let reveal = Reveal::default();
        reveal.set(wanted.auth, wanted.data);
        let (told, written) = (AtomicUsize::new(0), Mutex::new(filter.to_owned()));
        let logging = Self { lost, told, filter: handle, reveal, written };
        Ok((logging, guard))
    }

    /// Replaces what is logged from now on.
    pub(crate) fn set(&self, filter: &str) -> Result<()> {
        let wanted = Filter::parse(filter)?;
        self.filter.reload(wanted.directives).context("change the log level")?;
        self.reveal.set(wanted.auth, wanted.data);
        filter.clone_into(&mut self.written.lock());
        tracing::info!(filter, "log level changed");
        Ok(())
    }

    /// What is logged, as it was written.
    pub(crate) fn filter(&self) -> String {
        self.written.lock().clone()
    }

    /// Tells the log how many of its lines were lost since it was told last, if there were any.
    pub(crate) fn tell_losses(&self) {
        let lost = self.lost.dropped_lines();
        let lines = lost - self.told.swap(lost, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "lines of this log were lost: they came faster than they were read");
        }
    }

    /// Which secrets may stand in a trace, now and later.
    pub(crate) fn reveal(&self) -> Reveal {
        self.reveal.clone()
    }
}

/// Sends panics to the log, where they stand beside the connection in which they happened, with a trace of the calls.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no text");
        let place = panic.location().map(tracing::field::display);
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!(place, %trace, "internal error: a thread panicked: {text}");
    }));
}

/// Does the system's journal read standard error? It says so by the device and inode of the stream that it made
/// (systemd.exec(5), `$JOURNAL_STREAM`).
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
fn writes_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Is this a level, or a list of filters?
pub(crate) fn check(filter: &str) -> Result<()> {
    Filter::parse(filter).map(drop)
}

/// What the operator wants to see.
struct Filter {
    directives: EnvFilter,
    auth: bool,
    data: bool,
}

impl Filter {
    fn parse(text: &str) -> Result<Self> {
        let about = || format!("log level {text:?}");
        let LogFilter(parts) = text.parse().with_context(about)?;
        let mut directives = vec![QUIET.to_owned()];
        directives.extend(parts.iter().map(|(part, level)| match part.as_str() {
            "" => name(*level).to_owned(),
            part => format!("{part}={}", name(*level)),
        }));
        let directives = EnvFilter::builder().parse(directives.join(",")).with_context(about)?;
        let most = parts.iter().map(|(_, level)| *level).max();
        Ok(Self {
            directives,
            auth: most >= Some(LogLevel::TraceAuth),
            data: most >= Some(LogLevel::TraceData),
        })
    }
}

/// The level as the library knows it: what may be revealed is decided where the lines are made.
fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Off => "off",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace | LogLevel::TraceAuth | LogLevel::TraceData => "trace",
    }
}

/// Libraries that warn of what strangers' name servers do, which the results say already. What the operator writes comes
/// after it and wins.
const QUIET: &str = "hickory_net=error,hickory_proto=error,hickory_resolver=error,rustls=error";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, bool, bool) {
        let Filter { directives, auth, data } = Filter::parse(text).unwrap();
        (directives.to_string(), auth, data)
    }

    #[test]
    fn short_names_are_enough() {
        let (directives, ..) = read("info,smtpserver=trace,hyper=warn,dns-hickory=debug");
        for directive in ["info", "moxd_smtpserver=trace", "hyper=warn", "moxd_dns_hickory=debug"] {
            assert!(directives.split(',').any(|have| have == directive), "{directive}: {directives}");
        }
    }

    #[test]
    fn secrets_have_levels_of_their_own() {
        for (text, auth, data) in [
            ("trace", false, false),
            ("smtpserver=trace", false, false),
            ("info,smtpserver=traceauth", true, false),
            ("tracedata", true, true),
        ] {
            let (directives, reveals_auth, reveals_data) = read(text);
            assert!(directives.contains("trace"), "{directives}");
            assert_eq!((reveals_auth, reveals_data), (auth, data), "{text}");
        }
    }

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Memory(std::sync::Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(octets)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_logged_where_it_happened() {
        let log = Memory::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        log_panics();
        let result = tracing::subscriber::with_default(lines, || {
            let _connection = tracing::info_span!("smtp", cid = 7).entered();
            std::panic::catch_unwind(|| panic!("a fault, {}", "on purpose"))
        });
        std::panic::set_hook(before);
        assert!(result.is_err());
        let log = String::from_utf8(log.0.lock().clone()).unwrap();
        for part in ["ERROR smtp{cid=7}", "panicked: a fault, on purpose", "logging.rs:", "trace="] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }

    #[test]
    fn refuses_typing_mistakes() {
        let error = check("info,smtpserve=trace").unwrap_err();
        let text =
            "log level \"info,smtpserve=trace\": there is no part \"smtpserve\"; did you mean smtpserver?";
        assert_eq!(format!("{error:#}"), text);
    }
}
