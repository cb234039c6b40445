//! The maintenance thread: callers that wait for it, and requests that it cannot serve.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use super::*;
use crate::ErrorKind;

/// Waits until the thread has taken a request that it keeps for later.
fn wait_until_kept(engine: &Local) {
    while !engine.shared.maintenance.run(|maintainer| maintainer.keeps_requests()) {
        thread::yield_now();
    }
}

#[test]
fn a_compaction_waits_until_no_file_is_pinned() {
    let dir = folder();
    let engine = open(dir.path());
    let id = put_body(&engine, b"large", &noise(1, 600_000)).unwrap();
    let pins = [engine.shared.maintenance.pin().unwrap(), engine.shared.maintenance.pin().unwrap()];
    remove_body(&engine, b"large", id);
    let files = || fs::read_dir(dir.path().join("bodies")).unwrap().count();
    thread::scope(|scope| {
        let compaction = scope.spawn(|| engine.compact(true));
        wait_until_kept(&engine);
        // Other callers are served meanwhile, also those that pin files.
        put(&engine, b"a", b"1").unwrap();
        sound(&engine);
        let [first, second] = pins;
        drop(first);
        assert!(engine.shared.maintenance.run(|maintainer| maintainer.keeps_requests()));
        assert_eq!(files(), 1);
        drop(second);
        compaction.join().unwrap().unwrap();
    });
    assert_eq!(files(), 0);
}

#[test]
fn a_kept_compaction_ends_when_the_store_is_closed() {
    let dir = folder();
    let engine = open(dir.path());
    let _pin = engine.shared.maintenance.pin().unwrap();
    thread::scope(|scope| {
        let compaction = scope.spawn(|| engine.compact(false));
        wait_until_kept(&engine);
        engine.close();
        assert_eq!(compaction.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
    assert_eq!(engine.check().unwrap_err().kind(), ErrorKind::Closed);
}

/// Commits need the thread once memory is full of rows. They are refused then, and nothing blocks.
#[test]
fn a_maintenance_thread_that_has_panicked_blocks_no_caller() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    let run = || engine.shared.maintenance.run(|_| panic!("simulated"));
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert_eq!(engine.compact(false).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(engine.backup(&dir.path().join("copy")).unwrap_err().kind(), ErrorKind::Closed);
    let value = vec![7; 60_000];
    let refused = (0..1000u32).find_map(|n| put(&engine, &n.to_be_bytes().map(|b| b | 0x80), &value).err());
    assert_eq!(refused, Some(CommitError::Failed), "there is room on the disk");
    assert_eq!(engine.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    let accepted = rows(&*engine);
    engine.close();
    drop(engine);
    // The journal has every acknowledged batch.
    let engine = open(dir.path());
    assert_eq!(rows(&*engine), accepted);
    sound(&engine);
}

/// The writer needs room in memory while the thread needs the writer: each of them gets what it waits for.
#[test]
fn commits_and_compactions_that_fill_memory_do_not_wait_for_each_other() {
    let dir = folder();
    let engine = open(dir.path());
    let value = vec![7; 60_000];
    thread::scope(|scope| {
        let compactions = scope.spawn(|| (0..6).try_for_each(|_| engine.compact(true)));
        for n in 0..700u32 {
            put(&engine, &n.to_be_bytes().map(|b| b | 0x80), &value).unwrap();
            if n % 50 == 0 {
                put_body(&engine, b"body", &noise(n.into(), 5000)).unwrap();
            }
        }
        compactions.join().unwrap().unwrap();
    });
    sound(&engine);
}

#[test]
fn makes_room_though_a_file_cannot_be_removed() {
    let dir = folder();
    let engine = open(dir.path());
    let large = put_body(&engine, b"large", &noise(1, 600_000)).unwrap();
    let small: Vec<_> =
        (0..40u8).map(|n| (n, put_body(&engine, &[0x80, n], &noise(n.into(), 8000)).unwrap())).collect();
    // A folder stands in the file's place.
    let path = dir.path().join("bodies").join(format!("{:016x}", large.get()));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    remove_body(&engine, b"large", large);
    small.iter().for_each(|(n, id)| remove_body(&engine, &[0x80, *n], *id));
    engine.compact(true).unwrap_err();
    assert_eq!(journal_files(dir.path(), "log").len(), 1, "the other segments are empty");
    fs::remove_dir(&path).unwrap();
    fs::write(&path, b"").unwrap();
    engine.compact(false).unwrap();
    assert!(!path.exists());
}

/// It would spin: an answer to a question that the writer never took would wake it to ask again.
#[test]
fn a_writer_that_has_ended_leaves_no_answers_in_the_inbox() {
    let dir = folder();
    let engine = open(dir.path());
    engine.shared.work.close();
    let is_idle = engine.shared.maintenance.run(|maintainer| {
        assert_eq!(maintainer.pause_writer().unwrap_err().kind(), ErrorKind::Closed);
        maintainer.has_nothing_to_do()
    });
    assert!(is_idle);
}
