//! One log that several processes may append to, and a folder of large bodies.
//!
//! Each operation locks the log, reads what others have appended since, and answers from maps in memory. Written to be
//! read in one sitting, not to be fast: it syncs once for each batch, and keeps all rows in memory.
//!
//! A record of the log is its payload's length and CRC-32C (32 bits each, little-endian), then the payload. An empty
//! payload is an opening. Else it begins with the number of bodies that the batch brings, 32 bits; then for each of them
//! its number and length (64 bits each), whether it is a file (one byte), and its bytes if it is none; and the
//! operations.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Write},
    ops::Bound,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use store::{
    Body, BodyId, BodyWriter, Error, ErrorKind, Pending, Result,
    engine::{
        Batch, BodyContent, BodySink, CommitError, Direction, Engine, KeyRange, Op, OpsIter, Page,
        PlacedBody, Precondition, ReadRows, Stamps,
    },
};

/// Larger bodies become files.
const INLINE_MAX: usize = 64 * 1024;
/// Bytes of a file that are read at once.
const PIECE: u64 = 256 * 1024;

/// One opening of the log.
pub(crate) struct LogEngine {
    dir: PathBuf,
    log: Mutex<Log>,
    stamps: Stamps,
}

struct Log {
    file: File,
    is_closed: bool,
    /// The log is read up to here.
    end: u64,
    openings: u64,
    state: State,
}

#[derive(Clone, Default)]
struct State {
    rows: BTreeMap<Bytes, Bytes>,
    bodies: HashMap<BodyId, Stored>,
}

#[derive(Clone)]
struct Stored {
    links: u32,
    len: u64,
    /// `None` for a file.
    bytes: Option<Bytes>,
}

impl LogEngine {
    pub(crate) fn open(dir: &Path) -> Result<Arc<LogEngine>> {
        let path = dir.join("log");
        let io = |e| Error::io(path.display().to_string(), e);
        let file = File::options().create(true).append(true).read(true).open(&path).map_err(io)?;
        let mut log = Log { file, is_closed: false, end: 0, openings: 0, state: State::default() };
        log.locked(|log| log.append(&[])).map_err(io)?;
        let stamps = Stamps::new(log.openings);
        Ok(Arc::new(LogEngine { dir: dir.to_path_buf(), log: Mutex::new(log), stamps }))
    }

    /// Reads the state that all handles have written so far.
    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T> {
        let mut log = self.log.lock();
        log.locked(|_| Ok(())).map_err(|e| Error::io("the log", e))?;
        Ok(read(&log.state))
    }

    fn decide(&self, mut batch: Batch) -> std::result::Result<(), CommitError> {
        batch.prepare()?;
        let mut log = self.log.lock();
        let decided = log.locked(|log| {
            if log.is_closed {
                return Ok(Err(CommitError::Failed));
            }
            let bodies = match log.state.decide(&batch) {
                Ok(bodies) => bodies,
                Err(refusal) => return Ok(Err(refusal)),
            };
            log.append(&payload(&bodies, batch.ops.as_bytes()))?;
            for body in bodies {
                body.set_stored();
                body.placed::<PlacedFile>().inspect(|file| file.is_kept.store(true, Ordering::Release));
            }
            for (id, _) in batch
                .ops
                .iter()
                .links()
                .iter()
                .filter(|(id, n)| **n < 0 && !log.state.bodies.contains_key(id))
            {
                let _ = fs::remove_file(file_of(&self.dir, *id));
            }
            Ok(Ok(()))
        });
        // Whether an append that failed is in the log is found out with a token.
        decided.unwrap_or(Err(CommitError::Unknown))
    }
}

impl Log {
    /// Does something with the log locked, and everything in it read.
    fn locked<T>(&mut self, work: impl FnOnce(&mut Log) -> io::Result<T>) -> io::Result<T> {
        self.file.lock()?;
        let result = self.catch_up().and_then(|()| work(self));
        self.file.unlock()?;
        result
    }

    /// Reads what was appended; an end that was never finished is cut off.
    fn catch_up(&mut self) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        let mut new = vec![0; usize::try_from(len - self.end).unwrap_or(0)];
        self.file.read_exact_at(&mut new, self.end)?;
        let new = Bytes::from(new);
        let mut at = 0;
        while let Some(payload) = record(&new, at) {
            at += 8 + payload.len();
            if payload.is_empty() {
                self.openings += 1;
            } else if self.state.apply(&payload).is_none() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        self.end += at as u64;
        if at < new.len() { self.file.set_len(self.end) } else { Ok(()) }
    }

