//! What a receiver accepts of signatures that are valid by themselves.

use crate::{Algorithm, Error, ErrorKind, Signature};
use dns::suffix;

/// Signatures of one message that are evaluated; RFC 6376 §6.1 leaves a limit to the verifier. More than a handful is
/// not seen on honest mail.
pub const MAX_SIGNATURES: usize = 16;
/// Seconds by which the clocks of signer and verifier may differ.
pub const CLOCK_SKEW: u64 = 300;

/// What to accept. The default is what a careful receiver wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Accept signatures over a part of the body (`l=`). Whatever is appended to it passes too (RFC 6376 §8.2).
    pub body_length: bool,
    /// Accept signatures that do not cover Subject. It can be exchanged or added then.
    pub unsigned_subject: bool,
    /// Signatures to evaluate at most; those that are refused without asking DNS do not count.
    pub max_signatures: usize,
    /// Seconds by which `x=` may be past and `t=` in the future.
    pub clock_skew: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            body_length: false,
            unsigned_subject: false,
            max_signatures: MAX_SIGNATURES,
            clock_skew: CLOCK_SKEW,
        }
    }
}

impl Policy {
    /// What speaks against a signature before any key is looked up.
    pub(crate) fn check(&self, signature: &Signature, now: u64) -> Result<(), Error> {
        // RFC 6376 §5.4: From must be signed.
        if !signature.fields.contains("from") {
            return Err(ErrorKind::FromNotSigned.into());
        }
        // RFC 6376 §3.5: a signature past its expiration is not valid.
        if signature.expiration.is_some_and(|x| x.saturating_add(self.clock_skew) < now) {
            return Err(ErrorKind::Expired.into());
        }
        // RFC 6376 §3.5: signatures with a timestamp in the future may be ignored.
        if signature.timestamp.is_some_and(|t| t > now.saturating_add(self.clock_skew)) {
            return Err(ErrorKind::SignedInFuture.into());
        }
        // RFC 6376 §6.1.1: a verifier may refuse domains that are not fit to vouch, such as a top-level domain.
        if suffix::is_public(&signature.domain) {
            return Err(Error::about(ErrorKind::PublicSuffix, signature.domain.as_str().as_bytes()));
        }
        // RFC 8301 §3.1: rsa-sha1 must not be used for verifying.
        if signature.algorithm == Algorithm::RsaSha1 {
            return Err(ErrorKind::Sha1.into());
        }
        // RFC 6376 §8.2: verifiers may ignore signatures with l=.
        if signature.body_length.is_some() && !self.body_length {
            return Err(ErrorKind::BodyLength.into());
        }
        if !signature.fields.contains("subject") && !self.unsigned_subject {
            return Err(ErrorKind::SubjectNotSigned.into());
        }
        Ok(())
    }
}
