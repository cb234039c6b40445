//! [`destination`] checks whether reports about one domain may go to an address at another (RFC 9990 §4, RFC 7489 §7.1).

use crate::{Record, Rules, Uri, organization};
use dns::{Domain, Name, Resolver, Security, txt};
use futures_util::future::join;

/// Whether the owner of a destination accepts the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Consent {
    /// The destination is in the same organization: no consent is needed.
    Same,
    /// It publishes its consent.
    Granted,
    /// It publishes no consent: no reports may be sent.
    Denied,
    /// DNS failed; query again before the next report.
    TempError,
}

impl Consent {
    /// Whether reports may be sent.
    pub fn is_given(self) -> bool {
        matches!(self, Self::Same | Self::Granted)
    }
}

/// The answer to a query for consent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// Whether reports may be sent, and why.
    pub consent: Consent,
    /// Addresses at the same domain to which reports must go instead; if empty, they go to the original address.
    pub instead: Vec<Uri>,
    /// The DNSSEC verdict of the answer.
    pub security: Security,
}

/// Queries `target`, the domain of a report address, for consent to reports about `policy`, whose record names the address.
pub async fn destination(dns: &dyn Resolver, policy: &Domain, target: &Domain, rules: Rules) -> Destination {
    let answer = |consent, security| Destination { consent, instead: Vec::new(), security };
    // RFC 9990 §4: only a destination in another organization must consent.
    if policy == target {
        return answer(Consent::Same, Security::Unknown);
    }
    let (ours, theirs) = join(organization(dns, policy, rules), organization(dns, target, rules)).await;
    if ours.domain.is_some() && ours.domain == theirs.domain {
        return answer(Consent::Same, ours.security.min(theirs.security));
    }
    // RFC 9990 §4 step 4: a name too long for DNS cannot give consent.
    let Ok(name) = Name::prefixed(&format!("{policy}._report._dmarc"), target.name()) else {
        return answer(Consent::Denied, Security::Unknown);
    };
    match txt(dns, &name).await {
        Ok(found) => Destination { security: found.security, ..read(&found.records, target) },
        Err(error) if error.is_absent() => answer(Consent::Denied, error.security()),
        Err(_) => answer(Consent::TempError, Security::Unknown),
    }
}

/// RFC 9990 §4 steps 6 to 9: one record is consent; its `rua` replaces the address if it is at the same host.
fn read(texts: &[Vec<u8>], target: &Domain) -> Destination {
    let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
    // The version is enough, with or without a semicolon, whichever rules apply elsewhere.
    let records: Vec<Record> =
        texts.iter().filter_map(|text| Record::parse(text, Rules::Rfc9989).ok()).collect();
    let instead: Vec<Uri> = records
        .iter()
        .flat_map(|record| &record.rua)
        .filter(|uri| uri.mailbox().is_some())
        .cloned()
        .collect();
    // Step 9: if an address is at another domain, neither it nor the original address may get a report.
    let elsewhere = instead.iter().any(|uri| uri.domain().as_ref() != Some(target));
    if records.is_empty() || elsewhere {
        return Destination { consent: Consent::Denied, instead: Vec::new(), security: Security::Unknown };
    }
    Destination { consent: Consent::Granted, instead, security: Security::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dns::zone::{Zone, block_on_ready};

    /// What `reports.test` says of reports about `example.com`.
    #[track_caller]
    fn check(zone: &str, target: &str, want: Consent, instead: &[&str]) {
        let zone = Zone::parse(zone).unwrap();
        let policy = "example.com".parse().unwrap();
        for rules in [Rules::Rfc9989, Rules::Rfc7489] {
            let got = block_on_ready(destination(&zone, &policy, &target.parse().unwrap(), rules));
            assert_eq!(got.consent, want, "{rules:?}");
            assert_eq!(got.instead.iter().map(Uri::as_str).collect::<Vec<_>>(), instead);
            assert_eq!(want.is_given(), matches!(want, Consent::Same | Consent::Granted));
        }
    }

    const NAME: &str = "example.com._report._dmarc.reports.test.";

    #[test]
    fn the_same_organization_is_not_asked() {
        check("!servfail x.test.", "example.com", Consent::Same, &[]);
        check("_dmarc.example.com. TXT v=DMARC1", "in.example.com", Consent::Same, &[]);
    }

    // RFC 9990 §4 steps 5 to 8
    #[test]
    fn another_gives_consent_by_a_record() {
        for record in ["v=DMARC1", "v=DMARC1;", "v=DMARC1; p=none", "v=DMARC1; anything=at all"] {
            check(&format!("{NAME} TXT \"{record}\""), "reports.test", Consent::Granted, &[]);
        }
        let several = format!("{NAME} TXT v=DMARC1\n{NAME} TXT v=DMARC1\n{NAME} TXT other");
        check(&several, "reports.test", Consent::Granted, &[]);
        let wildcard = "*._report._dmarc.reports.test. TXT v=DMARC1";
        check(wildcard, "reports.test", Consent::Granted, &[]);
    }

    #[test]
    fn or_denies_it() {
        check("", "reports.test", Consent::Denied, &[]);
        check(&format!("{NAME} TXT other"), "reports.test", Consent::Denied, &[]);
        check(&format!("!timeout {NAME}"), "reports.test", Consent::TempError, &[]);
        let long = format!("{}test", "label.".repeat(40));
        check("", &long, Consent::Denied, &[]);
    }

    // RFC 9990 §4 step 9
    #[test]
    fn or_names_another_address_of_its_own() {
        let with = |rua: &str| format!("{NAME} TXT \"v=DMARC1; rua={rua}\"");
        check(&with("mailto:b@reports.test"), "reports.test", Consent::Granted, &["mailto:b@reports.test"]);
        check(&with("mailto:b@elsewhere.test"), "reports.test", Consent::Denied, &[]);
        check(&with("mailto:b@reports.test,mailto:b@elsewhere.test"), "reports.test", Consent::Denied, &[]);
    }
}
