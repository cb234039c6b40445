#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]
//! Parses the cases of `testdata`, and compares each result with the `.want` file beside it.

use bstr::{BStr, ByteSlice};
use moxd_message::{
    Address, AuthResults, Entry, Finding, FromError, Limits, Part, Site, addresses, author, claims,
    decode_words, dsn, headers, without_claims,
};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

fn check_suite(suite: &str, dump: impl Fn(&[u8]) -> String) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(suite);
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "msg"));
    cases.sort();
    assert!(cases.len() >= 3, "{suite} has its cases");
    for case in cases {
        let found = dump(&fs::read(&case).unwrap());
        let want = case.with_extension("want");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&want, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&want).unwrap(), "{}", case.display());
        assert!(case.with_extension("why").exists(), "{} says what it is for", case.display());
    }
}

fn findings(found: &[Finding], out: &mut String) {
    for finding in found {
        writeln!(out, "! {} at {}, {} time(s)", finding.kind.token(), finding.offset, finding.count).unwrap();
    }
}

fn author_line(found: &Result<Address, FromError>) -> String {
    match found {
        Ok(address) => format!("author {}", one(address)),
        Err(error) => format!("author none: {}", error.kind().token()),
    }
}

fn one(address: &Address) -> String {
    let name = address.name.as_deref().map(|name| format!("{:?} ", decode_words(name.as_bytes())));
    let site = match &address.site {
        Site::Host(host) => format!("@ {host}"),
        Site::Invalid(text) => format!("@ invalid {text:?}"),
        Site::Missing => "@ nowhere".to_owned(),
    };
    format!("{}{:?} {site}", name.unwrap_or_default(), address.localpart)
}

#[test]
fn headers_are_read_byte_for_byte() {
    check_suite("headers", |data| {
        let mut out = String::new();
        let found = headers(data);
        for field in &found {
            writeln!(out, "{}..{} {}: {}", field.offset, field.range().end, field.name, field.unfolded())
                .unwrap();
        }
        writeln!(out, "body at {:?}", found.body_offset()).unwrap();
        writeln!(out, "{}", author_line(&author(&found))).unwrap();
        findings(found.findings(), &mut out);
        let kept = without_claims(data, &"mx.example.org".parse().unwrap());
        if kept.first() != Some(&(0..data.len())) {
            writeln!(out, "kept {kept:?}").unwrap();
        }
        out
    });
}

#[test]
fn mime_structure_is_found() {
    fn dump(part: &Part, data: &[u8], depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        let (kind, subtype) = part.media_type();
        writeln!(out, "{indent}{kind}/{subtype} header {:?} body {:?}", part.header, part.body).unwrap();
        if let Some(name) = part.filename() {
            writeln!(out, "{indent}  named {name:?}").unwrap();
        }
        if part.parts.is_empty() {
            if kind == "text" {
                writeln!(out, "{indent}  text {:?}", part.text(data, 10_000)).unwrap();
            } else {
                writeln!(out, "{indent}  bytes {:?}", BStr::new(&part.decoded(data, 10_000))).unwrap();
            }
        }
        part.parts.iter().for_each(|inner| dump(inner, data, depth + 1, out));
    }
    check_suite("mime", |data| {
        let (part, found) = Part::parse(data, Limits::default());
        let mut out = String::new();
        dump(&part, data, 0, &mut out);
        findings(&found, &mut out);
        out
    });
}

#[test]
fn delivery_reports_are_read() {
    check_suite("dsn", |data| {
        let (part, _) = Part::parse(data, Limits::default());
        let Some(report) = dsn::parse(&part, data) else { return "none\n".to_owned() };
        let mut out = format!("by {:?}\n", report.reporting_mta);
        writeln!(out, "envelope {:?} gateway {:?}", report.envelope_id, report.gateway).unwrap();
        writeln!(
            out,
            "received from {:?} at {:?}",
            report.received_from,
            report.arrival.map(|d| d.to_string())
        )
        .unwrap();
        for recipient in &report.recipients {
            let date = |date: Option<moxd_message::Date>| date.map(|date| date.to_string());
            writeln!(out, "{} {} {}", recipient.recipient, recipient.action, recipient.status).unwrap();
            writeln!(out, "  original {:?} words {:?}", recipient.original, recipient.status_text).unwrap();
            writeln!(out, "  remote {:?} said {:?}", recipient.remote, recipient.diagnostic).unwrap();
            let (last, until) = (date(recipient.last_attempt), date(recipient.retry_until));
            writeln!(out, "  log {:?} last {last:?} until {until:?}", recipient.log_id).unwrap();
        }
        out
    });
}

#[test]
fn addresses_are_read() {
    check_suite("addresses", |data| {
        let mut out = String::new();
        for line in data.lines() {
            writeln!(out, "{}", BStr::new(line)).unwrap();
            let list = addresses(line);
            for entry in &list.entries {
                match entry {
                    Entry::Mailbox(address) => writeln!(out, "  {}", one(address)).unwrap(),
                    Entry::Group { name, members } => {
                        writeln!(out, "  group {name:?}").unwrap();
                        members.iter().for_each(|member| writeln!(out, "    {}", one(member)).unwrap());
                    }
                }
            }
            if list.malformed > 0 {
                writeln!(out, "  {} malformed", list.malformed).unwrap();
            }
            let block = [b"From: ", line, b"\r\n"].concat();
            writeln!(out, "  {}", author_line(&author(&headers(&block)))).unwrap();
        }
        out
    });
}

#[test]
fn authentication_results_are_read() {
    check_suite("auth_results", |data| {
        let mut out = String::new();
        for line in data.lines() {
            writeln!(out, "{}", BStr::new(line)).unwrap();
            match AuthResults::parse(line) {
                Ok(results) => {
                    let again = AuthResults::parse(results.field().split_once(':').unwrap().1.as_bytes());
                    assert_eq!(again.map(|again| again.field()), Ok(results.field()));
                    write!(out, "{}", results.field().replace("\r\n", "\n")).unwrap();
                }
                Err(error) => writeln!(out, "{}", error.kind().token()).unwrap(),
            }
            writeln!(out, "claims to be ours: {}", claims(line, &"mx.example.org".parse().unwrap())).unwrap();
        }
        out
    });
}
