//! DMARC: checks whether the author domain of a message is one that SPF or DKIM proved, and which policy the owner of
//! the author domain publishes for messages where it is not. By RFC 9989 (tree walk, `np=`, `psd=`, `t=`), or, if the
//! caller chooses so, by RFC 7489 (public suffix list, `pct=`); one message can be evaluated by both.
//!
//! This crate does not know how SPF or DKIM work: the caller passes their results as [`Proven`] values. It does not know
//! sockets, a runtime or a clock: it queries DNS through [`dns::Resolver`], and randomness is an argument ([`Percent`]).
//! It does not parse messages: the caller takes the one author domain from the `From` field, and does not call if there
//! is none or several (RFC 9989 §5.3.1). It decides nothing: [`Evaluation::reject`] is what the domain owner asks for.
//!
//! ```
//! use moxd_dmarc::{check, Method, Outcome, Proven, Rules, Verdict};
//! use moxd_dmarc::dns::{zone::{block_on_ready, Zone}, Domain};
//!
//! let zone = Zone::parse(r#"_dmarc.example.test. TXT "v=DMARC1; p=reject""#)?;
//! let from: Domain = "news.example.test".parse()?;
//! let signer: Domain = "example.test".parse()?;
//!
//! let proven = [Proven { by: Method::Dkim, domain: signer, result: Outcome::Pass }];
//! let (discovery, evaluation) = block_on_ready(check(&zone, &from, &proven, Rules::Rfc9989, None));
//! assert_eq!(discovery.domain.as_ref().map(Domain::as_str), Some("example.test"));
//! assert_eq!(evaluation.result, Verdict::Pass);
//!
//! let (_, forged) = block_on_ready(check(&zone, &from, &[], Rules::Rfc9989, None));
//! assert_eq!(forged.result, Verdict::Fail);
//! assert!(forged.reject());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # While a message arrives
//!
//! A server that does not want to wait starts [`discover`] at the end of the header, and [`organization`] for each
//! identifier once its name is known and [`worth_walking`]; through one [`Memo`] they share their answers. When SPF and
//! DKIM have finished, [`needed`] returns the walks that are still missing (mostly none), and [`evaluate`] needs no DNS.
//!
//! ```
//! use moxd_dmarc::{discover, evaluate, needed, organization, worth_walking};
//! use moxd_dmarc::{Memo, Method, Organizations, Outcome, Proven, Rules, Verdict};
//! use moxd_dmarc::dns::{zone::Zone, Domain};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # moxd_dmarc::dns::zone::block_on_ready(async {
//! let zone = Zone::parse(r#"_dmarc.example.test. TXT "v=DMARC1; p=reject""#)?;
//! let memo = Memo::new(&zone);
//! let (from, signer): (Domain, Domain) = ("example.test".parse()?, "mail.example.test".parse()?);
//!
//! // The header has ended: the author domain and the domains of signatures are known, but nothing is proven so far.
//! // (A server lets these two run side by side, and beside everything else.)
//! let discovery = discover(&memo, &from, Rules::Rfc9989).await;
//! let mut organizations = Organizations::default();
//! if worth_walking(&from, &signer) {
//!     organizations.insert(signer.clone(), &organization(&memo, &signer, Rules::Rfc9989).await);
//! }
//!
//! // The body has arrived, and the signature is good.
//! let proven = [Proven { by: Method::Dkim, domain: signer, result: Outcome::Pass }];
//! let missing = needed(&discovery, &proven, &organizations);
//! organizations.gather(&memo, &missing, Rules::Rfc9989).await;
//! let evaluation = evaluate(&discovery, &proven, &organizations, None);
//! assert!(missing.is_empty() && evaluation.result == Verdict::Pass);
//! # Ok(())
//! # })
//! # }
//! ```

#![warn(clippy::indexing_slicing)]

mod check;
mod destination;
mod discover;
mod error;
mod evaluate;
mod memo;
mod parse;
mod record;
mod uri;
mod walk;

/// The names, the records and the seam to DNS that this API speaks of; with it a caller needs no other crate.
pub use dns;

pub use check::check;
pub use destination::{Consent, Destination, destination};
pub use discover::{Discovery, Place, Status, discover};
pub use error::{Error, ErrorKind};
pub use evaluate::{
    Evaluation, MAX_WALKS, Method, Organizations, Outcome, Percent, Proven, Verdict, evaluate, needed,
    worth_walking,
};
pub use memo::Memo;
pub use record::{Alignment, FailureOptions, Policy, PublicSuffix, Record, Rules};
pub use uri::{MAX_URIS, Uri};
pub use walk::{Found, Organization, Step, organization};

#[doc(hidden)]
pub mod fuzzing;
