//! A journal of more segments than the process may have files open. Alone in its file, because the limit applies to the
//! whole process.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

use std::{fs, path::Path, sync::Arc};

use moxd_store::engine::{
    Batch, Direction, Engine, KeyRange, Maintenance, ReadRows,
    local::{Local, Options},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that the process may have.
const DESCRIPTORS: u64 = 64;
/// Segments of the journal.
const SEGMENTS: u32 = 1000;

fn open(dir: &Path, segment_size: u64) -> Arc<Local> {
    let options = Options { segment_size, snapshot_min: 1 << 40, reserve: 0, ..Options::default() };
    Local::open(dir, options).unwrap()
}

fn count(dir: &Path) -> usize {
    fs::read_dir(dir.join("journal")).unwrap().count()
}

#[test]
fn opens_with_few_descriptors() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let engine = open(dir.path(), 1024);
    for n in 0..SEGMENTS {
        let mut batch = Batch::default();
        batch.ops.put(&[&[0x80], &n.to_be_bytes()[..]].concat(), &[7; 2000]);
        engine.commit(batch).wait().unwrap();
    }
    drop(engine);
    assert!(count(dir.path()) >= SEGMENTS as usize);
    fs::remove_dir_all(dir.path().join("view")).unwrap();

    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).unwrap();
    let engine = open(dir.path(), 64 << 20);
    let range = KeyRange::prefix(&[0x80]);
    let rows = engine.range(&range, Direction::Forward, usize::MAX).unwrap().rows;
    assert_eq!(rows.len(), SEGMENTS as usize);
    assert_eq!(engine.check().unwrap(), []);
    let backup = tempfile::tempdir_in(dir.path().parent().unwrap()).unwrap();
    engine.backup(&backup.path().join("copy")).unwrap();
    engine.compact(false).unwrap();
    assert!(count(dir.path()) < 10, "they are joined");
}
