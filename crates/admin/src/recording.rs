//! A console for tests, which keeps what a verb writes.

use crate::console::{Console, ExportFile, ImportHead, Remarks};
use anyhow::Result;

/// Keeps every write, and has nothing to import.
#[derive(Default)]
pub(crate) struct Recording<'a> {
    /// The writes to standard output.
    pub(crate) printed: Vec<Vec<u8>>,
    /// The content of all files, one after the other.
    pub(crate) files: Vec<u8>,
    /// Runs after the first write to a file.
    pub(crate) after_write: Option<Box<dyn FnOnce() + 'a>>,
}

impl Console for Recording<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.printed.push(bytes.to_vec());
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn file(&mut self, _: Option<&ExportFile>) -> Result<()> {
        Ok(())
    }

    fn write_file(&mut self, bytes: &[u8]) -> Result<()> {
        self.files.extend(bytes);
        if let Some(run) = self.after_write.take() {
            run();
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<ImportHead>> {
        Ok(None)
    }

    fn read(&mut self, _: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn remarks(&mut self) -> Remarks {
        Remarks::default()
    }
}
