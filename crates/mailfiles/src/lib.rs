//! mbox and Maildir: mail in files, read and written with its flags and times.
//!
//! [`mbox::Mbox`] reads the messages of an mbox file and [`mbox::Writer`] writes one. [`maildir`] reads and writes what the
//! names of a Maildir say: times, flags, keywords, and which mailbox a folder is. Lines end in LF in files and in CRLF in mail:
//! [`CrlfReader`] and [`LfWriter`] convert.
//!
//! The crate knows no store, accounts, paths or clock. Whatever it reads, it uses bounded memory, and only the reader or writer
//! that the caller hands in can fail.

#![warn(clippy::indexing_slicing)]

mod fields;
mod flags;
mod lines;
pub mod maildir;
pub mod mbox;
mod times;

pub use flags::{Flag, Flags, MAX_KEYWORD, MAX_KEYWORDS};
pub use lines::{CrlfReader, LfWriter};
pub use times::LATEST;

#[doc(hidden)]
pub mod fuzzing;

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
