//! DKIM signatures for what users submit: with every selector that the author's domain signs with.

use crate::metrics;
use dkim::{BodyHasher, BodyHashes, Identity, KeyType, SignOptions, SigningKey, sign};
use dns::Domain;
use std::sync::Arc;

/// A selector that signs.
#[derive(Debug, Clone)]
pub struct Signer {
    /// How.
    pub signing: SignOptions,
    /// With which key.
    pub key: Arc<SigningKey>,
}

/// A message that is to be signed, while its body arrives.
#[derive(Debug)]
pub(crate) struct Hashing {
    signers: Arc<[Signer]>,
    bodies: BodyHasher,
    /// The header as it goes out, without what is added to it later.
    header: Vec<u8>,
    identity: Option<Identity>,
}

impl Hashing {
    /// Begins at the end of the header. `localpart` is the author's in its canonical form.
    pub(crate) fn new(
        signers: Arc<[Signer]>,
        header: Vec<u8>,
        localpart: Option<&str>,
        domain: &Domain,
    ) -> Self {
        let bodies = BodyHasher::new(signers.iter().map(|signer| signer.signing.body));
        Self { signers, bodies, header, identity: Identity::new(localpart, domain.clone()).ok() }
    }

    /// The next octets of the body.
    pub(crate) fn body(&mut self, piece: &[u8]) {
        self.bodies.update(piece);
    }

    /// The signatures, one field each, over `added` fields and the header. One that cannot be made is counted, and the
    /// message goes out without it.
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
