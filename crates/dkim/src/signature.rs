//! The DKIM-Signature header field (RFC 6376 §3.5), and what it shares with ARC-Message-Signature.

use crate::field::FieldWriter;
use crate::names::{decode_quoted, encode_quoted};
use crate::tags::{Tags, decode_base64, encode_base64, is_fws, list, number, pieces, trim};
use crate::{Algorithm, Canonicalization, Error, ErrorKind, FieldNames, Identity, Selector};
use dns::Domain;
use std::fmt;
use std::str::FromStr;

/// The name of the field.
pub(crate) const FIELD: &str = "DKIM-Signature";

/// RFC 6376 §3.5: digits that `l=` may have.
const LENGTH_DIGITS: usize = 76;
/// RFC 6376 §3.5: digits that `t=` and `x=` may have.
const TIME_DIGITS: usize = 12;
/// Characters of `b=` that identify a signature in Authentication-Results; RFC 6008 §4 asks for at least 8.
const PREFIX: usize = 12;

/// A signature as its header field states it. Parsing checks its form only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `b=`, decoded.
    pub signature: Vec<u8>,
    /// `bh=`, decoded: as long as the hash of the algorithm.
    pub body_hash: Vec<u8>,
    /// `c=`, before the slash.
    pub header_canonicalization: Canonicalization,
    /// `c=`, after the slash.
    pub body_canonicalization: Canonicalization,
    /// `d=`: the domain that vouches for the message.
    pub domain: Domain,
    /// `s=`: the name of the key.
    pub selector: Selector,
    /// `i=`: the user or agent; `None` stands for the entire domain.
    pub identity: Option<Identity>,
    /// `h=`: the fields that are covered.
    pub fields: FieldNames,
    /// `l=`: how many bytes of the canonicalised body are covered; `None` for all.
    pub body_length: Option<u64>,
    /// `t=`: when it was signed, in Unix seconds.
    pub timestamp: Option<u64>,
    /// `x=`: when it expires, in Unix seconds.
    pub expiration: Option<u64>,
    /// `z=`: names and values of fields at the time of signing, for diagnosis only.
    pub copied_fields: Vec<(String, Vec<u8>)>,
}

impl Signature {
    /// Parses the value of a DKIM-Signature field, the text behind its colon.
    ///
    /// # Errors
    /// The first tag that is missing or breaks its grammar.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        Self::from_tags(&Tags::parse(value)?)
    }

    pub(crate) fn from_tags(tags: &Tags<'_>) -> Result<Self, Error> {
        // RFC 6376 §6.1.1: a signature with an inconsistent or missing version is ignored.
        if tags.require("v")? != b"1" {
            return Err(ErrorKind::Version.into());
        }
        let mut signature = Self::common(tags)?;
        if let Some(identity) = tags.get("i").map(Identity::parse).transpose()? {
            // RFC 6376 §6.1.1: the domain of i= must be d= or a subdomain of it.
            if !identity.domain().is_at_or_below(&signature.domain) {
                return Err(ErrorKind::IdentityOutsideDomain.into());
            }
            signature.identity = Some(identity);
        }
        Ok(signature)
    }

    /// Parses all tags but `v=` and `i=`, which an ARC-Message-Signature does not have (RFC 8617 §4.1.2).
    pub(crate) fn common(tags: &Tags<'_>) -> Result<Self, Error> {
        let algorithm = algorithm(tags)?;
        let (header_canonicalization, body_canonicalization) = canonicalizations(tags)?;
        let signature = base64(tags, "b")?;
        let body_hash = base64(tags, "bh")?;
        if body_hash.len() != algorithm.hash_length() {
            return Err(bad("bh"));
        }
        query_methods(tags)?;
        let timestamp = decimal(tags, "t", TIME_DIGITS)?;
        let expiration = decimal(tags, "x", TIME_DIGITS)?;
        // RFC 6376 §3.5: the value of x= must be greater than that of t= if both are present.
        if let (Some(signed), Some(expires)) = (timestamp, expiration)
            && expires <= signed
        {
            return Err(ErrorKind::ExpiresBeforeSigned.into());
        }
        Ok(Self {
            algorithm,
            signature,
            body_hash,
            header_canonicalization,
            body_canonicalization,
            domain: domain(tags)?,
            selector: selector(tags)?,
            identity: None,
            fields: FieldNames::parse(tags.require("h")?)?,
            body_length: decimal(tags, "l", LENGTH_DIGITS)?,
            timestamp,
            expiration,
            copied_fields: tags.get("z").map(copied_fields).transpose()?.unwrap_or_default(),
        })
    }

    /// Returns the field with its name and without a final line end. `lead` has the tags that come first.
    pub(crate) fn write(&self, name: &str, lead: &[&str]) -> String {
        let mut field = FieldWriter::new(name);
        for tag in lead {
            field.word(tag);
        }
        field.word(&format!("d={};", self.domain));
        field.word(&format!("s={};", self.selector));
        if let Some(identity) = &self.identity {
            field.word(&format!("i={};", identity.encoded()));
        }
        field.word(&format!("a={};", self.algorithm));
        let (header, body) = (self.header_canonicalization, self.body_canonicalization);
        // RFC 6376 §3.5: c= defaults to simple/simple.
        if (header, body) != (Canonicalization::Simple, Canonicalization::Simple) {
            field.word(&format!("c={header}/{body};"));
        }
        for (tag, value) in [("l", self.body_length), ("t", self.timestamp), ("x", self.expiration)] {
            if let Some(value) = value {
                field.word(&format!("{tag}={value};"));
            }
        }
        write_parts(&mut field, "h=", self.fields.iter().map(str::to_owned), ':');
        if !self.copied_fields.is_empty() {
            let copies = self.copied_fields.iter();
            let copies = copies.map(|(name, value)| format!("{name}:{}", encode_quoted(value)));
            write_parts(&mut field, "z=", copies, '|');
        }
        field.word(&format!("bh={};", encode_base64(&self.body_hash)));
        field.word("b=");
        field.breakable(&encode_base64(&self.signature));
        field.finish()
    }

    /// Returns the complete field with its line end, to be put before the message.
    pub fn header_field(&self) -> String {
        self.write(FIELD, &["v=1;"]) + "\r\n"
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self, Error> {
        Self::parse(value.as_bytes())
    }
}

