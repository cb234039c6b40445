//! One pass over a message, with a stack of the parts that are open.

use super::{Limits, Part};
use crate::encoding::Encoding;
use crate::finding::note;
use crate::headers::{Headers, headers};
use crate::{ContentType, Disposition, Finding, FindingKind};
use memchr::{memchr, memmem};
use std::collections::BTreeMap;

/// RFC 2046 §5.1.1: characters of a boundary.
const MAX_BOUNDARY: usize = 70;

pub(super) fn scan(message: &[u8], limits: Limits) -> (Part, Vec<Finding>) {
    let mut scan = Scan {
        message,
        limits,
        open: Vec::new(),
        boundaries: BTreeMap::new(),
        findings: Vec::new(),
        count: 0,
    };
    scan.begin(0, false);
    let mut at = scan.descend();
    while let Some(delimiter) = scan.next_delimiter(at) {
        at = scan.cross(&delimiter);
    }
    scan.close_to(0, message.len());
    let whole = scan.open.pop().map(|open| scan.finished(open, message.len()));
    (whole.unwrap_or_default(), scan.findings)
}

struct Scan<'m> {
    message: &'m [u8],
    limits: Limits,
    /// The parts that are open, outermost first; never empty while scanning, at most `limits.depth`.
    open: Vec<Open>,
    /// Stack positions of the open multiparts, by boundary. Looking lines up here keeps their cost independent of the depth.
    boundaries: BTreeMap<Vec<u8>, Vec<usize>>,
    findings: Vec<Finding>,
    count: usize,
}

/// A part whose end is not known yet.
struct Open {
    part: Part,
    /// The boundary, as long as the part is a multipart that is not closed.
    boundary: Option<Vec<u8>>,
    /// Its closing delimiter was found, or it needs none.
    closed: bool,
    /// Its header ended with an empty line.
    headed: bool,
}

/// A delimiter line (RFC 2046 §5.1.1).
struct Delimiter {
    start: usize,
    /// Offset behind its line end.
    end: usize,
    /// Stack position of the multipart it belongs to.
    level: usize,
    close: bool,
}