    /// Appends a record, and reads it as others do.
    fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let header = [(payload.len() as u32).to_le_bytes(), crc32c::crc32c(payload).to_le_bytes()].concat();
        self.file.write_all(&[&header, payload].concat())?;
        self.file.sync_data()?;
        self.catch_up()
    }
}

/// The payload of the record at `at`, if it is there and whole.
fn record(bytes: &Bytes, at: usize) -> Option<Bytes> {
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (len, crc) = (number(at)? as usize, number(at + 4)?);
    let payload = bytes.get(at + 8..at + 8 + len)?;
    (crc32c::crc32c(payload) == crc).then(|| bytes.slice_ref(payload))
}

fn payload(bodies: &[&Body], ops: &[u8]) -> Vec<u8> {
    let mut out = (bodies.len() as u32).to_le_bytes().to_vec();
    for body in bodies {
        out.extend_from_slice(&body.id().get().to_le_bytes());
        out.extend_from_slice(&body.len().to_le_bytes());
        match body.content() {
            BodyContent::Placed(_) => out.push(1),
            BodyContent::Memory { bytes, .. } => {
                out.push(0);
                out.extend_from_slice(bytes);
            }
        }
    }
    out.extend_from_slice(ops);
    out
}

impl State {
    /// Whether a batch can be applied, and the bodies that it brings.
    fn decide<'b>(&self, batch: &'b Batch) -> std::result::Result<Vec<&'b Body>, CommitError> {
        let holds = |precondition: &Precondition| match precondition {
            Precondition::Absent(key) => !self.rows.contains_key(key.as_slice()),
            Precondition::Equals(key, value) => self.rows.get(key.as_slice()).is_some_and(|v| v == value),
        };
        if let Some(i) = batch.preconditions.iter().position(|precondition| !holds(precondition)) {
            return Err(CommitError::Conflict(i));
        }
        let mut bodies: BTreeMap<BodyId, &Body> = BTreeMap::new();
        for (id, _) in
            batch.ops.iter().links().iter().filter(|(id, n)| **n > 0 && !self.bodies.contains_key(id))
        {
            let is_ours = |body: &Body| {
                matches!(body.content(), BodyContent::Memory { .. }) || body.placed::<PlacedFile>().is_some()
            };
            let is_new =
                |body: &&Body| body.id() == *id && !body.is_stored() && body.is_ready() && is_ours(body);
            bodies.insert(*id, batch.bodies.iter().find(is_new).ok_or(CommitError::Failed)?);
        }
        Ok(bodies.into_values().collect())
    }

    /// Applies the payload of a record; `None` if it cannot be read.
    fn apply(&mut self, payload: &Bytes) -> Option<()> {
        let mut rest = payload.clone();
        let mut take = |n: usize| (n <= rest.len()).then(|| rest.split_to(n));
        let bodies = u32::from_le_bytes(take(4)?[..].try_into().ok()?);
        for _ in 0..bodies {
            let id = BodyId::from_u64(u64::from_le_bytes(take(8)?[..].try_into().ok()?));
            let len = u64::from_le_bytes(take(8)?[..].try_into().ok()?);
            let is_file = take(1)?[..] == [1];
            let bytes = if is_file { None } else { Some(take(usize::try_from(len).ok()?)?) };
            self.bodies.insert(id, Stored { links: 0, len, bytes });
        }
        for op in OpsIter::new(&rest) {
            match op {
                Op::Put(key, value) => drop(self.rows.insert(rest.slice_ref(key), rest.slice_ref(value))),
                Op::Delete(key) => drop(self.rows.remove(key)),
                Op::Link(_) | Op::Unlink(_) => {}
            }
        }
        for (id, n) in OpsIter::new(&rest).links() {
            let Some(stored) = self.bodies.get_mut(&id) else { continue };
            stored.links = u32::try_from(i64::from(stored.links) + n).unwrap_or(0);
            if stored.links == 0 {
                self.bodies.remove(&id);
            }
        }
        Some(())
    }
}

