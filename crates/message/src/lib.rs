//! RFC 5322 and MIME: headers byte for byte, authors, Received and Authentication-Results, parts, delivery reports.
//!
//! Reading a stranger's message never fails and stays within named limits; [`Finding`]s beside the result say what was
//! wrong. Writing folds the fields that a mail server adds as RFC 5322 wants.
//!
//! It does not know sockets, files, the clock or randomness: a date or the random bytes of a Message-ID are arguments.
//! It does not know what a result means: other crates judge SPF and junk. It never changes a message: it returns byte
//! ranges.
//!
//! ```
//! use moxd_message::{from_domain, headers};
//!
//! let found = headers(b"Subject: hello\r\n world\r\nFrom: a@example.org\r\n\r\nbody");
//! assert_eq!(*found.fields()[0].unfolded(), "hello world");
//! assert_eq!(found.body_offset(), Some(47));
//! assert_eq!(from_domain(&found)?.as_str(), "example.org");
//! # Ok::<(), moxd_message::FromError>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod address;
mod auth_results;
mod author;
mod charset;
pub mod compose;
mod date;
pub mod dsn;
mod encoding;
mod error;
mod finding;
mod fold;
mod headers;
mod lex;
mod params;
mod part;
mod received;
mod thread;
mod words;

/// The domains in this API come from here; the re-export saves callers a dependency.
pub use dns;

pub use address::{Address, AddressList, Entry, MAX_ADDRESSES, Site, addresses};
pub use auth_results::{
    AuthResults, MAX_PROPERTY, MAX_VALUE, MethodResult, Property, claims, without_claims,
};
pub use author::{author, from_domain, shown_author};
pub use charset::to_utf8;
pub use date::Date;
pub use encoding::{Decoded, Encoding, decode_base64, decode_quoted_printable, encode_base64};
pub use error::{Error, ErrorKind, FromError, FromErrorKind};
pub use finding::{Finding, FindingKind};
pub use fold::{FOLD_AT, Fold};
pub use headers::{
    Header, HeaderScan, Headers, MAX_FIELDS, MAX_HEADER_SIZE, MAX_LINE, Scanned, header_end, headers,
    without_fields,
};
pub use params::{ContentType, Disposition, MAX_PARAMS, Params};
pub use part::{Limits, Part};
pub use received::{Protocol, Received, hops};
pub use thread::{
    MAX_REFERENCE, MAX_REFERENCES, MAX_SUBJECT, base_subject, canonical_message_id, references,
    written_message_id,
};
pub use words::decode_words;

#[doc(hidden)]
pub mod fuzzing;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
