//! The requests of other threads to the maintenance thread, and its answers.

use std::{sync::mpsc, time::Duration};

#[cfg(test)]
use super::Maintainer;
use crate::{
    engine::{BodyId, CommitError, local::inbox::Inbox},
    error::{Error, ErrorKind, Result},
};

/// Where the maintenance thread answers.
pub(super) type Reply<T> = mpsc::SyncSender<T>;

/// A message to the maintenance thread.
pub(super) enum Request {
    /// Something has changed: look for what there is to do.
    Wake,
    /// The files of these bodies can be removed.
    RemoveFiles(Vec<BodyId>),
    /// From the writer: the result of work number `question`.
    Answer {
        question: u64,
        result: std::result::Result<(), CommitError>,
    },
    /// Write the rows that were set aside as a run.
    Flush(Reply<Result<()>>),
    /// Write all rows in memory as runs.
    FlushAll(Reply<Result<()>>),
    /// Rebuild the view if it is damaged.
    RebuildView(Reply<Result<()>>),
    /// Make room, all that can be had; `true` is for every removed byte.
    Compact(bool, Reply<Result<()>>),
    /// Remove no file of the journal and no body until [`Request::Unpin`].
    Pin(Reply<()>),
    Unpin,
    #[cfg(test)]
    Run(Box<dyn FnOnce(&mut Maintainer) + Send>),
}

/// The inbox of the maintenance thread, and what can be put into it.
#[derive(Default)]
pub(in crate::engine::local) struct Requests(Inbox<Request>);

/// While this lives, no file of the journal and no body is removed.
pub(in crate::engine::local) struct Pin<'a>(&'a Requests);

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.0.tell(Request::Unpin);
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed")
}

/// Messages that wait for nothing.
impl Requests {
    /// Does nothing once the store is closed.
    fn tell(&self, request: Request) {
        let _ = self.0.push(request);
    }

    /// Has the thread look for what there is to do.
    pub(in crate::engine::local) fn wake(&self) {
        self.tell(Request::Wake);
    }

    /// Has the files of `bodies` removed when that is convenient.
    pub(in crate::engine::local) fn remove_files(&self, bodies: Vec<BodyId>) {
        if !bodies.is_empty() {
            self.tell(Request::RemoveFiles(bodies));
        }
    }

    /// The writer's answer to question number `question`.
    pub(in crate::engine::local) fn answer(
        &self,
        question: u64,
        result: std::result::Result<(), CommitError>,
    ) {
        self.tell(Request::Answer { question, result });
    }
}

/// Requests that block until they are answered; `Closed` if the store is closed before.
impl Requests {
    fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.0.push(request(reply)).map_err(|_| closed())?;
        answer.recv().map_err(|_| closed())
    }

    /// Has the rows written that were set aside.
    pub(in crate::engine::local) fn flush(&self) -> Result<()> {
        self.ask(Request::Flush)?
    }

    /// Has all rows in memory written.
    pub(in crate::engine::local) fn flush_all(&self) -> Result<()> {
        self.ask(Request::FlushAll)?
    }

    /// Has the view rebuilt if it is damaged.
    pub(in crate::engine::local) fn rebuild_view(&self) -> Result<()> {
        self.ask(Request::RebuildView)?
    }

    /// As [`Maintenance::compact`](crate::engine::Maintenance::compact).
    pub(in crate::engine::local) fn compact(&self, thorough: bool) -> Result<()> {
        self.ask(|reply| Request::Compact(thorough, reply))?
    }

    /// Keeps files from being removed.
    pub(in crate::engine::local) fn pin(&self) -> Result<Pin<'_>> {
        self.ask(Request::Pin)?;
        Ok(Pin(self))
    }

    /// Has the thread run `work`.
    #[cfg(test)]
    pub(in crate::engine::local) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Maintainer) -> T + Send + 'static,
    ) -> T {
        let run =
            |reply: Reply<T>| Request::Run(Box::new(move |maintainer| drop(reply.send(work(maintainer)))));
        self.ask(run).unwrap()
    }
}

/// The end of the thread itself.
impl Requests {
    pub(super) fn take(&self) -> Result<Vec<Request>> {
        self.0.take().ok_or_else(closed)
    }

    pub(super) fn take_within(&self, at_most: Duration) -> Option<Vec<Request>> {
        self.0.take_within(at_most)
    }

    pub(super) fn take_now(&self) -> Vec<Request> {
        self.0.take_now()
    }

    /// Lets the thread finish what it was asked for, and end.
    pub(in crate::engine::local) fn close(&self) {
        self.0.close();
    }

    /// Fails what the thread will never do.
    pub(super) fn abandon(&self) {
        self.0.abandon();
    }
}
