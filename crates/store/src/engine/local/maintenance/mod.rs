//! The maintenance thread owns everything that is done behind the journal: it writes rows as runs, merges runs, takes
//! snapshots, relocates bodies, removes files, rebuilds a damaged view. No other thread does any of that.
//!
//! Others speak to it through [`Requests`]. It serves some of them at once, also in the middle of a longer task: the writer
//! may be waiting for room in memory, and a check for a run. The rest waits until the task is done. When there is no
//! request, it looks every [`REVIEW`] for room that can be given back, and every [`RETRY`] if something could not be done.
//!
//! It has the writer do what only the writer may ([`Work`]: relocate, rotate, pause), and serves requests while it waits for
//! the answer. The two cannot wait for each other: the writer waits for one thing alone, and that is served at once.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use tracing::{error, info};

use self::{reclaim::Segments, requests::Request};
use super::{
    Shared,
    rebuild::{self, Sources},
    view::Run,
    work::{Answer, Work, refusal},
};
use crate::{
    engine::BodyId,
    error::{Error, ErrorKind, Result},
};

mod files;
pub(super) mod reclaim;
mod requests;
mod tidy;

pub(super) use requests::Requests;
use tidy::Reviewed;

/// How often the thread looks for room that can be given back. Nothing tells it that small mail was removed.
const REVIEW: Duration = Duration::from_secs(10);
/// How soon it tries again what could not be done.
const RETRY: Duration = Duration::from_secs(1);

/// The state of the maintenance thread.
pub(super) struct Maintainer {
    shared: Arc<Shared>,
    /// The newest snapshot.
    snapshot: Option<Arc<Run>>,
    segments: Segments,
    /// The state of the files when the last review found nothing to reclaim.
    reviewed: Option<Reviewed>,
    /// Bodies to which no record links any more, and whose files are not removed yet.
    unlinked: Vec<BodyId>,
    /// Rows were lost to damage: bytes that no row names may be all that is left of a message, and stay.
    has_lost_rows: bool,
    /// How many callers need that no file is removed.
    pins: usize,
    /// The number of the last question to the writer.
    question: u64,
    /// Requests that were taken from the inbox and not looked at.
    received: VecDeque<Request>,
    /// Requests that wait until the task under way is done.
    later: VecDeque<Request>,
    /// Requests that wait until nothing is pinned.
    unpinned: VecDeque<Request>,
}

impl Maintainer {
    /// Begins with what opening the store found: the newest snapshot, bodies in files to which no record links any more, and
    /// whether rows were lost.
    pub(super) fn new(
        shared: Arc<Shared>,
        snapshot: Option<Arc<Run>>,
        unlinked: Vec<BodyId>,
        has_lost_rows: bool,
    ) -> Maintainer {
        Maintainer {
            shared,
            snapshot,
            segments: Segments::default(),
            reviewed: None,
            // Lost rows may have had links to these bodies.
            unlinked: if has_lost_rows { Vec::new() } else { unlinked },
            has_lost_rows,
            pins: 0,
            question: 0,
            received: VecDeque::new(),
            later: VecDeque::new(),
            unpinned: VecDeque::new(),
        }
    }

    /// Works until the inbox is closed and empty, then leaves everything in order for the next start.
    pub(super) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        self.sweep();
        loop {
            let pause = if self.maintain() { REVIEW } else { RETRY };
            if self.received.is_empty() && self.later.is_empty() {
                match self.shared.maintenance.take_within(pause) {
                    Some(requests) => self.accept(requests),
                    None => break,
                }
            }
            self.receive_all();
            while let Some(request) = self.later.pop_front() {
                self.serve(request);
            }
        }
        self.finish();
    }

    /// Whether a request waits until nothing is pinned.
    #[cfg(test)]
    pub(super) fn keeps_requests(&self) -> bool {
        !self.unpinned.is_empty()
    }

    /// Whether no request waits, not even in the inbox.
    #[cfg(test)]
    pub(super) fn has_nothing_to_do(&self) -> bool {
        self.received.is_empty() && self.later.is_empty() && self.shared.maintenance.take_now().is_empty()
    }

    /// Does what there is to do; `false` if some of it has to be tried again.
    pub(super) fn maintain(&mut self) -> bool {
        if let Err(e) = self.rebuild_view()
            && e.kind() != ErrorKind::Closed
        {
            error!(error = %e, "cannot rebuild the view");
        }
        let flushed = self.flush_frozen();
        let has_room = self.shared.reserve.hold();
        if let Err(e) = flushed.and_then(|()| self.tidy(has_room)) {
            self.shared.note_damage(&e);
            if e.kind() != ErrorKind::Closed {
                error!(error = %e, "cannot maintain the store's files; trying again");
            }
            return false;
        }
        has_room || self.shared.reserve.hold()
    }

    /// Leaves to the next start as little as possible. The writer has ended.
    fn finish(&mut self) {
        // A start that ended because it met damage must not meet it again.
        if self.shared.view_is_damaged.load(Ordering::Acquire)
            && let Err(e) = self.rebuild_unchanging_view()
        {
            error!(error = %e, "cannot rebuild the view at the end");
        }
        if self.pins == 0
            && let Err(e) = self.remove_unlinked()
        {
            error!(error = %e, "cannot remove the file of a body; the next start has to");
        }
        if let Err(e) = self.flush_all() {
            error!(error = %e, "cannot write the view at the end; the next start has to");
        }
    }
}

