//! `moxd dmarc`.

use crate::{Report, conclude, domain, print_json, with_dns};
use anyhow::Result;
use cli::{DmarcCheck, DmarcRfc, DmarcVerb, Wrong};
use dmarc::{Alignment, Discovery, Evaluation, Method, Outcome, Proven, PublicSuffix, Record, Rules};
use serde_json::{Value, json};

/// Does a verb.
///
/// # Errors
/// The work cannot be done, the arguments are wrong, or the result is not `pass` and the exit status is to say so.
pub fn run(verb: &DmarcVerb) -> Result<()> {
    match verb {
        DmarcVerb::Lookup { domain: name, rfc, lookup } => {
            let name = domain(name)?;
            let rules = rules(*rfc);
            let discovery =
                with_dns(&lookup.dns, |dns| async move { Ok(dmarc::discover(&dns, &name, rules).await) })?;
            if lookup.output.json {
                return print_json(&discovery_json(&discovery));
            }
            discovery_report(&discovery).print()
        }
        DmarcVerb::Check(arguments) => check(arguments),
    }
}

fn rules(rfc: DmarcRfc) -> Rules {
    match rfc {
        DmarcRfc::Rfc9989 => Rules::Rfc9989,
        DmarcRfc::Rfc7489 => Rules::Rfc7489,
    }
}

fn discovery_json(discovery: &Discovery) -> Value {
    json!({
        "status": discovery.status.as_str(),
        "domain": discovery.domain.as_ref().map(ToString::to_string),
        "record": discovery.text,
        "policy": discovery.record.as_ref().map(policy_json),
        "problem": discovery.problem.map(dmarc::ErrorKind::token),
        "applies": discovery.record.as_ref().map(|_| discovery.policy().as_str()),
        "organization": discovery.organizational.as_ref().map(ToString::to_string),
        "dnssec": discovery.security.to_string(),
        "asked": asked(discovery),
    })
}

fn policy_json(record: &Record) -> Value {
    let policy = |policy: Option<dmarc::Policy>| policy.map(dmarc::Policy::as_str);
    let addresses = |uris: &[dmarc::Uri]| uris.iter().map(|uri| uri.as_str().to_owned()).collect::<Vec<_>>();
    json!({
        "p": policy(record.p),
        "sp": policy(record.sp),
        "np": policy(record.np),
        "adkim": alignment(record.adkim),
        "aspf": alignment(record.aspf),
        "psd": public_suffix(record.psd),
        "t": record.t,
        "pct": record.pct,
        "rua": addresses(&record.rua),
        "ruf": addresses(&record.ruf),
    })
}

fn alignment(mode: Alignment) -> &'static str {
    match mode {
        Alignment::Relaxed => "r",
        Alignment::Strict => "s",
    }
}

fn public_suffix(psd: PublicSuffix) -> &'static str {
    match psd {
        PublicSuffix::Unsaid => "u",
        PublicSuffix::Yes => "y",
        PublicSuffix::No => "n",
    }
}

fn discovery_report(discovery: &Discovery) -> Report {
    let mut report = Report::default();
    report.result("result", discovery.status.as_str());
    report.line("reason", discovery.problem.map(|problem| problem.token().to_owned()));
    report.line("found at", discovery.domain.as_ref().map(ToString::to_string));
    report.line("record", discovery.text.clone());
    report.line("policy", discovery.record.as_ref().map(|_| discovery.policy().as_str().to_owned()));
    report.line("organization", discovery.organizational.as_ref().map(ToString::to_string));
    report.line("dnssec", discovery.security.to_string());
    report.line("asked", asked(discovery).join(", "));
    report
}

/// The names that DNS was asked for.
fn asked(discovery: &Discovery) -> Vec<String> {
    discovery.steps.iter().map(|step| format!("_dmarc.{}", step.domain)).collect()
}

fn check(arguments: &DmarcCheck) -> Result<()> {
    let from = domain(&arguments.from)?;
    let mut proven = Vec::new();
    if let (Some(result), Some(name)) = (&arguments.spf_result, &arguments.spf_domain) {
        proven.push(Proven {
            by: Method::Spf,
            domain: domain(name)?,
            result: outcome("--spf-result", result)?,
        });
    }
    for given in &arguments.dkim {
        let (name, result) =
            given.split_once('=').ok_or_else(|| Wrong(format!("--dkim {given}: not DOMAIN=RESULT")))?;
        proven.push(Proven { by: Method::Dkim, domain: domain(name)?, result: outcome("--dkim", result)? });
    }
    let rules = rules(arguments.rfc);
    let (discovery, evaluation) = with_dns(&arguments.lookup.dns, |dns| async move {
        Ok(dmarc::check(&dns, &from, &proven, rules, None).await)
    })?;
    if arguments.lookup.output.json {
        let mut value = json(&evaluation);
        value["record"] = json!(discovery.text);
        value["problem"] = json!(discovery.problem.map(dmarc::ErrorKind::token));
        value["dnssec"] = json!(discovery.security.to_string());
        value["asked"] = json!(asked(&discovery));
        print_json(&value)?;
    } else {
        check_report(&discovery, &evaluation).print()?;
    }
    conclude(arguments.judged, evaluation.result == dmarc::Verdict::Pass)
}

fn check_report(discovery: &Discovery, evaluation: &Evaluation) -> Report {
    let mut report = Report::default();
    report.result("result", evaluation.result.as_str());
    report.line("reason", discovery.problem.map(|problem| problem.token().to_owned()));
    report.line("policy", evaluation.policy.as_str().to_owned());
    report.line("reject", if evaluation.reject() { "yes" } else { "no" }.to_owned());
    report.line("found at", evaluation.domain.as_ref().map(ToString::to_string));
    report.line("record", discovery.text.clone());
    report.line("spf", if evaluation.aligned_spf { "aligned" } else { "not aligned" }.to_owned());
    report.line("dkim", if evaluation.aligned_dkim { "aligned" } else { "not aligned" }.to_owned());
    report.line("dnssec", discovery.security.to_string());
    report.line("asked", asked(discovery).join(", "));
    report
}

/// The evaluation as JSON, as the verbs promise it.
pub fn json(evaluation: &Evaluation) -> Value {
    json!({
        "result": evaluation.result.as_str(),
        "policy": evaluation.policy.as_str(),
        "reject": evaluation.reject(),
        "domain": evaluation.domain.as_ref().map(ToString::to_string),
        "aligned_spf": evaluation.aligned_spf,
        "aligned_dkim": evaluation.aligned_dkim,
    })
}

/// A result of SPF (RFC 7208 §2.6) or DKIM (RFC 8601 §2.7.1), as DMARC sees it.
fn outcome(argument: &str, word: &str) -> Result<Outcome> {
    match word.to_ascii_lowercase().as_str() {
        "pass" => Ok(Outcome::Pass),
        "temperror" => Ok(Outcome::TempError),
        "fail" | "softfail" | "neutral" | "none" | "policy" | "permerror" => Ok(Outcome::Fail),
        _ => {
            Err(Wrong(format!("{argument} {word}: not a result of SPF or DKIM, such as pass or fail")).into())
        }
    }
}
