//! Entry points for fuzzing. Not part of the API.

#![allow(clippy::panic, reason = "fuzzing looks for assertions that fail")]

use std::sync::Arc;
use std::time::SystemTime;

use sasl::{NONCE_BYTES, Need, Verifier};
use smtp_parser::{Dialect, limits};

use crate::client::{Login, Peer, RequestId};
use crate::refusal::Refusal;
use crate::replies;
use crate::rules::{Kind, Rules};
use crate::session::{Ask, Next, Session, Step};

/// Checks a session on any input: it consumes everything, replies the same however the input is split, and keeps to the
/// form of replies.
///
/// The first byte chooses the listener and the length of the pieces.
pub fn session_talk(data: &[u8]) {
    let [choice, input @ ..] = data else { return };
    let rules = rules(choice & 15);
    let whole = talk(&rules, input, usize::MAX);
    let pieces = talk(&rules, input, usize::from(choice >> 4) * 5 + 1);
    assert_eq!(
        whole.escape_ascii().to_string(),
        pieces.escape_ascii().to_string(),
        "the replies depend on the pieces"
    );
    check_replies(&whole);
}

fn rules(choice: u8) -> Arc<Rules> {
    let kind = if choice & 1 == 0 { Kind::Smtp } else { Kind::Submission };
    let Ok(hostname) = "mx.example".parse() else { return rules(0) };
    let mut rules = Rules::new(kind, hostname);
    // The reply to STARTTLS depends on whether data follows it in the same piece, so splitting would change it.
    rules.starttls = false;
    rules.auth_needs_tls = choice & 2 != 0;
    rules.mail_needs_tls = false;
    rules.dialect = if choice & 4 == 0 { Dialect::Lenient } else { Dialect::Strict };
    rules.limits.message = if choice & 8 == 0 { 1000 } else { rules.limits.message };
    rules.limits.recipients = 3;
    rules.limits.failed_commands = 1000;
    Arc::new(rules)
}

/// Gives the session `input`, up to `piece` bytes at a time, and accepts everything. Returns the replies.
fn talk(rules: &Arc<Rules>, input: &[u8], piece: usize) -> Vec<u8> {
    let unspecified = ([0, 0, 0, 0], 0).into();
    let peer = Peer { cid: 0, id: RequestId::zero(), remote: unspecified, local: unspecified };
    let mut session = Session::new(Arc::clone(rules), peer);
    let mut out = Vec::new();
    session.greet(&mut out);
    let (mut from, mut to) = (0, 0);
    while to < input.len() {
        to = to.saturating_add(piece).min(input.len());
        loop {
            let piece = input.get(from..to).unwrap_or_default();
            let (taken, step) = session.receive(piece, SystemTime::UNIX_EPOCH, &mut out);
            from += taken;
            assert!(from <= to, "more was taken than given");
            match step {
                Step::NeedInput => break,
                Step::Content(mut content) => {
                    let (Sender, bytes) = content.parts();
                    assert!(!bytes.is_empty(), "content of nothing");
                }
                Step::Continue => {}
                Step::Close(_) => return out,
                Step::StartTls => panic!("there is no certificate"),
                Step::Ask(ask) => {
                    let mut step = Step::Ask(ask);
                    while let Step::Ask(ask) = step {
                        step = accept(ask, &mut out);
                    }
                    if let Step::Close(_) = step {
                        return out;
                    }
                }
            }
        }
    }
    // The session may hold back an unfinished line of the longest length, and a CR.
    assert!(to - from <= limits::MAX_AUTH_LINE + 1, "input is hoarded");
    out
}

/// Stands for a sender that was accepted: only then there are recipients and content.
struct Sender;

fn accept<'s>(ask: Ask<'s, Sender>, out: &mut Vec<u8>) -> Next<'s, Sender> {
    match ask {
        Ask::Hello(ask) => ask.accept(SystemTime::UNIX_EPOCH, out),
        Ask::Nonce(ask) => ask.supply([7; NONCE_BYTES], SystemTime::UNIX_EPOCH, out),
        Ask::Secret(ask) => match ask.split() {
            (Need::Password { .. }, reply) => reply.supply(Verifier::Checked(true), out),
            (_, reply) => reply.refuse(&Refusal::new(replies::AUTH_UNAVAILABLE), out),
        },
        Ask::Login(ask) => match "user@mx.example".parse() {
            Ok(address) => ask.accept(Login { account: "user".into(), address }, out),
            Err(_) => ask.refuse(&Refusal::new(replies::AUTH_UNAVAILABLE), out),
        },
        Ask::Sender(ask) => ask.accept(Sender, out),
        Ask::Recipient(ask) => ask.accept(out),
        Ask::Message(ask) => ask.split().1.accept(out),
    }
}

/// RFC 5321 §4.2: a code, a hyphen or a space, printable ASCII, CRLF; no longer than 512 bytes.
fn check_replies(out: &[u8]) {
    for line in out.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("a reply without CRLF"));
        assert!(line.len() + 2 <= limits::MAX_REPLY_LINE, "a long line");
        assert!(line.iter().all(|byte| matches!(byte, b' '..=b'~')), "a byte that cannot be there");
        let digits = line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
        assert!(digits && matches!(line.get(3), Some(b' ' | b'-')), "no reply");
    }
}
