//! The verbs about mail at rest, with a server and without one: what they print, what they refuse, and that mail goes
//! out and comes in again unchanged.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::run::{Ended, MOXD, has_keys, moxd, moxd_at_terminal, run};
use common::server::{SMTP, SUBMISSION, Server, text};
use nix::pty::{OpenptyResult, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

/// Runs the check with the server running, and again after it was stopped.
fn running_and_stopped(mut server: Server, check: impl Fn(&Server)) -> Server {
    check(&server);
    server.stop();
    check(&server);
    server
}

fn message(subject: &str, body: &str) -> Vec<u8> {
    format!("From: Ann <ann@client.example>\r\nSubject: {subject}\r\n\r\n{body}").into_bytes()
}

/// A server with these messages in its Inbox.
fn with(messages: &[Vec<u8>]) -> Server {
    let server = Server::develop();
    let mut client = server.session(SMTP);
    for message in messages {
        client.deliver("ann@client.example", &["mox@localhost"], message);
    }
    server
}

#[test]
fn mailboxes_are_listed_with_their_counts() {
    let server = with(&[message("one", "1\r\n"), message("two", "2\r\n")]);
    running_and_stopped(server, |server| {
        let Value::Array(rows) = server.verb(&["mailbox", "list", "mox", "--json"]).json() else {
            panic!("no array")
        };
        assert!(rows.len() > 1);
        let size: usize =
            server.messages().iter().map(|row| server.show(row["id"].as_u64().unwrap()).len()).sum();
        for row in &rows {
            let inbox = row["mailbox"] == "Inbox";
            let expected = if inbox {
                json!({ "mailbox": "Inbox", "messages": 2, "unseen": 2, "bytes": size })
            } else {
                json!({ "mailbox": row["mailbox"], "messages": 0, "unseen": 0, "bytes": 0 })
            };
            assert_eq!(*row, expected);
        }
        let text = server.verb(&["mailbox", "list", "mox"]).text();
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["MAILBOX", "MESSAGES", "UNSEEN", "OCTETS"]);
        assert!(lines.contains(&vec!["Inbox", "2", "2", &size.to_string()]), "{text}");
        assert_eq!(lines.len(), rows.len() + 1);

        let why = server.verb(&["mailbox", "list", "eve"]).failed();
        assert_eq!(why, "there is no account \"eve\" in the store");
    });
}

#[test]
fn messages_are_listed_shown_and_removed() {
    // A stranger wrote subject and author: their control characters must not reach a terminal.
    let nasty = b"From: =?utf-8?q?=1B[31m?= <a@client.example>\r\nSubject: =?utf-8?q?red_=1B[31m_gr=C3=BCn?=\r\n\r\nhi\r\n";
    let server = with(&[message("one", "1\r\n"), nasty.to_vec(), message("three", "3\r\n")]);
    let server = running_and_stopped(server, |server| {
        let rows = server.messages();
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert!(ids.is_sorted() && ids.len() == 3);
        assert_eq!(rows[1]["subject"], "red  [31m grün");
        assert_eq!(server.verb(&["message", "list", "mox", "Inbox", "--json"]).json(), json!(rows));
        assert_eq!(server.verb(&["message", "list", "mox", "Archive", "--json"]).json(), json!([]));
        let received: jiff::Timestamp = rows[0]["received"].as_str().unwrap().parse().unwrap();
        assert!(received.as_second() > 1_700_000_000);
        let text = server.verb(&["message", "list", "mox"]).text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().collect::<Vec<_>>(),
            ["ID", "MAILBOX", "RECEIVED", "OCTETS", "FROM", "SUBJECT"]
        );
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("ann@client.example") && lines[1].ends_with(" one"), "{text}");
        assert!(lines[2].ends_with(" red  [31m grün") && !text.contains('\u{1b}'), "{text}");

        let complaints: [(&[&str], &str); 5] = [
            (&["message", "list", "eve"], "there is no account \"eve\" in the store"),
            (&["message", "list", "mox", "Nowhere"], "there is no mailbox \"Nowhere\""),
            (&["message", "show", "mox", "99"], "there is no message 99"),
            (&["message", "delete", "mox", "1", "99"], "there is no message 99"),
            (&["message", "show", "eve", "1"], "there is no account \"eve\" in the store"),
        ];
        for (verb, why) in complaints {
            assert_eq!(server.verb(verb).failed(), why, "{verb:?}");
        }
        server.verb(&["message", "show", "mox", "first"]).wrong_arguments();
        server.verb(&["message", "delete", "mox"]).wrong_arguments();
        server.verb(&["message", "list"]).wrong_arguments();
        assert_eq!(server.messages().len(), 3, "what failed has removed nothing");
    });
    let ids: Vec<_> = server.messages().iter().map(|row| row["id"].to_string()).collect();
    assert_eq!(server.verb(&["message", "delete", "mox", &ids[0], &ids[2], &ids[0]]).text(), "");
    assert_eq!(server.messages().len(), 1);
    assert_eq!(
        server.verb(&["message", "show", "mox", &ids[0]]).failed(),
        format!("there is no message {}", ids[0])
    );
    let data = text(&server.data());
    assert_eq!(moxd(["verifydata", &data]).text(), "no inconsistencies found\n");
}

