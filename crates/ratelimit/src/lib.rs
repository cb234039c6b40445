//! Limits on how often or how many at once, per address and the networks around it, and per key. Windows slide: in no
//! span as long as the window, wherever it begins, is more let through than the limit says. Memory is bounded.
//!
//! What it does not know:
//! - the time: every call is given it, and a clock that goes backwards neither opens nor closes the gate for good;
//! - what is counted: connections, failed logins, messages;
//! - what happens to who is refused: a [`Refusal`] names the limit, whom it is about, and when to come back;
//! - locks, threads, other machines: methods take `&mut self`, and the counts are gone with the process;
//! - logging and metrics. To say something once a minute, a [`KeyLimiter`] of one a minute decides.
//!
//! [`Limiter`] counts events in windows, [`Held`] what is held at a time, [`Failures`] failed logins; [`KeyLimiter`] is
//! for everything that is not an address.
//!
//! ```
//! use moxd_ratelimit::{Addresses, Decision, Limiter, Window};
//! use std::time::{Duration, SystemTime};
//!
//! let window = Window { name: "connection rate", length: Duration::from_secs(60), limits: [300, 900, 2700] };
//! let mut limiter = Limiter::new(&[window], Addresses::default());
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
//!
//! let ip = "192.0.2.1".parse().unwrap();
//! assert!(limiter.take(ip, now, 300).is_allowed());
//! let Decision::Refused(refusal) = limiter.take(ip, now, 1) else { panic!("the 301st is refused") };
//! assert_eq!(refusal.limit, "connection rate");
//! assert!(limiter.take(ip, now + refusal.retry_after.unwrap(), 1).is_allowed());
//! ```

#![warn(clippy::indexing_slicing)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod failures;
mod held;
mod keyed;
mod known;
mod limiter;
mod login_key;
mod network;
mod slots;
mod table;
mod under_way;

pub use failures::{Blocked, Blockee, FailureWindow, Failures, Grant, MAX_WAIT, Outcome, Start, TURN};
pub use held::Held;
pub use keyed::{DEFAULT_CAPACITY, Exceeded, KeyLimiter, KeyWindow};
pub use known::{KNOWN_FOR, MAX_KNOWN};
pub use limiter::{Addresses, Decision, Limiter, Refusal, Scope, Window};
pub use login_key::LoginKey;
pub use network::{Class, Network, NetworkSyntax, Prefixes};
