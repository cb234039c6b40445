//! What a chain says, and what became of it.

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
    /// The chain is broken: to be treated as if there were none (RFC 8617 §5.2).
    Fail,
}

impl ChainStatus {
    /// As `cv=` and Authentication-Results have it.
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
    /// Its status.
    pub status: ChainStatus,
    /// The sets, oldest first; empty if the structure is broken.
    pub sets: Vec<Set>,
    /// The highest instance found, 0 without any; also told of a broken chain, for whoever seals it.
    pub highest: u8,
    /// RFC 8617 §5.2: the lowest instance from which on all message signatures verify, 0 if they all do. None unless
    /// the chain passes.
    pub oldest_pass: Option<u8>,
    /// Why it failed, and at which instance if there is one to blame.
    pub error: Option<(Option<u8>, Error)>,
    /// The newest seal says itself that the chain had failed: nothing may be added (RFC 8617 §5.1).
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

/// One handler's set. Proven only if the chain passes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Set {
    /// `i=`: 1 for the oldest.
    pub instance: u8,
    /// The seal; its domain is who vouches for the set.
    pub seal: Seal,
    /// The domain of the message signature.
    pub signer: Domain,
    /// What the handler found: an Authentication-Results value without the instance before it, unfolded.
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
    /// `cv=`: what the sealer found the chain before it to be.
    pub status: ChainStatus,
    /// `d=`.
    pub domain: Domain,
    /// `s=`.
    pub selector: Selector,
    /// `t=`, in Unix seconds.
    pub timestamp: Option<u64>,
}

impl Seal {
    /// Reads the value of an ARC-Seal field: what follows its colon.
    ///
    /// # Errors
    /// The first tag that is missing, breaks its grammar, or has no place in a seal.
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

    /// The field with its name and without a line end.
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
    /// The value of the field, folded.
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
        // More than the maximum is told apart, since it is a rule of its own.
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
