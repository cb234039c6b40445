//! Local parts, mailboxes and paths.

use crate::grammar::{Fault, Parsed, expect, fault, is_atext};
use crate::{Dialect, SyntaxError, SyntaxErrorKind};
use dns::{Domain, Host, NameErrorKind};
use nom::Parser;
use nom::bytes::complete::{tag, take_while1};
use nom::combinator::recognize;
use nom::multi::separated_list1;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The part of an address before the `@`, without the quoting it may have had.
///
/// `a.b`, `"a.b"` and `"a\.b"` are one local part. Case is kept, because only the domain knows whether it matters (RFC 5321
/// §2.4). Prints in the form for the wire, quoted where needed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Localpart(Box<str>);

impl Localpart {
    /// The local part of `text`, which is not quoted: `a b` gives `"a b"@example.org`.
    ///
    /// # Errors
    /// More than [`MAX_LOCALPART_LENIENT`](crate::limits::MAX_LOCALPART_LENIENT) bytes, or a control character.
    pub fn new(text: &str) -> Result<Self, SyntaxError> {
        Self::checked(text.to_owned(), text.as_bytes(), Dialect::Lenient)
            .map_err(|fault| fault.locate(text.as_bytes(), None))
    }

    /// The text without quotes and backslashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Can it stand in a session without SMTPUTF8?
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// Does it have to be quoted on the wire?
    fn needs_quotes(&self) -> bool {
        // RFC 5321 §4.1.2: Dot-string = Atom *("." Atom).
        !self.0.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
    }

    fn checked(text: String, subject: &[u8], dialect: Dialect) -> Result<Self, Fault<'_>> {
        // RFC 5321 §4.5.3.1.1: local part at most 64 bytes; longer ones are in real use.
        if text.len() > dialect.max_localpart() {
            return Err(Fault::new(SyntaxErrorKind::LocalpartTooLong, subject));
        }
        if text.chars().any(char::is_control) {
            return Err(Fault::new(SyntaxErrorKind::BadLocalpart, subject));
        }
        Ok(Self(text.into_boxed_str()))
    }
}

impl fmt::Display for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.needs_quotes() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for Localpart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Localpart({self})")
    }
}

impl FromStr for Localpart {
    type Err = SyntaxError;

    /// Reads the form for the wire: a dot-string or a quoted string, of at most 128 bytes.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let line = text.as_bytes();
        let read = |input| match localpart(input, Dialect::Lenient)? {
            ([], found) => Ok(found),
            (rest, _) => Err(nom::Err::Error(Fault::new(SyntaxErrorKind::BadLocalpart, rest))),
        };
        read(line).map_err(|e| fault(e, line).locate(line, None))
    }
}

/// The address of a mailbox at a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    /// The part before the `@`.
    pub localpart: Localpart,
    /// The part after the `@`.
    pub domain: Domain,
}

impl Mailbox {
    /// The mailbox of this local part at this domain.
    pub fn new(localpart: Localpart, domain: Domain) -> Self {
        Self { localpart, domain }
    }

    /// The address for people: the domain in Unicode.
    pub fn unicode(&self) -> String {
        format!("{}@{}", self.localpart, self.domain.unicode())
    }
}

impl fmt::Display for Mailbox {
    /// As on the wire: the local part quoted where needed, the domain in A-labels.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.localpart, self.domain)
    }
}

impl FromStr for Mailbox {
    type Err = SyntaxError;

    /// Reads `local@domain`, UTF-8 included, in the lenient dialect.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let line = text.as_bytes();
        match address(line, Dialect::Lenient) {
            Ok(Path::Mailbox(mailbox)) => Ok(mailbox),
            Ok(_) => Err(Fault::new(SyntaxErrorKind::BadDomain, line)),
            Err(fault) => Err(fault),
        }
        .map_err(|fault| fault.locate(line, None))
    }
}

