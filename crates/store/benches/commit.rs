//! Measures the cost of a commit, and beside it the cost of the disk alone: the same bytes appended to a file with one
//! sync each, which is the least that any store can do for one writer.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement")]

use std::{
    fs::File,
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moxd_store::{AccountId, Facts, INITIAL_MAILBOXES, NewMessage, Options, Store};

/// A message of 4 KiB and the header fields that a server adds.
const BODY: usize = 4096;
const PREFIX: usize = 500;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn message(n: u64) -> NewMessage {
    let mut facts = Facts::new(now());
    let domain = format!("mail{}.example{}.test", n % 7, n * 7919 % 2003);
    facts.origin.remote_ip = Some([10, (n >> 8) as u8, n as u8, (n * 31) as u8].into());
    facts.origin.ehlo_domain.clone_from(&domain);
    facts.origin.mail_from_domain.clone_from(&domain);
    facts.origin.from_domain.clone_from(&domain);
    facts.origin.dkim_domains.push(domain);
    facts.message_id = format!("{n}@bench.test");
    facts.subject = format!("Message {n}");
    let mut message = NewMessage::new(facts);
    message.prefix = vec![b'P'; PREFIX];
    message
}

fn deliver(store: &Store, account: AccountId, n: u64, content: &[u8]) {
    let mut writer = store.body_writer();
    writer.write(content).wait().unwrap();
    let mut t = store.transaction(now());
    t.deliver(account, "Inbox", message(n), &writer.finish());
    let _ = store.commit(t).wait().unwrap();
}

/// The time that `writers` threads need for `n` deliveries.
fn deliveries(store: &Store, account: AccountId, writers: u64, n: u64) -> Duration {
    let content = vec![b'x'; BODY];
    let next = AtomicU64::new(0);
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= n {
                        break;
                    }
                    deliver(store, account, i, &content);
                }
            });
        }
    });
    begin.elapsed()
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(4));
    let dir = tempfile::tempdir_in(".").unwrap();
    let mut file = File::create(dir.path().join("alone")).unwrap();
    let bytes = vec![b'x'; BODY + PREFIX];
    group.bench_function("append and sync alone", |b| {
        b.iter(|| {
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        });
    });
    let store = Store::open(&dir.path().join("store"), Options::default()).unwrap();
    let account = store.open_account("mox", INITIAL_MAILBOXES, now()).wait().unwrap();
    for writers in [1, 16, 64] {
        group.bench_function(format!("{writers} writers"), |b| {
            b.iter_custom(|n| deliveries(&store, account, writers, n));
        });
    }
    group.finish();
    store.close();
}

criterion_group!(benches, commit);
criterion_main!(benches);
