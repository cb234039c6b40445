//! Hostile input leads to results, in bounded time and memory.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::NOW;
use dns::zone::{Zone, block_on_ready};
use dns::{Answer, Kind, Lookup, Question, Record, Resolver, Security};
use moxd_dkim::{ErrorKind, MAX_SIGNATURES, Policy, Status, Verifier, verify};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

const HASH: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn signature(tags: &str) -> String {
    format!("DKIM-Signature: v=1; a=rsa-sha256; bh={HASH}; b=AAAA; {tags}\r\n")
}

/// Records each query, and answers it at the second poll.
#[derive(Default)]
struct Slow {
    asked: Mutex<Vec<String>>,
}

impl Resolver for Slow {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        assert_eq!(question.kind, Kind::Txt);
        self.asked.lock().unwrap().push(question.name.to_string());
        let mut polls = 0;
        Lookup::waiting(std::future::poll_fn(move |_| {
            polls += 1;
            let record = Record::Txt(b"v=DKIM1; p=".to_vec());
            let answer = Answer { records: [record].into(), security: Security::Secure };
            if polls > 1 { Poll::Ready(Ok(answer)) } else { Poll::Pending }
        }))
    }
}

#[test]
fn a_thousand_signatures_have_a_thousand_results() {
    let header: String = (0..900).map(|n| signature(&format!("d=d{n}.test; s=s; h=from:subject"))).collect();
    let dns = Slow::default();
    let verifier = Verifier::new(header.as_bytes(), &Policy::default(), NOW);
    let keys = verifier.lookups();
    assert_eq!(keys.names().len(), MAX_SIGNATURES);
    let mut run = pin!(keys.run(&dns));
    let mut context = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut context).is_pending());
    assert_eq!(dns.asked.lock().unwrap().len(), MAX_SIGNATURES, "all queries run in parallel");
    let Poll::Ready(keys) = run.as_mut().poll(&mut context) else { panic!("all have answered") };
    let results = verifier.finish(&keys).signatures;
    assert_eq!(results.len(), 900);
    assert!(
        results[..MAX_SIGNATURES]
            .iter()
            .all(|v| v.status == Status::PermError && v.security == Security::Secure)
    );
    let kinds = results[MAX_SIGNATURES..].iter().map(|v| v.error.as_ref().unwrap().kind());
    assert!(kinds.into_iter().all(|kind| kind == ErrorKind::TooManySignatures));
    assert_eq!(results[899].claims().domain.unwrap().as_str(), "d899.test");
}

#[test]
fn more_fields_than_are_read_refuse_all_signatures() {
    let header: String = (0..1001).map(|n| signature(&format!("d=d{n}.test; s=s; h=from"))).collect();
    let results =
        Verifier::new(header.as_bytes(), &Policy::default(), NOW).finish(&Default::default()).signatures;
    assert!(results.len() >= 1000);
    assert!(results.iter().all(|v| v.error.as_ref().unwrap().kind() == ErrorKind::MalformedHeader));
}

#[test]
fn queries_one_key_once() {
    let header = signature("d=a.test; s=s; h=from:subject").repeat(5);
    let verifier = Verifier::new(header.as_bytes(), &Policy::default(), NOW);
    assert_eq!(verifier.lookups().names().len(), 1);
}

#[test]
fn a_key_that_was_not_asked_for_is_a_temporary_error() {
    let header = signature("d=a.test; s=s; h=from:subject");
    let results = Verifier::new(header.as_bytes(), &Policy::default(), NOW).finish(&Default::default());
    assert_eq!(results.signatures[0].status, Status::TempError);
}

#[test]
fn refused_signatures_ask_nothing() {
    let header = signature("d=a.test; s=s; h=subject")
        + &signature("d=a.test; s=s; h=from:subject; x=1")
        + &signature("d=com; s=s; h=from:subject");
    assert!(Verifier::new(header.as_bytes(), &Policy::default(), NOW).lookups().names().is_empty());
}

#[test]
fn long_lists_of_names_are_gone_through_once() {
    // 16 signatures, each naming 30,000 fields of a header that has 900: quadratic work would take minutes.
    let names = "x:".repeat(30_000) + "from:subject";
    let mut header = signature(&format!("d=a.test; s=s; h={names}"))
        .replace("d=a.test; s=s", "d=example.test; s=rsa")
        .repeat(16);
    header += &"x: y\r\n".repeat(900);
    let zone = Zone::parse(include_str!("../testdata/verify/keys.zone")).unwrap();
    let results = block_on_ready(verify(&zone, header.as_bytes(), &Policy::default(), NOW)).signatures;
    assert_eq!(results.len(), 16);
    let kinds: Vec<ErrorKind> = results.iter().map(|v| v.error.as_ref().unwrap().kind()).collect();
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::SignatureMismatch), "{kinds:?}");
}

#[test]
fn copies_above_are_noticed_by_every_signature() {
    // RFC 6376 §8.15: a second copy of a signed field above the message must not pass, in any spelling.
    let signed = "From: a@a.test\r\nSubject: x\r\nTo: b@b.test\r\n";
    let open = |above: &str, h: &str| {
        let header = signature(&format!("d=a.test; s=s; h={h}")) + above + signed;
        let verifier = Verifier::new(header.as_bytes(), &Policy::default(), NOW);
        let asked = !verifier.lookups().names().is_empty();
        let error = verifier.finish(&Default::default()).signatures.remove(0).error.unwrap();
        assert_eq!(asked, error.kind() != ErrorKind::UnsignedCopy, "queries only keys that can matter");
        (asked, error.subject().map(str::to_owned))
    };
    let refused = |name: &str| (false, Some(name.to_owned()));
    for copy in ["Subject: y\r\n", "SUBJECT \t: y\r\n", "subject:\r\n y\r\n"] {
        for times in [1, 2, 900] {
            assert_eq!(open(&copy.repeat(times), "from:subject"), refused("Subject"));
            assert_eq!(
                open(&copy.repeat(times), &format!("from{}", ":subject".repeat(times))),
                refused("Subject")
            );
            assert!(open(&copy.repeat(times), &format!("from{}", ":subject".repeat(times + 1))).0);
        }
    }
    assert_eq!(open("From: c@c.test\r\nSubject: y\r\n", "subject:from"), refused("From"));
    assert_eq!(open("To: c@c.test\r\n", "from:subject:TO"), refused("To"));
    assert!(open("To: c@c.test\r\n", "from:subject").0, "To is not claimed to be signed");
    assert!(open("Subjects: y\r\nX-From: z\r\n", "from:subject").0, "other names");
}

#[test]
fn huge_key_records_are_refused() {
    let record = format!("v=DKIM1; p={}", "A".repeat(60_000));
    assert_eq!(record.parse::<moxd_dkim::Record>().unwrap_err().kind(), ErrorKind::PublicKey);
    let tags = "a=b;".repeat(60_000);
    assert!(tags.parse::<moxd_dkim::Record>().is_err());
}

#[test]
fn long_bodies_of_blanks_take_one_pass() {
    let header = signature("d=example.test; s=rsa; c=relaxed/relaxed; h=from:subject");
    let mut verifier = Verifier::new(header.as_bytes(), &Policy::default(), NOW);
    for piece in [&b"\r\n"[..], b" ", b"\t \t", b"\n", b"\r", b"x "] {
        verifier.body(&piece.repeat(1_000_000));
    }
    let results = verifier.finish(&Default::default()).signatures;
    assert_eq!(results[0].status, Status::TempError);
}
