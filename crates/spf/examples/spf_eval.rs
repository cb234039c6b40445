//! Evaluates queries against a zone file, without a network.
//!
//! `cargo run -p moxd-spf --example spf_eval -- ZONE QUERIES`
//!
//! A query is a line `IP MAILFROM HELO`, with `-` for a MAIL FROM or HELO that is not given. For each, a line is printed:
//! result, matched mechanism, token of the reason, explanation, separated by tabs, `-` for what is not known.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use moxd_spf::dns::zone::{Zone, block_on_ready};
use moxd_spf::dns::{self, Domain, Host};
use moxd_spf::{Limits, Query, check, explain};
use std::error::Error;
use std::time::SystemTime;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(zone), Some(queries)) = (arguments.next(), arguments.next()) else {
        return Err("usage: spf_eval ZONE QUERIES".into());
    };
    let zone = Zone::parse(&std::fs::read_to_string(zone)?)?;
    for line in std::fs::read_to_string(queries)?.lines() {
        if !line.trim().is_empty() && !line.starts_with('#') {
            println!("{}", answer(&zone, line)?);
        }
    }
    Ok(())
}

fn answer(zone: &Zone, line: &str) -> Result<String, Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [ip, mail_from, helo] = words.as_slice() else { return Err(format!("bad query: {line}").into()) };
    let mailbox = mail_from.rsplit_once('@').map(|(localpart, domain)| Ok((localpart, domain.parse()?)));
    let mailbox: Option<(&str, Domain)> = mailbox.transpose().map_err(|e: dns::NameError| e)?;
    let helo: Option<Host> = if *helo == "-" { None } else { Some(helo.parse()?) };
    let receiver: Domain = "receiver.test".parse()?;

    let mut query = Query::new(ip.parse()?).receiver(&receiver);
    if let Some((localpart, domain)) = &mailbox {
        query = query.mail_from(localpart, domain);
    }
    if let Some(helo) = &helo {
        query = query.helo(helo);
    }
    let evaluation = block_on_ready(check(zone, &query, Limits::default()));
    let explanation =
        block_on_ready(explain(zone, &query, &evaluation, Limits::default(), SystemTime::UNIX_EPOCH));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    Ok([
        evaluation.result.to_string(),
        or_dash(evaluation.matched.map(|matched| matched.to_string())),
        or_dash(evaluation.reason.map(|reason| reason.kind().token().to_owned())),
        or_dash(explanation),
    ]
    .join("\t"))
}
