//! A disk that does not answer: only tasks that need it wait for it.

use std::{
    future::Future,
    pin::pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::*;
use crate::engine::local::{bodies::INLINE_MAX, disk::simulate_miss, sink::inline_len};

/// How long a test waits for what should come at once, before it calls it a failure.
const LONG: Duration = Duration::from_secs(60);

fn is_ready<T: Unpin>(pending: &mut crate::Pending<T>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(pending).poll(&mut context), Poll::Ready(_))
}

/// Receiving large messages never blocks the thread that does it, and takes a bounded part of them.
#[test]
fn large_bodies_wait_for_a_frozen_disk_without_a_thread() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    put(&engine, b"before", b"1").unwrap();
    disk.faults.freeze(true);
    let content = noise(1, 800_000);
    // More messages than writer threads.
    let mut arriving: Vec<_> = (0..8)
        .map(|_| {
            let mut writer = engine.body_writer();
            let mut taken = 0;
            // A client writes until the writer is not ready.
            for piece in content.chunks(20_000) {
                taken += piece.len();
                let mut pending = writer.write(piece);
                if !is_ready(&mut pending) {
                    return (writer, pending, taken);
                }
            }
            panic!("all of a message was taken while nothing could be written");
        })
        .collect();
    for (_, _, taken) in &arriving {
        assert!(*taken <= INLINE_MAX + 200_000, "{taken} bytes are in memory");
    }
    // Other clients are served meanwhile.
    assert_eq!(engine.get(b"before").unwrap().as_deref(), Some(&b"1"[..]));
    let mut small = engine.body_writer();
    assert!(is_ready(&mut small.write(b"small")));
    assert!(arriving.iter_mut().all(|(_, pending, _)| !is_ready(pending)));

    disk.faults.freeze(false);
    for (n, (mut writer, pending, taken)) in arriving.into_iter().enumerate() {
        pending.wait().unwrap();
        content[taken..].chunks(20_000).for_each(|piece| writer.write(piece).wait().unwrap());
        let body = writer.finish();
        placed(body.clone()).unwrap();
        let mut batch = Batch::default();
        batch.ops.put(&[0x80, n as u8], b"");
        batch.ops.link(body.id());
        batch.bodies.push(body.clone());
        engine.commit(batch).wait().unwrap();
        assert_eq!(read_body(&engine, body.id()).unwrap(), content);
    }
    sound(&engine);
}

/// A read that has to wait for the disk gives the other tasks of its worker to another thread.
#[test]
fn reads_that_miss_memory_keep_no_other_task_waiting() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"row", b"1").unwrap();
    let id = put_body(&engine, b"body", &noise(1, 600_000)).unwrap();
    engine.compact(false).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let reads: [fn(&Local, BodyId); 2] = [
        |engine, _| assert_eq!(engine.get(b"row").unwrap().as_deref(), Some(&b"1"[..])),
        |engine, id| assert!(!engine.body(id, 0).unwrap().is_empty()),
    ];
    for read in reads {
        let (answer, disk) = mpsc::channel();
        let (waits, is_waiting) = mpsc::channel();
        let engine = engine.clone();
        let reading = runtime.spawn(async move {
            simulate_miss(move || {
                waits.send(()).unwrap();
                disk.recv_timeout(LONG).expect("another task is run meanwhile");
            });
            read(&engine, id);
        });
        is_waiting.recv_timeout(LONG).expect("the read misses memory");
        runtime.spawn(async move { answer.send(()).unwrap() });
        runtime.block_on(reading).unwrap();
    }
}

/// Half-sent messages that hold on to memory do not make files of the small mail of others.
#[test]
fn small_bodies_stay_in_memory_whatever_others_hold() {
    let dir = folder();
    let engine = open(dir.path());
    let half = noise(1, 200_000);
    let held: Vec<_> = (0..500)
        .map(|_| {
            let mut writer = engine.body_writer();
            half.chunks(16_000).for_each(|piece| writer.write(piece).wait().unwrap());
            writer
        })
        .collect();
    let in_files = fs::read_dir(dir.path().join("tmp")).unwrap().count();
    assert!(in_files > 100, "{in_files} of {} became files", held.len());
    let mut writer = engine.body_writer();
    writer.write(&noise(2, 10_000)).wait().unwrap();
    assert_eq!(inline_len(&writer.finish()), 10_000);
    // With room again, a body of the largest inline size stays in memory.
    drop(held);
    let mut writer = engine.body_writer();
    writer.write(&noise(3, INLINE_MAX)).wait().unwrap();
    assert_eq!(inline_len(&writer.finish()), INLINE_MAX as u64);
}
