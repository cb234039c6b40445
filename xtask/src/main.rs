//! `cargo xtask <task>`: what is done to moxd rather than by it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use xtask::{crash, fixtures, fuzz, r#gen, hostile, powercut, seed, tidy, trial, workspace};

/// Tasks of development
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the house rules: layers, manifests, comments, lengths
    Tidy,
    /// Write the documents that are read out of the sources
    Gen {
        /// Change nothing; fail if a document is not up to date
        #[arg(long)]
        check: bool,
    },
    /// Write the fixtures the tests share: certificates, keys, zones, messages
    Fixtures {
        /// Change nothing; fail if a fixture is not as it would be written
        #[arg(long)]
        check: bool,
    },
    /// Make the seeds of the fuzz targets from the fixtures
    Seed {
        /// Only this target
        target: Option<String>,
    },
    /// Run the fuzz targets, each for a while, and fail if one finds something
    Fuzz(fuzz::Options),
    /// Send attacks to a server while an honest client uses it
    Hostile(Trial<hostile::Options>),
    /// Kill a server at random moments and look for what it had acknowledged
    Crash(Trial<crash::Options>),
    /// Cut the power of a server's file system and look for what it had acknowledged
    Powercut(Trial<powercut::Options>),
}

/// A trial, and of which moxd.
#[derive(clap::Args)]
struct Trial<T: clap::Args> {
    #[command(flatten)]
    options: T,
    /// The moxd to try [default: a release build made now]
    #[arg(long)]
    moxd: Option<PathBuf>,
}

fn main() -> Result<()> {
    let root = workspace::root();
    match Arguments::parse().task {
        Task::Tidy => {
            let findings = tidy::findings(&tidy::Tree::read(&root)?)?;
            for finding in &findings {
                eprintln!("{finding}");
            }
            ensure!(findings.is_empty(), "{} findings", findings.len());
        }
        Task::Gen { check } => {
            let documents = if check { r#gen::documents_to_check(&root)? } else { r#gen::documents(&root)? };
            for path in workspace::put(&root, &documents, check, "cargo xtask gen")? {
                println!("wrote {path}");
            }
        }
        Task::Fixtures { check } => {
            for path in workspace::put(&root, &fixtures::files()?, check, "cargo xtask fixtures")? {
                println!("wrote {path}");
            }
        }
        Task::Seed { target } => {
            for (name, count) in seed::seed(&root, target.as_deref())? {
                println!("{name}: {count} seeds");
            }
        }
        Task::Fuzz(options) => {
            let findings = fuzz::run(&root, &options, |line| println!("{line}"))?;
            ensure!(findings == 0, "{findings} targets found something");
        }
        Task::Hostile(Trial { options, moxd }) => trial(moxd, |moxd, scratch| {
            let outcomes = hostile::run(moxd, scratch, &options, |line| println!("{line}"))?;
            ensure!(outcomes.iter().all(|outcome| outcome.kept), "the promise was not kept");
            Ok(())
        })?,
        Task::Crash(Trial { options, moxd }) => trial(moxd, |moxd, scratch| {
            crash::run(moxd, scratch, &options, |line| println!("{line}")).map(|end| println!("{end:?}"))
        })?,
        Task::Powercut(Trial { options, moxd }) => trial(moxd, |moxd, scratch| {
            powercut::run(moxd, scratch, &options, |line| println!("{line}")).map(|end| println!("{end:?}"))
        })?,
    }
    Ok(())
}

/// Runs a trial in a folder that goes away once the trial is passed.
fn trial(moxd: Option<PathBuf>, run: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let moxd = moxd.map_or_else(trial::build_release, |moxd| Ok(moxd.canonicalize()?))?;
    // Beside the program, which is on a real disk; a temporary folder often is not.
    let scratch = moxd.with_file_name(format!("trial-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    run(&moxd, &scratch)
        .with_context(|| format!("the trial failed; what it had is in {}", scratch.display()))?;
    Ok(std::fs::remove_dir_all(&scratch)?)
}
