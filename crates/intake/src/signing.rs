//! DKIM signatures for what users submit: with every selector that the author's domain signs with.

use crate::metrics;
use dkim::{BodyHasher, BodyHashes, Identity, KeyType, SignOptions, SigningKey, sign};
use dns::Domain;
use std::sync::Arc;

/// A DKIM selector with its key, for signing.
#[derive(Debug, Clone)]
pub struct Signer {
    /// Domain, selector, canonicalization and fields to sign.
    pub signing: SignOptions,
    /// The private key, shared by all settings that name it.
    pub key: Arc<SigningKey>,
}

/// Hashes the body of a message for its signatures while it arrives.
#[derive(Debug)]
pub(crate) struct Hashing {
    signers: Arc<[Signer]>,
    bodies: BodyHasher,
    /// The header as it was written, without the fields that are added later.
    header: Vec<u8>,
    identity: Option<Identity>,
}

impl Hashing {
    /// Begins at the end of the header. `localpart` is the author's, in its canonical form.
    pub(crate) fn new(
        signers: Arc<[Signer]>,
        header: Vec<u8>,
        localpart: Option<&str>,
        domain: &Domain,
    ) -> Self {
        let bodies = BodyHasher::new(signers.iter().map(|signer| signer.signing.body));
        Self { signers, bodies, header, identity: Identity::new(localpart, domain.clone()).ok() }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn body(&mut self, piece: &[u8]) {
        self.bodies.update(piece);
    }

    /// Makes the signatures, a field each, over the `added` fields and the header. A signature that cannot be made is counted,
    /// and the message goes out without it.
    pub(crate) fn finish(self, added: &str, now: u64) -> String {
        let header = [added.as_bytes(), &self.header].concat();
        let bodies: BodyHashes = self.bodies.finish();
        let mut fields = String::new();
        for signer in &*self.signers {
            let mut signing = signer.signing.clone();
            signing.identity.clone_from(&self.identity);
            match sign(&header, &bodies, &signer.key, &signing, now) {
                Ok(signature) => {
                    fields.push_str(&signature.header_field());
                    metrics::signed(match signer.key.key_type() {
                        KeyType::Rsa => "rsa",
                        KeyType::Ed25519 => "ed25519",
                    });
                }
                Err(error) => {
                    metrics::error("dkimsign");
                    tracing::error!(%error, selector = signing.selector.as_str(), "cannot sign");
                }
            }
        }
        fields
    }
}
