//! `cargo xtask crash`: kill -9 at random moments under parallel senders; nothing acknowledged may be lost, changed or
//! doubled.

use crate::trial::{Client, Dice, Server};
use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Kills
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Parallel senders
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    pub senders: u64,
    /// Smallest message in octets
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub min_size: u64,
    /// Largest message in octets
    #[arg(long, default_value_t = 2 * 1024 * 1024)]
    pub max_size: u64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Verify all mail after so many kills, and begin a new store after ten times as many
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub verify_every: u64,
}

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Kills done.
    pub kills: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages found that nobody acknowledged: their 250 was cut off.
    pub extra: u64,
}

/// The body of message `number`, as it is sent without dot-stuffing: no line begins with a dot.
pub fn message(number: u64, seed: u64, min: u64, max: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed ^ number.wrapping_mul(0x1234_5678_9abc_def1));
    // Many small and some large ones: the exponent is uniform, not the size.
    let span = (max as f64 / min as f64).ln();
    let size = (min as f64 * (span * (dice.next() as f64 / u64::MAX as f64)).exp()) as usize;
    let mut text =
        format!("Message-ID: <{number}@trial.example>\r\nSubject: trial {number}\r\n\r\n").into_bytes();
    while text.len() + 2 < size {
        let line =
            format!("{:016x}{:016x}{:016x}{:016x}", dice.next(), dice.next(), dice.next(), dice.next());
        let keep = line.len().min(size - text.len() - 2);
        text.extend_from_slice(line.get(..keep).unwrap_or_default().as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text
}

/// The senders' common book: which messages were acknowledged.
#[derive(Debug, Default)]
pub struct Book {
    next: AtomicU64,
    acknowledged: Mutex<HashSet<u64>>,
}

impl Book {
    /// The messages acknowledged so far.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.lock().iter().copied().collect()
    }
}

/// Sends until `stop` is set or the server is gone, and writes every 250 into the book.
pub fn sender(to: SocketAddr, book: &Book, options: &Options, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(to) else { return };
        if client.hello().is_err() {
            return;
        }
        while !stop.load(Ordering::Relaxed) {
            let number = book.next.fetch_add(1, Ordering::Relaxed);
            let mut data = message(number, options.seed, options.min_size, options.max_size);
            data.extend_from_slice(b".\r\n");
            if client.send("trial@sender.example", "mox@localhost", &data).is_err() {
                return;
            }
            book.acknowledged.lock().insert(number);
        }
    }
}

/// Starts the senders, waits, does what interrupts the server, and waits for the senders.
///
/// # Errors
/// What the interruption fails with.
pub fn under_load<T>(
    to: SocketAddr,
    book: &Arc<Book>,
    options: &Options,
    wait: Duration,
    interrupt: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..options.senders {
            scope.spawn(|| sender(to, book, options, &stop));
        }
        std::thread::sleep(wait);
        let result = interrupt();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// Reads all mail back and compares. Returns how many messages are there that nobody acknowledged.
///
/// # Errors
/// A message is missing, changed or doubled, or the store is not consistent.
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
        // Files have LF at the end of a line where mail has CRLF.
        let mut want = message(number, options.seed, options.min_size, options.max_size);
        want.retain(|octet| *octet != b'\r');
        // moxd puts its own header fields before what it received.
        ensure!(kept.ends_with(&want), "message {number} is not what was sent: {}", path.display());
        *found.entry(number).or_default() += 1;
    }
    if let Some((number, times)) = found.iter().find(|(_, times)| **times > 1) {
        bail!("message {number} is there {times} times");
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
/// The promise is broken, or the trial could not be done.
pub fn run(moxd: &Path, scratch: &Path, options: &Options, mut say: impl FnMut(&str)) -> Result<Summary> {
    let (min, max) = (options.min_size, options.max_size);
    ensure!(min <= max, "--min-size {min} is more than --max-size {max}");
    say(&format!("seed {}", options.seed));
    let mut dice = Dice::new(options.seed);
    let mut summary = Summary::default();
    let mut book = Arc::new(Book::default());
    let dir = scratch.join("server");
    let mut server = Server::new(moxd, &dir)?;
    for round in 1..=options.rounds {
        server.start().with_context(|| format!("round {round}"))?;
        let wait = Duration::from_millis(dice.between(5, 900));
        under_load(server.address(1025), &book, options, wait, || Ok(server.kill()))?;
        summary.kills += 1;
        let last = round == options.rounds;
        if round % options.verify_every == 0 || last {
            let acknowledged = book.acknowledged();
            let extra =
                verify(&server, &acknowledged, options, scratch).with_context(|| format!("round {round}"))?;
            say(&format!("{round} kills: {} acknowledged are whole, {extra} more", acknowledged.len()));
            if round % (10 * options.verify_every) == 0 || last {
                summary.acknowledged += acknowledged.len() as u64;
                summary.extra += extra;
                book = Arc::new(Book { next: AtomicU64::new(round << 32), ..Book::default() });
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
    fn trials_of_nothing_are_refused() {
        for argument in ["--rounds", "--senders", "--min-size", "--verify-every"] {
            assert!(Line::try_parse_from(["crash", argument, "0"]).is_err(), "{argument}");
        }
        let line = Line::try_parse_from(["crash", "--min-size", "9", "--max-size", "8"]).unwrap();
        let nowhere = Path::new("/nonexistent");
        let why = run(nowhere, nowhere, &line.options, |_| {}).unwrap_err();
        assert_eq!(why.to_string(), "--min-size 9 is more than --max-size 8");
    }
}
