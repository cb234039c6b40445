#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]
//! Header scan and MIME structure, each beside mail-parser in the same run.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mail_parser::MessageParser;
use moxd_message::{Limits, Part, from_domain, headers, without_claims};
use std::fmt::Write;
use std::hint::black_box;

/// A message as it arrives after some hops and a mailing list: 60 fields, about 6 KiB of header.
fn sixty_fields() -> String {
    let mut out =
        String::from("Return-Path: <list-bounces@lists.example.org>\r\nDelivered-To: bert@example.org\r\n");
    for hop in 0..8 {
        write!(
            out,
            "Received: from mail-{hop}.example.com (mail-{hop}.example.com [192.0.2.{hop}])\r\n\
             \tby mx{hop}.example.org (Postfix) with ESMTPS id 4F{hop}A01{hop}\r\n\
             \tfor <bert@example.org>; Tue, 3 Nov 2026 15:04:0{hop} +0000 (UTC)\r\n"
        )
        .unwrap();
    }
    let signature = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789+/AbCdEfGhIjKlMnOpQrStUvWxYz01234567";
    let folded = format!("\r\n\t {signature}").repeat(4);
    for domain in ["example.com", "lists.example.org"] {
        write!(
            out,
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=2026; t=1793718245;\r\n\
             \th=from:to:subject:date:message-id:list-id; bh={}=;\r\n\tb={folded}\r\n",
            &signature[..43]
        )
        .unwrap();
    }
    for instance in 1..=2 {
        write!(
            out,
            "ARC-Seal: i={instance}; a=rsa-sha256; t=1793718245; cv=none; d=example.com; s=arc; b={folded}\r\n\
             ARC-Message-Signature: i={instance}; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=arc;\r\n\
             \th=from:to:subject; bh={}=; b={folded}\r\n\
             ARC-Authentication-Results: i={instance}; mx.example.com; dkim=pass header.d=example.com;\r\n\
             \tspf=pass smtp.mailfrom=anna@example.com; dmarc=pass header.from=example.com\r\n",
            &signature[..43]
        )
        .unwrap();
    }
    out.push_str(
        "Authentication-Results: mx.example.org; dkim=pass (2048 bit rsa) header.d=example.com\r\n\
         \theader.s=2026; spf=pass smtp.mailfrom=lists.example.org\r\n\
         From: \"Anna =?utf-8?q?=C3=85ngstr=C3=B6m?=\" <anna@example.com>\r\n\
         To: A discussion list <list@lists.example.org>, Bert <bert@example.org>, carl@example.net\r\n\
         Cc: \"Dora, D.\" <dora@example.net>, Emil <emil@example.org>\r\n\
         Subject: Re: [list] =?utf-8?q?Gr=C3=BC=C3=9Fe?= from the north, and what became of\r\n the plan we had\r\n\
         Date: Tue, 3 Nov 2026 16:04:00 +0100\r\n\
         Message-ID: <CAFE0123456789ABCDEF.1@mail.example.com>\r\n\
         In-Reply-To: <beef0123456789@example.org>\r\n\
         References: <dead0123456789@example.org> <beef0123456789@example.org>\r\n\t<feed0123456789@example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=\"=_0123456789abcdef\"\r\n\
         List-Id: A discussion list <list.lists.example.org>\r\n\
         List-Unsubscribe: <https://lists.example.org/unsubscribe>, <mailto:list-leave@lists.example.org>\r\n\
         List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
         List-Archive: <https://lists.example.org/archive>\r\n\
         List-Post: <mailto:list@lists.example.org>\r\n\
         Precedence: list\r\nX-Mailer: Example Mail 12.3 (build 4567)\r\n",
    );
    let mut number = headers(out.as_bytes()).fields().len();
    while number < 60 {
        write!(
            out,
            "X-Example-Field-{number}: some value of this field, {number} of sixty, as filters add them\r\n"
        )
        .unwrap();
        number += 1;
    }
    out.push_str("\r\n");
    out
}

/// The same message with two alternatives and an attachment of 1 MiB in base64.
fn with_parts() -> String {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let mut out = sixty_fields();
    out.push_str("--=_0123456789abcdef\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello.\r\n");
    out.push_str("--=_0123456789abcdef\r\nContent-Type: multipart/mixed; boundary=inner\r\n\r\n");
    out.push_str("--inner\r\nContent-Type: text/html\r\n\r\n<p>Hello.</p>\r\n--inner\r\n");
    out.push_str("Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    out.push_str(&line.repeat((1 << 20) / line.len()));
    out.push_str("--inner--\r\n--=_0123456789abcdef--\r\n");
    out
}

fn scan(c: &mut Criterion) {
    let message = sixty_fields();
    let block = message.as_bytes();
    assert_eq!(headers(block).fields().len(), 60);
    assert_eq!(MessageParser::default().parse_headers(block).unwrap().parts[0].headers.len(), 60);
    let mut group = c.benchmark_group("header-60-fields");
    group.throughput(Throughput::Bytes(block.len() as u64));
    group.bench_function("moxd scan", |b| b.iter(|| headers(black_box(block))));
    group.bench_function("moxd scan and author", |b| b.iter(|| from_domain(&headers(black_box(block)))));
    let host = "mx.example.org".parse().unwrap();
    group
        .bench_function("moxd remove forged results", |b| b.iter(|| without_claims(black_box(block), &host)));
    let parser = MessageParser::new().default_header_raw();
    group.bench_function("mail-parser raw", |b| b.iter(|| parser.parse_headers(black_box(block))));
    let parser = MessageParser::default();
    group.bench_function("mail-parser", |b| b.iter(|| parser.parse_headers(black_box(block))));
    group.finish();
}

fn mime(c: &mut Criterion) {
    let message = with_parts();
    let bytes = message.as_bytes();
    let leaves = |part: &Part| part.walk().filter(|part| part.parts.is_empty()).count();
    assert_eq!(leaves(&Part::parse(bytes, Limits::default()).0), 3);
    let mut group = c.benchmark_group("mime-1-mib");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("moxd structure", |b| b.iter(|| Part::parse(black_box(bytes), Limits::default())));
    group.bench_function("moxd structure, all parts decoded", |b| {
        b.iter(|| {
            let (part, _) = Part::parse(black_box(bytes), Limits::default());
            part.walk().map(|part| part.decoded(bytes, usize::MAX).len()).sum::<usize>()
        });
    });
    let parser = MessageParser::default();
    group.bench_function("mail-parser", |b| b.iter(|| parser.parse(black_box(bytes))));
    group.finish();
}

/// Hostile messages of 10 MiB each, made to cost much time.
fn hostile(c: &mut Criterion) {
    const SIZE: usize = 10 << 20;
    let nested = |depth: usize| {
        let level = |level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        (0..depth).map(level).collect::<String>()
    };
    let padded = |start: String, piece: &str| start + &piece.repeat(SIZE / piece.len());
    let mut group = c.benchmark_group("hostile-10-mib");
    group.sample_size(10);
    for (name, message) in [
        ("nested 10,000 deep", padded(nested(10_000), "x")),
        ("lines like delimiters, 99 deep", padded(nested(99) + "\r\n", "--b\n")),
        ("delimiters alone", padded(nested(1), "--b0\n")),
        ("one endless header field", padded("A: ".to_owned(), "x")),
        ("endless header fields", padded(String::new(), "A:\r\n")),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| Part::parse(black_box(message.as_bytes()), Limits::default()))
        });
    }
    group.finish();
}

criterion_group!(benches, scan, mime, hostile);
criterion_main!(benches);
