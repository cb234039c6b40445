//! Properties of readers and writers for every file.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use moxd_mailfiles::fuzzing;
use proptest::prelude::*;

/// Lines as they stand in an mbox, more often than not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        2 => "From (-|a@b|now on)( Tue Nov  3 15:04:05 20(20|26))?",
        2 => ">{0,3}From ?[a-z]{0,3}",
        1 => "(Status|X-Status): [RAFTDO]{0,3}",
        1 => "X-Mozilla-Status2?: [0-9a-f]{1,8}",
        1 => "X-(UIDL|Account-Key): 1",
        1 => "X-Keywords: ([$A-Za-z\"]{0,9} ){0,3}",
        1 => "X-Gmail-Labels: (Unread|Starred|Spam)",
        1 => "(Date: Tue, 3 Nov 2020 15:04:05 \\+0100|Subject: DON'T DELETE THIS MESSAGE|X-IMAP: 1)",
        2 => "[ -~]{0,20}",
        1 => "[\\x00-\\xff]{0,9}",
    ]
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![8 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r\r\n"), 1 => Just("\r")];
    prop::collection::vec((line(), end), 0..40).prop_map(|lines| {
        let text: String = lines.into_iter().map(|(line, end)| line + end).collect();
        format!("From a@b\n{text}").into_bytes()
    })
}

proptest! {
    #[test]
    fn an_mbox_round_trips(file in file()) {
        fuzzing::mbox(&file);
    }

    #[test]
    fn any_bytes_are_an_mbox_or_none(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::mbox(&data);
        fuzzing::mbox(&[b"From -\n", &data[..]].concat());
    }

    #[test]
    fn names_of_a_maildir_round_trip(
        name in "[0-9]{0,12}(\\.[ -~]{0,9})?([:;!]2,[DFPRSTa-z,]{0,9})?",
        mailbox in "(cur|new|tmp|\\.{0,3}|[a-zü%&]{0,300}|x\\.sbd|/){0,5}",
        keywords in "([0-9]{1,2} [$!-~]{0,9}\n){0,5}",
    ) {
        fuzzing::maildir(format!("{name}\n{mailbox}\n{keywords}").as_bytes());
    }

    #[test]
    fn any_bytes_are_names(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::maildir(&data);
    }
}
