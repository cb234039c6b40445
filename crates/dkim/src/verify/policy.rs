//! Which valid signatures a receiver accepts.

use crate::{Algorithm, Error, ErrorKind, Signature};
use dns::suffix;
use message::Headers;

/// Signatures of one message that are evaluated; RFC 6376 §6.1 leaves the limit to the verifier. Honest mail has a
/// handful at most.
pub const MAX_SIGNATURES: usize = 16;
/// Seconds by which the clocks of signer and verifier may differ.
pub const CLOCK_SKEW: u64 = 300;

/// Fields that mail programs show or reply to, and that RFC 5322 §3.6 allows once.
const SINGLE: [&str; 8] = ["From", "Subject", "To", "Cc", "Date", "Reply-To", "Sender", "Message-ID"];
/// How often each of [`SINGLE`] occurs.
type Counts = [usize; SINGLE.len()];

/// Which signatures to accept. The default suits a careful receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Accept signatures over a part of the body (`l=`). Text that anyone appends passes too (RFC 6376 §8.2).
    pub body_length: bool,
    /// Accept a DKIM-Signature that does not cover the message's Subject, which can be replaced then.
    pub unsigned_subject: bool,
    /// The most signatures to evaluate; those that are refused without DNS do not count.
    pub max_signatures: usize,
    /// Seconds by which `x=` may be in the past and `t=` in the future.
    pub clock_skew: u64,
    /// Validate the Authenticated Received Chain. That can need 100 more keys, so a caller that does not use the chain
    /// should not ask for it; without, the message counts as one without a chain.
    pub validates_chain: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            body_length: false,
            unsigned_subject: false,
            max_signatures: MAX_SIGNATURES,
            clock_skew: CLOCK_SKEW,
            validates_chain: true,
        }
    }
}

/// The policy, applied to one message.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    policy: &'a Policy,
    now: u64,
    /// Whether the Subject must be signed: there is one, and the policy demands it.
    subject: bool,
    present: Counts,
}

impl<'a> Rules<'a> {
    pub(crate) fn new(policy: &'a Policy, headers: &Headers<'_>, now: u64) -> Self {
        Self {
            policy,
            now,
            subject: !policy.unsigned_subject && headers.first("Subject").is_some(),
            present: count(headers.iter().map(|field| -> &[u8] { field.name })),
        }
    }

    /// The rules for the message signatures of a chain. RFC 8617 §4.1.2 leaves it to the sealer what is signed.
    pub(crate) fn of_chain(self) -> Self {
        Self { subject: false, ..self }
    }

    /// Returns why a signature is refused before any key is looked up.
    pub(crate) fn check(&self, signature: &Signature) -> Result<(), Error> {
        let skew = self.policy.clock_skew;
        // RFC 6376 §5.4: From must be signed.
        if !signature.fields.contains("from") {
            return Err(ErrorKind::FromNotSigned.into());
        }
        // RFC 6376 §3.5: a signature past its expiration is not valid.
        if signature.expiration.is_some_and(|x| x.saturating_add(skew) < self.now) {
            return Err(ErrorKind::Expired.into());
        }
        // RFC 6376 §3.5: signatures with a timestamp in the future may be ignored.
        if signature.timestamp.is_some_and(|t| t > self.now.saturating_add(skew)) {
            return Err(ErrorKind::SignedInFuture.into());
        }
        // RFC 6376 §6.1.1: a verifier may refuse domains that cannot vouch, such as a top-level domain.
        if suffix::is_public(&signature.domain) {
            return Err(Error::about(ErrorKind::PublicSuffix, signature.domain.as_str().as_bytes()));
        }
        // RFC 8301 §3.1: rsa-sha1 must not be used for verifying.
        if signature.algorithm == Algorithm::RsaSha1 {
            return Err(ErrorKind::Sha1.into());
        }
        // RFC 6376 §8.2: verifiers may ignore signatures with l=.
        if signature.body_length.is_some() && !self.policy.body_length {
            return Err(ErrorKind::BodyLength.into());
        }
        self.check_fields(signature)
    }

    /// Checks that the signature covers what a reader would think it covers.
    fn check_fields(&self, signature: &Signature) -> Result<(), Error> {
        if self.subject && !signature.fields.contains("subject") {
            return Err(ErrorKind::SubjectNotSigned.into());
        }
        let named = count(signature.fields.iter().map(str::as_bytes));
        // RFC 6376 §8.15: no positive result if a field that must occur once was added. §5.4.2: names stand for fields
        // from the bottom up, so the added one is on top, and many readers use the first. The signature does not vouch
        // for a field that it does not name, however often it occurs.
        let counts = self.present.into_iter().zip(named);
        match SINGLE.iter().zip(counts).find(|(_, (present, named))| *named > 0 && present > named) {
            Some((name, _)) => Err(Error::about(ErrorKind::UnsignedCopy, name.as_bytes())),
            None => Ok(()),
        }
    }
}

/// Counts in one pass, since `h=` may be long.
fn count<'n>(names: impl Iterator<Item = &'n [u8]>) -> Counts {
    let mut counts = Counts::default();
    for name in names {
        for (count, single) in counts.iter_mut().zip(SINGLE) {
            *count += usize::from(name.eq_ignore_ascii_case(single.as_bytes()));
        }
    }
    counts
}
