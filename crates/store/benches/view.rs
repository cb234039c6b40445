//! Measures the cost of rows: writing them in the order in which messages arrive, rebuilding the view from the
//! journal, and reading single rows. Processor time, so that the figures hold beside other work.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement"
)]

use std::{
    cell::Cell,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use moxd_store::{
    Options,
    engine::{Batch, Engine, ReadRows, local::Local},
};
use nix::{
    sys::resource::{Usage, UsageWho, getrusage},
    sys::time::TimeVal,
};

/// Messages in the store. Each has about twelve rows.
const MESSAGES: u64 = 240_000;
/// Messages of one batch, so that the measurement waits little for the disk.
const GROUP: u64 = 256;
/// Rows that are read again and again as hot rows.
const HOT: u64 = 100;
/// Rows that are read at a time: the clock of a thread's processor time is coarse.
const READS: u64 = 10_000;
/// Kinds of index rows of a message.
const KINDS: u8 = 8;

fn cpu(who: UsageWho) -> Duration {
    let spent = |usage: &Usage| [usage.user_time(), usage.system_time()];
    let duration = |t: TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1000);
    spent(&getrusage(who).unwrap()).map(duration).iter().sum()
}

/// A number that looks random and is the same in every run.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn message_key(n: u64) -> Vec<u8> {
    let (account, uid) = ((n % 50) as u32, (n / 50) as u32);
    [&[0x85][..], &account.to_be_bytes(), &1u32.to_be_bytes(), &uid.to_be_bytes()].concat()
}

/// An index row's key: account, kind, a domain that other messages have too, time and message.
fn index_key(n: u64, kind: u8, suffix: &str) -> Vec<u8> {
    let account = ((n % 50) as u32).to_be_bytes();
    let domain = format!("mail{}.example{suffix}.test", mixed(n / 5 + u64::from(kind)) % 50_000);
    [&[0x87][..], &account, &[kind], domain.as_bytes(), &[0], &n.to_be_bytes(), &n.to_be_bytes()].concat()
}

/// The rows of the messages from `from` on.
fn group(engine: &Local, from: u64) -> Batch {
    let mut batch = Batch::default();
    let record = [b'r'; 300];
    for n in from..from + GROUP {
        let mut body = engine.body_writer();
        body.write(&n.to_be_bytes()).wait().unwrap();
        let body = body.finish();
        batch.ops.link(body.id());
        batch.bodies.push(body);
        batch.ops.put(&[&[0x83], &((n % 50) as u32).to_be_bytes()[..]].concat(), &record[..40]);
        batch.ops.put(&message_key(n), &record);
        batch.ops.put(&[&[0x86], &n.to_be_bytes()[..]].concat(), &record[..8]);
        for kind in 0..KINDS {
            batch.ops.put(&index_key(n, kind, ""), &record[..20]);
        }
    }
    batch
}

/// Opens the store; it takes no snapshot, so that all of the journal is needed to rebuild the view.
fn open(dir: &Path) -> Arc<Local> {
    Local::open(dir, Options { snapshot_min: u64::MAX, ..Options::default() }).unwrap()
}

fn load(dir: &Path) {
    let rows = MESSAGES * (3 + u64::from(KINDS)) + 50;
    let per_row = |spent: Duration| spent.as_secs_f64() * 1e6 / rows as f64;
    let (begin, spent) = (Instant::now(), cpu(UsageWho::RUSAGE_SELF));
    let engine = open(dir);
    for n in (0..MESSAGES).step_by(GROUP as usize) {
        engine.commit(group(&engine, n)).wait().unwrap();
    }
    engine.close();
    let spent = cpu(UsageWho::RUSAGE_SELF) - spent;
    println!("load in message order: {:.2} µs CPU a row, {:.1?}", per_row(spent), begin.elapsed());
    fs::remove_dir_all(dir.join("view")).unwrap();
    let (begin, spent) = (Instant::now(), cpu(UsageWho::RUSAGE_SELF));
    open(dir).close();
    let spent = cpu(UsageWho::RUSAGE_SELF) - spent;
    println!("rebuild: {:.2} µs CPU a row, {:.2?} CPU, {:.1?}", per_row(spent), spent, begin.elapsed());
    let runs = fs::read_dir(dir.join("view")).unwrap().count() - 1;
    println!("{rows} rows, {runs} runs");
}

/// Reads rows, and expects them to be there or not.
fn get(c: &mut Criterion, engine: &Local, name: &str, key: impl Fn(u64) -> Vec<u8>, is_there: bool) {
    let next = Cell::new(0);
    let keys: Vec<_> = (0..100_000).map(&key).collect();
    c.bench_function(name, |b| {
        b.iter_custom(|n| {
            let spent = cpu(UsageWho::RUSAGE_THREAD);
            for _ in 0..n * READS {
                let i = next.replace(next.get() + 1) % keys.len();
                assert_eq!(engine.get(&keys[i]).unwrap().is_some(), is_there);
            }
            (cpu(UsageWho::RUSAGE_THREAD) - spent) / READS as u32
        });
    });
}

fn view(c: &mut Criterion) {
    let dir = tempfile::tempdir_in(".").unwrap();
    load(dir.path());
    let engine = open(dir.path());
    let any = |n: u64| mixed(n) % MESSAGES;
    get(c, &engine, "get, absent", |n| index_key(any(n), (n % 8) as u8, ".absent"), false);
    get(c, &engine, "get, hot", |n| index_key(any(n % HOT), 3, ""), true);
    get(c, &engine, "get, warm", |n| index_key(any(n), (n % 8) as u8, ""), true);
    get(c, &engine, "get, warm message", |n| message_key(any(n)), true);
    engine.close();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = view
}
criterion_main!(benches);
