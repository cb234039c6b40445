//! Full and failing disks.

use super::*;

/// A store with one message, on a disk that has no room for another: as much as a removal needs, and less than a message
/// does.
fn filled_up(dir: &Path, disk: &Disk) -> (Arc<Local>, BodyId) {
    let engine = open_on(dir, disk);
    let id = put_body(&engine, b"mail", &noise(1, 5000)).unwrap();
    limit(disk, Some(1000));
    assert_eq!(put_body(&engine, b"more", &noise(2, 5000)), Err(CommitError::Full));
    assert!(!engine.shared.reserve.hold());
    (engine, id)
}

fn limit(disk: &Disk, room: Option<u64>) {
    disk.faults.limit_room(room);
}

#[test]
fn refuses_when_full_and_goes_on_when_there_is_room() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    put(&engine, b"before", b"1").unwrap();
    // However little room is left, and however often a client tries: acknowledged data is not touched.
    for room in [0, 1, 40, 100, 200, 1000, 3000] {
        limit(&disk, Some(room));
        let mut accepted = 0;
        let result = (0..20u8).find_map(|n| match put(&engine, &[0x80, n], &noise(room, 500)) {
            Ok(()) => {
                accepted += 1;
                None
            }
            Err(e) => Some(e),
        });
        assert_eq!(result, Some(CommitError::Full), "{room} bytes left, {accepted} accepted");
        assert!(put_body(&engine, b"body", &noise(9, 5000)).is_err());
        assert_eq!(engine.get(b"before").unwrap().as_deref(), Some(&b"1"[..]));
        limit(&disk, None);
        put_body(&engine, b"body", &noise(9, 5000)).unwrap();
        put(&engine, &room.to_be_bytes().map(|b| b | 0x40), b"after").unwrap();
        sound(&engine);
        let copy = crashed(&engine);
        assert_eq!(rows(&*open(copy.path())), rows(&*engine));
    }
}

#[test]
fn never_trusts_a_disk_after_a_failed_sync() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    put(&engine, b"before", b"1").unwrap();
    let segments = journal_files(dir.path(), "log").len();
    disk.faults.let_syncs_fail(true);
    assert_eq!(put(&engine, b"refused", b"2"), Err(CommitError::Failed));
    assert_eq!(engine.get(b"refused").unwrap(), None);
    disk.faults.let_syncs_fail(false);
    put(&engine, b"after", b"3").unwrap();
    assert_eq!(journal_files(dir.path(), "log").len(), segments + 1, "a new segment was begun");
    // A refused batch is absent after a restart too, though its bytes may be on the disk.
    let copy = crashed(&engine);
    fs::remove_dir_all(copy.path().join("view")).unwrap();
    let again = open(copy.path());
    let keys: Vec<_> = rows(&*again).into_keys().collect();
    assert_eq!(keys, [b"after".to_vec(), b"before".to_vec()]);
    sound(&again);
}

#[test]
fn answers_when_the_view_cannot_be_written() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    // A folder without room for a run: its place is taken.
    let taken = dir.path().join("view").join("0000000000.run");
    fs::create_dir(&taken).unwrap();
    assert!(engine.shared.maintenance.flush_all().is_err());
    assert_eq!(engine.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    put(&engine, b"b", b"2").unwrap();
    fs::remove_dir(&taken).unwrap();
    engine.shared.maintenance.flush_all().unwrap();
    engine.close();
    assert_eq!(rows(&*open(dir.path())).len(), 2);
}

#[test]
fn removes_mail_and_opens_on_a_full_disk() {
    let dir = folder();
    let disk = Disk::default();
    let (engine, id) = filled_up(dir.path(), &disk);
    let mut writer = engine.body_writer();
    writer.write(&noise(3, 300_000)).wait().unwrap();
    assert_eq!(placed(writer.finish()).unwrap_err().kind(), crate::ErrorKind::Full);
    remove_body(&engine, b"mail", id);
    engine.close();
    limit(&disk, Some(100));
    let engine = open_on(dir.path(), &disk);
    assert!(rows(&*engine).is_empty());
    assert_eq!(put_body(&engine, b"more", b"small"), Err(CommitError::Full));
    limit(&disk, None);
    put_body(&engine, b"more", b"small").unwrap();
    sound(&engine);
}

