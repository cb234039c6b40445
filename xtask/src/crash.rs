//! `cargo xtask crash`: kills a server with SIGKILL at random moments while clients send to it. No acknowledged message may be
//! lost, changed or duplicated.

use crate::trial::{Client, Rng, Server};
use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Options of the trial.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Number of kills
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Number of parallel senders
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub senders: u64,
    /// Smallest message in bytes
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub min_size: u64,
    /// Largest message in bytes
    #[arg(long, default_value_t = 2 * 1024 * 1024)]
    pub max_size: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Verify all mail after this many kills, and start with an empty store after ten times as many
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub verify_every: u64,
}

/// Counts over a whole trial.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Kills, or power cuts.
    pub kills: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages in the store whose acknowledgement never arrived: the server stopped between commit and reply.
    pub extra: u64,
}

/// Composes message `number`. No line begins with a dot, so it is sent as it is.
pub fn message(number: u64, seed: u64, min: u64, max: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed ^ number.wrapping_mul(0x1234_5678_9abc_def1));
    // Many small messages and some large ones: the exponent is uniform, not the size.
    let span = (max as f64 / min as f64).ln();
    let size = (min as f64 * (span * (rng.next() as f64 / u64::MAX as f64)).exp()) as usize;
    let mut text =
        format!("Message-ID: <{number}@trial.example>\r\nSubject: trial {number}\r\n\r\n").into_bytes();
    while text.len() + 2 < size {
        let line = format!("{:016x}{:016x}{:016x}{:016x}", rng.next(), rng.next(), rng.next(), rng.next());
        let keep = line.len().min(size - text.len() - 2);
        text.extend_from_slice(line.get(..keep).unwrap_or_default().as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// Records which messages the server acknowledged; shared by all senders.
#[derive(Debug, Default)]
pub struct Ledger {
    next: AtomicU64,
    acknowledged: Mutex<HashSet<u64>>,
}

impl Ledger {
    /// Returns the numbers of the messages acknowledged so far.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.lock().iter().copied().collect()
    }
}

/// Sends messages until `stop` is set or the server is gone, and records every 250 in the ledger.
pub fn sender(to: SocketAddr, ledger: &Ledger, options: &Options, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(to) else { return };
        if client.hello().is_err() {
            return;
        }
        while !stop.load(Ordering::Relaxed) {
            let number = ledger.next.fetch_add(1, Ordering::Relaxed);
            let mut data = message(number, options.seed, options.min_size, options.max_size);
            data.extend_from_slice(b".\r\n");
            if client.send("trial@sender.example", "mox@localhost", &data).is_err() {
                return;
            }
            ledger.acknowledged.lock().insert(number);
        }
    }
}

/// Starts the senders, calls `interrupt` after `wait`, and then waits for the senders to end.
///
/// # Errors
/// `interrupt` fails.
pub fn under_load<T>(
    to: SocketAddr,
    ledger: &Arc<Ledger>,
    options: &Options,
    wait: Duration,
    interrupt: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..options.senders {
            scope.spawn(|| sender(to, ledger, options, &stop));
        }
        std::thread::sleep(wait);
        let result = interrupt();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// Reads all mail back and compares it with what was sent. Returns how many messages there are beyond the acknowledged ones.
///
/// # Errors
/// A message is missing, changed or duplicated, or the store is not consistent.
pub fn verify(server: &Server, acknowledged: &[u64], options: &Options, scratch: &Path) -> Result<u64> {
    let checked = server.verb(&["verifydata", &server.data().to_string_lossy()])?;
    if !checked.status.success() {
        bail!(
            "verifydata: {}{}",
            String::from_utf8_lossy(&checked.stdout),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    let folder = scratch.join("export");
    let _ = std::fs::remove_dir_all(&folder);
    let exported = server.verb(&["export", "maildir", "mox", &folder.to_string_lossy()])?;
    ensure!(exported.status.success(), "export: {}", String::from_utf8_lossy(&exported.stderr));

    let mut found: HashMap<u64, u64> = HashMap::new();
    for path in files(&folder)? {
        let kept = std::fs::read(&path)?;
        let number = number_of(&kept).with_context(|| format!("{} has no number", path.display()))?;
        // Maildir files end their lines in LF; messages in CRLF.
        let mut want = message(number, options.seed, options.min_size, options.max_size);
        want.retain(|byte| *byte != b'\r');
        // moxd prepends its own header fields.
        ensure!(kept.ends_with(&want), "message {number} is not what was sent: {}", path.display());
        *found.entry(number).or_default() += 1;
    }
    if let Some((number, times)) = found.iter().find(|(_, times)| **times > 1) {
        bail!("message {number} is stored {times} times");
    }
    let missing: Vec<_> = acknowledged.iter().filter(|n| !found.contains_key(n)).collect();
    ensure!(missing.is_empty(), "{} acknowledged messages are lost: {missing:?}", missing.len());
    std::fs::remove_dir_all(&folder)?;
    Ok((found.len() - acknowledged.len()) as u64)
}

fn number_of(message: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(message.get(..message.len().min(4096))?);
    let (_, rest) = text.split_once("Message-ID: <")?;
    rest.split_once("@trial.example>")?.0.parse().ok()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.path().parent().is_some_and(|p| p.ends_with("cur") || p.ends_with("new")) {
                all.push(entry.path());
            }
        }
    }
    Ok(all)
}

/// Runs the trial in `scratch`, which should be on a real disk.
///
/// # Errors
/// An acknowledged message is lost, changed or duplicated, or the trial could not be run.
pub fn run(moxd: &Path, scratch: &Path, options: &Options, mut report: impl FnMut(&str)) -> Result<Summary> {
    let (min, max) = (options.min_size, options.max_size);
    ensure!(min <= max, "--min-size {min} is more than --max-size {max}");
    report(&format!("seed {}", options.seed));
    let mut rng = Rng::new(options.seed);
    let mut summary = Summary::default();
    let mut ledger = Arc::new(Ledger::default());
    let dir = scratch.join("server");
    let mut server = Server::new(moxd, &dir)?;
    for round in 1..=options.rounds {
        server.start().with_context(|| format!("round {round}"))?;
        let wait = Duration::from_millis(rng.between(5, 900));
        under_load(server.address(1025), &ledger, options, wait, || Ok(server.kill()))?;
        summary.kills += 1;
        let last = round == options.rounds;
        if round % options.verify_every == 0 || last {
            let acknowledged = ledger.acknowledged();
            let extra =
                verify(&server, &acknowledged, options, scratch).with_context(|| format!("round {round}"))?;
            report(&format!(
                "{round} kills: {} acknowledged messages are intact, {extra} more",
                acknowledged.len()
            ));
            if round % (10 * options.verify_every) == 0 || last {
                summary.acknowledged += acknowledged.len() as u64;
                summary.extra += extra;
                ledger = Arc::new(Ledger { next: AtomicU64::new(round << 32), ..Ledger::default() });
                std::fs::remove_dir_all(&dir)?;
            }
        }
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn refuses_a_trial_of_nothing() {
        for argument in ["--rounds", "--senders", "--min-size", "--verify-every"] {
            assert!(Line::try_parse_from(["crash", argument, "0"]).is_err(), "{argument}");
        }
        let line = Line::try_parse_from(["crash", "--min-size", "9", "--max-size", "8"]).unwrap();
        let nowhere = Path::new("/nonexistent");
        let error = run(nowhere, nowhere, &line.options, |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "--min-size 9 is more than --max-size 8");
    }
}