impl Scan<'_> {
    fn from(&self, at: usize) -> &[u8] {
        self.message.get(at..).unwrap_or_default()
    }

    /// Opens the part that begins at `start` and reads its header.
    fn begin(&mut self, start: usize, in_digest: bool) {
        self.count += 1;
        let (end, headed) = self.header_end(start);
        let mut open = Open {
            part: Part { header: start..end, body: end..end, in_digest, ..Part::default() },
            boundary: None,
            closed: true,
            headed,
        };
        let is_root = self.open.is_empty();
        if !is_root && end - start > self.limits.header {
            note(&mut self.findings, FindingKind::HeaderTooLarge, start);
        } else {
            let fields = headers(self.message.get(start..end).unwrap_or_default());
            for finding in fields.findings() {
                note(&mut self.findings, finding.kind, start + finding.offset);
            }
            self.describe(&mut open, &fields, start);
        }
        if let Some(boundary) = &open.boundary {
            self.boundaries.entry(boundary.clone()).or_default().push(self.open.len());
        }
        self.open.push(open);
    }

    /// Returns where the header that begins at `start` ends, and whether with an empty line. A delimiter of an open multipart
    /// ends it too, so that a part without an empty line does not swallow its neighbours.
    fn header_end(&self, start: usize) -> (usize, bool) {
        let mut at = start;
        loop {
            let rest = self.from(at);
            match rest {
                [] => return (at, false),
                [b'\n', ..] => return (at + 1, true),
                [b'\r', b'\n', ..] => return (at + 2, true),
                [b'-', b'-', ..] if self.delimiter(at).is_some() => return (at, false),
                _ => at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1),
            }
        }
    }

    fn describe(&mut self, open: &mut Open, fields: &Headers<'_>, start: usize) {
        let mut only = |name, kind| {
            let mut all = fields.all(name);
            let first = all.next();
            if let Some(second) = all.next() {
                note(&mut self.findings, kind, start + second.offset);
            }
            first
        };
        let content_type = only("Content-Type", FindingKind::RepeatedContentField);
        let encoding = only("Content-Transfer-Encoding", FindingKind::RepeatedContentField);
        let disposition = only("Content-Disposition", FindingKind::RepeatedContentField);
        let part = &mut open.part;
        if let Some(field) = content_type {
            part.content_type = ContentType::parse(field.value);
            if part.content_type.is_none() {
                note(&mut self.findings, FindingKind::BadContentType, start + field.offset);
            }
        }
        if let Some(field) = encoding {
            // A comment may follow. White space may not, but some senders write it.
            let name = field.value.split(|b| matches!(b, b'(' | b';')).next().unwrap_or_default();
            part.encoding = Encoding::named(name.trim_ascii());
            if part.encoding == Encoding::Unknown {
                note(&mut self.findings, FindingKind::UnknownEncoding, start + field.offset);
            }
        }
        part.disposition = disposition.and_then(|field| Disposition::parse(field.value));
        if part.media_type().0 == "multipart" {
            self.describe_multipart(open, start);
        }
    }

    fn describe_multipart(&mut self, open: &mut Open, start: usize) {
        // RFC 2045 §6.4: a multipart must not be encoded, only its parts. Most readers ignore the encoding.
        if !open.part.encoding.is_identity() {
            note(&mut self.findings, FindingKind::EncodedMultipart, start);
            open.part.encoding = Encoding::Binary;
        }
        let boundary = open.part.content_type.as_ref().and_then(|found| found.params.get("boundary"));
        let Some(boundary) = boundary.map(str::trim_end).filter(|boundary| !boundary.is_empty()) else {
            note(&mut self.findings, FindingKind::NoBoundary, start);
            return;
        };
        if boundary.len() > MAX_BOUNDARY {
            note(&mut self.findings, FindingKind::BoundaryTooLong, start);
        }
        if self.open.len() + 1 >= self.limits.depth {
            note(&mut self.findings, FindingKind::TooDeep, start);
            return;
        }
        open.closed = false;
        // Without its empty line the part has no body, so no delimiter can belong to it.
        open.boundary = open.headed.then(|| boundary.as_bytes().to_vec());
    }

    /// Opens the messages in message parts, as long as the part opened last is one. Returns where scanning continues.
    fn descend(&mut self) -> usize {
        loop {
            let Some(Open { part, headed, .. }) = self.open.last() else { return self.message.len() };
            let (at, headed) = (part.header.end, *headed);
            let message =
                part.media_type() == ("message", "rfc822") || part.media_type() == ("message", "global");
            // RFC 2046 §5.2.1: only 7bit, 8bit and binary. RFC 6532 §3.7 allows encoded message/global, whose content is
            // not in these bytes.
            if !message || !headed || !part.encoding.is_identity() {
                return at;
            }
            if self.open.len() >= self.limits.depth {
                note(&mut self.findings, FindingKind::TooDeep, at);
                return at;
            }
            if self.count >= self.limits.parts {
                note(&mut self.findings, FindingKind::TooManyParts, at);
                return at;
            }
            self.begin(at, false);
        }
    }

    /// Finds the next delimiter line of any open multipart, from the line start `at` on.
    fn next_delimiter(&self, mut at: usize) -> Option<Delimiter> {
        if self.boundaries.is_empty() {
            return None;
        }
        let finder = memmem::Finder::new(b"\n--");
        loop {
            if let Some(delimiter) = self.delimiter(at) {
                return Some(delimiter);
            }
            at += finder.find(self.from(at))? + 1;
        }
    }

    /// Reads the line at `at` as a delimiter of the innermost multipart that it fits.
    fn delimiter(&self, at: usize) -> Option<Delimiter> {
        let rest = self.from(at).strip_prefix(b"--")?;
        let line = memchr(b'\n', rest).and_then(|end| rest.get(..=end)).unwrap_or(rest);
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        // RFC 2046 §5.1.1: white space may follow (transport padding).
        let padding = content.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let content = content.get(..content.len() - padding).unwrap_or(content);
        // RFC 2046 §5.1.2: delimiters of outer multiparts count inside inner multiparts too.
        let level = |boundary: &[u8]| self.boundaries.get(boundary)?.last().copied();
        let next = level(content);
        let last = content.strip_suffix(b"--").and_then(level);
        let end = at + 2 + line.len();
        Some(Delimiter { start: at, end, level: next.max(last)?, close: last > next })
    }

    /// Ends the parts before a delimiter and opens the part behind it. Returns where scanning continues.
    fn cross(&mut self, delimiter: &Delimiter) -> usize {
        // RFC 2046 §5.1.1: the line end before a delimiter belongs to it.
        let before = self.message.get(..delimiter.start).unwrap_or_default();
        let line_end = match before {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        self.close_to(delimiter.level, delimiter.start - line_end);
        let full = self.count >= self.limits.parts;
        let Some(parent) = self.open.last_mut() else { return self.message.len() };
        let in_digest = parent.part.is("multipart", "digest");
        if delimiter.close || full {
            parent.closed = true;
            if let Some(boundary) = parent.boundary.take() {
                self.forget(&boundary);
            }
            if !delimiter.close {
                note(&mut self.findings, FindingKind::TooManyParts, delimiter.start);
            }
            return delimiter.end;
        }
        self.begin(delimiter.end, in_digest);
        self.descend()
    }

    /// Stops looking for the boundary of the innermost multipart that has it.
    fn forget(&mut self, boundary: &[u8]) {
        if let Some(levels) = self.boundaries.get_mut(boundary) {
            levels.pop();
            if levels.is_empty() {
                self.boundaries.remove(boundary);
            }
        }
    }

    /// Ends all parts inside the one at `level`.
    fn close_to(&mut self, level: usize, mut end: usize) {
        while self.open.len() > level + 1
            && let Some(open) = self.open.pop()
        {
            let part = self.finished(open, end);
            // The line end of the delimiter may be the last one of the header, for a part without a body.
            end = end.max(part.body.end);
            if let Some(parent) = self.open.last_mut() {
                parent.part.parts.push(part);
            }
        }
    }

    /// Returns the part with its end set.
    fn finished(&mut self, open: Open, end: usize) -> Part {
        let Open { mut part, boundary, closed, headed } = open;
        if let Some(boundary) = boundary {
            self.forget(&boundary);
        }
        if !closed {
            note(&mut self.findings, FindingKind::UnclosedMultipart, part.header.start);
        }
        if headed {
            // The line end before the delimiter may be the empty line that ends the header.
            part.body.end = end.max(part.body.start);
        } else {
            let end = end.max(part.header.start);
            part.header.end = end;
            part.body = end..end;
        }
        part
    }
}
