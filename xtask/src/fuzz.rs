//! `cargo xtask fuzz`: runs the fuzz targets one after the other, each for a fixed time.

use crate::seed;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seconds that a target may spend on one input; more is a finding.
const MAX_INPUT_SECONDS: u64 = 20;
/// MiB of memory that a target may use; more is a finding.
const MAX_MEMORY_MIB: u64 = 2048;

/// Options of the task.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Run only these targets
    pub targets: Vec<String>,
    /// Seconds that each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
}

/// Builds the targets, runs them, and reports a line about each. Returns how many found something.
///
/// # Errors
/// A target does not exist, or the targets do not build.
pub fn run(root: &Path, options: &Options, mut report: impl FnMut(&str)) -> Result<usize> {
    let wanted = &options.targets;
    for name in wanted {
        ensure!(seed::targets().any(|known| known == name), "there is no fuzz target `{name}`");
    }
    let targets: Vec<&str> = seed::targets()
        .filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target))
        .collect();
    report(&format!("building {} targets", targets.len()));
    let built = build(root, &targets)?;
    let mut findings = 0;
    for target in targets {
        seed::seed(root, Some(target))?;
        let outcome = run_target(root, &built, target, options.seconds)?;
        findings += usize::from(outcome.found.is_some());
        report(&format!("{target}: {outcome}"));
    }
    Ok(findings)
}

/// Builds the targets, and returns the folder with the programs.
fn build(root: &Path, targets: &[&str]) -> Result<PathBuf> {
    let script = root.join("fuzz/build");
    let mut command = Command::new(&script);
    // `cargo run` sets variables that name the running package. Build scripts that read them would run again, and cargo would
    // rebuild all that depends on them.
    let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_package)) {
        command.env_remove(name);
    }
    let output = command.args(targets).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| script.display().to_string())?;
    ensure!(output.status.success(), "the fuzz targets do not build");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// How a run of a target ended.
struct Outcome {
    runs: u64,
    /// The finding, with the path of the log; `None` if the target passed.
    found: Option<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.found {
            None => write!(f, "{} runs, no finding", self.runs),
            Some(found) => write!(f, "FOUND after {} runs: {found}", self.runs),
        }
    }
}

fn run_target(root: &Path, built: &Path, target: &str, seconds: u64) -> Result<Outcome> {
    let folder = |kind: &str| root.join("fuzz").join(kind).join(target);
    let [corpus, artifacts, seeds] = ["corpus", "artifacts", "seeds"].map(folder);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let log = artifacts.with_extension("log");
    let mut command = Command::new(built.join(target));
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={MAX_INPUT_SECONDS}")).arg(format!("-rss_limit_mb={MAX_MEMORY_MIB}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(corpus).arg(seeds);
    let stderr = fs::File::create(&log).with_context(|| log.display().to_string())?;
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).status();
    let status = status.with_context(|| format!("run {target}"))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let found = (!status.success()).then(|| format!("{} ({})", reason(&text), log.display()));
    Ok(Outcome { runs: runs(&text), found })
}

/// Returns how many inputs were tried, from the last line of libFuzzer with a count: `#4096 pulse cov: 12 …`.
fn runs(log: &str) -> u64 {
    let count = |line: &str| line.strip_prefix('#')?.split_whitespace().next()?.parse().ok();
    log.lines().rev().find_map(count).unwrap_or_default()
}

/// Returns the message of the panic, or libFuzzer's own about an input that takes too much time or memory.
fn reason(log: &str) -> String {
    let lines = || log.lines().map(str::trim);
    let panic =
        lines().skip_while(|line| !line.contains("panicked at")).take(2).collect::<Vec<_>>().join(" ");
    if !panic.is_empty() {
        return panic;
    }
    let error = lines().find(|line| line.contains("ERROR: libFuzzer"));
    error.unwrap_or("it failed without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_target_says() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 3\n#4096\tpulse  cov: 12 ft: 34\n\nthread '<unnamed>' panicked at \
                   src/x.rs:1:2:\nassertion failed\nstack\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(runs(log), 4096);
        assert_eq!(reason(log), "thread '<unnamed>' panicked at src/x.rs:1:2: assertion failed");
        assert_eq!(
            reason("==1== ERROR: libFuzzer: timeout after 20 seconds\n"),
            "==1== ERROR: libFuzzer: timeout after 20 seconds"
        );
        assert_eq!((runs(""), reason("").as_str()), (0, "it failed without a message"));
        let outcome = Outcome { runs: 7, found: None };
        assert_eq!(outcome.to_string(), "7 runs, no finding");
    }

    #[test]
    fn refuses_a_target_that_is_not_there() {
        let options = Options { targets: vec!["none".to_owned()], seconds: 1 };
        let error = run(Path::new("/nowhere"), &options, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "there is no fuzz target `none`");
    }
}
