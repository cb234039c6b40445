//! Reads mbox files as many programs write them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use moxd_mailfiles::mbox::{Mbox, Message};
use std::io::Read;

/// A file as it was read.
struct File {
    messages: Vec<(Message, String)>,
    merged: u64,
    internal: u64,
}

impl File {
    fn subjects(&self) -> Vec<&str> {
        let found = self.messages.iter().map(|(_, text)| {
            text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default()
        });
        found.collect()
    }
}

#[track_caller]
fn read(file: &[u8]) -> File {
    let mut mbox = Mbox::new(file).unwrap();
    let mut messages = Vec::new();
    while let Some(message) = mbox.next().unwrap() {
        let mut text = Vec::new();
        // An odd size, so that pieces are cut everywhere.
        let mut buffer = [0; 7];
        loop {
            let count = mbox.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            text.extend_from_slice(&buffer[..count]);
        }
        messages.push((message, String::from_utf8(text).unwrap()));
    }
    File { messages, merged: mbox.merged(), internal: mbox.internal() }
}

#[test]
fn a_read_takes_as_many_lines_as_there_is_room_for() {
    let body = "\n".repeat(1000);
    let file = format!("From a@b Tue Nov  3 15:04:05 2026\nSubject: x\n\n{body}");
    let mut mbox = Mbox::new(file.as_bytes()).unwrap();
    mbox.next().unwrap().unwrap();
    let mut buffer = [0; 4096];
    assert_eq!(mbox.read(&mut buffer).unwrap(), "Subject: x\r\n".len());
    assert_eq!(mbox.read(&mut buffer).unwrap(), 2 * 1000);
    assert_eq!(mbox.read(&mut buffer).unwrap(), 0);
}

/// 3 November 2026, 15:04:05 UTC.
const MOMENT: i64 = 1_793_718_245;

#[test]
fn separators_of_every_form_begin_messages() {
    let file = read(include_bytes!("../testdata/mbox/undated-separators.mbox"));
    assert_eq!(file.subjects(), ["one", "two", "three", "four", "five", "six"]);
    assert_eq!(file.messages[0].1.lines().last(), Some("body of one"));
    let times: Vec<_> = file.messages.iter().map(|(message, _)| message.received).collect();
    let five = MOMENT - 6 * 3600;
    assert_eq!(times, [None, None, None, None, Some(five), Some(MOMENT)]);
    assert_eq!(file.merged, 0);
}

#[test]
fn a_sentence_with_a_time_is_text() {
    let text = "Hi\n\nFrom 10:00 to 12:00 on 3 Nov 2025\n\nbye\n";
    let file = read(format!("From a@b Tue Nov  3 15:04:05 2026\nSubject: x\n\n{text}").as_bytes());
    assert_eq!((file.messages.len(), file.merged), (1, 0));
}

#[test]
fn an_indented_line_is_text() {
    let file = read(include_bytes!("../testdata/mbox/indented-from.mbox"));
    assert_eq!(file.subjects(), ["forwarded report"]);
    assert!(file.messages[0].1.ends_with("\r\n   Subject: inner\r\n\r\nend of the only message\r\n"));
}

#[test]
fn times_are_read_in_many_forms() {
    let file = read(include_bytes!("../testdata/mbox/zones-in-times.mbox"));
    assert_eq!(file.subjects(), ["takeout", "zonename", "rfc822", "noseconds", "jsdate"]);
    let times: Vec<_> = file.messages.iter().filter_map(|(message, _)| message.received).collect();
    let two_pm = 1_604_412_245;
    assert_eq!(times, [two_pm, two_pm, two_pm, two_pm + 3600 - 5, two_pm]);
}

#[test]
fn flags_are_read() {
    let file = read(include_bytes!("../testdata/mbox/flags.mbox"));
    let names =
        |message: &Message| message.flags.known.iter().map(|flag| flag.name()).collect::<Vec<_>>().join(" ");
    let flags: Vec<_> = file.messages.iter().map(|(message, _)| names(message)).collect();
    let expected =
        ["seen answered flagged", "seen answered flagged", "seen deleted", "forwarded junk", "seen flagged"];
    assert_eq!(flags, expected);
    let text = &file.messages[0].1;
    assert!(
        text.starts_with("From: Ann") && !text.contains("Status"),
        "the fields are no part of the message: {text}"
    );
    assert!(file.messages[4].1.starts_with("X-Gmail-Labels: "), "labels say more than flags");
}

/// Returns the number of messages, and of lines that may begin one.
#[track_caller]
fn check(file: &str, messages: usize, merged: u64) {
    let found = read(file.as_bytes());
    assert_eq!((found.messages.len(), found.merged), (messages, merged), "{file}");
}