/// Where a message comes from or goes to, as in MAIL and RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Path {
    /// `<>`: the sender of a message that must not be answered. MAIL only.
    Null,
    /// `<postmaster>` without a domain (RFC 5321 §4.5.1). RCPT only.
    Postmaster,
    /// A mailbox at a domain.
    Mailbox(Mailbox),
    /// A mailbox at an address literal.
    Literal(Localpart, IpAddr),
}

impl Path {
    /// The mailbox at a domain, if it is one.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Mailbox(mailbox) => Some(mailbox),
            _ => None,
        }
    }

    /// Is this `<>`?
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Can it stand in a session without SMTPUTF8? Domains always can, as A-labels.
    pub fn is_ascii(&self) -> bool {
        match self {
            Self::Null | Self::Postmaster => true,
            Self::Mailbox(Mailbox { localpart, .. }) | Self::Literal(localpart, _) => localpart.is_ascii(),
        }
    }
}

impl From<Mailbox> for Path {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mailbox(mailbox)
    }
}

impl fmt::Display for Path {
    /// As on the wire, in angle brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
            Self::Literal(localpart, ip) => write!(f, "<{localpart}@{}>", Host::Ip(*ip)),
        }
    }
}

/// A raw path, from `<` to `>`, or up to a space where it has no brackets. It can only be parsed when all parameters are
/// known, because SMTPUTF8 may be among them.
pub(crate) fn raw_path(input: &[u8], dialect: Dialect) -> Parsed<'_, &[u8]> {
    let bad = || Fault::new(SyntaxErrorKind::BadPath, input).into();
    // RFC 5321 §4.1.2: Path = "<" [ A-d-l ":" ] Mailbox ">", but scripts and devices leave the brackets out.
    let bare = match (input.first(), dialect) {
        (Some(b'<'), _) => false,
        (None | Some(b' '), _) | (_, Dialect::Strict) => return Err(bad()),
        _ => true,
    };
    let mut quoted = false;
    let mut escaped = false;
    let mut end = bare.then_some(input.len());
    for (at, &byte) in input.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            // RFC 5321 §4.1.2: a quoted string may hold any printable character, `>` and space too.
            b'>' if !quoted && !bare => {
                end = Some(at + 1);
                break;
            }
            b' ' if !quoted && bare => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    let (path, rest) = end.and_then(|end| input.split_at_checked(end)).ok_or_else(bad)?;
    Ok((rest, path))
}

/// Parses what [`raw_path`] found. The caller handles the null path and postmaster.
pub(crate) fn path(raw: &[u8], dialect: Dialect) -> Result<Path, Fault<'_>> {
    let inner = inside(raw);
    if std::str::from_utf8(inner).is_err() {
        return Err(Fault::new(SyntaxErrorKind::BadUtf8, raw));
    }
    address(without_route(inner)?, dialect)
}

/// The part between the angle brackets.
pub(crate) fn inside(raw: &[u8]) -> &[u8] {
    match raw {
        [b'<', inner @ .., b'>'] => inner,
        _ => raw,
    }
}

/// RFC 5321 §4.1.2: a source route is accepted, checked and ignored.
fn without_route(inner: &[u8]) -> Result<&[u8], Fault<'_>> {
    if inner.first() != Some(&b'@') {
        return Ok(inner);
    }
    let bad = || Fault::new(SyntaxErrorKind::BadPath, inner);
    let colon = memchr::memchr(b':', inner).ok_or_else(bad)?;
    let (route, address) = inner.split_at_checked(colon).ok_or_else(bad)?;
    for hop in route.split(|&byte| byte == b',') {
        domain(hop.strip_prefix(b"@").ok_or_else(bad)?)?;
    }
    Ok(address.get(1..).unwrap_or_default())
}

