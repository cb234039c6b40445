//! `moxd iprev` and `moxd dnsbl`.

use super::args::{DnsblVerb, Lookup};
use super::{Report, domain, print_json, with_dns};
use anyhow::Result;
use iprev::{Evaluation, dnsbl};
use serde_json::{Value, json};
use std::net::IpAddr;

/// `moxd iprev IP`.
pub(crate) fn iprev(ip: IpAddr, lookup: &Lookup) -> Result<()> {
    let evaluation = with_dns(&lookup.dns, |dns| async move { Ok(iprev::check(&dns, ip).await) })?;
    if lookup.output.json {
        return print_json(&json(&evaluation));
    }
    let mut report = Report::default();
    report.result("result", evaluation.result.as_str());
    report.line("reason", evaluation.reason.as_ref().map(ToString::to_string));
    report.line("name", evaluation.name.as_ref().map(ToString::to_string));
    let names: Vec<String> = evaluation.names.iter().map(ToString::to_string).collect();
    report.line("names", Some(names.join(", ")).filter(|names| !names.is_empty()));
    report.line("dnssec", evaluation.security.to_string());
    report.print()
}

/// What the verbs promise about an evaluation.
pub(super) fn json(evaluation: &Evaluation) -> Value {
    json!({
        "result": evaluation.result.as_str(),
        "name": evaluation.name.as_ref().map(ToString::to_string),
        "names": evaluation.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// `moxd dnsbl check ZONE IP`.
pub(crate) fn dnsbl(verb: &DnsblVerb) -> Result<()> {
    let DnsblVerb::Check { zone, ip, lookup } = verb;
    let (zone, ip) = (domain(zone)?, *ip);
    let name = zone.to_string();
    let (evaluation, health) = with_dns(&lookup.dns, |dns| async move {
        Ok((dnsbl::check(&dns, &zone, ip).await, dnsbl::health(&dns, &zone).await))
    })?;
    let reason = evaluation.text.or_else(|| evaluation.reason.map(|reason| reason.to_string()));
    if lookup.output.json {
        return print_json(&json!({
            "zone": name,
            "ip": ip.to_string(),
            "result": evaluation.result.as_str(),
            "codes": evaluation.codes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reason": reason,
            "healthy": health.is_healthy(),
        }));
    }
    let mut report = Report::default();
    report.result("result", evaluation.result.as_str());
    let codes: Vec<String> = evaluation.codes.iter().map(ToString::to_string).collect();
    report.line("codes", Some(codes.join(", ")).filter(|codes| !codes.is_empty()));
    report.line("reason", reason);
    report.line("zone", format!("{name}: {health}"));
    report.print()
}
