//! Logs: to standard error, one line an event, as text or as JSON. A thread of their own writes them: who reads the log, or
//! the disk it goes to, may stand still, and the server must not.

use crate::cli::LogFormat;
use crate::delta::WithDelta;
use anyhow::{Context, Result, ensure};
use smtpserver::Reveal;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::fmt::format::Format;
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
        match format {
            LogFormat::Text => {
                let ansi = std::io::stderr().is_terminal();
                let with_delta = |format: Format| WithDelta { format: format.with_ansi(ansi), json: false };
                registry.with(lines.with_ansi(ansi).map_event_format(with_delta)).init();
            }
            LogFormat::Json => {
                registry
                    .with(lines.json().map_event_format(|format| WithDelta { format, json: true }))
                    .init();
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
        filter.clone_into(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner));
        tracing::info!(filter, "log level changed");
        Ok(())
    }

    /// What is logged, as it was written.
    pub(crate) fn filter(&self) -> String {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

/// The levels, each with those before it.
const LEVELS: [&str; 8] = ["off", "error", "warn", "info", "debug", "trace", "traceauth", "tracedata"];

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
        let mut directives = vec![QUIET.to_owned()];
        let (mut auth, mut data) = (false, false);
        for directive in text.split(',') {
            let (target, level) = directive.rsplit_once('=').unwrap_or(("", directive));
            ensure!(
                LEVELS.contains(&level),
                "log level {text:?}: {level:?} is none of {}",
                LEVELS.join(", ")
            );
            data |= level == "tracedata";
            auth |= matches!(level, "traceauth" | "tracedata");
            let level = if matches!(level, "traceauth" | "tracedata") { "trace" } else { level };
            directives.push(match target {
                "" => level.to_owned(),
                target => format!("{}={level}", full_name(target)),
            });
        }
        let directives = EnvFilter::builder().parse(directives.join(","));
        Ok(Self { directives: directives.with_context(|| format!("log level {text:?}"))?, auth, data })
    }
}

/// Libraries that warn of what strangers' name servers do, which the results say already. What the operator writes comes
/// after it and wins.
const QUIET: &str = "hickory_net=error,hickory_proto=error,hickory_resolver=error,rustls=error";

/// The crates of this workspace have a prefix in their targets, which nobody has to write.
fn full_name(target: &str) -> String {
    if HOUSE.contains(&target) { format!("moxd_{}", target.replace('-', "_")) } else { target.to_owned() }
}

const HOUSE: &[&str] = &["dns-hickory", "intake", "smtpserver", "store"];

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
            self.0.lock().unwrap().write(octets)
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
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for part in ["ERROR smtp{cid=7}", "panicked: a fault, on purpose", "logging.rs:", "trace="] {
            assert!(log.contains(part), "{part}: {log}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["loud", "smtpserver=loud", "info,", "", "=info="] {
            assert!(Filter::parse(text).is_err(), "{text:?}");
        }
    }
}
