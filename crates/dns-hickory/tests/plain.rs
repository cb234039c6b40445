//! The resolver against a real server that knows no DNSSEC.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use dns::zone::Zone;
use dns::{Kind, LookupErrorKind, Name, Question, Record, Resolver, Security, addresses, mx, pointers, txt};
use moxd_dns_hickory::testing::{Server, Settings};
use moxd_dns_hickory::{Dnssec, ErrorKind, Finding, HickoryResolver, Options};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

const ZONE: &str = r#"
    example.test.          TXT   "v=spf1 -all"
    example.test.          MX    20 b.example.test.
    example.test.          MX    10 a.example.test.
    a.example.test.        A     192.0.2.1
    a.example.test.        AAAA  2001:db8::1
    null.test.             MX    0 .
    1.2.0.192.in-addr.arpa. PTR  a.example.test.
    1.0.0.127.in-addr.arpa. PTR  loop.example.test.
    localhost.             TXT   "asked for like any other"
    _25._tcp.a.example.test. TLSA 3 1 1 00ff
    www.example.test.      CNAME a.example.test.
    one.test.              CNAME two.test.
    two.test.              CNAME a.example.test.
    dangling.test.         CNAME nowhere.test.
    loop1.test.            CNAME loop2.test.
    loop2.test.            CNAME loop1.test.
    *.wild.test.           TXT   "wild"
    !servfail  broken.test.
    !refused   lame.test.
    !timeout   dead.test.
    !malformed garbled.test.
"#;

/// The longest that a query may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn serve(settings: Settings) -> Server {
    Server::listen((Ipv4Addr::LOCALHOST, 0).into(), Zone::parse(ZONE).unwrap(), settings).await.unwrap()
}

/// Options without a probe, so that the server sees only the queries of the test, and with short timeouts.
fn options() -> Options {
    let mut options = Options::default();
    options.dnssec = Dnssec::Never;
    options.server_timeout = Duration::from_secs(3);
    options.rounds = 1;
    options
}

fn resolver(server: &Server) -> HickoryResolver {
    HickoryResolver::with_servers(&[server.address()], options()).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

async fn ask(resolver: &HickoryResolver, text: &str, kind: Kind) -> Result<Vec<Record>, LookupErrorKind> {
    let name = name(text);
    let answer = resolver.lookup(Question { name: &name, kind }).await;
    answer.map(|answer| answer.records.to_vec()).map_err(|error| error.kind())
}

#[tokio::test]
async fn answers_each_kind() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    let example = name("example.test");
    assert_eq!(*txt(&resolver, &example).await.unwrap().records, [b"v=spf1 -all".to_vec()]);
    let exchanges: Vec<String> =
        mx(&resolver, &example).await.unwrap().records.iter().map(|mx| mx.exchange.to_string()).collect();
    assert_eq!(exchanges, ["a.example.test", "b.example.test"]);
    let both = addresses(&resolver, &name("a.example.test")).await.unwrap();
    assert_eq!(
        both.records.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["192.0.2.1", "2001:db8::1"]
    );
    assert_eq!(both.security, Security::Unknown);
    let pointer = pointers(&resolver, "192.0.2.1".parse().unwrap()).await.unwrap();
    assert_eq!(*pointer.records, [name("a.example.test")]);
    let tlsa = dns::tlsa(&resolver, &name("_25._tcp.a.example.test")).await.unwrap();
    assert_eq!((tlsa.records[0].usage, tlsa.records[0].data.as_slice()), (3, &[0, 255][..]));
}

// RFC 7505 §3
#[tokio::test]
async fn a_null_mx_is_the_root() {
    let server = serve(Settings::default()).await;
    let answer = mx(&resolver(&server), &name("null.test")).await.unwrap();
    assert!(answer.records[0].exchange.is_root());
}

