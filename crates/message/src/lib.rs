//! RFC 5322 and MIME: headers byte for byte, authors, Received and Authentication-Results, parts, delivery reports.
//!
//! It does not know sockets, files, the clock or randomness.
//!
//! ```
//! use moxd_message::headers;
//!
//! let found = headers(b"Subject: hello\r\n world\r\nFrom: a@example.org\r\n\r\nbody");
//! assert_eq!(found.fields()[0].unfolded(), "hello world");
//! assert_eq!(found.body_offset(), Some(48));
//! ```

#![warn(clippy::indexing_slicing)]

mod finding;
mod headers;

pub use finding::{Finding, FindingKind};
pub use headers::{
    Header, HeaderScan, Headers, MAX_FIELDS, MAX_HEADER_SIZE, MAX_LINE, Scanned, header_end, headers,
};
