//! Files that are cut, flipped, deleted or half written: undamaged data stays readable, a check names the rest, and no
//! read returns a wrong byte.

use super::*;

/// A store of some rows and bodies, closed in order; keys and bodies with their content.
fn filled(dir: &Path) -> Vec<(Vec<u8>, BodyId, Vec<u8>)> {
    let engine = open(dir);
    let mut stored = Vec::new();
    for n in 0..60u64 {
        let key = vec![0x80, n as u8];
        let content = noise(n, if n % 20 == 7 { 300_000 } else { 2000 + n as usize * 10 });
        stored.push((key.clone(), put_body(&engine, &key, &content).unwrap(), content));
    }
    stored
}

/// Opens a damaged store, and asserts that what it has is right. Returns how many bodies can be read, and the findings.
fn survivors(dir: &Path, stored: &[(Vec<u8>, BodyId, Vec<u8>)]) -> (usize, Vec<Finding>) {
    let engine = open(dir);
    let found = rows(&*engine);
    let mut readable = 0;
    for (key, id, content) in stored {
        match read_body(&engine, *id) {
            Ok(read) => {
                assert_eq!(&read, content, "a wrong byte was returned");
                assert_eq!(found.get(key).map(|v| &v[..]), Some(&id.get().to_be_bytes()[..]));
                readable += 1;
            }
            Err(e) => {
                let kind = e.kind();
                let expected =
                    [crate::ErrorKind::Damaged, crate::ErrorKind::NoBody, crate::ErrorKind::Failed];
                assert!(expected.contains(&kind), "{e}");
            }
        }
    }
    let findings = engine.check().unwrap();
    // Mail still comes in.
    put_body(&engine, b"new", b"new mail").unwrap();
    (readable, findings)
}

fn flip(path: &Path, at: u64) {
    let mut content = fs::read(path).unwrap();
    content[at as usize] ^= 0x20;
    fs::write(path, content).unwrap();
}

fn cut(path: &Path, by: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len().saturating_sub(by)).unwrap();
}

#[test]
fn keeps_what_is_whole_when_the_journal_is_flipped() {
    let dir = folder();
    let stored = filled(dir.path());
    let segments = journal_files(dir.path(), "log");
    assert!(segments.len() > 2);
    for (i, with_view) in (0..24).zip([true, false].into_iter().cycle()) {
        let copy = copied(dir.path());
        let segment = &journal_files(copy.path(), "log")[i % (segments.len() - 1)];
        let len = fs::metadata(segment).unwrap().len();
        flip(segment, (noise(i as u64, 8).iter().fold(0, |n, b| n << 8 | u64::from(*b))) % len);
        if !with_view {
            fs::remove_dir_all(copy.path().join("view")).unwrap();
        }
        let (readable, findings) = survivors(copy.path(), &stored);
        assert!(readable >= stored.len() - 1, "{readable} of {}", stored.len());
        assert!(
            readable == stored.len() || !findings.is_empty(),
            "something is lost, and no finding says so"
        );
    }
}

#[test]
fn names_the_place_of_damage() {
    let dir = folder();
    let stored = filled(dir.path());
    let row = open(dir.path()).shared.find(stored[5].1).unwrap();
    let place = row.place.unwrap();
    let segment = journal::Segment::path(&dir.path().join("journal"), place.segment);
    flip(&segment, place.offset + 10);
    let (readable, findings) = survivors(dir.path(), &stored);
    assert_eq!(readable, stored.len() - 1);
    assert_eq!(kinds(&findings), ["store.finding.body"]);
    let text = findings[0].to_string();
    assert!(text.contains(&format!("body {}", stored[5].1.get())), "{text}");
    assert!(text.contains(&format!("{:010}.log at {}", place.segment, place.offset)), "{text}");
}

