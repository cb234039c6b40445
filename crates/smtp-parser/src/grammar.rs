//! Shared parts of the grammars: faults with their position, and small rules.

use crate::{SyntaxError, SyntaxErrorKind, Verb};
use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Parser};

/// The result of a grammar rule: the unread input and a value.
pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Fault<'a>>;

/// Why a rule did not match, and the part of the line that is wrong.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    kind: SyntaxErrorKind,
    subject: &'a [u8],
}

impl<'a> Fault<'a> {
    pub(crate) fn new(kind: SyntaxErrorKind, subject: &'a [u8]) -> Self {
        Self { kind, subject }
    }

    /// The fault as an error of `line`, of which its subject must be a part.
    pub(crate) fn locate(self, line: &[u8], verb: Option<Verb>) -> SyntaxError {
        // Slices of one line differ by their addresses; no rule has to carry a position along.
        let start = self.subject.as_ptr().addr().saturating_sub(line.as_ptr().addr()).min(line.len());
        SyntaxError::new(verb, self.kind, start, start.saturating_add(self.subject.len()).min(line.len()))
    }
}

impl<'a> ParseError<&'a [u8]> for Fault<'a> {
    // nom's own rules do not know which rule of ours they belong to; `expect` adds that.
    fn from_error_kind(input: &'a [u8], _: ErrorKind) -> Self {
        Self::new(SyntaxErrorKind::TrailingData, input)
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> From<Fault<'a>> for nom::Err<Fault<'a>> {
    fn from(fault: Fault<'a>) -> Self {
        Self::Error(fault)
    }
}

/// Unwraps the fault from nom's error. All our rules see the whole line, so no error is `Incomplete`.
pub(crate) fn fault<'a>(error: nom::Err<Fault<'a>>, line: &'a [u8]) -> Fault<'a> {
    match error {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
        nom::Err::Incomplete(_) => Fault::new(SyntaxErrorKind::MissingArgument, line),
    }
}

/// Reports `kind` where `parser` does not match.
pub(crate) fn expect<'a, T>(
    kind: SyntaxErrorKind,
    mut parser: impl Parser<&'a [u8], Output = T, Error = Fault<'a>>,
) -> impl FnMut(&'a [u8]) -> Parsed<'a, T> {
    move |input| parser.parse(input).map_err(|_| Fault::new(kind, input).into())
}

/// The end of the line.
pub(crate) fn end(input: &[u8]) -> Parsed<'_, ()> {
    if input.is_empty() {
        Ok((input, ()))
    } else {
        Err(Fault::new(SyntaxErrorKind::TrailingData, input).into())
    }
}

/// RFC 5322 §3.2.3: the characters of an atom; with UTF-8 those of RFC 6531 §3.3 too.
pub(crate) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte) || !byte.is_ascii()
}

/// White space that may end a line.
pub(crate) fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}
