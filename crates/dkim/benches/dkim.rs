//! Speed beside the floor (ring's bare work) and beside mail-auth, in one run.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dns::zone::{Zone, block_on_ready};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use moxd_dkim::{
    Algorithm, BodyHasher, Canonicalization, Policy, SignOptions, SigningKey, Status, Verifier, sign, verify,
};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: u64 = 1_700_000_000;
const HEADER: &str = "Received: from mail.example.org (mail.example.org [192.0.2.1])\r\n\
    \tby mx.example.net ([198.51.100.7]) with ESMTPS id qo3hvPe7BZ\r\n\
    \tfor <ann@example.net>; Tue, 14 Nov 2023 22:13:20 +0000\r\n\
    From: Joe Example <joe@example.test>\r\n\
    To: Ann Example <ann@example.net>, Bob Example <bob@example.net>\r\n\
    Subject: Minutes of the meeting on Friday, and what is to be done until the next one\r\n\
    Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
    Message-ID: <CAF8z1mQbT7h2xYw@example.test>\r\n\
    In-Reply-To: <5f1a7c3e-0b2d-4c8f@example.net>\r\n\
    References: <1b9d6bcd-bbfd-4b2d@example.net>\r\n\
    \t<5f1a7c3e-0b2d-4c8f@example.net>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\
    User-Agent: Example Mail 1.0\r\n\r\n";

/// Lines of words, a blank line now and then.
fn text(size: usize) -> Vec<u8> {
    let line = "We have come to the end of the list, and nobody had anything more to say.\r\n";
    let mut body = Vec::with_capacity(size + 100);
    while body.len() < size {
        body.extend_from_slice(line.as_bytes());
        if body.len() % 11 == 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body
}

/// Lines of base64, as an attachment has them.
fn base64(size: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "QmFzZTY0".repeat(9) + "AAAA");
    line.repeat(size / line.len() + 1).into_bytes()
}

/// Indented mark-up: a change of white space on every line.
fn html(size: usize) -> Vec<u8> {
    let line = "        <td class=\"left\">some words in a cell</td>\r\n";
    line.repeat(size / line.len() + 1).into_bytes()
}

struct Cache(HashMap<String, Txt>);

impl ResolverCache<String, Txt> for Cache {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        String: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        String: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: String, _: Txt, _: Instant) {}
}

fn verification(c: &mut Criterion) {
    let keys = [include_str!("../testdata/keys/rsa2048.pem"), include_str!("../testdata/keys/ed25519.pem")];
    let body = text(4096);
    for pem in keys {
        let key = SigningKey::from_pem(pem).unwrap();
        let signing = SignOptions::new("example.test".parse().unwrap(), "key".parse().unwrap());
        let mut hasher = BodyHasher::new([Canonicalization::Relaxed]);
        hasher.update(&body);
        let signature = sign(HEADER.as_bytes(), &hasher.finish(), &key, &signing, NOW).unwrap();
        let message = [signature.header_field().as_bytes(), HEADER.as_bytes(), &body].concat();
        let record = key.record().to_string();
        let mut group = c.benchmark_group(format!("verify {}", key.algorithm()));

        // The floor: the bare signature check, and SHA-256 of the bytes of the message.
        let public = key.record().key.clone().unwrap();
        let bytes = public.as_bytes();
        let bare = if bytes.len() > 32 { &bytes[24..] } else { bytes };
        let signed = b"as long as a header is, more or less".repeat(24);
        let data: &[u8] =
            if bytes.len() > 32 { &signed } else { digest(&SHA256, &signed).as_ref().to_vec().leak() };
        let raw = signature_of(pem, data);
        let check = |bytes: &[u8]| match key.algorithm() {
            Algorithm::RsaSha256 => {
                UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes).verify(data, &raw)
            }
            _ => UnparsedPublicKey::new(&ED25519, bytes).verify(data, &raw),
        };
        check(bare).unwrap();
        group.bench_function("floor", |b| {
            b.iter(|| (check(black_box(bare)).unwrap(), digest(&SHA256, black_box(&message))));
        });

        let mut zone = Zone::default();
        let name: dns::Name = "key._domainkey.example.test".parse().unwrap();
        zone.insert(name, dns::Record::Txt(record.clone().into_bytes()));
        group.bench_function("moxd", |b| {
            b.iter(|| {
                let evaluation = block_on_ready(verify(&zone, black_box(&message), &Policy::default(), NOW));
                assert_eq!(evaluation.signatures[0].status, Status::Pass);
            });
        });

        // mail-auth finds the key parsed in its cache; here it is parsed each time.
        let domain_key = Txt::DomainKey(Arc::new(DomainKey::parse(record.as_bytes()).unwrap()));
        let cache = Cache(HashMap::from([("key._domainkey.example.test.".to_owned(), domain_key)]));
        let authenticator =
            MessageAuthenticator::new(ResolverConfig::new(), ResolverOpts::default()).unwrap();
        group.bench_function("mail-auth", |b| {
            b.iter(|| {
                let parsed = AuthenticatedMessage::parse(black_box(&message)).unwrap();
                let output = block_on_ready(
                    authenticator.verify_dkim(Parameters::new(&parsed).with_txt_cache(&cache)),
                );
                assert_eq!(*output[0].result(), DkimResult::Pass);
            });
        });
        group.finish();
    }
}

