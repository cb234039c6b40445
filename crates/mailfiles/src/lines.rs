//! Line ends: CRLF in mail, LF in files.

use memchr::memchr;
use std::io::{self, Read, Write};

/// How many bytes are read at a time.
const PIECE: usize = 64 * 1024;

/// Turns every bare LF into CRLF. The text may come in pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct ToCrlf {
    after_cr: bool,
}

impl ToCrlf {
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end + 1)) {
            let (text, _) = line.split_at(line.len() - 1);
            out.extend_from_slice(text);
            let has_cr = text.last().map_or(self.after_cr, |last| *last == b'\r');
            out.extend_from_slice(if has_cr { b"\n" } else { b"\r\n" });
            self.after_cr = false;
            rest = after;
        }
        out.extend_from_slice(rest);
        self.after_cr = rest.last().map_or(self.after_cr, |last| *last == b'\r');
    }
}

/// Turns every CRLF into LF. The text may come in pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct ToLf {
    /// The last piece ended in CR, which is written once the next byte is known.
    holds_cr: bool,
}

impl ToLf {
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.holds_cr && !piece.is_empty() {
            self.holds_cr = false;
            if piece.first() != Some(&b'\n') {
                out.push(b'\r');
            }
        }
        let mut rest = piece;
        while let Some((text, after)) = memchr(b'\r', rest).and_then(|cr| rest.split_at_checked(cr)) {
            out.extend_from_slice(text);
            rest = match after {
                [_] => {
                    self.holds_cr = true;
                    &[]
                }
                [_, b'\n', ..] => after.get(1..).unwrap_or_default(),
                _ => {
                    out.push(b'\r');
                    after.get(1..).unwrap_or_default()
                }
            };
        }
        out.extend_from_slice(rest);
    }

    /// Ends the text.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds_cr) {
            out.push(b'\r');
        }
    }
}

/// Bytes that wait to be read.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) bytes: Vec<u8>,
    taken: usize,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.taken >= self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }

    /// Moves as many bytes to `buffer` as fit.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut rest = self.bytes.get(self.taken..).unwrap_or_default();
        // Reading from a slice cannot fail.
        let count = rest.read(buffer).unwrap_or_default();
        self.taken += count;
        count
    }
}

/// Reads a message from a file, with CRLF at the end of every line.
///
/// ```
/// use std::io::Read;
///
/// let mut text = String::new();
/// moxd_mailfiles::CrlfReader::new("a\nb\r\n".as_bytes()).read_to_string(&mut text)?;
/// assert_eq!(text, "a\r\nb\r\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct CrlfReader<R> {
    inner: R,
    lines: ToCrlf,
    input: Vec<u8>,
    pending: Pending,
}

impl<R: Read> CrlfReader<R> {
    /// Reads from `inner` in large pieces: it needs no buffer of its own.
    pub fn new(inner: R) -> Self {
        Self { inner, lines: ToCrlf::default(), input: vec![0; PIECE], pending: Pending::default() }
    }
}

impl<R: Read> Read for CrlfReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            self.pending.clear();
            let count = self.inner.read(&mut self.input)?;
            self.lines.push(self.input.get(..count).unwrap_or_default(), &mut self.pending.bytes);
        }
        Ok(self.pending.read(buffer))
    }
}

/// Writes a message to a file, with LF at the end of every line. [`LfWriter::finish`] ends it.
///
/// ```
/// use std::io::Write;
///
/// let mut file = moxd_mailfiles::LfWriter::new(Vec::new());
/// file.write_all(b"a\r\nb\rc\r")?;
/// assert_eq!(file.finish()?, b"a\nb\rc\r");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LfWriter<W> {
    inner: W,
    lines: ToLf,
    out: Vec<u8>,
}

impl<W: Write> LfWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, lines: ToLf::default(), out: Vec::new() }
    }

    /// Writes the last byte if it was held back, and returns `inner`.
    ///
    /// # Errors
    /// `inner` fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.clear();
        self.lines.finish(&mut self.out);
        self.inner.write_all(&self.out)?;
        self.inner.flush()?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for LfWriter<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.out.clear();
        self.lines.push(piece, &mut self.out);
        self.inner.write_all(&self.out)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_change_nothing() {
        let text = b"\n\r\n\r\r\na\nb\r\nc\rd\n\re\r";
        let whole = |push: &mut dyn FnMut(&[u8], &mut Vec<u8>)| {
            let mut out = Vec::new();
            push(text, &mut out);
            out
        };
        let (mut crlf, mut lf) = (ToCrlf::default(), ToLf::default());
        let to_crlf = whole(&mut |piece, out| crlf.push(piece, out));
        let mut to_lf = whole(&mut |piece, out| lf.push(piece, out));
        lf.finish(&mut to_lf);
        assert_eq!(to_crlf, b"\r\n\r\n\r\r\na\r\nb\r\nc\rd\r\n\re\r");
        assert_eq!(to_lf, b"\n\n\r\na\nb\nc\rd\n\re\r");
        for size in 1..text.len() {
            let (mut crlf, mut lf) = (ToCrlf::default(), ToLf::default());
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for piece in text.chunks(size) {
                crlf.push(piece, &mut a);
                lf.push(piece, &mut b);
                lf.push(b"", &mut b);
            }
            lf.finish(&mut b);
            assert_eq!((&a, &b), (&to_crlf, &to_lf), "{size}");
        }
    }

    #[test]
    fn reads_into_small_buffers() {
        let mut reader = CrlfReader::new(&b"a\nb\n"[..]);
        let mut out = Vec::new();
        let mut buffer = [0];
        while reader.read(&mut buffer).unwrap() > 0 {
            out.push(buffer[0]);
        }
        assert_eq!(out, b"a\r\nb\r\n");
    }
}