/// Time of receipt, flags and bytes of every message of a mailbox, for comparing it with a copy elsewhere.
fn content(server: &Server, mailbox: &str) -> Vec<(String, Value, Vec<u8>)> {
    let Value::Array(rows) = server.verb(&["message", "list", "mox", mailbox, "--json"]).json() else {
        panic!("no array")
    };
    let one = |row: &Value| {
        let received = row["received"].as_str().unwrap().to_owned();
        (received, row["flags"].clone(), server.show(row["id"].as_u64().unwrap()))
    };
    rows.iter().map(one).collect()
}

#[test]
fn mailboxes_may_have_many_messages() {
    let server = Server::develop();
    // More messages than an import reads at a time.
    let count = 2_100;
    let mail: String = (0..count)
        .map(|n| format!("From a@b.example Tue Nov  3 15:04:05 2026\nSubject: {n}\n\nbody {n}\n\n"))
        .collect();
    let said = server.verb_reading(&["import", "mbox", "mox", "Many", "-"], mail.as_bytes()).text();
    assert_eq!(said, format!("{count} messages imported into Many\n"));
    let rows = server.messages();
    assert_eq!(rows.len(), count);
    let in_order = rows
        .iter()
        .enumerate()
        .all(|(n, row)| row["subject"].as_str().and_then(|s| s.parse().ok()) == Some(n));
    assert!(in_order, "oldest first");
    let file = server.scratch("mbox");
    let said = server.verb(&["export", "mbox", "mox", &text(&file)]).text();
    assert_eq!(said, format!("{count} messages of 7 mailboxes exported\n"));
    let written = fs::read_to_string(file).unwrap();
    let mail = mail.replace("a@b.example", "MAILER-DAEMON");
    assert!(written == mail.replace("Subject", "Status: O\nX-Status: \nX-Keywords:\nSubject"));
}

#[test]
fn messages_keep_their_order_whatever_their_size() {
    let server = Server::develop();
    // The store keeps large bodies in files, and small ones in the journal.
    let large = "a line of a large message\n".repeat(40_000);
    let mail: String = ["", &large, "", "", &large, &large, ""]
        .into_iter()
        .enumerate()
        .map(|(n, body)| {
            format!("From a@b.example Tue Nov  3 15:04:05 2026\nSubject: {n}\n\nbegins\n{body}\n")
        })
        .collect();
    running_and_stopped(server, |server| {
        let mailbox = format!("Run {}", server.messages().len());
        server.verb_reading(&["import", "mbox", "mox", &mailbox, "-"], mail.as_bytes()).done();
        // Listed by id; the folder is filled in the order of UIDs, which is that of the export.
        let rows = server.verb(&["message", "list", "mox", &mailbox, "--json"]).json();
        let subjects: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["subject"].clone()).collect();
        assert_eq!(subjects, ["0", "1", "2", "3", "4", "5", "6"]);
        let file = server.scratch(&mailbox);
        server.verb(&["export", "mbox", "mox", &text(&file)]).done();
        let written = fs::read_to_string(file).unwrap();
        let subjects = written.lines().filter_map(|line| line.strip_prefix("Subject: "));
        let runs = written.lines().filter(|line| *line == "Subject: 0").count();
        assert_eq!(subjects.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6"].repeat(runs));
    });
}

