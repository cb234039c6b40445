//! Canonicalisation (RFC 6376 §3.4): what of header and body is hashed.

mod body;
mod header;
mod scan;

pub(crate) use body::{BodyHash, Canonicalizer};
pub use body::{BodyHasher, BodyHashes};
pub(crate) use header::{canonical_field, canonical_signature};
