//! Shared read buffers: a connection has one only while it has input.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of a buffer for commands.
const SMALL: usize = 8 << 10;
/// Bytes of a buffer for messages.
const LARGE: usize = 64 << 10;
/// Room in a buffer beyond the limits: enough to go on with.
const LEAST_ROOM: usize = 1 << 10;
/// Most small buffers in use at a time, 16 MiB. They stay in use while a name server or the disk is slow.
const MAX_SMALL: usize = 2048;
/// Most large buffers in use at a time, 16 MiB.
const MAX_LARGE: usize = 256;
/// Most unused buffers of each size that are kept.
const KEPT: usize = 64;

/// A buffer, filled from `start` to `end`. It returns to its shelf when dropped.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    shelf: Option<Arc<Shelf>>,
}

/// Supplies buffers. Their memory is bounded however many connections wait: beyond the limits, connections get small buffers
/// instead of large ones, and tiny ones instead of small ones.
pub(super) struct Buffers {
    small: Arc<Shelf>,
    large: Arc<Shelf>,
}

/// Buffers of one size.
struct Shelf {
    size: usize,
    /// Most in use at a time.
    most: usize,
    held: AtomicUsize,
    unused: Mutex<Vec<Box<[u8]>>>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { small: Shelf::new(SMALL, MAX_SMALL), large: Shelf::new(LARGE, MAX_LARGE) }
    }
}

impl Buffers {
    /// A buffer that begins with `carry` and has room behind it; much room if it is `large`, for messages.
    pub(super) fn take(&self, large: bool, carry: &[u8]) -> Buffer {
        let large = large || carry.len() > SMALL / 2;
        let needed = carry.len().saturating_add(LEAST_ROOM);
        let found = large.then(|| self.large.take(needed)).flatten().or_else(|| self.small.take(needed));
        let mut buffer = found.unwrap_or_else(|| Buffer::of(needed));
        if let Some(room) = buffer.room().get_mut(..carry.len()) {
            room.copy_from_slice(carry);
        }
        buffer.filled_more(carry.len());
        buffer
    }

    /// Moves the input to as small a buffer as it needs, for a long wait.
    pub(super) fn slim(&self, buffer: Buffer) -> Buffer {
        if buffer.is_empty() {
            return Buffer::default();
        }
        if buffer.bytes.len() == LARGE && buffer.input().len() <= SMALL / 2 {
            return self.take(false, buffer.input());
        }
        buffer
    }
}

impl Shelf {
    fn new(size: usize, most: usize) -> Arc<Self> {
        Arc::new(Self { size, most, held: AtomicUsize::new(0), unused: Mutex::default() })
    }

    /// A buffer of at least `needed` bytes, if this size suffices and not too many are in use.
    fn take(self: &Arc<Self>, needed: usize) -> Option<Buffer> {
        if self.size < needed {
            return None;
        }
        if self.held.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.held.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let found = self.unused.lock().pop();
        let bytes = found.unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
        Some(Buffer { bytes, start: 0, end: 0, shelf: Some(Arc::clone(self)) })
    }
}

impl Buffer {
    /// A buffer that belongs to no shelf.
    fn of(size: usize) -> Self {
        Self { bytes: vec![0; size].into_boxed_slice(), start: 0, end: 0, shelf: None }
    }

    /// The input in it.
    pub(super) fn input(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The room for more.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds the first `length` bytes of the room to the input.
    pub(super) fn filled_more(&mut self, length: usize) {
        self.end = self.end.saturating_add(length).min(self.bytes.len());
    }

    /// Removes the first `length` bytes of the input.
    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(shelf) = &self.shelf else { return };
        shelf.held.fetch_sub(1, Ordering::Relaxed);
        let mut unused = shelf.unused.lock();
        if unused.len() < KEPT {
            unused.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_is_put_into_it() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(false, b"car");
        buffer.room()[..2].copy_from_slice(b"ry");
        buffer.filled_more(2);
        assert_eq!(buffer.input(), b"carry");
        buffer.consume(3);
        assert_eq!(buffer.input(), b"ry");
        buffer.consume(100);
        assert!(buffer.is_empty());
    }

    #[test]
    fn long_waits_are_spent_in_little_memory() {
        let buffers = Buffers::default();
        assert_eq!(buffers.slim(buffers.take(true, b"")).bytes.len(), 0);
        let slim = buffers.slim(buffers.take(true, b"left"));
        assert_eq!((slim.bytes.len(), slim.input()), (SMALL, b"left".as_slice()));
        let much = vec![b'x'; SMALL];
        assert_eq!(buffers.slim(buffers.take(true, &much)).input(), much);
    }

    #[test]
    fn a_buffer_has_room_behind_the_longest_carry() {
        let buffers = Buffers::default();
        for length in [0, 1, SMALL / 2, SMALL, 12_288] {
            let carry = vec![b'x'; length];
            let mut buffer = buffers.take(false, &carry);
            assert_eq!(buffer.input(), carry);
            assert!(buffer.room().len() >= SMALL / 2, "{length}");
        }
        assert_eq!(buffers.small.unused.lock().len(), 1);
    }

    #[test]
    fn what_all_connections_hold_is_bounded() {
        let buffers = Buffers::default();
        let connections = 20_000;
        let bytes = |held: &[Buffer]| held.iter().map(|buffer| buffer.bytes.len()).sum::<usize>();
        for large in [true, false] {
            let held: Vec<_> = (0..connections).map(|_| buffers.take(large, b"MAIL")).collect();
            assert!(bytes(&held) <= (32 << 20) + connections * (LEAST_ROOM + 4), "{}", bytes(&held));
            assert!(held.iter().all(|buffer| buffer.bytes.len() >= LEAST_ROOM + 4));
        }
        // All were given back, and few are kept.
        assert_eq!(buffers.take(true, b"").bytes.len(), LARGE);
        assert_eq!(buffers.take(false, b"").bytes.len(), SMALL);
        assert!(buffers.large.unused.lock().len() <= KEPT);
    }
}
