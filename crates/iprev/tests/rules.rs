//! The rules of `testdata/rules`, each with the section that it shows.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use dns::zone::{Zone, block_on_ready};
use moxd_iprev::{Evaluation, check, dnsbl, sender};
use std::fmt::Display;
use std::fs;
use std::path::Path;

#[test]
fn every_rule_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rules");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 4, "files are missing");
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy();
        let held = hold(&file, &fs::read_to_string(&path).unwrap());
        assert!(held > 7, "{file}: {held} questions");
    }
}

/// Asks all questions of a file, and tells how many there were.
fn hold(file: &str, text: &str) -> usize {
    let (mut title, mut zone, mut question, mut held) = ("", String::new(), None, 0);
    for (number, line) in text.lines().enumerate() {
        let place = format!("{file}:{}: {title}", number + 1);
        if line.starts_with("RFC ") {
            assert!(question.is_none(), "{place}: a question without an answer");
            assert!(is_rule_title(line), "{place}: {line}");
            (title, zone) = (line, String::new());
        } else if let Some(asked) = line.strip_prefix("? ") {
            question = Some(asked);
        } else if let Some(expected) = line.strip_prefix("= ") {
            let zone = Zone::parse(&zone).unwrap_or_else(|error| panic!("{place}: {error}"));
            let asked = question.take().unwrap_or_else(|| panic!("{place}: an answer without a question"));
            assert_eq!(ask(&zone, asked), expected, "{place}: {asked}");
            held += 1;
        } else {
            zone.push_str(line);
            zone.push('\n');
        }
    }
    held
}

/// `RFC nnnn §x.y: what it says`.
fn is_rule_title(line: &str) -> bool {
    let (reference, title) = line.split_once(": ").unwrap_or_default();
    let words: Vec<&str> = reference.split(' ').collect();
    let [rfc, number, section] = words.as_slice() else { return false };
    *rfc == "RFC" && number.parse::<u16>().is_ok() && section.starts_with('§') && !title.is_empty()
}

/// The whole evaluation as one line.
fn ask(zone: &Zone, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    match words.as_slice() {
        ["reverse", ip] => of_reverse(&block_on_ready(check(zone, ip.parse().unwrap()))),
        ["dnsbl", list, ip] => {
            of_dnsbl(&block_on_ready(dnsbl::check(zone, &list.parse().unwrap(), ip.parse().unwrap())))
        }
        ["health", list] => {
            let health = block_on_ready(dnsbl::health(zone, &list.parse().unwrap()));
            assert_eq!(health.is_healthy(), health == dnsbl::Health::Healthy);
            format!("{}: {health}", if health.is_usable() { "usable" } else { "useless" })
        }
        ["sender", domain] => match block_on_ready(sender::can_receive(zone, &domain.parse().unwrap())) {
            sender::Outcome::Temporary(error) => format!("temporary reason={}", error.kind().token()),
            outcome => outcome.token().to_owned(),
        },
        _ => panic!("no such question: {question}"),
    }
}

fn of_reverse(evaluation: &Evaluation) -> String {
    let mut line = evaluation.result.to_string();
    if let Some(name) = &evaluation.name {
        line += &format!(" name={name}");
    }
    if !evaluation.names.is_empty() {
        line += &format!(" names={}", list(&evaluation.names));
    }
    line += &format!(" security={}", evaluation.security);
    if let Some(reason) = &evaluation.reason {
        line += &format!(" reason={}", reason.kind().token());
    }
    line
}

fn of_dnsbl(evaluation: &dnsbl::Evaluation) -> String {
    let mut line = evaluation.result.to_string();
    if !evaluation.codes.is_empty() {
        line += &format!(" codes={}", list(&evaluation.codes));
    }
    if let Some(text) = &evaluation.text {
        line += &format!(" text={text:?}");
    }
    if let Some(reason) = &evaluation.reason {
        line += &format!(" reason={}", reason.token());
    }
    line
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