#[tokio::test]
async fn no_name_is_special_and_none_is_searched_for() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    assert_eq!(
        *pointers(&resolver, "127.0.0.1".parse().unwrap()).await.unwrap().records,
        [name("loop.example.test")]
    );
    assert!(txt(&resolver, &name("localhost")).await.is_ok());
    assert_eq!(ask(&resolver, "example", Kind::Txt).await, Err(LookupErrorKind::NoName));
    assert_eq!(ask(&resolver, "a", Kind::A).await, Err(LookupErrorKind::NoName));
    let names: Vec<String> = server.asked().into_iter().map(|asked| asked.name).collect();
    assert_eq!(names, ["1.0.0.127.in-addr.arpa", "localhost", "example", "a"]);
}

#[tokio::test]
async fn absence_has_two_kinds() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    assert_eq!(ask(&resolver, "a.example.test", Kind::Mx).await, Err(LookupErrorKind::NoData));
    assert_eq!(
        ask(&resolver, "test", Kind::Mx).await,
        Err(LookupErrorKind::NoData),
        "RFC 8020: names below it"
    );
    assert_eq!(ask(&resolver, "no.example.test", Kind::Mx).await, Err(LookupErrorKind::NoName));
}

#[tokio::test]
async fn follows_aliases_and_knows_their_end() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    for alias in ["www.example.test", "one.test"] {
        assert_eq!(ask(&resolver, alias, Kind::A).await.unwrap(), [Record::A([192, 0, 2, 1].into())]);
        assert_eq!(server.count(alias, "A"), 1, "the chain was in the answer");
    }
    assert_eq!(ask(&resolver, "dangling.test", Kind::A).await, Err(LookupErrorKind::NoName));
    assert_eq!(ask(&resolver, "loop1.test", Kind::A).await, Err(LookupErrorKind::Malformed));
    assert_eq!(
        ask(&resolver, "one.test", Kind::Cname).await.unwrap(),
        [Record::Cname(name("two.test"))],
        "a CNAME query does not follow the alias"
    );
    assert_eq!(ask(&resolver, "x.wild.test", Kind::Txt).await.unwrap(), [Record::Txt(b"wild".to_vec())]);
}

#[tokio::test]
async fn failures_keep_their_kind_and_end_in_time() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    for (name, want) in [
        ("broken.test", LookupErrorKind::Temporary),
        ("lame.test", LookupErrorKind::Refused),
        ("garbled.test", LookupErrorKind::Malformed),
        ("dead.test", LookupErrorKind::Timeout),
    ] {
        let answer = tokio::time::timeout(PATIENCE, ask(&resolver, name, Kind::Txt)).await;
        assert_eq!(answer, Ok(Err(want)), "{name}");
    }
    assert_eq!(server.count("broken.test", "TXT"), 1, "who has answered is not asked again");
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp() {
    let long = "x".repeat(5000);
    let zone = Zone::parse(&format!("long.test. TXT {long:?}")).unwrap();
    let server = Server::start(zone).await.unwrap();
    let answer = txt(&resolver(&server), &name("long.test")).await.unwrap();
    assert_eq!(*answer.records, [long.into_bytes()]);
    let tcp: Vec<bool> = server.asked().iter().map(|asked| asked.tcp).collect();
    assert_eq!(tcp, [false, true]);
}

#[tokio::test]
async fn queries_a_server_from_before_edns_without_it() {
    let mut settings = Settings::default();
    settings.refuse_edns = true;
    let server = serve(settings).await;
    let resolver = resolver(&server);
    assert!(ask(&resolver, "example.test", Kind::Txt).await.is_ok());
    assert!(ask(&resolver, "example.test", Kind::Mx).await.is_ok());
    assert_eq!(server.asked().len(), 3, "learned once");
}

