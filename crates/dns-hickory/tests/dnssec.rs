//! The resolver against a real server with signed zones.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod signed;

use dns::{LookupErrorKind, Name, Security, addresses, mx, txt};
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData};
use hickory_proto::dnssec::{Algorithm, PublicKeyBuf};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{RData, Record, RecordType};
use moxd_dns_hickory::testing::Server;
use moxd_dns_hickory::{Dnssec, Finding, HickoryResolver, Options};
use signed::{Signed, SignedServer, Zone};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;

const ZONES: &[Zone] = &[
    Zone { origin: ".", text: "", signed: Signed::Nsec },
    Zone { origin: "test.", text: "ns 300 IN A 127.0.0.1\nempty.name 300 IN TXT x", signed: Signed::Nsec },
    Zone {
        origin: "good.test.",
        signed: Signed::Nsec,
        text: r#"
@        300 IN MX  10 mail
@        300 IN TXT "v=spf1 -all"
mail     300 IN A   192.0.2.1
forged   300 IN TXT "genuine"
*.wild   300 IN TXT "wild"
alias    300 IN CNAME mail
far      300 IN CNAME host.plain.test.
near     300 IN CNAME x.wild
dangling 300 IN CNAME nowhere
empty    300 IN CNAME mail
*.star   300 IN CNAME mail
_dmarc   300 IN TXT "v=DMARC1; p=reject"
*.away   300 IN CNAME nowhere.plain.test.
*.host   300 IN A   192.0.2.1
timely   300 IN TXT "in its time"
expired  300 IN TXT "over"
early    300 IN TXT "not yet"
torn     300 IN CNAME forged
late     300 IN CNAME expired
crossing 300 IN CNAME stolen.test.
round    300 IN CNAME back.plain.test.
"#,
    },
    Zone {
        origin: "hashed.test.",
        text: "@ 300 IN TXT hashed\n*.wild 300 IN TXT w\n*.host 300 IN A 192.0.2.1",
        signed: Signed::Nsec3(0),
    },
    Zone {
        origin: "open.test.",
        text: "@ 300 IN TXT open\n*.wild 300 IN TXT w\n*.host 300 IN A 192.0.2.1",
        signed: Signed::OptOut(0),
    },
    Zone { origin: "costly.test.", text: "@ 300 IN TXT costly", signed: Signed::Nsec3(200) },
    Zone {
        origin: "plain.test.",
        text: "@ 300 IN TXT plain\nhost 300 IN A 192.0.2.2\nback 300 IN CNAME mail.good.test.\n\
               bad 300 IN CNAME forged.good.test.",
        signed: Signed::No,
    },
    Zone { origin: "unsigned.hashed.test.", text: "@ 300 IN TXT u", signed: Signed::No },
    Zone { origin: "signed.hashed.test.", text: "@ 300 IN TXT s", signed: Signed::Nsec3(0) },
    Zone { origin: "unsigned.open.test.", text: "@ 300 IN TXT u", signed: Signed::No },
    Zone { origin: "signed.open.test.", text: "@ 300 IN TXT s", signed: Signed::Nsec },
    Zone { origin: "island.plain.test.", text: "@ 300 IN TXT island", signed: Signed::Island },
    Zone { origin: "vouched.plain.test.", text: "@ 300 IN TXT vouched", signed: Signed::Nsec },
    Zone { origin: "island.good.test.", text: "@ 300 IN TXT island", signed: Signed::Island },
    Zone { origin: "stolen.test.", text: "@ 300 IN TXT stolen", signed: Signed::WrongKeys },
    Zone { origin: "bare.test.", text: "@ 300 IN TXT bare", signed: Signed::Missing },
];