/// `local@host`, to the end of the input, which must be UTF-8 if it is not ASCII.
fn address(input: &[u8], dialect: Dialect) -> Result<Path, Fault<'_>> {
    let (rest, localpart) = localpart(input, dialect).map_err(|e| fault(e, input))?;
    let host = rest.strip_prefix(b"@").ok_or_else(|| Fault::new(SyntaxErrorKind::BadPath, rest))?;
    match self::host(host, dialect)? {
        Host::Domain(domain) => Ok(Path::Mailbox(Mailbox { localpart, domain })),
        Host::Ip(ip) => Ok(Path::Literal(localpart, ip)),
    }
}

/// RFC 5321 §4.1.2: Local-part = Dot-string / Quoted-string.
fn localpart(input: &[u8], dialect: Dialect) -> Parsed<'_, Localpart> {
    let (rest, text) = match (input.first(), dialect) {
        (Some(b'"'), _) => quoted_string(input)?,
        (_, Dialect::Strict) => dot_string(input)?,
        (_, Dialect::Lenient) => dots_anywhere(input)?,
    };
    Ok((rest, Localpart::checked(text, input, dialect)?))
}

fn dot_string(input: &[u8]) -> Parsed<'_, String> {
    let atoms = separated_list1(tag(&b"."[..]), take_while1(is_atext));
    unquoted(recognize(atoms), input)
}

/// Like a dot-string, but dots may stand first, last and side by side: such addresses have been in use for decades.
fn dots_anywhere(input: &[u8]) -> Parsed<'_, String> {
    unquoted(take_while1(|byte| is_atext(byte) || byte == b'.'), input)
}

fn unquoted<'a>(
    bytes: impl Parser<&'a [u8], Output = &'a [u8], Error = Fault<'a>>,
    input: &'a [u8],
) -> Parsed<'a, String> {
    let (rest, text) = expect(SyntaxErrorKind::BadLocalpart, bytes).parse(input)?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::new(SyntaxErrorKind::BadUtf8, input))?;
    Ok((rest, text.to_owned()))
}

/// A quoted string (RFC 5321 §4.1.2), without its quotes and backslashes.
pub(crate) fn quoted_string(input: &[u8]) -> Parsed<'_, String> {
    let bad = |kind| nom::Err::Error(Fault::new(kind, input));
    let mut text = Vec::new();
    let mut rest = input.strip_prefix(b"\"").ok_or_else(|| bad(SyntaxErrorKind::BadLocalpart))?;
    loop {
        rest = match rest {
            [b'"', tail @ ..] => {
                let text = String::from_utf8(text).map_err(|_| bad(SyntaxErrorKind::BadUtf8))?;
                return Ok((tail, text));
            }
            // RFC 5321 §4.1.2: quoted-pairSMTP = %d92 %d32-126.
            [b'\\', pair @ b' '..=b'~', tail @ ..] => {
                text.push(*pair);
                tail
            }
            // RFC 5321 §4.1.2: qtextSMTP = %d32-33 / %d35-91 / %d93-126; RFC 6531 §3.3 adds UTF-8.
            [byte @ (b' '..=b'[' | b']'..=b'~' | 0x80..), tail @ ..] => {
                text.push(*byte);
                tail
            }
            _ => return Err(bad(SyntaxErrorKind::BadLocalpart)),
        };
    }
}

/// A domain or an address literal, to the end of the input.
pub(crate) fn host(input: &[u8], dialect: Dialect) -> Result<Host, Fault<'_>> {
    let Some(inner) = input.strip_prefix(b"[") else { return domain(input).map(Host::Domain) };
    let inner = match (inner.strip_suffix(b"]"), dialect) {
        (Some(inner), _) => inner,
        (None, Dialect::Lenient) => inner,
        (None, Dialect::Strict) => return Err(Fault::new(SyntaxErrorKind::BadLiteral, input)),
    };
    // RFC 5321 §4.1.3: an IPv6 address has its tag, an IPv4 address has none.
    let read = || format!("[{}]", std::str::from_utf8(inner).ok()?).parse().ok();
    read().ok_or_else(|| Fault::new(SyntaxErrorKind::BadLiteral, input))
}

