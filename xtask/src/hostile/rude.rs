//! Clients that break the protocol or never stop. They attack a server in developer mode, which has no limits by address
//! that would stop them first.

use super::{Attack, Scene};
use crate::trial::{Client, Rng};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(super) const ATTACKS: &[(&str, Attack)] = &[
    ("nothing at all", |s| {
        while s.goes_on() {
            std::thread::sleep(Duration::from_millis(20))
        }
    }),
    ("2,000 connections of a byte a second", |s| {
        let held = (0..s.scaled(2000)).filter_map(|_| s.connect(s.smtp)).collect();
        s.drip(held, b"EHLO a.example\r\n");
    }),
    ("500 slow in DATA", |s| {
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        let held = (0..s.scaled(500)).filter_map(|_| s.session(s.smtp, begin)).collect();
        s.drip(held, b"Subject: slow\r\n");
    }),
    ("1,000 half-open TLS handshakes", |s| {
        let held: Vec<_> = (0..s.scaled(1000)).filter_map(|_| s.connect(s.submissions)).collect();
        // The beginning of a ClientHello record, without the rest.
        s.drip(held, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    }),
    ("lines of 100 MB", |s| {
        let line = vec![b'x'; 1 << 20];
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, "EHLO a.example\n") else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("lines of 100 MB in DATA", |s| {
        let line = vec![b'x'; 1 << 20];
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, begin) else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("endless AUTH", |s| {
        let line = vec![b'Q'; 1 << 16];
        while s.goes_on() {
            let Some(mut stream) = s.session(s.submission, "EHLO a.example\nAUTH SCRAM-SHA-256\n") else {
                continue;
            };
            (0..1000).take_while(|_| s.goes_on() && stream.write_all(&line).is_ok()).count();
        }
    }),
    ("wrong passwords", |s| {
        std::thread::scope(|scope| {
            for _ in 0..s.scaled(50) {
                scope.spawn(|| {
                    while s.goes_on() {
                        let Some(mut stream) = s.session(s.submission, "EHLO a.example\n") else { continue };
                        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                        let line = b"AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmd3cm9uZw==\r\n";
                        let mut reply = [0; 256];
                        while s.goes_on()
                            && stream.write_all(line).is_ok()
                            && stream.read(&mut reply).is_ok_and(|n| n > 0)
                        {}
                    }
                });
            }
        });
    }),
    ("a million RCPTs", |s| {
        let batch = "RCPT TO:<mox@localhost>\r\n".repeat(1000);
        while s.goes_on() {
            let Some(stream) = s.session(s.smtp, "EHLO a.example\nMAIL FROM:<a@a.example>\n") else {
                continue;
            };
            pump(s, stream, &[batch.as_bytes()], 1000);
        }
    }),
    ("an endless header", |s| {
        let begin = "EHLO a.example\nMAIL FROM:<a@a.example>\nRCPT TO:<mox@localhost>\nDATA\n";
        let field = format!("X-Long: {}\r\n", "y".repeat(900)).repeat(70);
        while s.goes_on() {
            let Some(stream) = s.session(s.smtp, begin) else { continue };
            s.flood(stream, field.as_bytes());
        }
    }),
    ("MIME nested 10,000 deep", |s| {
        let mut text = String::from("From: a@a.example\r\nMIME-Version: 1.0\r\n");
        for level in 0..10_000 {
            text.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
        }
        whole_messages(s, &text);
    }),
    ("a million header fields", |s| {
        let text = "A: b\r\n".repeat(1_000_000) + "\r\nbody\r\n";
        whole_messages(s, &text);
    }),
    ("STARTTLS, then garbage", |s| {
        let mut rng = Rng::new(7);
        while s.goes_on() {
            let Some(mut stream) = s.session(s.submission, "EHLO a.example\nSTARTTLS\n") else { continue };
            let garbage: Vec<u8> = (0..4096).map(|_| rng.next() as u8).collect();
            let _ = stream.write_all(&garbage);
            let _ = stream.read(&mut [0; 64]);
        }
    }),
    ("NOOPs whose replies are not read", |s| {
        let noops = "NOOP\r\n".repeat(10_000);
        let mut held = Vec::new();
        while s.goes_on() {
            let Some(mut stream) = s.session(s.smtp, "EHLO a.example\n") else { continue };
            (0..100).take_while(|_| s.goes_on() && stream.write_all(noops.as_bytes()).is_ok()).count();
            held.push(stream);
        }
    }),
    ("fast connect and close", |s| {
        while s.goes_on() {
            drop(s.connect(s.smtp));
        }
    }),
];

/// Writes the pieces in turn, and reads the replies meanwhile, so that the server never waits for this client.
fn pump(scene: &Scene<'_>, stream: TcpStream, pieces: &[&[u8]], times: usize) {
    let Ok(mut reader) = stream.try_clone() else { return };
    let _ = reader.set_read_timeout(Some(Duration::from_millis(500)));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while scene.goes_on() {
                match reader.read(&mut buffer) {
                    Ok(0) => return,
                    Err(e) if !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
                    _ => {}
                }
            }
        });
        let mut stream = &stream;
        for piece in pieces.iter().cycle().take(times * pieces.len()) {
            if !scene.goes_on() || stream.write_all(piece).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
}

/// Sends the same message again and again.
fn whole_messages(scene: &Scene<'_>, text: &str) {
    let data = format!("{text}\r\n.\r\n");
    while scene.goes_on() {
        let Ok(mut client) = Client::connect(scene.smtp) else { continue };
        let _ = client.hello();
        while scene.goes_on() {
            if client.send("a@a.example", "mox@localhost", data.as_bytes()).is_err() {
                break;
            }
        }
    }
}
