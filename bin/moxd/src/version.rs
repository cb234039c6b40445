//! The version of this program, and the commit that it was built from.

/// The version of the package, such as `0.1.0`.
pub(crate) const NUMBER: &str = env!("CARGO_PKG_VERSION");
/// The commit that the program was built from, as `build.rs` found it; empty if it found none.
pub(crate) const COMMIT: &str = env!("MOXD_COMMIT");
/// Both, as `moxd --version` shows them: `0.1.0 (bf28da4)`.
pub(crate) const WHOLE: &str = env!("MOXD_VERSION");
