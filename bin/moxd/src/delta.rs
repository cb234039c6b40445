//! How long ago the line before was, in every line of the log that is about a connection.

use std::fmt;
use std::time::Instant;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines as another format writes them, with the time since the line before of the same connection at their end.
pub(crate) struct WithDelta<F> {
    pub(crate) format: F,
    pub(crate) json: bool,
}

#[expect(clippy::disallowed_methods, reason = "the binary reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// When the last line of a connection was written.
struct Last(Instant);

impl<S, N, F> FormatEvent<S, N> for WithDelta<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // The outermost span is the connection's; what has none is about the server.
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

/// Writes the line with the time in seconds at its end.
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