#[test]
fn what_a_failed_sync_refused_does_not_come_back() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    put(&engine, b"before", b"1").unwrap();
    let large = body(&engine, &noise(1, 600_000));
    disk.faults.let_syncs_fail(true);
    assert_eq!(store_body(&engine, b"large", &large), Err(CommitError::Failed));
    assert_eq!(put_body(&engine, b"small", b"2"), Err(CommitError::Failed));
    // Killed before anything else is written.
    let copy = crashed(&engine);
    let again = open(copy.path());
    assert_eq!(rows(&*again).into_keys().collect::<Vec<_>>(), [b"before".to_vec()]);
    sound(&again);
    again.close();
    drop(again);
    // The engine kept the body in case its frame is in the journal after all; it is not, so the body is removed.
    let again = open(copy.path());
    again.close();
    assert_eq!(fs::read_dir(copy.path().join("bodies")).unwrap().count(), 0);
}

#[test]
fn goes_on_after_a_manifest_could_not_be_written() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    let taken = dir.path().join("view/manifest.new");
    fs::create_dir(&taken).unwrap();
    let runs = || fs::read_dir(dir.path().join("view")).unwrap().count();
    let before = runs();
    for _ in 0..3 {
        assert!(engine.compact(false).is_err());
    }
    // The maintenance thread tries again by itself, so one more attempt may be under way.
    assert!(runs() <= before + 1, "attempts do not fill the disk");
    fs::remove_dir(&taken).unwrap();
    engine.compact(false).unwrap();
    put(&engine, b"b", b"2").unwrap();
    sound(&engine);
    engine.close();
    assert_eq!(rows(&*open(dir.path())).len(), 2);
}

/// Mail that is removed on a full disk makes room for mail, though most of it stands in the current segment, between mail
/// that stays.
#[test]
fn removed_mail_makes_room_on_a_full_disk() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    let mut stored: Vec<_> =
        (0..6u8).map(|n| (n, put_body(&engine, &[0x80, n], &noise(n.into(), 8000)).unwrap())).collect();
    limit(&disk, Some(60_000));
    assert_eq!(put_body(&engine, b"more", &noise(9, 100_000)), Err(CommitError::Full));
    assert!(!maintain(&engine) && !engine.shared.reserve.hold());
    for n in [4, 2, 0] {
        remove_body(&engine, &[0x80, n], stored.remove(n.into()).1);
    }
    assert!(maintain(&engine), "there is room again");
    put_body(&engine, b"more", &noise(9, 5000)).unwrap();
    for (n, id) in stored {
        assert_eq!(read_body(&engine, id).unwrap(), noise(n.into(), 8000));
    }
    sound(&engine);
    let copy = crashed(&engine);
    fs::remove_dir_all(copy.path().join("view")).unwrap();
    let again = open(copy.path());
    assert_eq!(rows(&*again), rows(&*engine));
    sound(&again);
}

/// Mail that was removed while there was room still makes room when others fill the disk, though nothing of the store has
/// changed since.
#[test]
fn mail_that_was_removed_before_the_disk_was_full_makes_room() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    for n in 0..6u8 {
        let id = put_body(&engine, &[0x80, n], &noise(n.into(), 8000)).unwrap();
        if n % 3 == 0 {
            remove_body(&engine, &[0x80, n], id);
        }
    }
    assert!(maintain(&engine), "there is room, and nothing that pays to be done");
    let kept = engine.shared.maintenance.pin().unwrap();
    limit(&disk, Some(1000));
    assert_eq!(put_body(&engine, b"more", &noise(9, 100_000)), Err(CommitError::Full));
    // Room that the reserve released is not for mail.
    let given = small().reserve / 16 * 15;
    disk.faults.give_back(given);
    assert_eq!(put_body(&engine, b"more", b"small"), Err(CommitError::Full));
    drop(kept);
    assert!(maintain(&engine), "there is room again");
    let room = disk.faults.room().unwrap();
    assert!(room > 1000 + given + 8000, "there are holes: {room}");
    put_body(&engine, b"more", &noise(9, 5000)).unwrap();
    sound(&engine);
}

/// A large body for which there is no room uses up the disk for all others until it is removed.
#[test]
fn the_reserve_is_there_when_a_large_body_has_no_room() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    let id = put_body(&engine, b"mail", &noise(1, 5000)).unwrap();
    limit(&disk, Some(1000));
    let mut writer = engine.body_writer();
    writer.write(&noise(3, 600_000)).wait().unwrap();
    let body = writer.finish();
    assert_eq!(placed(body.clone()).unwrap_err().kind(), crate::ErrorKind::Full);
    // The caller that commits the message learns the reason, though the body failed before.
    let store = Store::on(Arc::clone(&engine) as Arc<dyn Engine>);
    let mut transaction = store.transaction(std::time::UNIX_EPOCH);
    transaction.link(&body);
    assert_eq!(store.commit(transaction).wait().unwrap_err().kind(), crate::ErrorKind::Full);
    assert!(!engine.shared.reserve.hold());
    assert_eq!(fs::metadata(dir.path().join("reserve")).unwrap().len(), small().reserve / 16);
    limit(&disk, None);
    remove_body(&engine, b"mail", id);
    assert!(engine.shared.reserve.hold());
}

