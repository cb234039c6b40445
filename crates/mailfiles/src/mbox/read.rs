//! Reading an mbox.

use super::quoting::Unquoter;
use super::separator::{self, Form, begins_message, is_in_doubt};
use crate::fields::{self, Found};
use crate::flags::Flags;
use crate::lines::{Pending, ToCrlf};
use std::io::{self, BufRead, Read};

/// How much of a line is read at a time, in bytes.
const PIECE: u64 = 64 * 1024;
/// How many bytes of a header are searched for flags and the Date field.
pub const MAX_HEADER: usize = 256 * 1024;

/// What an mbox says about a message besides its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was received, in seconds since 1970: by the line above it, else by its Date field.
    pub received: Option<i64>,
    /// Its flags and keywords.
    pub flags: Flags,
}

/// Reads the messages of an mbox. [`Mbox::next`] moves on to a message; [`Read`] then gives its text, with CRLF at the end of
/// every line.
#[derive(Debug)]
pub struct Mbox<R> {
    input: R,
    /// A piece of the input that was looked at, but not taken yet.
    ahead: Option<Vec<u8>>,
    /// Does the next piece begin a line?
    starts_line: bool,
    /// The form of the line that begins the next message, if it was read.
    separator: Option<Form>,
    /// An empty line is held back: it belongs to the message unless another begins below it.
    empty_line: bool,
    /// Was the current message read to its end?
    is_done: bool,
    unquoter: Unquoter,
    unquoted: Vec<u8>,
    lines: ToCrlf,
    pending: Pending,
    bytes: u64,
    messages: u64,
    internal: u64,
    merged: u64,
}

impl<R: BufRead> Mbox<R> {
    /// Starts to read. An empty file is an mbox without messages.
    ///
    /// # Errors
    /// The reader fails, or the file does not begin as an mbox does (`InvalidData`).
    pub fn new(input: R) -> io::Result<Self> {
        let mut mbox = Self {
            input,
            ahead: None,
            starts_line: true,
            separator: None,
            empty_line: false,
            is_done: true,
            unquoter: Unquoter::new(),
            unquoted: Vec::new(),
            lines: ToCrlf::default(),
            pending: Pending::default(),
            bytes: 0,
            messages: 0,
            internal: 0,
            merged: 0,
        };
        while mbox.peek()?.is_some_and(is_empty_line) {
            mbox.ahead = None;
        }
        if let Some(line) = mbox.ahead.take() {
            let not_mbox = || {
                let text = "this is not an mbox file: it does not begin with `From `";
                io::Error::new(io::ErrorKind::InvalidData, text)
            };
            mbox.separator = Some(separator::form(&line).ok_or_else(not_mbox)?);
        }
        Ok(mbox)
    }

    /// Moves on to the next message, past the rest of the current one. None at the end of the file.
    ///
    /// # Errors
    /// The reader fails.
    #[allow(clippy::should_implement_trait, reason = "the text of a message is read between two calls")]
    pub fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            while !self.is_done {
                self.pending.clear();
                self.read_piece()?;
            }
            self.pending.clear();
            let Some(form) = self.separator.take() else { return Ok(None) };
            let Found { flags, date, is_internal } = self.begin()?;
            self.messages += 1;
            if is_internal && self.messages == 1 {
                self.internal += 1;
                continue;
            }
            let received = if let Form::Dated(time) = form { Some(time) } else { date };
            return Ok(Some(Message { received, flags }));
        }
    }

    /// Reads the header of a message.
    fn begin(&mut self) -> io::Result<Found> {
        // Some programs add a line of their own above one that exists.
        while let Some(line) = self.peek()?
            && matches!(separator::form(line), Some(Form::Dated(_)))
        {
            self.ahead = None;
        }
        (self.is_done, self.starts_line, self.empty_line) = (false, true, false);
        (self.unquoter, self.lines) = (Unquoter::new(), ToCrlf::default());
        while !self.is_done && !self.empty_line && self.pending.bytes.len() < MAX_HEADER {
            self.read_piece()?;
        }
        Ok(fields::take(&mut self.pending.bytes))
    }

    /// Looks at the next piece of a line, at most [`PIECE`] long, without taking it. None at the end of the file.
    fn peek(&mut self) -> io::Result<Option<&[u8]>> {
        if self.ahead.is_none() {
            let mut piece = Vec::new();
            self.bytes += self.input.by_ref().take(PIECE).read_until(b'\n', &mut piece)? as u64;
            self.ahead = (!piece.is_empty()).then_some(piece);
        }
        Ok(self.ahead.as_deref())
    }

    /// Takes one more piece of the current message, or finds its end.
    fn read_piece(&mut self) -> io::Result<()> {
        self.peek()?;
        let Some(piece) = self.ahead.take() else {
            // The empty line at the end of the file belongs to the format and not to the message.
            self.end();
            return Ok(());
        };
        let starts_line = std::mem::replace(&mut self.starts_line, piece.ends_with(b"\n"));
        if starts_line && let Some(form) = separator::form(&piece) {
            let next = separator::next(self.peek()?.unwrap_or_default());
            if begins_message(form, self.empty_line, next) {
                self.separator = Some(form);
                self.end();
                return Ok(());
            }
            self.merged += u64::from(is_in_doubt(form, next));
        }
        if std::mem::take(&mut self.empty_line) {
            self.content(b"\n");
        }
        if starts_line && is_empty_line(&piece) {
            self.empty_line = true;
        } else {
            self.content(&piece);
        }
        Ok(())
    }

    fn content(&mut self, piece: &[u8]) {
        self.unquoted.clear();
        self.unquoter.push(piece, &mut self.unquoted);
        self.lines.push(&self.unquoted, &mut self.pending.bytes);
    }

    fn end(&mut self) {
        self.unquoted.clear();
        self.unquoter.finish(&mut self.unquoted);
        self.lines.push(&self.unquoted, &mut self.pending.bytes);
        (self.is_done, self.empty_line) = (true, false);
    }

    /// How many bytes of the file were read so far.
    pub fn position(&self) -> u64 {
        self.bytes
    }

    /// How many entries were skipped so far because they are data of c-client and its heirs about the mailbox.
    pub fn internal(&self) -> u64 {
        self.internal
    }

    /// How many lines so far look like the start of a message, but were taken for text. Each may be the start of a message that is
    /// now the end of another.
    pub fn merged(&self) -> u64 {
        self.merged
    }
}

impl<R: BufRead> Read for Mbox<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            self.pending.clear();
            // The caller may send each piece to another process, so a single line would be too small a piece.
            while !self.is_done && self.pending.bytes.len() < buffer.len() {
                self.read_piece()?;
            }
        }
        Ok(self.pending.read(buffer))
    }
}

fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}