#[tokio::test]
async fn answers_are_kept_for_their_ttl() {
    let mut settings = Settings::default();
    settings.ttl = 100;
    settings.negative_ttl = Some(40);
    let server = serve(settings).await;
    let resolver = resolver(&server);
    let ask_all = async || {
        assert!(ask(&resolver, "example.test", Kind::Txt).await.is_ok());
        assert!(ask(&resolver, "www.example.test", Kind::A).await.is_ok());
        assert!(ask(&resolver, "no.example.test", Kind::A).await.is_err());
        assert!(ask(&resolver, "a.example.test", Kind::Txt).await.is_err());
        server.asked().len()
    };
    assert_eq!((ask_all().await, ask_all().await), (4, 4));
    // The clock of tokio stands still between `pause` and `resume`, and no exchange takes place meanwhile.
    let pass = async |seconds| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    };
    pass(50).await;
    assert_eq!(ask_all().await, 6, "both absences are over");
    pass(60).await;
    assert_eq!(ask_all().await, 10, "all are over");
}

// RFC 2308 §5
#[tokio::test]
async fn absence_without_an_soa_is_not_kept() {
    let mut settings = Settings::default();
    settings.negative_ttl = None;
    let server = serve(settings).await;
    let resolver = resolver(&server);
    for _ in 0..2 {
        assert_eq!(ask(&resolver, "no.example.test", Kind::A).await, Err(LookupErrorKind::NoName));
    }
    assert_eq!(server.asked().len(), 2);
}

