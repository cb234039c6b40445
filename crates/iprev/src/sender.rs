//! Checks whether the domain of a sender could receive an answer (RFC 5321 §5.1, RFC 7505).
//!
//! Mail that cannot be answered cannot be bounced either, and is seldom wanted.

use dns::{Answer, Domain, LookupError, Name, Resolver, addresses, mx};
use futures_util::future::join_all;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// Hosts of one domain that are looked up, best preference first; the others are ignored.
///
/// RFC 5321 §5.1 allows a limit of at least two on what a client tries; few domains have more hosts than five.
pub const MAX_HOSTS: usize = 10;

/// What DNS says about a domain as a receiver of mail.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// One of its hosts has an address.
    Accepts,
    /// It says that it takes no mail (RFC 7505).
    NullMx,
    /// None of its hosts has an address, or the domain does not exist.
    NoAddress,
    /// No address was found, and a query failed: a later try may find one.
    Temporary(LookupError),
}

impl Outcome {
    /// Returns the outcome's stable token, for logs and metrics.
    pub fn token(&self) -> &'static str {
        match self {
            Self::Accepts => "accepts",
            Self::NullMx => "null-mx",
            Self::NoAddress => "no-address",
            Self::Temporary(_) => "temporary",
        }
    }
}

/// Looks for a mail exchange of the domain that has an address.
///
/// It queries the best host alone first, since that nearly always has one; then the others, all at the same time.
pub async fn can_receive(dns: &dyn Resolver, domain: &Domain) -> Outcome {
    let hosts = match mx(dns, domain.name()).await {
        Ok(answer) => {
            let mut hosts: Vec<Name> = Vec::new();
            for exchange in answer.records.iter().map(|mx| mx.exchange.clone()) {
                // RFC 7505 §3: a null MX stands alone. Beside others it is a mistake, and names no host.
                if hosts.len() < MAX_HOSTS && !exchange.is_root() && !hosts.contains(&exchange) {
                    hosts.push(exchange);
                }
            }
            hosts
        }
        // RFC 5321 §5.1: without MX records, the domain itself is its only host.
        Err(error) if error.is_absent() => vec![domain.name().clone()],
        Err(error) => return Outcome::Temporary(error),
    };
    let Some((best, others)) = hosts.split_first() else {
        return Outcome::NullMx;
    };
    let first = any_address(dns, std::slice::from_ref(best)).await;
    if first == Outcome::Accepts || others.is_empty() {
        return first;
    }
    match any_address(dns, others).await {
        Outcome::NoAddress => first,
        outcome => outcome,
    }
}

/// Looks up all hosts; `Accepts` if one has an address.
async fn any_address(dns: &dyn Resolver, hosts: &[Name]) -> Outcome {
    type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Answer<IpAddr>, LookupError>> + Send + 'a>>;
    let lookups = hosts.iter().map(|host| -> Lookup<'_> { Box::pin(addresses(dns, host)) });
    let mut outcome = Outcome::NoAddress;
    for answer in join_all(lookups).await {
        match answer {
            Ok(_) => return Outcome::Accepts,
            Err(error) if error.is_absent() => {}
            Err(error) => outcome = Outcome::Temporary(error),
        }
    }
    outcome
}
