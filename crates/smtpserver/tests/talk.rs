//! The conversations of `testdata/talk`, played on the session alone and on the driver.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "test code")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::backend::TestBackend;
use common::pure::{Pure, ready};
use common::talk::{Peer as _, Talk};

fn talks(height: &str) -> Vec<Talk> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/talk");
    let talks: Vec<_> = Talk::all(&folder).into_iter().filter(|talk| talk.suits(height)).collect();
    assert!(!talks.is_empty());
    talks
}

fn play_on_the_session(height: &str, piece: usize) {
    for talk in talks(height) {
        // The test harness shows this only on failure.
        println!("{}", talk.name);
        let rules = common::rules(&talk.kind, &talk.rules);
        let mut pure = Pure::new(rules, Arc::new(TestBackend::default()), piece);
        ready(talk.play(&mut pure));
        assert_eq!(pure.take_out(), b"", "{}: the session replies more", talk.name);
    }
}

#[test]
fn plays_on_the_session() {
    play_on_the_session("session", usize::MAX);
}

#[test]
fn plays_on_the_session_byte_by_byte() {
    play_on_the_session("pieces", 1);
}

#[test]
fn plays_on_the_session_in_pieces() {
    play_on_the_session("pieces", 7);
}

#[tokio::test]
async fn plays_on_the_driver() {
    for talk in talks("driver") {
        println!("{}", talk.name);
        let rules = common::rules(&talk.kind, &talk.rules);
        let implicit = rules.kind.is_implicit_tls();
        let mut client = common::driver::converse(rules, Arc::new(TestBackend::default()));
        if implicit {
            client.start_tls().await;
        }
        talk.play(&mut client).await;
    }
}
