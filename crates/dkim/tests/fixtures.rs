//! The rules of RFC 6376, 8301, 8463, 8616 and 8617, one fixture each: a message, its keys, and the result.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{Case, NOW, cases, dash, split};
use dns::zone::block_on_ready;
use moxd_dkim::{Evaluation, Policy, Verification, Verifier};

fn policy(text: &str) -> Policy {
    let mut policy = Policy::default();
    for word in text.split_whitespace() {
        match word.split_once('=') {
            None if word == "body-length" => policy.body_length = true,
            None if word == "unsigned-subject" => policy.unsigned_subject = true,
            Some(("max-signatures", n)) => policy.max_signatures = n.parse().unwrap(),
            _ => panic!("unknown policy {word}"),
        }
    }
    policy
}

/// Verifies with the body in pieces of `size` bytes.
fn verify(case: &Case, size: usize) -> Evaluation {
    let (header, body) = split(&case.message);
    let mut verifier = Verifier::new(header, &policy(&case.policy), NOW);
    let keys = block_on_ready(verifier.lookups().run(&case.zone()));
    body.chunks(size).for_each(|piece| verifier.body(piece));
    verifier.finish(&keys)
}

/// `status domain selector algorithm identity error`, a dash for each that is absent.
fn show(verification: &Verification) -> String {
    let claims = verification.claims();
    let error = verification.error.as_ref().map(|error| error.kind().token());
    [
        verification.status.to_string(),
        dash(claims.domain),
        dash(claims.selector),
        dash(claims.algorithm),
        dash(claims.identity),
        dash(error),
    ]
    .join(" ")
}

#[test]
fn signatures_have_the_results_of_the_rules() {
    let cases = cases("verify");
    assert!(cases.len() > 150, "the folder is there");
    let mut wrong = Vec::new();
    for case in cases {
        let evaluation = verify(&case, usize::MAX);
        for size in [1, 2, 3, 7, 64, 100] {
            assert_eq!(verify(&case, size), evaluation, "{} in pieces of {size}", case.name);
        }
        let lines: Vec<String> = evaluation.signatures.iter().map(show).collect();
        let found = if lines.is_empty() { "(none)".to_owned() } else { lines.join("\n") };
        wrong.extend(case.compare(&found));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn chains_have_the_results_of_the_rules() {
    let cases = cases("arc");
    assert!(cases.len() > 30, "the folder is there");
    let mut wrong = Vec::new();
    for case in cases {
        let chain = verify(&case, usize::MAX).chain;
        assert_eq!(verify(&case, 1).chain, chain, "{} byte by byte", case.name);
        let (instance, error) = match &chain.error {
            Some((instance, error)) => (*instance, Some(error.kind().token())),
            None => (None, None),
        };
        let found = [
            chain.status.to_string(),
            chain.highest.to_string(),
            dash(chain.oldest_pass),
            dash(instance),
            dash(error),
        ];
        wrong.extend(case.compare(&found.join(" ")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
