//! The engine under damage, on full disks, and against a model.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Local, Options, disk::Disk, journal, maintenance::reclaim, open, view};
use crate::{
    Store,
    check::Finding,
    engine::{
        Batch, Body, BodyId, CommitError, Direction, Engine, KeyRange, Maintenance, Precondition, ReadRows,
    },
};

mod backup;
mod boundaries;
mod compaction;
mod damage;
mod faults;
mod frozen;
mod maintenance;
mod model;

/// Small files, so that a short test sees many of them.
fn small() -> Options {
    Options { segment_size: 64 * 1024, snapshot_min: 32 * 1024, reserve: 64 * 1024, ..Options::default() }
}

/// A folder of this test, in memory if that is possible: thousands of syncs cost nothing there, and no test here asks
/// what a power cut leaves.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(dir: &Path) -> Arc<Local> {
    Local::open(dir, small()).unwrap()
}

fn open_on(dir: &Path, disk: &Disk) -> Arc<Local> {
    open::open(dir, &small(), disk).unwrap()
}

fn put(engine: &Local, key: &[u8], value: &[u8]) -> Result<(), CommitError> {
    let mut batch = Batch::default();
    batch.ops.put(key, value);
    engine.commit(batch).wait()
}

fn body(engine: &Local, content: &[u8]) -> Body {
    let mut writer = engine.body_writer();
    content.chunks(70_000).for_each(|chunk| writer.write(chunk).wait().unwrap());
    let body = writer.finish();
    placed(body.clone()).unwrap();
    body
}

/// Waits until a body can be stored.
fn placed(body: Body) -> crate::Result<()> {
    crate::Pending::new(async move { body.ready().await }).wait()
}

/// Stores a body under a row that names it.
fn put_body(engine: &Local, key: &[u8], content: &[u8]) -> Result<BodyId, CommitError> {
    store_body(engine, key, &body(engine, content))
}

fn store_body(engine: &Local, key: &[u8], body: &Body) -> Result<BodyId, CommitError> {
    let mut batch = Batch::default();
    batch.ops.put(key, &body.id().get().to_be_bytes());
    batch.ops.link(body.id());
    batch.bodies.push(body.clone());
    engine.commit(batch).wait()?;
    Ok(body.id())
}

fn remove_body(engine: &Local, key: &[u8], id: BodyId) {
    let mut batch = Batch::default();
    batch.ops.delete(key);
    batch.ops.unlink(id);
    engine.commit(batch).wait().unwrap();
}

fn read_body(engine: &Local, id: BodyId) -> crate::Result<Vec<u8>> {
    let mut content = Vec::new();
    let len = engine.body_len(id)?;
    while (content.len() as u64) < len {
        content.extend_from_slice(&engine.body(id, content.len() as u64)?);
    }
    Ok(content)
}

/// All rows that are not the engine's own.
fn rows(engine: &dyn Engine) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let range = KeyRange { start: vec![2], end: None };
    let page = engine.range(&range, Direction::Forward, usize::MAX).unwrap();
    page.rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Content that is different for every `n`.
fn noise(n: u64, len: usize) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn sound(engine: &Local) {
    let findings = engine.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = findings.iter().map(|f| f.kind().token()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Files of the journal with this ending, oldest first.
fn journal_files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir.join(journal::FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    paths.sort();
    paths
}

fn contains(dir: &Path, needle: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            contains(&path, needle)
        } else {
            fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
        }
    })
}

/// Returns the bytes that a folder takes on the disk.
fn disk_use(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let size = |entry: fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { disk_use(&entry.path()) } else { metadata.blocks() * 512 }
    };
    entries.map(size).sum()
}

/// Copies the directory of an open engine as it is at this moment: what a crash would leave.
fn crashed(engine: &Local) -> tempfile::TempDir {
    let dir = engine.shared.settings.dir.clone();
    engine.shared.maintenance.run(move |maintainer| {
        let _paused = maintainer.pause_writer().unwrap();
        copied(&dir)
    })
}

/// Runs all due maintenance; returns `false` if some of it has to be tried again.
fn maintain(engine: &Local) -> bool {
    engine.shared.maintenance.run(|maintainer| maintainer.maintain())
}

fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = folder();
    copy_dir(dir, copy.path());
    copy
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn refuses_a_second_process() {
    let dir = folder();
    let first = open(dir.path());
    let second = Local::open(dir.path(), small()).unwrap_err();
    assert_eq!(second.kind(), crate::ErrorKind::Locked);
    assert!(second.to_string().contains("another process has this data directory open"), "{second}");
    first.close();
    open(dir.path()).close();
}

