//! Plays the cases of `testdata/rules`; the README there describes them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{Delayed, wait};
use dns::zone::{Zone, block_on_ready};
use dns::{Domain, Host};
use moxd_spf::{Cache, Evaluation, Identity, Limits, Query, check, explain};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

const NOW: u64 = 1_700_000_000;

struct Case {
    title: String,
    zone: String,
    /// Queries with what they have to give.
    asked: Vec<(String, String)>,
}

/// Parses the cases of a file; the error names the line and the fault.
fn cases(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |why: &str| format!("{file}:{}: {why}: {line}", at + 1);
        if line.trim().is_empty() || line.starts_with(';') {
            continue;
        }
        if line.starts_with('§') || line.starts_with("RFC ") {
            cases.push(Case { title: line.to_owned(), zone: String::new(), asked: Vec::new() });
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| wrong("a line before the title of a case (§ or RFC)"))?;
        if let Some(query) = line.strip_prefix('?') {
            let &[ip, mail_from, helo] = query.split_whitespace().collect::<Vec<_>>().as_slice() else {
                return Err(wrong("not `? IP MAILFROM HELO`"));
            };
            let is_name = |name: &str| name == "-" || name.parse::<Host>().is_ok();
            let domain = mail_from.rsplit_once('@').map_or("-", |(_, domain)| domain);
            if ip.parse::<std::net::IpAddr>().is_err() || !is_name(domain) || !is_name(helo) {
                return Err(wrong("not an address and names"));
            }
            case.asked.push((query.trim().to_owned(), String::new()));
        } else if let Some(want) = line.strip_prefix('=') {
            let asked = case.asked.last_mut().filter(|(_, want)| want.is_empty());
            asked.ok_or_else(|| wrong("an answer without a query"))?.1 = want.trim().to_owned();
            let words = want.split(" explanation=").next().unwrap_or_default().split_whitespace().skip(1);
            if let Some(word) = words.into_iter().find(|word| !word.contains('=')) {
                return Err(wrong(&format!("{word} is not key=value")));
            }
        } else {
            let zone = Zone::parse(line).map_err(|error| wrong(&error.to_string()));
            case.zone.extend([line, "\n"]);
            zone?;
        }
    }
    match cases
        .iter()
        .find(|case| case.asked.is_empty() || case.asked.iter().any(|(_, want)| want.is_empty()))
    {
        Some(case) => Err(format!("{file}: {}: there is no query, or one without an answer", case.title)),
        None => Ok(cases),
    }
}

#[test]
fn reports_the_line_of_a_malformed_file() {
    let check = |text: &str, want: &str| {
        let error = cases("x.rules", text).err().unwrap_or_default();
        assert!(error.starts_with(want), "{error}\nnot {want}");
    };
    check("? 192.0.2.1 a@b.test -", "x.rules:1: a line before the title");
    check("§5.1 x\n? 192.0.2.1 a@b.test", "x.rules:2: not `? IP MAILFROM HELO`");
    check("§5.1 x\n\n? 192.0.2 a@b.test -", "x.rules:3: not an address and names");
    check("§5.1 x\n= pass", "x.rules:2: an answer without a query");
    check("§5.1 x\n? 192.0.2.1 a@b.test -\n= pass why", "x.rules:3: why is not key=value");
    check("§5.1 x\nb.test. NONSENSE x", "x.rules:2: ");
    check("§5.1 x\n? 192.0.2.1 a@b.test -", "x.rules: §5.1 x: there is no query, or one without an answer");
}

/// Prints an evaluation in the form of `want`, with only the parts that `want` mentions.
fn describe(evaluation: &Evaluation, explanation: Option<String>, want: &str) -> String {
    let (want, wants_explanation) = match want.split_once(" explanation=") {
        Some((want, _)) => (want, true),
        None => (want, false),
    };
    let reason = evaluation.reason.as_ref();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut words = vec![evaluation.result.to_string()];
    for (key, _) in want.split_whitespace().skip(1).map(|word| word.split_once('=').unwrap()) {
        let value = match key {
            "mechanism" => or_none(evaluation.matched.as_ref().map(ToString::to_string)),
            "reason" => or_none(reason.map(|reason| reason.kind().token().to_owned())),
            "term" => or_none(reason.and_then(|reason| reason.term()).map(ToOwned::to_owned)),
            "at" => or_none(reason.and_then(|reason| reason.domain()).map(ToString::to_string)),
            "depth" => or_none(reason.map(|reason| reason.depth().to_string())),
            "lookups" => evaluation.lookups.to_string(),
            "voids" => evaluation.void_lookups.to_string(),
            "identity" => or_none(evaluation.identity.map(|identity| identity.to_string())),
            "domain" => or_none(evaluation.domain.as_ref().map(ToString::to_string)),
            "security" => evaluation.security.to_string(),
            _ => panic!("unknown key {key}"),
        };
        words.push(format!("{key}={value}"));
    }
    if wants_explanation {
        words.push(format!("explanation={}", or_none(explanation)));
    }
    words.join(" ")
}

