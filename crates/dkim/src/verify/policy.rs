//! What a receiver accepts of signatures that are valid by themselves.

use crate::{Algorithm, Error, ErrorKind, Signature};
use dns::suffix;
use message::Headers;

/// Signatures of one message that are evaluated; RFC 6376 §6.1 leaves a limit to the verifier. More than a handful is
/// not seen on honest mail.
pub const MAX_SIGNATURES: usize = 16;
/// Seconds by which the clocks of signer and verifier may differ.
pub const CLOCK_SKEW: u64 = 300;

/// Fields that readers show or answer to, and that RFC 5322 §3.6 allows once.
const SINGLE: [&str; 8] = ["From", "Subject", "To", "Cc", "Date", "Reply-To", "Sender", "Message-ID"];
/// How often each of [`SINGLE`] occurs.
type Counts = [usize; SINGLE.len()];

/// What to accept. The default is what a careful receiver wants.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Accept signatures over a part of the body (`l=`). Whatever is appended to it passes too (RFC 6376 §8.2).
    pub body_length: bool,
    /// Accept a DKIM-Signature that does not cover the Subject that is there. It can be exchanged or added then.
    pub unsigned_subject: bool,
    /// Signatures to evaluate at most; those that are refused without asking DNS do not count.
    pub max_signatures: usize,
    /// Seconds by which `x=` may be past and `t=` in the future.
    pub clock_skew: u64,
    /// Validate the Authenticated Received Chain. It can need 100 keys more, so a caller that makes no use of it should not
    /// have it validated; it counts as if there were none then.
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

/// What the signatures of one message are judged by.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    policy: &'a Policy,
    now: u64,
    /// There is a Subject, and it must be signed.
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

    /// The same for message signatures of a chain. RFC 8617 §4.1.2 leaves to the sealer what is signed.
    pub(crate) fn of_chain(self) -> Self {
        Self { subject: false, ..self }
    }

    /// What speaks against a signature before any key is looked up.
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
        // RFC 6376 §6.1.1: a verifier may refuse domains that are not fit to vouch, such as a top-level domain.
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

    /// Does the signature cover what it seems to cover?
    fn check_fields(&self, signature: &Signature) -> Result<(), Error> {
        if self.subject && !signature.fields.contains("subject") {
            return Err(ErrorKind::SubjectNotSigned.into());
        }
        let named = count(signature.fields.iter().map(str::as_bytes));
        // RFC 6376 §8.15: no positive result where a field that must occur once was added. §5.4.2: names stand for
        // fields from the bottom up, so the one too many is on top, where many readers take the first.
        // A field that is not named at all is one that nobody vouches for, once or twice.
        let counts = self.present.into_iter().zip(named);
        match SINGLE.iter().zip(counts).find(|(_, (present, named))| *named > 0 && present > named) {
            Some((name, _)) => Err(Error::about(ErrorKind::UnsignedCopy, name.as_bytes())),
            None => Ok(()),
        }
    }
}

/// One pass, for `h=` may be long.
fn count<'n>(names: impl Iterator<Item = &'n [u8]>) -> Counts {
    let mut counts = Counts::default();
    for name in names {
        for (count, single) in counts.iter_mut().zip(SINGLE) {
            *count += usize::from(name.eq_ignore_ascii_case(single.as_bytes()));
        }
    }
    counts
}