#[test]
fn names_a_damaged_frame() {
    let dir = folder();
    let stored = filled(dir.path());
    let place = open(dir.path()).shared.find(stored[3].1).unwrap().place.unwrap();
    let segment = journal::Segment::path(&dir.path().join("journal"), place.segment);
    // The operations stand right before the body.
    flip(&segment, place.offset - 3);
    let (readable, findings) = survivors(dir.path(), &stored);
    assert_eq!(readable, stored.len(), "the view has what the frame said");
    assert!(kinds(&findings).contains(&"store.finding.journal"), "{findings:?}");
    assert!(findings[0].place().starts_with(&format!("journal segment {}, offset ", place.segment)));
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    assert_eq!(survivors(dir.path(), &stored).0, stored.len() - 1);
}

#[test]
fn cuts_an_unfinished_write() {
    let dir = folder();
    let engine = open(dir.path());
    put(&engine, b"a", b"1").unwrap();
    put(&engine, b"b", &noise(1, 3000)).unwrap();
    let whole = crashed(&engine);
    put(&engine, b"c", &noise(2, 3000)).unwrap();
    let longer = crashed(&engine);
    let before = fs::read(&journal_files(whole.path(), "log")[0]).unwrap();
    let after = fs::read(&journal_files(longer.path(), "log")[0]).unwrap();
    let start = (0..before.len()).find(|i| before[*i] != after[*i]).unwrap();
    let end = (0..after.len()).rfind(|i| after[*i] != 0).unwrap();
    for at in (start..end).step_by(61).chain([end]) {
        let torn = copied(whole.path());
        let mut content = after.clone();
        content[at..].fill(0);
        fs::write(&journal_files(torn.path(), "log")[0], &content).unwrap();
        let engine = open(torn.path());
        assert_eq!(rows(&*engine).into_keys().collect::<Vec<_>>(), [b"a", b"b"], "torn at {at}");
        put(&engine, b"d", b"4").unwrap();
        sound(&engine);
        engine.close();
        assert_eq!(rows(&*open(torn.path())).len(), 3);
    }
}