/// Evaluates over a zone that answers at once, and checks that a zone that makes evaluation wait and look ahead, and a
/// cache of parsed records, lead to the same result.
fn ask(zone: &Zone, query: &str, want: &str) -> Result<(), String> {
    let words: Vec<&str> = query.split_whitespace().collect();
    let &[ip, mail_from, helo] = words.as_slice() else { return Err(format!("bad query {query}")) };
    let mailbox: Option<(&str, Domain)> =
        mail_from.rsplit_once('@').map(|(localpart, domain)| (localpart, domain.parse().unwrap()));
    let helo: Option<Host> = (helo != "-").then(|| helo.parse().unwrap());
    let receiver: Domain = "receiver.test".parse().unwrap();
    let mut query = Query::new(ip.parse().unwrap()).receiver(&receiver);
    if let Some((localpart, domain)) = &mailbox {
        query = query.mail_from(localpart, domain);
    }
    if let Some(helo) = &helo {
        query = query.helo(helo);
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let limits = Limits::default();

    let at_once = block_on_ready(check(zone, &query, limits));
    let explanation = block_on_ready(explain(zone, &query, &at_once, limits, now));
    let delayed = Delayed::new(zone);
    let waited = wait(check(&delayed, &query, limits)).0;
    if waited != at_once {
        return Err(format!("at once {at_once:?}, with delays {waited:?}"));
    }
    let cache = Cache::new(1 << 20);
    for _ in 0..2 {
        let known = block_on_ready(check(zone, &query.cache(&cache), limits));
        if known != at_once {
            return Err(format!("without a cache {at_once:?}, from a cache {known:?}"));
        }
    }
    if explanation.is_some() && !at_once.has_explanation() {
        return Err("an explanation that was not announced".to_owned());
    }
    let got = describe(&at_once, explanation, want);
    if got == want { Ok(()) } else { Err(format!("wants {want}\n     got {got}")) }
}

#[test]
fn every_rule_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rules");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut played, mut failures) = (0, Vec::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rules")) {
        let file_name = file.file_name().unwrap().display().to_string();
        let cases = cases(&file_name, &fs::read_to_string(file).unwrap());
        for case in cases.unwrap_or_else(|error| panic!("{error}")) {
            let name = format!("{file_name}: {}", case.title);
            let zone = Zone::parse(&case.zone).unwrap_or_else(|error| panic!("{name}: {error}"));
            for (query, want) in &case.asked {
                played += 1;
                failures
                    .extend(ask(&zone, query, want).err().map(|e| format!("{name}\n? {query}\n     {e}")));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {played} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(played > 250, "only {played} queries found");
}

/// The files split queries at blanks, so a query with blanks stands here.
#[test]
fn a_quoted_local_part_may_bring_a_blank() {
    let zone =
        Zone::parse("example.test. TXT \"v=spf1 exists:%{l}.x.test -all\"\n\"a b.x.test.\" A 127.0.0.2")
            .unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let judge = |localpart| {
        let query = Query::new("192.0.2.1".parse().unwrap()).mail_from(localpart, &domain);
        block_on_ready(check(&zone, &query, Limits::default())).result.as_str()
    };
    assert_eq!((judge("A b"), judge("a"), judge("a\tb")), ("pass", "fail", "fail"));
}

#[test]
fn helo_can_be_judged_beside_mail_from() {
    let zone = Zone::parse("mail.test. TXT \"v=spf1 +all\"\nhelo.test. TXT \"v=spf1 -all\"").unwrap();
    let (domain, helo): (Domain, Host) = ("mail.test".parse().unwrap(), "helo.test".parse().unwrap());
    let query = Query::new("192.0.2.1".parse().unwrap()).mail_from("alice", &domain).helo(&helo);
    let mail_from = block_on_ready(check(&zone, &query, Limits::default()));
    assert_eq!((mail_from.identity, mail_from.result.as_str()), (Some(Identity::MailFrom), "pass"));
    let helo = block_on_ready(moxd_spf::check_helo(&zone, &query, Limits::default()));
    assert_eq!((helo.identity, helo.result.as_str()), (Some(Identity::Helo), "fail"));
}