/// A Maildir as other programs leave it: bare LF, flags, an unfinished delivery, files of others.
fn maildir(folder: &Path) {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(part)).unwrap();
    }
    fs::write(folder.join("cur/1793718245.M1P1.host:2,FS"), "Subject: read\n\nFrom here\n>From there\n\n")
        .unwrap();
    fs::write(folder.join("cur/1793718246.M2P1.host:2,R"), "Subject: answered\r\n\r\n8-bit: grüße\r\n")
        .unwrap();
    fs::write(folder.join("new/1793718247.M3P1.host"), "Subject: no end of line\n\nlast").unwrap();
    fs::write(folder.join("tmp/1793718248.M4P1.host"), "Subject: unfinished\n\n").unwrap();
    fs::write(folder.join("new/.hidden"), "not mail").unwrap();
}

#[test]
fn mail_goes_out_as_maildir_and_comes_in_again() {
    let server = Server::develop();
    let source = server.scratch("maildir");
    maildir(&source);
    let import =
        |mailbox: &str, from: &Path| server.verb(&["import", "maildir", "mox", mailbox, &text(from)]).text();
    let said = "3 messages imported into Old; 1 skipped: unfinished delivery in tmp (1)\n";
    assert_eq!(import("Old", &source), said);
    let old = content(&server, "Old");
    let expected: [(&str, Value, &[u8]); 3] = [
        (
            "2026-11-03T15:04:05Z",
            json!(["seen", "flagged"]),
            b"Subject: read\r\n\r\nFrom here\r\n>From there\r\n\r\n",
        ),
        ("2026-11-03T15:04:06Z", json!(["answered"]), "Subject: answered\r\n\r\n8-bit: grüße\r\n".as_bytes()),
        ("2026-11-03T15:04:07Z", json!([]), b"Subject: no end of line\r\n\r\nlast"),
    ];
    let expected = expected.map(|(received, flags, message)| (received.to_owned(), flags, message.to_vec()));
    assert_eq!(old, expected);

    let server = running_and_stopped(server, |server| {
        // Each run of this check uses names of its own.
        let run = fs::read_dir(server.scratch("")).unwrap().count();
        let (out, copy) = (server.scratch(&format!("out-{run}")), format!("Copy {run}"));
        let said = server.verb(&["export", "maildir", "mox", &text(&out)]).text();
        assert!(said.ends_with(" mailboxes exported\n"), "{said}");
        assert_eq!(fs::read_dir(out.join("Old/cur")).unwrap().count(), 3);
        assert_eq!(fs::read_dir(out.join("Inbox/cur")).unwrap().count(), 0);
        let from = text(&out.join("Old"));
        let said = server.verb(&["import", "maildir", "mox", &copy, &from]).text();
        assert_eq!(said, format!("3 messages imported into {copy}\n"));
        assert!(content(server, &copy) == expected);
        // An export never overwrites a file.
        let why = server.verb(&["export", "maildir", "mox", &text(&out)]).failed();
        assert!(why.starts_with(&format!("{} is not an empty folder", text(&out))), "{why}");
    });
    let why = server.verb(&["import", "maildir", "mox", "Old", &text(&server.data())]).failed();
    assert!(why.contains("is not a Maildir"), "{why}");
    let why = server.verb(&["import", "maildir", "eve", "Old", &text(&source)]).failed();
    assert_eq!(why, "there is no account \"eve\" in domains.toml");
    assert_eq!(server.verb(&["mailbox", "list", "eve"]).failed(), "there is no account \"eve\" in the store");
}

#[test]
fn whom_imported_mail_was_sent_to_is_known() {
    let mut server = Server::develop();
    for (mailbox, to) in [("Sent", "ann@client.example"), ("Old", "bob@client.example")] {
        let mail = format!("From - Tue Nov  3 15:04:05 2026\nTo: {to}\n\nhello\n");
        server.verb_reading(&["import", "mbox", "mox", mailbox, "-"], mail.as_bytes()).done();
    }
    server.stop();
    let store = store::Store::open(&server.data(), store::Options::default()).unwrap();
    let account = store.account("mox").unwrap().unwrap();
    for (localpart, count) in [("ann", 1), ("bob", 0)] {
        let recipient = store::Recipient {
            localpart: localpart.to_owned(),
            domain: "client.example".to_owned(),
            org_domain: "client.example".to_owned(),
        };
        let found = store.find(account, &store::Index::SentTo(&recipient), UNIX_EPOCH, 10).unwrap();
        assert_eq!(found.len(), count, "{localpart}");
    }
}

