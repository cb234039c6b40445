//! Strangers that keep to the protocol, and ask a real server for more than their share.

use super::{Attack, Honest, Scene};
use crate::trial::{ADDRESS, Client};
use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

/// An attack on a real server, and the honest client that must not notice it.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) attack: Attack,
    pub(super) honest: Honest,
}

/// An attack beside another server that delivers mail.
const fn row(name: &'static str, attack: Attack) -> Row {
    Row { name, attack, honest: Honest::Server(ADDRESS) }
}

pub(super) const ATTACKS: &[Row] = &[
    row("a megabyte of References to 1,000 recipients", |s| {
        let references: String =
            (0..1000).map(|n| format!(" <{n}.{}@a.example>\r\n", "r".repeat(900))).collect();
        let message = format!("From: a@a.example\r\nReferences:{references}\r\nbody\r\n");
        deliver_again_and_again(s, 1000, &|| message.clone());
    }),
    row("200 KB to 400 recipients", |s| {
        let message = format!("From: a@a.example\r\n\r\n{}", "a line of text\r\n".repeat(200_000 / 16));
        deliver_again_and_again(s, 400, &|| message.clone());
    }),
    row("980 signatures that cannot be used", |s| {
        let signatures: String =
            (0..980).map(|n| format!("DKIM-Signature: v=9; d=d{n}.example; s=s\r\n")).collect();
        let message = format!("{signatures}From: a@a.example\r\n\r\nbody\r\n");
        deliver_again_and_again(s, 400, &|| message.clone());
    }),
    row("SPF that leads to 100 hosts, for each MAIL", |s| spf_senders(s, &["RSET"])),
    row("the same for each RCPT", |s| spf_senders(s, &["RCPT TO:<mox@victim.test>", "RSET"])),
    row("all connections held from one address", |s| {
        let mut held = VecDeque::new();
        while s.goes_on() {
            held.extend(s.connect(s.smtp));
            if held.len() > s.scaled(1500) {
                held.pop_front();
            }
        }
    }),
    row("keys whose name servers are silent", |s| {
        let next = AtomicU64::new(0);
        let message = || signed_by_the_silent(next.fetch_add(1, Ordering::Relaxed));
        std::thread::scope(|scope| {
            for _ in 0..s.scaled(20) {
                scope.spawn(|| deliver_again_and_again(s, 1, &message));
            }
        });
    }),
    Row {
        name: "wrong passwords for an account, from 40 addresses",
        attack: |s| {
            std::thread::scope(|scope| {
                for n in 0..s.scaled(40) {
                    scope.spawn(move || guess(s, Ipv4Addr::new(127, 1, 4 * n as u8, 1)));
                }
            });
        },
        honest: Honest::User,
    },
    row("TLS handshakes beyond the connection rate", |s| {
        let hello = client_hello();
        while s.goes_on() {
            let Some(mut stream) = s.connect(s.submissions) else { continue };
            if stream.write_all(&hello).is_ok() {
                let _ = stream.read(&mut [0; 4096]);
            }
        }
    }),
];

/// Sends messages to many addresses of one account, in one transaction after the other.
fn deliver_again_and_again(scene: &Scene<'_>, recipients: usize, message: &dyn Fn() -> String) {
    let mut envelope = String::from("MAIL FROM:<a@a.example>\r\n");
    for n in 0..scene.scaled(recipients) {
        let _ = write!(envelope, "RCPT TO:<mox+{n}@victim.test>\r\n");
    }
    envelope += "DATA\r\n";
    while scene.goes_on() {
        let Ok(mut client) = Client::connect(scene.smtp) else { continue };
        let _ = deliver(scene, &mut client, &envelope, message);
    }
}

fn deliver(
    scene: &Scene<'_>,
    client: &mut Client,
    envelope: &str,
    message: &dyn Fn() -> String,
) -> Result<()> {
    client.hello()?;
    while scene.goes_on() {
        client.write(envelope.as_bytes())?;
        while !matches!(client.reply()?.0, 354 | 400..) {}
        client.write(format!("{}\r\n.\r\n", message()).as_bytes())?;
        client.reply()?;
    }
    Ok(())
}

