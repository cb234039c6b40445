//! Entry points for fuzzing, each with the property that it checks. Not part of the API.

use crate::limits::{MAX_PATH, MAX_REPLY, MAX_REPLY_LINE};
use crate::{
    Command, Data, DataDecoder, DataFacts, Dialect, Extensions, Localpart, Mailbox, Path, Reply,
    SyntaxErrorKind,
};

/// Checks one line as a command.
///
/// # Panics
/// Where an accepted command does not print as itself, the strict dialect accepts what the lenient one refuses, white
/// space at the end of the line changes its meaning, or an error lies outside the line.
pub fn smtp_command(data: &[u8]) {
    let lenient = Command::parse(data, Dialect::Lenient);
    let strict = Command::parse(data, Dialect::Strict);
    for (parsed, dialect) in [(&lenient, Dialect::Lenient), (&strict, Dialect::Strict)] {
        match parsed {
            Ok(parsed) => round_trip(parsed, dialect),
            Err(error) => {
                assert!(error.verb().is_some());
                assert!(error.position() <= data.len());
                assert!(error.rest(data).starts_with(error.subject(data)));
            }
        }
        // RFC 5321 §4.1.1: white space before the line end means nothing.
        let padded = [data, b" \t"].concat();
        assert_eq!(Command::parse(&padded, dialect).as_ref().ok(), parsed.as_ref().ok());
    }
    match (&lenient, &strict) {
        // A bad name is part of the value here: the dialects may differ in it.
        (Ok(Command::Helo(lenient)), Ok(Command::Helo(strict)))
        | (Ok(Command::Ehlo(lenient)), Ok(Command::Ehlo(strict))) => {
            assert_eq!(lenient.argument, strict.argument);
            assert!(strict.host.is_err() || strict.host == lenient.host);
        }
        (_, Ok(strict)) => assert_eq!(lenient.as_ref(), Ok(strict)),
        (_, Err(_)) => {}
    }
}

fn round_trip(parsed: &Command<'_>, dialect: Dialect) {
    // A tab belongs to a word that is no command, and is white space at the end of a line.
    if matches!(parsed, Command::Unknown(word) if word.ends_with(b"\t")) {
        return;
    }
    let mut line = Vec::new();
    parsed.write_to(&mut line);
    assert!(line.ends_with(b"\r\n"));
    line.truncate(line.len().saturating_sub(2));
    match (Command::parse(&line, dialect), parsed) {
        (Ok(Command::Helo(again)), Command::Helo(hello))
        | (Ok(Command::Ehlo(again)), Command::Ehlo(hello)) => {
            assert_eq!(again.argument, hello.argument);
            assert_eq!(again.host.ok(), hello.host.clone().ok());
        }
        // Printing normalises: U-labels become A-labels, which are ASCII and may be longer than the limit.
        (Err(error), Command::Rcpt(rcpt)) => {
            assert_eq!(error.kind(), SyntaxErrorKind::PathTooLong);
            assert!(rcpt.path.to_string().len() > MAX_PATH);
        }
        (Ok(Command::Rcpt(again)), Command::Rcpt(rcpt)) => {
            assert_eq!((&again.path, &again.params), (&rcpt.path, &rcpt.params));
            assert_eq!(again.utf8, !line.is_ascii());
        }
        (again, _) => assert_eq!(again.as_ref(), Ok(parsed)),
    }
    let path = match parsed {
        Command::Mail(mail) => &mail.path,
        Command::Rcpt(rcpt) => &rcpt.path,
        _ => return,
    };
    if let Path::Mailbox(mailbox) = path {
        assert_eq!(mailbox.to_string().parse::<Mailbox>().as_ref(), Ok(mailbox));
        assert_eq!(Localpart::new(mailbox.localpart.as_str()).as_ref(), Ok(&mailbox.localpart));
    }
}

/// Checks bytes from a server as a reply.
///
/// # Panics
/// Where the outcome depends on what follows the reply, or an accepted reply does not print as itself.
pub fn smtp_reply(data: &[u8]) {
    let Ok(Some((parsed, taken))) = Reply::parse(data) else { return };
    let whole = data.get(..taken).unwrap_or_default();
    assert_eq!(Reply::parse(whole), Ok(Some((parsed.clone(), taken))));
    assert_eq!(Reply::parse(whole.get(..taken.saturating_sub(1)).unwrap_or_default()), Ok(None));

    let mut printed = Vec::new();
    parsed.write_to(&mut printed);
    assert!(printed.split(|&byte| byte == b'\n').all(|line| line.len() < MAX_REPLY_LINE));
    // Printing replaces bytes and wraps lines, but what it prints is a reply that stays as it is.
    if printed.len() < MAX_REPLY {
        let Ok(Some((again, all))) = Reply::parse(&printed) else { unreachable!("{printed:?}") };
        assert_eq!((again.code, all), (parsed.code, printed.len()));
        let mut twice = Vec::new();
        again.write_to(&mut twice);
        assert_eq!(twice, printed);
    }
    let _ = Extensions::of(&parsed).auth.len();
}

/// Checks bytes as message data. The first chooses the decoder, and how the rest is cut into pieces.
///
/// # Panics
/// Where the pieces change the outcome, or a message without fault has a line end that is not CRLF.
pub fn data_decode(data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else { return };
    let decoder = match choice % 3 {
        0 => DataDecoder::new(),
        1 => DataDecoder::chunks(),
        _ => DataDecoder::binary(),
    };
    let whole = decode(decoder.clone(), std::iter::once(input));
    let piece = usize::from(choice / 3).max(1);
    assert_eq!(decode(decoder.clone(), input.chunks(piece)), whole);
    assert_eq!(decode(decoder, input.chunks(1)), whole);
    let (content, facts, _) = whole;
    assert_eq!(facts.content, content.len() as u64);
    assert_eq!(facts.eight_bit, !content.is_ascii());
    if choice % 3 < 2 && facts.fault.is_none() {
        let mut before = 0;
        for (at, &byte) in content.iter().enumerate() {
            let next = content.get(at.saturating_add(1));
            assert!(byte != b'\n' || before == b'\r', "bare LF");
            assert!(byte != b'\r' || next == Some(&b'\n') || next.is_none(), "bare CR");
            before = byte;
        }
    }
}

/// Decodes all pieces. Returns the message, the facts about it, and whether it ended by itself.
fn decode<'i>(
    mut decoder: DataDecoder,
    pieces: impl Iterator<Item = &'i [u8]>,
) -> (Vec<u8>, DataFacts, bool) {
    let mut content = Vec::new();
    for mut piece in pieces {
        loop {
            let (taken, data) = decoder.push(piece);
            piece = piece.get(taken..).unwrap_or_default();
            match data {
                Data::Content(bytes) => content.extend_from_slice(bytes),
                Data::End => return (content, *decoder.facts(), true),
                Data::NeedInput => break,
            }
        }
        assert!(piece.is_empty());
    }
    while let Data::Content(bytes) = decoder.finish() {
        content.extend_from_slice(bytes);
    }
    (content, *decoder.facts(), false)
}
