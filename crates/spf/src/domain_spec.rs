//! The domain-spec of a term (RFC 7208 §7.1) and the target-name it expands to (§4.8).

use crate::ErrorKind;
use crate::macros::{Piece, Values, pieces};
use dns::{MAX_NAME, Name};
use std::borrow::Cow;
use std::fmt;

/// The domain of a term as published, its macros not yet expanded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainSpec<'a>(Cow<'a, str>);

impl<'a> DomainSpec<'a> {
    /// Reads the text of a domain-spec.
    ///
    /// # Errors
    /// The kind of the fault: a domain, or a macro in it, is malformed.
    pub(crate) fn parse(text: &'a str) -> Result<Self, ErrorKind> {
        check_macros(text, Use::Term)?;
        // RFC 7208 §7.1: domain-end = ( "." toplabel [ "." ] ) / macro-expand.
        let ends_in_macro = matches!(pieces(text).last(), Some(Ok(Piece::Macro(_) | Piece::Escape(_))));
        let last_label = || text.strip_suffix('.').unwrap_or(text).rsplit_once('.').map(|(_, label)| label);
        if ends_in_macro || last_label().is_some_and(is_toplabel) {
            Ok(Self(Cow::Borrowed(text)))
        } else {
            Err(ErrorKind::BadDomainSpec)
        }
    }

    /// The text as published.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Keeps the text on its own.
    pub fn into_owned(self) -> DomainSpec<'static> {
        DomainSpec(Cow::Owned(self.0.into_owned()))
    }

    /// Does the expansion need the validated name of the client's address?
    pub(crate) fn needs_validated_name(&self) -> bool {
        pieces(&self.0).any(|piece| matches!(piece, Ok(Piece::Macro(one)) if one.letter == b'p'))
    }

    /// The target-name (RFC 7208 §4.8).
    pub(crate) fn target(&self, values: &Values<'_>) -> Result<Name, Unusable> {
        if !self.0.contains('%') {
            return fit(&self.0).parse().map_err(|_| Unusable::Malformed);
        }
        let expanded = values.expand(&self.0).map_err(|_| Unusable::Malformed)?;
        if !expanded.is_ascii() {
            return Err(Unusable::NotAscii);
        }
        fit(&expanded).parse().map_err(|_| Unusable::Malformed)
    }
}

/// Why DNS cannot be asked for what a domain-spec expands to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Not a name: an empty or long label, a blank.
    Malformed,
    /// The sender's local part is in it, and is not ASCII.
    NotAscii,
}

impl fmt::Display for DomainSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a macro string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// In a term that is evaluated.
    Term,
    /// In a modifier that is ignored.
    Unknown,
    /// In the text of an explanation.
    Explanation,
}

/// Checks the syntax of a macro string (RFC 7208 §7.1).
pub(crate) fn check_macros(text: &str, place: Use) -> Result<(), ErrorKind> {
    for piece in pieces(text) {
        match piece? {
            // RFC 7208 §7.1: visible characters; the explain-string takes spaces too.
            Piece::Literal(literal) => {
                let fits = |b: u8| b.is_ascii_graphic() || (b == b' ' && place == Use::Explanation);
                if !literal.bytes().all(fits) {
                    return Err(ErrorKind::BadDomainSpec);
                }
            }
            // RFC 7208 §7.2: c, r and t are allowed only in "exp" text.
            Piece::Macro(one) if place == Use::Term && b"crt".contains(&one.letter) => {
                return Err(ErrorKind::ExplanationMacro);
            }
            Piece::Macro(_) | Piece::Escape(_) => {}
        }
    }
    Ok(())
}

/// RFC 7208 §7.1: letters, digits and inner hyphens, not digits alone.
fn is_toplabel(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    label.bytes().all(inner)
        && label.bytes().any(|b| !b.is_ascii_digit())
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// RFC 7208 §7.3: a name of more than 253 characters loses labels from the left until it fits.
fn fit(name: &str) -> &str {
    let mut name = name.strip_suffix('.').unwrap_or(name);
    while name.len() > MAX_NAME {
        match name.split_once('.') {
            Some((_, rest)) => name = rest,
            None => break,
        }
    }
    name
}
