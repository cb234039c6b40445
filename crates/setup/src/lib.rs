//! Makes the files that a server starts from: configuration, certificate, keys.
//!
//! [`localserve`] makes a folder for development. The crate makes files and writes texts; it runs no server, and reads no
//! configuration.

mod files;
pub mod localserve;
