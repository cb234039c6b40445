//! Finds and reads the configuration files. An error has a line for each problem in them.

use anyhow::{Context, Result, bail, ensure};
use config::{Config, DataPlace, Domains, Server};
use host::privileges;
use nix::unistd::geteuid;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The configuration file to use: the given one, or the first of the usual ones that exists.
pub(crate) fn path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let [here, system] = ["config/moxd.toml", "/etc/moxd/moxd.toml"].map(Path::new);
    // The current folder may belong to another user, whose configuration would say which files root reads.
    let weak = match here.exists() && geteuid().is_root() {
        true => privileges::weak_link(here).with_context(|| format!("look at {}", here.display()))?,
        false => None,
    };
    if let Some(weak) = &weak {
        let text = format!(
            "moxd: warning: {} is passed over: {} is not root's alone; name the file with --config to use it all the same",
            here.display(),
            weak.display()
        );
        // The verb goes on even if standard error is closed.
        let _ = writeln!(std::io::stderr(), "{text}");
    }
    if here.exists() && weak.is_none() {
        return Ok(here.to_owned());
    }
    ensure!(
        system.exists(),
        "no configuration: neither {} nor {} is there; name the file with --config FILE",
        here.display(),
        system.display()
    );
    Ok(system.to_owned())
}

/// Reads both files. The error has a line for each problem.
pub(crate) fn load(path: &Path) -> Result<Config> {
    let domains_path = domains_path(path);
    let (server, domains) = (read(path)?, read(&domains_path)?);
    let origins = (path.to_string_lossy(), domains_path.to_string_lossy());
    config::parse((&server, &origins.0), (&domains, &origins.1)).or_else(|problems| failed(&problems))
}

/// Reads from moxd.toml where the data is, whatever else is wrong with the file.
pub(crate) fn load_data_place(path: &Path) -> Result<DataPlace> {
    config::parse_data_place(&read(path)?, &path.to_string_lossy()).or_else(|problems| failed(&problems))
}

/// Reads moxd.toml alone.
pub(crate) fn load_server(path: &Path) -> Result<Server> {
    config::parse_server(&read(path)?, &path.to_string_lossy()).or_else(|problems| failed(&problems))
}

/// Reads domains.toml again, and checks that it agrees with the moxd.toml that the server runs with.
pub(crate) fn reload(path: &Path, server: &Server) -> Result<Domains> {
    let path = domains_path(path);
    let domains = config::parse_domains(&read(&path)?, &path.to_string_lossy())
        .or_else(|problems| failed(&problems))?;
    match config::disagreements(server, &domains) {
        problems if problems.is_empty() => Ok(domains),
        problems => failed(&problems),
    }
}

fn failed<T>(problems: &[config::Problem]) -> Result<T> {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("{}", lines.join("\n"))
}

fn domains_path(path: &Path) -> PathBuf {
    path.with_file_name("domains.toml")
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow::anyhow!("{}:{line}: is not UTF-8; save the file as UTF-8", path.display())
    })
}
