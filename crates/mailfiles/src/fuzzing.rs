//! Entry points for fuzzing, each with the properties that it checks. Not part of the public API.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a fuzz entry reports what is wrong by panicking"
)]

use crate::lines::{ToCrlf, ToLf};
use crate::maildir::{Keywords, MAX_COMPONENT, Name, file_name, folder_of, mailbox_of, packing, take_flags};
use crate::mbox::{Mbox, Message, Writer};
use std::io::Read;

/// The time of a message if the file has none.
const SOME_TIME: i64 = 1_000_000_000;

/// mbox: reading adds nothing to the file, and messages that are written and read again are the same, apart from line ends.
pub fn mbox(data: &[u8]) {
    let Some(read) = messages(data) else { return };
    let size: usize = read.iter().map(|(_, text)| text.len()).sum();
    assert!(size <= 2 * data.len());
    let mut writer = Writer::new(Vec::new());
    for (message, text) in &read {
        writer.begin("", message.received.unwrap_or(SOME_TIME), &message.flags).unwrap();
        let cut = text.len() / 2;
        writer.content(&text[..cut]).unwrap();
        writer.content(&text[cut..]).unwrap();
        writer.end().unwrap();
    }
    let file = writer.into_inner();
    let again = messages(&file).unwrap();
    assert_eq!(again.len(), read.len());
    for ((message, text), (again, text_again)) in read.iter().zip(&again) {
        assert_eq!(again.flags, message.flags);
        assert_eq!(again.received, Some(message.received.unwrap_or(SOME_TIME)));
        assert_eq!(*text_again, in_file(text));
    }
}

fn messages(file: &[u8]) -> Option<Vec<(Message, Vec<u8>)>> {
    let mut mbox = Mbox::new(file).ok()?;
    let mut found = Vec::new();
    while let Some(message) = mbox.next().unwrap() {
        let mut text = Vec::new();
        mbox.read_to_end(&mut text).unwrap();
        found.push((message, text));
    }
    assert_eq!(mbox.position(), file.len() as u64);
    Some(found)
}

/// The text with the line ends that it has after writing and reading.
fn in_file(text: &[u8]) -> Vec<u8> {
    let (mut lf, mut lines) = (ToLf::default(), Vec::new());
    lf.push(text, &mut lines);
    lf.finish(&mut lines);
    if lines.last().is_some_and(|last| *last != b'\n') {
        lines.push(b'\n');
    }
    let mut out = Vec::new();
    ToCrlf::default().push(&lines, &mut out);
    out
}

/// Maildir: the first line is the name of a message, the second that of a mailbox, the rest a file of keywords. Names round-trip,
/// and no folder leads out of its own.
pub fn maildir(data: &[u8]) {
    packing(data);
    let mut start = data.to_vec();
    take_flags(&mut start);
    assert!(start.len() <= data.len());
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (name, mailbox, keywords) = (line(), line(), line());
    let (name, mailbox) = (String::from_utf8_lossy(name), String::from_utf8_lossy(mailbox));
    let keywords = Keywords::parse(keywords);
    assert_eq!(Keywords::parse(keywords.file().as_bytes()), keywords);

    let name = Name::parse(&name);
    let flags = name.flags(&keywords);
    let received = name.received.unwrap_or(SOME_TIME);
    let mut written = Keywords::default();
    let again = file_name(received, 1, &flags, &mut written);
    let again = Name::parse(&again);
    assert_eq!(again.received, Some(received));
    assert_eq!(again.flags(&written), flags);

    mailbox_of(mailbox.split('/'));
    let levels = mailbox.split('/').filter(|level| !level.is_empty());
    let levels: Vec<String> = levels.map(|level| level.replace(['%', '&', '\0'], "")).collect();
    let levels: Vec<&str> = levels.iter().map(String::as_str).filter(|level| !level.is_empty()).collect();
    let mailbox = levels.join("/");
    let folder = folder_of(&mailbox);
    assert_eq!(mailbox_of(folder.split('/')), mailbox);
    for part in folder.split('/').filter(|_| !mailbox.is_empty()) {
        assert!((1..=MAX_COMPONENT).contains(&part.len()));
        assert!(!part.starts_with('.') && !["cur", "new", "tmp"].contains(&part));
    }
}
