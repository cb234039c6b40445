//! Our own signatures verify however the body is split, and hostile input never causes a panic or unbounded work.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{NOW, cases, split};
use dns::zone::{Zone, block_on_ready};
use moxd_dkim::{
    BodyHasher, Canonicalization, Evaluation, Identity, Policy, SignOptions, SigningKey, Status, Verifier,
    fuzzing, sign,
};
use proptest::prelude::*;
use std::sync::LazyLock;

static KEYS: LazyLock<[SigningKey; 2]> = LazyLock::new(|| {
    [include_str!("../testdata/keys/ed25519.pem"), include_str!("../testdata/keys/rsa2048.pem")]
        .map(|pem| SigningKey::from_pem(pem).unwrap())
});

/// A message of well-formed fields and any body, with how to sign it.
#[derive(Debug, Clone)]
struct Plan {
    header: Vec<u8>,
    body: Vec<u8>,
    header_kind: Canonicalization,
    body_kind: Canonicalization,
    oversign: bool,
    key: usize,
    local: Option<String>,
    cut: usize,
}

fn kind() -> impl Strategy<Value = Canonicalization> {
    prop_oneof![Just(Canonicalization::Simple), Just(Canonicalization::Relaxed)]
}

fn plan() -> impl Strategy<Value = Plan> {
    let value = "([!-~]|[ \t]{1,3}|\r\n[ \t]|ü|\r|\0){0,40}";
    let field = ("(Subject|To|Cc|X-[A-Za-z]{1,9}|Message-Id)", " {0,2}", value)
        .prop_map(|(name, blank, value)| format!("{name}{blank}:{value}\r\n"));
    let header = prop::collection::vec(field, 0..12).prop_map(|mut fields| {
        fields.insert(fields.len() / 2, "From: a@example.test\r\n".to_owned());
        fields.push("\r\n".to_owned());
        fields.concat().into_bytes()
    });
    let body = "(word|\r\n|\r\n\r\n| |\t|  |\r|\n|\0|ü|[a-z ]{60,140}){0,30}".prop_map(String::into_bytes);
    let local = prop::option::of("[a-z=;|ü \"@]{1,12}");
    (header, body, kind(), kind(), any::<bool>(), 0..2_usize, local, 1..100_usize).prop_map(
        |(header, body, header_kind, body_kind, oversign, key, local, cut)| Plan {
            header,
            body,
            header_kind,
            body_kind,
            oversign,
            key,
            local,
            cut,
        },
    )
}

/// Signs by the plan; returns the signed message and a zone with the key.
fn signed(plan: &Plan) -> (Vec<u8>, Zone) {
    let key = &KEYS[plan.key];
    let mut signing = SignOptions::new("example.test".parse().unwrap(), "key".parse().unwrap());
    (signing.header, signing.body, signing.oversign) = (plan.header_kind, plan.body_kind, plan.oversign);
    signing.fields = "From:Subject:To:Cc:Message-Id:X-Not-There".parse().unwrap();
    signing.identity =
        plan.local.as_ref().map(|l| Identity::new(Some(l), "sub.example.test".parse().unwrap()).unwrap());
    let mut hasher = BodyHasher::new([plan.body_kind]);
    plan.body.chunks(plan.cut).for_each(|piece| hasher.update(piece));
    let signature = sign(&plan.header, &hasher.finish(), key, &signing, NOW).unwrap();
    let record = key.record().to_string();
    let strings: Vec<String> =
        record.as_bytes().chunks(200).map(|s| format!("\"{}\"", s.escape_ascii())).collect();
    let zone = Zone::parse(&format!("key._domainkey.example.test. TXT {}", strings.join(" "))).unwrap();
    (([signature.header_field().as_bytes(), &plan.header].concat()), zone)
}

fn verify(header: &[u8], body: &[u8], zone: &Zone, cut: usize) -> Evaluation {
    let mut verifier = Verifier::new(header, &Policy::default(), NOW);
    let keys = block_on_ready(verifier.lookups().run(zone));
    body.chunks(cut).for_each(|piece| verifier.body(piece));
    verifier.finish(&keys)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_we_sign_we_verify(plan in plan(), cut in 1..100_usize) {
        let (header, zone) = signed(&plan);
        let evaluation = verify(&header, &plan.body, &zone, cut);
        let [verification] = &evaluation.signatures[..] else { panic!("one signature") };
        prop_assert_eq!(verification.status, Status::Pass, "{:?}", verification.error);
    }

    #[test]
    fn what_is_changed_does_not_pass(plan in plan(), place in any::<prop::sample::Index>()) {
        let (header, zone) = signed(&plan);
        let mut body = plan.body.clone();
        body.insert(place.index(body.len() + 1), b'!');
        let evaluation = verify(&header, &body, &zone, 50);
        prop_assert_eq!(evaluation.signatures[0].status, Status::Fail);
        let header = String::from_utf8(header).unwrap().replace("From: a@", "From: b@").into_bytes();
        let evaluation = verify(&header, &plan.body, &zone, 50);
        prop_assert_eq!(evaluation.signatures[0].status, Status::Fail);
    }

    #[test]
    fn any_bytes_are_judged(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::dkim_header(&data);
        fuzzing::dkim_record(&data);
        fuzzing::dkim_verify(&data);
    }

    #[test]
    fn any_tags_are_judged(
        tags in prop::collection::vec(("(v|a|b|bh|c|d|h|i|l|q|s|t|x|z|k|p|n|cv|g)", "[ -~ü\r\n\t]{0,30}"), 0..14)
    ) {
        let text: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join(";");
        fuzzing::dkim_header(text.as_bytes());
        fuzzing::dkim_record(text.as_bytes());
        fuzzing::dkim_verify(format!("DKIM-Signature: {text}\r\nARC-Seal: {text}\r\n\r\n").as_bytes());
    }

    #[test]
    fn likely_tags_are_judged(
        a in "(rsa|ed25519)-sha256", c in "(simple|relaxed)(/(simple|relaxed))?", l in "[0-9]{1,76}",
        i in "[!-:<>-~ü]{0,20}(@sub)?@a\\.test", z in "[A-Z]{1,3}:[ -:<-{}~ü]{0,20}", n in "[0-9]{1,12}"
    ) {
        let hash = "A".repeat(43);
        let text = format!("v=1;a={a};c={c};l={l};i={i};z={z};t={n};d=a.test;s=s;h=from;bh={hash}=;b=AAAA");
        fuzzing::dkim_header(text.as_bytes());
    }
}

#[test]
fn seeds_with_one_change_are_judged() {
    // Each byte of some fixtures is replaced by each byte that has a meaning to a parser.
    for case in
        cases("verify").into_iter().chain(cases("arc")).filter(|case| case.message.len() < 2000).step_by(13)
    {
        let (header, _) = split(&case.message);
        for at in (0..header.len()).step_by(23) {
            for byte in [0, b';', b'=', b'\r', b'\n', b' ', 0xff] {
                let mut message = case.message.clone();
                message[at] = byte;
                fuzzing::dkim_verify(&message);
                fuzzing::dkim_header(&message[..header.len()]);
            }
        }
    }
    for case in cases("verify").iter().step_by(5) {
        for text in case.zone.lines().filter_map(|line| line.split_once("TXT ")) {
            let record: Vec<u8> = text.1.bytes().filter(|b| *b != b'"').collect();
            for at in (0..record.len()).step_by(17) {
                for byte in [0, b';', b'=', b':', b'A'] {
                    let mut record = record.clone();
                    record[at] = byte;
                    fuzzing::dkim_record(&record);
                }
            }
        }
    }
}