#[test]
fn is_not_fooled_by_frames_in_bodies() {
    let dir = folder();
    let stored = filled(dir.path());
    let segment = fs::read(&journal_files(dir.path(), "log")[0]).unwrap();
    let engine = open(dir.path());
    // A message that consists of frames, sent by someone who has seen the journal of another server.
    let id = put_body(&engine, b"frames", &segment).unwrap();
    put(&engine, b"behind", b"1").unwrap();
    let place = engine.shared.find(id).unwrap().place.unwrap();
    engine.close();
    let path = journal::Segment::path(&dir.path().join("journal"), place.segment);
    flip(&path, place.offset - 1);
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let engine = open(dir.path());
    assert_eq!(engine.get(b"frames").unwrap(), None);
    assert_eq!(engine.get(b"behind").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(rows(&*engine).len(), stored.len() + 1);
}

#[test]
fn names_what_a_cut_segment_lost() {
    let dir = folder();
    let stored = filled(dir.path());
    for (i, by) in [1, 9, 500, 20_000, 1_000_000].into_iter().enumerate() {
        let copy = copied(dir.path());
        let segments = journal_files(copy.path(), "log");
        cut(&segments[i % segments.len()], by);
        let (readable, findings) = survivors(copy.path(), &stored);
        assert!(readable < stored.len() || by < 8, "cut by {by}");
        assert!(readable == stored.len() || !findings.is_empty(), "cut by {by}: no finding says so");
    }
}

#[test]
fn names_what_a_deleted_file_lost() {
    let dir = folder();
    let stored = filled(dir.path());
    let large: Vec<_> = fs::read_dir(dir.path().join("bodies")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(large.len(), 3);
    let deleted = journal_files(dir.path(), "log").into_iter().chain(large);
    for path in deleted {
        let copy = copied(dir.path());
        fs::remove_file(copy.path().join(path.strip_prefix(dir.path()).unwrap())).unwrap();
        let (readable, findings) = survivors(copy.path(), &stored);
        assert!(readable < stored.len());
        assert!(!findings.is_empty(), "{}", path.display());
    }
}

#[test]
fn never_returns_a_wrong_byte_of_a_large_body() {
    let dir = folder();
    let stored = filled(dir.path());
    let (_, id, content) = &stored[7];
    let path = dir.path().join("bodies").join(format!("{:016x}", id.get()));
    for at in [0, 65_535, 65_536, 299_999, 300_000, 300_010] {
        let whole = fs::read(&path).unwrap();
        flip(&path, at);
        let engine = open(dir.path());
        let mut offset = 0;
        let error = loop {
            match engine.body(*id, offset) {
                Ok(piece) => {
                    let from = offset as usize;
                    assert_eq!(&piece[..], &content[from..from + piece.len()]);
                    offset += piece.len() as u64;
                }
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), crate::ErrorKind::Damaged, "byte {at}");
        assert_eq!(kinds(&engine.check().unwrap()), ["store.finding.body"]);
        engine.close();
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn rebuilds_a_damaged_view() {
    let dir = folder();
    let stored = filled(dir.path());
    open(dir.path()).compact(false).unwrap();
    let view: Vec<_> = fs::read_dir(dir.path().join("view")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(view.len() >= 2);
    for path in view {
        let relative = path.strip_prefix(dir.path()).unwrap();
        let len = fs::metadata(&path).unwrap().len();
        for at in [0, len / 3, len / 2, len.saturating_sub(70), len.saturating_sub(20), len - 1] {
            let copy = copied(dir.path());
            flip(&copy.path().join(relative), at.min(len - 1));
            mended(copy.path(), &stored);
        }
        for by in [1, 50, len / 2, len] {
            let copy = copied(dir.path());
            cut(&copy.path().join(relative), by);
            mended(copy.path(), &stored);
        }
        let copy = copied(dir.path());
        fs::remove_file(copy.path().join(relative)).unwrap();
        mended(copy.path(), &stored);
    }
}

/// A run's filter says which rows are absent. The engine detects damage to it, and hides no row because of it.
#[test]
fn a_damaged_filter_is_named_and_hides_no_row() {
    let dir = folder();
    let stored = filled(dir.path());
    open(dir.path()).compact(false).unwrap();
    let [run] = &view::files(dir.path())[..] else { panic!("one run") };
    let content = fs::read(run).unwrap();
    // Of the trailer of 64 bytes (docs/store-format.md).
    let number = |at| u64::from_le_bytes(content[content.len() - 64 + at..][..8].try_into().unwrap());
    let (top, filter) = (number(16), number(48));
    assert!(0 < filter && filter < top);
    for at in [filter, filter + 1, filter + 2, (filter + top) / 2, top - 1] {
        let copy = copied(dir.path());
        let run = copy.path().join(run.strip_prefix(dir.path()).unwrap());
        let engine = open(copy.path());
        flip(&run, at);
        let findings = engine.check().unwrap();
        assert_eq!(kinds(&findings), ["store.finding.view"], "byte {at}");
        assert_eq!(findings[0].place(), format!("{}, offset {filter}", run.display()));
        // An opening meets it before the first read does.
        let copy = copied(dir.path());
        flip(&copy.path().join(run.strip_prefix(engine.shared.settings.dir.as_path()).unwrap()), at);
        let engine = open(copy.path());
        for (key, id, _) in &stored {
            assert_eq!(engine.get(key).unwrap().as_deref(), Some(&id.get().to_be_bytes()[..]), "byte {at}");
        }
        sound(&engine);
    }
}

/// A server whose first reads fail ends at once. Its next start must not fail as well.
#[test]
fn damage_that_is_met_just_before_the_end_is_gone_at_the_next_start() {
    let dir = folder();
    let stored = filled(dir.path());
    open(dir.path()).compact(false).unwrap();
    let [run] = &view::files(dir.path())[..] else { panic!("one run") };
    let engine = open(dir.path());
    // From now on the writer cannot be paused.
    engine.shared.work.close();
    (8..fs::metadata(run).unwrap().len() / 2).step_by(4096).for_each(|at| flip(run, at));
    assert!(stored.iter().any(|(key, ..)| engine.get(key).is_err()));
    engine.close();
    let kept = view::kept(&Disk::default(), dir.path()).unwrap().unwrap();
    kept.verify(&mut |file, offset| panic!("{} is damaged at {offset}", file.display()));
    let engine = open(dir.path());
    sound(&engine);
    for (key, id, content) in &stored {
        assert_eq!(engine.get(key).unwrap().as_deref(), Some(&id.get().to_be_bytes()[..]));
        assert_eq!(&read_body(&engine, *id).unwrap(), content);
    }
}

/// A process without descriptors cannot open a file either, and nothing is wrong with the file. Here each in turn is out of
/// reach behind a link that leads nowhere but to itself.
#[test]
fn what_is_out_of_reach_for_now_is_left_as_it_is() {
    let dir = folder();
    let stored = filled(dir.path());
    open(dir.path()).compact(true).unwrap();
    let view = fs::read_dir(dir.path().join("view")).unwrap().map(|e| e.unwrap().path());
    let files: Vec<_> =
        view.chain(journal_files(dir.path(), "snapshot")).chain(journal_files(dir.path(), "log")).collect();
    assert!(files.len() >= 4, "{files:?}");
    for path in files {
        let aside = dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let refused = Local::open(dir.path(), small()).unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::Failed, "{refused}");
        fs::rename(&aside, &path).unwrap();
    }
    let engine = open(dir.path());
    sound(&engine);
    for (key, id, content) in stored {
        assert_eq!(engine.get(&key).unwrap().as_deref(), Some(&id.get().to_be_bytes()[..]));
        assert_eq!(read_body(&engine, id).unwrap(), content);
    }
}

/// Asserts that everything can be read, at the latest once the view was rebuilt.
fn mended(dir: &Path, stored: &[(Vec<u8>, BodyId, Vec<u8>)]) {
    let engine = open(dir);
    for (key, id, content) in stored {
        let read = || -> crate::Result<_> { Ok((engine.get(key)?, read_body(&engine, *id)?)) };
        let (row, body) = read().unwrap_or_else(|_| {
            engine.shared.maintenance.rebuild_view().unwrap();
            read().expect("the view was rebuilt")
        });
        assert_eq!(row.as_deref(), Some(&id.get().to_be_bytes()[..]));
        assert_eq!(&body, content);
    }
    sound(&engine);
}

#[test]
fn keeps_what_is_whole_of_a_damaged_snapshot() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..1000u32 {
        put(&engine, &[&[0x80], &n.to_be_bytes()[..]].concat(), &noise(u64::from(n), 200)).unwrap();
    }
    engine.compact(true).unwrap();
    engine.close();
    let snapshot = &journal_files(dir.path(), "snapshot")[0];
    flip(snapshot, fs::metadata(snapshot).unwrap().len() / 2);
    // The view is whole: nothing is lost.
    let engine = open(dir.path());
    assert_eq!(rows(&*engine).len(), 1000);
    assert_eq!(kinds(&engine.check().unwrap()), ["store.finding.journal", "store.finding.view"]);
    engine.close();
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let engine = open(dir.path());
    let left = rows(&*engine);
    assert!((900..1000).contains(&left.len()), "{}", left.len());
    for (key, value) in left {
        let n = u32::from_be_bytes(*key.last_chunk().unwrap());
        assert_eq!(value, noise(u64::from(n), 200));
    }
}

#[test]
fn refuses_formats_of_later_versions() {
    let dir = folder();
    filled(dir.path());
    let path = &journal_files(dir.path(), "log")[0];
    let mut content = fs::read(path).unwrap();
    content[8] = 2;
    let crc = crc32c::crc32c(&content[..60]).to_le_bytes();
    content[60..64].copy_from_slice(&crc);
    fs::write(path, content).unwrap();
    let error = Local::open(dir.path(), small()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Version);
    assert!(error.to_string().contains("format 2, this is for 1"), "{error}");
}

#[test]
fn a_body_whose_row_was_lost_stays() {
    let dir = folder();
    let engine = open(dir.path());
    put_body(&engine, b"FINDME", &noise(1, 600_000)).unwrap();
    put(&engine, b"after", b"1").unwrap();
    engine.close();
    drop(engine);
    let [segment] = &journal_files(dir.path(), "log")[..] else { panic!("one segment") };
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes.windows(6).position(|window| window == b"FINDME").unwrap();
    bytes[at] ^= 1;
    fs::write(segment, bytes).unwrap();
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    // An operator who looks for the message finds it, also after more starts than the one that noticed.
    for _ in 0..3 {
        let engine = open(dir.path());
        assert!(!engine.check().unwrap().is_empty());
        engine.close();
        drop(engine);
        assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 1);
    }
}

#[test]
fn several_may_check_at_once() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..200u32 {
        put_body(&engine, &n.to_be_bytes().map(|b| b | 0x80), &noise(u64::from(n), 500)).unwrap();
    }
    std::thread::scope(|scope| {
        let checks: Vec<_> = (0..3).map(|_| scope.spawn(|| engine.check().unwrap())).collect();
        for check in checks {
            assert!(check.join().unwrap().is_empty());
        }
    });
    assert!(!dir.path().join("tmp/check").exists());
}

/// Without its view the store has what the snapshot knows. If that is gone too, the segments before it are missing.
#[test]
fn a_lost_snapshot_is_named() {
    let dir = folder();
    let engine = open(dir.path());
    put_body(&engine, b"small", &noise(1, 5000)).unwrap();
    put_body(&engine, b"large", &noise(2, 600_000)).unwrap();
    engine.compact(true).unwrap();
    engine.close();
    fs::remove_file(&journal_files(dir.path(), "snapshot")[0]).unwrap();
    fs::remove_dir_all(dir.path().join("view")).unwrap();
    let engine = open(dir.path());
    assert_eq!(kinds(&engine.check().unwrap()), ["store.finding.journal"]);
    // Rows are lost; the bodies that they named stay, for an operator to recover.
    engine.compact(true).unwrap();
    engine.close();
    assert!(contains(&dir.path().join("journal"), &noise(1, 5000)));
    assert_eq!(fs::read_dir(dir.path().join("bodies")).unwrap().count(), 1);
}

/// While the view is whole it has what the snapshot had, and a new one is taken before anything else goes wrong.
#[test]
fn a_lost_snapshot_is_taken_again() {
    let dir = folder();
    let stored = filled(dir.path());
    open(dir.path()).compact(true).unwrap();
    let snapshot = journal_files(dir.path(), "snapshot").remove(0);
    let len = fs::metadata(&snapshot).unwrap().len();
    for damage in [|path: &Path, _| fs::remove_file(path).unwrap(), |path: &Path, len| flip(path, len - 1)] {
        let copy = copied(dir.path());
        damage(&copy.path().join(snapshot.strip_prefix(dir.path()).unwrap()), len);
        let engine = open(copy.path());
        maintain(&engine);
        engine.close();
        fs::remove_dir_all(copy.path().join("view")).unwrap();
        mended(copy.path(), &stored);
    }
}

/// A damaged view stays if the snapshot is missing that a rebuild needs: part of the rows is better than none.
#[test]
fn a_damaged_view_stays_where_the_journal_cannot_replace_it() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..1000u32 {
        put(&engine, &[&[0x80], &n.to_be_bytes()[..]].concat(), &noise(u64::from(n), 200)).unwrap();
    }
    engine.compact(true).unwrap();
    fs::remove_file(&journal_files(dir.path(), "snapshot")[0]).unwrap();
    let run = view::files(dir.path()).remove(0);
    flip(&run, fs::metadata(&run).unwrap().len() / 2);
    assert!(!engine.check().unwrap().is_empty());
    maintain(&engine);
    let get = |n: u32| engine.get(&[&[0x80], &n.to_be_bytes()[..]].concat());
    let readable = (0..1000).filter(|n| matches!(get(*n), Ok(Some(_)))).count();
    assert!(readable > 900, "{readable} rows");
    assert!((0..1000).all(|n| !matches!(get(n), Ok(None))), "a damaged row is reported as absent");
}

