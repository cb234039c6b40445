//! Tests of the session that talk files cannot express.

use super::*;
use crate::backend::LoginFailureReason;
use crate::client::RequestId;
use crate::rules::Kind;

fn session(kind: Kind) -> Session<()> {
    let rules = Rules::new(kind, "mx.example".parse().unwrap());
    let unspecified = ([0, 0, 0, 0], 0).into();
    let peer = Peer { cid: 1, id: RequestId::zero(), remote: unspecified, local: unspecified };
    Session::new(Arc::new(rules), peer)
}

fn give(session: &mut Session<()>, input: &[u8]) -> (usize, String) {
    let mut out = Vec::new();
    let (taken, step) = session.receive(input, SystemTime::UNIX_EPOCH, &mut out);
    (taken, format!("{step:?} {}", out.escape_ascii()))
}

#[track_caller]
fn check(session: &mut Session<()>, input: &[u8], taken: usize, said: &str) {
    let (now, have) = give(session, input);
    assert!(now == taken && have.starts_with(said), "{now} {have}");
}

/// A session after HELO, to which its owner has agreed.
fn greeted() -> Session<()> {
    let mut session = session(Kind::Smtp);
    let mut out = Vec::new();
    let (_, step) = session.receive(b"HELO a.example\r\n", SystemTime::UNIX_EPOCH, &mut out);
    let Step::Ask(Ask::Hello(ask)) = step else { panic!("{step:?}") };
    assert_eq!((out.as_slice(), ask.hello().extended), (b"".as_slice(), false));
    let _ = ask.accept(SystemTime::UNIX_EPOCH, &mut out);
    assert_eq!(out, b"250 mx.example\r\n");
    session
}

#[test]
fn refuses_starttls_with_anything_behind_it() {
    // RFC 3207 §6: in one packet, as an attacker would send it.
    let refused = "Close(Refused) 503 5.5.1 data after starttls (";
    check(&mut greeted(), b"STARTTLS\r\nNOOP\r\n", 10, refused);
    check(&mut greeted(), b"STARTTLS\r\n\x16", 10, refused);
    check(&mut greeted(), b"STARTTLS\r\n", 10, "StartTls 220 2.0.0 go! (");
}

#[test]
fn a_question_that_is_dropped_ends_its_transaction() {
    let mut session = greeted();
    let mut out = Vec::new();
    let (_, step) = session.receive(b"MAIL FROM:<a@a.example>\r\n", SystemTime::UNIX_EPOCH, &mut out);
    let Step::Ask(Ask::Sender(ask)) = step else { panic!("{step:?}") };
    let _ = ask.accept((), &mut out);
    let (_, step) = session.receive(b"RCPT TO:<b@a.example>\r\n", SystemTime::UNIX_EPOCH, &mut out);
    assert!(matches!(step, Step::Ask(Ask::Recipient(_))));
    assert!(!session.in_transaction());
    check(&mut session, b"DATA\r\n", 6, "Continue 503 5.5.1 missing MAIL FROM (");
}

#[test]
fn takes_nothing_after_its_end() {
    let mut session = greeted();
    check(&mut session, b"QUIT\r\nNOOP\r\n", 6, "Close(Quit) 221 2.0.0 okay thanks bye\\r\\n");
    check(&mut session, b"NOOP\r\n", 6, "Close(Quit) ");
    assert_eq!(session.stop(&mut Vec::new()), Some(CloseReason::Quit));
}

#[test]
fn waits_first_for_the_first_command() {
    let mut session = session(Kind::Smtp);
    assert_eq!(session.waiting(), Waiting::FirstCommand);
    check(&mut session, b"NOOP\r\n", 6, "Continue 250 ");
    assert_eq!(session.waiting(), Waiting::Command);
}

#[test]
fn reports_every_outcome_once() {
    let mut session = greeted();
    let reply = session.take_last_reply().unwrap();
    assert_eq!((reply.verb, reply.code.get(), reply.status), (Some(Verb::Helo), 250, None));
    assert_eq!(session.take_last_reply(), None);
    give(&mut session, b"DATA\r\n");
    let reply = session.take_last_reply().unwrap();
    assert_eq!((reply.verb, reply.status.unwrap().to_string().as_str()), (Some(Verb::Data), "5.5.1"));
}

#[test]
fn turns_away_with_an_id() {
    let mut out = Vec::new();
    let reason = session(Kind::Smtp).turn_away(replies::OPEN_CONNECTIONS, &mut out);
    assert_eq!(reason, CloseReason::Refused);
    let text = "421 4.7.0 too many open connections from your ip or network (0000000000000000000000)\r\n";
    assert_eq!(out, text.as_bytes());
}

#[test]
fn wraps_long_texts_with_the_id_at_their_end() {
    let mut session = greeted();
    let mut out = Vec::new();
    let (_, step) = session.receive(b"MAIL FROM:<a@a.example>\r\n", SystemTime::UNIX_EPOCH, &mut out);
    let Step::Ask(Ask::Sender(ask)) = step else { panic!("no question") };
    let refusal = Refusal::with(replies::UNAUTHENTICATED_MESSAGE, "word ".repeat(200));
    let _ = ask.refuse(&refusal, &mut out);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= 510 && line.starts_with("550")), "{text}");
    assert!(lines.len() == 3 && lines[1].starts_with("550-5.7.26  word"), "{text}");
    assert!(lines[2].ends_with("word (0000000000000000000000)"), "{text}");
}

#[test]
fn a_response_that_is_too_long_is_a_failed_login() {
    let line = [b"AUTH PLAIN ".as_slice(), &[b'A'; 12_288]].concat();
    let pieces: [(&[&[u8]], _); 2] =
        [(&[&line], None), (&[b"AUTH PLAIN\r\n", &line], Some(sasl::Mechanism::Plain))];
    for (pieces, mechanism) in pieces {
        let mut session = session(Kind::Submission);
        let rules = Rules { auth_needs_tls: false, ..Rules::clone(&session.rules) };
        session.rules = Arc::new(rules);
        let _ = give(&mut session, b"EHLO a.example\r\n");
        for piece in pieces {
            let mut out = Vec::new();
            let (_, step) = session.receive(piece, SystemTime::UNIX_EPOCH, &mut out);
            if let Step::Ask(Ask::Nonce(ask)) = step {
                let _ = ask.supply([0; sasl::NONCE_BYTES], SystemTime::UNIX_EPOCH, &mut out);
            }
        }
        let failure = session.take_login_failure().unwrap();
        assert_eq!((failure.mechanism, failure.reason), (mechanism, LoginFailureReason::Protocol));
        assert!(matches!(session.state, State::Closed(CloseReason::Refused)));
    }
}
