use super::*;
use hickory_proto::op::{MessageType, OpCode};
use hickory_proto::rr::rdata::{A, CNAME, NULL, TXT};
use hickory_proto::serialize::binary::BinEncodable;

fn name(text: &str) -> rr::Name {
    rr::Name::from_ascii(text).unwrap()
}

fn message(answers: Vec<(&str, RData, Proof)>) -> Message {
    let mut message = Message::new(1, MessageType::Response, OpCode::Query);
    for (owner, data, proof) in answers {
        let mut record = rr::Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        message.add_answer(record);
    }
    message
}

fn alias(to: &str) -> RData {
    RData::CNAME(CNAME(name(to)))
}

fn dname(to: &str) -> RData {
    RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(name(to).to_bytes().unwrap()) }
}

/// Reads an answer about `a.b.old.test.` A, and checks it against `want`, as `content security`.
#[track_caller]
fn check(answers: Vec<(&str, RData, Proof)>, want: &str) {
    let reply = read(Ok(message(answers)), &name("a.b.old.test."), Kind::A, true);
    let what = match reply.content {
        Content::Records(records) => format!("{} records", records.len()),
        Content::Alias(to) => format!("alias {to}"),
        Content::Error(kind) => kind.token().to_owned(),
    };
    assert_eq!(format!("{what} {}", reply.security), want);
}

#[test]
fn an_answer_is_as_secure_as_its_weakest_record() {
    let a = || RData::A(A::new(192, 0, 2, 1));
    check(vec![("a.b.old.test.", a(), Proof::Secure)], "1 records secure");
    check(
        vec![("a.b.old.test.", a(), Proof::Secure), ("a.b.old.test.", a(), Proof::Insecure)],
        "2 records insecure",
    );
    check(vec![("a.b.old.test.", a(), Proof::Indeterminate)], "1 records unknown");
    check(vec![("a.b.old.test.", a(), Proof::Bogus)], "dns.bogus unknown");
    check(
        vec![("a.b.old.test.", alias("t.test."), Proof::Insecure), ("t.test.", a(), Proof::Secure)],
        "1 records insecure",
    );
    check(vec![("a.b.old.test.", alias("t.test."), Proof::Secure)], "alias t.test. secure");
}

#[test]
fn records_of_other_names_and_types_do_not_count() {
    let text = RData::TXT(TXT::new(vec!["x".to_owned()]));
    check(vec![("other.test.", RData::A(A::new(192, 0, 2, 1)), Proof::Bogus)], "dns.no-data insecure");
    check(vec![("a.b.old.test.", text, Proof::Secure)], "dns.no-data insecure");
}

// RFC 6672 §5.3.1
#[test]
fn an_alias_is_as_good_as_the_dname_that_implies_it() {
    let unsigned = |to| ("a.b.old.test.", alias(to), Proof::Bogus);
    check(
        vec![("old.test.", dname("new.test."), Proof::Secure), unsigned("a.b.new.test.")],
        "alias a.b.new.test. secure",
    );
    check(
        vec![("old.test.", dname("new.test."), Proof::Insecure), unsigned("a.b.new.test.")],
        "alias a.b.new.test. insecure",
    );
    for (owner, dname, to) in [
        ("old.test.", dname("new.test."), "b.new.test."),
        ("old.test.", dname("new.test."), "evil.test."),
        ("other.test.", dname("new.test."), "a.b.new.test."),
        ("a.b.old.test.", dname("new.test."), "new.test."),
        ("old.test.", RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(vec![9]) }, "evil.test."),
    ] {
        check(vec![(owner, dname, Proof::Secure), unsigned(to)], "dns.bogus unknown");
    }
}

#[test]
fn a_chain_of_aliases_has_an_end() {
    let a = ("a.b.old.test.", alias("b.test."), Proof::Secure);
    check(vec![a.clone(), ("b.test.", alias("a.b.old.test."), Proof::Secure)], "dns.malformed unknown");
    check(vec![("a.b.old.test.", alias("a.b.old.test."), Proof::Secure)], "dns.malformed unknown");
}

#[test]
fn a_lifetime_is_the_shortest_of_all_records_used() {
    let mut chain = message(vec![
        ("a.b.old.test.", alias("t.test."), Proof::Secure),
        ("t.test.", RData::A(A::new(192, 0, 2, 1)), Proof::Secure),
    ]);
    let lifetime = |chain: &Message| read(Ok(chain.clone()), &name("a.b.old.test."), Kind::A, true).lifetime;
    chain.answers[0].ttl = 30;
    assert_eq!(lifetime(&chain), Duration::from_secs(30));
    chain.answers[1].ttl = 10;
    assert_eq!(lifetime(&chain), Duration::from_secs(10));
    // RFC 2181 §8
    chain.answers[1].ttl = u32::MAX;
    assert_eq!(seconds(u32::MAX), Duration::ZERO);
}

// RFC 4035 §5.3.4, RFC 6840 §4.1
#[test]
fn an_nsec_record_denies_what_lies_between_its_names() {
    use hickory_proto::dnssec::rdata::NSEC;
    let check = |owner: &str, next: &str, types: &[RecordType], asked: &str, want: bool| {
        let nsec = NSEC::new(name(next), types.iter().copied());
        assert_eq!(denies(&name(owner), &nsec, &name(asked)), want, "{owner} {next} {asked}");
    };
    let a = &[RecordType::A][..];
    check("a.z.", "c.z.", a, "b.z.", true);
    check("a.z.", "c.z.", a, "d.z.", false);
    check("a.z.", "c.z.", a, "a.z.", false);
    check("a.z.", "c.z.", a, "c.z.", false);
    check("a.z.", "x.b.z.", a, "b.z.", false);
    check("y.z.", "z.", a, "zz.z.", true);
    check("y.z.", "z.", a, "a.z.", false);
    check("y.z.", "z.", a, "zz.other.", false);
    check("a.z.", "c.z.", &[RecordType::NS], "b.a.z.", false);
    check("a.z.", "c.z.", &[RecordType::NS, RecordType::SOA], "b.a.z.", true);
    check("a.z.", "c.z.", &[RecordType::NS], "b.z.", true);
}
