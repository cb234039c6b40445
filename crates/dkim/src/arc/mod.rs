//! The Authenticated Received Chain (RFC 8617): the results of earlier handlers, sealed by each.

mod chain;
mod seal;
mod sets;

pub use chain::{Chain, ChainStatus, Seal, Set};
pub use seal::{Findings, seal, sealing};
pub(crate) use sets::Sets;

/// RFC 8617 §5.2: sets that one message may have.
pub const MAX_SETS: u8 = 50;

/// ARC-Authentication-Results: the results of a handler (RFC 8617 §4.1.1).
pub(crate) const RESULTS: &str = "ARC-Authentication-Results";
/// ARC-Message-Signature: the message as it left a handler (RFC 8617 §4.1.2).
pub(crate) const MESSAGE_SIGNATURE: &str = "ARC-Message-Signature";
/// ARC-Seal: all sets so far (RFC 8617 §4.1.3).
pub(crate) const SEAL: &str = "ARC-Seal";
