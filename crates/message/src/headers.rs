//! The header of a message: its fields byte for byte, and where it ends.

use crate::finding::note;
use crate::{Finding, FindingKind};
use bstr::{BStr, BString, ByteSlice};
use memchr::{memchr, memchr2};
use std::borrow::Cow;
use std::ops::Range;

/// Bytes of a header that are read; our own limit. A To field of ten thousand recipients fits.
pub const MAX_HEADER_SIZE: usize = 1 << 20;
/// Fields of a header that are read; our own limit. Ordinary messages have some sixty.
pub const MAX_FIELDS: usize = 1000;
/// RFC 5322 §2.1.1: bytes of a line, without its CRLF.
pub const MAX_LINE: usize = 998;

/// One header field, byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header<'a> {
    /// The name as written, without the white space that obsolete syntax allows before the colon.
    pub name: &'a BStr,
    /// The whole field: name, colon, value with its folding, and the final line end if there is one.
    pub raw: &'a BStr,
    /// What follows the colon: with leading white space, folding and the final line end.
    pub value: &'a BStr,
    /// Where `raw` begins, in bytes from the start of the block.
    pub offset: usize,
}

impl<'a> Header<'a> {
    /// Does the field have this name? Case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The byte range of the field in the block.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset.saturating_add(self.raw.len())
    }

    /// The value without line ends (RFC 5322 §2.2.3) and without white space around it. Inner white space stays.
    pub fn unfolded(&self) -> Cow<'a, BStr> {
        let value: &'a [u8] = self.value;
        let value = value.trim_ascii();
        if memchr2(b'\r', b'\n', value).is_none() {
            return Cow::Borrowed(value.as_bstr());
        }
        // RFC 5322 §2.2.3: unfolding removes any CRLF that is immediately followed by white space. After trimming, white
        // space follows every line end that is left.
        let mut out = Vec::with_capacity(value.len());
        for line in value.split_inclusive(|b| *b == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        }
        Cow::Owned(BString::from(out))
    }
}

/// The fields of a header in their order, and the findings about it.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    fields: Vec<Header<'a>>,
    findings: Vec<Finding>,
    body: Option<usize>,
}

impl<'a> Headers<'a> {
    /// The fields in the order of the message.
    pub fn iter(&self) -> std::slice::Iter<'_, Header<'a>> {
        self.fields.iter()
    }

    /// The fields as a slice, in the order of the message.
    pub fn fields(&self) -> &[Header<'a>] {
        &self.fields
    }

    /// The fields of one name, topmost first. Case does not matter.
    pub fn all<'s>(&'s self, name: &'s str) -> impl DoubleEndedIterator<Item = &'s Header<'a>> + 's {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// The topmost field of one name.
    pub fn first(&self, name: &str) -> Option<&Header<'a>> {
        self.fields.iter().find(|field| field.is(name))
    }

    /// The findings, at most one of each kind.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The first finding that hides or distorts fields, so that two readers may see different ones.
    pub fn malformed(&self) -> Option<Finding> {
        self.findings.iter().copied().find(|finding| finding.kind.is_malformed_header())
    }

    /// Offset of the body, which begins after the empty line; none if the block has no empty line.
    pub fn body_offset(&self) -> Option<usize> {
        self.body
    }
}

impl<'s, 'a> IntoIterator for &'s Headers<'a> {
    type Item = &'s Header<'a>;
    type IntoIter = std::slice::Iter<'s, Header<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads the header at the start of `block`, up to the empty line or the end. The block may go on with a body.
///
/// Lines end in CRLF; a bare LF also ends a line and is reported. Lines that are no field are left out and reported. Mbox
/// separators at the top do not make the header malformed, because they hide no field. [`MAX_HEADER_SIZE`] and
/// [`MAX_FIELDS`] bound work and memory.
pub fn headers(block: &[u8]) -> Headers<'_> {
    // Most headers have fewer than one field per 48 bytes; for the others the vector grows once.
    let mut fields = Vec::with_capacity((block.len() / 48).clamp(4, 64));
    let mut findings = Vec::new();
    let mut raw_fields = RawFields::new(block);
    for (at, raw) in raw_fields.by_ref() {
        let limit = if at + raw.len() > MAX_HEADER_SIZE {
            Some(FindingKind::HeaderTooLarge)
        } else if fields.len() == MAX_FIELDS {
            Some(FindingKind::TooManyFields)
        } else {
            None
        };
        if let Some(kind) = limit {
            note(&mut findings, kind, at);
            let body = block.get(at..).and_then(header_end).map(|end| at + end);
            return Headers { fields, findings, body };
        }
        check_lines(raw, at, &mut findings);
        match field_name(raw) {
            Some((name, value)) => fields.push(Header {
                name: name.as_bstr(),
                raw: raw.as_bstr(),
                value: value.as_bstr(),
                offset: at,
            }),
            None if fields.is_empty() && is_mbox_line(raw) => note(&mut findings, FindingKind::MboxLine, at),
            None => note(&mut findings, trouble(raw), at),
        }
    }
    Headers { fields, findings, body: raw_fields.body }
}

