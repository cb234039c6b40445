//! The rule tables of `testdata/`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use dns::zone::{Zone, block_on_ready};
use dns::{Domain, Security};
use moxd_dmarc::{
    Discovery, Evaluation, Method, Outcome, Percent, Place, Proven, Record, Rules, check, discover,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One case of a table.
#[derive(Default)]
struct Case {
    title: String,
    zone: String,
    input: Vec<(String, String)>,
    want: Vec<(String, String)>,
}

impl Case {
    fn input(&self, key: &str) -> Option<&str> {
        self.input.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    fn rules(&self) -> Rules {
        match self.input("rules") {
            None | Some("9989") => Rules::Rfc9989,
            Some("7489") => Rules::Rfc7489,
            Some(other) => panic!("{}: rules {other}", self.title),
        }
    }

    fn from(&self) -> Domain {
        let from = self.input("from").unwrap_or_else(|| panic!("{}: from: is missing", self.title));
        from.parse().unwrap_or_else(|error| panic!("{}: from: {from}: {error}", self.title))
    }

    fn proven(&self) -> Vec<Proven> {
        let of = |key: &str| match key {
            "spf" => Some(Method::Spf),
            "dkim" => Some(Method::Dkim),
            _ => None,
        };
        let proven = self.input.iter().filter_map(|(key, value)| Some((of(key)?, value)));
        proven
            .map(|(by, value)| {
                let (domain, result) = value
                    .split_once(' ')
                    .unwrap_or_else(|| panic!("{}: {value}: not `DOMAIN RESULT`", self.title));
                let result = match result {
                    "pass" => Outcome::Pass,
                    "temperror" => Outcome::TempError,
                    "fail" => Outcome::Fail,
                    other => panic!("{}: result {other}", self.title),
                };
                Proven { by, domain: domain.parse().unwrap(), result }
            })
            .collect()
    }
}

/// All cases of a folder; every file in it is a table.
fn cases(folder: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, text) in files(folder, "cases") {
        let mut wants = false;
        for (at, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", at + 1);
            if let Some(title) = line.strip_prefix("=== ") {
                cases.push(Case { title: format!("{place}: {title}"), ..Case::default() });
                wants = false;
            } else if line == "want" {
                wants = true;
            } else if let Some(case) = cases.last_mut().filter(|_| !line.is_empty()) {
                if let Some(zone) = line.strip_prefix("  ") {
                    case.zone += &format!("{zone}\n");
                } else {
                    let (key, value) =
                        line.split_once(": ").unwrap_or_else(|| panic!("{place}: not `key: value`: {line}"));
                    let list = if wants { &mut case.want } else { &mut case.input };
                    list.push((key.to_owned(), value.to_owned()));
                }
            }
        }
    }
    assert!(cases.len() > 10, "{folder}");
    cases
}

/// The files of a folder, each with its name.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder);
    let mut paths: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|e| e == extension));
    let name = |path: &Path| path.file_name().unwrap().display().to_string();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

type Seen = BTreeMap<&'static str, String>;

fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

fn name(domain: Option<&Domain>) -> String {
    domain.map_or("-", Domain::as_str).to_owned()
}

fn seen_by_discovery(discovery: &Discovery) -> Seen {
    let place = match discovery.place {
        None => "-",
        Some(Place::Own) => "own",
        Some(Place::Organizational) => "organizational",
        Some(Place::PublicSuffix) => "public-suffix",
    };
    let asked: Vec<&str> = discovery.steps.iter().map(|step| step.domain.as_str()).collect();
    Seen::from([
        ("status", discovery.status.as_str().to_owned()),
        ("domain", name(discovery.domain.as_ref())),
        ("place", place.to_owned()),
        ("policy", discovery.policy().to_string()),
        ("org", name(discovery.organizational.as_ref())),
        ("text", discovery.text.clone().unwrap_or_default()),
        ("exists", discovery.exists.map_or_else(|| "unasked".to_owned(), yes)),
        ("problem", discovery.problem.map_or("-", |problem| problem.token()).to_owned()),
        ("asked", asked.join(" ")),
        ("security", discovery.security.to_string()),
    ])
}

fn seen_by_evaluation(evaluation: &Evaluation) -> Seen {
    Seen::from([
        ("result", evaluation.result.to_string()),
        ("published", evaluation.published.to_string()),
        ("policy", evaluation.policy.to_string()),
        ("disposition", evaluation.disposition.to_string()),
        ("reject", yes(evaluation.reject())),
        ("spf-aligned", yes(evaluation.aligned_spf)),
        ("dkim-aligned", yes(evaluation.aligned_dkim)),
        ("test-mode", yes(evaluation.test_mode)),
        ("sampled-out", yes(evaluation.sampled_out)),
        ("domain", name(evaluation.domain.as_ref())),
    ])
}

/// The differences between what a case wants and what was seen.
fn differences(case: &Case, seen: &Seen) -> Vec<String> {
    assert!(!case.want.is_empty(), "{} wants nothing", case.title);
    let differs = |(key, want): &&(String, String)| seen.get(key.as_str()) != Some(want);
    let different = case.want.iter().filter(differs);
    different
        .map(|(key, want)| format!("{}\n    {key}: {want}, not {:?}", case.title, seen.get(key.as_str())))
        .collect()
}

#[test]
fn discovers_by_the_rules() {
    let mut wrong = Vec::new();
    for case in cases("discover") {
        let zone = Zone::parse(&case.zone).unwrap_or_else(|error| panic!("{}: {error}", case.title));
        let discovery = block_on_ready(discover(&zone, &case.from(), case.rules()));
        wrong.extend(differences(&case, &seen_by_discovery(&discovery)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn evaluates_by_the_rules() {
    let mut wrong = Vec::new();
    for case in cases("evaluate") {
        let zone = Zone::parse(&case.zone).unwrap();
        let dice = case.input("dice").map(|n| Percent::new(n.parse().unwrap()));
        let (_, evaluation) = block_on_ready(check(&zone, &case.from(), &case.proven(), case.rules(), dice));
        wrong.extend(differences(&case, &seen_by_evaluation(&evaluation)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn reads_and_prints_records_by_the_rules() {
    let read = |text: &str, rules| match Record::parse(text, rules) {
        Ok(record) => record.to_string(),
        Err(error) => error.kind().token().to_owned(),
    };
    let mut wrong = Vec::new();
    let files = files("records", "table");
    let lines = files
        .iter()
        .flat_map(|(file, text)| text.lines().enumerate().map(move |(at, line)| (file, at, line)));
    for (file, at, line) in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let [text, new, old] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{file}:{}: not `TEXT | RFC 9989 | RFC 7489`: {line}", at + 1)
        };
        for (rules, want) in [(Rules::Rfc9989, new), (Rules::Rfc7489, if old == "=" { new } else { old })] {
            let got = read(text, rules);
            if got != want {
                wrong.push(format!("{text}\n    {rules:?}: {want}\n    not: {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_public_suffix_list_asks_nothing_and_proves_nothing() {
    let zone = Zone::parse("").unwrap();
    let from: Domain = "example.com".parse().unwrap();
    let found = block_on_ready(moxd_dmarc::organization(&zone, &from, Rules::Rfc7489));
    assert_eq!((found.security, found.steps.len()), (Security::Unknown, 0));
}
