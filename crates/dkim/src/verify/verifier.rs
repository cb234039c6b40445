//! The verifier of one message.

use crate::arc::{Chain, Sets};
use crate::block::Index;
use crate::signature::{Claims, FIELD};
use crate::tags::Tags;
use crate::verify::candidate::{Bodies, Candidate};
use crate::verify::policy::Rules;
use crate::{Error, ErrorKind, KeyLookups, Keys, Policy, Record, Signature, Status};
use dns::{Resolver, Security};
use message::{Header, headers};

/// Verifies the signatures of one message while it arrives.
///
/// From the header it refuses what can be refused without keys, and finds which keys are needed. The body is hashed once
/// for each form that the remaining signatures need. With the keys it computes every result.
#[derive(Clone)]
pub struct Verifier {
    header: Vec<u8>,
    index: Index,
    entries: Vec<Entry>,
    chain: Sets,
    bodies: Bodies,
}

/// One DKIM-Signature field.
#[derive(Clone)]
enum Entry {
    Refused(Box<Verification>),
    Open(Box<Candidate>),
}

/// The result for one DKIM-Signature field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Whether the signature verifies, or why it does not count.
    pub status: Status,
    /// The signature; `None` if its field is malformed.
    pub signature: Option<Signature>,
    /// The key record that decided.
    pub record: Option<Record>,
    /// The error, for every status but pass.
    pub error: Option<Error>,
    /// The DNSSEC verdict of the key record, or of the proof that there is none.
    pub security: Security,
    salvaged: Claims,
}

/// The results for all signatures of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// One result for each DKIM-Signature field, in the order of the header.
    pub signatures: Vec<Verification>,
    /// The Authenticated Received Chain; a chain without sets if the policy does not ask for it.
    pub chain: Chain,
}

impl Verification {
    fn refused(claims: Claims, signature: Option<Signature>, error: Error) -> Self {
        Self {
            status: error.kind().status(),
            signature,
            record: None,
            error: Some(error),
            security: Security::Unknown,
            salvaged: claims,
        }
    }

    /// The tags that identify the signature, as far as they could be read, whatever the status.
    pub fn claims(&self) -> Claims {
        self.signature.as_ref().map_or_else(|| self.salvaged.clone(), Claims::from)
    }
}

impl Verifier {
    /// Starts with the header of a message; text behind its empty line is ignored. `now` is in Unix seconds.
    pub fn new(header: &[u8], policy: &Policy, now: u64) -> Self {
        let fields = headers(header);
        let mut bodies = Bodies::default();
        let malformed = fields
            .malformed()
            .map(|finding| Error::about(ErrorKind::MalformedHeader, finding.kind.token().as_bytes()));
        let rules = Rules::new(policy, &fields, now);
        let mut entries: Vec<Entry> = Vec::new();
        let mut open = 0;
        for (place, field) in fields.iter().enumerate().filter(|(_, field)| field.is(FIELD)) {
            let entry = match &malformed {
                Some(error) => refuse(field, None, error.clone()),
                None if open < policy.max_signatures => consider(field, place, &rules, &mut bodies),
                None => refuse(field, None, ErrorKind::TooManySignatures.into()),
            };
            open += usize::from(matches!(entry, Entry::Open(_)));
            entries.push(entry);
        }
        let chain = if policy.validates_chain {
            Sets::collect(&fields, malformed, &rules.of_chain(), &mut bodies)
        } else {
            Sets::Decided(Chain::none())
        };
        let needed = open > 0 || chain.is_open();
        let (index, header) = if needed {
            (
                Index::new(&fields),
                header.get(..fields.body_offset().unwrap_or(header.len())).unwrap_or(header),
            )
        } else {
            Default::default()
        };
        Self { header: header.to_vec(), index, entries, chain, bodies }
    }

    /// Returns the key lookups that are needed; they may run while the body arrives.
    pub fn lookups(&self) -> KeyLookups {
        let open = self.entries.iter().filter_map(|entry| match entry {
            Entry::Open(candidate) => Some(candidate.key.clone()),
            Entry::Refused(_) => None,
        });
        KeyLookups::new(open.chain(self.chain.key_names()).collect())
    }

    /// Takes the next piece of the body, which begins behind the empty line. Lines end in CRLF.
    pub fn body(&mut self, piece: &[u8]) {
        self.bodies.push(piece);
    }