/// Requests.
impl Maintainer {
    /// Takes requests over from the inbox. Of removed bodies it has to know before it writes the rows that say so.
    fn accept(&mut self, requests: Vec<Request>) {
        for request in requests {
            match request {
                Request::RemoveFiles(bodies) => self.unlinked.extend(bodies),
                request => self.received.push_back(request),
            }
        }
    }

    /// Serves what cannot wait, and keeps the rest for later.
    fn receive_all(&mut self) {
        while let Some(request) = self.received.pop_front() {
            self.receive(request);
        }
    }

    fn receive(&mut self, request: Request) {
        match request {
            // The caller may be gone.
            Request::Flush(reply) => drop(reply.send(self.flush_frozen())),
            Request::FlushAll(reply) => drop(reply.send(self.flush_all())),
            Request::Unpin => {
                self.pins = self.pins.saturating_sub(1);
                if self.pins == 0 {
                    self.later.append(&mut self.unpinned);
                }
            }
            // An answer without a waiter belongs to a question that was given up.
            Request::Wake | Request::Answer { .. } => {}
            request => self.later.push_back(request),
        }
    }

    /// Serves a request between two tasks.
    fn serve(&mut self, request: Request) {
        match request {
            Request::Compact(..) if self.pins > 0 => self.unpinned.push_back(request),
            Request::Compact(thorough, reply) => drop(reply.send(self.compact(thorough))),
            Request::RebuildView(reply) => drop(reply.send(self.rebuild_view())),
            Request::Pin(reply) => self.pins += usize::from(reply.send(()).is_ok()),
            #[cfg(test)]
            Request::Run(work) => work(self),
            request => self.receive(request),
        }
    }

    /// To be called now and then during longer tasks: serves what cannot wait, and writes rows that were set aside, so that
    /// the writer need not wait for that.
    fn attend(&mut self) -> Result<()> {
        let requests = self.shared.maintenance.take_now();
        self.accept(requests);
        self.receive_all();
        self.flush_frozen()
    }

    /// Has the writer do something, and serves what cannot wait until it has answered.
    fn ask_writer(&mut self, work: impl FnOnce(Answer) -> Work) -> Result<()> {
        self.question += 1;
        let asked = self.question;
        let answer = Answer::new(asked, Arc::clone(&self.shared.maintenance));
        // Work that the writer does not take is answered when it is dropped here. That answer must not stay in the inbox: it
        // would wake this thread, which would ask again.
        let is_closed = self.shared.work.push(work(answer)).is_err();
        loop {
            match self.received.pop_front() {
                Some(Request::Answer { question, result }) if question == asked => {
                    let closed = || Error::new(ErrorKind::Closed, "the store is closed");
                    return if is_closed { Err(closed()) } else { result.map_err(Error::from) };
                }
                Some(request) => self.receive(request),
                None => {
                    let requests = self.shared.maintenance.take()?;
                    self.accept(requests);
                }
            }
        }
    }

    /// Has the writer stand still until the result is dropped.
    pub(super) fn pause_writer(&mut self) -> Result<mpsc::Sender<()>> {
        let (end, ended) = mpsc::channel();
        self.ask_writer(|answer| Work::Pause(answer, ended))?;
        Ok(end)
    }
}

/// The view.
impl Maintainer {
    /// Writes the rows that were set aside, if there are any.
    pub(super) fn flush_frozen(&mut self) -> Result<()> {
        if !self.shared.view.pressure().has_frozen {
            return Ok(());
        }
        self.settle_unlinked();
        let flushed = match self.shared.view.flush() {
            // Mail that is acknowledged comes before mail that might come.
            Err(e) if e.kind() == ErrorKind::Full && self.shared.reserve.release() => {
                self.shared.view.flush()
            }
            flushed => flushed,
        };
        let failure = flushed.as_ref().err().map(|e| refusal(e.kind() == ErrorKind::Full));
        *self.shared.flush_failure.lock() = failure;
        flushed
    }

    /// Writes all rows that are in memory.
    pub(super) fn flush_all(&mut self) -> Result<()> {
        self.flush_frozen()?;
        self.shared.view.freeze();
        self.flush_frozen()
    }

    /// Rebuilds the view if it is damaged. The writer stands still meanwhile: nothing is decided on half a view.
    fn rebuild_view(&mut self) -> Result<()> {
        if !self.shared.view_is_damaged.load(Ordering::Acquire) {
            return Ok(());
        }
        let _paused = self.pause_writer()?;
        self.rebuild_unchanging_view()
    }

    /// Rebuilds the view while the writer stands still, or has ended.
    fn rebuild_unchanging_view(&mut self) -> Result<()> {
        info!("the view is damaged: rebuilding it from the journal");
        self.settle_unlinked();
        let shared = &self.shared;
        let sources = Sources::open(&shared.disk, &shared.settings.journal)?;
        if !sources.has_beginning() {
            let text = "the snapshot is lost: what is whole of the view is more than the journal has";
            return Err(Error::new(ErrorKind::Damaged, text));
        }
        let has_lost_rows = &mut self.has_lost_rows;
        shared.view.rebuild(&mut |fresh| {
            let until = Some(shared.position());
            let replayed = sources.rebuild(fresh, until, rebuild::TABLE_WHILE_SERVING, &|_| {})?;
            *has_lost_rows |= !replayed.end.damage.is_empty();
            Ok(())
        })?;
        shared.view_is_damaged.store(false, Ordering::Release);
        // Rows that were set aside are in the new view.
        *shared.flush_failure.lock() = None;
        Ok(())
    }
}

/// Fails all requests when the thread ends, even by a panic, so that callers cannot block for ever.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.maintenance.abandon();
    }
}
