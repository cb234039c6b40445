//! Reclaims the space of removed mail: removes segments in which nothing is live, relocates what is live in others, and on a
//! full disk makes holes in segments.
//!
//! A pass costs one look at each segment in memory. Only chosen segments are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use tracing::{error, info};

use super::Maintainer;
use crate::{
    engine::local::{
        Shared,
        apply::body_places,
        bodyrow::{self, BodyRow},
        journal::{self, Position, Segment, frame},
        read_inline,
        view::CachedReader,
        work::{RelocatedBody, Work},
    },
    error::{Error, Result},
};

/// A segment of which less than this is live (in hundredths) is relocated: its bodies are written again, further on.
pub(in crate::engine::local) const SPARSE: u64 = 60;
/// Relocates every segment: more than everything can never be live.
pub(in crate::engine::local) const ALL: u64 = 101;
/// An ended segment with less than this share of a full one is small. Each opening of the store leaves one.
const SMALL: u64 = 8;
/// Small segments are joined once there are this many (our own limit: bounds how many files the journal has, and how
/// often a body is written again for that).
pub(in crate::engine::local) const JOIN: usize = 32;
/// Bytes that are relocated in one frame.
const CHUNK: usize = 1024 * 1024;
/// Dead bodies below this size are not punched out of a segment: no whole block of the file system would be freed.
const HOLE_MIN: u64 = 4096;
/// On a full disk the current segment is ended, to be cleared up, once it has this share of a full one.
const ROTATE_MIN: u64 = 16;

/// The segments that have ended: none of them ever grows.
#[derive(Default)]
pub(super) struct Segments {
    /// Bytes of each.
    sizes: BTreeMap<u64, u64>,
    /// Segments before this one are known.
    next: u64,
    /// Segments with bodies that could not be read. They stay, so that a check can name what was lost.
    damaged: BTreeSet<u64>,
    /// Live bytes of each when its dead bodies were last punched out.
    punched: BTreeMap<u64, u64>,
}

impl Segments {
    /// Notes the segments that have ended since.
    pub(super) fn refresh(&mut self, shared: &Shared) -> Result<()> {
        let current = shared.position().segment;
        let ended = match self.next {
            0 => Segment::list(&shared.disk, &shared.settings.journal)?,
            next => (next..current).collect(),
        };
        for number in ended.into_iter().filter(|number| *number < current) {
            let path = Segment::path(&shared.settings.journal, number);
            match shared.disk.len(&path) {
                Ok(len) => drop(self.sizes.insert(number, len)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io(path.display().to_string(), e)),
            }
        }
        self.next = current;
        Ok(())
    }

    /// The oldest segment that is there.
    pub(super) fn first(&self) -> Option<u64> {
        self.sizes.keys().next().copied()
    }

    /// Bytes that a snapshot which covers the segments from `from` up to, and without, `to` would let go.
    pub(super) fn dead(&self, from: u64, to: u64, live: &BTreeMap<u64, u64>) -> u64 {
        let dead = |(number, size): (&u64, &u64)| {
            let live = live.get(number).copied().unwrap_or(0);
            if live * 100 < size * SPARSE { size - live } else { 0 }
        };
        self.sizes.range(from..to.max(from)).map(dead).sum()
    }

    /// How many of the segments from `from` up to, and without, `to` are small.
    pub(super) fn small(&self, from: u64, to: u64, segment_size: u64) -> usize {
        self.sizes.range(from..to.max(from)).filter(|(_, size)| is_small(**size, segment_size)).count()
    }