    /// Ends the message, and computes the results.
    pub fn finish(self, keys: &Keys) -> Evaluation {
        let bodies = self.bodies.finish();
        let block = self.index.over(&self.header);
        let mut data = Vec::new();
        let mut signatures = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
            signatures.push(match entry {
                Entry::Refused(verification) => *verification,
                Entry::Open(candidate) => {
                    let outcome = candidate.evaluate(block, &bodies, keys, &mut data);
                    // RFC 6376 §3.6.1: mail of signers in test mode is not treated worse than unsigned mail.
                    let testing = outcome.record.as_ref().is_some_and(|record| record.testing);
                    let status = match &outcome.error {
                        None => Status::Pass,
                        Some(_) if testing => Status::None,
                        Some(error) => error.kind().status(),
                    };
                    Verification {
                        status,
                        signature: Some(candidate.signature),
                        record: outcome.record,
                        error: outcome.error,
                        security: outcome.security,
                        salvaged: Claims::default(),
                    }
                }
            });
        }
        let chain = self.chain.evaluate(block, &bodies, keys, &mut data);
        Evaluation { signatures, chain }
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("signatures", &self.entries.len()).finish_non_exhaustive()
    }
}

fn refuse(field: &Header<'_>, signature: Option<Signature>, error: Error) -> Entry {
    let claims = if signature.is_some() { Claims::default() } else { Claims::salvage(field.value) };
    Entry::Refused(Box::new(Verification::refused(claims, signature, error)))
}

/// Parses one signature, and refuses it if it cannot verify with any key.
fn consider(field: &Header<'_>, place: usize, rules: &Rules<'_>, bodies: &mut Bodies) -> Entry {
    let parsed = Tags::parse(field.value).and_then(|tags| {
        // Counted from the start of the field, since the entire field is canonicalised.
        let removed = removed(field, &tags);
        Ok((Signature::from_tags(&tags)?, removed))
    });
    let (signature, removed) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(field, None, error),
    };
    if let Err(error) = rules.check(&signature) {
        return refuse(field, Some(signature), error);
    }
    match signature.selector.key_name(&signature.domain) {
        Ok(key) => Entry::Open(Box::new(Candidate::new(signature, key, place, removed, bodies))),
        Err(error) => refuse(field, Some(signature), error),
    }
}

/// Returns where the value of `b=` is in the field.
pub(crate) fn removed(field: &Header<'_>, tags: &Tags<'_>) -> std::ops::Range<usize> {
    let start = field.raw.len() - field.value.len();
    tags.tag("b").map_or(0..0, |tag| start + tag.start..start + tag.end)
}

/// Verifies a complete message: looks up the keys, then hashes the body. `now` is in Unix seconds.
pub async fn verify(dns: &dyn Resolver, message: &[u8], policy: &Policy, now: u64) -> Evaluation {
    let mut verifier = Verifier::new(message, policy, now);
    let keys = verifier.lookups().run(dns).await;
    if let Some(body) = message::header_end(message).and_then(|end| message.get(end..)) {
        verifier.body(body);
    }
    verifier.finish(&keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many forms of the body are hashed for these signatures.
    #[track_caller]
    fn check(tags: &[&str], want: usize) {
        let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let field = |tags: &&str| {
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; h=from:subject; bh={hash}; b=AAAA; {tags}\r\n"
            )
        };
        let header: String = tags.iter().map(field).collect();
        let policy = Policy { body_length: true, ..Policy::default() };
        assert_eq!(Verifier::new(header.as_bytes(), &policy, 1000).bodies.len(), want, "{tags:?}");
    }

    #[test]
    fn each_form_of_the_body_is_hashed_once() {
        check(&["", "c=simple/simple", "c=relaxed"], 1);
        check(&["c=relaxed/relaxed", "", "c=simple/relaxed"], 2);
        check(&["l=1", "l=2", "l=1", "l=1; c=relaxed/relaxed"], 3);
    }

    #[test]
    fn nothing_is_hashed_for_what_is_refused() {
        check(&["x=1", "t=9000", "l=x", "q=other", "c=other/relaxed"], 0);
        check(&[], 0);
    }

    #[test]
    fn a_message_without_signatures_keeps_nothing() {
        let verifier = Verifier::new(b"From: a@a.test\r\nSubject: x\r\n\r\n", &Policy::default(), 1000);
        assert!(verifier.header.is_empty() && verifier.lookups().names().is_empty());
    }
}
