//! Syntax errors.

use crate::Verb;
use bstr::BStr;
use std::fmt;

/// A line, or an address, that does not follow the grammar.
///
/// It holds positions instead of text: [`SyntaxError::rest`] and [`SyntaxError::subject`] want the line again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    verb: Option<Verb>,
    kind: SyntaxErrorKind,
    start: usize,
    end: usize,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyntaxErrorKind {
    /// The command needs an argument that is not there.
    MissingArgument,
    /// Something follows where the command should end.
    TrailingData,
    /// `FROM:` or `TO:` is missing.
    MissingKeyword,
    /// Not a path in angle brackets.
    BadPath,
    /// A forward path of more than 256 bytes.
    PathTooLong,
    /// A local part that is neither a dot-string nor a quoted string, or has control characters.
    BadLocalpart,
    /// A local part over the limit of the dialect.
    LocalpartTooLong,
    /// Not a domain name.
    BadDomain,
    /// A domain, or one of its labels, is too long.
    DomainTooLong,
    /// Not an address literal (RFC 5321 §4.1.3).
    BadLiteral,
    /// Bytes outside ASCII without the SMTPUTF8 parameter.
    NonAscii,
    /// Bytes that are not UTF-8, although SMTPUTF8 was given.
    BadUtf8,
    /// A parameter whose keyword or value is malformed.
    BadParameter,
    /// The same parameter twice, or two that exclude each other.
    DuplicateParameter,
    /// A parameter we do not know.
    UnknownParameter,
    /// A value of BODY other than 7BIT, 8BITMIME and BINARYMIME.
    UnknownBody,
    /// A size with too many digits.
    SizeTooLarge,
    /// A `+` without two hexadecimal digits in xtext (RFC 3461 §4), or a character that must be encoded.
    BadXtext,
    /// Not a SASL mechanism name.
    BadMechanism,
    /// A chunk size that is no number.
    BadChunkSize,
    /// A reply line that does not begin with a code of 200 to 599 and a space, a hyphen, or its end.
    BadReplyCode,
    /// The lines of one reply have different codes.
    MixedReplyCodes,
    /// A reply line, or a whole reply, over its limit.
    ReplyTooLong,
    /// Not an enhanced status code (RFC 3463 §2).
    BadEnhancedCode,
}

impl SyntaxErrorKind {
    /// The stable token of this kind.
    pub fn token(self) -> &'static str {
        match self {
            Self::MissingArgument => "smtp-parser.missing-argument",
            Self::TrailingData => "smtp-parser.trailing-data",
            Self::MissingKeyword => "smtp-parser.missing-keyword",
            Self::BadPath => "smtp-parser.bad-path",
            Self::PathTooLong => "smtp-parser.path-too-long",
            Self::BadLocalpart => "smtp-parser.bad-localpart",
            Self::LocalpartTooLong => "smtp-parser.localpart-too-long",
            Self::BadDomain => "smtp-parser.bad-domain",
            Self::DomainTooLong => "smtp-parser.domain-too-long",
            Self::BadLiteral => "smtp-parser.bad-literal",
            Self::NonAscii => "smtp-parser.non-ascii",
            Self::BadUtf8 => "smtp-parser.bad-utf8",
            Self::BadParameter => "smtp-parser.bad-parameter",
            Self::DuplicateParameter => "smtp-parser.duplicate-parameter",
            Self::UnknownParameter => "smtp-parser.unknown-parameter",
            Self::UnknownBody => "smtp-parser.unknown-body",
            Self::SizeTooLarge => "smtp-parser.size-too-large",
            Self::BadXtext => "smtp-parser.bad-xtext",
            Self::BadMechanism => "smtp-parser.bad-mechanism",
            Self::BadChunkSize => "smtp-parser.bad-chunk-size",
            Self::BadReplyCode => "smtp-parser.bad-reply-code",
            Self::MixedReplyCodes => "smtp-parser.mixed-reply-codes",
            Self::ReplyTooLong => "smtp-parser.reply-too-long",
            Self::BadEnhancedCode => "smtp-parser.bad-enhanced-code",
        }
    }

    /// A description without the bytes that were wrong.
    fn text(self) -> &'static str {
        match self {
            Self::MissingArgument => "missing argument",
            Self::TrailingData => "trailing data",
            Self::MissingKeyword => "missing FROM: or TO:",
            Self::BadPath => "path must be an address in angle brackets",
            Self::PathTooLong => "path of more than 256 octets",
            Self::BadLocalpart => "bad local part",
            Self::LocalpartTooLong => "local part too long",
            Self::BadDomain => "bad domain",
            Self::DomainTooLong => "domain or label too long",
            Self::BadLiteral => "bad address literal",
            Self::NonAscii => "non-ascii address not permitted without smtputf8",
            Self::BadUtf8 => "invalid utf-8",
            Self::BadParameter => "bad parameter",
            Self::DuplicateParameter => "duplicate parameter",
            Self::UnknownParameter => "unrecognized parameter",
            Self::UnknownBody => "unrecognized value of parameter BODY",
            Self::SizeTooLarge => "size too large",
            Self::BadXtext => "bad xtext",
            Self::BadMechanism => "bad mechanism name",
            Self::BadChunkSize => "bad chunk size",
            Self::BadReplyCode => "bad reply code",
            Self::MixedReplyCodes => "lines of one reply with different codes",
            Self::ReplyTooLong => "reply too long",
            Self::BadEnhancedCode => "bad enhanced status code",
        }
    }
}

impl SyntaxError {
    pub(crate) fn new(verb: Option<Verb>, kind: SyntaxErrorKind, start: usize, end: usize) -> Self {
        Self { verb, kind, start, end }
    }

    /// The command the line belonged to; none for replies and addresses.
    pub fn verb(&self) -> Option<Verb> {
        self.verb
    }

    /// What is wrong.
    pub fn kind(&self) -> SyntaxErrorKind {
        self.kind
    }

    /// Where it is wrong, in bytes from the start of the line.
    pub fn position(&self) -> usize {
        self.start
    }

    /// The part that was not understood: the name of a parameter, or the rest of the line. `line` is the parsed line.
    pub fn subject<'a>(&self, line: &'a [u8]) -> &'a BStr {
        BStr::new(line.get(self.start..self.end.min(line.len())).unwrap_or_default())
    }

    /// Everything from the wrong place on. `line` is the parsed line.
    pub fn rest<'a>(&self, line: &'a [u8]) -> &'a BStr {
        BStr::new(line.get(self.start..).unwrap_or_default())
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.kind.text(), self.start)
    }
}

impl std::error::Error for SyntaxError {}
