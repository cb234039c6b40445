//! More large messages arrive at once than the process may have files open. Alone in its file, because the limit applies
//! to the whole process.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use moxd_store::engine::{
    Batch, Engine, Maintenance,
    local::{Local, Options},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the process may have.
const DESCRIPTORS: u64 = 64;
/// Large messages that arrive.
const MESSAGES: u8 = 200;

#[test]
fn arriving_bodies_leave_descriptors_to_others() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let engine = Local::open(dir.path(), Options { reserve: 0, ..Options::default() }).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).unwrap();
    let content = |n: u8| vec![n; 700_000];
    let mut arriving: Vec<_> = (0..MESSAGES).map(|n| (n, engine.body_writer())).collect();
    for half in [0..400_000, 400_000..700_000] {
        for (n, writer) in &mut arriving {
            content(*n)[half.clone()].chunks(50_000).for_each(|piece| writer.write(piece).wait().unwrap());
        }
        // Other work needs descriptors meanwhile.
        engine.compact(true).unwrap();
    }
    let mut bodies = Vec::new();
    for (n, writer) in arriving {
        let body = writer.finish();
        while !body.is_ready() {
            std::thread::yield_now();
        }
        let mut batch = Batch::default();
        batch.ops.put(&[0x80, n], b"");
        batch.ops.link(body.id());
        batch.bodies.push(body.clone());
        engine.commit(batch).wait().unwrap();
        bodies.push((n, body));
    }
    for (n, body) in bodies {
        let mut read = Vec::new();
        while (read.len() as u64) < body.len() {
            read.extend_from_slice(&engine.body(body.id(), read.len() as u64).unwrap());
        }
        assert!(read == content(n), "message {n}");
    }
    assert_eq!(engine.check().unwrap(), []);
}
