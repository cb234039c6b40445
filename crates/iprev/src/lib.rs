//! What DNS says about a client that sends mail: whether its address and its name point at each other ([`check`],
//! RFC 8601 §3), whether its address is on a block list ([`dnsbl`], RFC 5782), and whether its domain could receive an
//! answer ([`sender`], RFC 5321 §5.1 and RFC 7505).
//!
//! What this crate does not know:
//!
//! - sockets, a runtime, a clock: every question goes through [`dns::Resolver`], and the caller sets the time limit
//! - caches: the health of a list is good for hours, and the caller keeps it
//! - which lists to ask, and how many: one zone is asked at a time
//! - what follows from a result: it makes no reply, no score and no policy
//! - SPF, DKIM and DMARC, and messages at all
//! - metrics and logs
//!
//! No content of DNS makes a check panic or run on: the outcome is always a value, and the numbers of names, hosts and
//! codes and the length of texts are bounded ([`MAX_NAMES`], [`sender::MAX_HOSTS`], [`dnsbl::MAX_CODES`], [`dnsbl::MAX_TEXT`]).
//!
//! ```
//! use moxd_iprev::dns::zone::{Zone, block_on_ready};
//! use moxd_iprev::{Outcome, check, dnsbl, sender};
//!
//! let zone = Zone::parse(
//!     "10.2.0.192.in-addr.arpa. PTR mail.example.test.
//!      mail.example.test.       A   192.0.2.10
//!      example.test.            MX  10 mail.example.test.
//!      10.2.0.192.list.test.    A   127.0.0.4
//!      10.2.0.192.list.test.    TXT \"sent spam\"",
//! )?;
//! let ip = "192.0.2.10".parse()?;
//!
//! let evaluation = block_on_ready(check(&zone, ip));
//! assert_eq!(evaluation.result, Outcome::Pass);
//! assert_eq!(evaluation.name, Some("mail.example.test".parse()?));
//!
//! let listing = block_on_ready(dnsbl::check(&zone, &"list.test".parse()?, ip));
//! assert_eq!(listing.result, dnsbl::Outcome::Listed);
//! assert_eq!(listing.text.as_deref(), Some("sent spam"));
//!
//! assert_eq!(block_on_ready(sender::can_receive(&zone, &"example.test".parse()?)), sender::Outcome::Accepts);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::indexing_slicing)]

pub mod dnsbl;
mod reverse;
pub mod sender;

/// The names, the records and the seam to DNS that this API speaks of; with it a caller needs no other crate.
pub use dns;

pub use reverse::{Evaluation, MAX_NAMES, Outcome, check};
