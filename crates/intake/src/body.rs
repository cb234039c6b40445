//! The bytes of a message on their way from the session to the store. The header stays in memory until it is complete, loses
//! the fields that must not stay, and is written; the body passes through.

use message::{HeaderScan, MAX_HEADER_SIZE, Scanned};
use smtpserver::{Refusal, replies};
use std::sync::Arc;
use store::{Body, BodyWriter, Pending};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of its header that every message may have in memory. Few headers are larger.
const SMALL_HEADER: usize = 32 * 1024;
/// Bytes of headers beyond [`SMALL_HEADER`], for all messages that arrive at the same time. When they are used up, further
/// large headers are refused temporarily.
const LARGE_HEADERS: usize = 32 * 1024 * 1024;

/// The memory for large headers, shared by all messages.
#[derive(Debug, Clone)]
pub(crate) struct HeaderRoom(Arc<Semaphore>);

impl Default for HeaderRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_HEADERS)))
    }
}

/// A message that is arriving.
#[derive(Debug)]
pub(crate) struct Arriving {
    scan: HeaderScan,
    header: Vec<u8>,
    room: HeaderRoom,
    /// The part of the shared room that this header uses.
    taken: Option<OwnedSemaphorePermit>,
    complete: bool,
    writer: BodyWriter,
}

/// What happened to a piece of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The piece was all header or all body.
    Passed,
    /// The header ended in this piece; this many bytes at its end are body.
    HeaderEnds(usize),
}

impl Arriving {
    pub(crate) fn new(writer: BodyWriter, room: &HeaderRoom) -> Self {
        Self {
            scan: HeaderScan::new(MAX_HEADER_SIZE),
            header: Vec::new(),
            room: room.clone(),
            taken: None,
            complete: false,
            writer,
        }
    }

    /// Takes the next bytes. When the header ends in them, the caller must call [`Arriving::write_header`], and then
    /// [`Arriving::write_body`] with the rest.
    pub(crate) async fn push(&mut self, piece: &[u8]) -> Result<Piece, Refusal> {
        if self.complete {
            self.write_body(piece).await?;
            return Ok(Piece::Passed);
        }
        match self.scan.push(piece) {
            Scanned::More => {
                self.grow(piece)?;
                Ok(Piece::Passed)
            }
            Scanned::End(at) => {
                let (head, rest) = piece.split_at_checked(at).unwrap_or((piece, &[]));
                self.grow(head)?;
                self.complete = true;
                Ok(Piece::HeaderEnds(rest.len()))
            }
            Scanned::TooLarge(_) => {
                (self.header, self.taken) = (Vec::new(), None);
                Err(Refusal::with(replies::BAD_AUTHOR, "header too large"))
            }
        }
    }

    /// Appends to the header, if there is room.
    fn grow(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let has = SMALL_HEADER + self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacks = (self.header.len() + piece.len()).saturating_sub(has);
        if lacks > 0 {
            // Headers are bounded by MAX_HEADER_SIZE, so the conversion never fails.
            let lacks = u32::try_from(lacks).unwrap_or(u32::MAX);
            let Ok(more) = Arc::clone(&self.room.0).try_acquire_many_owned(lacks) else {
                (self.header, self.taken) = (Vec::new(), None);
                return Err(Refusal::new(replies::BUSY));
            };
            match &mut self.taken {
                Some(taken) => taken.merge(more),
                none => *none = Some(more),
            }
        }
        self.header.extend_from_slice(piece);
        Ok(())
    }

    /// The header, with its empty line once it is complete.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    /// Writes the header without the fields for which `drops` returns true. [`Arriving::header`] then lacks them too. The
    /// result is ready when the writer can take more.
    pub(crate) fn write_header(
        &mut self,
        drops: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Pending<store::Result<()>> {
        let kept = message::without_fields(&self.header, drops);
        if !matches!(kept.as_slice(), [all] if all.len() == self.header.len()) {
            let parts = kept.into_iter().filter_map(|range| self.header.get(range));
            self.header = parts.collect::<Vec<_>>().concat();
        }
        self.writer.write(&self.header)
    }

    /// Writes bytes of the body. Waits for a slow disk, and so slows the client down.
    pub(crate) async fn write_body(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.writer.write(piece).await.map_err(|e| not_kept(&e))
    }

    /// Ends the message. Returns its header as it was written, and the whole message for the store.
    pub(crate) fn finish(self) -> (Vec<u8>, Body) {
        (self.header, self.writer.finish())
    }

    /// Has the header ended? If not at the end of the message, it has no body.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }
}

/// The reply when the store cannot keep a message or part of one. Logs the reason.
pub(crate) fn not_kept(error: &store::Error) -> Refusal {
    tracing::error!(%error, "cannot keep a message");
    clients_concern(error).unwrap_or_else(|| Refusal::new(replies::NOT_DELIVERED))
}

/// The reply for a reason that the client can react to, if only by waiting.
pub(crate) fn clients_concern(error: &store::Error) -> Option<Refusal> {
    use store::ErrorKind;
    match error.kind() {
        ErrorKind::Full => Some(Refusal::new(replies::SYSTEM_FULL)),
        ErrorKind::OverQuota => Some(Refusal::new(replies::QUOTA)),
        // Too many recipients with large records. Another attempt would be as large.
        ErrorKind::TooLarge => Some(Refusal::new(replies::MESSAGE_TOO_LARGE)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_log_says_why_a_message_is_not_kept() {
        let nowhere = std::path::Path::new("/dev/null/data");
        let Err(error) = store::Store::open(nowhere, store::Options::default()) else { panic!("it opened") };
        let log = Memory::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let refusal = tracing::subscriber::with_default(lines, || not_kept(&error));
        assert_eq!(refusal.to_string(), "451 4.3.0 error delivering message");
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.contains("ERROR") && log.contains(&error.to_string()), "{log}");
    }
}
