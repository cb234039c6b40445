//! The terminal, or the pipe or file in its place: output, colours and progress.

use anyhow::{Context, Result};
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes to standard output. A reader that has closed it, as `head` does, is no failure: it has read all it wanted.
///
/// # Errors
/// Standard output cannot be written to for another reason, such as a full disk.
pub fn print(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}

/// Writes styled text to standard output, without the styles if the stream may have no colours.
///
/// # Errors
/// As [`print()`].
pub fn print_styled(text: &str) -> Result<()> {
    let plain = anstream::adapter::strip_str(text).to_string();
    print(if has_colours(&std::io::stdout()) { text } else { &plain }.as_bytes())
}

/// May this stream have colours? Not if it is no terminal, nor if the environment forbids them (NO_COLOR, CLICOLOR,
/// TERM=dumb).
pub fn has_colours(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
}

/// A progress bar on standard error, where that is a terminal.
#[derive(Debug, Default)]
pub struct Bar(Option<indicatif::ProgressBar>);

impl Bar {
    /// Shows that `done` of `total` are done, in bytes or messages.
    pub fn show(&mut self, done: u64, total: u64) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.0.get_or_insert_with(|| {
            let style = indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
            let bar = indicatif::ProgressBar::new(total);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish();
        }
    }
}
