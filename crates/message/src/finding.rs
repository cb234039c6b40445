//! What was found wrong with a message that was read all the same.

use std::fmt;

/// One kind of trouble in a message: where it was first met, and how often.
///
/// Reading a stranger's message never fails; what breaks a rule is told beside the result. There is at most one
/// finding of each kind, so that a hostile message cannot make the list grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Offset in octets of the first place, from the start of the bytes given.
    pub offset: usize,
    /// How many places there are.
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
    /// A NUL octet in the header.
    Nul,
    /// A header line of more than 998 octets.
    LineTooLong,
    /// A header line without a colon.
    NoColon,
    /// A header line that begins with its colon.
    EmptyName,
    /// A header field name with a character outside printable ASCII.
    BadName,
    /// The header begins with a continuation line.
    LeadingSpace,
    /// The last header line has no line end.
    Unterminated,
    /// The header is larger than [`crate::MAX_HEADER_SIZE`]; what is beyond was not read.
    HeaderTooLarge,
    /// The header has more than [`crate::MAX_FIELDS`] fields; what is beyond was not read.
    TooManyFields,
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
            Self::Unterminated => "message.unterminated",
            Self::HeaderTooLarge => "message.header-too-large",
            Self::TooManyFields => "message.too-many-fields",
        }
    }

    /// Does it hide or distort header fields, so that two readers may see different ones?
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
            Self::LineTooLong => "header line of more than 998 octets",
            Self::NoColon => "header line without a colon",
            Self::EmptyName => "header line without a name",
            Self::BadName => "bad character in a header field name",
            Self::LeadingSpace => "header begins with a continuation line",
            Self::Unterminated => "last header line has no line end",
            Self::HeaderTooLarge => "header too large",
            Self::TooManyFields => "too many header fields",
        })
    }
}

/// Adds one more place of trouble.
pub(crate) fn note(findings: &mut Vec<Finding>, kind: FindingKind, offset: usize) {
    match findings.iter_mut().find(|finding| finding.kind == kind) {
        Some(finding) => finding.count = finding.count.saturating_add(1),
        None => findings.push(Finding { kind, offset, count: 1 }),
    }
}
