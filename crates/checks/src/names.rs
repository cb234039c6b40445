//! `moxd iprev` and `moxd dnsbl`.

use crate::{Report, conclude, domain, print_json, with_dns};
use anyhow::Result;
use cli::{DnsblVerb, Judged, Lookup};
use iprev::{Evaluation, dnsbl};
use serde_json::{Value, json};
use std::net::IpAddr;

/// `moxd iprev IP`.
///
/// # Errors
/// The work cannot be done, the arguments are wrong, or the result is not `pass` and the exit status is to say so.
pub fn iprev(ip: IpAddr, lookup: &Lookup, judged: Judged) -> Result<()> {
    let evaluation = with_dns(&lookup.dns, |dns| async move { Ok(iprev::check(&dns, ip).await) })?;
    if lookup.output.json {
        print_json(&json(&evaluation))?;
    } else {
        report(&evaluation).print()?;
    }
    conclude(judged, evaluation.result == iprev::Outcome::Pass)
}

fn report(evaluation: &Evaluation) -> Report {
    let mut report = Report::default();
    report.result("result", evaluation.result.as_str());
    report.line("reason", evaluation.reason.as_ref().map(ToString::to_string));
    report.line("name", evaluation.name.as_ref().map(ToString::to_string));
    let names: Vec<String> = evaluation.names.iter().map(ToString::to_string).collect();
    report.line("names", Some(names.join(", ")).filter(|names| !names.is_empty()));
    report.line("dnssec", evaluation.security.to_string());
    report
}

/// The evaluation as JSON, as the verbs promise it.
pub fn json(evaluation: &Evaluation) -> Value {
    json!({
        "result": evaluation.result.as_str(),
        "name": evaluation.name.as_ref().map(ToString::to_string),
        "names": evaluation.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "reason": evaluation.reason.as_ref().map(ToString::to_string),
        "dnssec": evaluation.security.to_string(),
    })
}

/// `moxd dnsbl check ZONE IP`.
///
/// # Errors
/// The work cannot be done, the arguments are wrong, or the result is not `pass` and the exit status is to say so.
pub fn dnsbl(verb: &DnsblVerb) -> Result<()> {
    let DnsblVerb::Check { zone, ip, lookup, judged } = verb;
    let (zone, ip) = (domain(zone)?, *ip);
    let name = zone.to_string();
    let (evaluation, health) = with_dns(&lookup.dns, |dns| async move {
        Ok((dnsbl::check(&dns, &zone, ip).await, dnsbl::health(&dns, &zone).await))
    })?;
    let mut result = evaluation.result;
    let mut reason = evaluation.text.or_else(|| evaluation.reason.map(|reason| reason.to_string()));
    if health == dnsbl::Health::NoZone {
        // In a zone that does not exist no address is listed.
        result = dnsbl::Outcome::TempError;
        reason = Some(health.to_string());
    }
    let passed = result == dnsbl::Outcome::Pass;
    if lookup.output.json {
        print_json(&json!({
            "zone": name,
            "ip": ip.to_string(),
            "result": result.as_str(),
            "codes": evaluation.codes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reason": reason,
            "healthy": health.is_healthy(),
            "health": health.to_string(),
        }))?;
        return conclude(*judged, passed);
    }
    let mut report = Report::default();
    report.result("result", result.as_str());
    let codes: Vec<String> = evaluation.codes.iter().map(ToString::to_string).collect();
    report.line("codes", Some(codes.join(", ")).filter(|codes| !codes.is_empty()));
    report.line("reason", reason);
    report.line("zone", format!("{name}: {health}"));
    report.print()?;
    conclude(*judged, passed)
}
