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

    /// Before a run is written that has the rows of unlinked bodies no more: no replay will name these bodies again. So their
    /// files are removed first; those that must stay for now are marked, and the next start removes them if this process
    /// does not.
    pub(super) fn settle_unlinked(&mut self) {
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
