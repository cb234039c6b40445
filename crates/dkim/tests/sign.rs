//! Signing, tag by tag; errors of signing; and sealing.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{Case, NOW, cases, split};
use dns::zone::{Zone, block_on_ready};
use moxd_dkim::arc::{Chain, ChainStatus, Findings, seal, sealing};
use moxd_dkim::{
    BodyHasher, BodyHashes, Canonicalization, ErrorKind, Identity, Policy, SignOptions, SigningKey, Status,
    sign, verify,
};
use std::fs;

const ALL: [Canonicalization; 2] = [Canonicalization::Simple, Canonicalization::Relaxed];

fn key(name: &str) -> SigningKey {
    let path = format!("{}/testdata/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    SigningKey::from_pem(fs::read_to_string(path).unwrap()).unwrap()
}

fn hashes(body: &[u8]) -> BodyHashes {
    let mut hasher = BodyHasher::new(ALL);
    hasher.update(body);
    hasher.finish()
}

fn zone(key: &SigningKey, signing: &SignOptions) -> Zone {
    let name = signing.selector.key_name(&signing.domain).unwrap();
    let mut zone = Zone::default();
    zone.insert(name, dns::Record::Txt(key.record().to_string().into_bytes()));
    zone
}

fn signing() -> SignOptions {
    SignOptions::new("example.test".parse().unwrap(), "sel".parse().unwrap())
}

/// The key and the settings of a `.how` file.
fn how(case: &Case) -> (SigningKey, SignOptions) {
    let text = fs::read_to_string(case.want.with_extension("how")).unwrap();
    let (mut chosen, mut signing) = (None, signing());
    for line in text.lines() {
        match line.split_once('=').unwrap() {
            ("key", name) => chosen = Some(key(name)),
            ("c", kinds) => {
                let (header, body) = kinds.split_once('/').unwrap();
                (signing.header, signing.body) = (header.parse().unwrap(), body.parse().unwrap());
            }
            ("fields", names) => signing.fields = names.parse().unwrap(),
            ("oversign", "no") => signing.oversign = false,
            ("identity", identity) => {
                let (local, domain) = identity.rsplit_once('@').unwrap();
                let local = Some(local).filter(|local| !local.is_empty());
                signing.identity = Some(Identity::new(local, domain.parse().unwrap()).unwrap());
            }
            ("expiration", seconds) => signing.expiration = Some(seconds.parse().unwrap()),
            ("domain", domain) => signing.domain = domain.parse().unwrap(),
            ("selector", selector) => signing.selector = selector.parse().unwrap(),
            other => panic!("{}: unknown {other:?}", case.name),
        }
    }
    (chosen.unwrap(), signing)
}

#[test]
fn mbox_separators_at_the_top_spoil_no_signature() {
    let (key, signing) = (key("ed25519"), signing());
    let (header, body) = (b"From: a@example.test\r\nSubject: x\r\n\r\n", b"body\r\n");
    let field = sign(header, &hashes(body), &key, &signing, NOW).unwrap().header_field();
    for (top, want) in [
        ("From joe@example.com Tue Nov  3 15:04:05 2026\r\n", Status::Pass),
        ("From - \r\n>From joe@example.com\r\n", Status::Pass),
        ("X-Field: y\r\nFrom joe@example.com\r\n", Status::PermError),
        ("no field\r\n", Status::PermError),
    ] {
        let text = [top.as_bytes(), field.as_bytes(), header, body].concat();
        let found = block_on_ready(verify(&zone(&key, &signing), &text, &Policy::default(), NOW));
        assert_eq!(found.signatures[0].status, want, "{top}");
    }
}

#[test]
fn fields_are_signed_as_told() {
    let cases = cases("sign");
    assert!(cases.len() > 10, "the folder is there");
    let mut wrong = Vec::new();
    for case in cases {
        let (header, body) = split(&case.message);
        let (key, signing) = how(&case);
        let field = sign(header, &hashes(body), &key, &signing, NOW).unwrap().header_field();
        wrong.extend(case.compare(field.replace("\r\n", "\n").trim_end()));
        let signed = [field.as_bytes(), &case.message].concat();
        let mut policy = Policy::default();
        policy.unsigned_subject = true;
        let evaluation = block_on_ready(verify(&zone(&key, &signing), &signed, &policy, NOW));
        assert_eq!(
            evaluation.signatures[0].status,
            Status::Pass,
            "{}: {:?}",
            case.name,
            evaluation.signatures[0].error
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_keys_sign_one_message() {
    let (header, body) = (b"From: a@example.test\r\nSubject: x\r\n\r\n", b"hello\r\n");
    let bodies = hashes(body);
    let mut message = header.to_vec();
    let mut zones = Zone::default();
    for (name, selector) in [("ed25519", "one"), ("rsa2048", "two"), ("rsa2048-pkcs1", "three")] {
        let mut signing = signing();
        signing.selector = selector.parse().unwrap();
        let key = key(name);
        let field = sign(header, &bodies, &key, &signing, NOW).unwrap().header_field();
        message.splice(0..0, field.into_bytes());
        let name = signing.selector.key_name(&signing.domain).unwrap();
        zones.insert(name, dns::Record::Txt(key.record().to_string().into_bytes()));
    }
    message.extend_from_slice(body);
    let evaluation = block_on_ready(verify(&zones, &message, &Policy::default(), NOW));
    assert_eq!(evaluation.signatures.len(), 3);
    assert!(evaluation.signatures.iter().all(|v| v.status == Status::Pass));
}

#[track_caller]
fn refuses(header: &str, change: fn(&mut SignOptions), want: ErrorKind) {
    let mut signing = signing();
    change(&mut signing);
    let mut hasher = BodyHasher::new([Canonicalization::Relaxed]);
    hasher.update(b"hello");
    let error = sign(header.as_bytes(), &hasher.finish(), &key("ed25519"), &signing, NOW).unwrap_err();
    assert_eq!(error.kind(), want, "{error}");
}

#[test]
fn refuses_what_must_not_be_signed() {
    let good = "From: a@example.test\r\n";
    // RFC 5322 §3.6: exactly one From field.
    refuses("Subject: x\r\n", |_| (), ErrorKind::FromField);
    refuses("From: a@a.test\r\nfrom: b@b.test\r\n", |_| (), ErrorKind::FromField);
    refuses("From: a@a.test\r\nhello\r\n", |_| (), ErrorKind::MalformedHeader);
    // RFC 6376 §5.4: From must be signed.
    refuses(good, |s| s.fields = "To:Subject".parse().unwrap(), ErrorKind::FromNotSigned);
    let outside = |s: &mut SignOptions| s.identity = Identity::new(None, "example.net".parse().unwrap()).ok();
    refuses(good, outside, ErrorKind::IdentityOutsideDomain);
    refuses(good, |s| s.body = Canonicalization::Simple, ErrorKind::BodyNotHashed);
}

#[test]
fn refuses_keys_that_are_too_small_to_sign() {
    for name in ["rsa512", "rsa1024"] {
        let path = format!("{}/testdata/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"));
        let error = SigningKey::from_pem(fs::read_to_string(path).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "private key cannot be used: the RSA key has less than 2048 bits");
    }
}

const HEADER: &str = "From: a@example.test\r\nSubject: x\r\n\r\n";
const RESULTS: &str = "mx.example.test;\r\n\tspf=pass smtp.mailfrom=example.test";

/// The chain of a message, and the message with one more set.
fn add_set(message: &str, name: &str) -> (Chain, Option<String>) {
    let signing = sealing("example.test".parse().unwrap(), "sel".parse().unwrap());
    let key = key(name);
    let chain =
        block_on_ready(verify(&zone(&key, &signing), message.as_bytes(), &Policy::default(), NOW)).chain;
    let (header, body) = split(message.as_bytes());
    let findings = Findings { chain: &chain, results: RESULTS };
    let set = seal(header, &hashes(body), &key, &signing, findings, NOW).unwrap();
    (chain, set.map(|set| set + message))
}

#[test]
fn what_is_sealed_is_verified() {
    for name in ["ed25519", "rsa2048"] {
        let mut message = format!("{HEADER}hello\r\n");
        for instance in 0..4 {
            let (chain, sealed) = add_set(&message, name);
            let want = if instance == 0 { ChainStatus::None } else { ChainStatus::Pass };
            assert_eq!((chain.status, chain.highest), (want, instance), "{:?}", chain.error);
            message = sealed.unwrap();
        }
        let (chain, _) = add_set(&message, name);
        assert_eq!((chain.status, chain.highest, chain.oldest_pass), (ChainStatus::Pass, 4, Some(0)));
        assert_eq!(chain.sets[3].results, RESULTS.replace("\r\n", ""));
        assert_eq!(chain.sets[0].signer.as_str(), "example.test");
    }
}

#[test]
fn a_broken_chain_is_sealed_once_as_failed() {
    let sealed = add_set(&format!("{HEADER}hello\r\n"), "ed25519").1.unwrap();
    let broken = sealed.replace("spf=pass", "spf=fail");
    let (chain, sealed) = add_set(&broken, "ed25519");
    assert_eq!((chain.status, chain.highest), (ChainStatus::Fail, 1));
    let sealed = sealed.unwrap();
    assert!(sealed.starts_with("ARC-Seal: i=2; a=ed25519-sha256; t=1700000000; cv=fail;"), "{sealed}");
    // RFC 8617 §5.1: the chain has ended; nothing is added.
    let (chain, more) = add_set(&sealed, "ed25519");
    assert!(chain.ended && more.is_none());
}

#[test]
fn no_fifty_first_set() {
    let mut message = format!("{HEADER}hello\r\n");
    for _ in 0..50 {
        message = add_set(&message, "ed25519").1.unwrap();
    }
    let (chain, more) = add_set(&message, "ed25519");
    assert_eq!((chain.status, chain.highest), (ChainStatus::Pass, 50));
    assert!(more.is_none());
}

#[test]
fn refuses_to_seal_what_breaks_a_field() {
    let chain = add_set(&format!("{HEADER}hello\r\n"), "ed25519").0;
    let signing = sealing("example.test".parse().unwrap(), "sel".parse().unwrap());
    let check = |results: &str, fields: &str, want: ErrorKind| {
        let mut signing = signing.clone();
        signing.fields = fields.parse().unwrap();
        let findings = Findings { chain: &chain, results };
        let error =
            seal(HEADER.as_bytes(), &hashes(b""), &key("ed25519"), &signing, findings, NOW).unwrap_err();
        assert_eq!(error.kind(), want);
    };
    check("", "From:Subject", ErrorKind::FieldText);
    check("mx; none\r\nInjected: yes", "From:Subject", ErrorKind::FieldText);
    check("mx;\nnone", "From:Subject", ErrorKind::FieldText);
    check("mx; \0", "From:Subject", ErrorKind::FieldText);
    check("mx; none", "From:ARC-Seal", ErrorKind::ArcFieldSigned);
    check("mx; none", "From:authentication-results", ErrorKind::ArcFieldSigned);
    check("mx; none", "Subject", ErrorKind::FromNotSigned);
}
