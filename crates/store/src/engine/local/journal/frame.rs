//! The format of frames, of which the journal consists. Pure: bytes to values and back.
//!
//! A frame is a header, a table of the bodies in it, operations, and those bodies, padded to a multiple of eight bytes. The
//! header starts with the segment's salt, which is secret: a reader that searches for the next frame behind damage does not
//! take bytes of a message for one.

use crate::{
    codec::{Reader, VARINT_MAX, put_varint},
    engine::{BodyId, OpsIter},
};

/// Bytes of a header.
pub(in crate::engine::local) const HEADER: usize = 56;
/// Frames begin at multiples of this.
pub(in crate::engine::local) const ALIGN: u64 = 8;
/// Most bytes that the table needs for one body: where it is, number and length as varints, checksum.
pub(in crate::engine::local) const MAX_ENTRY: u64 = 1 + 2 * VARINT_MAX as u64 + 4;
/// Version of the frame's format.
const VERSION: u8 = 1;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) struct Header {
    /// The segment's salt.
    pub(in crate::engine::local) salt: u64,
    /// The frame's number, one more than that of the frame before it.
    pub(in crate::engine::local) sequence: u64,
    /// Up to this offset of the segment everything was durable when the frame was written.
    pub(in crate::engine::local) durable: u64,
    /// Bytes of the table and the operations together.
    pub(in crate::engine::local) meta_len: u32,
    /// Bytes of the table.
    pub(in crate::engine::local) table_len: u32,
    /// Bytes of the bodies.
    pub(in crate::engine::local) bodies_len: u32,
    /// CRC-32C of the table and the operations.
    pub(in crate::engine::local) meta_crc: u32,
    pub(in crate::engine::local) kind: Kind,
}

/// The purpose of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) enum Kind {
    /// A batch.
    Batch,
    /// Bodies that were relocated from an older segment.
    Relocation,
}

impl Header {
    /// Returns the size of the whole frame in bytes.
    pub(in crate::engine::local) fn frame_len(&self) -> u64 {
        let len = HEADER as u64 + u64::from(self.meta_len) + u64::from(self.bodies_len);
        len.next_multiple_of(ALIGN)
    }

    pub(in crate::engine::local) fn encode(&self) -> [u8; HEADER] {
        let mut out = Vec::with_capacity(HEADER);
        for n in [self.salt, self.sequence, self.durable] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        for n in [self.meta_len, self.table_len, self.bodies_len, self.meta_crc] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        let kind = match self.kind {
            Kind::Batch => 1,
            Kind::Relocation => 2,
        };
        out.extend_from_slice(&[VERSION, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let crc = crc32c::crc32c(&out);
        let mut header = [0; HEADER];
        for (to, from) in header.iter_mut().zip(out.iter().chain(&crc.to_le_bytes())) {
            *to = *from;
        }
        header
    }

    /// Reads a header; `None` if it is not one of this segment.
    pub(in crate::engine::local) fn decode(bytes: &[u8; HEADER], salt: u64) -> Option<Header> {
        let (fields, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut reader = Reader::new(fields);
        let mut long = || reader.array().map(u64::from_le_bytes);
        let (found, sequence, durable) = (long()?, long()?, long()?);
        let mut short = || reader.array().map(u32::from_le_bytes);
        let (meta_len, table_len, bodies_len, meta_crc) = (short()?, short()?, short()?, short()?);
        if found != salt || table_len > meta_len || reader.u8()? != VERSION {
            return None;
        }
        let kind = match reader.u8()? {
            1 => Kind::Batch,
            2 => Kind::Relocation,
            _ => return None,
        };
        Some(Header { salt, sequence, durable, meta_len, table_len, bodies_len, meta_crc, kind })
    }
}

/// A body as a frame's table names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) struct TableEntry {
    pub(in crate::engine::local) id: BodyId,
    pub(in crate::engine::local) len: u64,
    /// CRC-32C of the body's bytes, or of a file's table of checksums.
    pub(in crate::engine::local) crc: u32,
    /// Whether the bytes stand in the frame; otherwise they are in a file.
    pub(in crate::engine::local) inline: bool,
}

/// Appends a table.
pub(in crate::engine::local) fn encode_table(out: &mut Vec<u8>, entries: &[TableEntry]) {
    for entry in entries {
        out.push(u8::from(entry.inline));
        put_varint(out, entry.id.get());
        put_varint(out, entry.len);
        out.extend_from_slice(&entry.crc.to_le_bytes());
    }
}

/// Table and operations of a frame.
#[derive(Clone, Debug)]
pub(in crate::engine::local) struct Meta<'a> {
    pub(in crate::engine::local) table: Vec<TableEntry>,
    pub(in crate::engine::local) ops: &'a [u8],
}

/// Reads table and operations; `None` if the checksum is wrong or they cannot be decoded.
pub(in crate::engine::local) fn decode_meta<'a>(header: &Header, bytes: &'a [u8]) -> Option<Meta<'a>> {
    if bytes.len() != header.meta_len as usize || crc32c::crc32c(bytes) != header.meta_crc {
        return None;
    }
    let (table, ops) = bytes.split_at_checked(header.table_len as usize)?;
    let mut reader = Reader::new(table);
    let mut entries = Vec::new();
    let mut inline_len = 0u64;
    while !reader.is_empty() {
        let inline = reader.u8()? != 0;
        let entry = TableEntry {
            inline,
            id: BodyId::from_u64(reader.varint()?),
            len: reader.varint()?,
            crc: u32::from_le_bytes(reader.array()?),
        };
        inline_len = inline_len.checked_add(if inline { entry.len } else { 0 })?;
        entries.push(entry);
    }
    let mut iter = OpsIter::new(ops);
    iter.by_ref().for_each(drop);
    (inline_len == u64::from(header.bodies_len) && iter.is_whole()).then_some(Meta { table: entries, ops })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Ops;

    #[test]
    fn round_trips_headers() {
        let header = Header {
            salt: 7,
            sequence: 1 << 40,
            durable: 99,
            meta_len: 10,
            table_len: 3,
            bodies_len: 5,
            meta_crc: 0xdead_beef,
            kind: Kind::Relocation,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, 7), Some(header));
        assert_eq!(Header::decode(&bytes, 8), None);
        assert_eq!(header.frame_len(), 72);
        for i in 0..HEADER {
            let mut flipped = bytes;
            flipped[i] ^= 4;
            assert_eq!(Header::decode(&flipped, 7), None, "byte {i}");
        }
    }

    #[test]
    fn round_trips_tables() {
        let entries = [
            TableEntry { id: BodyId::from_u64(5), len: 300, crc: 1, inline: true },
            TableEntry { id: BodyId::from_u64(6), len: 1 << 30, crc: 2, inline: false },
        ];
        let mut bytes = Vec::new();
        encode_table(&mut bytes, &entries);
        let table_len = bytes.len() as u32;
        let mut ops = Ops::default();
        ops.put(b"k", b"v");
        bytes.extend_from_slice(ops.as_bytes());
        let header = Header {
            salt: 0,
            sequence: 0,
            durable: 0,
            meta_len: bytes.len() as u32,
            table_len,
            bodies_len: 300,
            meta_crc: crc32c::crc32c(&bytes),
            kind: Kind::Batch,
        };
        let meta = decode_meta(&header, &bytes).unwrap();
        assert_eq!(meta.table, entries);
        assert_eq!(meta.ops, ops.as_bytes());
        assert!(decode_meta(&Header { bodies_len: 299, ..header }, &bytes).is_none());
        assert!(decode_meta(&header, &bytes[1..]).is_none());
    }
}
