//! Room is given back, and what was removed is gone.

use super::*;

/// Waits until the thread that tends the files has nothing to do.
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
        // Two of three go again, old and new ones.
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
    assert!(used < bound, "{used} octets on the disk, {bound} allowed");
    sound(&engine);
    engine.close();
    let engine = open(dir.path());
    assert_eq!(rows(&*engine).len(), alive.len());
    sound(&engine);
}

#[test]
fn removes_every_octet_of_removed_mail() {
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
        // 600,000 octets were written; what is needed are the snapshot and the segment that goes on behind it.
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
        let _upkeep = engine.shared.upkeep();
        maintain::flush_all(&engine.shared).unwrap();
    }
    settle(&engine);
    assert!(engine.shared.view.state().runs.len() < 8);
    let expected: BTreeMap<_, _> = (0..20)
        .flat_map(|n| [(n, 0, 39), (n, 1, 37), (n, 2, 38)])
        .map(|(n, r, v)| (vec![0x80, n, r], vec![v; 100]))
        .collect();
    assert_eq!(rows(&*engine), expected);
}

/// A large body that is removed goes, whenever the process ends: in order, or right behind the removal.
#[test]
fn a_removed_file_goes_however_the_process_ends() {
    let dir = folder();
    let engine = open(dir.path());
    let id = put_body(&engine, b"large", &noise(1, 600_000)).unwrap();
    engine.close();
    // Neither the opening that made it, nor the one that looks for what that one left.
    open(dir.path()).close();
    let engine = open(dir.path());
    let kept = engine.shared.tending.keep.read().unwrap();
    remove_body(&engine, b"large", id);
    let killed = crashed(&engine);
    drop(kept);
    engine.close();
    open(killed.path()).close();
    for dir in [&dir, &killed] {
        assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 0);
    }
}

/// So it does when the store is closed while somebody copies the files, who may still need that one.
#[test]
fn a_removed_file_goes_though_the_store_was_closed_during_a_backup() {
    let dir = folder();
    let engine = open(dir.path());
    let id = put_body(&engine, b"large", &noise(1, 600_000)).unwrap();
    engine.close();
    open(dir.path()).close();
    let engine = open(dir.path());
    let copying = engine.shared.tending.keep.read().unwrap();
    remove_body(&engine, b"large", id);
    engine.close();
    drop(copying);
    drop(engine);
    let engine = open(dir.path());
    assert!(rows(&*engine).is_empty());
    engine.close();
    assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 0);
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

/// What is over a limit is refused before anything is done for it.
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
    maintain::tend(&engine.shared);
    let segments = journal_files(dir.path(), "log").len();
    assert!(segments < reclaim::JOIN + 3, "{segments} segments");
    for (id, content) in stored {
        assert_eq!(read_body(&engine, id).unwrap(), content);
    }
    sound(&engine);
}

/// However many segments there are: where nothing has changed, none of them is looked at.
#[test]
fn an_idle_store_leaves_the_disk_alone() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..50u8 {
        put_body(&engine, &[0x80, n], &noise(n.into(), 4000)).unwrap();
    }
    engine.compact(false).unwrap();
    for _ in 0..3 {
        assert!(maintain::tend(&engine.shared));
    }
    let (journal, aside) = (dir.path().join("journal"), dir.path().join("aside"));
    let upkeep = engine.shared.upkeep();
    fs::rename(&journal, &aside).unwrap();
    drop(upkeep);
    assert!(maintain::tend(&engine.shared), "the journal was looked at");
    fs::rename(&aside, &journal).unwrap();
    sound(&engine);
}
