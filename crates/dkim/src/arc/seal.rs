//! Sealing: adding a new set (RFC 8617 §5.1).

use crate::arc::sets::gather;
use crate::arc::{Chain, ChainStatus, MAX_SETS, MESSAGE_SIGNATURE, RESULTS, SEAL, Seal};
use crate::block::Index;
use crate::sign::{DEFAULT_FIELDS, complete};
use crate::tags::is_folded;
use crate::{BodyHashes, Canonicalization, Error, ErrorKind, FieldNames, Selector, SignOptions, SigningKey};
use dns::Domain;

/// The results of the checks when the message arrived.
#[derive(Debug, Clone, Copy)]
pub struct Findings<'a> {
    /// The chain that it arrived with.
    pub chain: &'a Chain,
    /// The value of its Authentication-Results field, with the name of the server.
    pub results: &'a str,
}

/// The default options for sealing: relaxed, with the fields that are signed by default and the DKIM-Signatures, as
/// RFC 8617 §4.1.2 advises. The identity is not used: an ARC-Message-Signature has none.
pub fn sealing(domain: Domain, selector: Selector) -> SignOptions {
    let mut signing = SignOptions::new(domain, selector);
    signing.fields = FieldNames::known(&format!("{DEFAULT_FIELDS}:MIME-Version:DKIM-Signature"));
    signing.oversign = false;
    signing
}

/// Returns the three fields of a new set, each with its line end, to be put before the message.
///
/// `header` is the header as it is sent on, `bodies` the hashes of the body as it is sent on: nothing may change after
/// sealing (RFC 8617 §5.1). `now` is in Unix seconds. Returns `None` if no set may be added: the chain ended with
/// `cv=fail`, or it has 50 sets.
///
/// # Errors
/// As [`crate::sign`]; [`ErrorKind::FieldText`] if the results would break their field; [`ErrorKind::ArcFieldSigned`] if
/// the fields to cover are results or ARC fields; [`ErrorKind::ArcIncomplete`] if the header lacks sets of a chain that
/// passed.
pub fn seal(
    header: &[u8],
    bodies: &BodyHashes,
    key: &SigningKey,
    signing: &SignOptions,
    findings: Findings<'_>,
    now: u64,
) -> Result<Option<String>, Error> {
    let Findings { chain, results } = findings;
    // RFC 8617 §5.1: no set is added to a chain that states that it failed.
    // RFC 8617 §4.2.1: there can be no 51st set.
    if chain.ended || chain.highest >= MAX_SETS {
        return Ok(None);
    }
    let results = results.trim_end();
    if results.is_empty() || results.contains('\0') || !is_folded(results.as_bytes()) {
        return Err(ErrorKind::FieldText.into());
    }
    // RFC 8617 §4.1.2: ARC fields and Authentication-Results must not be covered.
    let excluded = [RESULTS, MESSAGE_SIGNATURE, SEAL, "Authentication-Results"];
    if let Some(name) = excluded.iter().find(|name| signing.fields.contains(name)) {
        return Err(Error::about(ErrorKind::ArcFieldSigned, name.as_bytes()));
    }
    let instance = chain.highest + 1;
    let lead = format!("i={instance};");
    let write = |signature: &crate::Signature| signature.write(MESSAGE_SIGNATURE, &[&lead]) + "\r\n";
    let signing = SignOptions { identity: None, ..signing.clone() };
    let message = write(&complete(header, bodies, key, &signing, now, &write)?);
    let results = format!("{RESULTS}: i={instance}; {results}\r\n");
    let mut seal = Seal {
        instance,
        algorithm: key.algorithm(),
        signature: Vec::new(),
        status: chain.status,
        domain: signing.domain,
        selector: signing.selector,
        timestamp: Some(now),
    };
    let mut data = match chain.status {
        ChainStatus::None => Vec::new(),
        ChainStatus::Pass => sets_so_far(header)?,
        // RFC 8617 §5.1.2: the seal of a failed chain covers its own set alone, as if it were the only one.
        ChainStatus::Fail => Vec::new(),
    };
    append_new_set(&[&results, &message, &seal.write(SEAL)], &mut data);
    seal.signature = key.sign(&data)?;
    Ok(Some(format!("{}\r\n{message}{results}", seal.write(SEAL))))
}

/// Canonicalises results, message signature and unsigned seal (RFC 8617 §5.1.1).
fn append_new_set(fields: &[&str; 3], data: &mut Vec<u8>) {
    let set = fields.concat();
    let index = Index::new(&message::headers(set.as_bytes()));
    let block = index.over(set.as_bytes());
    block.append(0, Canonicalization::Relaxed, data);
    block.append(1, Canonicalization::Relaxed, data);
    // The seal ends in an empty b=: there is no value to remove.
    let end = block.raw(2).len();
    block.append_signature(2, end..end, Canonicalization::Relaxed, data);
}

/// Canonicalises the earlier sets, oldest first (RFC 8617 §5.1.1).
fn sets_so_far(header: &[u8]) -> Result<Vec<u8>, Error> {
    let headers = message::headers(header);
    let index = Index::new(&headers);
    let block = index.over(header);
    let mut data = Vec::new();
    for set in gather(&headers).0 {
        for field in [set.results, set.message, set.seal] {
            let (place, _) = field.ok_or(ErrorKind::ArcIncomplete)?;
            block.append(place, Canonicalization::Relaxed, &mut data);
        }
    }
    Ok(data)
}
