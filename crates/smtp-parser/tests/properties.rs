//! Properties of every input: the fuzzing entries over random and mutated seeds, and round trips of generated values.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use moxd_smtp_parser::*;
use proptest::prelude::*;
use std::borrow::Cow;

const COMMANDS: &[&[u8]] = &[
    b"EHLO [IPv6:2001:db8::1] x",
    b"HELO b\xc3\xbccher.example",
    b"AUTH SCRAM-SHA-256 biws",
    b"MAIL FROM:<@a.example:\"a>\\\"b\"@xn--bcher-kva.example> SIZE=10 BODY=8BITMIME AUTH=<> SMTPUTF8 REQUIRETLS",
    b"MAIL FROM:<\xc3\xbc@b\xc3\xbccher.example> SMTPUTF8 HOLDUNTIL=2026-12-31T23:59:59Z RET=FULL ENVID=a+2Bb",
    b"RCPT TO:<user@[192.0.2.1]> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b",
    b"RCPT TO:<postmaster> ",
    b"BDAT 100 LAST",
    b"VRFY \"a b\" SMTPUTF8",
    b"NOOP x\t",
];
const REPLIES: &[&[u8]] = &[
    b"250-example.org\r\n250-SIZE 100\r\n250-AUTH PLAIN LOGIN\r\n250 LIMITS RCPTMAX=10\r\n",
    b"550-5.1.1 no\r\n550 5.1.1 such user\r\n250 ok\r\n",
    b"220 ready\n",
];
const DATA: &[&[u8]] = &[
    b"\x00H: v\r\n\r\n..body\r\nmore\r\n.\r\nQUIT\r\n",
    b"\x03a\n.\r\nb\r.\r\n.\n\r\n.\r\n",
    b"\x04a\r\n.\r\n\n.\nb\xff\r",
    b"\x05\r\r\n\n\x00",
];

/// A seed with some bytes replaced, inserted or removed.
fn mutated(seeds: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n. <>@\"\\:=+-09".to_vec())];
    let change = (0..3u8, any::<prop::sample::Index>(), byte);
    (prop::sample::select(seeds), prop::collection::vec(change, 0..6)).prop_map(|(seed, changes)| {
        let mut bytes = seed.to_vec();
        for (kind, at, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ if at < bytes.len() => bytes[at] = byte,
                _ => {}
            }
        }
        bytes
    })
}

fn line_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![prop::sample::select(b"\r\n.a \xc3".to_vec()), any::<u8>()], 0..60)
}

proptest! {
    #[test]
    fn any_bytes_as_a_command(bytes in line_bytes()) {
        fuzzing::smtp_command(&bytes);
    }

    #[test]
    fn mutated_commands(bytes in mutated(COMMANDS)) {
        fuzzing::smtp_command(&bytes);
    }

    #[test]
    fn any_bytes_as_a_reply(bytes in line_bytes()) {
        fuzzing::smtp_reply(&bytes);
    }

    #[test]
    fn mutated_replies(bytes in mutated(REPLIES)) {
        fuzzing::smtp_reply(&bytes);
    }

    #[test]
    fn any_bytes_as_data(bytes in line_bytes()) {
        fuzzing::data_decode(&bytes);
    }

    #[test]
    fn mutated_data(bytes in mutated(DATA)) {
        fuzzing::data_decode(&bytes);
    }

    #[test]
    fn any_text_is_one_local_part(text in "\\PC{0,40}") {
        let localpart = Localpart::new(&text).unwrap();
        prop_assert_eq!(localpart.as_str(), &text);
        prop_assert_eq!(localpart.to_string().parse::<Localpart>().unwrap(), localpart);
    }

    #[test]
    fn a_mailbox_survives_every_way_of_writing_it(local in "[ -~é]{0,30}", domain in "[a-z][a-z0-9]{0,9}(\\.[a-z]{2,9}){1,3}") {
        let mailbox = Mailbox::new(Localpart::new(&local).unwrap(), domain.parse().unwrap());
        prop_assert_eq!(mailbox.to_string().parse::<Mailbox>().unwrap(), mailbox.clone());
        prop_assert_eq!(mailbox.unicode().parse::<Mailbox>().unwrap(), mailbox.clone());
        let line = format!("MAIL FROM:{} SMTPUTF8", Path::from(mailbox.clone()));
        let Command::Mail(mail) = Command::parse(line.as_bytes(), Dialect::Strict).unwrap() else { panic!() };
        prop_assert_eq!(mail.path.mailbox(), Some(&mailbox));
    }

    #[test]
    fn xtext_carries_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let encoded = xtext(&bytes);
        prop_assert!(encoded.is_ascii());
        prop_assert_eq!(Xtext::new(encoded.as_bytes()).unwrap().decode(), Cow::Borrowed(bytes.as_slice()));
    }

    #[test]
    fn a_reply_of_short_printable_lines_survives(
        code in 200u16..600,
        parts in prop::option::of((0u16..1000, 0u16..1000)),
        lines in prop::collection::vec("[a-zA-Z][ -~]{0,380}", 1..5),
    ) {
        let code = Code::new(code).unwrap();
        let enhanced = parts.and_then(|(subject, detail)| EnhancedCode::for_code(code, subject, detail));
        let made = Reply::new(code, enhanced, lines.join("\n"));
        let mut wire = Vec::new();
        made.write_to(&mut wire);
        prop_assert_eq!(Reply::parse(&wire).unwrap(), Some((made, wire.len())));
    }

    #[test]
    fn message_data_survives_transparency(
        lines in prop::collection::vec(prop_oneof!["[.]{0,3}[a-z. é]{0,90}", "\\.{1,2}"], 0..20),
        cuts in prop::collection::vec(1usize..40, 1..20),
    ) {
        let mut message = String::new();
        let mut wire = String::new();
        for line in &lines {
            message += &format!("{line}\r\n");
            wire += &format!("{}{line}\r\n", if line.starts_with('.') { "." } else { "" });
        }
        wire += ".\r\nRSET\r\n";
        let mut decoder = DataDecoder::new();
        let mut content = Vec::new();
        let mut rest = wire.as_bytes();
        let mut cuts = cuts.iter().cycle();
        loop {
            let piece = &rest[..rest.len().min(*cuts.next().unwrap())];
            let (taken, data) = decoder.push(piece);
            rest = &rest[taken..];
            match data {
                Data::Content(bytes) => content.extend_from_slice(bytes),
                Data::End => break,
                Data::NeedInput => prop_assert_eq!(taken, piece.len()),
            }
        }
        prop_assert_eq!(content, message.as_bytes());
        prop_assert_eq!(rest, b"RSET\r\n");
        let facts = decoder.facts();
        prop_assert_eq!(facts.fault, None);
        prop_assert_eq!(facts.completed_lines, 0);
        prop_assert_eq!(facts.longest_line, lines.iter().map(String::len).max().unwrap_or(0) as u64);
    }
}
