//! `cargo xtask powercut`: the server's file system is frozen as the disk has it at a random moment, and the copy is
//! opened as after a power cut; nothing acknowledged may be lost, changed or doubled.
//!
//! The file system is ext4 in an image on a loop device. The server is stopped (SIGSTOP) under load and the image
//! copied: it holds what reached the block device, not what was still in memory. Needs root, for `mount`.

use crate::crash::{self, Book, Summary};
use crate::trial::{Dice, Server, signal};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Size of the file system.
const IMAGE_OCTETS: u64 = 1536 * 1024 * 1024;

/// Smallest message in octets.
const MIN_SIZE: u64 = 1024;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Power cuts
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Parallel senders
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub senders: u64,
    /// Largest message in octets
    #[arg(long, default_value_t = 512 * 1024, value_parser = clap::value_parser!(u64).range(MIN_SIZE..))]
    pub max_size: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

/// A mounted image; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: &Path) -> Result<Self> {
        std::fs::create_dir_all(at)?;
        command("mount", &["-o", "loop", &image.to_string_lossy(), &at.to_string_lossy()])?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = command("umount", &[&self.0.to_string_lossy()]);
    }
}

/// Runs the trial.
///
/// # Errors
/// The promise is broken, or the trial could not be done.
pub fn run(moxd: &Path, scratch: &Path, options: &Options, mut say: impl FnMut(&str)) -> Result<Summary> {
    say(&format!("seed {}", options.seed));
    let mut dice = Dice::new(options.seed);
    let mut summary = Summary::default();
    for round in 1..=options.rounds {
        let wait = Duration::from_millis(dice.between(100, 2500));
        let (acknowledged, extra) =
            one_cut(moxd, scratch, options, wait).with_context(|| format!("round {round}"))?;
        summary.kills += 1;
        summary.acknowledged += acknowledged;
        summary.extra += extra;
        say(&format!("cut {round} after {wait:?}: {acknowledged} acknowledged are whole, {extra} more"));
    }
    Ok(summary)
}

fn one_cut(moxd: &Path, scratch: &Path, options: &Options, wait: Duration) -> Result<(u64, u64)> {
    let (image, copy) = (scratch.join("image"), scratch.join("copy"));
    for file in [&image, &copy] {
        let _ = std::fs::remove_file(file);
    }
    std::fs::File::create(&image)?.set_len(IMAGE_OCTETS)?;
    let no_lazy = "lazy_itable_init=0,lazy_journal_init=0";
    command("mkfs.ext4", &["-q", "-E", no_lazy, &image.to_string_lossy()])?;

    let load = crash::Options {
        rounds: 1,
        senders: options.senders,
        min_size: MIN_SIZE,
        max_size: options.max_size,
        seed: options.seed,
        verify_every: 1,
    };
    let book = Arc::new(Book::default());
    let acknowledged = {
        let mounted = Mounted::new(&image, &scratch.join("mounted"))?;
        let mut server = Server::new(moxd, &mounted.0.join("server"))?;
        server.start()?;
        // What was made before the trial counts as there: a power cut during set-up is another matter.
        command("sync", &["-f", &mounted.0.to_string_lossy()])?;
        crash::under_load(server.address(1025), &book, &load, wait, || {
            let pid = server.pid().context("the server runs")?;
            signal(pid, "STOP")?;
            std::thread::sleep(Duration::from_millis(50));
            let acknowledged = book.acknowledged();
            command("cp", &["--sparse=always", &image.to_string_lossy(), &copy.to_string_lossy()])?;
            server.kill();
            Ok(acknowledged)
        })?
    };
    let mounted = Mounted::new(&copy, &scratch.join("mounted"))?;
    let server = Server::new(moxd, &mounted.0.join("server"))?;
    let extra = crash::verify(&server, &acknowledged, &load, scratch)?;
    Ok((acknowledged.len() as u64, extra))
}