impl fmt::Display for Signature {
    /// Prints the value of the field, folded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.write("", &["v=1;"]);
        f.write_str(field.trim_start_matches([':', ' ']))
    }
}

/// The tags of a signature that identify it, for people and for Authentication-Results. A signature that is malformed
/// elsewhere still has them. None of them is proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Claims {
    /// `d=`.
    pub domain: Option<Domain>,
    /// `s=`.
    pub selector: Option<Selector>,
    /// `a=`, known or not.
    pub algorithm: Option<String>,
    /// `i=`.
    pub identity: Option<Identity>,
    /// The first characters of `b=`, at most 12 (RFC 6008 §4); fewer if it has fewer, and never empty.
    pub signature_prefix: Option<String>,
}

impl Claims {
    /// Reads the tags that can be read from the value of a signature field.
    pub(crate) fn salvage(value: &[u8]) -> Self {
        let mut claims = Self::default();
        // Of several tags of one name, most readers use the first.
        for tag in pieces(value).take(crate::MAX_TAGS).filter_map(|(tag, _)| tag) {
            let text = std::str::from_utf8(tag.value).unwrap_or_default();
            match tag.name {
                b"d" if claims.domain.is_none() => claims.domain = text.parse().ok(),
                b"s" if claims.selector.is_none() => claims.selector = text.parse().ok(),
                b"i" if claims.identity.is_none() => claims.identity = Identity::parse(tag.value).ok(),
                b"a" if claims.algorithm.is_none() && is_algorithm(text) => {
                    claims.algorithm = Some(text.to_ascii_lowercase());
                }
                b"b" if claims.signature_prefix.is_none() => claims.signature_prefix = prefix(tag.value),
                _ => {}
            }
        }
        claims
    }
}

impl From<&Signature> for Claims {
    fn from(signature: &Signature) -> Self {
        let start = signature.signature.get(..PREFIX).unwrap_or(&signature.signature);
        Self {
            domain: Some(signature.domain.clone()),
            selector: Some(signature.selector.clone()),
            algorithm: Some(signature.algorithm.to_string()),
            identity: signature.identity.clone(),
            signature_prefix: prefix(encode_base64(start).as_bytes()),
        }
    }
}

