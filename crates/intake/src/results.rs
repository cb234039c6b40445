//! Writes evidence as header fields and as the validations of a record.

use crate::evidence::Evidence;
use dns::Domain;
use message::{AuthResults, MethodResult};
use std::collections::BTreeSet;
use store::{Validation, Validations};

/// Characters of a reason in the field at most.
const MAX_REASON: usize = 120;
/// DKIM results in one Authentication-Results field at most. A stranger may write a thousand signatures, and every recipient's
/// copy has the field. One more result says how many were left out.
pub const MAX_DKIM_RESULTS: usize = 16;

impl Evidence {
    /// The Authentication-Results field of `host`: iprev, dkim, spf, dmarc, in this order. `utf8`: the message may have
    /// UTF-8 in its header. Lists up to [`MAX_DKIM_RESULTS`] DKIM results, of up to `room` bytes together; the other
    /// methods have one result each.
    pub fn authentication_results(&self, host: &Domain, utf8: bool, room: usize) -> AuthResults {
        let mut results = AuthResults::of_host(host, utf8);
        results.methods.push(self.iprev_result());
        results.methods.extend(self.dkim_results(utf8, room));
        results.methods.push(self.spf_result(utf8));
        results.methods.push(self.dmarc_result(utf8));
        results
    }

    /// RFC 7208 §9.1: the Received-SPF field, with CRLF at its end; empty where SPF was not checked.
    pub fn received_spf(&self) -> String {
        let field = self.spf.as_ref().map(|spf| spf::ReceivedSpf::new(&self.origin.query(), spf));
        field.map(|field| format!("{field}\r\n")).unwrap_or_default()
    }

    fn iprev_result(&self) -> MethodResult {
        let result = self.iprev.as_ref().map_or("none", |iprev| iprev.result.as_str());
        MethodResult::new("iprev", result).property("policy", "iprev", self.origin.ip.to_string())
    }

    fn dkim_results(&self, utf8: bool, mut room: usize) -> Vec<MethodResult> {
        let none = |reason: &str| vec![MethodResult::new("dkim", "none").reason(reason)];
        let Some(dkim) = &self.dkim else { return vec![MethodResult::new("dkim", "none")] };
        if dkim.signatures.is_empty() {
            return none("no dkim signatures");
        }
        // Results that prove something come first if there is no room for all, so that junk signatures cannot hide them.
        let mut order: Vec<_> = dkim.signatures.iter().enumerate().collect();
        order.sort_by_key(|(_, verification)| verification.status != dkim::Status::Pass);
        let mut listed = Vec::new();
        for (place, verification) in order.into_iter().take(MAX_DKIM_RESULTS) {
            let result = dkim_result(verification, utf8);
            let Some(left) = room.checked_sub(result.to_string().len()) else { break };
            room = left;
            listed.push((place, result));
        }
        listed.sort_by_key(|(place, _)| *place);
        let others = dkim.signatures.len() - listed.len();
        let mut results: Vec<_> = listed.into_iter().map(|(_, result)| result).collect();
        if others > 0 {
            // RFC 8601 §2.7.1: policy, for signatures that are not acceptable to us; here for their number.
            let reason = format!("{others} more signatures not listed");
            results.push(MethodResult::new("dkim", "policy").reason(reason));
        }
        results
    }

    fn spf_result(&self, utf8: bool) -> MethodResult {
        let Some(spf) = &self.spf else { return MethodResult::new("spf", "none") };
        let result = MethodResult::new("spf", spf.result.as_str()).comment(dnssec(spf.security));
        let result = match spf.problem() {
            Some(problem) => result.reason(cut(&problem.to_string())),
            None => result,
        };
        match (spf.identity, &spf.domain) {
            (Some(spf::Identity::MailFrom), Some(domain)) => result.domain("smtp", "mailfrom", domain, utf8),
            (Some(spf::Identity::Helo), Some(domain)) => result.domain("smtp", "helo", domain, utf8),
            _ => result,
        }
    }

    fn dmarc_result(&self, utf8: bool) -> MethodResult {
        let Some(from) = &self.from else { return MethodResult::new("dmarc", "none") };
        let result = match (&self.dmarc, &self.discovery) {
            (Some(dmarc), Some(discovery)) => {
                let policy = dmarc.domain.as_ref().map(|_| format!("policy {}, ", dmarc.policy.as_str()));
                let comment = format!("{}{}", policy.unwrap_or_default(), dnssec(discovery.security));
                MethodResult::new("dmarc", dmarc.result.as_str()).comment(comment)
            }
            _ => MethodResult::new("dmarc", "none"),
        };
        result.domain("header", "from", from, utf8)
    }