fn options(server: &SignedServer) -> Options {
    let mut options = Options::default();
    options.trust_anchors = Some(server.anchor.clone());
    options
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The verdict on a TXT question: `secure 2`, or the kind of the error and the verdict on it.
async fn verdict(resolver: &HickoryResolver, text: &str) -> String {
    match txt(resolver, &name(text)).await {
        Ok(answer) => format!("{} {}", answer.security, answer.records.len()),
        Err(error) => format!("{} {}", error.security(), error.kind().token()),
    }
}

#[tokio::test]
async fn every_answer_has_a_verdict() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    assert_eq!(resolver.probe().await, Finding::Validating);
    let mut wrong = Vec::new();
    for (name, want) in [
        ("good.test", "secure 1"),
        ("mail.good.test", "secure dns.no-data"),
        ("no.good.test", "secure dns.no-name"),
        ("x.wild.good.test", "secure 1"),
        ("a.b.wild.good.test", "secure 1"),
        ("wild.good.test", "secure dns.no-data"),
        ("near.good.test", "secure 1"),
        ("alias.good.test", "secure dns.no-data"),
        ("dangling.good.test", "secure dns.no-name"),
        ("a.star.good.test", "secure dns.no-data"),
        ("far.good.test", "insecure dns.no-data"),
        ("forged.good.test", "unknown dns.bogus"),
        ("name.test", "secure dns.no-data"),
        ("empty.name.test", "secure 1"),
        ("nowhere.test", "secure dns.no-name"),
        ("nowhere", "secure dns.no-name"),
        ("hashed.test", "secure 1"),
        ("x.wild.hashed.test", "secure 1"),
        ("a.b.wild.hashed.test", "secure 1"),
        ("wild.hashed.test", "secure dns.no-data"),
        ("no.hashed.test", "secure dns.no-name"),
        ("a.b.no.hashed.test", "secure dns.no-name"),
        ("plain.test", "insecure 1"),
        ("host.plain.test", "insecure dns.no-data"),
        ("no.plain.test", "insecure dns.no-name"),
        ("costly.test", "secure 1"),
        ("no.costly.test", "insecure dns.no-name"),
        ("stolen.test", "unknown dns.bogus"),
        ("no.stolen.test", "unknown dns.bogus"),
        ("bare.test", "unknown dns.bogus"),
        ("no.bare.test", "unknown dns.bogus"),
        // RFC 4035 §5.3.1: a signature holds from its inception to its expiration.
        ("timely.good.test", "secure 1"),
        ("expired.good.test", "unknown dns.bogus"),
        ("early.good.test", "unknown dns.bogus"),
        // RFC 4035 §5: a chain with a bogus link is bogus, wherever the link is.
        ("torn.good.test", "unknown dns.bogus"),
        ("late.good.test", "unknown dns.bogus"),
        ("crossing.good.test", "unknown dns.bogus"),
        ("bad.plain.test", "unknown dns.bogus"),
        ("round.good.test", "insecure dns.no-data"),
        // RFC 4035 §5.2, RFC 5155 §8.9: a delegation without DS is insecure, and what is signed below it too.
        ("unsigned.hashed.test", "insecure 1"),
        ("no.unsigned.hashed.test", "insecure dns.no-name"),
        ("signed.hashed.test", "secure 1"),
        ("no.signed.hashed.test", "secure dns.no-name"),
        ("unsigned.open.test", "insecure 1"),
        ("no.unsigned.open.test", "insecure dns.no-name"),
        ("signed.open.test", "secure 1"),
        ("island.plain.test", "insecure 1"),
        ("no.island.plain.test", "insecure dns.no-name"),
        ("island.good.test", "insecure 1"),
        // RFC 4035 §5.2: an unsigned DS, in an unsigned zone, vouches for nothing.
        ("vouched.plain.test", "insecure 1"),
        ("no.vouched.plain.test", "insecure dns.no-name"),
    ] {
        let got = verdict(&resolver, name).await;
        if got != want {
            wrong.push(format!("{name}: {got}, not {want}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_chain_is_as_secure_as_its_weakest_link() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    for (alias, want) in [
        ("alias.good.test", Security::Secure),
        ("a.star.good.test", Security::Secure),
        ("far.good.test", Security::Insecure),
        ("back.plain.test", Security::Insecure),
    ] {
        let answer = addresses(&resolver, &name(alias)).await.unwrap();
        assert_eq!((answer.security, answer.records.len()), (want, 1), "{alias}");
    }
    assert!(mx(&resolver, &name("good.test")).await.unwrap().is_secure());
}

#[tokio::test]
async fn queries_the_chain_of_trust_once() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    assert_eq!(verdict(&resolver, "good.test").await, "secure 1");
    for name in ["mail.good.test", "no1.good.test", "no2.good.test"] {
        let before = server.questions();
        verdict(&resolver, name).await;
        assert_eq!(server.questions() - before, 1, "{name}");
    }
    let before = server.questions();
    for name in ["good.test", "mail.good.test", "no1.good.test", "no2.good.test"] {
        verdict(&resolver, name).await;
    }
    assert_eq!(server.questions(), before, "validated denials are cached too");
}

#[tokio::test]
async fn the_first_question_finds_out_by_itself() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    assert_eq!(verdict(&resolver, "good.test").await, "secure 1");
}

#[tokio::test]
async fn without_validation_nothing_is_known() {
    let server = SignedServer::start(ZONES).await;
    let mut options = options(&server);
    options.dnssec = Dnssec::Never;
    let resolver = HickoryResolver::with_servers(&[server.address], options).unwrap();
    assert_eq!(resolver.probe().await, Finding::SwitchedOff);
    assert_eq!(verdict(&resolver, "good.test").await, "unknown 1");
    assert_eq!(verdict(&resolver, "forged.good.test").await, "unknown 1");
    assert_eq!(verdict(&resolver, "no.good.test").await, "unknown dns.no-name");
}

#[tokio::test]
async fn keys_that_do_not_lead_to_the_anchor_are_a_finding() {
    let server = SignedServer::start(ZONES).await;
    // The built-in anchor is the real root's.
    let resolver = HickoryResolver::with_servers(&[server.address], Options::default()).unwrap();
    assert_eq!(resolver.probe().await, Finding::NotTrusted);
    assert_eq!(verdict(&resolver, "good.test").await, "unknown 1", "and questions still work");
}

/// The same names on a server that knows no DNSSEC.
async fn plain_server() -> Server {
    Server::start(dns::zone::Zone::parse("good.test. TXT x\nother.test. TXT x").unwrap()).await.unwrap()
}

async fn both(dnssec: Dnssec) -> (SignedServer, Server, HickoryResolver) {
    let (signed, plain) = (SignedServer::start(ZONES).await, plain_server().await);
    let mut options = options(&signed);
    options.dnssec = dnssec;
    options.server_timeout = Duration::from_secs(3);
    options.rounds = 1;
    let addresses: [SocketAddr; 2] = [signed.address, plain.address()];
    let resolver = HickoryResolver::with_servers(&addresses, options).unwrap();
    (signed, plain, resolver)
}

#[tokio::test]
async fn what_is_switched_on_stays_on() {
    let (signed, _plain, resolver) = both(Dnssec::Probe).await;
    assert_eq!(resolver.probe().await, Finding::Validating);
    signed.stop().await;
    assert_eq!(verdict(&resolver, "good.test").await, "unknown dns.bogus");
    assert!(resolver.probe().await.is_warning());
    assert_eq!(verdict(&resolver, "other.test").await, "unknown dns.bogus");
}

#[tokio::test]
async fn always_means_always() {
    let (signed, _plain, resolver) = both(Dnssec::Always).await;
    signed.stop().await;
    assert_eq!(txt(&resolver, &name("good.test")).await.unwrap_err().kind(), LookupErrorKind::Bogus);
}

/// An attacker on the path, who changes the answers to queries of type `kind` about names that begin with `begin`.
async fn forger(
    to: SocketAddr,
    (kind, begin): (RecordType, &'static str),
    forge: fn(&mut Message),
) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_535];
        loop {
            let (len, client) = socket.recv_from(&mut buffer).await.unwrap();
            let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            upstream.send_to(&buffer[..len], to).await.unwrap();
            let len = upstream.recv(&mut buffer).await.unwrap();
            let mut message = Message::from_vec(&buffer[..len]).unwrap();
            let asked = message.queries[0].clone();
            if asked.query_type() == kind && asked.name().to_string().starts_with(begin) {
                forge(&mut message);
            }
            socket.send_to(&message.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

/// An SOA without a signature.
fn soa(zone: &str) -> Record {
    let zone = hickory_proto::rr::Name::from_ascii(zone).unwrap();
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 60);
    Record::from_rdata(zone, 300, RData::SOA(soa))
}

fn deny(message: &mut Message) {
    message.answers.clear();
    message.authorities.clear();
    message.additionals.clear();
    message.metadata.response_code = ResponseCode::NXDomain;
}

async fn through(
    server: &SignedServer,
    asked: (RecordType, &'static str),
    forge: fn(&mut Message),
) -> HickoryResolver {
    let path = forger(server.address, asked, forge).await;
    let resolver = HickoryResolver::with_servers(&[path], options(server)).unwrap();
    assert_eq!(resolver.probe().await, Finding::Validating);
    resolver
}

/// RFC 4035 §5.4: a denial is the zone's own, and signed where the zone is.
#[tokio::test]
async fn a_signed_name_is_not_denied_by_anybody_else() {
    let server = SignedServer::start(ZONES).await;
    let by_another_zone = |message: &mut Message| {
        deny(message);
        message.authorities.push(soa("plain.test."));
    };
    let by_its_own_unsigned = |message: &mut Message| {
        deny(message);
        message.authorities.push(soa("good.test."));
    };
    let by_nobody = |message: &mut Message| deny(message);
    for forge in [by_another_zone, by_its_own_unsigned, by_nobody] {
        let resolver = through(&server, (RecordType::TXT, "_dmarc.good"), forge).await;
        let found = verdict(&resolver, "_dmarc.good.test").await;
        assert!(found.ends_with("dns.bogus"), "{found}");
    }
}

/// RFC 6604 §3: the target of a wildcard's alias takes a query of its own.
#[tokio::test]
async fn the_end_of_an_alias_is_not_denied_by_an_answer_about_its_beginning() {
    let server = SignedServer::start(ZONES).await;
    let resolver =
        through(&server, (RecordType::TXT, "x.away"), |message| message.authorities.push(soa("plain.test.")))
            .await;
    assert_eq!(verdict(&resolver, "x.away.good.test").await, "insecure dns.no-name");
}

/// RFC 5155 §9.2
#[tokio::test]
async fn a_name_between_those_of_an_opt_out_zone_is_not_proven_away() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    assert_eq!(resolver.probe().await, Finding::Validating);
    for (name, want) in [
        ("nothing.open.test", "insecure dns.no-name"),
        // A wildcard stands for a name only if the name itself does not exist.
        ("x.wild.open.test", "insecure 1"),
        ("host.open.test", "secure dns.no-data"),
        ("open.test", "secure 1"),
    ] {
        assert_eq!(verdict(&resolver, name).await, want, "{name}");
    }
}

/// RFC 4035 §3.1.3.4, RFC 5155 §7.2.5: a wildcard stands for the name, and has no such data. RFC 5155 §9.2: a gap does not
/// prove that it does.
#[tokio::test]
async fn tells_a_wildcard_without_data_from_a_name_that_does_not_exist() {
    let server = SignedServer::start(ZONES).await;
    // The server sends the right proof, and NXDOMAIN with it.
    let no_data = |message: &mut Message| message.metadata.response_code = ResponseCode::NoError;
    for (begin, name, want) in [
        ("x.host", "x.host.good.test", "secure dns.no-data"),
        ("_dmarc.x.host", "_dmarc.x.host.good.test", "secure dns.no-data"),
        ("x.host", "x.host.hashed.test", "secure dns.no-data"),
        ("x.host", "x.host.open.test", "insecure dns.no-data"),
    ] {
        let resolver = through(&server, (RecordType::TXT, begin), no_data).await;
        assert_eq!(verdict(&resolver, name).await, want, "{name}");
    }
}

/// RFC 4035 §5.3.3: an answer lives no longer than its signature says, whatever TTL arrives.
#[tokio::test]
async fn an_unsigned_ttl_is_not_believed() {
    let server = SignedServer::start(ZONES).await;
    let forever = |message: &mut Message| message.answers.iter_mut().for_each(|record| record.ttl = 80_000);
    let resolver = through(&server, (RecordType::TXT, "good"), forever).await;
    assert_eq!(verdict(&resolver, "good.test").await, "secure 1");
    let asked_again = async || {
        let before = server.questions();
        assert_eq!(verdict(&resolver, "good.test").await, "secure 1");
        server.questions() - before
    };
    assert_eq!(asked_again().await, 0, "cached");
    // The clock of tokio stands still between `pause` and `resume`, and no exchange takes place meanwhile.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(301)).await;
    tokio::time::resume();
    assert_ne!(asked_again().await, 0, "300 seconds are over");
}

/// RFC 4035 §4.7: a bogus answer is not cached for long.
#[tokio::test]
async fn a_forged_answer_about_keys_does_not_outlive_its_verdict() {
    static FORGES: AtomicBool = AtomicBool::new(false);
    let server = SignedServer::start(ZONES).await;
    // The attacker gets one answer in before the server, then another.
    let once: fn(&mut Message) = |message| {
        if !FORGES.swap(false, Ordering::Relaxed) {
            return;
        }
        message.answers.retain(|r| message.queries[0].query_type() == r.record_type());
        for record in &mut message.answers {
            if record.record_type() == RecordType::DNSKEY {
                let key = PublicKeyBuf::new(vec![7; 32], Algorithm::ED25519);
                record.data = RData::DNSSEC(DNSSECRData::DNSKEY(DNSKEY::new(true, true, false, key)));
            }
        }
    };
    for asked in [(RecordType::DNSKEY, "good."), (RecordType::DS, "good."), (RecordType::DNSKEY, "test.")] {
        let resolver = through(&server, asked, once).await;
        FORGES.store(true, Ordering::Relaxed);
        assert_eq!(verdict(&resolver, "good.test").await, "unknown dns.bogus", "{asked:?}");
        assert!(!FORGES.load(Ordering::Relaxed), "the forged answer was used");
        assert_eq!(verdict(&resolver, "timely.good.test").await, "secure 1", "{asked:?}");
    }
}

/// When keys that were good no longer verify, the resolver queries them once a minute, and not for each bogus answer.
#[tokio::test]
async fn keys_that_have_proven_something_stay_for_a_minute() {
    let server = SignedServer::start(ZONES).await;
    let resolver = HickoryResolver::with_servers(&[server.address], options(&server)).unwrap();
    assert_eq!(verdict(&resolver, "good.test").await, "secure 1");
    let questions = async |name: &str| {
        let before = server.questions();
        verdict(&resolver, name).await;
        server.questions() - before
    };
    assert_eq!(questions("forged.good.test").await, 1, "bogus");
    assert_eq!(questions("no1.good.test").await, 1, "the keys are still there");
    // The clock of tokio stands still between `pause` and `resume`, and no exchange takes place meanwhile.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert!(questions("no2.good.test").await > 1, "queries the keys again");
}

/// RFC 4035 §5.2: where the parent is signed, a DS without signature is forged.
#[tokio::test]
async fn a_ds_that_lost_its_signature_does_not_make_a_zone_insecure() {
    let server = SignedServer::start(ZONES).await;
    let strip = |message: &mut Message| message.answers.retain(|r| r.record_type() != RecordType::RRSIG);
    let resolver = through(&server, (RecordType::DS, "good."), strip).await;
    assert_eq!(verdict(&resolver, "good.test").await, "unknown dns.bogus");
    assert_eq!(verdict(&resolver, "hashed.test").await, "secure 1");
}
