//! Verification: takes the header, then the body in pieces, then the keys.

mod candidate;
mod keys;
mod policy;
mod verifier;

pub(crate) use candidate::{Bodies, Candidate, Signed};
pub use keys::{KeyLookups, Keys, MAX_KEY_RECORDS};
pub(crate) use policy::Rules;
pub use policy::{CLOCK_SKEW, MAX_SIGNATURES, Policy};
pub(crate) use verifier::removed;
pub use verifier::{Evaluation, Verification, Verifier, verify};
