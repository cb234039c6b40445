//! The key record (RFC 6376 §3.6.1) and the public key in it.

use crate::names::{decode_quoted, encode_quoted};
use crate::tags::{Tags, decode_base64, encode_base64, list};
use crate::{Error, ErrorKind, KeyType, PublicKey};
use std::fmt;
use std::str::FromStr;

/// A key record as published in DNS, without unknown tags and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// `k=`.
    pub key_type: KeyType,
    /// `p=`; `None` if the key was revoked.
    pub key: Option<PublicKey>,
    /// `h=`: the hashes that may be used, lower-case; `None` for all.
    pub hashes: Option<Vec<String>>,
    /// `s=`: the services the key is for, lower-case; `*` for all.
    pub services: Vec<String>,
    /// `t=y`: test mode; a failed signature counts as if there were none.
    pub testing: bool,
    /// `t=s`: the domain of `i=` must be that of `d=`.
    pub strict: bool,
    /// `n=`: a note to people; `None` if it is not UTF-8.
    pub notes: Option<String>,
}

impl Record {
    /// Creates the plain record of a key: all hashes, all services.
    pub fn new(key: PublicKey) -> Self {
        Self {
            key_type: key.key_type(),
            key: Some(key),
            hashes: None,
            services: vec!["*".to_owned()],
            testing: false,
            strict: false,
            notes: None,
        }
    }

    /// Parses the text of a TXT record.
    ///
    /// # Errors
    /// [`ErrorKind::NotKeyRecord`] if the text does not claim to be a key record; another kind if it is a malformed one.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let tags = match Tags::parse(text) {
            Ok(tags) => tags,
            // Only a key record begins with this tag, so the text was meant to be one.
            Err(error) if text.trim_ascii_start().starts_with(b"v=DKIM1") => return Err(error),
            Err(_) => return Err(ErrorKind::NotKeyRecord.into()),
        };
        // RFC 6376 §3.6.1: v= must be the first tag, and DKIM1, if it is present.
        match tags.get("v") {
            Some(version) if version != b"DKIM1" => return Err(ErrorKind::NotKeyRecord.into()),
            Some(_) if tags.first() != Some(b"v") => {
                return Err(Error::about(ErrorKind::KeyRecord, b"v= is not first"));
            }
            _ => {}
        }
        let key_type = match tags.get("k") {
            None => KeyType::Rsa,
            Some(k) if k.eq_ignore_ascii_case(b"rsa") => KeyType::Rsa,
            Some(k) if k.eq_ignore_ascii_case(b"ed25519") => KeyType::Ed25519,
            // RFC 6376 §3.6.1: records with unknown key types are ignored.
            Some(k) => return Err(Error::about(ErrorKind::KeyType, k)),
        };
        let key = match tags.get("p") {
            None if tags.get("v").is_none() && tags.get("k").is_none() => {
                return Err(ErrorKind::NotKeyRecord.into());
            }
            None => return Err(Error::about(ErrorKind::KeyRecord, b"p= is missing")),
            Some(b"") => None,
            Some(p) => {
                let bytes = decode_base64(p).ok_or(ErrorKind::PublicKey)?;
                Some(PublicKey::parse(key_type, &bytes)?)
            }
        };
        let flags: Vec<&[u8]> = tags.get("t").into_iter().flat_map(list).collect();
        Ok(Self {
            key_type,
            key,
            hashes: tags.get("h").map(|value| words(value, "h")).transpose()?,
            services: words(tags.get("s").unwrap_or(b"*"), "s")?,
            testing: flags.contains(&&b"y"[..]),
            strict: flags.contains(&&b"s"[..]),
            // RFC 6376 §3.6.1: no program interprets n=, so a malformed one does not invalidate the key.
            notes: tags.get("n").and_then(|note| String::from_utf8(decode_quoted(note)).ok()),
        })
    }

    /// Whether the hash may be used with this key. RFC 6376 §3.6.1: unknown ones in `h=` are ignored.
    pub fn allows_hash(&self, hash: &str) -> bool {
        self.hashes.as_ref().is_none_or(|hashes| hashes.iter().any(|allowed| allowed == hash))
    }

    /// Whether the key may sign mail.
    pub fn allows_email(&self) -> bool {
        self.services.iter().any(|service| service == "*" || service == "email")
    }
}

/// Parses a colon-separated list of words, and lower-cases them.
fn words(value: &[u8], tag: &str) -> Result<Vec<String>, Error> {
    let word = |word: &[u8]| {
        let plain = !word.is_empty() && word.iter().all(|b| b.is_ascii_graphic());
        let text = std::str::from_utf8(word).ok().filter(|_| plain);
        text.map(str::to_ascii_lowercase).ok_or_else(|| Error::about(ErrorKind::KeyRecord, tag.as_bytes()))
    };
    list(value).map(word).collect()
}

impl FromStr for Record {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Record {
    /// Prints the text for a TXT record. The zone file has to split it into strings of at most 255 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DKIM1; ")?;
        if let Some(hashes) = &self.hashes {
            write!(f, "h={}; ", hashes.join(":"))?;
        }
        write!(f, "k={}; ", self.key_type)?;
        if let Some(notes) = &self.notes {
            write!(f, "n={}; ", encode_quoted(notes.as_bytes()))?;
        }
        if self.services.iter().any(|service| service != "*") {
            write!(f, "s={}; ", self.services.join(":"))?;
        }
        match (self.testing, self.strict) {
            (true, true) => f.write_str("t=y:s; ")?,
            (true, false) => f.write_str("t=y; ")?,
            (false, true) => f.write_str("t=s; ")?,
            (false, false) => {}
        }
        write!(f, "p={}", self.key.as_ref().map(|key| encode_base64(key.as_bytes())).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
