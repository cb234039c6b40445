//! Properties of frames and blocks, for [`crate::fuzzing`].
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fuzz target tells of a broken property by panicking"
)]

use bytes::Bytes;

use super::{
    journal::frame::{self, Header},
    view,
};

/// Takes the bytes for frames, wherever one might begin.
pub(crate) fn journal(data: &[u8]) {
    for at in (0..data.len()).step_by(frame::ALIGN as usize) {
        let Some(bytes) = data.get(at..).and_then(|rest| rest.first_chunk::<{ frame::HEADER }>()) else {
            break;
        };
        let salt = bytes.first_chunk().map_or(0, |salt| u64::from_le_bytes(*salt));
        if let Some(header) = Header::decode(bytes, salt) {
            assert!(header.frame_len() >= frame::HEADER as u64);
            assert!(header.frame_len().is_multiple_of(frame::ALIGN));
        }
    }
    // With a right checksum, so that the code behind that check is reached.
    let [table_len, bodies_len] = [0, 1].map(|i| data.get(i).copied().map_or(0, u32::from));
    let table_len = table_len.min(data.len() as u32);
    let header = Header {
        salt: 1,
        sequence: 1,
        durable: 1,
        meta_len: data.len() as u32,
        table_len,
        bodies_len,
        meta_crc: crc32c::crc32c(data),
        kind: frame::Kind::Batch,
    };
    assert_eq!(Header::decode(&header.encode(), 1), Some(header));
    if let Some(meta) = frame::decode_meta(&header, data) {
        let inline: u64 = meta.table.iter().filter(|entry| entry.inline).map(|entry| entry.len).sum();
        assert_eq!(inline, u64::from(bodies_len));
    }
}

/// Takes the bytes for the rows of a block.
pub(crate) fn block(data: &[u8]) {
    view::fuzz_block(&Bytes::copy_from_slice(data));
}