/// The engine removes all access of other users to its folder, whatever the mode was before.
#[test]
fn takes_its_folder_from_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let mode = || fs::metadata(dir.path()).unwrap().permissions().mode() & 0o7777;
    for (before, after) in [(0o777, 0o700), (0o755, 0o700), (0o750, 0o750), (0o700, 0o700)] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(before)).unwrap();
        open(dir.path()).close();
        assert_eq!(mode(), after, "of {before:o}");
    }
    open(&dir.path().join("new")).close();
    assert_eq!(fs::metadata(dir.path().join("new")).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn fails_what_comes_after_the_end() {
    let dir = folder();
    let engine = open(dir.path());
    engine.close();
    assert_eq!(put(&engine, b"k", b"v"), Err(CommitError::Failed));
}

#[test]
fn keeps_everything_over_restarts() {
    let dir = folder();
    let large = noise(1, 700_000);
    let (small_id, large_id) = {
        let engine = open(dir.path());
        put(&engine, b"a", b"1").unwrap();
        (put_body(&engine, b"b", b"small").unwrap(), put_body(&engine, b"c", &large).unwrap())
    };
    for _ in 0..3 {
        let engine = open(dir.path());
        assert_eq!(engine.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(read_body(&engine, small_id).unwrap(), b"small");
        assert_eq!(read_body(&engine, large_id).unwrap(), large);
        assert_eq!(&engine.body(large_id, 699_999).unwrap()[..], &large[699_999..]);
        sound(&engine);
    }
    // Restarts without mail leave no files behind.
    assert_eq!(journal_files(dir.path(), "log").len(), 2);
}

#[test]
fn never_gives_a_body_number_again() {
    let dir = folder();
    let first = put_body(&open(dir.path()), b"a", b"1").unwrap();
    // The segments with their count of openings are lost; the view still knows the body.
    journal_files(dir.path(), "log").iter().for_each(|path| fs::remove_file(path).unwrap());
    let second = put_body(&open(dir.path()), b"b", b"2").unwrap();
    assert!(second > first, "{second:?} {first:?}");
}

#[test]
fn drops_bodies_that_no_batch_has_stored() {
    let dir = folder();
    let engine = open(dir.path());
    drop(body(&engine, &noise(1, 700_000)));
    let mut unfinished = engine.body_writer();
    unfinished.write(&noise(2, 700_000)).wait().unwrap();
    drop(unfinished);
    engine.close();
    for folder in ["bodies", "tmp"] {
        assert_eq!(fs::read_dir(dir.path().join(folder)).unwrap().count(), 0, "{folder}");
    }
}

#[test]
fn copies_itself_while_it_works() {
    let dir = folder();
    let store = Store::open(dir.path(), small()).unwrap();
    let now = std::time::UNIX_EPOCH;
    let account = store.open_account("mox", crate::INITIAL_MAILBOXES, now).wait().unwrap();
    let deliver = |n: u64| {
        let mut writer = store.body_writer();
        writer.write(&noise(n, if n.is_multiple_of(10) { 300_000 } else { 3000 })).wait().unwrap();
        let mut t = store.transaction(now);
        t.deliver(account, "Inbox", crate::NewMessage::new(crate::Facts::new(now)), &writer.finish());
        store.commit(t).wait().unwrap().delivered[0].uid.get()
    };
    let before = (0..50).map(&deliver).fold(0, u32::max);
    let copy = dir.path().join("copy");
    let during = std::thread::scope(|scope| {
        let backup = scope.spawn(|| store.backup(&copy));
        let last = (50..100).map(&deliver).fold(0, u32::max);
        backup.join().unwrap().unwrap();
        last
    });
    assert!(store.backup(&copy).is_err(), "a copy is never written over");
    let copied = Store::open(&copy, small()).unwrap();
    let inbox = copied.mailbox(account, "Inbox").unwrap().unwrap();
    assert!((u64::from(before)..=u64::from(during)).contains(&inbox.counts.messages), "{inbox:?}");
    let findings = copied.check().unwrap();
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
fn tells_how_far_it_is() {
    let dir = folder();
    {
        let engine = open(dir.path());
        (0..200u32).for_each(|n| put(&engine, &n.to_be_bytes().map(|b| b | 0x80), &noise(1, 500)).unwrap());
    }
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = seen.clone();
    let progress = move |progress: super::Progress| told.borrow_mut().push(progress);
    Local::open(dir.path(), Options { progress: Some(Box::new(progress)), ..small() }).unwrap();
    let seen = seen.borrow();
    assert!(seen.is_sorted_by_key(|p| p.done) && seen.iter().all(|p| p.done <= p.total), "{seen:?}");
    assert!(seen.len() > 10);
}

#[test]
fn conflicts_name_the_precondition() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    let preconditions =
        vec![Precondition::Equals(b"a".to_vec(), b"1".to_vec()), Precondition::Absent(b"a".to_vec())];
    let mut batch = Batch { preconditions, ..Batch::default() };
    batch.ops.put(b"b", b"2");
    assert_eq!(engine.commit(batch).wait(), Err(CommitError::Conflict(1)));
    assert_eq!(engine.get(b"b").unwrap(), None);
}

#[test]
fn names_rows_that_disagree() {
    let dir = folder();
    let engine = open(dir.path());
    let store = Store::on(engine.clone());
    let now = std::time::UNIX_EPOCH;
    let account = store.open_account("mox", crate::INITIAL_MAILBOXES, now).wait().unwrap();
    let mut writer = store.body_writer();
    writer.write(b"body").wait().unwrap();
    let mut message = crate::NewMessage::new(crate::Facts::new(now));
    message.facts.message_id = "1@a.test".to_owned();
    let mut t = store.transaction(now);
    t.deliver(account, "Inbox", message, &writer.finish());
    store.commit(t).wait().unwrap();
    assert_eq!(store.check().unwrap(), []);
    // As if a delivery had forgotten a row, and a removal had left one.
    let index = crate::Index::MessageId("1@a.test").prefix(account);
    let row = engine.range(&KeyRange::prefix(&index), Direction::Forward, 1).unwrap().rows[0].0.to_vec();
    let mut batch = Batch::default();
    batch.ops.delete(&row);
    batch.ops.put(&[&row[..row.len() - 8], &99u64.to_be_bytes()].concat(), b"");
    engine.commit(batch).wait().unwrap();
    let findings = store.check().unwrap();
    let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2, "{text:?}");
    assert!(text[0].contains("account mox, message 99: a row leads to this message"), "{text:?}");
    assert!(
        text[1]
            .contains("account mox, mailbox Inbox, uid 1, message 1: it cannot be found by the Message-ID"),
        "{text:?}"
    );
    // A row by which the message should not be found, and then one that outlived its message.
    let mut batch = Batch::default();
    batch.ops.put(&row, b"");
    batch.ops.delete(&[&row[..row.len() - 8], &99u64.to_be_bytes()].concat());
    let other = crate::Index::MessageId("2@a.test").prefix(account);
    batch.ops.put(&[&other[..], &row[row.len() - 16..]].concat(), b"");
    engine.commit(batch).wait().unwrap();
    for _ in 0..2 {
        let findings = store.check().unwrap();
        assert_eq!(kinds(&findings), ["store.finding.record"]);
        let text = findings[0].to_string();
        assert!(
            findings.len() == 1
                && text.contains("account mox, message 1: it is found by the Message-ID of another"),
            "{text}"
        );
        if let Ok(Some(message)) = store.message(account, crate::MessageId::from_u64(1)) {
            let mut t = store.transaction(now);
            t.remove(account, message.id);
            store.commit(t).wait().unwrap();
        }
    }
}

/// Mail that comes and goes meanwhile is no inconsistency.
#[test]
fn finds_nothing_wrong_with_a_store_at_work() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = folder();
    let store = Store::open(dir.path(), small()).unwrap();
    let now = std::time::UNIX_EPOCH;
    let account = store.open_account("mox", crate::INITIAL_MAILBOXES, now).wait().unwrap();
    let done = AtomicBool::new(false);
    let started = std::sync::Barrier::new(2);
    let work = || {
        for n in (0u64..).take_while(|_| !done.load(Ordering::Relaxed)) {
            if n == 500 {
                started.wait();
            }
            let mut writer = store.body_writer();
            writer.write(&noise(n, if n.is_multiple_of(20) { 300_000 } else { 300 })).wait().unwrap();
            let mut t = store.transaction(now);
            let mut message = crate::NewMessage::new(crate::Facts::new(now));
            message.facts.message_id = format!("{n}@a.test");
            t.deliver(account, "Inbox", message, &writer.finish());
            let delivered = store.commit(t).wait().unwrap().delivered[0];
            if !n.is_multiple_of(3) {
                let mut t = store.transaction(now);
                t.remove(account, delivered.id);
                store.commit(t).wait().unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        started.wait();
        let checks: Vec<_> = (0..4).map(|_| store.check()).collect();
        done.store(true, Ordering::Relaxed);
        for findings in checks {
            assert_eq!(findings.unwrap(), []);
        }
    });
}