#[test]
fn mail_goes_out_as_mbox_and_comes_in_again() {
    let bodies =
        ["hello\r\n", "From here\r\n>From there\r\n>>From nowhere\r\nFromage\r\n", "\r\n\r\nFrom x\r\n\r\n"];
    let messages = bodies.map(|body| message("mbox", body));
    let server = with(&messages);
    let before = content(&server, "Inbox");
    running_and_stopped(server, |server| {
        let run = fs::read_dir(server.scratch("")).unwrap().count();
        let (file, copy) = (server.scratch(&format!("mbox-{run}")), format!("Copy {run}"));
        let said = server.verb(&["export", "mbox", "mox", &text(&file)]).text();
        assert!(said.ends_with(" mailboxes exported\n"), "{said}");
        let written = fs::read(&file).unwrap();
        assert!(written.starts_with(b"From ann@client.example "), "{}", String::from_utf8_lossy(&written));
        let count = content(server, "Inbox").len();
        let said = server.verb(&["import", "mbox", "mox", &copy, &text(&file)]).text();
        assert_eq!(said, format!("{count} messages imported into {copy}\n"));
        assert!(content(server, &copy) == before);
        // The same from standard input.
        let piped = format!("Piped {run}");
        let said = server.verb_reading(&["import", "mbox", "mox", &piped, "-"], &written).text();
        assert_eq!(said, format!("{count} messages imported into {piped}\n"));
        assert!(content(server, &piped) == before);
        // The next export must have the same messages.
        for mailbox in [&copy, &piped] {
            let ids = ids(server, mailbox);
            server
                .verb(
                    &[
                        &["message", "delete", "mox"],
                        ids.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
                    ]
                    .concat(),
                )
                .done();
        }
        let why = server.verb(&["export", "mbox", "mox", &text(&file)]).failed();
        assert!(why.starts_with(&format!("{} is there already", text(&file))), "{why}");
        let why = server.verb(&["import", "mbox", "mox", "Old", &text(&server.config("moxd.toml"))]).failed();
        assert!(why.contains("is not an mbox file") && why.contains("moxd.toml"), "{why}");
        assert_eq!(server.verb(&["export", "mbox", "mox", "-"]).done(), written);
    });
}

#[test]
fn readers_may_stop_early() {
    let server = with(&[message("one", "1\r\n")]);
    running_and_stopped(server, |server| {
        let config = text(&server.config("moxd.toml"));
        for verb in [
            "message list mox",
            "message list mox --json",
            "message show mox 1",
            "export mbox mox -",
            "config describe-static",
            "config test",
            "completions bash",
            "spf parse v=spf1",
        ] {
            let mut command = Command::new(MOXD);
            command.args(["--config", &config]).args(verb.split(' '));
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let ended =
                command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
            assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]), "{verb}");
        }
        // A full disk has another error.
        let mut command = Command::new(MOXD);
        command.args(["--config", &config, "message", "list", "mox"]);
        let full = File::create("/dev/full").unwrap();
        let ended = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.starts_with(b"moxd: write to standard output: "));
    });
}

#[test]
fn mail_can_be_read_despite_mistakes_in_domains_toml() {
    let server = with(&[message("one", "1\r\n")]);
    fs::write(server.config("domains.toml"), "mistake\n").unwrap();
    let why = server.verb(&["ctl", "reload"]).failed();
    assert!(why.contains("domains.toml:1"), "{why}");
    server.verb(&["ctl", "status"]).text();
    running_and_stopped(server, |server| {
        assert!(server.show(1).ends_with(b"\r\n1\r\n"));
        assert!(!server.verb(&["export", "mbox", "mox", "-"]).done().is_empty());
    });
}

#[test]
fn what_is_wrong_with_the_arguments_is_a_line() {
    for (arguments, said) in [
        (&["--config", "moxd.toml"][..], "there is no verb; `moxd help` lists them"),
        (
            &["message", "lits"],
            "unrecognized subcommand 'lits'; tip: a similar subcommand exists: 'list'; Usage: ",
        ),
        (&["message", "list"], "the following required arguments were not provided: <ACCOUNT>; Usage: "),
    ] {
        let why = moxd(arguments).wrong_arguments();
        assert!(why.starts_with(said), "{why}");
    }
}

