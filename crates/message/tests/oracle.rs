#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]
//! mail-parser as a second opinion on our fixtures.

use dns::Host;
use mail_parser::{HeaderName, MessageParser, PartType};
use moxd_message::{Date, Limits, Part, Site, addresses, headers};
use std::fs;
use std::path::{Path, PathBuf};

fn cases(suite: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(suite);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "msg"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

/// Compares every case; those that are known to differ must do so, so that the list stays true.
#[track_caller]
fn agree<T: PartialEq + std::fmt::Debug>(
    cases: Vec<(String, Vec<u8>)>,
    differ: &[&str],
    ours: impl Fn(&[u8]) -> T,
    theirs: impl Fn(&[u8]) -> T,
) {
    let differences = |(name, data): &(String, Vec<u8>)| {
        let (ours, theirs) = (ours(data), theirs(data));
        (ours != theirs).then(|| (name.clone(), format!("{ours:?}\n    {theirs:?}")))
    };
    let found: Vec<_> = cases.iter().filter_map(differences).collect();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let told: Vec<_> = found.iter().map(|(name, how)| format!("\n{name}:\n    {how}")).collect();
    assert_eq!(names, differ, "{}", told.concat());
}

#[test]
fn header_names_and_places_agree() {
    agree(
        cases("headers"),
        // mail-parser accepts lines as fields that RFC 5322 §2.2 does not: a name with a space, a leading continuation line.
        &["05-lines-that-are-no-field", "07-leading-space"],
        |data| {
            let found = headers(data);
            found
                .iter()
                .map(|field| (field.name.to_string().to_lowercase(), field.offset))
                .collect::<Vec<_>>()
        },
        |data| {
            let found = MessageParser::default().parse_headers(data);
            let headers = found.map(|message| message.parts[0].headers.clone()).unwrap_or_default();
            headers.iter().map(|h| (h.name.as_str().to_lowercase(), h.offset_field as usize)).collect()
        },
    );
}

#[test]
fn leaves_and_their_text_agree() {
    agree(
        cases("mime"),
        &[
            // RFC 2046 §5.1.2: it does not look for outer delimiters in inner parts,
            "06-inner-not-closed",
            // and takes the delimiter of an inner multipart that was closed.
            "07-boundary-is-a-prefix",
            // It lets the last of two fields count.
            "09-content-fields-twice",
            // It passes over parts without an empty line.
            "10-no-empty-lines",
            // It gives up decoding at the first fault.
            "14-broken-encodings",
        ],
        |data| {
            let (part, _) = Part::parse(data, Limits::default());
            let leaves = part.walk().filter(|part| part.parts.is_empty());
            leaves
                .map(|part| match part.media_type() {
                    ("text", _) => part.text(data, 10_000).into_bytes(),
                    _ => part.decoded(data, 10_000).into_owned(),
                })
                .collect::<Vec<_>>()
        },
        |data| {
            fn leaves(message: &mail_parser::Message<'_>, out: &mut Vec<Vec<u8>>) {
                for part in &message.parts {
                    match &part.body {
                        PartType::Multipart(_) => {}
                        PartType::Message(inner) => leaves(inner, out),
                        _ => out.push(part.contents().to_vec()),
                    }
                }
            }
            let mut out = Vec::new();
            leaves(&MessageParser::default().parse(data).unwrap(), &mut out);
            out
        },
    );
}

#[test]
fn addresses_agree() {
    let lines: Vec<_> = ["01-plain", "02-comments-and-obsolete-forms"]
        .iter()
        .flat_map(|wanted| cases("addresses").into_iter().filter(move |(name, _)| name == wanted))
        .flat_map(|(_, data)| String::from_utf8(data).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| (line.clone(), line.into_bytes()))
        .collect();
    agree(
        lines,
        // It has no obsolete forms, comments inside, quoted local parts, or address literals behind a comma.
        &[
            "a@[192.0.2.1], b@[IPv6:2001:db8::1]",
            "\"a b\"@example.org",
            "\"a\\\"b\\\\c\"@example.org",
            "(x) a (y) @ (z) example.org (w)",
            "<@relay.example,@other.example:a@example.org>",
            "a . b . c @ example . org",
            "\"a\".b.\"c d\"@example.org",
        ],
        |line| {
            let site = |site: &Site| match site {
                Site::Host(Host::Domain(domain)) => domain.unicode(),
                Site::Host(host) => host.to_string(),
                other => format!("{other:?}"),
            };
            let list = addresses(line);
            list.mailboxes().map(|a| format!("{}@{}", a.localpart, site(&a.site))).collect::<Vec<_>>()
        },
        |line| {
            let block = [b"To: ", line, b"\r\n\r\n"].concat();
            let message = MessageParser::default().parse_headers(&block).unwrap();
            let found =
                message.to().map(|to| to.iter().filter_map(|a| a.address().map(str::to_owned)).collect());
            found.unwrap_or_default()
        },
    );
}

#[test]
fn dates_agree() {
    let dates = [
        "Tue, 3 Nov 2026 15:04:05 +0000",
        "3 Nov 2026 15:04 -0930",
        "Fri, 21 Nov 97 09:55:06 EST",
        "Thu, 29 Feb 2024 23:59:59 +1400 (comment)",
        "1 Jan 1970 00:00:00 GMT",
        "31 Dec 1999 23:59:59 PDT",
        "Sat,  1 Jan 2000 0:0:0 +0000",
    ];
    agree(
        dates.iter().map(|date| ((*date).to_owned(), date.as_bytes().to_vec())).collect(),
        &[],
        |text| std::str::from_utf8(text).unwrap().parse::<Date>().unwrap().unix(),
        |text| {
            let block = [b"Date: ", text, b"\r\n\r\n"].concat();
            let message = MessageParser::default().parse_headers(&block).unwrap();
            message.header(HeaderName::Date).unwrap().as_datetime().unwrap().to_timestamp()
        },
    );
}
