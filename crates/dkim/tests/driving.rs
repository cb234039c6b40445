//! How a server drives a verification: DNS elsewhere, while the body arrives.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "test code")]

mod common;

use common::{NOW, cases, split};
use dns::Resolver;
use dns::zone::block_on_ready;
use moxd_dkim::{Keys, Policy, Status, Verifier};
use std::sync::Arc;

/// Compiles only if a runtime can move the task to another thread.
fn spawnable<F: Future<Output = Keys> + Send + 'static>(task: F) -> F {
    task
}

#[test]
fn keys_are_looked_up_elsewhere_while_the_body_arrives() {
    let case = cases("verify").into_iter().find(|case| case.name.ends_with("both-algorithms")).unwrap();
    let dns: Arc<dyn Resolver> = Arc::new(case.zone());
    let (header, body) = split(&case.message);
    let mut verifier = Verifier::new(header, &Policy::default(), NOW);
    let lookups = verifier.lookups();
    let task = spawnable(async move { lookups.run(&*dns).await });
    let keys = std::thread::spawn(move || block_on_ready(task));
    body.chunks(5).for_each(|piece| verifier.body(piece));
    let evaluation = verifier.finish(&keys.join().unwrap());
    assert_eq!(evaluation.signatures.len(), 2);
    assert!(evaluation.signatures.iter().all(|verification| verification.status == Status::Pass));
}