/// Where there is no room even for the beginning of another segment, those that have ended are cleared up: dead ones go,
/// and large bodies that were removed leave holes in others.
#[test]
fn ended_segments_make_room_where_there_is_none_at_all() {
    let dir = folder();
    let disk = Disk::default();
    let engine = open_on(dir.path(), &disk);
    let store = |first: u8, count: u8, len: usize| -> Vec<(u8, BodyId)> {
        let store = |n: u8| (n, put_body(&engine, &[0x80, n], &noise(n.into(), len)).unwrap());
        (first..first + count).map(store).collect()
    };
    // Too small for holes.
    let small = store(0, 100, 3000);
    let mut large = store(100, 12, 8000);
    store(112, 5, 8000);
    engine.compact(false).unwrap();
    large.retain(|(n, _)| n % 3 == 0);
    let segments = || journal_files(dir.path(), "log").len();
    let before = segments();
    let kept = engine.shared.maintenance.pin().unwrap();
    small.iter().chain(&large).for_each(|(n, id)| remove_body(&engine, &[0x80, *n], *id));
    limit(&disk, Some(0));
    assert_eq!(put_body(&engine, b"more", &noise(9, 100_000)), Err(CommitError::Full));
    drop(kept);
    maintain(&engine);
    assert!(segments() < before, "{} of {before} segments are left", segments());
    assert!(disk.faults.room().unwrap() > 0, "there are holes");
    limit(&disk, None);
    sound(&engine);
}

/// The process is killed after it has released the reserve, and the released room is used up.
#[test]
fn starts_on_a_disk_that_was_full_before() {
    let dir = folder();
    let (engine, id) = filled_up(dir.path(), &Disk::default());
    let killed = crashed(&engine);
    let disk = Disk::default();
    limit(&disk, Some(0));
    let engine = open_on(killed.path(), &disk);
    assert_eq!(put_body(&engine, b"more", b"small"), Err(CommitError::Full));
    remove_body(&engine, b"mail", id);
    assert!(rows(&*engine).is_empty());
}

/// A process that is killed before its sync leaves frames that the kernel has and the disk may not. The next one builds on
/// them, and removes the files of bodies that they unlink: after a power cut nothing of that may stand alone.
#[test]
fn builds_on_no_frames_that_are_not_durable() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    let killed = crashed(&engine);
    let segments = journal_files(killed.path(), "log");
    let disk = Disk::default();
    disk.faults.let_syncs_fail(true);
    let failed = open::open(killed.path(), &small(), &disk).unwrap_err();
    assert_eq!(failed.kind(), crate::ErrorKind::Failed);
    assert_eq!(journal_files(killed.path(), "log"), segments, "none says where these frames end");
    disk.faults.let_syncs_fail(false);
    assert_eq!(rows(&*open_on(killed.path(), &disk)), rows(&*engine));
}

/// The numbers of the runs that it has written are not those of the next ones.
#[test]
fn goes_on_after_a_view_could_not_be_rebuilt() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    engine.shared.maintenance.flush_all().unwrap();
    let shared = Arc::clone(&engine.shared);
    let rebuilt = engine.shared.maintenance.run(move |_| {
        shared.view.rebuild(&mut |fresh| {
            let row = (bytes::Bytes::from_static(b"b"), Some(bytes::Bytes::new()));
            let changes = view::Changes { rows: vec![row], ..view::Changes::default() };
            fresh.apply(&mut std::iter::once(changes));
            fresh.freeze();
            fresh.flush()?;
            Err(crate::Error::new(crate::ErrorKind::Failed, "simulated"))
        })
    });
    assert_eq!(rebuilt.unwrap_err().kind(), crate::ErrorKind::Failed);
    put(&engine, b"c", b"3").unwrap();
    engine.shared.maintenance.flush_all().unwrap();
    sound(&engine);
    let keys: Vec<_> = rows(&*engine).into_keys().collect();
    assert_eq!(keys, [b"a".to_vec(), b"c".to_vec()]);
    let again = open(crashed(&engine).path());
    assert_eq!(rows(&*again), rows(&*engine));
}
