//! The log: one line for each event on standard error, as text or as JSON. A thread of its own writes it, so that a slow reader
//! or a full disk does not stop the server.

use crate::lines::Lines;
use crate::terminal;
use anyhow::{Context, Result};
use nix::sys::stat::fstat;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::Layer;
use tracing_subscriber::fmt::format::{Format, Full};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};

/// How many lines may wait to be written: about 5 MB at level info, and seconds of a busy server. Further lines are lost and
/// counted.
const MAX_WAITING_LINES: usize = 16_384;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The error that the log has already: nothing is left to print, and the exit status is 1.
#[derive(Debug)]
pub struct Reported;

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("see the log")
    }
}

impl std::error::Error for Reported {}

/// The log of the process, and what it shows.
#[derive(Debug)]
pub struct Log {
    lost: ErrorCounter,
    /// How many lost lines the log has reported already.
    told: AtomicUsize,
    filter: reload::Handle<EnvFilter, Registry>,
}

impl Log {
    /// Starts the log of this process, once. `directives` are those of `tracing_subscriber::EnvFilter`. Panics go to the log
    /// too. Dropping the guard writes the lines that wait, for about a second at most.
    ///
    /// # Errors
    /// The directives cannot be read.
    pub fn start(directives: &str, form: Form) -> Result<(Self, WorkerGuard)> {
        let (layer, handle) = reload::Layer::new(parse(directives)?);
        let registry = tracing_subscriber::registry().with(layer);
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_WAITING_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(std::io::stderr());
        let lost = writer.error_counter();
        let lines = Layer::new().with_writer(writer);
        let journal = writes_to_journal();
        match form {
            // The journal adds the time itself, and shows no colours.
            Form::Text if journal => {
                let format =
                    |format: Format<Full>| Lines::new(format.with_ansi(false).without_time()).in_journal();
                registry.with(lines.with_ansi(false).map_event_format(format)).init();
            }
            Form::Text => {
                let ansi = terminal::has_colours(&std::io::stderr());
                let format = |format: Format<Full>| Lines::new(format.with_ansi(ansi));
                registry.with(lines.with_ansi(ansi).map_event_format(format)).init();
            }
            Form::Json => {
                // Without the list of spans: a line has one span, which stands in `span`.
                let lines = lines.json().with_span_list(false);
                let format = |format| match journal {
                    true => Lines::new(format).of_json().in_journal(),
                    false => Lines::new(format).of_json(),
                };
                registry.with(lines.map_event_format(format)).init();
            }
        }
        log_panics();
        Ok((Self { lost, told: AtomicUsize::new(0), filter: handle }, guard))
    }

    /// Replaces what the log shows from now on.
    ///
    /// # Errors
    /// The directives cannot be read.
    pub fn set(&self, directives: &str) -> Result<()> {
        self.filter.reload(parse(directives)?).context("change the log level")
    }

    /// Reports in the log how many lines were lost since the last report, if any.
    pub fn tell_losses(&self) {
        let lost = self.lost.dropped_lines();
        let lines = lost - self.told.swap(lost, Ordering::Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "lines of this log were lost: they came faster than they were read");
        }
    }
}

/// Sends panics to the log, with a backtrace, within the span of the connection in which they happen.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("no text");
        let place = panic.location().map(tracing::field::display);
        let trace = std::backtrace::Backtrace::force_capture();
        tracing::error!(place, %trace, "internal error: a thread panicked: {text}");
    }));
}

/// Does the system's journal read standard error? `$JOURNAL_STREAM` has the device and inode of the journal's stream
/// (systemd.exec(5)).
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
fn writes_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(std::io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Parses directives such as `info,moxd_smtpserver=trace`.
fn parse(directives: &str) -> Result<EnvFilter> {
    EnvFilter::builder().parse(directives).context("read the log filter")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Memory(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
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
}
