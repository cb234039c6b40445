//! The operations of an engine that only operators need. An engine in memory, or a database with tools of its own, may lack it.

use std::path::Path;

use crate::{check::Finding, error::Result};

/// Care for what an engine keeps, on request.
pub trait Maintenance {
    /// Reads everything that is kept and reports what is wrong with it.
    ///
    /// # Errors
    /// When the check itself cannot be done.
    fn check(&self) -> Result<Vec<Finding>>;

    /// Writes a consistent copy of everything to the new directory `to`, while commits go on.
    ///
    /// # Errors
    /// When `to` exists, or cannot be written.
    fn backup(&self, to: &Path) -> Result<Copied>;

    /// Frees the space of what was removed; with `thorough`, every removed byte is overwritten or its file unlinked.
    ///
    /// # Errors
    /// When reading or writing fails.
    fn compact(&self, thorough: bool) -> Result<()>;
}

/// The size of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, without the list of them.
    pub files: u64,
    /// Bytes in these files.
    pub bytes: u64,
}