/// A domain name, to the end of the input.
pub(crate) fn domain(input: &[u8]) -> Result<Domain, Fault<'_>> {
    let text = std::str::from_utf8(input).map_err(|_| Fault::new(SyntaxErrorKind::BadUtf8, input))?;
    text.parse().map_err(|error: dns::NameError| {
        let kind = match error.kind() {
            NameErrorKind::LabelTooLong | NameErrorKind::NameTooLong => SyntaxErrorKind::DomainTooLong,
            _ => SyntaxErrorKind::BadDomain,
        };
        Fault::new(kind, input)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_part_has_one_meaning_quoted_or_not() {
        let plain: Localpart = "a.b".parse().unwrap();
        for text in [r#""a.b""#, r#""a\.b""#, r#""\a\.\b""#] {
            assert_eq!(text.parse::<Localpart>().as_ref(), Ok(&plain), "{text}");
        }
        assert_ne!("A.b".parse::<Localpart>().as_ref(), Ok(&plain));
        assert_eq!(Localpart::new("a.b").as_ref(), Ok(&plain));
    }

    #[test]
    fn local_parts_are_quoted_where_needed() {
        for (text, wire) in
            [("", r#""""#), ("a b", r#""a b""#), ("a\"\\", r#""a\"\\""#), (".", r#"".""#), ("ü", "ü")]
        {
            assert_eq!(Localpart::new(text).unwrap().to_string(), wire);
        }
    }

    #[test]
    fn refuses_local_parts_that_no_mailbox_can_have() {
        let kind = |text: &str| Localpart::new(text).map_err(|error| error.kind());
        assert_eq!(kind("a\r\nRCPT TO:<b@c.test>"), Err(SyntaxErrorKind::BadLocalpart));
        assert_eq!(kind("\u{85}"), Err(SyntaxErrorKind::BadLocalpart));
        assert_eq!(kind(&"ü".repeat(65)), Err(SyntaxErrorKind::LocalpartTooLong));
        assert!(kind(&"ü".repeat(64)).is_ok());
    }

    #[track_caller]
    fn refuses(address: &str, kind: SyntaxErrorKind, rest: &str) {
        let error = address.parse::<Mailbox>().unwrap_err();
        assert_eq!((error.kind(), error.rest(address.as_bytes())), (kind, rest.into()), "{address}");
    }

    #[test]
    fn reads_addresses() {
        let mailbox: Mailbox = r#""a@b"@BÜCHER.example"#.parse().unwrap();
        assert_eq!(mailbox.localpart.as_str(), "a@b");
        assert_eq!(mailbox.to_string(), r#""a@b"@xn--bcher-kva.example"#);
        assert_eq!(mailbox.unicode(), r#""a@b"@bücher.example"#);
    }

    #[test]
    fn refuses_what_is_no_address_and_says_where() {
        refuses("", SyntaxErrorKind::BadLocalpart, "");
        refuses("user", SyntaxErrorKind::BadPath, "");
        refuses("user@", SyntaxErrorKind::BadDomain, "");
        refuses("us er@example.org", SyntaxErrorKind::BadPath, " er@example.org");
        refuses("user@example.org ", SyntaxErrorKind::BadDomain, "example.org ");
        refuses("user@[192.0.2.1]", SyntaxErrorKind::BadDomain, "user@[192.0.2.1]");
        refuses("<user@example.org>", SyntaxErrorKind::BadLocalpart, "<user@example.org>");
    }

    #[test]
    fn paths_know_whether_they_are_ascii() {
        let ascii = |address: &str| Path::from(address.parse::<Mailbox>().unwrap()).is_ascii();
        assert!(ascii("user@bücher.example"));
        assert!(!ascii("üser@example.org"));
        assert!(Path::Null.is_ascii() && Path::Null.is_null());
    }
}
