//! Replies and metrics when the store cannot keep a message.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use bytes::Bytes;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use moxd_intake::{AccountRules, Environment, Intake};
use smtpserver::{Kind, Refusal};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use store::engine::memory::Memory;
use store::engine::{Batch, BodyId, CommitError, Direction, Engine, KeyRange, Page, ReadRows};
use store::{Pending, Store};

/// An engine in memory whose commits fail once `left` of them have been made. One that fails with `Unknown` is made all the
/// same.
struct Failing {
    engine: Arc<Memory>,
    left: AtomicUsize,
    error: CommitError,
}

impl ReadRows for Failing {
    fn get(&self, key: &[u8]) -> store::Result<Option<Bytes>> {
        self.engine.get(key)
    }
    fn range(&self, range: &KeyRange, direction: Direction, limit: usize) -> store::Result<Page> {
        self.engine.range(range, direction, limit)
    }
    fn body_len(&self, id: BodyId) -> store::Result<u64> {
        self.engine.body_len(id)
    }
}

impl Engine for Failing {
    fn snapshot(&self) -> store::Result<Box<dyn ReadRows + '_>> {
        self.engine.snapshot()
    }
    fn commit(&self, batch: Batch) -> Pending<Result<(), CommitError>> {
        let take = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => self.engine.commit(batch),
            Err(_) if matches!(self.error, CommitError::Unknown) => {
                Pending::ready(self.engine.commit(batch).wait().and(Err(self.error)))
            }
            Err(_) => Pending::ready(Err(self.error)),
        }
    }
    fn body(&self, id: BodyId, offset: u64) -> store::Result<Bytes> {
        self.engine.body(id, offset)
    }
    fn stamp(&self) -> u64 {
        self.engine.stamp()
    }
    fn close(&self) {
        self.engine.close();
    }
}

/// Counters in memory: name, then labels.
#[derive(Clone, Default)]
struct Numbers(Arc<Mutex<BTreeMap<String, u64>>>);

struct Number(Numbers, String);

impl CounterFn for Number {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
    fn absolute(&self, _: u64) {}
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        Counter::from_arc(Arc::new(Number(self.clone(), format!("{} {}", key.name(), labels.join(" ")))))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

const NAMES: [&str; 3] = ["ann", "bob", "eve"];

/// Sends a message to all accounts over a store that fails after `commits` commits. Returns the reply and the counters.
async fn send(commits: usize, error: CommitError) -> (Result<(), Refusal>, BTreeMap<String, u64>) {
    let numbers = Numbers::default();
    let _recorder = metrics::set_default_local_recorder(&numbers);
    let store = Store::on(Arc::new(Failing { engine: Memory::new(), left: commits.into(), error }));
    let settings = common::settings(common::directory(&NAMES, &AccountRules::default()));
    let backend = Intake::new(store.clone(), None, settings, common::ENVIRONMENT).unwrap();
    let server = common::TestServer { backend: Arc::new(backend), store };
    let to = NAMES.map(|name| format!("{name}@a.example"));
    let to = to.each_ref().map(String::as_str);
    let text = "From: x@b.example\r\n\r\nbody\r\n";
    let answer = server.send(&common::client(Kind::Smtp, None), "x@b.example", &to, text).await;
    let counted = numbers.0.lock().unwrap().clone();
    (answer, counted)
}

/// The first commit is the server's secret, then comes one for each account, then the message.
#[track_caller]
fn check(got: (Result<(), Refusal>, BTreeMap<String, u64>), reply: &str, result: &str) {
    let (answer, counted) = got;
    assert_eq!(answer.map_err(|refusal| refusal.to_string()), Err(reply.to_owned()));
    let name = format!("mox_smtpserver_delivery_total result={result} reason=");
    assert_eq!(counted, BTreeMap::from([(name, NAMES.len() as u64)]));
}

#[tokio::test]
async fn counts_a_failed_account_for_each_recipient() {
    for accounts in 0..NAMES.len() {
        let got = send(1 + accounts, CommitError::Failed).await;
        check(got, "451 4.3.0 error processing", "accounterror");
    }
}

#[tokio::test]
async fn counts_a_failed_commit_for_each_recipient() {
    check(send(1 + NAMES.len(), CommitError::Failed).await, "451 4.3.0 error processing", "delivererror");
}

#[tokio::test]
async fn tells_the_client_that_the_store_is_full() {
    let full = "452 4.3.1 no storage left, try again later";
    check(send(2, CommitError::Full).await, full, "accounterror");
    check(send(1 + NAMES.len(), CommitError::Full).await, full, "delivererror");
}

#[tokio::test]
async fn a_submission_whose_outcome_is_unknown_counts_if_it_was_committed() {
    let (engine, left) = (Memory::new(), AtomicUsize::new(usize::MAX));
    let engine = Arc::new(Failing { engine, left, error: CommitError::Unknown });
    let store = Store::on(Arc::clone(&engine) as Arc<dyn Engine>);
    let rules = AccountRules { messages_per_day: 2, ..AccountRules::default() };
    let environment = Environment { random: common::different, ..common::ENVIRONMENT };
    let settings = common::settings(common::directory(&NAMES, &rules));
    let backend = Intake::new(store.clone(), None, settings, environment).unwrap();
    let server = common::TestServer { backend: Arc::new(backend), store };
    let ann = common::client(Kind::Submission, Some("ann"));
    let send = async || {
        let text = "From: ann@a.example\r\n\r\nbody\r\n";
        server.send(&ann, "ann@a.example", &["bob@a.example"], text).await.map_err(|error| error.to_string())
    };
    send().await.unwrap();
    engine.left.store(0, Ordering::Relaxed);
    assert_eq!(send().await, Err("451 4.3.0 error delivering message".to_owned()));
    engine.left.store(usize::MAX, Ordering::Relaxed);
    let refused = send().await.unwrap_err();
    assert!(refused.starts_with("451 4.7.1 max number of messages (2)"), "{refused}");
    assert_eq!(server.inbox("bob").len(), 2);
}
