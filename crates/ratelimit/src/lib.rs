//! Limits on events per span of time and on things held at once: per address with the networks around it, and per key.
//! Windows slide: no span as long as the window, wherever it begins, has more events than the limit. Memory is bounded.
//!
//! What it does not know:
//! - the time: it is an argument of every call, and a clock that is set back neither lifts a limit nor makes it last for
//!   ever;
//! - what is counted: connections, failed logins, messages;
//! - what happens to refused clients: a [`Refusal`] names the limit, the network or account, and the time to wait;
//! - locks, threads, other machines: methods take `&mut self`, and the counts end with the process;
//! - logging and metrics. A [`KeyLimiter`] of one event a minute can decide what to log once a minute.
//!
//! [`Limiter`] counts events in windows, [`Held`] counts things held at once, [`Failures`] counts failed logins, and
//! [`KeyLimiter`] counts events of keys that are not addresses.
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
mod under_way;

pub use failures::{Blocked, Blockee, FailureWindow, Failures, Grant, MAX_WAIT, Outcome, Start, TURN};
pub use held::Held;
pub use keyed::{DEFAULT_CAPACITY, Exceeded, KeyLimiter, KeyWindow};
pub use known::{KNOWN_FOR, MAX_KNOWN};
pub use limiter::{Addresses, Decision, Limiter, Refusal, Scope, Window};
pub use login_key::LoginKey;
pub use network::{Class, Network, NetworkSyntax, Prefixes};
