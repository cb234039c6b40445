//! Reverse DNS, DNS block lists and MX checks of a sender.

mod reverse;

pub use reverse::{Evaluation, MAX_NAMES, Outcome, check};
