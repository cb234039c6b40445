//! The engines of this crate keep the rules of the seam.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

use moxd_store::engine::{
    local::{Local, Options},
    memory::Memory,
};
use store_conformance::{Fixture, assert_conforms};

#[test]
fn the_engine_in_memory_conforms() {
    assert_conforms(|| Fixture::volatile(Memory::new));
}

#[test]
fn the_local_engine_conforms() {
    assert_conforms(|| local(Options::default));
}

/// Limits so small that segments end, runs are written and snapshots are taken all the time.
#[test]
fn the_local_engine_conforms_while_it_is_busy_with_its_files() {
    assert_conforms(|| {
        local(|| Options { segment_size: 64 * 1024, snapshot_min: 16 * 1024, ..Options::default() })
    });
}

fn local(options: fn() -> Options) -> Fixture {
    // In memory where that can be: syncs cost nothing there.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    Fixture::durable(move || Local::open(dir.path(), options()).unwrap())
}