/// Iterates over the fields of a block with their offsets, up to the empty line, without a limit. Lines that are no field
/// are returned as well.
struct RawFields<'a> {
    rest: &'a [u8],
    at: usize,
    /// Offset of the body, once the empty line was found.
    body: Option<usize>,
}

impl<'a> RawFields<'a> {
    fn new(block: &'a [u8]) -> Self {
        Self { rest: block, at: 0, body: None }
    }
}

impl<'a> Iterator for RawFields<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let separator = match self.rest {
            [] => return None,
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        if separator > 0 {
            self.body = Some(self.at + separator);
            self.rest = &[];
            return None;
        }
        let (raw, rest) = self.rest.split_at_checked(field_length(self.rest))?;
        let at = self.at;
        self.at += raw.len();
        self.rest = rest;
        Some((at, raw))
    }
}

/// Returns the length of the first line of `rest` with its continuation lines.
fn field_length(rest: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let tail = rest.get(length..).unwrap_or_default();
        length += memchr(b'\n', tail).map_or(tail.len(), |end| end + 1);
        // RFC 5322 §2.2.3: a line that begins with white space continues the field.
        if !matches!(rest.get(length), Some(b' ' | b'\t')) {
            return length;
        }
    }
}

fn check_lines(raw: &[u8], offset: usize, findings: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(tail) = raw.get(from..).filter(|tail| !tail.is_empty()) {
        let line = memchr(b'\n', tail).and_then(|end| tail.get(..=end)).unwrap_or(tail);
        check_line(line, offset + from, findings);
        from += line.len();
    }
}

fn check_line(line: &[u8], at: usize, findings: &mut Vec<Finding>) {
    let content = match line {
        [content @ .., b'\r', b'\n'] => content,
        [content @ .., b'\n'] => {
            note(findings, FindingKind::BareLf, at + content.len());
            content
        }
        content => {
            note(findings, FindingKind::Unterminated, at + content.len());
            content
        }
    };
    // RFC 5322 §2.1.1: a line must be no more than 998 characters.
    if content.len() > MAX_LINE {
        note(findings, FindingKind::LineTooLong, at);
    }
    let mut from = 0;
    while let Some(tail) = content.get(from..)
        && let Some(next) = memchr2(b'\r', b'\0', tail)
    {
        let nul = tail.get(next) == Some(&0);
        note(findings, if nul { FindingKind::Nul } else { FindingKind::BareCr }, at + from + next);
        from += next + 1;
    }
}

/// Splits a field into name and value; none if the line is no field.
fn field_name(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    // RFC 5322 §2.2: a field name is printable ASCII without the colon.
    let ftext = raw.iter().take_while(|b| b.is_ascii_graphic() && **b != b':').count();
    let (name, rest) = raw.split_at_checked(ftext).filter(|(name, _)| !name.is_empty())?;
    // RFC 5322 §4.5: obsolete syntax has white space before the colon.
    let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(blank..) {
        Some([b':', value @ ..]) => Some((name, value)),
        _ => None,
    }
}

/// Is a line that is no field an mbox separator, quoted with `>` or not?
fn is_mbox_line(raw: &[u8]) -> bool {
    raw.trim_start_with(|c| c == '>').starts_with(b"From ")
}

