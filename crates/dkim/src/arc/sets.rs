//! Validation of a chain (RFC 8617 §5.2).

use crate::arc::chain::{Chain, ChainStatus, Seal, Set, instance, instance_value, status};
use crate::arc::{MAX_SETS, MESSAGE_SIGNATURE, RESULTS, SEAL};
use crate::block::Block;
use crate::canonical::BodyHash;
use crate::signature::domain;
use crate::tags::{Tags, is_fws, trim};
use crate::verify::{Bodies, Candidate, Rules, Signed, removed};
use crate::{Canonicalization, Error, ErrorKind, Keys, Signature};
use dns::Name;
use message::{Header, Headers};
use std::ops::Range;

/// The sets of a message while its chain is validated.
#[derive(Debug, Clone)]
pub(crate) enum Sets {
    /// The header alone decided.
    Decided(Chain),
    /// The structure is valid: 1 to N, oldest first.
    Open(Vec<Open>),
}

/// A set whose signatures are to be verified.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    results: usize,
    results_text: String,
    message: MessageSignature,
    seal: Seal,
    seal_field: usize,
    /// The value of `b=` in the seal.
    removed: Range<usize>,
    /// The name of the seal's key.
    key: Name,
}

#[derive(Debug, Clone)]
struct MessageSignature {
    field: usize,
    signer: dns::Domain,
    /// An error if it cannot verify, whatever its key.
    candidate: Result<Box<Candidate>, Error>,
}

/// The fields of one instance, each with its place in the header.
#[derive(Default)]
pub(super) struct Gathered<'h, 'a> {
    pub(super) results: Option<(usize, &'h Header<'a>)>,
    pub(super) message: Option<(usize, &'h Header<'a>)>,
    pub(super) seal: Option<(usize, &'h Header<'a>)>,
}

/// An error, and the instance at fault.
pub(super) type Fault = (Option<u8>, Error);

impl Sets {
    /// Collects the sets and checks their structure.
    pub(crate) fn collect(
        headers: &Headers<'_>,
        malformed: Option<Error>,
        rules: &Rules<'_>,
        bodies: &mut Bodies,
    ) -> Self {
        let (found, highest, fault) = gather(headers);
        if found.is_empty() && fault.is_none() {
            return Self::Decided(Chain::none());
        }
        let forms = bodies.len();
        let ended = found.last().and_then(failed_before).map(|error| (Some(highest), error));
        let structure = match ended.or_else(|| malformed.map(|error| (None, error))).or(fault) {
            Some(fault) => Err(fault),
            None => structure(found, rules, bodies),
        };
        match structure {
            Ok(sets) => Self::Open(sets),
            Err((instance, error)) => {
                // No body is hashed for a chain that failed already.
                bodies.truncate(forms);
                Self::Decided(Chain::failed(highest, instance, error))
            }
        }
    }

    /// Whether there are signatures to verify.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// The names of all keys.
    pub(crate) fn key_names(&self) -> impl Iterator<Item = Name> + '_ {
        let open = if let Self::Open(sets) = self { sets.as_slice() } else { &[] };
        open.iter().flat_map(|set| {
            let message = set.message.candidate.as_ref().ok().map(|candidate| candidate.key.clone());
            message.into_iter().chain([set.key.clone()])
        })
    }

    /// RFC 8617 §5.2, steps 4 to 7.
    pub(crate) fn evaluate(
        self,
        block: Block<'_>,
        bodies: &[BodyHash],
        keys: &Keys,
        data: &mut Vec<u8>,
    ) -> Chain {
        let sets = match self {
            Self::Decided(chain) => return chain,
            Self::Open(sets) => sets,
        };
        let highest = sets.last().map_or(0, |set| set.seal.instance);
        let mut verify = |set: &Open| match &set.message.candidate {
            Ok(candidate) => candidate.evaluate(block, bodies, keys, data).error,
            Err(error) => Some(error.clone()),
        };
        // RFC 8617 §5.2, step 4: the newest message signature must verify.
        if let Some(error) = sets.last().and_then(&mut verify) {
            return Chain::failed(highest, Some(highest), error);
        }
        // RFC 8617 §5.2, step 5: the older ones show since which handler the message is unchanged.
        let broken = sets.iter().rev().skip(1).find(|set| verify(set).is_some());
        let oldest_pass = broken.map_or(0, |set| set.seal.instance + 1);
        if let Err((instance, error)) = verify_seals(&sets, block, keys, data) {
            return Chain::failed(highest, instance, error);
        }
        let told = |set: Open| Set {
            instance: set.seal.instance,
            seal: set.seal,
            signer: set.message.signer,
            results: set.results_text,
        };
        Chain {
            status: ChainStatus::Pass,
            highest,
            oldest_pass: Some(oldest_pass),
            sets: sets.into_iter().map(told).collect(),
            ..Chain::none()
        }
    }
}

