//! SPF evaluation of a record with three includes, DNS from memory, beside mail-auth over the same zone.
//!
//! Two pairs do the same work: with records that were read before (mail-auth has them in its own caches, we in a `Cache`),
//! and with records that are read each time. Both libraries get their answers from a hash map that answers at once.
#![allow(clippy::unwrap_used, missing_docs, reason = "bench code")]

use criterion::{Criterion, criterion_group, criterion_main};
use dns::zone::block_on_ready;
use dns::{
    Answer, Domain, Host, Lookup, LookupError, LookupErrorKind, Name, Question, Record, Resolver, Security,
};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MX, MessageAuthenticator, Parameters, ResolverCache, Txt};
use moxd_spf::{Cache, Limits, Outcome, Query, check};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RECORDS: [(&str, &str); 4] = [
    (
        "example.test",
        "v=spf1 ip4:192.0.2.0/28 include:_spf.mailer.test include:spf.office.test include:_spf.crm.test -all",
    ),
    ("_spf.mailer.test", "v=spf1 ip4:198.51.100.0/26 ip4:198.51.100.128/26 ip6:2001:db8:1::/48 ~all"),
    ("spf.office.test", "v=spf1 ip4:203.0.113.0/27 ip4:203.0.113.64/27 ip6:2001:db8:2::/47 -all"),
    ("_spf.crm.test", "v=spf1 ip4:203.0.113.128/25 ip4:198.51.100.64/26 ~all"),
];
const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);

/// Our DNS from memory.
struct Memory(HashMap<Name, Answer<Record>>);

impl Resolver for Memory {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let absent = || LookupError::new(LookupErrorKind::NoName, question.name.clone(), question.kind);
        Lookup::ready(self.0.get(question.name).cloned().ok_or_else(absent))
    }
}

/// mail-auth's caches: the answers of DNS as parsed values.
struct Read<K, V>(HashMap<K, V>);

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Read<K, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

/// mail-auth's DNS from memory: records are parsed at each query.
struct Texts(HashMap<String, &'static str>);

impl ResolverCache<String, Txt> for Texts {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        String: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(name).map(|text| Txt::Spf(Arc::new(read(text))))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        String: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: String, _: Txt, _: Instant) {}
}

fn three_includes(c: &mut Criterion) {
    let mut group = c.benchmark_group("three_includes");
    group.sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));

    let txt = |text: &str| {
        let records = [Record::Txt(text.as_bytes().to_vec())].into();
        Answer { records, security: Security::Insecure }
    };
    let memory = Memory(RECORDS.iter().map(|(name, text)| (name.parse().unwrap(), txt(text))).collect());
    let (domain, helo): (Domain, Host) =
        ("example.test".parse().unwrap(), "mx.example.test".parse().unwrap());
    let query = Query::new(IpAddr::V4(CLIENT)).mail_from("alice", &domain).helo(&helo);
    let cache = Cache::new(1 << 20);
    let known = query.cache(&cache);
    let evaluate = |query: &Query<'_>| block_on_ready(check(&memory, query, Limits::default()));
    assert_eq!((evaluate(&query).result, evaluate(&known).result), (Outcome::Pass, Outcome::Pass));

    let auth = MessageAuthenticator::new_google().unwrap();
    let names = || RECORDS.iter().map(|(name, text)| (format!("{name}."), *text));
    let parsed = Read(names().map(|(name, text)| (name, Txt::Spf(Arc::new(read(text))))).collect());
    let texts = Texts(names().collect());
    let none: Empty =
        (Read(HashMap::new()), Read(HashMap::new()), Read(HashMap::new()), Read(HashMap::new()));
    assert_eq!(verify(&auth, &parsed, &none), mail_auth::SpfResult::Pass);
    assert_eq!(verify(&auth, &texts, &none), mail_auth::SpfResult::Pass);

    group.bench_function("read before: moxd", |b| b.iter(|| evaluate(black_box(&known))));
    group.bench_function("read before: mail-auth", |b| b.iter(|| verify(&auth, &parsed, &none)));
    group.bench_function("read each time: moxd", |b| b.iter(|| evaluate(black_box(&query))));
    group.bench_function("read each time: mail-auth", |b| b.iter(|| verify(&auth, &texts, &none)));
    group.finish();
}

fn verify(
    auth: &MessageAuthenticator,
    records: &impl ResolverCache<String, Txt>,
    (mx, v4, v6, ptr): &Empty,
) -> mail_auth::SpfResult {
    let sender = SpfParameters::verify_mail_from(
        IpAddr::V4(CLIENT),
        "mx.example.test",
        "mx.receiver.test",
        black_box("alice@example.test"),
    );
    let parameters = Parameters::new(sender)
        .with_txt_cache(records)
        .with_mx_cache(mx)
        .with_ipv4_cache(v4)
        .with_ipv6_cache(v6)
        .with_ptr_cache(ptr);
    block_on_ready(auth.check_host(parameters)).result()
}

fn read(text: &str) -> mail_auth::spf::Spf {
    mail_auth::common::parse::TxtRecordParser::parse(text.as_bytes()).unwrap()
}

type Empty = (
    Read<String, Arc<Vec<MX>>>,
    Read<String, Arc<Vec<Ipv4Addr>>>,
    Read<String, Arc<Vec<Ipv6Addr>>>,
    Read<IpAddr, Arc<Vec<String>>>,
);

criterion_group!(benches, three_includes);
criterion_main!(benches);