    /// The segments before `until` to relocate, those first that need the least room for it.
    fn chosen(&self, until: u64, live: &BTreeMap<u64, u64>, sparse: u64, segment_size: u64) -> Vec<u64> {
        let live = |number: &u64| live.get(number).copied().unwrap_or(0);
        let has_some = |(number, _): &(&u64, &u64)| live(number) > 0 && !self.damaged.contains(number);
        let whole = || self.sizes.range(..until).filter(has_some);
        let joins = whole().filter(|(_, size)| is_small(**size, segment_size)).count() >= JOIN;
        let is_chosen = |(number, size): &(&u64, &u64)| {
            live(number) * 100 < *size * sparse || (joins && is_small(**size, segment_size))
        };
        let mut chosen: Vec<u64> = whole().filter(is_chosen).map(|(number, _)| *number).collect();
        chosen.sort_by_key(live);
        chosen
    }

    fn remove(&mut self, shared: &Shared, number: u64) -> Result<()> {
        shared.disk.remove(&Segment::path(&shared.settings.journal, number))?;
        self.sizes.remove(&number);
        self.punched.remove(&number);
        Ok(())
    }
}

fn is_small(size: u64, segment_size: u64) -> bool {
    size < segment_size / SMALL
}

/// Whole segments.
impl Maintainer {
    /// Removes the segments in which nothing is live. This needs no room.
    pub(super) fn remove_dead_segments(&mut self) -> Result<()> {
        // Segments that the snapshot does not reflect are needed to rebuild the view.
        let Some(until) = self.snapshot_position().map(|position| position.segment) else { return Ok(()) };
        self.segments.refresh(&self.shared)?;
        let live = self.shared.view.live();
        let is_dead = |number: &u64| live.get(number).is_none_or(|live| *live == 0);
        let ended = self.segments.sizes.range(..until).map(|(number, _)| *number);
        let dead = ended.filter(is_dead).collect();
        self.remove_dead(dead)
    }

    /// Removes those of the segments in which nothing is live by now.
    fn remove_dead(&mut self, numbers: Vec<u64>) -> Result<()> {
        if self.has_lost_rows {
            return Ok(());
        }
        let live = self.shared.view.live();
        let mut dead = numbers.into_iter().filter(|number| live.get(number).is_none_or(|live| *live == 0));
        dead.try_for_each(|number| self.segments.remove(&self.shared, number))
    }

    /// Removes segments in which nothing is live, and relocates what is live in those that are sparse (of which less than
    /// `sparse` hundredths are live), and in small ones where there are many.
    pub(super) fn reclaim(&mut self, sparse: u64) -> Result<()> {
        // These make room, which relocating needs.
        self.remove_dead_segments()?;
        let Some(until) = self.snapshot_position().map(|position| position.segment) else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        let live = shared.view.live();
        let mut relocation = Relocation { rows: shared.view.cached_reader(), waiting: Vec::new(), bytes: 0 };
        let mut emptied = Vec::new();
        for number in self.segments.chosen(until, &live, sparse, shared.settings.segment_size) {
            if !relocation.take(self, number)? {
                self.segments.damaged.insert(number);
            }
            emptied.push(number);
            if relocation.waiting.is_empty() {
                self.remove_dead(std::mem::take(&mut emptied))?;
            }
        }
        relocation.send(self)?;
        self.remove_dead(emptied)
    }
}

/// Bodies on their way to the current segment. Those of several small segments share a frame.
struct Relocation<'a> {
    rows: Box<dyn CachedReader + 'a>,
    waiting: Vec<RelocatedBody>,
    bytes: usize,
}

