//! Two processes that share a store: one replaces what the other keeps in memory.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{HEADER, TestServer, client, different, directory, settings};
use moxd_intake::{AccountRules, Environment, Intake};
use smtpserver::Kind;
use std::sync::Arc;
use store::Store;

#[tokio::test]
async fn a_large_submission_is_tried_again_when_another_process_took_over_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), store::Options::default()).unwrap();
    let process = || {
        let settings = settings(directory(&["ann", "bob"], &AccountRules::default()));
        let environment = Environment { random: different, ..common::ENVIRONMENT };
        let backend = Intake::new(store.clone(), None, settings, environment).unwrap();
        TestServer { backend: Arc::new(backend), store: store.clone() }
    };
    let (one, other) = (process(), process());
    let user = client(Kind::Submission, Some("ann"));
    let to = ["bob@a.example"];
    one.send(&user, "ann@a.example", &to, &format!("{HEADER}\r\nfirst\r\n")).await.unwrap();
    other.send(&user, "ann@a.example", &to, &format!("{HEADER}\r\nsecond\r\n")).await.unwrap();
    let body = "0123456789\r\n".repeat(200_000);
    one.send(&user, "ann@a.example", &to, &format!("{HEADER}\r\n{body}")).await.unwrap();
    let inbox = one.inbox("bob");
    assert_eq!(inbox.len(), 3);
    assert!(inbox[2].ends_with(&format!("\r\n\r\n{body}")));
}