impl ReadRows for State {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.rows.get(key).cloned())
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        if range.is_empty() {
            return Ok(Page::default());
        }
        let end = range.end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.rows.range::<[u8], _>((Bound::Included(range.start.as_slice()), end));
        let copy = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        let mut rows: Vec<_> = match direction {
            Direction::Forward => rows.map(copy).take(limit.saturating_add(1)).collect(),
            Direction::Backward => rows.rev().map(copy).take(limit.saturating_add(1)).collect(),
        };
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Page { rows, more })
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.bodies.get(&id).map(|stored| stored.len).ok_or_else(|| Error::no_body(id))
    }
}

impl ReadRows for LogEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.read(|state| state.get(key))?
    }

    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> Result<Page> {
        self.read(|state| state.range(range, direction, limit))?
    }

    fn body_len(&self, id: BodyId) -> Result<u64> {
        self.read(|state| state.body_len(id))?
    }
}

impl Engine for LogEngine {
    fn snapshot(&self) -> Result<Box<dyn ReadRows + '_>> {
        Ok(Box::new(self.read(State::clone)?))
    }

    fn commit(&self, batch: Batch) -> Pending<std::result::Result<(), CommitError>> {
        Pending::ready(self.decide(batch))
    }

    fn body(&self, id: BodyId, offset: u64) -> Result<Bytes> {
        let stored = self.read(|state| state.bodies.get(&id).cloned())?.ok_or_else(|| Error::no_body(id))?;
        let offset = offset.min(stored.len);
        match stored.bytes {
            Some(bytes) => Ok(bytes.slice(usize::try_from(offset).unwrap_or(bytes.len())..)),
            None => {
                let mut piece = vec![0; PIECE.min(stored.len - offset) as usize];
                let read = |file: File| file.read_exact_at(&mut piece, offset);
                let path = file_of(&self.dir, id);
                File::open(&path).and_then(read).map_err(|e| Error::io(path.display().to_string(), e))?;
                Ok(Bytes::from(piece))
            }
        }
    }

    fn stamp(&self) -> u64 {
        self.stamps.next()
    }

    fn body_writer(&self) -> BodyWriter {
        let id = BodyId::from_u64(self.stamp());
        let path = file_of(&self.dir, id);
        BodyWriter::new(id, Sink { bytes: Vec::new(), file: None, path, has_failed: false })
    }

    fn close(&self) {
        self.log.lock().is_closed = true;
    }
}

fn file_of(dir: &Path, id: BodyId) -> PathBuf {
    dir.join(format!("{:016x}", id.get()))
}

/// Takes a body as it arrives: in memory at first, then in a file.
struct Sink {
    bytes: Vec<u8>,
    file: Option<File>,
    path: PathBuf,
    has_failed: bool,
}

impl Sink {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > INLINE_MAX || self.file.is_some() {
            let file = match &mut self.file {
                Some(file) => file,
                file => file.insert(File::create_new(&self.path)?),
            };
            file.write_all(&std::mem::take(&mut self.bytes))?;
        }
        Ok(())
    }
}

impl BodySink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Pending<Result<()>> {
        let taken = self.take(bytes);
        self.has_failed |= taken.is_err();
        Pending::ready(taken.map_err(|e| Error::io(self.path.display().to_string(), e)))
    }

    fn finish(self: Box<Self>) -> BodyContent {
        let Some(file) = self.file else {
            let crc = crc32c::crc32c(&self.bytes);
            return BodyContent::Memory { bytes: Bytes::from(self.bytes), crc };
        };
        let is_ready = !self.has_failed && file.sync_all().is_ok();
        BodyContent::Placed(Arc::new(PlacedFile {
            path: self.path,
            is_ready,
            is_kept: AtomicBool::new(false),
        }))
    }
}

/// A body in a file, which goes with its last handle unless a batch has stored it.
struct PlacedFile {
    path: PathBuf,
    is_ready: bool,
    is_kept: AtomicBool,
}

impl PlacedBody for PlacedFile {
    fn is_ready(&self) -> bool {
        self.is_ready
    }

    fn ready(&self) -> Pending<Result<()>> {
        let failed = || Error::new(ErrorKind::Failed, "the body was not stored");
        Pending::ready(if self.is_ready { Ok(()) } else { Err(failed()) })
    }
}

impl Drop for PlacedFile {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Acquire) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