/// Returns the reason why a line is no field.
fn trouble(raw: &[u8]) -> FindingKind {
    let line = raw.split(|b| *b == b'\n').next().unwrap_or(raw);
    match line.first() {
        Some(b':') => FindingKind::EmptyName,
        Some(b' ' | b'\t') => FindingKind::LeadingSpace,
        _ if line.contains(&b':') => FindingKind::BadName,
        _ => FindingKind::NoColon,
    }
}

/// Does a line that is no field begin as the continuation of one?
fn continues(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b' ' | b'\t'))
}

/// Returns the parts of a header block that are left when the fields are removed for which `goes` returns true, given name
/// and value. Mbox separators at the top are removed as well: below the fields that a mail server adds, they would end the
/// header for many readers. So are continuation lines at the top: they would add a stranger's text to the last of those
/// fields.
///
/// Neighbouring parts are joined, so an untouched block is one range. The empty line and a body may follow the header;
/// they stay. The number of fields is not limited.
pub fn without_fields(block: &[u8], mut goes: impl FnMut(&[u8], &[u8]) -> bool) -> Vec<Range<usize>> {
    let mut kept = Vec::new();
    let mut from = 0;
    for (at, raw) in RawFields::new(block) {
        let goes = match field_name(raw) {
            Some((name, value)) => goes(name, value),
            None => kept.is_empty() && from == at && (is_mbox_line(raw) || continues(raw)),
        };
        if goes {
            if from < at {
                kept.push(from..at);
            }
            from = at + raw.len();
        }
    }
    if from < block.len() {
        kept.push(from..block.len());
    }
    kept
}

/// Returns the offset of the body in a message or header block: after the first empty line.
pub fn header_end(block: &[u8]) -> Option<usize> {
    match HeaderScan::new(usize::MAX).push(block) {
        Scanned::End(at) => Some(at),
        Scanned::More | Scanned::TooLarge(_) => None,
    }
}

/// Finds the end of the header in a message that arrives in pieces. Keeps no bytes.
///
/// The first empty line ends the header, as in [`headers`]; how the message is cut into pieces makes no difference.
///
/// ```
/// use moxd_message::{HeaderScan, MAX_HEADER_SIZE, Scanned};
///
/// let mut scan = HeaderScan::new(MAX_HEADER_SIZE);
/// assert_eq!(scan.push(b"Subject: hi\r\n\r"), Scanned::More);
/// assert_eq!(scan.push(b"\nbody"), Scanned::End(1));
/// ```
#[derive(Debug, Clone)]
pub struct HeaderScan {
    place: Place,
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    LineStart,
    /// After a carriage return that began a line.
    LineStartCr,
    InLine,
    /// Past the end, or past the limit.
    Done(Scanned),
}

/// Where the header ends, as far as the pieces so far tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scanned {
    /// The header goes on after this piece.
    More,
    /// The header and its empty line end after that many bytes of this piece; 0 if they ended in an earlier piece.
    End(usize),
    /// The header is larger than the limit. That many bytes of this piece are within it; 0 if an earlier piece exceeded
    /// it.
    TooLarge(usize),
}

impl HeaderScan {
    /// Starts a message whose header may have up to `limit` bytes, the empty line included.
    pub fn new(limit: usize) -> Self {
        Self { place: Place::LineStart, left: limit }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Scanned {
        if let Place::Done(end) = self.place {
            return end;
        }
        let allowed = piece.get(..self.left).unwrap_or(piece);
        let mut at = 0;
        while let Some(rest) = allowed.get(at..)
            && let Some(first) = rest.first()
        {
            match (self.place, first) {
                (Place::LineStart | Place::LineStartCr, b'\n') => {
                    self.place = Place::Done(Scanned::End(0));
                    return Scanned::End(at + 1);
                }
                (Place::LineStart, b'\r') => {
                    self.place = Place::LineStartCr;
                    at += 1;
                }
                _ => match memchr(b'\n', rest) {
                    Some(end) => {
                        self.place = Place::LineStart;
                        at += end + 1;
                    }
                    None => {
                        self.place = Place::InLine;
                        break;
                    }
                },
            }
        }
        if allowed.len() < piece.len() {
            self.place = Place::Done(Scanned::TooLarge(0));
            return Scanned::TooLarge(allowed.len());
        }
        self.left -= allowed.len();
        Scanned::More
    }
}

#[cfg(test)]
mod tests;