fn ids(server: &Server, mailbox: &str) -> Vec<String> {
    let Value::Array(rows) = server.verb(&["message", "list", "mox", mailbox, "--json"]).json() else {
        panic!("no array")
    };
    rows.iter().map(|row| row["id"].to_string()).collect()
}

#[test]
fn progress_is_shown_at_a_terminal_and_nowhere_else() {
    let server = Server::develop();
    let source = server.scratch("maildir");
    maildir(&source);
    let config = text(&server.config("moxd.toml"));
    let Ended { status, stdout, stderr: shown } =
        moxd_at_terminal(["--config", &config, "import", "maildir", "mox", "Old", &text(&source)]);
    assert_eq!(status, Some(0));
    let printed = String::from_utf8(stdout).unwrap();
    assert!(printed.starts_with("3 messages imported into Old; "), "{printed}");
    assert!(shown.contains("3/3"), "{shown:?}");
}

/// Types a password at a terminal, which is the controlling one of the verb.
fn type_password(server: &Server, typed: &str) -> (Ended, String) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut master = File::from(master);
    let flags = |master: &File| tcgetattr(master).unwrap().local_flags;
    let before = flags(&master);
    let mut command = Command::new("setsid");
    command.args(["--ctty", MOXD, "--config", &text(&server.config("moxd.toml"))]);
    command.args(["setaccountpassword", "mox"]);
    let error = slave.try_clone().unwrap();
    command.stdin(Stdio::from(slave)).stdout(Stdio::piped()).stderr(Stdio::from(error));
    let child = command.spawn().unwrap();
    drop(command);
    // Type only after the prompt, and after the terminal has turned echo off.
    let mut shown = String::new();
    for line in typed.lines() {
        let mut byte = [0];
        while !shown.ends_with(": ") {
            master.read_exact(&mut byte).unwrap();
            shown.push(char::from(byte[0]));
        }
        while flags(&master).contains(LocalFlags::ECHO) {
            std::thread::yield_now();
        }
        shown.push('\n');
        master.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    let mut rest = Vec::new();
    let _ = master.read_to_end(&mut rest);
    shown.push_str(&String::from_utf8(rest).unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!(flags(&master), before, "the terminal is as it was");
    (Ended { status: output.status.code(), stdout: output.stdout, stderr: String::new() }, shown)
}

#[test]
fn a_password_is_typed_twice_and_not_shown() {
    let server = Server::develop();
    let logs_in =
        |password: &str| server.session(SUBMISSION).auth("SCRAM-SHA-256", "mox@localhost", password);
    let (ended, shown) = type_password(&server, "correct horse\ncorrect donkey\n");
    assert_eq!(ended.status, Some(1));
    assert!(shown.contains("the two passwords differ; nothing was changed"), "{shown:?}");
    assert!(logs_in("moxmoxmox").starts_with("235 "));

    for interrupted in ["correct\u{3}\n", "correct horse\ncorrect\u{3}\n"] {
        let (ended, _) = type_password(&server, interrupted);
        assert_eq!(ended.status, None, "the signal ends the verb");
    }
    assert!(logs_in("moxmoxmox").starts_with("235 "));

    let (ended, shown) = type_password(&server, "correct horse\ncorrect horse\n");
    ended.done();
    assert!(!shown.contains("horse"), "{shown:?}");
    assert!(logs_in("moxmoxmox").starts_with("535 "));
    assert!(logs_in("correct horse").starts_with("235 "));
    // The next start does not restore the old password.
    let mut server = server;
    server.stop();
    server.start();
    assert!(server.session(SUBMISSION).auth("PLAIN", "mox@localhost", "correct horse").starts_with("235 "));
}

/// Changes one byte in the file below `folder` that has `needle` in it.
fn damage(folder: &Path, needle: &[u8]) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(mut bytes) = fs::read(&path) else { continue };
            if let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) {
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
                return;
            }
        }
    }
    panic!("nowhere");
}

