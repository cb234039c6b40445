//! When a process has no descriptor left. Alone in its file: the limit is the whole process's.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{fs, path::Path};

use moxd_store::engine::{
    Batch, CommitError, Engine, ReadRows,
    local::{Local, Options},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

fn put(engine: &dyn Engine, key: &[u8], value: &[u8]) -> Result<(), CommitError> {
    let mut batch = Batch::default();
    batch.ops.put(key, value);
    engine.commit(batch).wait()
}

fn open(dir: &Path) -> std::sync::Arc<Local> {
    let options =
        Options { segment_size: 64 * 1024, snapshot_min: 1 << 40, reserve: 0, ..Options::default() };
    Local::open(dir, options).unwrap()
}

/// The limit that leaves one descriptor free.
fn one_left() -> u64 {
    let is_open = |fd: &u64| fs::read_link(format!("/proc/self/fd/{fd}")).is_ok();
    let free = (0..).find(|fd| !is_open(fd)).unwrap();
    (free + 1..).find(|fd| !is_open(fd)).unwrap()
}

/// The next segment gets its name, and then its folder cannot be opened to be synced. It says where the segment before it
/// ends; nothing acknowledged may stand behind that.
#[test]
fn nothing_is_acknowledged_behind_the_end_that_the_next_segment_knows() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    put(&*engine, b"\x80first", &[1; 50_000]).unwrap();
    // The segment is full: what comes next begins another one.
    put(&*engine, b"\x80second", &[1; 20_000]).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, one_left(), hard).unwrap();
    let large = put(&*engine, b"\x80large", &[2; 40_000]);
    let small = put(&*engine, b"\x80small", b"3");
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(large.is_err(), "the limit has no effect");
    let late = put(&*engine, b"\x80late", b"4");
    assert_eq!(late, Ok(()));

    // As after a kill: the view is rebuilt from the journal.
    let copy = tempfile::tempdir().unwrap();
    let journal = copy.path().join("data/journal");
    fs::create_dir_all(&journal).unwrap();
    for entry in fs::read_dir(dir.path().join("journal")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), journal.join(entry.file_name())).unwrap();
    }
    let again = open(&copy.path().join("data"));
    for (key, acknowledged) in [(&b"\x80first"[..], Ok(())), (b"\x80small", small), (b"\x80late", late)] {
        let found = again.get(key).unwrap().is_some();
        assert_eq!(found, acknowledged.is_ok(), "{}", key.escape_ascii());
    }
}