    /// How far EHLO, MAIL FROM and From domain are validated.
    pub fn validations(&self) -> Validations {
        let mut validations = Validations::default();
        if let Some(spf) = &self.spf {
            let value = spf_validation(spf.result);
            match spf.identity {
                Some(spf::Identity::MailFrom) => validations.mail_from = value,
                Some(spf::Identity::Helo) => validations.ehlo = value,
                None => {}
            }
        }
        validations.ehlo_validated = validations.ehlo == Validation::Pass;
        validations.mail_from_validated = validations.mail_from == Validation::Pass;
        validations.from = self.author_validation();
        validations.from_validated =
            matches!(validations.from, Validation::Strict | Validation::Relaxed | Validation::Dmarc);
        validations
    }

    fn author_validation(&self) -> Validation {
        let Some(from) = &self.from else { return Validation::None };
        let vouching = self.vouching();
        if vouching.contains(from) {
            return Validation::Strict;
        }
        let organization = dns::suffix::organizational(from);
        if !vouching.iter().any(|domain| dns::suffix::organizational(domain) == organization) {
            return Validation::None;
        }
        let passed = self.dmarc.as_ref().is_some_and(|dmarc| dmarc.result == dmarc::Verdict::Pass);
        if passed { Validation::Dmarc } else { Validation::Relaxed }
    }

    /// The domains for which SPF or DKIM passed.
    pub(crate) fn vouching(&self) -> BTreeSet<Domain> {
        let spf = self.spf.as_ref().filter(|spf| spf.result == spf::Outcome::Pass);
        let mut domains: BTreeSet<Domain> = spf.and_then(|spf| spf.domain.clone()).into_iter().collect();
        domains.extend(self.dkim_passed());
        domains
    }

    /// The distinct domains with a signature that passed.
    pub fn dkim_passed(&self) -> BTreeSet<Domain> {
        let all = self.dkim.iter().flat_map(|dkim| &dkim.signatures);
        all.filter(|v| v.status == dkim::Status::Pass).filter_map(|v| v.claims().domain).collect()
    }
}

fn dkim_result(verification: &dkim::Verification, utf8: bool) -> MethodResult {
    let mut result = MethodResult::new("dkim", verification.status.as_str());
    let key = verification.record.as_ref().and_then(|record| record.key.as_ref());
    if let Some(key) = key.filter(|key| key.key_type() == dkim::KeyType::Rsa) {
        result = result.comment(format!("{} bit rsa, {}", key.bits(), dnssec(verification.security)));
    }
    if let Some(error) = &verification.error {
        result = result.reason(cut(&error.to_string()));
    }
    let claims = verification.claims();
    if let Some(domain) = &claims.domain {
        result = result.domain("header", "d", domain, utf8);
    }
    if let Some(selector) = &claims.selector {
        result = result.property("header", "s", selector.as_str());
    }
    if let Some(algorithm) = claims.algorithm {
        result = result.property("header", "a", algorithm);
    }
    if let Some(prefix) = claims.signature_prefix {
        result = result.property("header", "b", prefix);
    }
    // RFC 6532 §3.2: a message that came without SMTPUTF8 gets no field with UTF-8.
    if let Some(identity) = claims.identity.map(|i| i.to_string()).filter(|i| utf8 || i.is_ascii()) {
        result = result.property("header", "i", identity);
    }
    result
}

fn dnssec(security: dns::Security) -> &'static str {
    if security == dns::Security::Secure { "with dnssec" } else { "without dnssec" }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_REASON).collect()
}

fn spf_validation(outcome: spf::Outcome) -> Validation {
    match outcome {
        spf::Outcome::None => Validation::None,
        spf::Outcome::Neutral => Validation::Neutral,
        spf::Outcome::Pass => Validation::Pass,
        spf::Outcome::Fail => Validation::Fail,
        spf::Outcome::SoftFail => Validation::SoftFail,
        spf::Outcome::TempError => Validation::TempError,
        spf::Outcome::PermError => Validation::PermError,
    }
}
