//! Reclaiming space: removed mail gives its room back, and thoroughly removed mail is gone.

use super::*;

/// Waits until maintenance has nothing to do.
fn settle(engine: &Local) {
    engine.compact(false).unwrap();
}

#[test]
fn keeps_disk_use_bounded() {
    let dir = folder();
    let engine = open(dir.path());
    let mut alive: Vec<(Vec<u8>, BodyId, Vec<u8>)> = Vec::new();
    for n in 0..600u64 {
        let key = [&[0x80], &n.to_be_bytes()[..]].concat();
        let content = noise(n, 4000);
        alive.push((key.clone(), put_body(&engine, &key, &content).unwrap(), content));
        // Remove two of three bodies, old and new ones.
        if n % 3 != 0 {
            let (key, id, _) = alive.remove((n as usize * 7) % alive.len());
            remove_body(&engine, &key, id);
        }
    }
    settle(&engine);
    for (_, id, content) in &alive {
        assert_eq!(&read_body(&engine, *id).unwrap(), content);
    }
    let bound = 2 * alive.len() as u64 * 4100 + 2 * small().segment_size;
    let used = disk_use(&dir.path().join("journal")) + disk_use(&dir.path().join("bodies"));
    assert!(used < bound, "{used} bytes on the disk, {bound} allowed");
    sound(&engine);
    engine.close();
    let engine = open(dir.path());
    assert_eq!(rows(&*engine).len(), alive.len());
    sound(&engine);
}

#[test]
fn removes_every_byte_of_removed_mail() {
    let dir = folder();
    let engine = open(dir.path());
    let secret = b"this was private";
    let kept = put_body(&engine, b"kept", b"to be kept").unwrap();
    let content = secret.repeat(10);
    let inline = put_body(&engine, b"inline", &content).unwrap();
    let large = put_body(&engine, b"large", &secret.repeat(30_000)).unwrap();
    remove_body(&engine, b"inline", inline);
    remove_body(&engine, b"large", large);
    assert!(contains(dir.path(), secret));
    engine.compact(true).unwrap();
    assert!(!contains(dir.path(), secret));
    assert_eq!(read_body(&engine, kept).unwrap(), b"to be kept");
    sound(&engine);
}

#[test]
fn starts_from_the_snapshot() {
    let dir = folder();
    {
        let engine = open(dir.path());
        for n in 0..2000u32 {
            put(&engine, &[0x80, (n % 50) as u8], &noise(u64::from(n), 300)).unwrap();
        }
        engine.compact(false).unwrap();
        assert_eq!(journal_files(dir.path(), "snapshot").len(), 1);
        // 600,000 bytes were written; what is needed are the snapshot and the segment that goes on behind it.
        assert!(journal_files(dir.path(), "log").len() <= 2, "{:?}", journal_files(dir.path(), "log"));
    }
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let engine = open(dir.path());
    assert_eq!(rows(&*engine).len(), 50);
    sound(&engine);
}

#[test]
fn merges_runs_while_rows_come_in() {
    let dir = folder();
    let engine = open(dir.path());
    for round in 0..40u8 {
        for n in 0..20u8 {
            put(&engine, &[0x80, n, round % 3], &[round; 100]).unwrap();
        }
        engine.shared.maintenance.flush_all().unwrap();
    }
    settle(&engine);
    assert!(view::files(dir.path()).len() < 8);
    let expected: BTreeMap<_, _> = (0..20)
        .flat_map(|n| [(n, 0, 39), (n, 1, 37), (n, 2, 38)])
        .map(|(n, r, v)| (vec![0x80, n, r], vec![v; 100]))
        .collect();
    assert_eq!(rows(&*engine), expected);
}

/// A store with a body in a file, of an opening whose leftovers no start looks for any more.
fn with_old_file(dir: &Path) -> (Arc<Local>, BodyId) {
    let engine = open(dir);
    let id = put_body(&engine, b"large", &noise(1, 600_000)).unwrap();
    engine.close();
    open(dir).close();
    (open(dir), id)
}

/// The next start leaves no file of a body, and finds nothing wrong.
#[track_caller]
fn starts_without_files(dir: &Path) {
    let engine = open(dir);
    assert!(rows(&*engine).is_empty());
    sound(&engine);
    engine.close();
    assert_eq!(fs::read_dir(dir.join("bodies")).unwrap().count(), 0);
}

#[test]
fn removes_a_file_also_when_the_process_is_killed() {
    let dir = folder();
    let (engine, id) = with_old_file(dir.path());
    let pin = engine.shared.maintenance.pin().unwrap();
    remove_body(&engine, b"large", id);
    let killed = crashed(&engine);
    drop(pin);
    engine.close();
    starts_without_files(killed.path());
    starts_without_files(dir.path());
}

#[test]
fn a_removed_file_goes_though_the_store_was_closed_during_a_backup() {
    let dir = folder();
    let (engine, id) = with_old_file(dir.path());
    let pin = engine.shared.maintenance.pin().unwrap();
    remove_body(&engine, b"large", id);
    engine.close();
    drop(pin);
    drop(engine);
    starts_without_files(dir.path());
}

