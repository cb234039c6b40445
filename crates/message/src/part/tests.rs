use super::*;
use crate::FindingKind;
use bstr::BStr;
use std::fmt::Write;

/// The tree as text: type, header bytes and body bytes of each part.
fn tree(part: &Part, message: &[u8], depth: usize, out: &mut String) {
    let (kind, subtype) = part.media_type();
    let body = BStr::new(&message[part.body.clone()]);
    if part.parts.is_empty() {
        writeln!(out, "{}{kind}/{subtype} {body:?}", "  ".repeat(depth)).unwrap();
    } else {
        writeln!(out, "{}{kind}/{subtype}", "  ".repeat(depth)).unwrap();
    }
    part.parts.iter().for_each(|inner| tree(inner, message, depth + 1, out));
}

#[track_caller]
fn check(message: &str, expected: &str, findings: &[FindingKind]) {
    let (part, found) = Part::parse(message.as_bytes(), Limits::default());
    let mut out = String::new();
    tree(&part, message.as_bytes(), 0, &mut out);
    assert_eq!(out.trim_end(), expected, "{message}");
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), findings, "{message}");
    crate::fuzzing::mime(message.as_bytes());
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

#[test]
fn accepts_messages_that_are_one_part() {
    check("Subject: x\r\n\r\nbody\r\n", "text/plain \"body\\r\\n\"", &[]);
    check("\r\nbody", "text/plain \"body\"", &[]);
    check("Subject: x\r\n", "text/plain \"\"", &[]);
    check("", "text/plain \"\"", &[]);
    check("Content-Type: IMAGE/Png\r\n\r\nx", "image/png \"x\"", &[]);
}

#[test]
fn accepts_multiparts() {
    check(
        &format!(
            "{MIXED}preamble\r\n--b\r\n\r\none\r\n--b \t\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n--b--\r\nepilogue"
        ),
        "multipart/mixed\n  text/plain \"one\"\n  text/html \"two\\r\\n\"",
        &[],
    );
    check(&format!("{MIXED}--b--"), "multipart/mixed \"--b--\"", &[]);
    check(
        &format!("{MIXED}--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--"),
        "multipart/mixed\n  text/plain \"\"\n  text/plain \"\"\n  text/plain \"\"",
        &[],
    );
}

#[test]
fn takes_outer_delimiters_inside_inner_parts() {
    let inner = "Content-Type: multipart/alternative; boundary=b2\r\n\r\n--b2\r\n\r\nin\r\n";
    check(
        &format!("{MIXED}--b\r\n{inner}--b\r\n\r\nout\r\n--b--\r\n"),
        "multipart/mixed\n  multipart/alternative\n    text/plain \"in\"\n  text/plain \"out\"",
        &[FindingKind::UnclosedMultipart],
    );
    check(
        &format!("{MIXED}--b\r\n{inner}--b2--\r\nepilogue\r\n--b2\r\n--b--\r\n"),
        "multipart/mixed\n  multipart/alternative\n    text/plain \"in\"",
        &[],
    );
}

#[test]
fn takes_only_whole_lines_for_delimiters() {
    let body = "--bb\r\n --b\r\nx --b\r\n--b-\r\n--b--x\r\n--b x\r\n----b\r\n-- b";
    check(
        &format!("{MIXED}--b\r\n\r\n{body}\r\n--b--\r\n"),
        &format!("multipart/mixed\n  text/plain {body:?}"),
        &[],
    );
}

#[test]
fn headers_end_at_a_delimiter_too() {
    check(
        &format!("{MIXED}--b\r\nContent-Type: text/html\r\n--b\r\n\r\nx\r\n--b--\r\n"),
        "multipart/mixed\n  text/html \"\"\n  text/plain \"x\"",
        &[],
    );
}

#[test]
fn a_multipart_without_a_body_takes_no_delimiter() {
    check(
        &format!("{MIXED}--b\r\nContent-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\nx\r\n--b--"),
        "multipart/mixed\n  multipart/mixed \"\"\n  text/plain \"x\"",
        &[FindingKind::UnclosedMultipart],
    );
}

#[test]
fn one_boundary_at_two_levels_is_the_inner_one_first() {
    check(
        &format!("{MIXED}--b\r\n{MIXED}--b\r\n\r\nin\r\n--b--\r\n--b\r\n\r\nout\r\n--b--"),
        "multipart/mixed\n  multipart/mixed\n    text/plain \"in\"\n  text/plain \"out\"",
        &[],
    );
}

#[test]
fn opens_messages_in_messages() {
    let inner = format!("Subject: inner\r\n{MIXED}--b\r\n\r\ndeep\r\n--b--\r\n");
    check(
        &format!("Content-Type: message/rfc822\r\n\r\n{inner}"),
        "message/rfc822\n  multipart/mixed\n    text/plain \"deep\"",
        &[],
    );
    check(
        "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: x\r\n\r\nbody\r\n--d\r\n\
         Content-Type: text/plain\r\n\r\nplain\r\n--d--\r\n",
        "multipart/digest\n  message/rfc822\n    text/plain \"body\"\n  text/plain \"plain\"",
        &[],
    );
    check(
        "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA==",
        "message/global \"U3ViamVjdDogeA==\"",
        &[],
    );
}

