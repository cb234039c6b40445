//! Shared by the tests of the binary: running verbs, a running server, a client for it, and a name server.

#![allow(dead_code, unreachable_pub, reason = "no test file uses all of it")]

pub mod client;
pub mod names;
pub mod run;
pub mod server;
pub mod site;
