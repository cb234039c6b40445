//! Access to the machine that a server runs on: users, sockets, private files, log, metrics, terminal.
//!
//! [`privileges`] says which user the process runs as and which files root may trust; [`sockets`] opens listening sockets or takes
//! those that the service manager hands over, and [`service`] reports the server's state to that manager; [`keyfile`] reads
//! private files, also again on reload; [`logging`] writes the log; [`monitoring`] serves the metrics; [`terminal`] and [`text`]
//! print what strangers wrote without harm.
//!
//! The crate does not know mail, its protocols, or the configuration: it gets paths, names and addresses.

pub mod keyfile;
mod lines;
pub mod logging;
pub mod monitoring;
pub mod privileges;
mod process;
pub mod service;
pub mod sockets;
pub mod terminal;
pub mod text;

/// The example of the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
