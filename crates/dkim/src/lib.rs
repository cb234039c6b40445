//! DKIM and ARC: verifies which domains vouch for a message, and signs messages.
//!
//! Verification is one pass over a message that may still be arriving: [`Verifier`] takes the header, then the body in
//! pieces, then the keys that [`KeyLookups`] found meanwhile. Signing ([`sign`], or [`sign_message`] for a complete
//! message) and sealing ([`arc::seal`]) make header fields from a header and the hashes of a body ([`BodyHasher`]).
//!
//! A [`dns::Resolver`] that queries real servers is in the crate `moxd-dns-hickory`.
//!
//! This crate does not know the clock: time is an argument, in Unix seconds. It does not know sockets, files or a runtime;
//! DNS is behind [`dns::Resolver`]. It does not decide what to do with a message: verifying a signature ends in a
//! [`Status`], never in an `Err`, and DMARC decides whether its domain is the author's. It does not generate keys, and
//! never prints one.
//!
//! A signature must cover what a reader of the message sees: if there is a Subject, it must be signed, and a field that
//! RFC 5322 §3.6 allows once must not occur more often than `h=` names it (RFC 6376 §8.15). A signature does not
//! vouch for fields that `h=` does not name. Other rules of the receiver are in [`Policy`].
//!
//! ```
//! use moxd_dkim::dns::zone::{block_on_ready, Zone};
//! use moxd_dkim::{Policy, Status, verify};
//!
//! let message = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=a; h=from:subject; bh=; b=\r\n\
//!     From: a@example.test\r\n\r\nhello\r\n";
//! let evaluation = block_on_ready(verify(&Zone::default(), message, &Policy::default(), 1_700_000_000));
//! let [verification] = &evaluation.signatures[..] else { panic!("one result for one signature") };
//! assert_eq!(verification.status, Status::PermError);
//! assert_eq!(verification.error.as_ref().map(|e| e.to_string()).as_deref(), Some("bad value of tag: bh"));
//! assert_eq!(verification.claims().domain.unwrap().as_str(), "example.test");
//! ```

#![warn(clippy::indexing_slicing)]

mod algorithm;
pub mod arc;
mod block;
mod canonical;
mod der;
mod error;
mod field;
mod names;
mod public_key;
mod record;
mod sign;
mod signature;
mod signing_key;
mod tags;
mod verify;

/// The names, the records and the seam to DNS that this API speaks of; with it a caller needs no other crate.
pub use dns;

pub use algorithm::{Algorithm, Canonicalization, KeyType, Status};
pub use canonical::{BodyHasher, BodyHashes};
pub use error::{Error, ErrorKind};
pub use names::{FieldNames, Identity, Selector};
pub use public_key::{MAX_RSA_BITS, MIN_RSA_BITS, PublicKey};
pub use record::Record;
pub use sign::{DEFAULT_FIELDS, SignOptions, sign, sign_message};
pub use signature::{Claims, Signature};
pub use signing_key::{ED25519_SEED, SigningKey};
pub use tags::MAX_TAGS;
pub use verify::{
    CLOCK_SKEW, Evaluation, KeyLookups, Keys, MAX_KEY_RECORDS, MAX_SIGNATURES, Policy, Verification,
    Verifier, verify,
};

#[doc(hidden)]
pub mod fuzzing;
