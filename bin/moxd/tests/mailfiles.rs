//! Mail from the files of other programs, and to files for them: mailboxes, flags, times, permissions, and the reports.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::run::{Ended, has_keys, moxd_at_terminal};
use common::server::{Server, text};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// 3 November 2020, 15:04:05 UTC.
const MOMENT: u64 = 1_604_415_845;

/// Makes a folder with `cur`, `new` and `tmp`, and a message in `cur` of each of these names.
fn maildir(folder: &Path, names: &[&str]) {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    for name in names {
        fs::write(folder.join("cur").join(name), format!("Subject: {name}\n\nhello\n")).unwrap();
    }
}

/// Mailbox, time and flags of each message, by its subject.
fn listed(server: &Server) -> BTreeMap<String, (String, String, Value)> {
    let rows = server.messages();
    let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let one = |row: &Value| {
        (word(row, "subject"), (word(row, "mailbox"), word(row, "received"), row["flags"].clone()))
    };
    rows.iter().map(one).collect()
}

/// Imports the mail at `source`, and returns the report.
fn import(server: &Server, format: &str, mailbox: &str, from: &Path) -> String {
    server.verb(&["import", format, "mox", mailbox, &text(from)]).text()
}

#[test]
fn mailboxes_in_a_maildir_come_too() {
    let server = Server::develop();
    let source = server.scratch("source");
    maildir(&source, &["1604415845.1.h:2,S"]);
    maildir(&source.join(".Sent"), &["1604415845.2.h:2,"]);
    maildir(&source.join(".M&APw-ll.2020"), &["1604415845.3.h:2,"]);
    maildir(&source.join("Lists.sbd/Rust"), &["1604415845.4.h:2,"]);
    fs::create_dir_all(source.join("courierimapkeywords")).unwrap();
    assert_eq!(import(&server, "maildir", "Inbox", &source), "4 messages imported into 4 mailboxes\n");
    let mailboxes = |server: &Server| listed(server).into_values().map(|row| row.0).collect::<Vec<_>>();
    assert_eq!(mailboxes(&server), ["Inbox", "Sent", "Müll/2020", "Lists/Rust"]);
    let said = server.verb(&["import", "maildir", "mox", "Old", &text(&source), "--json"]).json();
    has_keys(&said, &["imported", "mailboxes", "skipped", "merged"]);
    let row = |mailbox: &str| json!({ "mailbox": mailbox, "messages": 1 });
    let expected = [row("Old"), row("Old/Lists/Rust"), row("Old/Müll/2020"), row("Old/Sent")];
    assert_eq!(said["mailboxes"], json!(expected));
    assert_eq!((&said["imported"], &said["skipped"], &said["merged"]), (&json!(4), &json!([]), &json!(0)));
}

#[test]
fn what_is_no_message_is_counted() {
    let server = Server::develop();
    let source = server.scratch("source");
    maildir(&source, &["1604415845.1.h:2,S"]);
    let cur = source.join("cur");
    symlink(cur.join("1604415845.1.h:2,S"), cur.join("1604415846.2.h:2,S")).unwrap();
    symlink("nowhere", source.join("new/1604415847.3.h")).unwrap();
    symlink(&source, source.join(".Loop")).unwrap();
    fs::create_dir(cur.join("1604415848.4.h")).unwrap();
    fs::write(source.join("tmp/1604415849.5.h"), "unfinished").unwrap();
    fs::write(cur.join("1604415850.6.h,S=9:2,S"), b"\x28\xb5\x2f\xfd rest").unwrap();
    fs::write(cur.join(".hidden"), "no mail").unwrap();
    let said = import(&server, "maildir", "Old", &source);
    let why = "compressed with zstd (1), folder among messages (1), symbolic link (3), unfinished delivery in tmp (1)";
    assert_eq!(said, format!("1 message imported into Old; 6 skipped: {why}\n"));
    let said = server.verb(&["import", "maildir", "mox", "Old", &text(&source), "--json"]).json();
    assert_eq!(said["skipped"][2], json!({ "reason": "symbolic link", "count": 3 }));
}

