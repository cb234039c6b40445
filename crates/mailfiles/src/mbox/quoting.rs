//! The quoting of mboxrd: `>From ` stands for `From `, `>>From ` for `>From `.

use memchr::memchr;

const FROM: &[u8] = b"From ";

/// The position in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At its start: `>`s so far, and this many bytes of `From `.
    Start(usize),
    /// Past its start: the rest of the line needs no quoting.
    Text,
}

/// Follows the lines of a message, which may come in pieces cut anywhere. Holds back a few bytes at most, however long a line is.
#[derive(Debug)]
struct Scan {
    place: Place,
}

/// The kind of the next bytes.
enum Step {
    /// This many bytes that quoting does not change.
    Plain(usize),
    /// One `>` at the start of a line.
    Quote,
    /// One more byte of `From `, but not its last.
    Held,
    /// The last byte of `From `.
    From,
    /// No `From `: this many bytes of it were held back. The next byte is still to be looked at.
    Released(usize),
}

impl Scan {
    fn new() -> Self {
        Self { place: Place::Start(0) }
    }

    fn step(&mut self, rest: &[u8], first: u8) -> Step {
        let Place::Start(held) = self.place else {
            let end = memchr(b'\n', rest);
            if end.is_some() {
                self.place = Place::Start(0);
            }
            return Step::Plain(end.map_or(rest.len(), |end| end + 1));
        };
        if FROM.get(held) == Some(&first) {
            let whole = held + 1 == FROM.len();
            self.place = if whole { Place::Text } else { Place::Start(held + 1) };
            return if whole { Step::From } else { Step::Held };
        }
        if held == 0 && first == b'>' {
            return Step::Quote;
        }
        self.place = Place::Text;
        if held > 0 { Step::Released(held) } else { Step::Plain(0) }
    }
}

/// Quotes lines.
#[derive(Debug)]
pub(super) struct Quoter(Scan);

impl Quoter {
    pub(super) fn new() -> Self {
        Self(Scan::new())
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(first) = rest.first() {
            let taken = match self.0.step(rest, *first) {
                Step::Plain(count) => {
                    out.extend_from_slice(rest.get(..count).unwrap_or_default());
                    count
                }
                Step::Quote => {
                    out.push(b'>');
                    1
                }
                Step::Held => 1,
                // Everything before it in the line is `>`, so the new one may stand last.
                Step::From => {
                    out.push(b'>');
                    out.extend_from_slice(FROM);
                    1
                }
                Step::Released(held) => {
                    out.extend_from_slice(FROM.get(..held).unwrap_or_default());
                    0
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Ends the message.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Place::Start(held) = std::mem::replace(&mut self.0.place, Place::Start(0)) {
            out.extend_from_slice(FROM.get(..held).unwrap_or_default());
        }
    }
}

/// Unquotes lines.
#[derive(Debug)]
pub(super) struct Unquoter {
    scan: Scan,
    /// A `>` is held back: it is dropped if `From ` follows.
    quote: bool,
}

impl Unquoter {
    pub(super) fn new() -> Self {
        Self { scan: Scan::new(), quote: false }
    }

    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(first) = rest.first() {
            let taken = match self.scan.step(rest, *first) {
                Step::Plain(count) => {
                    self.release(out);
                    out.extend_from_slice(rest.get(..count).unwrap_or_default());
                    count
                }
                Step::Quote => {
                    self.release(out);
                    self.quote = true;
                    1
                }
                Step::Held => 1,
                Step::From => {
                    self.quote = false;
                    out.extend_from_slice(FROM);
                    1
                }
                Step::Released(held) => {
                    self.release(out);
                    out.extend_from_slice(FROM.get(..held).unwrap_or_default());
                    0
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.quote) {
            out.push(b'>');
        }
    }

    /// Ends the message.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out);
        if let Place::Start(held) = std::mem::replace(&mut self.scan.place, Place::Start(0)) {
            out.extend_from_slice(FROM.get(..held).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &[u8], size: usize) -> Vec<u8> {
        let (mut quoter, mut out) = (Quoter::new(), Vec::new());
        text.chunks(size).for_each(|piece| quoter.push(piece, &mut out));
        quoter.finish(&mut out);
        out
    }

    fn unquoted(text: &[u8], size: usize) -> Vec<u8> {
        let (mut unquoter, mut out) = (Unquoter::new(), Vec::new());
        text.chunks(size).for_each(|piece| unquoter.push(piece, &mut out));
        unquoter.finish(&mut out);
        out
    }

    #[test]
    fn round_trips_at_every_cut() {
        for (plain, with) in [
            ("From a\n>From b\n>>From c\n", ">From a\n>>From b\n>>>From c\n"),
            ("Fromage\n>Fro\n>F\n> From\n>\n\n>", "Fromage\n>Fro\n>F\n> From\n>\n\n>"),
            ("x From a\n From b\nfrom c\nFrom\n", "x From a\n From b\nfrom c\nFrom\n"),
            ("From ", ">From "),
            ("a\nFrom", "a\nFrom"),
            ("a\n>>From", "a\n>>From"),
            ("", ""),
        ] {
            for size in 1..20 {
                assert_eq!(quoted(plain.as_bytes(), size), with.as_bytes(), "{plain:?} by {size}");
                assert_eq!(unquoted(with.as_bytes(), size), plain.as_bytes(), "{with:?} by {size}");
            }
        }
    }

    #[test]
    fn a_line_of_quotes_holds_nothing_back() {
        let quotes = vec![b'>'; 1 << 20];
        let (mut quoter, mut out) = (Quoter::new(), Vec::new());
        for piece in quotes.chunks(1 << 12) {
            out.clear();
            quoter.push(piece, &mut out);
            // Quotes that were held back would be scanned again with each piece.
            assert_eq!(out.len(), piece.len());
        }
        out.clear();
        quoter.push(b"From x", &mut out);
        assert_eq!(out, b">From x");
    }
}