fn signature_of(pem: &str, data: &[u8]) -> Vec<u8> {
    let packed: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, packed).unwrap();
    if let Ok(key) = ring::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
        return key.sign(data).as_ref().to_vec();
    }
    let key = ring::signature::RsaKeyPair::from_pkcs8(&der).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    key.sign(&ring::signature::RSA_PKCS1_SHA256, &random, data, &mut signature).unwrap();
    signature
}

fn bodies(c: &mut Criterion) {
    const SIZE: usize = 50 << 20;
    for (name, body) in [("text", text(SIZE)), ("base64", base64(SIZE)), ("html", html(SIZE))] {
        let mut group = c.benchmark_group(format!("body 50 MiB {name}"));
        group.throughput(Throughput::Bytes(body.len() as u64)).sample_size(10);
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        group.bench_function("floor", |b| {
            b.iter(|| {
                let mut context = ring::digest::Context::new(&SHA256);
                black_box(&body).chunks(65536).for_each(|piece| context.update(piece));
                context.finish()
            });
        });
        for kind in [Canonicalization::Relaxed, Canonicalization::Simple] {
            group.bench_function(format!("moxd {kind}"), |b| {
                b.iter(|| {
                    let mut hasher = BodyHasher::new([kind]);
                    black_box(&body).chunks(65536).for_each(|piece| hasher.update(piece));
                    hasher.finish()
                });
            });
        }
        group.finish();
    }
}

/// Header work alone: everything but keys and body.
fn begin(c: &mut Criterion) {
    let key = SigningKey::from_pem(include_str!("../testdata/keys/ed25519.pem")).unwrap();
    let signing = SignOptions::new("example.test".parse().unwrap(), "key".parse().unwrap());
    let mut hasher = BodyHasher::new([Canonicalization::Relaxed]);
    hasher.update(b"");
    let bodies = hasher.finish();
    let signature = sign(HEADER.as_bytes(), &bodies, &key, &signing, NOW).unwrap();
    let header = signature.header_field() + HEADER;
    c.bench_function("begin", |b| {
        b.iter_batched(
            || (),
            |()| Verifier::new(black_box(header.as_bytes()), &Policy::default(), NOW),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("sign ed25519", |b| {
        b.iter(|| sign(black_box(HEADER.as_bytes()), &bodies, &key, &signing, NOW).unwrap());
    });
}

criterion_group!(benches, verification, begin, bodies);
criterion_main!(benches);
