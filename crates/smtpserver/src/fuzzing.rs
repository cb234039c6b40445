//! Entry points for fuzzing. Not part of the API.

#![allow(clippy::panic, reason = "an assertion that fails is what is looked for")]

use std::sync::Arc;
use std::time::SystemTime;

use sasl::{NONCE_OCTETS, Need, Verifier};
use smtp_parser::{Dialect, limits};

use crate::client::{Login, Peer, RequestId};
use crate::refusal::Refusal;
use crate::replies;
use crate::rules::{Kind, Rules};
use crate::session::{Answer, Ask, Session, Step};

/// Any octets, in any pieces: the session takes them all, says the same, keeps to the form of replies, and asks for no
/// message of which it did not see a sender.
///
/// The first octet says what kind of listener it is, and how long the pieces are.
pub fn session_talk(data: &[u8]) {
    let [choice, input @ ..] = data else { return };
    let rules = rules(choice & 15);
    let whole = talk(&rules, input, usize::MAX);
    let pieces = talk(&rules, input, usize::from(choice >> 4) * 5 + 1);
    assert_eq!(
        whole.escape_ascii().to_string(),
        pieces.escape_ascii().to_string(),
        "pieces change what is said"
    );
    check_replies(&whole);
}

fn rules(choice: u8) -> Arc<Rules> {
    let kind = if choice & 1 == 0 { Kind::Smtp } else { Kind::Submission };
    let Ok(hostname) = "mx.example".parse() else { return rules(0) };
    let mut rules = Rules::new(kind, hostname);
    // What STARTTLS does depends on whether anything came with it, and so on the pieces.
    rules.starttls = false;
    rules.auth_needs_tls = choice & 2 != 0;
    rules.mail_needs_tls = false;
    rules.dialect = if choice & 4 == 0 { Dialect::Lenient } else { Dialect::Strict };
    rules.limits.message = if choice & 8 == 0 { 1000 } else { rules.limits.message };
    rules.limits.recipients = 3;
    rules.limits.failed_commands = 1000;
    Arc::new(rules)
}

/// Gives the session `input`, so many octets at a time, and answers everything with yes. What was said.
fn talk(rules: &Arc<Rules>, input: &[u8], piece: usize) -> Vec<u8> {
    let unspecified = ([0, 0, 0, 0], 0).into();
    let peer = Peer { cid: 0, id: RequestId::zero(), remote: unspecified, local: unspecified };
    let mut session = Session::new(Arc::clone(rules), peer);
    let mut out = Vec::new();
    session.greet(&mut out);
    let (mut from, mut to) = (0, 0);
    let mut sender = false;
    while to < input.len() {
        to = to.saturating_add(piece).min(input.len());
        loop {
            let (taken, step) =
                session.receive(input.get(from..to).unwrap_or_default(), SystemTime::UNIX_EPOCH, &mut out);
            from += taken;
            assert!(from <= to, "more was taken than given");
            let mut step = match step {
                Step::NeedInput => break,
                Step::Content(content) => {
                    assert!(sender && !content.is_empty(), "content of nothing");
                    continue;
                }
                Step::Continue => continue,
                Step::Close(_) => return out,
                Step::StartTls => panic!("there is no certificate"),
                Step::Ask(ask) => Step::Ask(ask),
            };
            while let Step::Ask(ask) = step {
                sender |= matches!(ask, Ask::Sender(_));
                assert!(sender || !matches!(ask, Ask::Message(_)), "a message without a sender");
                let before = out.len();
                let (refused, _) = session.receive(b"NOOP\r\n", SystemTime::UNIX_EPOCH, &mut out);
                assert!(refused == 0 && out.len() == before, "input is taken before an answer");
                step = session.answer(answer(ask), SystemTime::UNIX_EPOCH, &mut out);
            }
            if let Step::Close(_) = step {
                return out;
            }
        }
    }
    // What may still become a line that is not too long: all of it, and CR.
    assert!(to - from <= limits::MAX_AUTH_LINE + 1, "input is hoarded");
    out
}

fn answer(ask: Ask) -> Answer {
    match ask {
        Ask::Hello(ask) => ask.accept(),
        Ask::Nonce(ask) => ask.supply([7; NONCE_OCTETS]),
        Ask::Secret(ask) => match ask.split() {
            (Need::Password { .. }, reply) => reply.supply(Verifier::Checked(true)),
            (_, reply) => reply.refuse(Refusal::new(replies::AUTH_UNAVAILABLE)),
        },
        Ask::Login(ask) => match "user@mx.example".parse() {
            Ok(address) => ask.accept(Login { account: "user".into(), address }),
            Err(_) => ask.refuse(Refusal::new(replies::AUTH_UNAVAILABLE)),
        },
        Ask::Sender(ask) => ask.accept(),
        Ask::Recipient(ask) => ask.accept(),
        Ask::Message(ask) => ask.accept(),
    }
}

/// RFC 5321 §4.2: a code, a hyphen or a space, printable ASCII, CRLF; no longer than 512 octets.
fn check_replies(out: &[u8]) {
    for line in out.split_inclusive(|octet| *octet == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or_else(|| panic!("a reply without CRLF"));
        assert!(line.len() + 2 <= limits::MAX_REPLY_LINE, "a long line");
        assert!(line.iter().all(|octet| matches!(octet, b' '..=b'~')), "an octet that cannot be there");
        let digits = line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit));
        assert!(digits && matches!(line.get(3), Some(b' ' | b'-')), "no reply");
    }
}
