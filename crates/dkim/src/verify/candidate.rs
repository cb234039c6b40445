//! Verifying one signature, a DKIM-Signature or an ARC-Message-Signature.

use crate::block::Block;
use crate::canonical::{BodyHash, Canonicalizer};
use crate::verify::keys::Key;
use crate::{Algorithm, Canonicalization, Error, ErrorKind, Identity, Keys, Record, Signature};
use dns::{Domain, Name, Security};
use std::ops::Range;

/// The body in every form that some signature needs, each hashed once.
#[derive(Clone, Default)]
pub(crate) struct Bodies(Vec<(Canonicalization, Option<u64>, Canonicalizer)>);

impl Bodies {
    /// Returns the index of a form, which is added if it is new.
    fn place(&mut self, kind: Canonicalization, limit: Option<u64>) -> usize {
        let known = self.0.iter().position(|(k, l, _)| (*k, *l) == (kind, limit));
        known.unwrap_or_else(|| {
            self.0.push((kind, limit, Canonicalizer::new(kind, limit)));
            self.0.len() - 1
        })
    }

    /// How many forms there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes the forms behind the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        for (_, _, body) in &mut self.0 {
            body.push(piece);
        }
    }

    pub(crate) fn finish(self) -> Vec<BodyHash> {
        self.0.into_iter().map(|(_, _, body)| body.finish()).collect()
    }
}

/// A signature that was not refused so far.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) signature: Signature,
    /// The name of its key.
    pub(crate) key: Name,
    /// The header field that has it.
    field: usize,
    /// The value of `b=` in the field.
    removed: Range<usize>,
    /// The index of the body form that it signs.
    body: usize,
}

impl Candidate {
    pub(crate) fn new(
        signature: Signature,
        key: Name,
        field: usize,
        removed: Range<usize>,
        bodies: &mut Bodies,
    ) -> Self {
        let body = bodies.place(signature.body_canonicalization, signature.body_length);
        Self { signature, key, field, removed, body }
    }

    /// Checks the signature, and the body against it. `data` is a scratch buffer.
    pub(crate) fn evaluate(
        &self,
        block: Block<'_>,
        bodies: &[BodyHash],
        keys: &Keys,
        data: &mut Vec<u8>,
    ) -> Outcome {
        let (signature, kind) = (&self.signature, self.signature.header_canonicalization);
        let mut outcome = keys.verify(&self.key, || {
            data.clear();
            block.append_fields(&signature.fields, Some(self.field), kind, data);
            block.append_signature(self.field, self.removed.clone(), kind, data);
            Signed {
                algorithm: signature.algorithm,
                domain: &signature.domain,
                identity: signature.identity.as_ref(),
                data,
                signature: &signature.signature,
            }
        });
        if outcome.error.is_none() {
            outcome.error = self.check_body(bodies).err();
        }
        outcome
    }

    fn check_body(&self, bodies: &[BodyHash]) -> Result<(), Error> {
        let body = bodies.get(self.body).ok_or(ErrorKind::BodyHashMismatch)?;
        // RFC 6376 §3.5: l= must not be larger than the body.
        if !body.complete {
            return Err(ErrorKind::BodyTooShort.into());
        }
        // RFC 6376 §6.1.3: the hash of the canonical body must be that of bh=.
        if body.digest.as_ref() != self.signature.body_hash {
            return Err(ErrorKind::BodyHashMismatch.into());
        }
        Ok(())
    }
}

/// The result for a signature: the record that decided, and the error.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) record: Option<Record>,
    pub(crate) error: Option<Error>,
    pub(crate) security: Security,
}

/// Canonical data with the signature over it.
pub(crate) struct Signed<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) domain: &'a Domain,
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) data: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl Keys {
    /// Verifies with the key of this name. The signed data is canonicalised only if there is a key.
    pub(crate) fn verify<'s>(&self, name: &Name, signed: impl FnOnce() -> Signed<'s>) -> Outcome {
        let failed = |error, security| Outcome { record: None, error: Some(error), security };
        let (records, security) = match self.get(name) {
            Some(Key { records: Ok(records), security }) => (records, *security),
            Some(Key { records: Err(error), security }) => return failed(error.clone(), *security),
            None => return failed(Error::about(ErrorKind::KeyLookup, b"not asked for"), Security::Unknown),
        };
        let signed = signed();
        let mut outcome = failed(ErrorKind::NoKey.into(), security);
        // RFC 6376 §6.1.2: of several key records, each may be tried until one verifies.
        for record in records {
            let error = match signed.verify_with(record) {
                Ok(()) => None,
                // The error of a key that fits and does not verify says more than that of one that does not fit.
                Err(error) if outcome.record.is_none() || error.kind() == ErrorKind::SignatureMismatch => {
                    Some(error)
                }
                Err(_) => continue,
            };
            outcome.record = Some(record.clone());
            outcome.error = error;
            if outcome.error.is_none() {
                break;
            }
        }
        outcome
    }
}

impl Signed<'_> {
    /// RFC 6376 §6.1.2, steps 5 to 9, and §6.1.3.
    fn verify_with(&self, record: &Record) -> Result<(), Error> {
        // RFC 6376 §6.1.2: the hash must be among those of the record.
        if !record.allows_hash(self.algorithm.hash()) {
            return Err(ErrorKind::HashNotAllowed.into());
        }
        // RFC 6376 §6.1.2: an empty p= means that the key was revoked.
        let key = record.key.as_ref().ok_or(ErrorKind::KeyRevoked)?;
        // RFC 6376 §6.1.2: the key must fit the algorithm.
        if record.key_type != self.algorithm.key_type() {
            return Err(ErrorKind::KeyTypeMismatch.into());
        }
        key.check_size()?;
        // RFC 6376 §3.6.1: a key for other services only is not for mail.
        if !record.allows_email() {
            return Err(ErrorKind::ServiceNotAllowed.into());
        }
        // RFC 6376 §3.6.1: with t=s the domain of i= must be that of d=.
        if record.strict && self.identity.is_some_and(|identity| identity.domain() != self.domain) {
            return Err(ErrorKind::SubdomainNotAllowed.into());
        }
        if !key.verify(self.algorithm, self.data, self.signature) {
            return Err(ErrorKind::SignatureMismatch.into());
        }
        Ok(())
    }
}
