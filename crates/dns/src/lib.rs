//! Domain names, and the interface through which the judges of mail query DNS.
//!
//! The crate knows names ([`Domain`], [`Host`], [`Name`]), the one seam to DNS ([`Resolver`]), a [`zone`] double that
//! answers from text, and the public suffixes ([`suffix`]).
//!
//! It does not know sockets, timeouts, caches or a runtime: those belong to the implementations of [`Resolver`]. It does not
//! know what a record means either: an SPF or DKIM record is only bytes of a TXT answer here.
//!
//! ```
//! use moxd_dns::{zone::{block_on_ready, Zone}, txt, Domain, Name};
//!
//! let zone = Zone::parse(r#"example.test. TXT "v=spf1 ip4:192.0.2.0/24 -all""#)?;
//! let domain: Domain = "Example.TEST".parse()?;
//! let answer = block_on_ready(txt(&zone, domain.name()))?;
//! assert_eq!(*answer.records, [b"v=spf1 ip4:192.0.2.0/24 -all".to_vec()]);
//!
//! let policy = Name::prefixed("_dmarc", domain.name())?;
//! assert!(block_on_ready(txt(&zone, &policy)).unwrap_err().is_absent());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(clippy::indexing_slicing)]

mod error;
mod lookup;
mod name;
mod record;
mod resolver;
pub mod suffix;
pub mod zone;

pub use error::{LookupError, LookupErrorKind, NameError, NameErrorKind};
pub use lookup::{Lookup, Outcome, Question, Resolver};
pub use name::{Domain, Host, MAX_LABEL, MAX_LABELS, MAX_NAME, Name};
pub use record::{Kind, Mx, Record, Tlsa};
pub use resolver::{Answer, Security, addresses, ipv4, ipv6, mx, pointers, reverse_name, tlsa, txt};

#[doc(hidden)]
pub mod fuzzing;
