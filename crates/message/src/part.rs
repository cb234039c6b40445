//! The MIME structure of a message: the byte ranges of its parts (RFC 2045, RFC 2046).

mod scan;

use crate::charset::to_utf8;
use crate::decode_words;
use crate::encoding::{Decoded, Encoding, decode_base64, decode_quoted_printable};
use crate::{ContentType, Disposition, Finding};
use std::borrow::Cow;
use std::ops::Range;

/// How much of a message's structure is read. Parts beyond the limits stay unsplit in the body around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep parts may be nested; the message itself is the first level.
    pub depth: usize,
    /// Total number of parts, the message itself included.
    pub parts: usize,
    /// Bytes of the header of one inner part; a larger one is not read, and its part counts as plain text.
    pub header: usize,
}

impl Default for Limits {
    /// 100 levels, as in Postfix (`mime_nesting_limit`); 1,000 parts; 64 KiB of header for each.
    fn default() -> Self {
        Self { depth: 100, parts: 1000, header: 64 << 10 }
    }
}

/// One part of a message, or the message itself. All ranges count bytes from the start of the message.
///
/// A part consists of its header and its body. The parts of a multipart are within its body, in order and without overlap,
/// with delimiter lines between them. The message in a message part is its entire body.
///
/// ```
/// use moxd_message::{Limits, Part};
///
/// let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\
///     --b\r\n\r\nhello\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n";
/// let (part, findings) = Part::parse(message, Limits::default());
/// assert!(findings.is_empty());
/// assert_eq!(part.parts.len(), 2);
/// assert_eq!(&message[part.parts[0].body.clone()], b"hello");
/// assert!(part.parts[1].is("text", "html"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Part {
    /// The header with its empty line.
    pub header: Range<usize>,
    /// The body, without the line end that belongs to the next delimiter.
    pub body: Range<usize>,
    /// The media type; none if it is missing or invalid. See [`Part::is`].
    pub content_type: Option<ContentType>,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// How to show the part, if the header says.
    pub disposition: Option<Disposition>,
    /// The part is in a multipart/digest, so without a media type it is a message.
    pub in_digest: bool,
    /// The parts of a multipart, or the one message of a message part.
    pub parts: Vec<Part>,
}

impl Part {
    /// Reads the structure of a message, header and body, in one pass; the work is linear in its length.
    ///
    /// Never fails: broken structure is read in the way that shows most of it, and reported in the findings.
    pub fn parse(message: &[u8], limits: Limits) -> (Self, Vec<Finding>) {
        scan::scan(message, limits)
    }

    /// Header and body.
    pub fn range(&self) -> Range<usize> {
        self.header.start..self.body.end
    }

    /// Returns type and subtype in lower case. RFC 2045 §5.2, RFC 2046 §5.1.5: plain text by default, a message in a digest.
    pub fn media_type(&self) -> (&str, &str) {
        match &self.content_type {
            Some(found) => (&found.kind, &found.subtype),
            None if self.in_digest => ("message", "rfc822"),
            None => ("text", "plain"),
        }
    }

    /// Does the part have this type and subtype, given in lower case?
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.media_type() == (kind, subtype)
    }

    /// Iterates over the part and all parts in it, each before its own parts.
    pub fn walk(&self) -> impl Iterator<Item = &Part> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let part = open.pop()?;
            open.extend(part.parts.iter().rev());
            Some(part)
        })
    }

    /// Decodes the transfer encoding of the body, up to `limit` bytes. A body with an unknown encoding is returned unchanged.
    pub fn decoded<'m>(&self, message: &'m [u8], limit: usize) -> Cow<'m, [u8]> {
        let body = message.get(self.body.clone()).unwrap_or_default();
        let own = |decoded: Decoded| Cow::Owned(decoded.bytes);
        match self.encoding {
            Encoding::Base64 => own(decode_base64(body, limit)),
            Encoding::QuotedPrintable => own(decode_quoted_printable(body, limit)),
            _ => Cow::Borrowed(body.get(..limit).unwrap_or(body)),
        }
    }

    /// Decodes the body to text, from up to `limit` bytes after the transfer encoding. An unknown charset is read as UTF-8
    /// with replacement characters.
    pub fn text(&self, message: &[u8], limit: usize) -> String {
        let bytes = self.decoded(message, limit);
        let charset = self.content_type.as_ref().and_then(|found| found.params.get("charset"));
        to_utf8(&bytes, charset.unwrap_or("us-ascii")).unwrap_or_else(|| crate::lex::text(&bytes))
    }

    /// Returns the file name that the sender gave, to show to people. It may contain anything: never use it as a path.
    pub fn filename(&self) -> Option<String> {
        let disposition = self.disposition.as_ref().and_then(|found| found.params.get("filename"));
        let name = || self.content_type.as_ref().and_then(|found| found.params.get("name"));
        // RFC 2047 §5: parameters must not have encoded words, but many do.
        disposition.or_else(name).map(|name| decode_words(name.as_bytes()))
    }

    /// Does any header in the message need SMTPUTF8 (RFC 6532)?
    pub fn has_utf8_header(&self, message: &[u8]) -> bool {
        self.walk().any(|part| message.get(part.header.clone()).is_some_and(|header| !header.is_ascii()))
    }
}

#[cfg(test)]
mod tests;
