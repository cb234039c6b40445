//! The reading end: all segments from one position to another.

use std::{fmt, path::Path};

use tracing::error;

use super::{
    frame::{Header, Meta},
    segment::{HEADER, Position, Segment},
};
use crate::{engine::local::disk::Disk, error::Result};

/// All segments of a journal.
pub(in crate::engine::local) struct JournalReader {
    /// Ascending by number.
    pub(in crate::engine::local) segments: Vec<Segment>,
    /// Headers that are damaged.
    pub(in crate::engine::local) damage: Vec<Damage>,
}

/// A frame as it is read back.
pub(in crate::engine::local) struct FrameRead<'a> {
    pub(in crate::engine::local) header: &'a Header,
    pub(in crate::engine::local) meta: Meta<'a>,
    pub(in crate::engine::local) at: Position,
    /// Bytes of the journal that the walk has passed.
    pub(in crate::engine::local) passed: u64,
}

/// Where a walk through the journal ended.
#[derive(Debug, Default)]
pub(in crate::engine::local) struct JournalEnd {
    pub(in crate::engine::local) position: Position,
    /// The number of the frame that would come next.
    pub(in crate::engine::local) next_sequence: u64,
    pub(in crate::engine::local) damage: Vec<Damage>,
    /// Where unfinished writes begin.
    pub(in crate::engine::local) torn: Vec<Position>,
    /// Whether the newest segment has no frame.
    pub(in crate::engine::local) newest_is_empty: bool,
}

impl JournalReader {
    /// Reads the headers of all segments in `folder`.
    pub(in crate::engine::local) fn open(disk: &Disk, folder: &Path) -> Result<JournalReader> {
        let mut journal = JournalReader { segments: Vec::new(), damage: Vec::new() };
        for number in Segment::list(disk, folder)? {
            let (segment, is_whole) = Segment::read_header(disk, folder, number)?;
            if !is_whole {
                journal.damage.push(Damage::Bytes { segment: number, from: 0, to: HEADER });
            }
            journal.segments.push(segment);
        }
        Ok(journal)
    }

    /// Makes the newest segment durable. A process that was killed before its sync may have left frames that only the kernel
    /// has. What reads them relies on them: it writes rows, says where the segment ends, removes files of bodies.
    pub(in crate::engine::local) fn make_durable(&self) -> Result<()> {
        let Some(newest) = self.segments.last() else { return Ok(()) };
        let synced = newest.disk.open(&newest.path).and_then(|file| file.sync_data());
        synced.map_err(|e| newest.error(e))
    }

    /// Returns the segments that should follow `from` and are missing.
    pub(in crate::engine::local) fn missing(&self, from: Position) -> Vec<Damage> {
        let mut missing = Vec::new();
        let mut note = |first, last| {
            if first <= last {
                error!(first, last, "segments of the journal are missing");
                missing.push(Damage::Missing { first, last });
            }
        };
        let mut next = from.segment.max(1);
        for number in self.segments.iter().map(|segment| segment.number).filter(|n| *n >= from.segment) {
            note(next, number.saturating_sub(1));
            next = number.saturating_add(1);
        }
        // Nothing in the journal tells that the newest segment is missing; a view that has seen frames of it does.
        if from.offset > HEADER {
            note(next, from.segment);
        }
        missing
    }

    /// Returns the bytes of the segments from `from` on.
    pub(in crate::engine::local) fn size_from(&self, from: Position) -> u64 {
        self.segments.iter().filter(|s| s.number >= from.segment).map(|s| s.len().unwrap_or(0)).sum()
    }

    /// Returns where segment `i` ends, if a later one says so.
    fn end_of(&self, i: usize) -> Option<u64> {
        let segment = self.segments.get(i)?;
        let next = self.segments.get(i + 1)?;
        (next.previous.segment == segment.number).then_some(next.previous.offset)
    }

    /// Calls `each` with every whole frame from `from` on, up to `until` if the end is known.
    ///
    /// The damage in the result includes that of headers, also of segments before `from`.
    pub(in crate::engine::local) fn walk(
        &self,
        from: Position,
        until: Option<Position>,
        each: &mut dyn FnMut(FrameRead<'_>) -> Result<()>,
    ) -> Result<JournalEnd> {
        let mut end = JournalEnd { position: from, damage: self.damage.clone(), ..JournalEnd::default() };
        let mut done = 0;
        for (i, segment) in self.segments.iter().enumerate().filter(|(_, s)| s.number >= from.segment) {
            let number = segment.number;
            if until.is_some_and(|until| number > until.segment) {
                break;
            }
            let start = if number == from.segment { from.offset.max(HEADER) } else { HEADER };
            let known_end = match until {
                Some(until) if until.segment == number => Some(until.offset),
                _ => self.end_of(i),
            };
            let walked = segment.open()?.walk(start, known_end, &mut |offset, header, meta| {
                let at = Position { segment: number, offset };
                each(FrameRead { header, meta, at, passed: done + offset })
            })?;
            done += walked.end;
            end.damage.extend(walked.damage);
            end.position = Position { segment: number, offset: walked.end };
            end.torn.extend(walked.torn.then_some(end.position));
            end.next_sequence = walked.next_sequence;
            end.newest_is_empty = walked.end == HEADER && !walked.torn;
        }
        Ok(end)
    }
}

/// A part of the journal that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) enum Damage {
    /// The bytes `from..to` of a segment.
    Bytes { segment: u64, from: u64, to: u64 },
    /// All segments from `first` to `last`.
    Missing { first: u64, last: u64 },
    /// The block of the snapshot that begins at `offset`.
    Snapshot { offset: u64 },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Bytes { segment, from, .. } => write!(f, "journal segment {segment}, offset {from}"),
            Damage::Missing { first, last } if first == last => write!(f, "journal segment {first}"),
            Damage::Missing { first, last } => write!(f, "journal segments {first} to {last}"),
            Damage::Snapshot { offset } => write!(f, "journal snapshot, offset {offset}"),
        }
    }
}
