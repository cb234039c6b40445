//! Checks the tables of `testdata/`, in every dialect and with the input cut at every place.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs, reason = "test code")]

use bstr::{ByteSlice, ByteVec};
use moxd_smtp_parser::*;
use std::path::Path as FilePath;

/// One input and its expectations, as `key: value`.
struct Case {
    at: String,
    input: Vec<u8>,
    expected: Vec<(String, String)>,
}

/// Every case of every file of a suite. A suite without cases is an error, not a success.
fn cases(suite: &str) -> Vec<Case> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(suite);
    let mut cases: Vec<Case> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let at = format!("{}:{}", path.file_name().unwrap().display(), number + 1);
            if let Some(input) = line.strip_prefix("> ").or_else(|| line.strip_prefix('>')) {
                cases.push(Case { at, input: Vec::unescape_bytes(expand(input)), expected: Vec::new() });
            } else if !line.is_empty() && !line.starts_with('#') {
                let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{at}: no key"));
                let case = cases.last_mut().unwrap_or_else(|| panic!("{at}: no input"));
                case.expected.push((key.to_owned(), expand(value)));
            }
        }
    }
    assert!(!cases.is_empty());
    cases
}

/// Expands `{64*a}`.
fn expand(text: &str) -> String {
    let Some((before, rest)) = text.split_once('{') else { return text.to_owned() };
    let Some((inside, after)) = rest.split_once('}') else { return text.to_owned() };
    let (count, piece) = inside.split_once('*').unwrap();
    format!("{before}{}{}", piece.repeat(count.parse().unwrap()), expand(after))
}

/// Compares each expectation with the result of `actual` for its key, and reports all differences at once.
#[track_caller]
fn check(suite: &str, actual: impl Fn(&str, &[u8]) -> Vec<String>) {
    let mut wrong = Vec::new();
    for case in cases(suite) {
        assert!(!case.expected.is_empty(), "{}: nothing expected", case.at);
        for (key, value) in &case.expected {
            let mut found = actual(key, &case.input);
            found.retain(|found| found != value);
            found.dedup();
            for found in found {
                wrong.push(format!("{}: {key}\n  expected {value}\n  found    {found}", case.at));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'"' | b'\'' => out.push(char::from(byte)),
            _ => out.extend(byte.escape_ascii().map(char::from)),
        }
    }
    out.replace("\\x00", "\\0")
}

fn refusal(error: &SyntaxError, line: &[u8]) -> String {
    format!("! {} [{}]", error.kind().token(), escaped(error.subject(line)))
}

/// Prints a command; for HELO and EHLO also the host.
fn describe(line: &[u8], parsed: Result<Command<'_>, SyntaxError>) -> String {
    let command = match parsed {
        Ok(command) => command,
        Err(error) => return refusal(&error, line),
    };
    let mut printed = Vec::new();
    command.write_to(&mut printed);
    let printed = escaped(printed.strip_suffix(b"\r\n").unwrap());
    match command {
        Command::Helo(Hello { host: Ok(host), .. }) | Command::Ehlo(Hello { host: Ok(host), .. }) => {
            format!("{printed} = {host}")
        }
        Command::Helo(Hello { host: Err(error), .. }) | Command::Ehlo(Hello { host: Err(error), .. }) => {
            format!("{printed} {}", refusal(&error, line))
        }
        Command::Rcpt(Rcpt { utf8: true, .. }) => format!("{printed} (utf8)"),
        Command::Unknown(_) => format!("unknown {printed}"),
        _ => printed,
    }
}

#[test]
fn commands() {
    check("commands", |key, line| {
        fuzzing::smtp_command(line);
        let lenient = || describe(line, Command::parse(line, Dialect::Lenient));
        let strict = || describe(line, Command::parse(line, Dialect::Strict));
        match key {
            "both" => vec![lenient(), strict()],
            "lenient" => vec![lenient()],
            "strict" => vec![strict()],
            _ => panic!("no dialect {key}"),
        }
    });
}

#[test]
fn replies() {
    check("replies", |key, bytes| {
        assert_eq!(key, "reply");
        fuzzing::smtp_reply(bytes);
        // Every incomplete reply wants more input.
        if let Ok(Some((_, taken))) = Reply::parse(bytes) {
            for end in 0..taken {
                assert_eq!(Reply::parse(&bytes[..end]), Ok(None), "{end} bytes of {}", bytes.escape_bytes());
            }
        }
        vec![match Reply::parse(bytes) {
            Ok(Some((reply, taken))) => format!("{reply} | {}", escaped(&bytes[taken..])),
            Ok(None) => "more".to_owned(),
            Err(error) => format!("! {}", error.kind().token()),
        }]
    });
}

/// Decodes the pieces. Returns content, facts, and the rest.
fn decode(mut decoder: DataDecoder, pieces: &[&[u8]]) -> String {
    let mut content = Vec::new();
    let mut ended = false;
    let mut rest = Vec::new();
    for piece in pieces {
        let mut piece = *piece;
        while !ended {
            let (taken, data) = decoder.push(piece);
            piece = &piece[taken..];
            match data {
                Data::Content(bytes) => content.extend_from_slice(bytes),
                Data::End => ended = true,
                Data::NeedInput => break,
            }
        }
        rest.extend_from_slice(piece);
    }
    if !ended {
        while let Data::Content(bytes) = decoder.finish() {
            content.extend_from_slice(bytes);
        }
    }
    let facts = decoder.facts();
    assert_eq!(facts.content, content.len() as u64);
    assert_eq!(facts.received as usize + rest.len(), pieces.concat().len());
    let mut out = format!("{} |", escaped(&content));
    out += if ended { " end" } else { " open" };
    out += &format!(" longest={}", facts.longest_line);
    out += if facts.eight_bit { " 8bit" } else { "" };
    if facts.completed_lines > 0 {
        out += &format!(" completed={}", facts.completed_lines);
    }
    if let Some(fault) = facts.fault {
        out += &format!(" {}", fault.token());
    }
    if !rest.is_empty() {
        out += &format!(" rest={}", escaped(&rest));
    }
    out
}

#[test]
fn data_cut_at_every_place() {
    check("data", |key, input| {
        let decoder = match key {
            "dots" => DataDecoder::new(),
            "chunks" => DataDecoder::chunks(),
            "binary" => DataDecoder::binary(),
            _ => panic!("no framing {key}"),
        };
        (0..3).for_each(|framing| fuzzing::data_decode(&[&[framing], input].concat()));
        let mut found = vec![decode(decoder.clone(), &[input])];
        found.push(decode(decoder.clone(), &input.chunks(1).collect::<Vec<_>>()));
        for at in 0..input.len() {
            let (left, right) = input.split_at(at);
            found.push(decode(decoder.clone(), &[left, b"", right]));
        }
        found
    });
}