/// Sends MAIL for one new sender after the other, each with an SPF record that leads to many hosts, and `then` these commands.
fn spf_senders(scene: &Scene<'_>, then: &[&str]) {
    let mut number = 0;
    while scene.goes_on() {
        let Ok(mut client) = Client::connect(scene.smtp) else { continue };
        let mut go = || -> Result<()> {
            client.hello()?;
            while scene.goes_on() {
                number += 1;
                client.write(format!("MAIL FROM:<a@n{number}.spf.test>\r\n").as_bytes())?;
                client.reply()?;
                for command in then {
                    client.write(format!("{command}\r\n").as_bytes())?;
                    client.reply()?;
                }
            }
            Ok(())
        };
        let _ = go();
    }
}

/// Tries wrong passwords for the account of the honest client.
fn guess(scene: &Scene<'_>, from: Ipv4Addr) {
    let mut number = 0;
    while scene.goes_on() {
        let Ok(mut client) = Client::connect_from(from, scene.submission) else { continue };
        let mut go = || -> Result<()> {
            client.hello()?;
            while scene.goes_on() {
                number += 1;
                let secret = BASE64_STANDARD.encode(format!("\0{ADDRESS}\0wrong password {number}"));
                client.write(format!("AUTH PLAIN {secret}\r\n").as_bytes())?;
                client.reply()?;
            }
            Ok(())
        };
        let _ = go();
    }
}

/// A message with 16 DKIM signatures and 50 ARC sets (RFC 8617 §4.2.1), each with a key whose name server never answers.
fn signed_by_the_silent(number: u64) -> String {
    let (hash, signature) = (BASE64_STANDARD.encode([7; 32]), BASE64_STANDARD.encode([7; 256]));
    let mut text = String::new();
    let mut field = |name: &str, tags: String, set: u32, key: &str| {
        let _ = write!(
            text,
            "{name}: {tags}; a=rsa-sha256;\r\n d={key}{set}-{number}.silent.test; s=s; b={signature}\r\n"
        );
    };
    for set in (1..=50).rev() {
        let chain = if set == 1 { "none" } else { "pass" };
        field("ARC-Seal", format!("i={set}; cv={chain}; t=1"), set, "seal");
        field("ARC-Message-Signature", format!("i={set}; h=From; bh={hash}"), set, "set");
    }
    for n in 0..16 {
        field("DKIM-Signature", format!("v=1; h=From; bh={hash}"), n, "key");
    }
    for set in 1..=50 {
        let _ = write!(text, "ARC-Authentication-Results: i={set}; a.example; none\r\n");
    }
    text + "From: a@a.example\r\n\r\nbody\r\n"
}

/// The smallest ClientHello of TLS 1.3 (RFC 8446 §4.1.2). To answer it, the server has to sign.
fn client_hello() -> Vec<u8> {
    let lists: [(u16, &[u8]); 4] = [
        // supported_versions: TLS 1.3
        (43, &[2, 0x03, 0x04]),
        // supported_groups: x25519
        (10, &[0, 2, 0x00, 0x1d]),
        // signature_algorithms: ECDSA with P-256, RSA-PSS, Ed25519
        (13, &[0, 6, 0x04, 0x03, 0x08, 0x04, 0x08, 0x07]),
        // key_share: a point on x25519; any 32 bytes are one
        (51, &[&[0, 36, 0x00, 0x1d, 0, 32], [9; 32].as_slice()].concat()),
    ];
    let extensions: Vec<u8> = lists
        .iter()
        .flat_map(|(kind, data)| [&kind.to_be_bytes(), &(data.len() as u16).to_be_bytes(), *data].concat())
        .collect();
    // Version, random, no session, three ciphers, no compression.
    let mut body =
        [&[0x03, 0x03][..], &[7; 32], &[0, 0, 6, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 1, 0]].concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let length = (body.len() as u32).to_be_bytes();
    let handshake = [&[1], length.get(1..).unwrap_or_default(), body.as_slice()].concat();
    [&[22, 0x03, 0x01][..], &(handshake.len() as u16).to_be_bytes(), &handshake].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hello_has_the_lengths_that_it_announces() {
        let hello = client_hello();
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
    }

    #[test]
    fn signed_by_the_silent_names_each_key_once() {
        let text = signed_by_the_silent(1);
        assert_eq!(text.matches(".silent.test; s=s;").count(), 116);
        assert!(text.lines().all(|line| line.len() < 998));
    }
}
