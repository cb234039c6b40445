//! Canonicalisation (RFC 6376 §3.4): the form of header and body that is hashed.

mod body;
mod header;
mod scan;
mod sink;
mod squeeze;

pub(crate) use body::Canonicalizer;
pub use body::{BodyHasher, BodyHashes};
pub(crate) use header::{canonical_field, canonical_signature};
pub(crate) use sink::BodyHash;

/// RFC 6376 §2.8: white space is space and tab.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
