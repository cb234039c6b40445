//! The domain-spec of a term (RFC 7208 §7.1) and the target-name it expands to (§4.8).

use crate::ErrorKind;
use crate::macros::{Piece, Values, pieces};
use dns::{MAX_NAME, Name};
use std::fmt;

/// The domain of a term as published, with its macros unexpanded. Two are equal if their texts are.
#[derive(Clone)]
pub struct DomainSpec<'a>(Text<'a>);

#[derive(Clone)]
enum Text<'a> {
    Lent(&'a str),
    Own(Box<str>),
    /// Text without macros that is a name already, so that it need not be parsed for every evaluation.
    Name(Name),
}

impl<'a> DomainSpec<'a> {
    /// Parses a domain-spec.
    ///
    /// # Errors
    /// The domain, or a macro in it, is malformed.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, ErrorKind> {
        let (mut visible, mut macros) = (true, false);
        for &b in text {
            visible &= b.is_ascii_graphic();
            macros |= b == b'%';
        }
        // RFC 7208 §7.1: macro-literal = %x21-24 / %x26-7E.
        let text = str::from_utf8(text).ok().filter(|_| visible).ok_or(ErrorKind::BadCharacter)?;
        let ends_in_macro = macros && {
            check_macros(text, Use::Term)?;
            matches!(pieces(text).last(), Some(Ok(Piece::Macro(_) | Piece::Escape(_))))
        };
        // RFC 7208 §7.1: domain-end = ( "." toplabel [ "." ] ) / macro-expand.
        if ends_in_macro || has_toplabel(text.as_bytes()) {
            Ok(Self(Text::Lent(text)))
        } else {
            Err(ErrorKind::BadDomainSpec)
        }
    }

    /// The text as published.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Lent(text) => text,
            Text::Own(text) => text,
            Text::Name(name) => name.as_str(),
        }
    }

    /// Copies the text, so that nothing is borrowed.
    pub fn into_owned(self) -> DomainSpec<'static> {
        DomainSpec(match self.0 {
            Text::Lent(text) => match text.parse::<Name>() {
                Ok(name) if name.as_str() == text && !has_macros(text) => Text::Name(name),
                _ => Text::Own(text.into()),
            },
            Text::Own(text) => Text::Own(text),
            Text::Name(name) => Text::Name(name),
        })
    }

    /// Whether the expansion needs the validated name of the client's address.
    pub(crate) fn needs_validated_name(&self) -> bool {
        pieces(self.as_str()).any(|piece| matches!(piece, Ok(Piece::Macro(one)) if one.letter == b'p'))
    }

    /// Returns the target-name if the text has no macros, as most do; `None` if it has any.
    pub(crate) fn without_macros(&self) -> Option<Result<Name, Unusable>> {
        match &self.0 {
            Text::Name(name) => Some(Ok(name.clone())),
            _ if has_macros(self.as_str()) => None,
            _ => Some(fit(self.as_str()).parse().map_err(|_| Unusable::Malformed)),
        }
    }

    /// Expands the macros to the target-name (RFC 7208 §4.8).
    pub(crate) fn target(&self, values: &Values<'_>) -> Result<Name, Unusable> {
        if let Some(name) = self.without_macros() {
            return name;
        }
        let expanded = values.expand(self.as_str()).map_err(|_| Unusable::Malformed)?;
        if !expanded.is_ascii() {
            return Err(Unusable::NotAscii);
        }
        fit(&expanded).parse().map_err(|_| Unusable::Malformed)
    }
}

impl PartialEq for DomainSpec<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for DomainSpec<'_> {}

impl fmt::Debug for DomainSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainSpec({self})")
    }
}

fn has_macros(text: &str) -> bool {
    text.as_bytes().contains(&b'%')
}

/// Why a domain-spec expands to no name that DNS can be queried for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not a name: a label is empty or too long.
    Malformed,
    /// The sender's local part is in it, and is not ASCII.
    NotAscii,
}

impl fmt::Display for DomainSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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

/// RFC 7208 §7.1: after a dot, letters, digits and inner hyphens, not digits alone; a final dot is allowed.
fn has_toplabel(text: &[u8]) -> bool {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let Some(label) = text.iter().rposition(|&b| b == b'.').and_then(|dot| text.get(dot + 1..)) else {
        return false;
    };
    let (mut fits, mut digits) = (true, true);
    for &b in label {
        fits &= b.is_ascii_alphanumeric() || b == b'-';
        digits &= b.is_ascii_digit();
    }
    fits && !digits && label.first() != Some(&b'-') && label.last() != Some(&b'-')
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
