//! The conversations of `smtpserver`, played with the real server over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "test code")]

mod common;
#[allow(dead_code, unreachable_pub, reason = "it is for more tests than this one")]
#[path = "../../../crates/smtpserver/tests/common/talk.rs"]
mod talk;

use common::client::Smtp;
use common::server::{SMTP, SUBMISSION, SUBMISSIONS, Server};
use rustls::pki_types::CertificateDer;
use std::path::Path;
use talk::{Peer, Talk};

/// A connection to the server under test.
struct Connection {
    client: Smtp,
    certificate: CertificateDer<'static>,
}

impl Peer for Connection {
    async fn send(&mut self, bytes: &[u8]) {
        self.client.write(bytes);
    }

    async fn line(&mut self) -> Option<String> {
        self.client.line()
    }

    async fn start_tls(&mut self) {
        self.client.handshake(&self.certificate).unwrap();
    }

    async fn stop(&mut self) {
        panic!("the server is needed for the next conversation");
    }
}

#[test]
fn plays_on_the_real_server() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/smtpserver/testdata/talk");
    let talks: Vec<_> = Talk::all(&folder).into_iter().filter(|talk| talk.suits("server")).collect();
    assert!(talks.len() > 40, "only {} conversations", talks.len());
    // These scripts need the strict dialect.
    let mut server = Server::develop_with(&["--pedantic"]);
    let certificate = server.certificate();
    for talk in talks {
        // The test harness shows this only on failure.
        println!("{}", talk.name);
        let port = match talk.kind.as_str() {
            "smtp" => SMTP,
            "submission" => SUBMISSION,
            "submissions" => SUBMISSIONS,
            other => panic!("unknown kind {other}"),
        };
        let client = Smtp::open(server.address(port));
        let mut connection = Connection { client, certificate: certificate.clone() };
        dns::zone::block_on_ready(async {
            if port == SUBMISSIONS {
                connection.start_tls().await;
            }
            talk.play(&mut connection).await;
        });
    }
    let said = server.stop();
    assert!(!said.contains("panicked"), "{said}");
}
