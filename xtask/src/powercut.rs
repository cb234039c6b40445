//! `cargo xtask powercut`: copies the disk of a server at a random moment, and opens the copy as after a power cut. No
//! acknowledged message may be lost, changed or duplicated.
//!
//! The disk is an image with ext4 on a loop device. The trial stops the server under load (SIGSTOP) and copies the image: the
//! copy has what reached the block device, and lacks what was still in memory. Needs root, for `mount`.

use crate::crash::{self, Ledger, Summary};
use crate::trial::{Rng, Server, signal};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the disk image.
const IMAGE_BYTES: u64 = 1536 * 1024 * 1024;

/// Bytes of the smallest message.
const MIN_SIZE: u64 = 1024;

/// Options of the trial.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of power cuts
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Number of parallel senders
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub senders: u64,
    /// Largest message in bytes
    #[arg(long, default_value_t = 512 * 1024, value_parser = clap::value_parser!(u64).range(MIN_SIZE..))]
    pub max_size: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs a program.
///
/// # Errors
/// It cannot be started, or does not succeed.
fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), stderr.trim());
    Ok(())
}

/// A mounted image. Dropping it unmounts it.
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

/// Runs the trial in `scratch`.
///
/// # Errors
/// An acknowledged message is lost, changed or duplicated, or the trial could not be run.
pub fn run(moxd: &Path, scratch: &Path, options: &Options, mut report: impl FnMut(&str)) -> Result<Summary> {
    report(&format!("seed {}", options.seed));
    let mut rng = Rng::new(options.seed);
    let mut summary = Summary::default();
    for round in 1..=options.rounds {
        let wait = Duration::from_millis(rng.between(100, 2500));
        let (acknowledged, extra) =
            one_cut(moxd, scratch, options, wait).with_context(|| format!("round {round}"))?;
        summary.kills += 1;
        summary.acknowledged += acknowledged;
        summary.extra += extra;
        report(&format!(
            "cut {round} after {wait:?}: {acknowledged} acknowledged messages are intact, {extra} more"
        ));
    }
    Ok(summary)
}

/// Runs one round on a new disk. Returns how many messages were acknowledged, and how many more were found.
fn one_cut(moxd: &Path, scratch: &Path, options: &Options, wait: Duration) -> Result<(u64, u64)> {
    let (image, copy) = (scratch.join("image"), scratch.join("copy"));
    for file in [&image, &copy] {
        let _ = std::fs::remove_file(file);
    }
    std::fs::File::create(&image)?.set_len(IMAGE_BYTES)?;
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
    let ledger = Arc::new(Ledger::default());
    let acknowledged = {
        let mounted = Mounted::new(&image, &scratch.join("mounted"))?;
        let mut server = Server::new(moxd, &mounted.0.join("server"))?;
        server.start()?;
        // The trial is about mail, so what the server writes when it first starts is on disk before the cut.
        command("sync", &["-f", &mounted.0.to_string_lossy()])?;
        crash::under_load(server.address(1025), &ledger, &load, wait, || {
            let pid = server.pid().context("the server runs")?;
            signal(pid, "STOP")?;
            std::thread::sleep(Duration::from_millis(50));
            let acknowledged = ledger.acknowledged();
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
