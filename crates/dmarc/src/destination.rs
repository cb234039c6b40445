//! [`destination`]: may reports about one domain go to an address at another? (RFC 9990 §4, RFC 7489 §7.1)

use crate::{Organization, Rules, Uri, organization, parse};
use dns::{Domain, Name, Resolver, Security, join_all, txt};
use std::pin::Pin;

/// What the owner of a report's destination says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consent {
    /// The address is in the same organization: nobody needs to be asked.
    Same,
    /// It takes the reports.
    Granted,
    /// It does not say that it takes them: none may be sent.
    Denied,
    /// DNS failed; ask again before the next report.
    Temperror,
}

impl Consent {
    /// May reports be sent?
    pub fn is_given(self) -> bool {
        matches!(self, Self::Same | Self::Granted)
    }
}

/// The answer to one question for consent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// What the owner says.
    pub consent: Consent,
    /// Addresses of the same domain to which the reports shall go instead; empty: the one that was asked for.
    pub instead: Vec<Uri>,
    /// What DNSSEC says of the answer.
    pub security: Security,
}

/// Asks the domain of a report address whether it takes reports about `policy`, the domain whose record names it.
pub async fn destination(dns: &dyn Resolver, policy: &Domain, target: &Domain, rules: Rules) -> Destination {
    let answer = |consent, security| Destination { consent, instead: Vec::new(), security };
    // RFC 9990 §4 step 2: with equal organizational domains there is nothing to ask.
    if policy == target {
        return answer(Consent::Same, Security::Unknown);
    }
    type Part<'a> = Pin<Box<dyn Future<Output = Organization> + Send + 'a>>;
    let walks: Vec<Part<'_>> =
        vec![Box::pin(organization(dns, policy, rules)), Box::pin(organization(dns, target, rules))];
    let mut organizations = join_all(walks).await.into_iter();
    if let (Some(ours), Some(theirs)) = (organizations.next(), organizations.next())
        && ours.domain.is_some()
        && ours.domain == theirs.domain
    {
        return answer(Consent::Same, ours.security.min(theirs.security));
    }
    // RFC 9990 §4 step 5: a name too long for DNS cannot give consent.
    let Ok(name) = Name::prefixed(&format!("{policy}._report._dmarc"), target.name()) else {
        return answer(Consent::Denied, Security::Unknown);
    };
    match txt(dns, &name).await {
        Ok(found) => {
            let texts: Vec<_> = found.records.iter().map(|text| String::from_utf8_lossy(text)).collect();
            let mut bodies = texts.iter().filter_map(|text| body(text)).peekable();
            // RFC 9990 §4 step 7: at least one record; `v` alone is enough.
            let consent = if bodies.peek().is_some() { Consent::Granted } else { Consent::Denied };
            Destination {
                instead: bodies.flat_map(|body| addresses(body, target)).collect(),
                ..answer(consent, found.security)
            }
        }
        Err(error) if error.is_absent() => answer(Consent::Denied, error.security()),
        Err(_) => answer(Consent::Temperror, Security::Unknown),
    }
}

/// What follows the version. The literal `v=DMARC1` is common, also under RFC 7489, which asks for a semicolon.
fn body(text: &str) -> Option<&str> {
    parse::body(text, Rules::Rfc9989)
}

/// RFC 9990 §4 step 8: a `rua` replaces the address, but only by others at the same domain.
fn addresses(body: &str, target: &Domain) -> Vec<Uri> {
    let record = parse::record(&format!("v=DMARC1;{body}"), Rules::Rfc9989).unwrap_or_default();
    record.rua.into_iter().filter(|uri| uri.domain().as_ref() == Some(target)).collect()
}
