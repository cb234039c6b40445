//! Measures parsing of commands and decoding of message data. The floor for data is a scan for line ends with memchr.
#![allow(clippy::unwrap_used, missing_docs, reason = "bench code")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use moxd_smtp_parser::{Command, Data, DataDecoder, Dialect, Reply};
use std::hint::black_box;

/// A text message of about `size` bytes in lines of up to 76, dots at some line starts, and its end.
fn text(size: usize) -> Vec<u8> {
    let mut out = b"From: <a@example.org>\r\nSubject: text\r\n\r\n".to_vec();
    let words = ["the", "message", "goes", "on", "for", "another", "line", "of", "plain", "words"];
    let mut words = words.iter().cycle();
    let mut line = 0;
    while out.len() < size {
        let start = out.len();
        if line % 40 == 0 {
            out.extend_from_slice(b"..");
        }
        while out.len() - start < 50 + (line * 7) % 20 {
            out.extend_from_slice(words.next().unwrap().as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(b"\r\n");
        line += 1;
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The same in base64 lines of 76, as attachments come.
fn attachment(size: usize) -> Vec<u8> {
    let line = [
        b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3".as_slice(),
        b"\r\n",
    ]
    .concat();
    let mut out = line.repeat(size / line.len());
    out.extend_from_slice(b".\r\n");
    out
}

/// Decodes as a driver does, a read buffer at a time, and touches what comes out.
fn decode(input: &[u8]) -> u64 {
    let mut decoder = DataDecoder::new();
    let mut pieces = 0;
    for mut piece in input.chunks(64 * 1024) {
        loop {
            let (taken, data) = decoder.push(piece);
            piece = piece.get(taken..).unwrap_or_default();
            match data {
                Data::Content(bytes) => pieces += black_box(bytes).len() as u64,
                Data::End => return pieces,
                Data::NeedInput => break,
            }
        }
    }
    pieces
}

fn data(c: &mut Criterion) {
    for (name, input) in [("text", text(1 << 20)), ("base64", attachment(1 << 20))] {
        let mut group = c.benchmark_group(format!("data/{name}"));
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function("decode", |b| b.iter(|| decode(black_box(&input))));
        group.bench_function("floor: memchr for LF", |b| {
            b.iter(|| memchr::memchr_iter(b'\n', black_box(&input)).count());
        });
        group.finish();
    }
}

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("command");
    let lines: [(&str, &[u8]); 5] = [
        ("ehlo", b"EHLO mail.example.org"),
        ("mail", b"MAIL FROM:<sender@example.org> SIZE=4096 BODY=8BITMIME"),
        ("rcpt", b"RCPT TO:<recipient@example.org>"),
        ("data", b"DATA"),
        ("refused", b"RCPT TO:<recipient @example.org>"),
    ];
    for (name, line) in lines {
        group.bench_function(name, |b| b.iter(|| Command::parse(black_box(line), Dialect::Lenient).is_ok()));
    }
    group.finish();
    let ehlo =
        b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    c.bench_function("reply/ehlo", |b| b.iter(|| Reply::parse(black_box(ehlo)).is_ok()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(2));
    targets = data, commands
}
criterion_main!(benches);