/// RFC 6376 §3.5: `a=` is a key type and a hash with a hyphen between, each a letter and then letters and digits.
fn is_algorithm(text: &str) -> bool {
    let word = |w: &str| {
        w.starts_with(|c: char| c.is_ascii_alphabetic()) && w.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    text.len() <= 64 && text.split_once('-').is_some_and(|(key, hash)| word(key) && word(hash))
}

fn prefix(base64: &[u8]) -> Option<String> {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let start = base64.iter().filter(|b| !is_fws(b)).take_while(|b| allowed(b)).take(PREFIX);
    let start: String = start.map(|b| char::from(*b)).collect();
    (!start.is_empty()).then_some(start)
}

fn bad(tag: &str) -> Error {
    Error::about(ErrorKind::TagValue, tag.as_bytes())
}

pub(crate) fn algorithm(tags: &Tags<'_>) -> Result<Algorithm, Error> {
    let value = tags.require("a")?;
    let unknown = || Error::about(ErrorKind::Algorithm, value);
    std::str::from_utf8(value).map_err(|_| unknown())?.parse().map_err(|_| unknown())
}

pub(crate) fn base64(tags: &Tags<'_>, tag: &str) -> Result<Vec<u8>, Error> {
    decode_base64(tags.require(tag)?).ok_or_else(|| bad(tag))
}

pub(crate) fn decimal(tags: &Tags<'_>, tag: &str, digits: usize) -> Result<Option<u64>, Error> {
    tags.get(tag).map(|value| number(value, digits).ok_or_else(|| bad(tag))).transpose()
}

pub(crate) fn timestamp(tags: &Tags<'_>) -> Result<Option<u64>, Error> {
    decimal(tags, "t", TIME_DIGITS)
}

pub(crate) fn domain(tags: &Tags<'_>) -> Result<Domain, Error> {
    // RFC 8616 §5: the key of a U-label is looked up at its A-label.
    text(tags, "d")?.parse().map_err(|_| bad("d"))
}

pub(crate) fn selector(tags: &Tags<'_>) -> Result<Selector, Error> {
    text(tags, "s")?.parse()
}

fn text<'a>(tags: &Tags<'a>, tag: &str) -> Result<&'a str, Error> {
    std::str::from_utf8(tags.require(tag)?).map_err(|_| bad(tag))
}

fn canonicalizations(tags: &Tags<'_>) -> Result<(Canonicalization, Canonicalization), Error> {
    let Some(value) = tags.get("c") else { return Ok(Default::default()) };
    let unknown = || Error::about(ErrorKind::Canonicalization, value);
    let text = std::str::from_utf8(value).map_err(|_| unknown())?;
    // RFC 6376 §3.5: a single name is the header's, and the body is simple then.
    let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
    Ok((header.parse().map_err(|_| unknown())?, body.parse().map_err(|_| unknown())?))
}

/// RFC 6376 §3.5: unrecognised query methods are ignored, but one must be known: `dns/txt`.
fn query_methods(tags: &Tags<'_>) -> Result<(), Error> {
    match tags.get("q") {
        Some(value) if !list(value).any(|method| method.eq_ignore_ascii_case(b"dns/txt")) => {
            Err(Error::about(ErrorKind::QueryMethod, value))
        }
        _ => Ok(()),
    }
}

/// RFC 6376 §3.5: `z=` is a list of `name:value` with bars between, each value dkim-quoted-printable.
fn copied_fields(value: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let copy = |part: &[u8]| {
        let colon = part.iter().position(|b| *b == b':')?;
        let (name, value) = part.split_at_checked(colon)?;
        let name = std::str::from_utf8(trim(name)).ok().filter(|name| !name.is_empty())?;
        let plain = name.bytes().all(|b| b.is_ascii_graphic());
        plain.then(|| (name.to_owned(), decode_quoted(value.get(1..).unwrap_or_default())))
    };
    value.split(|b| *b == b'|').map(|part| copy(part).ok_or_else(|| bad("z"))).collect()
}

/// Writes `tag=first:second:third;` with breaks after the separators.
fn write_parts(field: &mut FieldWriter, tag: &str, parts: impl Iterator<Item = String>, separator: char) {
    let mut parts = parts.peekable();
    let mut first = true;
    while let Some(part) = parts.next() {
        let end = if parts.peek().is_some() { separator } else { ';' };
        if std::mem::take(&mut first) {
            field.word(&format!("{tag}{part}{end}"));
        } else {
            field.part(&format!("{part}{end}"));
        }
    }
}

#[cfg(test)]
mod tests;
