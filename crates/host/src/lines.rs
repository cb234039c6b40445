//! Log lines: what moxd adds to the formats of the library. A line about a connection ends in the time since the connection's
//! previous line; a line for the system's journal begins with its priority.

use std::fmt;
use std::time::Instant;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Wraps a format, and adds to its lines.
pub(crate) struct Lines<F> {
    format: F,
    json: bool,
    journal: bool,
}

impl<F> Lines<F> {
    pub(crate) fn new(format: F) -> Self {
        Self { format, json: false, journal: false }
    }

    /// For a format that writes JSON.
    pub(crate) fn of_json(self) -> Self {
        Self { json: true, ..self }
    }

    /// For lines that go to the system's journal.
    pub(crate) fn in_journal(self) -> Self {
        Self { journal: true, ..self }
    }
}

#[expect(clippy::disallowed_methods, reason = "the binary reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// When the last line of a connection was written.
struct Last(Instant);

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.journal {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        // The outermost span is that of the connection. Events outside of any span are about the server.
        let Some(connection) = context.event_scope().and_then(|scope| scope.from_root().next()) else {
            return self.format.format_event(context, writer, event);
        };
        let now = now();
        let last = connection.extensions_mut().replace(Last(now));
        let delta = last.map(|Last(last)| now - last).unwrap_or_default();
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        append(line, delta.as_secs_f64(), self.json, writer)
    }
}

/// The priority of a level (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Writes the line with the time in seconds appended.
fn append(line: String, delta: f64, json: bool, mut writer: Writer<'_>) -> fmt::Result {
    let line = line.trim_end_matches('\n');
    match line.strip_suffix('}').filter(|_| json) {
        Some(open) => writeln!(writer, "{open},\"delta\":{delta:.6}}}"),
        None => writeln!(writer, "{line} delta={delta:.6}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_at_the_end_of_the_line() {
        for (line, json, expected) in [
            (
                "INFO smtp{cid=1}: closed messages=1\n",
                false,
                "INFO smtp{cid=1}: closed messages=1 delta=0.250000\n",
            ),
            (
                "{\"level\":\"INFO\",\"span\":{\"cid\":\"1\"}}\n",
                true,
                "{\"level\":\"INFO\",\"span\":{\"cid\":\"1\"},\"delta\":0.250000}\n",
            ),
        ] {
            let mut out = String::new();
            append(line.to_owned(), 0.25, json, Writer::new(&mut out)).unwrap();
            assert_eq!(out, expected);
        }
    }
}
