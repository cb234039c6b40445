//! `moxd spf`.

use crate::{Report, argument, conclude, domain, print_json, sender, with_dns};
use anyhow::{Result, anyhow};
use cli::{SpfCheck, SpfVerb, Wrong};
use dns::{Host, Name};
use serde_json::{Value, json};
use spf::{ErrorKind, Evaluation, Identity, Limits, Query, Record};
use std::time::SystemTime;

/// Does a verb.
///
/// # Errors
/// The work cannot be done, the arguments are wrong, or the result is not `pass` and the exit status is to say so.
pub fn run(verb: &SpfVerb, now: SystemTime) -> Result<()> {
    match verb {
        SpfVerb::Check(arguments) => check(arguments, now),
        SpfVerb::Lookup { domain: name, lookup } => {
            // The name of an included record is often one that no host may have, such as _spf.example.org.
            let name = argument("domain", name)?;
            let text = with_dns(&lookup.dns, |dns| async move { find(&dns, &name).await })?;
            show(&text, lookup.output.json)
        }
        SpfVerb::Parse { record, output } => show(record, output.json),
    }
}

fn check(arguments: &SpfCheck, now: SystemTime) -> Result<()> {
    if arguments.mailfrom.is_none() && arguments.helo.is_none() {
        return Err(Wrong("neither --mailfrom nor --helo is given: nothing to check".to_owned()).into());
    }
    // RFC 7208 §4.3: what is malformed has no record, so the result is none.
    let mail_from = arguments.mailfrom.as_deref().map_or(Ok(None), sender);
    let helo = arguments.helo.as_deref().map(host).transpose();
    let malformed = match (&mail_from, &helo) {
        (Err(_), _) => Some(Identity::MailFrom),
        (Ok(None), Err(_)) => Some(Identity::Helo),
        _ => None,
    };
    let (mail_from, helo) = (mail_from.unwrap_or_default(), helo.unwrap_or_default());
    let receiver = arguments.receiver.as_deref().map(domain).transpose()?;
    let mut query = Query::new(arguments.ip);
    if let Some(mailbox) = &mail_from {
        query = query.mail_from(mailbox.localpart.as_str(), &mailbox.domain);
    }
    if let Some(helo) = &helo {
        query = query.helo(helo);
    }
    if let Some(receiver) = &receiver {
        query = query.receiver(receiver);
    }
    if let Some(identity) = malformed {
        return tell(arguments, &query, &Evaluation::malformed(identity), None);
    }
    let limits = Limits::default();
    let (evaluation, explanation) = with_dns(&arguments.lookup.dns, |dns| async move {
        let evaluation = spf::check(&dns, &query, limits).await;
        let explanation = spf::explain(&dns, &query, &evaluation, limits, now).await;
        Ok((evaluation, explanation))
    })?;
    tell(arguments, &query, &evaluation, explanation.as_deref())
}

fn tell(
    arguments: &SpfCheck,
    query: &Query<'_>,
    evaluation: &Evaluation,
    explanation: Option<&str>,
) -> Result<()> {
    let field = spf::ReceivedSpf::new(query, evaluation).to_string();
    if arguments.lookup.output.json {
        print_json(&json(evaluation, explanation, &field))?;
    } else {
        report(evaluation, explanation, field).print()?;
    }
    conclude(arguments.judged, evaluation.result == spf::Outcome::Pass)
}

/// The evaluation as JSON, as the verbs promise it.
pub fn json(evaluation: &Evaluation, explanation: Option<&str>, field: &str) -> Value {
    json!({
        "result": evaluation.result.as_str(),
        "identity": evaluation.identity.map(Identity::as_str),
        "domain": evaluation.domain.as_ref().map(ToString::to_string),
        "mechanism": evaluation.matched.as_ref().map(ToString::to_string),
        "explanation": explanation,
        "problem": evaluation.problem().map(ToString::to_string),
        "reason": evaluation.reason.as_ref().map(ToString::to_string),
        "lookups": evaluation.lookups,
        "void_lookups": evaluation.void_lookups,
        "dnssec": evaluation.security.to_string(),
        // On one line, as Authentication-Results.
        "received_spf": field.trim_end().replace("\r\n\t", " "),
    })
}

fn report(evaluation: &Evaluation, explanation: Option<&str>, field: String) -> Report {
    let mut report = Report::default();
    report.result("result", evaluation.result.as_str());
    report.line("identity", evaluation.identity.map(|identity| identity.to_string()));
    report.line("domain", evaluation.domain.as_ref().map(ToString::to_string));
    report.line("mechanism", evaluation.matched.as_ref().map(ToString::to_string));
    report.line("reason", evaluation.reason.as_ref().map(ToString::to_string));
    report.line("explanation", explanation.map(str::to_owned));
    report.line("lookups", format!("{}, {} void", evaluation.lookups, evaluation.void_lookups));
    report.line("dnssec", evaluation.security.to_string());
    report.gap();
    report.line("field", field);
    report
}

/// The argument of `--helo`.
///
/// # Errors
/// It is neither a name nor an address.
pub fn host(text: &str) -> Result<Host> {
    text.parse().map(Host::Ip).or_else(|_| argument("--helo", text))
}

/// The one SPF record of a name.
async fn find(dns: &dyn dns::Resolver, name: &Name) -> Result<String> {
    spf::fetch(dns, name).await.map_err(|error| match error.kind() {
        ErrorKind::NoRecord => anyhow!("{name} has no SPF record"),
        ErrorKind::SeveralRecords => anyhow!("{name} has several SPF records, which makes all of them void"),
        _ => anyhow!("{error}"),
    })
}

fn show(text: &str, json: bool) -> Result<()> {
    let record: Record<'static> = text.parse().map_err(|error| anyhow::anyhow!("{text:?}: {error}"))?;
    let directives = record.directives().iter();
    if json {
        let directives = directives.map(
            |d| json!({ "result": d.qualifier.outcome().as_str(), "mechanism": d.mechanism.to_string() }),
        );
        return print_json(&json!({
            "record": record.to_string(),
            "directives": directives.collect::<Vec<_>>(),
            "redirect": record.redirect().map(|d| d.as_str().to_owned()),
            "explanation": record.explanation().map(|d| d.as_str().to_owned()),
            "modifiers": record.unknown_modifiers().iter().map(|m| json!({ "name": m.name(), "value": m.value() }))
                .collect::<Vec<_>>(),
        }));
    }
    let mut report = Report::default();
    report.line("record", record.to_string());
    for directive in directives {
        report.line(directive.qualifier.outcome().as_str(), directive.mechanism.to_string());
    }
    report.line("redirect", record.redirect().map(|d| d.as_str().to_owned()));
    report.line("explanation", record.explanation().map(|d| d.as_str().to_owned()));
    for modifier in record.unknown_modifiers() {
        report.line("ignored", format!("{}={}", modifier.name(), modifier.value()));
    }
    report.print()
}
