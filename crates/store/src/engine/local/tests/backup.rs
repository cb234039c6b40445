//! Backups and their lists, and checking without changing anything.

use super::*;

/// Every path below a folder with its content and its time of change.
fn tree(dir: &Path) -> BTreeMap<PathBuf, (std::time::SystemTime, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let changed = fs::metadata(&path).unwrap().modified().unwrap();
        let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        if path.is_dir() {
            all.extend(tree(&path));
        }
        all.insert(path, (changed, content));
    }
    all
}

/// Checks a folder that no engine has open, and asserts that this changes nothing in it.
fn checked(dir: &Path) -> Vec<Finding> {
    let scratch = folder();
    let before = tree(dir);
    let engine = Local::open_read_only(dir, scratch.path()).unwrap();
    let findings = engine.check().unwrap();
    assert_eq!(put(&engine, b"new", b"1"), Err(CommitError::Failed));
    engine.compact(true).unwrap_err();
    engine.close();
    drop(engine);
    assert!(tree(dir) == before, "the folder was changed");
    findings
}

/// A backup of some bodies in the journal and one in a file.
fn backed_up() -> tempfile::TempDir {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..40u8 {
        put_body(&engine, &[0x80, n], &noise(n.into(), if n == 7 { 300_000 } else { 3000 })).unwrap();
        if n == 20 {
            engine.compact(true).unwrap();
        }
    }
    let backup = folder();
    let copied = engine.backup(&backup.path().join("copy")).unwrap();
    let files = tree(&backup.path().join("copy"));
    let listed = files.iter().filter(|(path, _)| path.is_file() && !path.ends_with("backup.list"));
    let bytes = listed.clone().map(|(_, (_, content))| content.len() as u64).sum();
    assert_eq!((copied.files, copied.bytes), (listed.count() as u64, bytes));
    backup
}

#[test]
fn a_whole_backup_is_checked_without_a_change() {
    let backup = backed_up();
    let copy = backup.path().join("copy");
    assert_eq!(checked(&copy), []);
    // An opened backup is a store of its own, and writes to its files.
    let engine = open(&copy);
    assert_eq!(rows(&*engine).len(), 40);
    put(&engine, b"new", b"1").unwrap();
    sound(&engine);
    engine.close();
    assert!(!copy.join("backup.list").exists());
    assert_eq!(checked(&copy), []);
}

#[test]
fn names_every_file_of_a_backup_that_is_not_as_it_was() {
    let backup = backed_up();
    let copy = backup.path().join("copy");
    let files: Vec<_> = tree(&copy).into_keys().filter(|path| path.is_file()).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let content = fs::read(&file).unwrap();
        let place = file.strip_prefix(&copy).unwrap().to_str().unwrap();
        let expect = |what: &str| {
            let findings = checked(&copy);
            let is_named = |f: &Finding| f.kind().token() == "store.finding.backup" && f.place() == place;
            assert!(findings.iter().any(is_named), "{place} {what}: {findings:?}");
        };
        fs::write(&file, &content[..content.len() / 2]).unwrap();
        expect("cut in half");
        let mut flipped = content.clone();
        flipped[content.len() - 1] ^= 1;
        fs::write(&file, flipped).unwrap();
        expect("flipped");
        if place != "backup.list" {
            fs::remove_file(&file).unwrap();
            expect("removed");
        }
        fs::write(&file, content).unwrap();
    }
    fs::write(copy.join("bodies/0000000000000001"), b"more").unwrap();
    let findings = checked(&copy);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "store.finding.backup: bodies/0000000000000001: the list does not have this file"
    );
}

#[test]
fn checks_a_closed_store_without_a_change() {
    let dir = folder();
    let engine = open(dir.path());
    for n in 0..60u8 {
        put_body(&engine, &[0x80, n], &noise(n.into(), 3000)).unwrap();
    }
    assert_eq!(
        Local::open_read_only(dir.path(), folder().path()).unwrap_err().kind(),
        crate::ErrorKind::Locked
    );
    engine.close();
    drop(engine);
    assert_eq!(checked(dir.path()), []);

    // The end of the journal is missing; the view shows that there was more.
    let newest = journal_files(dir.path(), "log").pop().unwrap();
    let content = fs::read(&newest).unwrap();
    fs::write(&newest, &content[..content.len() / 2]).unwrap();
    let findings = checked(dir.path());
    assert!(kinds(&findings).contains(&"store.finding.journal"), "{findings:?}");
    fs::write(&newest, &content).unwrap();

    // One segment of several is one finding, and no row shows as bytes.
    let first = journal_files(dir.path(), "log").remove(0);
    fs::rename(&first, dir.path().join("aside")).unwrap();
    let findings = checked(dir.path());
    let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
    let journal: Vec<_> = text.iter().filter(|line| line.starts_with("store.finding.journal")).collect();
    assert_eq!(
        journal,
        ["store.finding.journal: journal segment 1: missing; what was committed in it is lost"]
    );
    assert!(text.iter().all(|line| !line.contains('[')), "{text:?}");
    fs::rename(dir.path().join("aside"), &first).unwrap();

    // A view that does not agree with the journal.
    let run =
        tree(&dir.path().join("view")).into_keys().find(|path| path.extension().is_some_and(|e| e == "run"));
    let run = run.unwrap();
    let mut content = fs::read(&run).unwrap();
    content[20] ^= 1;
    fs::write(&run, content).unwrap();
    assert_eq!(kinds(&checked(dir.path())), ["store.finding.view"]);
}