/// The rows that say that the file can go are in a run by then, so no replay tells the next start.
#[test]
fn a_removed_file_goes_though_the_process_was_killed_during_a_backup() {
    let dir = folder();
    let (engine, id) = with_old_file(dir.path());
    let _pin = engine.shared.maintenance.pin().unwrap();
    remove_body(&engine, b"large", id);
    engine.shared.maintenance.flush_all().unwrap();
    assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 1, "the backup may need it");
    starts_without_files(crashed(&engine).path());
}

/// The same after the view was rebuilt.
#[test]
fn a_removed_file_goes_though_the_view_was_rebuilt_during_a_backup() {
    let dir = folder();
    let (engine, id) = with_old_file(dir.path());
    let _pin = engine.shared.maintenance.pin().unwrap();
    remove_body(&engine, b"large", id);
    engine.shared.view_is_damaged.store(true, std::sync::atomic::Ordering::Relaxed);
    engine.shared.maintenance.rebuild_view().unwrap();
    starts_without_files(crashed(&engine).path());
}

/// A message to many recipients names its body once for each of them; it stands in the journal once.
#[test]
fn many_recipients_do_not_end_segments() {
    let dir = folder();
    let engine = open(dir.path());
    let (messages, len) = (20u8, 20_000);
    for n in 0..messages {
        let body = body(&engine, &noise(n.into(), len));
        let mut batch = Batch::default();
        for recipient in 0..400u16 {
            batch.ops.put(&[&[0x80, n], &recipient.to_be_bytes()[..]].concat(), b"");
            batch.ops.link(body.id());
            batch.bodies.push(body.clone());
        }
        engine.commit(batch).wait().unwrap();
    }
    let full = usize::from(messages) * (len + 400 * 20) / small().segment_size as usize;
    let segments = journal_files(dir.path(), "log").len();
    assert!(segments <= full + 1, "{segments} segments for what fills {full}");
    sound(&engine);
}

/// The engine refuses a batch over a limit before it does any work for it.
#[test]
fn a_batch_that_is_too_large_costs_nothing() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    let before = engine.shared.position();
    let segments = journal_files(dir.path(), "log");
    for _ in 0..3 {
        let mut batch = Batch::default();
        (0..200u8).for_each(|n| batch.ops.put(&[0x80, n], &[0; 60_000]));
        assert_eq!(engine.commit(batch).wait(), Err(CommitError::TooLarge));
    }
    assert_eq!(engine.shared.position(), before);
    assert_eq!(journal_files(dir.path(), "log"), segments);
}

/// Each opening leaves a segment behind, most of them small.
#[test]
fn joins_small_segments() {
    let dir = folder();
    let mut stored = Vec::new();
    for n in 0..2 * reclaim::JOIN as u8 {
        let engine = open(dir.path());
        let content = noise(n.into(), 100);
        stored.push((put_body(&engine, &[0x80, n], &content).unwrap(), content));
        engine.close();
    }
    let engine = open(dir.path());
    maintain(&engine);
    let segments = journal_files(dir.path(), "log").len();
    assert!(segments < reclaim::JOIN + 3, "{segments} segments");
    for (id, content) in stored {
        assert_eq!(read_body(&engine, id).unwrap(), content);
    }
    sound(&engine);
}

/// If nothing has changed, maintenance reads no segment, however many there are.
#[test]
fn an_idle_store_leaves_the_disk_alone() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..50u8 {
        put_body(&engine, &[0x80, n], &noise(n.into(), 4000)).unwrap();
    }
    engine.compact(false).unwrap();
    for _ in 0..3 {
        assert!(maintain(&engine));
    }
    let (journal, aside) = (dir.path().join("journal"), dir.path().join("aside"));
    let is_idle = engine.shared.maintenance.run(move |maintainer| {
        fs::rename(&journal, &aside).unwrap();
        let is_idle = maintainer.maintain();
        fs::rename(&aside, &journal).unwrap();
        is_idle
    });
    assert!(is_idle, "the journal was looked at");
    sound(&engine);
}

/// A segment in which nothing but empty bodies is live has no live byte.
#[test]
fn empty_bodies_outlive_their_segments() {
    let dir = folder();
    let engine = open(dir.path());
    let empty = put_body(&engine, b"empty", b"").unwrap();
    let other = put_body(&engine, b"other", &noise(1, 5000)).unwrap();
    remove_body(&engine, b"other", other);
    engine.compact(true).unwrap();
    engine.compact(true).unwrap();
    assert!(engine.body(empty, 0).unwrap().is_empty());
    sound(&engine);
    engine.close();
    let engine = open(dir.path());
    assert!(engine.body(empty, 0).unwrap().is_empty());
    sound(&engine);
}

/// No row would ever say that the body's file can be removed, so there must be no file.
#[test]
fn a_large_body_that_its_batch_unlinks_leaves_no_file() {
    let dir = folder();
    let engine = open(dir.path());
    let large = body(&engine, &noise(1, 700_000));
    let mut batch = Batch::default();
    batch.ops.link(large.id());
    batch.ops.unlink(large.id());
    batch.bodies.push(large);
    engine.commit(batch).wait().unwrap();
    engine.close();
    assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 0);
}
