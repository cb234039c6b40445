//! SPF evaluation of a record with three includes, DNS from memory, beside mail-auth over the same zone.
//!
//! Both get their answers from a hash map that answers at once. mail-auth keeps parsed records in its caches, so its
//! figure has no parsing in it; ours reads four records each time. `parse` is mail-auth's reading of the same four.
#![allow(clippy::unwrap_used, missing_docs, reason = "bench code")]

use criterion::{Criterion, criterion_group, criterion_main};
use dns::zone::{Zone, ready};
use dns::{
    Answer, Domain, Host, Lookup, LookupError, LookupErrorKind, Name, Question, Record, Resolver, Security,
};
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{MX, MessageAuthenticator, Parameters, ResolverCache, Txt};
use moxd_spf::{Limits, Outcome, Query, check};
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
struct Memory(HashMap<Name, Vec<Record>>);

impl Resolver for Memory {
    fn lookup<'a>(&'a self, question: Question<'a>) -> Lookup<'a> {
        let answer = match self.0.get(question.name) {
            Some(records) => Ok(Answer { records: records.clone(), security: Security::Insecure }),
            None => Err(LookupError::new(LookupErrorKind::NoName, question.name.clone(), question.kind)),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// mail-auth's DNS from memory.
struct Cache<K, V>(HashMap<K, V>);

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Cache<K, V> {
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

fn three_includes(c: &mut Criterion) {
    let mut group = c.benchmark_group("three_includes");
    group.sample_size(50).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));

    let txt = |text: &str| vec![Record::Txt(text.as_bytes().to_vec())];
    let memory = Memory(RECORDS.iter().map(|(name, text)| (name.parse().unwrap(), txt(text))).collect());
    let zone_text: String = RECORDS.iter().map(|(name, text)| format!("{name} TXT \"{text}\"\n")).collect();
    let zone = Zone::parse(&zone_text).unwrap();
    let domain: Domain = "example.test".parse().unwrap();
    let helo: Host = "mx.example.test".parse().unwrap();
    let query = Query::new(IpAddr::V4(CLIENT)).mail_from("alice", &domain).helo(&helo);
    assert_eq!(ready(check(&memory, &query, Limits::default())).result, Outcome::Pass);
    group.bench_function("moxd", |b| b.iter(|| ready(check(&memory, black_box(&query), Limits::default()))));
    group.bench_function("moxd, zone text", |b| {
        b.iter(|| ready(check(&zone, black_box(&query), Limits::default())))
    });

    let auth = MessageAuthenticator::new_google().unwrap();
    let parsed = |text: &str| Txt::Spf(Arc::new(read(text)));
    let records = Cache(RECORDS.iter().map(|(name, text)| (format!("{name}."), parsed(text))).collect());
    let (mx, v4, v6, ptr) = empty();
    let verify = || {
        let sender = SpfParameters::verify_mail_from(
            IpAddr::V4(CLIENT),
            "mx.example.test",
            "mx.receiver.test",
            black_box("alice@example.test"),
        );
        let parameters = Parameters::new(sender)
            .with_txt_cache(&records)
            .with_mx_cache(&mx)
            .with_ipv4_cache(&v4)
            .with_ipv6_cache(&v6)
            .with_ptr_cache(&ptr);
        ready(auth.check_host(parameters))
    };
    assert_eq!(verify().result(), mail_auth::SpfResult::Pass);
    group.bench_function("mail-auth, parsed before", |b| b.iter(verify));
    group.bench_function("mail-auth, parse", |b| {
        b.iter(|| RECORDS.iter().map(|(_, text)| read(black_box(text)).directives.len()).sum::<usize>())
    });
    group.finish();
}

fn read(text: &str) -> mail_auth::spf::Spf {
    mail_auth::common::parse::TxtRecordParser::parse(text.as_bytes()).unwrap()
}

type Empty = (
    Cache<String, Arc<Vec<MX>>>,
    Cache<String, Arc<Vec<Ipv4Addr>>>,
    Cache<String, Arc<Vec<Ipv6Addr>>>,
    Cache<IpAddr, Arc<Vec<String>>>,
);

fn empty() -> Empty {
    (Cache(HashMap::new()), Cache(HashMap::new()), Cache(HashMap::new()), Cache(HashMap::new()))
}

criterion_group!(benches, three_includes);
criterion_main!(benches);
