//! Read buffers, shared: a connection has one only while it has input.

use std::sync::{Mutex, PoisonError};

/// Octets of a buffer for commands.
const SMALL: usize = 8 << 10;
/// Octets of a buffer for messages.
const LARGE: usize = 64 << 10;
/// Most buffers of a kind that are kept for later.
const KEPT: usize = 64;

/// A buffer, filled from `start` to `end`.
#[derive(Default)]
pub(super) struct Buffer {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
}

/// Where buffers come from and go back to.
#[derive(Default)]
pub(super) struct Buffers {
    small: Mutex<Vec<Box<[u8]>>>,
    large: Mutex<Vec<Box<[u8]>>>,
}

impl Buffers {
    /// A buffer that begins with `carry`, and has room behind it. What waits for a message is given more.
    pub(super) fn take(&self, large: bool, carry: &[u8]) -> Buffer {
        let large = large || carry.len() > SMALL / 2;
        let (kept, size) = if large { (&self.large, LARGE) } else { (&self.small, SMALL) };
        let found = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let octets = found.unwrap_or_else(|| vec![0; size].into_boxed_slice());
        let mut buffer = Buffer { octets, start: 0, end: 0 };
        let room = buffer.room();
        let length = carry.len().min(room.len());
        if let (Some(room), Some(carry)) = (room.get_mut(..length), carry.get(..length)) {
            room.copy_from_slice(carry);
        }
        buffer.filled_more(length);
        buffer
    }

    /// Takes a buffer back; what is in it is lost.
    pub(super) fn give(&self, buffer: Buffer) {
        let kept = match buffer.octets.len() {
            SMALL => &self.small,
            LARGE => &self.large,
            _ => return,
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(buffer.octets);
        }
    }

    /// The same input in as little memory as it needs, for a long wait.
    pub(super) fn slim(&self, buffer: Buffer) -> Buffer {
        if buffer.is_empty() {
            self.give(buffer);
            return Buffer::default();
        }
        if buffer.octets.len() == LARGE && buffer.input().len() <= SMALL / 2 {
            let small = self.take(false, buffer.input());
            self.give(buffer);
            return small;
        }
        buffer
    }
}

impl Buffer {
    /// What is in it.
    pub(super) fn input(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where more can be written.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.end..).unwrap_or_default()
    }

    /// So many octets were written to its room.
    pub(super) fn filled_more(&mut self, length: usize) {
        self.end = self.end.saturating_add(length).min(self.octets.len());
    }

    /// So many octets of its input are done with.
    pub(super) fn consume(&mut self, length: usize) {
        self.start = self.start.saturating_add(length).min(self.end);
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
        assert_eq!(buffers.slim(buffers.take(true, b"")).octets.len(), 0);
        let slim = buffers.slim(buffers.take(true, b"left"));
        assert_eq!((slim.octets.len(), slim.input()), (SMALL, b"left".as_slice()));
        let much = vec![b'x'; SMALL];
        assert_eq!(buffers.slim(buffers.take(true, &much)).input(), much);
    }

    #[test]
    fn a_buffer_has_room_behind_the_longest_carry() {
        let buffers = Buffers::default();
        for length in [0, 1, SMALL / 2, SMALL, 12_288] {
            let mut buffer = buffers.take(false, &vec![b'x'; length]);
            assert!(buffer.room().len() >= SMALL / 2, "{length}");
            buffers.give(buffer);
        }
        assert_eq!(buffers.small.lock().unwrap().len(), 1);
    }
}
