//! Problems of a message that do not keep us from reading it.

use std::fmt;

/// One kind of problem in a message: where it occurs first, and how often.
///
/// Reading a stranger's message never fails; findings beside the result say which rules it breaks. There is at most one
/// finding of each kind, so a hostile message cannot make the list grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The rule that the message breaks.
    pub kind: FindingKind,
    /// Offset of the first occurrence, in bytes from the start of the input.
    pub offset: usize,
    /// Number of occurrences.
    pub count: usize,
}

/// What can be wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A carriage return without a line feed after it.
    BareCr,
    /// A line feed without a carriage return before it; it was taken as a line end.
    BareLf,
    /// A NUL byte in the header.
    Nul,
    /// A header line of more than 998 bytes.
    LineTooLong,
    /// A header line without a colon.
    NoColon,
    /// A header line that begins with its colon.
    EmptyName,
    /// A header field name with a character outside printable ASCII.
    BadName,
    /// The header begins with a continuation line.
    LeadingSpace,
    /// Lines at the top that separate messages in an mbox; they are no part of the header.
    MboxLine,
    /// The last header line has no line end.
    Unterminated,
    /// The header is larger than [`crate::MAX_HEADER_SIZE`]; the rest was not read.
    HeaderTooLarge,
    /// The header has more than [`crate::MAX_FIELDS`] fields; the rest was not read.
    TooManyFields,
    /// A Content-Type without type and subtype; the part counts as plain text (RFC 2045 §5.2).
    BadContentType,
    /// Content-Type, Content-Transfer-Encoding or Content-Disposition more than once; the first counts.
    RepeatedContentField,
    /// An unknown transfer encoding (RFC 2045 §6.4).
    UnknownEncoding,
    /// A multipart with a transfer encoding (RFC 2045 §6.4), which was ignored.
    EncodedMultipart,
    /// A multipart without a boundary; it was not split.
    NoBoundary,
    /// A boundary of more than 70 characters.
    BoundaryTooLong,
    /// A multipart without its closing delimiter.
    UnclosedMultipart,
    /// Parts nested deeper than the limit; the deepest was not split.
    TooDeep,
    /// More parts than the limit; the rest was not split.
    TooManyParts,
}

impl FindingKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::BareCr => "message.bare-cr",
            Self::BareLf => "message.bare-lf",
            Self::Nul => "message.nul",
            Self::LineTooLong => "message.line-too-long",
            Self::NoColon => "message.no-colon",
            Self::EmptyName => "message.empty-name",
            Self::BadName => "message.bad-name",
            Self::LeadingSpace => "message.leading-space",
            Self::MboxLine => "message.mbox-line",
            Self::Unterminated => "message.unterminated",
            Self::HeaderTooLarge => "message.header-too-large",
            Self::TooManyFields => "message.too-many-fields",
            Self::BadContentType => "message.bad-content-type",
            Self::RepeatedContentField => "message.repeated-content-field",
            Self::UnknownEncoding => "message.unknown-encoding",
            Self::EncodedMultipart => "message.encoded-multipart",
            Self::NoBoundary => "message.no-boundary",
            Self::BoundaryTooLong => "message.boundary-too-long",
            Self::UnclosedMultipart => "message.unclosed-multipart",
            Self::TooDeep => "message.too-deep",
            Self::TooManyParts => "message.too-many-parts",
        }
    }

    /// Does the problem hide or distort header fields, so that two readers may see different ones?
    pub fn is_malformed_header(self) -> bool {
        matches!(
            self,
            Self::NoColon
                | Self::EmptyName
                | Self::BadName
                | Self::LeadingSpace
                | Self::HeaderTooLarge
                | Self::TooManyFields
        )
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareCr => "carriage return without line feed",
            Self::BareLf => "line feed without carriage return",
            Self::Nul => "NUL in the header",
            Self::LineTooLong => "header line of more than 998 bytes",
            Self::NoColon => "header line without a colon",
            Self::EmptyName => "header line without a name",
            Self::BadName => "bad character in a header field name",
            Self::LeadingSpace => "header begins with a continuation line",
            Self::MboxLine => "mbox separator before the header",
            Self::Unterminated => "last header line has no line end",
            Self::HeaderTooLarge => "header too large",
            Self::TooManyFields => "too many header fields",
            Self::BadContentType => "Content-Type cannot be read",
            Self::RepeatedContentField => "MIME header field given twice",
            Self::UnknownEncoding => "unknown transfer encoding",
            Self::EncodedMultipart => "multipart with a transfer encoding",
            Self::NoBoundary => "multipart without a boundary",
            Self::BoundaryTooLong => "boundary of more than 70 characters",
            Self::UnclosedMultipart => "multipart without its end",
            Self::TooDeep => "parts nested too deep",
            Self::TooManyParts => "too many parts",
        })
    }
}

/// Counts one more occurrence.
pub(crate) fn note(findings: &mut Vec<Finding>, kind: FindingKind, offset: usize) {
    match findings.iter_mut().find(|finding| finding.kind == kind) {
        Some(finding) => finding.count = finding.count.saturating_add(1),
        None => findings.push(Finding { kind, offset, count: 1 }),
    }
}