#[test]
fn a_maildir_may_be_without_new_and_compressed() {
    let server = Server::develop();
    let source = server.scratch("source");
    fs::create_dir_all(source.join("cur")).unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"Subject: packed\n\nhello\n").unwrap();
    fs::write(source.join("cur/1604415845.M1P2.h,S=23,W=25:2,S"), packed.finish().unwrap()).unwrap();
    assert_eq!(import(&server, "maildir", "Old", &source), "1 message imported into Old\n");
    let id = server.messages()[0]["id"].as_u64().unwrap();
    assert_eq!(server.show(id), b"Subject: packed\r\n\r\nhello\r\n");
    // Thunderbird keeps flags in the files.
    let kept = "X-Mozilla-Status: 0005\nX-Mozilla-Status2: 00000000\nSubject: thunderbird\n\nhello\n";
    let other = server.scratch("thunderbird");
    fs::create_dir_all(other.join("cur")).unwrap();
    fs::write(other.join("cur/1604415845123456"), kept).unwrap();
    import(&server, "maildir", "Old", &other);
    let row = server.messages().pop().unwrap();
    assert_eq!(row["flags"], json!(["seen", "flagged"]));
    assert_eq!(server.show(row["id"].as_u64().unwrap()), b"Subject: thunderbird\r\n\r\nhello\r\n");
    // The error names the damaged file.
    let bad = source.join("cur/1604415846.M2P2.h:2,S");
    fs::write(&bad, b"\x1f\x8b\x08\x00 no more").unwrap();
    let why = server.verb(&["import", "maildir", "mox", "Old", &text(&source)]).failed();
    assert!(why.starts_with(&format!("read {}: ", text(&bad))), "{why}");
}

#[test]
fn times_and_flags_of_a_maildir_are_read() {
    let server = Server::develop();
    let source = server.scratch("source");
    let names = ["1604415845.a:2,Sab", "1604415846.b;2,FS", "1604415847123.c", "16044158481234567"];
    maildir(&source, &names);
    fs::write(source.join("dovecot-keywords"), "0 $Junk\n1 $Forwarded\n").unwrap();
    for name in names {
        let file = File::options().write(true).open(source.join("cur").join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(MOMENT + 60)).unwrap();
    }
    import(&server, "maildir", "Old", &source);
    let rows: Vec<_> = listed(&server).into_values().map(|(_, time, flags)| (time, flags)).collect();
    let row = |time: &str, flags: &[&str]| (format!("2020-11-03T{time}Z"), json!(flags));
    let expected = [
        row("15:04:05", &["seen", "forwarded", "junk"]),
        row("15:04:06", &["seen", "flagged"]),
        row("15:05:05", &[]),
        row("15:05:05", &[]),
    ];
    assert_eq!(rows, expected);
}

/// An mbox with messages that have every flag.
const FLAGGED: &str = "From - Tue Nov  3 15:04:05 2020\nX-Mozilla-Status: 100f\nSubject: mozilla\n\nFrom here\n\n\
    From a@b.example 2020-11-03T16:04:05+01:00\nSubject: unix\nStatus: RO\nX-Status: T\nX-Keywords: Junk $label1\n\nhello\n\n\
    From -\nSubject: none\nDate: Tue, 3 Nov 2020 16:04:05 +0100\n\nFrom a@b Tue Nov  3 15:04:05 2020\nno field\n\n";

#[test]
fn keywords_that_a_maildir_has_no_room_for_are_told() {
    let server = Server::develop();
    let source = server.scratch("mbox");
    let one = |n| format!("From a@b Tue Nov  3 15:04:05 2020\nX-Keywords: k{n}\nSubject: {n}\n\nhello\n\n");
    fs::write(&source, (0..28).map(one).collect::<String>()).unwrap();
    import(&server, "mbox", "Old", &source);
    let said = server.verb(&["export", "maildir", "mox", &text(&server.scratch("out"))]).text();
    let lost = "2 messages without some keywords: a Maildir has room for 26";
    assert_eq!(said, format!("28 messages of 7 mailboxes exported; {lost}\n"));
}

