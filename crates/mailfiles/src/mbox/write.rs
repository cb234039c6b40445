//! Writing an mbox.

use super::quoting::Quoter;
use crate::fields;
use crate::flags::Flags;
use crate::lines::ToLf;
use crate::times::asctime;
use std::io::{self, Write};

/// Stands for the sender if none is known, or if it is not one word.
const UNKNOWN_SENDER: &str = "MAILER-DAEMON";

/// Writes messages into an mbox: [`Writer::begin`], [`Writer::content`] for each piece, [`Writer::end`].
///
/// ```
/// use moxd_mailfiles::{Flags, mbox::Writer};
///
/// let mut mbox = Writer::new(Vec::new());
/// mbox.begin("ann@example.org", 1_793_718_245, &Flags::default())?;
/// mbox.content(b"Subject: hello\r\n\r\nFrom here\r\n")?;
/// mbox.end()?;
/// let text = "From ann@example.org Tue Nov  3 15:04:05 2026\nStatus: O\nX-Status: \nX-Keywords:\n\
///             Subject: hello\n\n>From here\n\n";
/// assert_eq!(mbox.into_inner(), text.as_bytes());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
    quoter: Quoter,
    lines: ToLf,
    ends_line: bool,
    quoted: Vec<u8>,
    out: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes to `inner`, piece by piece.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            quoter: Quoter::new(),
            lines: ToLf::default(),
            ends_line: true,
            quoted: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Begins a message. `sender` is empty if it is not known; `received` is in seconds since 1970.
    ///
    /// # Errors
    /// `inner` fails.
    pub fn begin(&mut self, sender: &str, received: i64, flags: &Flags) -> io::Result<()> {
        (self.quoter, self.lines, self.ends_line) = (Quoter::new(), ToLf::default(), true);
        let is_word = !sender.is_empty() && !sender.contains(|c: char| c.is_whitespace() || c.is_control());
        let sender = if is_word { sender } else { UNKNOWN_SENDER };
        let mut out = format!("From {sender} {}\n", asctime(received)).into_bytes();
        fields::write(flags, &mut out);
        self.inner.write_all(&out)
    }

    /// Writes a piece of the message.
    ///
    /// # Errors
    /// `inner` fails.
    pub fn content(&mut self, piece: &[u8]) -> io::Result<()> {
        let Some(last) = piece.last() else { return Ok(()) };
        self.ends_line = *last == b'\n';
        self.quoted.clear();
        self.out.clear();
        self.quoter.push(piece, &mut self.quoted);
        self.lines.push(&self.quoted, &mut self.out);
        self.inner.write_all(&self.out)
    }

    /// Ends the message: ends its last line if need be, and adds the empty line that the format demands.
    ///
    /// # Errors
    /// `inner` fails.
    pub fn end(&mut self) -> io::Result<()> {
        self.quoted.clear();
        self.out.clear();
        self.quoter.finish(&mut self.quoted);
        self.lines.push(&self.quoted, &mut self.out);
        self.lines.finish(&mut self.out);
        self.out.extend_from_slice(if self.ends_line { b"\n" } else { b"\n\n" });
        self.inner.write_all(&self.out)
    }

    /// Returns `inner`.
    pub fn into_inner(self) -> W {
        self.inner
    }
}
