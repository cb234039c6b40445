//! The engine on the disk of this machine: a journal is the truth, everything else can be made from it.

use std::{fmt, path::Path, sync::Arc};

use super::memory::Memory;
use crate::error::{Error, ErrorKind, Result};

/// How a data directory is opened.
#[derive(Default)]
pub struct Options {
    /// Told how far a rebuild of the view has come.
    pub progress: Option<Box<dyn Fn(Progress) + Send + Sync>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Octets of the journal and its snapshot read so far.
    pub done: u64,
    /// Octets to read in all.
    pub total: u64,
}

/// The local engine.
#[derive(Debug)]
pub struct Local;

impl Local {
    /// Opens the data directory `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// As for [`Store::open`](crate::Store::open).
    pub fn open(dir: &Path, _options: Options) -> Result<Arc<Memory>> {
        Err(Error::new(ErrorKind::Failed, format!("{}: the engine on disk is being built", dir.display())))
    }
}