#[test]
fn tells_what_is_wrong() {
    use FindingKind::*;
    check("Content-Type: multipart/mixed\r\n\r\n--\r\n", "multipart/mixed \"--\\r\\n\"", &[NoBoundary]);
    check("Content-Type: multipart/mixed; boundary=\" \"\r\n\r\n", "multipart/mixed \"\"", &[NoBoundary]);
    check(MIXED, "multipart/mixed \"\"", &[UnclosedMultipart]);
    check("Content-Type: nonsense\r\n\r\n", "text/plain \"\"", &[BadContentType]);
    check("Content-Type: a/b\r\ncontent-type: c/d\r\n\r\n", "a/b \"\"", &[RepeatedContentField]);
    check("Content-Transfer-Encoding: zip\r\n\r\n", "text/plain \"\"", &[UnknownEncoding]);
    check(
        &format!("Content-Transfer-Encoding: base64\r\n{MIXED}--b\r\n\r\nx\r\n--b--"),
        "multipart/mixed\n  text/plain \"x\"",
        &[EncodedMultipart],
    );
    let long = "b".repeat(71);
    check(
        &format!("Content-Type: multipart/mixed; boundary={long}\r\n\r\n--{long}\r\n\r\nx\r\n--{long}--"),
        "multipart/mixed\n  text/plain \"x\"",
        &[BoundaryTooLong],
    );
}

#[test]
fn undoes_encodings_and_charsets() {
    let text = |header: &str, body: &str| {
        let message = format!("{header}\r\n\r\n{body}");
        Part::parse(message.as_bytes(), Limits::default()).0.text(message.as_bytes(), 100)
    };
    assert_eq!(text("Content-Transfer-Encoding: BASE64 (c)", "R3LDvMOfZQ=="), "Grüße");
    assert_eq!(
        text(
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
            "Gr=FC=DFe"
        ),
        "Grüße"
    );
    assert_eq!(text("Content-Type: text/plain; charset=no-such", "x"), "x");
    assert_eq!(text("Content-Transfer-Encoding: unknown", "x=20"), "x=20");
    let message = b"Content-Disposition: attachment; filename*=utf-8''%E2%82%AC.pdf\r\n\r\n";
    assert_eq!(Part::parse(message, Limits::default()).0.filename().as_deref(), Some("€.pdf"));
    let message = b"Content-Type: a/b; name=\"=?utf-8?q?=E2=82=AC?=\"\r\n\r\n";
    assert_eq!(Part::parse(message, Limits::default()).0.filename().as_deref(), Some("€"));
}

#[test]
fn finds_utf8_in_the_header_of_any_part() {
    let needs = |message: &str| {
        Part::parse(message.as_bytes(), Limits::default()).0.has_utf8_header(message.as_bytes())
    };
    assert!(needs("Subject: ü\r\n\r\n"));
    assert!(needs(&format!("{MIXED}--b\r\nContent-Description: ü\r\n\r\nx\r\n--b--\r\n")));
    assert!(!needs(&format!("{MIXED}ü\r\n--b\r\n\r\nü\r\n--b--\r\nü")));
}

/// Multiparts in one another, each the only part of the one before.
fn nested(depth: usize) -> String {
    let mut out = String::new();
    for level in 0..depth {
        write!(out, "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").unwrap();
    }
    out
}

#[test]
fn depth_parts_and_headers_are_limited() {
    let limits = Limits::default();
    let kinds = |message: &str| {
        let (part, findings) = Part::parse(message.as_bytes(), limits);
        (part.walk().count(), findings.iter().map(|f| f.kind).collect::<Vec<_>>())
    };
    let (count, findings) = kinds(&nested(10_000));
    assert_eq!(count, limits.depth);
    assert!(findings.contains(&FindingKind::TooDeep));
    let (count, findings) = kinds(&"Content-Type: message/rfc822\r\n\r\n".repeat(10_000));
    assert_eq!((count, findings), (limits.depth, vec![FindingKind::TooDeep]));
    let (count, findings) = kinds(&format!("{MIXED}{}", "--b\r\n\r\n".repeat(1_000_000)));
    assert_eq!((count, findings), (limits.parts, vec![FindingKind::TooManyParts]));
    let large = format!("Content-Type: a/b\r\nX: {}\r\n", "x".repeat(limits.header));
    let (count, findings) = kinds(&format!("{MIXED}--b\r\n{large}\r\n\r\n--b--"));
    assert_eq!((count, findings), (2, vec![FindingKind::HeaderTooLarge]));
    let (count, findings) = kinds(&format!("{large}\r\n"));
    assert_eq!((count, findings), (1, vec![FindingKind::LineTooLong]));
}
