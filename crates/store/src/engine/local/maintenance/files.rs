//! Files of bodies to which no record links any more.

use tracing::error;

use super::Maintainer;
use crate::{
    engine::{BodyId, local::bodyrow},
    error::{Error, Result},
};

impl Maintainer {
    /// Removes the files of unlinked bodies. One that cannot be removed now is tried again.
    pub(super) fn remove_unlinked(&mut self) -> Result<()> {
        let bodies = &self.shared.bodies;
        let is_left = |id: &BodyId| bodies.remove(*id).map_err(|e| (*id, e)).err();
        let (left, mut errors): (Vec<_>, Vec<Error>) = self.unlinked.iter().filter_map(is_left).unzip();
        self.unlinked = left;
        errors.pop().map_or(Ok(()), Err)
    }

    /// To be called before rows are written as a run: once the run says that bodies are gone, no replay names them again. So
    /// this removes their files; it marks those that must stay for now, and the next start removes them if this process does
    /// not.
    pub(super) fn settle_unlinked(&mut self) {
        // Rows that were set aside came after the requests to remove the files that they no longer name.
        let requests = self.shared.maintenance.take_now();
        self.accept(requests);
        if self.pins == 0
            && let Err(e) = self.remove_unlinked()
        {
            error!(error = %e, "cannot remove the file of a body; trying again");
        }
        for id in &self.unlinked {
            if let Err(e) = self.shared.bodies.mark_unlinked(*id) {
                error!(body = id.get(), error = %e, "cannot mark a file that is to be removed");
            }
        }
    }

    /// Removes files of bodies that no row names: of messages that the opening before this one never committed. Older openings
    /// were followed by one that did the same; if such files are still there, damage has lost their rows.
    pub(super) fn sweep(&mut self) {
        if self.has_lost_rows {
            return;
        }
        if let Err(e) = self.remove_unnamed() {
            self.shared.note_damage(&e);
            error!(error = %e, "cannot look for files that no row names");
        }
    }

    fn remove_unnamed(&self) -> Result<()> {
        for id in self.shared.bodies.list()? {
            let is_of_the_last = id.generation() + 1 == self.shared.settings.generation;
            if is_of_the_last && self.shared.view.get(&bodyrow::key(id))?.is_none() {
                self.shared.bodies.remove(id)?;
            }
        }
        Ok(())
    }
}