#[test]
fn damage_is_found_and_named() {
    let mut server = with(&[message("whole", "left alone\r\n"), message("hurt", "a needle in it\r\n")]);
    let data = text(&server.data());
    assert_eq!(moxd(["verifydata", &data]).text(), "no inconsistencies found\n");
    assert_eq!(moxd(["verifydata", &data, "--json"]).json(), json!([]));
    server.stop();
    assert_eq!(moxd(["verifydata", &data]).text(), "no inconsistencies found\n");
    let ids: Vec<_> = server.messages().iter().map(|row| row["id"].as_u64().unwrap()).collect();
    damage(&server.data(), b"a needle in it");

    let ended = moxd(["verifydata", &data]);
    assert_eq!(ended.status, Some(1));
    let findings = String::from_utf8(ended.stdout.clone()).unwrap();
    let count = findings.lines().count();
    let place =
        format!("store.finding.body: account mox, mailbox Inbox, uid 2, message {}: its content", ids[1]);
    assert!(count == 1 && findings.starts_with(&place), "{findings}");
    assert_eq!(ended.complaint(), "1 inconsistency found");
    let ended = moxd(["verifydata", &data, "--json"]);
    assert_eq!(ended.status, Some(1));
    let Value::Array(rows) = serde_json::from_slice(&ended.stdout).unwrap() else { panic!("no array") };
    assert_eq!(rows.len(), count);
    has_keys(&rows[0], &["kind", "place", "text", "account", "mailbox", "uid", "message"]);
    assert_eq!((&rows[0]["account"], &rows[0]["mailbox"]), (&json!("mox"), &json!("Inbox")));
    assert_eq!((&rows[0]["uid"], &rows[0]["message"]), (&json!(2), &json!(ids[1])));
    assert!(rows[0]["text"].as_str().unwrap().starts_with("its content as received cannot be read: "));

    // Undamaged messages can still be read; damaged ones never are.
    assert!(server.show(ids[0]).ends_with(b"left alone\r\n"));
    let hurt = server.verb(&["message", "show", "mox", &ids[1].to_string()]);
    assert_eq!(hurt.status, Some(1));
    assert!(hurt.complaint().contains("store.damaged"));

    let why = moxd(["verifydata", "/nowhere"]).failed();
    assert_eq!(why, "there is no data directory /nowhere");
    let why = moxd(["verifydata", &text(&server.dir())]).failed();
    assert!(why.starts_with(&format!("{} is not a data directory", text(&server.dir()))), "{why}");
    assert_eq!(fs::read_dir(server.dir()).unwrap().count(), 2, "nothing was made in it");
}

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match fs::metadata(&path).unwrap() {
            meta if meta.is_dir() => files.extend(files_below(&path)),
            meta if meta.is_file() => files.push(path),
            _ => {}
        }
    }
    files.sort();
    files
}

#[test]
fn room_is_given_back_when_asked_for() {
    let server = with(&[message("gone", "a secret that goes\r\n"), message("kept", "this stays\r\n")]);
    let ids: Vec<_> = server.messages().iter().map(|row| row["id"].to_string()).collect();
    let holds = |server: &Server, needle: &[u8]| {
        let files = files_below(&server.data());
        let has =
            |path: &PathBuf| fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle);
        files.iter().any(has)
    };
    server.verb(&["message", "delete", "mox", &ids[0]]).done();
    assert!(holds(&server, b"a secret that goes"));
    running_and_stopped(server, |server| {
        let told = server.verb(&["compact", "--thorough"]).text();
        assert_eq!(told, "the room of removed mail was given back\n");
        assert!(!holds(server, b"a secret that goes") && holds(server, b"this stays"));
    });
}

