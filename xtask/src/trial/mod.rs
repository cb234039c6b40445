//! What the trials share: a server under test in a folder of its own, a plain SMTP client, and reproducible random numbers.

mod client;
mod rng;
mod server;

pub use client::{Client, stream_from};
pub use rng::Rng;
pub use server::{ADDRESS, PASSWORD, Server, free_offset};

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Sends a signal to a process, by the signal's name without SIG.
///
/// # Errors
/// There is no such process.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status()?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

/// Builds moxd in release mode, and returns the path of the program.
///
/// # Errors
/// The build fails.
pub fn build_release() -> Result<PathBuf> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let args = ["build", "--release", "--package", "moxd", "--message-format", "json-render-diagnostics"];
    let output = Command::new(cargo).args(args).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "moxd does not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let executable = text.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        rest.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    executable.context("cargo names no executable")
}
