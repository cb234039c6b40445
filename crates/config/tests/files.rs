//! Configurations in `testdata/`, good and bad: see the README there.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs, reason = "test code")]

use std::path::{Path, PathBuf};

use moxd_config::*;

fn folders(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(kind);
    let mut folders: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

/// Reads the files of a folder, together if both exist.
fn read(folder: &Path) -> Vec<Problem> {
    let text = |name| std::fs::read_to_string(folder.join(name)).ok();
    let result = match (text("moxd.toml"), text("domains.toml")) {
        (Some(server), Some(domains)) => parse((&server, "moxd.toml"), (&domains, "domains.toml")).map(drop),
        (Some(server), None) => parse_server(&server, "moxd.toml").map(drop),
        (None, Some(domains)) => parse_domains(&domains, "domains.toml").map(drop),
        (None, None) => panic!("{} has no file", folder.display()),
    };
    result.err().unwrap_or_default()
}

#[test]
fn accepts_good_files() {
    for folder in folders("good") {
        assert_eq!(read(&folder), [], "{}", folder.display());
    }
}

#[test]
fn names_every_problem_of_bad_files() {
    for folder in folders("bad") {
        let problems = read(&folder);
        let line = |p: &Problem| format!("{}:{} {}\n", p.origin(), p.line(), p.kind().token());
        let got: String = problems.iter().map(line).collect();
        if std::env::var("UPDATE").is_ok() {
            std::fs::write(folder.join("want"), &got).unwrap();
        }
        let want = std::fs::read_to_string(folder.join("want")).unwrap();
        assert_eq!(got, want, "{}\n{problems:#?}", folder.display());
    }
}

#[test]
fn says_what_was_meant() {
    let problems = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/bad/unknown-key-in-service"));
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!(problem.key(), "listeners.local.smtp.prot");
    assert_eq!(problem.mend(), "did you mean port?");
}

#[test]
fn tokens_are_distinct() {
    let tokens: std::collections::BTreeSet<_> = ProblemKind::ALL.iter().map(|kind| kind.token()).collect();
    assert_eq!(tokens.len(), ProblemKind::ALL.len());
    assert!(tokens.iter().all(|token| token.starts_with("config.")));
}