/// RFC 8617 §5.2, step 6. A seal covers all sets up to its own, so one buffer serves all seals.
fn verify_seals(sets: &[Open], block: Block<'_>, keys: &Keys, data: &mut Vec<u8>) -> Result<(), Fault> {
    data.clear();
    for set in sets {
        // RFC 8617 §5.1.1: relaxed header canonicalisation; results, message signature, seal of each set.
        block.append(set.results, Canonicalization::Relaxed, data);
        block.append(set.message.field, Canonicalization::Relaxed, data);
        let before = data.len();
        block.append_signature(set.seal_field, set.removed.clone(), Canonicalization::Relaxed, data);
        let outcome = keys.verify(&set.key, || Signed {
            algorithm: set.seal.algorithm,
            domain: &set.seal.domain,
            identity: None,
            data,
            signature: &set.seal.signature,
        });
        // RFC 8617 §5.2.1: all failures are permanent, also those of DNS.
        if let Some(error) = outcome.error {
            return Err((Some(set.seal.instance), error));
        }
        data.truncate(before);
        block.append(set.seal_field, Canonicalization::Relaxed, data);
    }
    Ok(())
}

/// Sorts the ARC fields by instance. Also returns the highest instance and the first error.
pub(super) fn gather<'h, 'a>(headers: &'h Headers<'a>) -> (Vec<Gathered<'h, 'a>>, u8, Option<Fault>) {
    let mut found: Vec<Gathered<'h, 'a>> = Vec::new();
    let mut fault: Option<Fault> = None;
    for (place, field) in headers.iter().enumerate() {
        let instance = if field.is(RESULTS) {
            results_instance(field).map(|(instance, _)| instance)
        } else if field.is(MESSAGE_SIGNATURE) || field.is(SEAL) {
            Tags::parse(field.value).and_then(|tags| instance(&tags))
        } else {
            continue;
        };
        let instance = match instance {
            Ok(instance) => instance,
            Err(error) => {
                fault.get_or_insert((None, error));
                continue;
            }
        };
        if found.len() < usize::from(instance) {
            found.resize_with(usize::from(instance), Gathered::default);
        }
        let Some(set) = found.get_mut(usize::from(instance) - 1) else { continue };
        let slot = match () {
            () if field.is(RESULTS) => &mut set.results,
            () if field.is(MESSAGE_SIGNATURE) => &mut set.message,
            () => &mut set.seal,
        };
        // RFC 8617 §5.2, step 3: exactly one of each in a set.
        if slot.replace((place, field)).is_some() {
            fault.get_or_insert_with(|| (Some(instance), ErrorKind::ArcDuplicate.into()));
        }
    }
    // Instances end at 50, so the length fits.
    let highest = u8::try_from(found.len()).unwrap_or(MAX_SETS);
    (found, highest, fault)
}

/// RFC 8617 §5.2, step 2: whether the newest seal states that the chain failed earlier. That counts whatever else is wrong,
/// since no set may be added after it (§5.1).
fn failed_before(newest: &Gathered<'_, '_>) -> Option<Error> {
    let (_, seal) = newest.seal?;
    let says = status(&Tags::parse(seal.value).ok()?).ok()?;
    (says == ChainStatus::Fail).then(|| ErrorKind::ArcFailedBefore.into())
}

/// RFC 8617 §5.2, step 3.
fn structure(
    found: Vec<Gathered<'_, '_>>,
    rules: &Rules<'_>,
    bodies: &mut Bodies,
) -> Result<Vec<Open>, Fault> {
    let mut sets = Vec::with_capacity(found.len());
    for (instance, set) in (1..).zip(found) {
        sets.push(open(instance, &set, rules, bodies).map_err(|error| (Some(instance), error))?);
    }
    Ok(sets)
}

