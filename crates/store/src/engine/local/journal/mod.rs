//! The journal: the truth from which everything else can be rebuilt. Its format is in docs/store-format.md.
//!
//! [`frame`] has the format of a frame, [`segment`] that of a segment's header. [`JournalWriter`] appends frames; a
//! [`JournalReader`] reads them back, and names what is damaged. Neither knows what frames mean: see
//! [`apply`](super::apply).

pub(super) mod frame;
mod reader;
mod segment;
mod walk;
mod writer;

pub(super) use reader::{Damage, FrameRead, JournalEnd, JournalReader};
pub(super) use segment::{FOLDER, HEADER, Position, Segment};
pub(super) use writer::{Frame, JournalWriter, Start};