#[test]
fn a_backup_is_made_while_the_server_runs() {
    let large = "a line of a large message\r\n".repeat(20_000);
    let server = with(&[message("one", "1\r\n"), message("large", &large)]);
    let site = server.scratch("backup");
    fs::create_dir_all(site.join("config")).unwrap();
    for name in ["moxd.toml", "domains.toml", "localhost.crt", "localhost.key", "dkim-ed25519.key"] {
        fs::copy(server.config(name), site.join("config").join(name)).unwrap();
    }
    let data = text(&site.join("data"));
    let told = server.verb(&["backup", &data]).text();
    assert!(told.starts_with(&format!("{data}: ")) && told.ends_with("keys are not among them\n"), "{told}");
    let before = content(&server, "Inbox");
    server.session(SMTP).deliver("ann@client.example", &["mox@localhost"], &message("later", "3\r\n"));

    let unchanged = files_below(Path::new(&data));
    assert_eq!(moxd(["verifydata", &data]).text(), "no inconsistencies found\n");
    assert_eq!(files_below(Path::new(&data)), unchanged, "checking a backup changes nothing in it");
    // Without its list of files, a backup whose journal was cut would look complete.
    let newest = unchanged.iter().filter(|path| path.extension().is_some_and(|e| e == "log")).max().unwrap();
    let whole = fs::read(newest).unwrap();
    fs::write(newest, &whole[..whole.len() / 2]).unwrap();
    let ended = moxd(["verifydata", &data]);
    assert_eq!(ended.status, Some(1));
    let findings = String::from_utf8(ended.stdout).unwrap();
    assert!(
        findings.contains(&format!("it has {} bytes and not {}", whole.len() / 2, whole.len())),
        "{findings}"
    );
    fs::write(newest, whole).unwrap();
    let config = text(&site.join("config/moxd.toml"));
    let rows = moxd(["--config", &config, "message", "list", "mox", "--json"]).json();
    let shown = rows.as_array().unwrap().iter().map(|row| {
        let id = row["id"].to_string();
        moxd(["--config", &config, "message", "show", "mox", &id]).done()
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        before.iter().map(|(_, _, message)| message.clone()).collect::<Vec<_>>()
    );
    assert_eq!(server.messages().len(), 3);

    let why = server.verb(&["backup", &data]).failed();
    assert!(why.contains(&data), "{why}");
    let data_again = server.data().join("..").join(server.data().file_name().unwrap());
    for folder in [server.data().join("backup"), data_again.join("backup")] {
        let why = server.verb(&["backup", &text(&folder)]).failed();
        assert!(why.contains("is in the data directory"), "{why}");
    }

    // Half a backup would look like a store with less mail, so an unfinished one does not get the final name.
    let cut = text(&server.scratch("cut"));
    fs::create_dir(server.data().join("bodies/unreadable")).unwrap();
    server.verb(&["backup", &cut]).failed();
    assert!(!Path::new(&cut).exists() && !Path::new(&format!("{cut}.partial")).exists());
    fs::remove_dir(server.data().join("bodies/unreadable")).unwrap();
    fs::create_dir(format!("{cut}.partial")).unwrap();
    let why = server.verb(&["backup", &cut]).failed();
    assert!(why.contains("cut.partial is left of a backup that was cut off"), "{why}");
    running_and_stopped(server, |server| {
        let again = fs::read_dir(server.scratch("")).unwrap().count();
        let data = text(&server.scratch(&format!("again-{again}")));
        let told = server.verb(&["backup", &data, "--json"]).json();
        assert_eq!(told["backup"], data);
        assert!(told["files"].as_u64() >= Some(2) && told["bytes"].as_u64() > Some(0), "{told}");
        assert_eq!(moxd(["verifydata", &data]).text(), "no inconsistencies found\n");
    });
}

#[test]
fn configuration_is_checked_whole_and_examples_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("moxd.toml"), moxd(["config", "example"]).text()).unwrap();
    fs::write(path("domains.toml"), moxd(["config", "example", "domains.toml"]).text()).unwrap();
    let config = text(&path("moxd.toml"));
    let is_valid = || {
        let tested = moxd(["--config", &config, "config", "test"]);
        let expected = "moxd.toml and domains.toml are valid: 1 account, 1 domain\n";
        assert_eq!((tested.status, String::from_utf8(tested.stdout).unwrap().as_str()), (Some(0), expected));
        // As root, `config test` warns that no user is set.
        assert!(tested.stderr.lines().all(|line| line.contains("user is not set")), "{}", tested.stderr);
    };
    is_valid();
    fs::write(path("domains.toml"), moxd(["config", "describe-domains"]).text()).unwrap();
    fs::write(path("moxd.toml"), moxd(["config", "describe-static"]).text()).unwrap();
    is_valid();

    let example = fs::read_to_string(&config).unwrap();
    let loud = example.replace("#level = \"info\"", "level = \"loud\"");
    assert_ne!(loud, example);
    fs::write(&config, loud).unwrap();
    let why = moxd(["--config", &config, "config", "test"]).failed();
    assert!(
        why.starts_with(&format!("{config}:")) && why.contains("there is no log level \"loud\""),
        "{why}"
    );

    let domains = text(&path("domains.toml"));
    fs::write(
        &config,
        "banana = 1\nhostname = \"localhost\"\npostmaster.account = \"mox\"\n\n[listeners.local]\n\
         ips = [\"127.0.0.1\"]\nsmtp = { port = 70000, starttls = false }\n",
    )
    .unwrap();
    fs::write(&domains, "[domains.localhost]\ncatchall_separators = [\"@\"]\n").unwrap();
    let ended = moxd(["--config", &config, "config", "test"]);
    assert_eq!((ended.status, ended.stdout.as_slice()), (Some(1), &b""[..]));
    let lines: Vec<_> = ended.stderr.lines().collect();
    let starts = [
        format!("moxd: {config}:1: banana: "),
        format!("moxd: {config}:7: listeners.local.smtp.port: 70000 is not a port"),
        format!("moxd: {domains}:2: domains.localhost.catchall_separators"),
    ];
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, start) in lines.iter().zip(&starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
    // Every verb reports one mistake in one line.
    fs::write(&domains, "[domains.localhost]\n[accounts.mox.destinations]\n\"mox@localhost\" = {}\n")
        .unwrap();
    let good = fs::read_to_string(&config).unwrap().replace("70000", "2525");
    fs::write(&config, good).unwrap();
    let why = moxd(["--config", &config, "setaccountpassword", "mox"]).failed();
    assert!(why.starts_with(&format!("{config}:1: banana: ")), "{why}");
}

