//! Properties of every conversation.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::backend::TestBackend;
use common::pure::Pure;
use common::talk::Talk;
use moxd_smtpserver::fuzzing::session_talk;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use smtp_parser::limits;

/// The input of the talk files.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/talk");
    Talk::all(&folder).iter().map(Talk::sent).collect()
}

/// Commands, each of which gets exactly one reply wherever it stands.
const COMMANDS: &[&str] = &[
    "HELO a.example\r\n",
    "EHLO a.example\r\n",
    "MAIL FROM:<a@a.example>\r\n",
    "MAIL FROM:<a@a.example> BODY=BINARYMIME\r\n",
    "MAIL FROM:<>\r\n",
    "MAIL FROM:<a b>\r\n",
    "RCPT TO:<b@localhost>\r\n",
    "RCPT TO:<rcptto550@localhost>\r\n",
    "RCPT TO:<user450@localhost>\r\n",
    "BDAT 3\r\na\r\n",
    "BDAT 5\r\nQUIT\n",
    "BDAT 0\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 4 LAST\r\na\rb\n",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY a\r\n",
    "HELP\r\n",
    "FOO\r\n",
    "AUTH PLAIN AAAA\r\n",
];

/// Replies in `out`: lines with a space after the code.
fn replies(out: &[u8]) -> usize {
    out.split(|byte| *byte == b'\n').filter(|line| line.get(3) == Some(&b' ')).count()
}

#[test]
fn as_much_as_a_line_can_have_is_kept() {
    // A submission listener, within AUTH: one byte less than what makes a line too long.
    let data = [b"\x01EHLO a\r\nAUTH PLAIN\r\n".to_vec(), vec![b'A'; limits::MAX_AUTH_LINE + 1]].concat();
    session_talk(&data);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn accepts_any_bytes(data in prop::collection::vec(any::<u8>(), 0..600)) {
        session_talk(&data);
    }

    #[test]
    fn accepts_mutated_conversations(
        choice in any::<u8>(),
        seed in select(seeds()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut data = seed;
        data.truncate(20_000);
        for (at, byte) in changes {
            if !data.is_empty() {
                let at = at.index(data.len());
                data[at] = byte;
            }
        }
        session_talk(&[vec![choice], data].concat());
    }

    #[test]
    fn accepts_shuffled_conversations(
        choice in any::<u8>(),
        lines in prop::collection::vec(select(COMMANDS.to_vec()), 0..60),
        data in subsequence(vec!["DATA\r\n", "a\r\n", ".\r\n", ".", "\r", "\n"], 0..6),
    ) {
        let text = [lines.concat(), data.concat(), lines.concat()].concat();
        session_talk(&[vec![choice], text.into_bytes()].concat());
    }

    #[test]
    fn every_command_has_one_reply(
        commands in prop::collection::vec(select(COMMANDS.to_vec()), 0..60),
        piece in 1_usize..40,
    ) {
        let mut pure = Pure::new(common::rules("smtp", &[]), Arc::new(TestBackend::default()), piece);
        pure.take_out();
        for (at, command) in commands.iter().enumerate() {
            pure.give(command.as_bytes());
            let out = pure.take_out();
            if pure.closed.is_some() {
                prop_assert_eq!(replies(&out), 1);
                return Ok(());
            }
            prop_assert_eq!(replies(&out), 1, "{} {:?} {:?}", at, command, out.escape_ascii().to_string());
        }
    }
}
