//! Which moxd this is.

/// The version of the package.
pub(crate) const NUMBER: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from; empty where the build did not know. `build.rs` finds it.
pub(crate) const COMMIT: &str = env!("MOXD_COMMIT");
/// Both, as `moxd --version` shows them: `0.1.0 (bf28da4)`.
pub(crate) const WHOLE: &str = env!("MOXD_VERSION");
