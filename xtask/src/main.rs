//! `cargo xtask <task>`: the tasks of developers.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use xtask::{crash, fixtures, fuzz, r#gen, hostile, powercut, seed, tidy, trial, workspace};

/// Run a task of development
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the house rules: layers, purity, sizes, documentation, tokens
    Tidy,
    /// Write the documents that are made from the sources
    Gen {
        /// Change nothing; fail if a document is not up to date
        #[arg(long)]
        check: bool,
    },
    /// Write the fixtures that tests share: certificates, keys, zones, messages
    Fixtures {
        /// Change nothing; fail if a fixture is not up to date
        #[arg(long)]
        check: bool,
    },
    /// Write the seeds of the fuzz targets, made from the fixtures
    Seed {
        /// Only this target
        target: Option<String>,
    },
    /// Run the fuzz targets one after the other; fail if one finds something
    Fuzz(fuzz::Options),
    /// Attack a server while an honest client uses it; fail if the client notices
    Hostile(Trial<hostile::Options>),
    /// Kill a server at random moments; fail if it lost an acknowledged message
    Crash(Trial<crash::Options>),
    /// Cut the power of a server's disk at random moments; fail if it lost an acknowledged message
    Powercut(Trial<powercut::Options>),
}

/// The options of a trial, and the program to try.
#[derive(clap::Args)]
struct Trial<T: clap::Args> {
    #[command(flatten)]
    options: T,
    /// Path of the moxd to try [default: build one in release mode]
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

/// Runs a trial in a folder of its own, and removes the folder if the trial passes.
fn trial(moxd: Option<PathBuf>, run: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let moxd = moxd.map_or_else(trial::build_release, |moxd| Ok(moxd.canonicalize()?))?;
    // Beside the program, which is on a real disk: the folder for temporary files is often in memory.
    let scratch = moxd.with_file_name(format!("trial-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)?;
    run(&moxd, &scratch)
        .with_context(|| format!("the trial failed; its files are in {}", scratch.display()))?;
    Ok(std::fs::remove_dir_all(&scratch)?)
}