#[test]
fn verbs_make_a_data_directory_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(MOXD);
    command.args(["mailbox", "list", "mox"]).current_dir(folder.path());
    let why = run(command, b"").failed();
    assert!(why.contains("config/moxd.toml") && why.contains("/etc/moxd/moxd.toml"), "{why}");

    // The default place of the configuration, with the data beside it.
    let mut server = with(&[message("one", "1\r\n")]);
    let mut command = Command::new(MOXD);
    command.args(["message", "list", "mox", "--json"]).current_dir(server.dir());
    let rows = run(command, b"").json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    server.stop();
    fs::remove_dir_all(server.data()).unwrap();
    // An empty backup would look like one of the mail on a disk that is not mounted.
    let why = server.verb(&["backup", &text(&server.scratch("backup"))]).failed();
    assert_eq!(why, format!("there is no data directory {}", text(&server.data())));
    let mail = b"From - Tue Nov  3 15:04:05 2026\nSubject: x\n\n";
    for (verb, answer) in [
        (&["mailbox", "list", "mox"][..], "MAILBOX "),
        (&["message", "list", "mox", "--json"], "[]\n"),
        (&["import", "mbox", "mox", "Old", "-"], "1 message imported into Old\n"),
        (&["export", "mbox", "mox", "-"], ""),
        (
            &["export", "maildir", "mox", &text(&server.scratch("out"))],
            "0 messages of 6 mailboxes exported\n",
        ),
    ] {
        assert!(!server.data().exists());
        let said = String::from_utf8(server.verb_reading(verb, mail).done()).unwrap();
        assert!(said.starts_with(answer), "{verb:?}: {said}");
        fs::remove_dir_all(server.data()).unwrap();
    }
    let why = server.verb(&["message", "show", "mox", "1"]).failed();
    assert_eq!(why, "there is no account \"mox\" in the store");
    let file = text(&server.config("moxd.toml"));
    let why = moxd(["verifydata", &file]).failed();
    assert!(why.starts_with(&format!("{file} is not a data directory: ")), "{why}");
}

#[test]
fn completions_and_man_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = moxd(["completions", shell]).text();
        for word in ["localserve", "setaccountpassword", "port-offset"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    moxd(["completions", "none"]).wrong_arguments();
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    assert_eq!(moxd(["manpages", &text(&pages)]).text(), "");
    for page in ["moxd.1", "moxd-localserve.1", "moxd-message-list.1", "moxd-dkim-sign.1"] {
        let page = fs::read_to_string(pages.join(page)).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    for page in ["moxd.toml.5", "domains.toml.5"] {
        assert!(pages.join(page).exists(), "{page}");
    }
    let version = moxd(["--version"]).text();
    // The commit follows the version, if it is known.
    assert!(version.starts_with(concat!("moxd ", env!("CARGO_PKG_VERSION"))), "{version}");
    assert!(moxd(["help"]).text().contains("localserve"));
}
