//! SPF (RFC 7208): whether an address may send mail for a domain.
//!
//! The crate reads and prints records ([`Record`]), fetches them ([`fetch`]), evaluates them for a sender ([`check`], [`check_helo`]), fetches the
//! explanation of a fail ([`explain`]), and prints and reads the Received-SPF field ([`ReceivedSpf`]).
//!
//! It does not know sockets, a runtime, the clock or metrics: DNS is a [`dns::Resolver`] and time an argument. It bounds
//! the number of queries of an evaluation, not its time, and it does not decide what to do with a result. A
//! [`dns::Resolver`] that queries real servers is in the crate `moxd-dns-hickory`.
//!
//! ```
//! use moxd_spf::dns::{Domain, zone::{Zone, block_on_ready}};
//! use moxd_spf::{Limits, Outcome, Query, check};
//!
//! let zone = Zone::parse(r#"example.test. TXT "v=spf1 ip4:192.0.2.0/24 -all""#)?;
//! let domain: Domain = "example.test".parse()?;
//! let query = Query::new("192.0.2.7".parse()?).mail_from("alice", &domain);
//!
//! let evaluation = block_on_ready(check(&zone, &query, Limits::default()));
//! assert_eq!(evaluation.result, Outcome::Pass);
//! assert_eq!(evaluation.matched.unwrap().to_string(), "ip4:192.0.2.0/24");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::indexing_slicing)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod cache;
mod check;
mod checker;
mod domain_spec;
mod error;
mod evaluation;
mod explain;
mod fetch;
mod lookups;
mod macros;
mod mechanisms;
mod outcome;
mod plan;
mod query;
mod received;
mod record;

/// The names, the records and the seam to DNS that this API speaks of; with it a caller needs no other crate.
pub use dns;

pub use cache::Cache;
pub use check::{check, check_helo};
pub use domain_spec::DomainSpec;
pub use error::{Error, ErrorKind};
pub use evaluation::{Evaluation, Matched};
pub use explain::{MAX_EXPLANATION, explain};
pub use fetch::fetch;
pub use mechanisms::MAX_NAMES;
pub use outcome::{Identity, Outcome, ParseOutcomeError};
pub use query::{Limits, Query};
pub use received::{MAX_VALUE, ReceivedSpf};
pub use record::{Directive, DualPrefix, MAX_RECORD, Mechanism, Modifier, Qualifier, Record};

#[doc(hidden)]
pub mod fuzzing;
