//! A chain: its sets, and the result of validating it.

use crate::arc::MAX_SETS;
use crate::field::FieldWriter;
use crate::signature::{algorithm, base64, domain, selector, timestamp};
use crate::tags::{Tags, encode_base64, number};
use crate::{Algorithm, Error, ErrorKind, Selector};
use dns::Domain;
use std::fmt;

/// The Chain Validation Status (RFC 8617 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChainStatus {
    /// The message has no chain.
    None,
    /// Every seal verifies, and so does the newest message signature.
    Pass,
    /// The chain is invalid, and counts as if there were none (RFC 8617 §5.2).
    Fail,
}

impl ChainStatus {
    /// Returns the word in `cv=` and Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for ChainStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The chain of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chain {
    /// Whether the chain is valid, or why it does not count.
    pub status: ChainStatus,
    /// The sets, oldest first; empty if the structure is invalid.
    pub sets: Vec<Set>,
    /// The highest instance found, 0 without any. A broken chain has it too, since sealing needs it.
    pub highest: u8,
    /// RFC 8617 §5.2: the lowest instance from which on all message signatures verify, 0 if they all do. `None` unless the
    /// chain passes.
    pub oldest_pass: Option<u8>,
    /// Why it failed, and at which instance if one is at fault.
    pub error: Option<(Option<u8>, Error)>,
    /// Whether the newest seal states that the chain failed earlier: nothing may be added (RFC 8617 §5.1).
    pub ended: bool,
}

impl Chain {
    pub(crate) fn none() -> Self {
        Self {
            status: ChainStatus::None,
            sets: Vec::new(),
            highest: 0,
            oldest_pass: None,
            error: None,
            ended: false,
        }
    }

    pub(crate) fn failed(highest: u8, instance: Option<u8>, error: Error) -> Self {
        let ended = error.kind() == ErrorKind::ArcFailedBefore;
        let error = Some((instance, error));
        Self { status: ChainStatus::Fail, highest, error, ended, ..Self::none() }
    }
}

/// The set of one handler. It is proven only if the chain passes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// `i=`: 1 for the oldest.
    pub instance: u8,
    /// The seal; its domain vouches for the set.
    pub seal: Seal,
    /// The domain of the message signature.
    pub signer: Domain,
    /// The results of the handler: an Authentication-Results value without the instance before it, unfolded.
    pub results: String,
}

/// An ARC-Seal (RFC 8617 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seal {
    /// `i=`: 1 to 50.
    pub instance: u8,
    /// `a=`.
    pub algorithm: Algorithm,
    /// `b=`, decoded.
    pub signature: Vec<u8>,
    /// `cv=`: the status of the chain before this seal, as the sealer found it.
    pub status: ChainStatus,
    /// `d=`.
    pub domain: Domain,
    /// `s=`.
    pub selector: Selector,
    /// `t=`, in Unix seconds.
    pub timestamp: Option<u64>,
}

impl Seal {
    /// Parses the value of an ARC-Seal field, the text behind its colon.
    ///
    /// # Errors
    /// The first tag that is missing, breaks its grammar, or is not allowed in a seal.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        Self::from_tags(&Tags::parse(value)?)
    }

    pub(crate) fn from_tags(tags: &Tags<'_>) -> Result<Self, Error> {
        // RFC 8617 §4.1.3: h= is not allowed and fails the chain.
        if tags.get("h").is_some() {
            return Err(ErrorKind::ArcSealFields.into());
        }
        Ok(Self {
            instance: instance(tags)?,
            algorithm: algorithm(tags)?,
            signature: base64(tags, "b")?,
            status: status(tags)?,
            domain: domain(tags)?,
            selector: selector(tags)?,
            timestamp: timestamp(tags)?,
        })
    }

    /// Returns the field with its name and without a final line end.
    pub(crate) fn write(&self, name: &str) -> String {
        let mut field = FieldWriter::new(name);
        field.word(&format!("i={};", self.instance));
        field.word(&format!("a={};", self.algorithm));
        if let Some(timestamp) = self.timestamp {
            field.word(&format!("t={timestamp};"));
        }
        field.word(&format!("cv={};", self.status));
        field.word(&format!("d={};", self.domain));
        field.word(&format!("s={};", self.selector));
        field.word("b=");
        field.breakable(&encode_base64(&self.signature));
        field.finish()
    }
}

impl fmt::Display for Seal {
    /// Prints the value of the field, folded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write("").trim_start_matches([':', ' ']))
    }
}

/// RFC 8617 §4.2.1: the instance is 1 to 50.
pub(super) fn instance(tags: &Tags<'_>) -> Result<u8, Error> {
    instance_value(tags.require("i")?)
}

pub(super) fn instance_value(value: &[u8]) -> Result<u8, Error> {
    // RFC 8617 §4.2.1: instance = 1*2DIGIT.
    let instance = number(value, 2).and_then(|number| u8::try_from(number).ok());
    match instance {
        // A number above the maximum has an error of its own, since that is a rule of its own.
        Some(instance) if instance > MAX_SETS => Err(ErrorKind::ArcTooManySets.into()),
        Some(instance) if instance > 0 => Ok(instance),
        _ => Err(Error::about(ErrorKind::ArcInstance, value)),
    }
}

pub(super) fn status(tags: &Tags<'_>) -> Result<ChainStatus, Error> {
    let value = tags.require("cv")?;
    [ChainStatus::None, ChainStatus::Pass, ChainStatus::Fail]
        .into_iter()
        .find(|status| value.eq_ignore_ascii_case(status.as_str().as_bytes()))
        .ok_or_else(|| Error::about(ErrorKind::ArcStatusValue, value))
}
