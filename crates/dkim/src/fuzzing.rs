//! Entry points for fuzzing, each with the property it holds. Not part of the public face.

use crate::arc::Seal;
use crate::signature::{Claims, FIELD};
use crate::{Policy, Record, Signature, Verifier};
use dns::zone::{Zone, block_on_ready};
use std::sync::LazyLock;

/// The keys of the fixtures, which are the seeds.
static KEYS: LazyLock<Zone> =
    LazyLock::new(|| Zone::parse(include_str!("../testdata/verify/keys.zone")).unwrap_or_default());

/// Fields of signatures and seals: what parses prints as an equal value.
pub fn dkim_header(data: &[u8]) {
    let claims = Claims::salvage(data);
    if let Ok(signature) = Signature::parse(data) {
        assert_eq!(signature.to_string().parse().as_ref(), Ok(&signature));
        let found = Claims::from(&signature);
        assert_eq!(
            (found.domain, found.selector, found.identity),
            (claims.domain, claims.selector, claims.identity)
        );
    }
    if let Ok(seal) = Seal::parse(data) {
        assert_eq!(Seal::parse(seal.to_string().as_bytes()).as_ref(), Ok(&seal));
    }
}

/// Key records: what parses prints as an equal value.
pub fn dkim_record(data: &[u8]) {
    if let Ok(record) = Record::parse(data) {
        assert_eq!(record.to_string().parse().as_ref(), Ok(&record));
        let _ = record.key.map(|key| key.bits());
    }
}

/// Messages: each signature has one result, and where the body is cut makes no difference.
pub fn dkim_verify(data: &[u8]) {
    let mut policy = Policy::default();
    let first = data.first().copied().unwrap_or_default();
    (policy.body_length, policy.unsigned_subject) = (first & 1 != 0, first & 2 != 0);
    let (header, body) = data.split_at(message::header_end(data).unwrap_or(data.len()));
    let verify = |size: usize| {
        let mut verifier = Verifier::new(header, &policy, 1_700_000_000);
        let keys = block_on_ready(verifier.lookups().run(&*KEYS));
        body.chunks(size).for_each(|piece| verifier.body(piece));
        verifier.finish(&keys)
    };
    let whole = verify(usize::MAX);
    assert_eq!(whole.signatures.len(), message::headers(header).all(FIELD).count());
    assert_eq!(whole, verify(usize::from(first) + 1));
}
