//! The [`dns::Resolver`] of a running server: given servers or the system's, UDP and then TCP, a bounded cache, and
//! DNSSEC validated here, from the root's keys down, regardless of the servers' claims.
//!
//! It does not know what an answer is for: SPF, DKIM and DMARC stand above it. It has no search list, reads no hosts
//! file, and treats no name as special: every name is absolute and is queried as it stands. It is not a recursive resolver;
//! its servers must be. Types of hickory do not leave it.
//!
//! ```
//! use moxd_dns_hickory::{HickoryResolver, Options, testing::Server};
//! use moxd_dns_hickory::dns::{txt, zone::Zone, Name};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start(Zone::parse(r#"example.test. TXT "hello""#)?).await?;
//! let resolver = HickoryResolver::with_servers(&[server.address()], Options::default())?;
//!
//! let name: Name = "example.test".parse()?;
//! assert_eq!(*txt(&resolver, &name).await?.records, [b"hello".to_vec()]);
//! # Ok(())
//! # }
//! ```
//!
//! # DNSSEC
//!
//! Validation needs servers that pass signatures on. [`HickoryResolver::probe`] or the first query finds out whether they do, by
//! querying the signed keys at the trust anchor. If these validate, every query is validated from then on. Otherwise (a home
//! router, a test server without DNSSEC) queries are plain, cost one exchange each, and are answered with
//! [`dns::Security::Unknown`]; the probe is repeated from time to time. A later probe never switches validation off: if servers
//! stop passing signatures on, answers are bogus. Otherwise an attacker who can remove signatures could switch validation off.

mod answer;
mod cache;
mod convert;
mod error;
mod metrics;
mod options;
mod probe;
mod resolver;
mod shares;
#[doc(hidden)]
pub mod testing;
mod upstream;

/// The names, records and resolver trait of this API, so that callers need no other crate.
pub use dns;

pub use error::{Error, ErrorKind};
pub use metrics::describe_metrics;
pub use options::{Dnssec, Options};
pub use probe::Finding;
pub use resolver::HickoryResolver;
