//! The [`dns::Resolver`] of a running server: given servers or the system's, UDP and then TCP, a bounded cache, and
//! DNSSEC validated here, from the root's keys down, whatever the servers asked may claim.
//!
//! It does not know what an answer is for: SPF, DKIM and DMARC stand above it. It has no search list, reads no hosts
//! file, and treats no name as special: every name is absolute and is asked for as it stands. It is no recursive
//! resolver: the servers it asks must be. Types of hickory do not leave it.
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
//! Validation needs servers that pass signatures on. Whether they do is found out once, by [`HickoryResolver::probe`] or by the
//! first question: they are asked for the signed keys at the trust anchor. If that validates, every question is
//! validated from then on. If it does not (a home router, a test server that knows no DNSSEC), questions are asked
//! plainly, cost one exchange each, and are answered with [`dns::Security::Unknown`]; the probe is repeated from time
//! to time. What has been switched on is never switched off by a later probe: servers that stop passing signatures make
//! answers bogus instead, or else whoever can take signatures away could take validation away.

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

/// The names, the records and the seam to DNS that this API speaks of; with it a caller needs no other crate.
pub use dns;

pub use error::{Error, ErrorKind};
pub use metrics::describe_metrics;
pub use options::{Dnssec, Options};
pub use probe::Finding;
pub use resolver::HickoryResolver;