#[test]
fn two_signs_of_three_begin_a_message() {
    const DATED: &str = "From a@b Tue Nov  3 15:04:05 2026";
    for (line, next, after_empty, after_text) in [
        (DATED, "Subject: x", (2, 0), (2, 0)),
        (DATED, "Thread-Topic: x", (2, 0), (1, 1)),
        (DATED, "", (2, 0), (1, 1)),
        (DATED, "he wrote", (1, 1), (1, 1)),
        ("From -", "Subject: x", (2, 0), (1, 1)),
        ("From a@b", "Thread-Topic: x", (2, 0), (1, 1)),
        ("From a@b", "he wrote", (1, 0), (1, 0)),
        ("From a@b", "", (1, 0), (1, 0)),
        ("From ??? Di 3. Nov. 2026", "Received: x", (2, 0), (1, 1)),
        ("From now on", "Note: x", (1, 0), (1, 0)),
        ("From now on", "http://example.org/", (1, 0), (1, 0)),
        ("From this on, too: 15:04", "", (1, 0), (1, 0)),
        (">From a@b Tue Nov  3 15:04:05 2026", "Subject: x", (1, 0), (1, 0)),
        ("\tFrom a@b Tue Nov  3 15:04:05 2026", "Subject: x", (1, 0), (1, 0)),
    ] {
        for (before, (messages, merged)) in [("", after_empty), ("text", after_text)] {
            check(
                &format!("From -\nSubject: 1\n\nbody\n{before}\n{line}\n{next}\n\nend\n"),
                messages,
                merged,
            );
        }
    }
}

#[test]
fn two_separators_are_one() {
    let file = read(b"From - Tue Nov  3 15:04:05 2026\nFrom a@b Tue Nov  3 15:04:04 2026\nSubject: x\n\n");
    assert_eq!(file.messages.len(), 1);
    assert_eq!((file.messages[0].0.received, file.messages[0].1.as_str()), (Some(MOMENT), "Subject: x\r\n"));
}

#[test]
fn messages_without_header_or_text_are_kept() {
    let line = "From a@b Tue Nov  3 15:04:05 2026\n";
    let file = read(format!("{line}\nbody\n\n{line}\n{line}Subject: x\n\n{line}").as_bytes());
    let texts: Vec<_> = file.messages.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["\r\nbody\r\n", "", "Subject: x\r\n", ""]);
}

#[test]
fn the_date_field_comes_before_the_present_time() {
    let file = read(
        b"From -\nDate: Tue, 3 Nov 2026 16:04:05 +0100\n\n\
          From a@b Tue Nov  3 15:04:05 2026\nDate: Mon, 2 Nov 2026 16:04:05 +0100\n\n\
          From -\nDate: Tue, 3 Nov 9999 15:04:05 +0000\n\n",
    );
    let times: Vec<_> = file.messages.iter().map(|(message, _)| message.received).collect();
    assert_eq!(times, [Some(MOMENT), Some(MOMENT), None]);
}

#[test]
fn what_a_program_keeps_about_the_mailbox_is_no_mail() {
    let internal = "From MAILER-DAEMON Tue Nov  3 15:04:05 2026\nFrom: Mail System Internal Data <MAILER-DAEMON@h>\n\
                    Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n\n\
                    This text is part of the internal format of your mail folder.\n\n";
    let mail = "From a@b Tue Nov  3 15:04:05 2026\nSubject: mail\n\n";
    let file = read(format!("{internal}{mail}").as_bytes());
    assert_eq!((file.subjects(), file.internal), (vec!["mail"], 1));
    // Further down it is ordinary mail.
    assert_eq!(read(format!("{mail}{internal}").as_bytes()).messages.len(), 2);
}

#[test]
fn refuses_what_is_no_mbox() {
    for text in ["Subject: x\n\n", "From\n", " From a@b\n", ">From a@b\n"] {
        let error = Mbox::new(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{text}");
    }
    assert!(read(b"").messages.is_empty());
    assert!(read(b"\n\r\n").messages.is_empty());
    assert_eq!(read(b"\n\r\nFrom a@b\nSubject: x\n").messages.len(), 1);
}

#[test]
fn long_lines_and_headers_are_read_in_pieces() {
    let line = "x".repeat(1 << 20);
    let quotes = ">".repeat(100_000);
    let text = format!("From a@b\nX: {line}\n\n{line}\n{quotes}From\n{quotes}From y\n\n");
    let file = read(text.as_bytes());
    let expected = format!("X: {line}\r\n\r\n{line}\r\n{quotes}From\r\n{}From y\r\n", &quotes[1..]);
    assert!(file.messages[0].1 == expected);
}
