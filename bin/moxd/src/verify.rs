//! `moxd verify`: all judges on one message, as incoming delivery asks them.

use crate::wiring;
use anyhow::Result;
use checks::{Report, conclude, dkim, dmarc, message, names, print_json, sender, spf, with_dns};
use cli::Verify;
use intake::{Evidence, Gathering, Judges, SessionOrigin};
use serde_json::json;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

pub(crate) fn run(arguments: &Verify) -> Result<()> {
    let origin = SessionOrigin {
        ip: arguments.ip,
        helo: Some(spf::host(&arguments.helo)?),
        mail_from: sender(&arguments.mailfrom)?,
        receiver: "localhost".parse()?,
    };
    let text = message(&arguments.file)?;
    let evidence = with_dns(&arguments.lookup.dns, |dns| async move {
        let dns = Arc::new(dns);
        let judges = Judges::new(|_| dns.clone(), wiring::instant);
        let now = wiring::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut gathering = Gathering::new(Some(&judges), origin.clone());
        gathering.recipient();
        let end = message::header_end(&text).unwrap_or(text.len());
        let (header, body) = text.split_at(end);
        gathering.header(header, now);
        gathering.body(body);
        let iprev = iprev::check(&*dns, origin.ip).await;
        Ok(gathering.finish(Some(iprev)).await)
    })?;
    report(&evidence, arguments.lookup.output.json)?;
    let passed = evidence.dmarc.as_ref().is_some_and(|judged| judged.result == ::dmarc::Verdict::Pass);
    conclude(arguments.judged, passed)
}

fn report(evidence: &Evidence, as_json: bool) -> Result<()> {
    let field = evidence.authentication_results(&evidence.origin.receiver, false, intake::MAX_RESULTS);
    if as_json {
        return print_json(&json!({
            "iprev": evidence.iprev.as_ref().map(names::json),
            "spf": evidence.spf.as_ref().map(|spf| spf::json(spf, None, &evidence.received_spf())),
            "dkim": evidence.dkim.as_ref().map(dkim::json),
            "dmarc": evidence.dmarc.as_ref().map(dmarc::json),
            "authentication_results": field.to_string(),
        }));
    }
    let mut report = Report::default();
    let none = || "none".to_owned();
    report.result("iprev", &evidence.iprev.as_ref().map_or_else(none, |iprev| iprev.result.to_string()));
    report.result("spf", &evidence.spf.as_ref().map_or_else(none, |spf| spf.result.to_string()));
    for verification in evidence.dkim.iter().flat_map(|dkim| &dkim.signatures) {
        report.result("dkim", verification.status.as_str());
        report.line("", verification.claims().domain.map(|domain| domain.to_string()));
        report.line("", verification.error.as_ref().map(ToString::to_string));
    }
    report.result("dmarc", &evidence.dmarc.as_ref().map_or_else(none, |dmarc| dmarc.result.to_string()));
    report.gap();
    report.line("fields", format!("{}{}", field.field(), evidence.received_spf()));
    report.print()
}
