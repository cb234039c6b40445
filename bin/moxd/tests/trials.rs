//! Short forms of the trials that `cargo xtask crash`, `hostile` and `powercut` run at length.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use xtask::{crash, hostile, powercut};

const MOXD: &str = env!("CARGO_BIN_EXE_moxd");

/// The most memory an unoptimised server may hold under attack, in bytes: the promise of the full trial.
const MOST_MEMORY: u64 = 100 * 1024 * 1024;

/// A folder beside the build, which is on a real disk; a temporary folder often is not.
fn scratch() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let options = crash::Options {
        rounds: 4,
        senders: 4,
        min_size: 1024,
        max_size: 300 * 1024,
        seed: 1,
        verify_every: 2,
    };
    let scratch = scratch();
    let summary = crash::run(Path::new(MOXD), scratch.path(), &options, |line| println!("{line}")).unwrap();
    assert_eq!(summary.kills, options.rounds);
    assert!(summary.acknowledged > 0, "{summary:?}");
}

#[test]
fn honest_mail_passes_between_hostile_clients() {
    let options =
        hostile::Options { seconds: 1, percent: 5, only: None, descriptors: None, messages: 0, recovery: 0 };
    let scratch = scratch();
    let outcomes =
        hostile::run(Path::new(MOXD), scratch.path(), &options, |line| println!("{line}")).unwrap();
    for outcome in &outcomes {
        // Only the full trial judges the time: this machine may be busy with other tests.
        let passed = outcome.sent > 0 && outcome.refused.is_empty();
        assert!(passed && outcome.memory <= MOST_MEMORY, "{outcome:?}");
    }
}

/// Returns whether the power cut trial can run: it needs root and these programs.
fn can_mount() -> bool {
    let found = |program: &str| {
        let folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        folders.iter().any(|folder| Path::new(folder).join(program).exists())
    };
    nix::unistd::geteuid().is_root()
        && found("mkfs.ext4")
        && Path::new("/dev/loop-control").exists()
        && Command::new("losetup").arg("-f").output().is_ok_and(|output| output.status.success())
}

#[test]
fn nothing_acknowledged_is_lost_to_a_power_cut() {
    if !can_mount() {
        println!("skipped: this needs root, mkfs.ext4 and loop devices");
        return;
    }
    let options = powercut::Options { rounds: 1, senders: 4, max_size: 300 * 1024, seed: 1 };
    let scratch = scratch();
    let path: PathBuf = scratch.path().to_owned();
    let summary = powercut::run(Path::new(MOXD), &path, &options, |line| println!("{line}")).unwrap();
    assert_eq!(summary.kills, 1);
}