/// Parses one set.
fn open(instance: u8, set: &Gathered<'_, '_>, rules: &Rules<'_>, bodies: &mut Bodies) -> Result<Open, Error> {
    let (results, message, seal) = match (set.results, set.message, set.seal) {
        (Some(results), Some(message), Some(seal)) => (results, message, seal),
        // RFC 8617 §5.2, step 3: the instances are a continuous sequence from 1 to N.
        (None, None, None) => return Err(ErrorKind::ArcGap.into()),
        _ => return Err(ErrorKind::ArcIncomplete.into()),
    };
    let tags = Tags::parse(seal.1.value)?;
    let removed_of_seal = removed(seal.1, &tags);
    let parsed = Seal::from_tags(&tags)?;
    // RFC 8617 §5.2, step 3: cv= is none in the first set and pass in all others.
    let expected = if instance == 1 { ChainStatus::None } else { ChainStatus::Pass };
    if parsed.status != expected {
        return Err(ErrorKind::ArcStatusPlace.into());
    }
    // RFC 8301 §3.1: rsa-sha1 must not be used for verifying.
    if parsed.algorithm == crate::Algorithm::RsaSha1 {
        return Err(ErrorKind::Sha1.into());
    }
    Ok(Open {
        results: results.0,
        results_text: results_instance(results.1)?.1,
        message: message_signature(message.0, message.1, rules, bodies)?,
        key: parsed.selector.key_name(&parsed.domain)?,
        seal: parsed,
        seal_field: seal.0,
        removed: removed_of_seal,
    })
}

/// Parses an ARC-Message-Signature. RFC 8617 §4.1.2: as a DKIM-Signature, without `v=`, and with another `i=`.
fn message_signature(
    field: usize,
    header: &Header<'_>,
    rules: &Rules<'_>,
    bodies: &mut Bodies,
) -> Result<MessageSignature, Error> {
    let tags = Tags::parse(header.value)?;
    let signer = domain(&tags)?;
    // RFC 8617 §5.2, step 5: an older one need not verify, so a malformed one alone does not fail the chain.
    let signature = Signature::common(&tags);
    // RFC 8617 §4.1.2: ARC fields must not be among the signed ones.
    if let Ok(signature) = &signature
        && let Some(name) =
            [RESULTS, MESSAGE_SIGNATURE, SEAL].iter().find(|name| signature.fields.contains(name))
    {
        return Err(Error::about(ErrorKind::ArcFieldSigned, name.as_bytes()));
    }
    let candidate = signature.and_then(|signature| {
        rules.check(&signature)?;
        let key = signature.selector.key_name(&signature.domain)?;
        Ok(Box::new(Candidate::new(signature, key, field, removed(header, &tags), bodies)))
    });
    Ok(MessageSignature { field, signer, candidate })
}

/// Returns the instance of an ARC-Authentication-Results field, and the text behind it (RFC 8617 §4.1.1).
fn results_instance(field: &Header<'_>) -> Result<(u8, String), Error> {
    let text = field.unfolded();
    let info = |text| -> Option<(&[u8], &[u8])> {
        let text = skip_comments(skip_comments(text).strip_prefix(b"i")?).strip_prefix(b"=")?;
        let text = skip_comments(text);
        let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, text) = text.split_at_checked(digits)?;
        Some((digits, skip_comments(text).strip_prefix(b";")?))
    };
    let (digits, results) = info(&text).ok_or_else(|| Error::about(ErrorKind::ArcInstance, &text))?;
    Ok((instance_value(digits)?, String::from_utf8_lossy(trim(results)).into_owned()))
}

/// Skips leading white space and comments (RFC 5322 §3.2.2).
fn skip_comments(text: &[u8]) -> &[u8] {
    let mut depth = 0_usize;
    let mut rest = text;
    loop {
        rest = match rest {
            [b'\\', _, tail @ ..] if depth > 0 => tail,
            [b'(', tail @ ..] => {
                depth += 1;
                tail
            }
            [b')', tail @ ..] if depth > 0 => {
                depth -= 1;
                tail
            }
            [first, tail @ ..] if depth > 0 || is_fws(first) => tail,
            _ => return rest,
        };
    }
}
