//! The metrics that the resolver counts.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use dns::zone::Zone;
use dns::{Kind, Name, Question, Resolver};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use moxd_dns_hickory::testing::Server;
use moxd_dns_hickory::{Dnssec, HickoryResolver, Options, describe_metrics};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps the labels of everything that is recorded.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

struct Entry(Log, String);

impl HistogramFn for Entry {
    fn record(&self, seconds: f64) {
        assert!((0.0..5.0).contains(&seconds));
        self.0.add(self.1.clone());
    }
}

impl Recorder for Log {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.add(format!("described {} {unit:?}", name.as_str()));
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Histogram::from_arc(Arc::new(Entry(self.clone(), format!("{} {}", key.name(), labels.join(" ")))))
    }
}

async fn lookups() {
    let zone = Zone::parse("a.test. A 192.0.2.1\na.test. TXT x\n!servfail broken.test.\n!timeout dead.test.");
    let server = Server::start(zone.unwrap()).await.unwrap();
    let mut options = Options::default();
    options.dnssec = Dnssec::Never;
    options.question_timeout = Duration::from_millis(1500);
    let resolver = HickoryResolver::with_servers(&[server.address()], options).unwrap().counted_for("test");
    for (name, kind) in [
        ("a.test", Kind::A),
        ("a.test", Kind::A),
        ("a.test", Kind::Txt),
        ("a.test", Kind::Mx),
        ("b.test", Kind::Ptr),
        ("broken.test", Kind::Tlsa),
        ("dead.test", Kind::Cname),
    ] {
        let name: Name = name.parse().unwrap();
        let _ = resolver.lookup(Question { name: &name, kind }).await;
    }
    let name: Name = "dead.test".parse().unwrap();
    let given_up = resolver.lookup(Question { name: &name, kind: Kind::Txt });
    assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
}

#[test]
fn every_lookup_is_counted_with_type_and_result() {
    let log = Log::default();
    metrics::with_local_recorder(&log, || {
        describe_metrics();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(lookups());
    });
    let mut want = vec!["described mox_dns_lookup_duration_seconds Some(Seconds)".to_owned()];
    let labels = [
        "ip ok",
        "ip ok",
        "txt ok",
        "mx nxdomain",
        "addr nxdomain",
        "tlsa temporary",
        "cname timeout",
        "txt canceled",
    ];
    want.extend(labels.iter().map(|label| {
        let (kind, result) = label.split_once(' ').unwrap();
        format!("mox_dns_lookup_duration_seconds pkg=test type={kind} result={result}")
    }));
    assert_eq!(*log.0.lock().unwrap(), want);
}