/// Bodies whose rows are lost while the store runs keep their bytes, like those whose rows were lost before the start.
#[test]
fn what_is_lost_while_working_stays_in_its_segment() {
    let dir = folder();
    let engine = open(dir.path());
    let key = |n: u32| [&[0x80], &n.to_be_bytes()[..]].concat();
    let ids: Vec<_> = (0..1000).map(|n| put_body(&engine, &key(n), &noise(n.into(), 100)).unwrap()).collect();
    engine.compact(true).unwrap();
    // The rows of bodies come first in both.
    let run = view::files(dir.path()).remove(0);
    flip(&journal_files(dir.path(), "snapshot")[0], 5000);
    flip(&run, 5000);
    assert!(!engine.check().unwrap().is_empty());
    maintain(&engine);
    let lost: Vec<_> = (0u64..).zip(&ids).filter(|(_, id)| engine.body_len(**id).is_err()).collect();
    assert!((1..1000).contains(&lost.len()), "{} lost", lost.len());
    engine.compact(true).unwrap();
    for (n, _) in lost {
        assert!(contains(&dir.path().join("journal"), &noise(n, 100)), "bytes of body {n}");
    }
}

/// Failing to reach a file of the journal says nothing about the view, and hinders nothing but the file's own removal.
#[test]
fn an_old_segment_out_of_reach_hinders_nothing_else() {
    let dir = folder();
    let stored = filled(dir.path());
    let engine = open(dir.path());
    engine.compact(true).unwrap();
    for n in 0..40u64 {
        put(&engine, &[0x91, n as u8], &noise(n, 4000)).unwrap();
    }
    // A snapshot covers the segment from now on.
    engine.compact(false).unwrap();
    let (old, aside) = (journal_files(dir.path(), "log").remove(0), dir.path().join("aside"));
    for round in 0..4u8 {
        put(&engine, &[0x90, round], b"row").unwrap();
        engine.shared.maintenance.flush_all().unwrap();
    }
    engine.shared.view.freeze();
    // Of the old segment one body is left: it is to be relocated.
    let first = engine.shared.find(stored[0].1).unwrap().place.unwrap().segment;
    assert_eq!(old, journal::Segment::path(&dir.path().join("journal"), first));
    let is_old = |id| engine.shared.find(id).unwrap().place.is_some_and(|place| place.segment == first);
    // Before bodies are removed: the maintenance thread may look for room at any moment.
    fs::rename(&old, &aside).unwrap();
    std::os::unix::fs::symlink(dir.path().join("nowhere"), &old).unwrap();
    for (key, id, _) in stored.iter().skip(1).filter(|(_, id, _)| is_old(*id)) {
        remove_body(&engine, key, *id);
    }
    assert!(!maintain(&engine), "it is to be tried again");
    assert!(!engine.shared.view_is_damaged.load(std::sync::atomic::Ordering::Relaxed));
    assert!(view::files(dir.path()).len() < 4, "runs are merged all the same");
    fs::rename(&aside, &old).unwrap();
    sound(&engine);
    assert_eq!(read_body(&engine, stored[0].1).unwrap(), stored[0].2);
}