// RFC 9520 §3.2
#[tokio::test]
async fn failures_are_kept_for_a_moment() {
    let server = serve(Settings::default()).await;
    let resolver = resolver(&server);
    for _ in 0..3 {
        assert_eq!(ask(&resolver, "broken.test", Kind::A).await, Err(LookupErrorKind::Temporary));
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn equal_questions_at_one_time_are_asked_once_and_others_side_by_side() {
    let mut settings = Settings::default();
    settings.together = 4;
    let server = serve(settings).await;
    let resolver = resolver(&server);
    let names = ["example.test", "example.test", "a.example.test", "no1.test", "no2.test"];
    let lookups: Vec<_> = names.iter().map(|n| ask(&resolver, n, Kind::Txt)).collect();
    let failed =
        futures_util::future::join_all(lookups).await.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(!failed.contains(&LookupErrorKind::Timeout), "{failed:?}");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_thousand_questions_at_one_time_get_their_answers() {
    let text: String = (0..1000).map(|n| format!("n{n}.test. A 192.0.2.1\n")).collect();
    let mut settings = Settings::default();
    settings.delay = Duration::from_millis(20);
    let server =
        Server::listen((Ipv4Addr::LOCALHOST, 0).into(), Zone::parse(&text).unwrap(), settings).await.unwrap();
    let mut options = options();
    // The resolver repeats queries that a full buffer loses, however slow the machine.
    (options.rounds, options.question_timeout, options.exchanges) = (10, Duration::from_secs(60), 50);
    let resolver = HickoryResolver::with_servers(&[server.address()], options).unwrap();
    let mut lookups = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let resolver = resolver.clone();
        lookups.spawn(async move { ask(&resolver, &format!("n{n}.test"), Kind::A).await });
    }
    let answers = lookups.join_all().await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1000,
        "{:?}",
        answers.iter().find(|a| a.is_err())
    );
}

#[tokio::test]
async fn a_silent_zone_does_not_keep_others_waiting() {
    let silent: String = (0..128).map(|n| format!("!timeout s{n}._domainkey.silent.test.\n")).collect();
    let zone = Zone::parse(&format!("{ZONE}\n{silent}")).unwrap();
    let server = Server::listen((Ipv4Addr::LOCALHOST, 0).into(), zone, Settings::default()).await.unwrap();
    let mut options = options();
    (options.server_timeout, options.question_timeout, options.exchanges) = (PATIENCE, PATIENCE, 64);
    let resolver = HickoryResolver::with_servers(&[server.address()], options).unwrap();
    let mut silent = tokio::task::JoinSet::new();
    for n in 0..128 {
        let resolver = resolver.clone();
        silent.spawn(async move { ask(&resolver, &format!("s{n}._domainkey.silent.test"), Kind::Txt).await });
    }
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(ask(&resolver, "example.test", Kind::Txt).await.is_ok());
    assert!(silent.try_join_next().is_none(), "all of them wait still");
}

#[tokio::test]
async fn goes_on_to_the_next_server_and_stays_there() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let refusing = Server::start(Zone::parse("!refused example.test.\n!refused a.example.test.").unwrap())
        .await
        .unwrap();
    let server = serve(Settings::default()).await;
    let addresses = [silent.local_addr().unwrap(), refusing.address(), server.address()];
    let resolver = HickoryResolver::with_servers(&addresses, options()).unwrap();
    assert!(ask(&resolver, "example.test", Kind::Txt).await.is_ok());
    silent.set_nonblocking(true).unwrap();
    while silent.recv(&mut [0; 512]).is_ok() {}
    assert!(ask(&resolver, "a.example.test", Kind::A).await.is_ok());
    assert!(silent.recv(&mut [0; 512]).is_err(), "the server that answers is queried first");
    assert_eq!((refusing.asked().len(), server.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_server_without_dnssec_costs_one_exchange_for_each_question() {
    let server = serve(Settings::default()).await;
    let mut options = options();
    options.dnssec = Dnssec::Probe;
    let resolver = HickoryResolver::with_servers(&[server.address()], options.clone()).unwrap();
    assert_eq!(resolver.probe().await, Finding::SignaturesStripped);
    assert!(resolver.probe().await.is_warning());
    let before = server.asked().len();
    let answer = txt(&resolver, &name("example.test")).await.unwrap();
    assert_eq!((answer.security, server.asked().len()), (Security::Unknown, before + 1));

    // The caller need not call `probe`: it runs beside the first query.
    let mut settings = Settings::default();
    settings.together = 2;
    let server = serve(settings).await;
    let resolver = HickoryResolver::with_servers(&[server.address()], options).unwrap();
    assert!(txt(&resolver, &name("example.test")).await.is_ok());
}

/// Plain queries work with a server that fails on types it does not know.
#[tokio::test]
async fn any_answer_to_the_probe_leaves_questions_working() {
    for zone in ["!servfail .", "!refused .", "!malformed .", "!timeout ."] {
        let zone = Zone::parse(&format!("{zone}\nexample.test. TXT x")).unwrap();
        let server = Server::start(zone).await.unwrap();
        let resolver = HickoryResolver::with_servers(&[server.address()], Options::default()).unwrap();
        let answer = txt(&resolver, &name("example.test")).await.unwrap();
        assert_eq!(answer.security, Security::Unknown);
    }
}

#[tokio::test]
async fn a_dead_server_is_a_finding() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut options = options();
    options.dnssec = Dnssec::Probe;
    let resolver = HickoryResolver::with_servers(&[silent.local_addr().unwrap()], options.clone()).unwrap();
    assert_eq!(resolver.probe().await, Finding::Unreachable(LookupErrorKind::Timeout));
    options.dnssec = Dnssec::Never;
    let resolver = HickoryResolver::with_servers(&[silent.local_addr().unwrap()], options).unwrap();
    assert_eq!(resolver.probe().await, Finding::SwitchedOff);
}

#[test]
fn refuses_what_cannot_work() {
    let kind = |servers: &[SocketAddr], anchors: Option<&str>| {
        let mut options = Options::default();
        options.trust_anchors = anchors.map(str::to_owned);
        HickoryResolver::with_servers(servers, options).unwrap_err().kind()
    };
    assert_eq!(kind(&[], None), ErrorKind::NoServers);
    let server = [SocketAddr::from(([127, 0, 0, 1], 53))];
    for anchors in ["", "nonsense", "test. 60 IN A 192.0.2.1", "test. 60 IN DNSKEY 257 3 13 !"] {
        assert_eq!(kind(&server, Some(anchors)), ErrorKind::TrustAnchor, "{anchors:?}");
    }
}
