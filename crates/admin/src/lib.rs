//! Answers the verbs by which operators ask a server, running or not: its status, its mail, imports, exports, backups.
//!
//! A verb of the command line is a [`Request`]. [`client`] asks it of the process that has the data directory: a server, at
//! the other end of a [`socket`], or a [`keeper`], which is started where no server runs. [`at_rest`] answers what is about
//! mail; the server itself answers what is about the server, with the texts of [`running`]. Both write to a [`Console`], which
//! is the verb's terminal and files wherever the work is done.
//!
//! The crate does not know how a server is wired, the configuration, or the clock: see [`Environment`].

pub mod at_rest;
pub mod client;
mod console;
mod export;
mod frames;
mod import;
pub mod keeper;
mod lists;
#[cfg(test)]
mod recording;
mod request;
pub mod running;
pub mod socket;
mod sources;
mod summary;

pub use console::{Console, ExportFile, ImportHead, Remarks};
pub use export::STDOUT;
pub use request::{MailFormat, Request, Secrets};

use std::time::SystemTime;
use store::NewMessage;

/// What the answers need from outside: the clock, and knowledge of mail that another crate has.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    /// The clock.
    pub now: fn() -> SystemTime,
    /// Makes the record of an imported message.
    pub describe: Describe,
}

/// Makes the record of a message from its header and the time when it was received. The flag says that the account itself sent
/// the message.
pub type Describe = fn(&message::Headers<'_>, SystemTime, bool) -> NewMessage;

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