#[test]
fn flags_and_times_survive_both_ways_out() {
    let server = Server::develop();
    let source = server.scratch("mbox");
    fs::write(&source, FLAGGED).unwrap();
    let said = import(&server, "mbox", "Old", &source);
    let doubt = "1 line in them may begin another message: look for \"From \" in the file";
    assert_eq!(said, format!("3 messages imported into Old; {doubt}\n"));
    let before = listed(&server);
    let row = |flags: &[&str]| ("Old".to_owned(), "2020-11-03T15:04:05Z".to_owned(), json!(flags));
    let all = [
        ("mozilla", row(&["seen", "answered", "flagged", "forwarded", "deleted"])),
        ("none", row(&[])),
        ("unix", row(&["seen", "junk", "draft"])),
    ];
    assert_eq!(before, all.map(|(subject, row)| (subject.to_owned(), row)).into());
    let shown = |server: &Server| {
        let ids = server.messages().into_iter().map(|row| row["id"].as_u64().unwrap());
        ids.map(|id| server.show(id)).collect::<Vec<_>>()
    };
    let texts = shown(&server);

    let (mbox, out) = (server.scratch("out.mbox"), server.scratch("out"));
    let said = server.verb(&["export", "mbox", "mox", &text(&mbox)]).text();
    assert_eq!(said, "3 messages of 7 mailboxes exported\n");
    let said = server.verb(&["export", "maildir", "mox", &text(&out), "--json"]).json();
    has_keys(&said, &["exported", "mailboxes", "skipped", "without_keywords"]);
    assert_eq!(
        (&said["exported"], &said["mailboxes"][4]),
        (&json!(3), &json!({ "mailbox": "Old", "messages": 3 }))
    );
    assert!(server.verb(&["export", "mbox", "mox", "-", "--json"]).wrong_arguments().contains("--json"));
    let keywords = fs::read_to_string(out.join("Old/dovecot-keywords")).unwrap();
    assert_eq!(keywords, "0 $Junk\n1 $label1\n");

    // Import each format into a new store.
    for (format, from, mailbox, count) in
        [("mbox", &mbox, "Old", "Old"), ("maildir", &out, "Inbox", "1 mailbox")]
    {
        let other = Server::develop();
        let said = import(&other, format, mailbox, from);
        let count = if format == "mbox" { count } else { "Old" };
        assert_eq!(said, format!("3 messages imported into {count}\n"));
        assert_eq!(listed(&other), before, "{format}");
        assert_eq!(shown(&other), texts, "{format}");
    }
}

#[test]
fn exports_are_unix_files_of_their_owner_with_the_times_of_the_mail() {
    let server = Server::develop();
    let mail = "From a@b Tue Nov  3 15:04:05 2020\r\nSubject: x\r\n\r\nFrom here\r\n\r\n";
    server.verb_reading(&["import", "mbox", "mox", "Old", "-"], mail.as_bytes()).done();
    let (mbox, out) = (server.scratch("out.mbox"), server.scratch("out"));
    server.verb(&["export", "mbox", "mox", &text(&mbox)]).done();
    server.verb(&["export", "maildir", "mox", &text(&out)]).done();
    let file = fs::read_dir(out.join("Old/cur")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read_to_string(&file).unwrap(), "Subject: x\n\nFrom here\n");
    assert!(!fs::read(&mbox).unwrap().contains(&b'\r'));
    let meta = |path: &Path| fs::metadata(path).unwrap();
    assert_eq!(meta(&file).modified().unwrap(), UNIX_EPOCH + Duration::from_secs(MOMENT));
    for (path, mode) in [(&file, 0o600), (&mbox, 0o600), (&out, 0o700), (&out.join("Old/cur"), 0o700)] {
        assert_eq!(meta(path).permissions().mode() & 0o777, mode, "{}", path.display());
    }
    let why = server.verb(&["export", "maildir", "mox", &text(&out)]).failed();
    assert!(why.contains("is not an empty folder"), "{why}");
    let why = server.verb(&["export", "mbox", "mox", &text(&mbox)]).failed();
    assert!(why.contains("is there already"), "{why}");
}

#[test]
fn every_mailbox_name_has_a_folder_and_comes_back() {
    let server = Server::develop();
    let mail = |subject: &str| format!("From - Tue Nov  3 15:04:05 2020\nSubject: {subject}\n\n");
    let names =
        ["x".repeat(300), "Old/cur".to_owned(), "Old".to_owned(), "..".to_owned(), ".Sent".to_owned()];
    for name in &names {
        server.verb_reading(&["import", "mbox", "mox", name, "-"], mail(name).as_bytes()).done();
    }
    let out = server.scratch("out");
    server.verb(&["export", "maildir", "mox", &text(&out)]).done();
    let other = Server::develop();
    assert_eq!(import(&other, "maildir", "Inbox", &out), "5 messages imported into 5 mailboxes\n");
    for (subject, (mailbox, ..)) in listed(&other) {
        assert_eq!(mailbox, subject);
    }
}

#[test]
fn an_export_shows_at_a_terminal_how_far_it_is() {
    let server = Server::develop();
    let mail = "From - Tue Nov  3 15:04:05 2020\nSubject: x\n\nhello\n\n".repeat(3);
    server.verb_reading(&["import", "mbox", "mox", "Old", "-"], mail.as_bytes()).done();
    for (format, to) in [("mbox", "out.mbox"), ("maildir", "out")] {
        let (config, to) = (text(&server.config("moxd.toml")), text(&server.scratch(to)));
        let Ended { stdout, stderr: shown, .. } =
            moxd_at_terminal(["--config", &config, "export", format, "mox", &to]);
        assert_eq!(stdout, b"3 messages of 7 mailboxes exported\n");
        assert!(shown.contains("3/3"), "{shown:?}");
    }
}
