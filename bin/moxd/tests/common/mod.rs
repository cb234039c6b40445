//! What the tests of the binary share: running verbs, a running server, a client for it, and a name server.

#![allow(dead_code, unreachable_pub, reason = "no test file uses all of it")]

pub mod client;
pub mod names;
pub mod run;
pub mod server;
pub mod site;
