//! Checks whether an address and its name point at each other (RFC 8601 §3).

use dns::{LookupError, Name, Resolver, Security, ipv4, ipv6, pointers};
use futures_util::future::join_all;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// Names of one address that are looked up; the others are ignored. RFC 7208 §4.6.4 has the same limit for SPF.
pub const MAX_NAMES: usize = 10;

/// The words of RFC 8601 §2.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A name of the address resolves to it.
    Pass,
    /// None of its names resolves to it.
    Fail,
    /// DNS failed, and no name was found that resolves to it.
    TempError,
    /// The address has no name.
    PermError,
}

impl Outcome {
    /// Returns the word of RFC 8601 §2.7.3, as in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of a check, and the names it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether one of the names resolves to the address.
    pub result: Outcome,
    /// The name that resolves back, with pass.
    pub name: Option<Name>,
    /// All names that the address points to, in the order of the answer.
    pub names: Vec<Name>,
    /// The weakest DNSSEC verdict over the answers that the result rests on.
    pub security: Security,
    /// Why DNS did not answer, with temperror and permerror.
    pub reason: Option<LookupError>,
}

/// Looks the address up, and then up to [`MAX_NAMES`] of its names at the same time.
pub async fn check(dns: &dyn Resolver, ip: IpAddr) -> Evaluation {
    let ip = ip.to_canonical();
    let answer = match pointers(dns, ip).await {
        Ok(answer) => answer,
        Err(error) => {
            let result = if error.is_absent() { Outcome::PermError } else { Outcome::TempError };
            let security = error.security();
            return Evaluation { result, name: None, names: Vec::new(), security, reason: Some(error) };
        }
    };
    let mut evaluation = Evaluation {
        result: Outcome::Fail,
        name: None,
        names: answer.records.to_vec(),
        security: answer.security,
        reason: None,
    };
    type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Forward, LookupError>> + Send + 'a>>;
    let lookups = evaluation
        .names
        .iter()
        .take(MAX_NAMES)
        .map(|name| -> Lookup<'_> { Box::pin(forward(dns, name, ip)) });
    let answers = join_all(lookups).await;
    let mut failed = None;
    let mut security = evaluation.security;
    for (name, answer) in evaluation.names.iter().zip(answers) {
        match answer {
            // RFC 8601 §3: one name that leads back is enough, and then the failures of others do not matter.
            Ok(answer) if answer.leads_back => {
                evaluation.result = Outcome::Pass;
                evaluation.name = Some(name.clone());
                evaluation.security = evaluation.security.min(answer.security);
                return evaluation;
            }
            Ok(answer) => security = security.min(answer.security),
            Err(error) if error.is_absent() => security = security.min(error.security()),
            Err(error) => failed = Some(error),
        }
    }
    // The weakest answer decides how far "no name leads back" can be trusted.
    evaluation.security = security;
    if let Some(error) = failed {
        evaluation.result = Outcome::TempError;
        evaluation.security = Security::Unknown;
        evaluation.reason = Some(error);
    }
    evaluation
}

/// The result of the forward lookup of one name.
struct Forward {
    leads_back: bool,
    security: Security,
}

/// Looks up whether the name has the address. RFC 8601 §3: A or AAAA as appropriate; records of the other family, or a
/// failure to find them, say nothing about this address.
async fn forward(dns: &dyn Resolver, name: &Name, ip: IpAddr) -> Result<Forward, LookupError> {
    let (leads_back, security) = match ip {
        IpAddr::V4(ip) => {
            let answer = ipv4(dns, name).await?;
            (answer.records.contains(&ip), answer.security)
        }
        IpAddr::V6(ip) => {
            let answer = ipv6(dns, name).await?;
            (answer.records.contains(&ip), answer.security)
        }
    };
    Ok(Forward { leads_back, security })
}