impl Relocation<'_> {
    /// Takes all live bodies of a segment; `false` if some could not be read.
    fn take(&mut self, maintainer: &mut Maintainer, number: u64) -> Result<bool> {
        let shared = Arc::clone(&maintainer.shared);
        let (segment, _) = Segment::read_header(&shared.disk, &shared.settings.journal, number)?;
        let opened = shared.disk.open(&segment.path);
        let file = opened.map_err(|e| Error::io(segment.path.display().to_string(), e))?;
        let mut is_whole = true;
        let damage = each_body(&segment, &mut |entry, place| {
            let row = self.rows.get(&bodyrow::key(entry.id))?.and_then(|raw| BodyRow::decode(&raw));
            let Some(row) = row.filter(|row| row.place == Some(place)) else { return Ok(()) };
            match read_inline(&file, &segment.path, &row, place) {
                Ok(bytes) => {
                    self.bytes += bytes.len();
                    self.waiting.push(RelocatedBody { id: entry.id, from: place, crc: row.crc, bytes });
                }
                Err(e) => {
                    error!(body = entry.id.get(), error = %e, "a body is damaged");
                    is_whole = false;
                }
            }
            if self.bytes >= CHUNK { self.send(maintainer) } else { Ok(()) }
        })?;
        Ok(is_whole && !damage)
    }

    /// Has the writer write what waits.
    fn send(&mut self, maintainer: &mut Maintainer) -> Result<()> {
        self.bytes = 0;
        match std::mem::take(&mut self.waiting) {
            waiting if waiting.is_empty() => Ok(()),
            waiting => maintainer.ask_writer(|answer| Work::Relocate(waiting, answer)),
        }
    }
}

/// Calls `each` with every body that stands in an ended segment, and its place. Returns whether the segment is damaged.
fn each_body(
    segment: &Segment,
    each: &mut dyn FnMut(&frame::TableEntry, Position) -> Result<()>,
) -> Result<bool> {
    let reader = segment.open()?;
    let walked = reader.walk(journal::HEADER, Some(reader.len()?), &mut |offset, header, meta| {
        let offset = offset + frame::HEADER as u64 + u64::from(header.meta_len);
        let placed = body_places(&meta.table, Position { segment: segment.number, offset });
        placed.iter().filter(|(entry, _)| entry.inline).try_for_each(|(entry, place)| each(entry, *place))
    })?;
    Ok(!walked.damage.is_empty())
}

/// Parts of segments.
impl Maintainer {
    /// On a full disk: ends the current segment, and gives the blocks of dead bodies in ended segments back to the file
    /// system. Unlike everything else here this needs hardly any room.
    pub(super) fn punch(&mut self) -> Result<()> {
        if self.has_lost_rows {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let is_worth_it = shared.position().offset >= shared.settings.segment_size / ROTATE_MIN;
        // Where there is no room for the next segment, those that have ended come first, and make some.
        let ended = if is_worth_it { self.ask_writer(Work::Rotate) } else { Ok(()) };
        self.segments.refresh(&shared)?;
        let live = shared.view.live();
        let live = |number: &u64| live.get(number).copied().unwrap_or(0);
        let changed = |number: &u64| self.segments.punched.get(number) != Some(&live(number));
        let numbers: Vec<u64> = self.segments.sizes.keys().copied().filter(changed).collect();
        for number in numbers {
            let freed = punch_segment(&shared, number)?;
            self.segments.punched.insert(number, live(&number));
            if freed > 0 {
                info!(segment = number, bytes = freed, "gave back the room of removed mail within a segment");
            }
        }
        ended
    }
}

/// Punches dead bodies out of a segment; returns how many bytes that gave back.
fn punch_segment(shared: &Shared, number: u64) -> Result<u64> {
    let (segment, _) = Segment::read_header(&shared.disk, &shared.settings.journal, number)?;
    let io = |e| Error::io(segment.path.display().to_string(), e);
    let file = shared.disk.open_for_writing(&segment.path).map_err(io)?;
    let mut rows = shared.view.cached_reader();
    let mut freed = 0;
    each_body(&segment, &mut |entry, place| {
        if entry.len < HOLE_MIN {
            return Ok(());
        }
        let row = rows.get(&bodyrow::key(entry.id))?.and_then(|raw| BodyRow::decode(&raw));
        if row.is_none_or(|row| row.place != Some(place)) {
            file.punch(place.offset, entry.len).map_err(io)?;
            freed += entry.len;
        }
        Ok(())
    })?;
    Ok(freed)
}
