//! `moxd config test`: checks the files and names that a configuration mentions, for what would keep the server from starting
//! and for what is probably not meant.

use crate::{configuration, wiring};
use anyhow::{Result, ensure};
use certificates::{objections, read};
use config::{Config, Listener, Server};
use host::keyfile::{self, KeyRing};
use host::text::printable;
use host::{privileges, terminal};
use nix::unistd::{User, geteuid};
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// `moxd config test`.
pub(crate) fn test(path: &Path) -> Result<()> {
    let config = configuration::load(path)?;
    let Findings { errors, warnings } = inspect(&config, wiring::now());
    for warning in warnings {
        writeln!(std::io::stderr(), "moxd: warning: {}", printable(&warning))?;
    }
    ensure!(errors.is_empty(), "{}", errors.join("\n"));
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let accounts = count(config.domains.accounts.len(), "account");
    let domains = count(config.domains.domains.len(), "domain");
    terminal::print(format!("{name} and domains.toml are valid: {accounts}, {domains}\n").as_bytes())
}

/// What the test found, one line each.
#[derive(Debug, Default)]
struct Findings {
    /// Mistakes: the server would not start, or clients would refuse it.
    errors: Vec<String>,
    /// What works, but is probably not meant.
    warnings: Vec<String>,
}

/// Checks everything that the configuration names.
fn inspect(config: &Config, now: SystemTime) -> Findings {
    let mut findings = Findings::default();
    findings.warnings.extend(config.questions().iter().map(ToString::to_string));
    let user = findings.user(&config.server);
    findings.data(&config.server, user.as_ref());
    findings.certificates(&config.server, now, user.as_ref());
    for (domain, rules) in &config.domains.domains {
        for (name, selector) in &rules.dkim.selectors {
            findings.outcome(wiring::signer(domain, name, rules, &mut KeyRing::default()).map(drop));
            findings.key_file(&selector.key, user.as_ref());
        }
    }
    // Listeners share files, so some findings are made twice.
    for lines in [&mut findings.errors, &mut findings.warnings] {
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
    }
    findings
}

impl Findings {
    /// Notes a failed check. A file that this user cannot read may be readable for the server.
    fn outcome(&mut self, result: Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if keyfile::is_denied(&error) && !geteuid().is_root() => {
                self.warnings.push(format!("not checked: {error:#}"));
            }
            Err(error) => self.errors.push(format!("{error:#}")),
        }
    }

    fn user(&mut self, server: &Server) -> Option<User> {
        let Some(name) = &server.user else {
            // A server on loopback only is for development.
            let is_public = |listener: &Listener| listener.ips.iter().any(|ip| !ip.is_loopback());
            if geteuid().is_root() && server.listeners.iter().any(is_public) {
                let text = "user is not set, so that moxd runs as root if root starts it";
                self.warnings
                    .push(format!("{text}; set user = \"moxd\" in moxd.toml, after `useradd --system moxd`"));
            }
            return None;
        };
        match privileges::user(name) {
            Ok(user) => Some(user),
            Err(error) => {
                self.errors.push(format!("user: {error:#}"));
                None
            }
        }
    }

    fn data(&mut self, server: &Server, user: Option<&User>) {
        let path = &server.data_dir;
        let owned = match std::fs::metadata(path) {
            // The server makes it at its first start.
            Err(_) => return,
            Ok(folder) if !folder.is_dir() => {
                Err(anyhow::anyhow!("data_dir: {} is no folder", path.display()))
            }
            Ok(folder) => match user {
                Some(user) => privileges::ensure_owner(path, &folder, user.uid),
                None => privileges::ensure_roots_alone(path),
            },
        };
        self.outcome(owned);
    }

    fn certificates(&mut self, server: &Server, now: SystemTime, user: Option<&User>) {
        for listener in &server.listeners {
            let known = wiring::certificates(server, listener);
            let mut certificates = Vec::new();
            for files in &known.files {
                match read(files) {
                    Ok(certificate) => certificates.push((files.certificate.as_path(), certificate)),
                    Err(error) => self.outcome(Err(error.context(format!("listeners.{}.tls", known.name)))),
                }
                self.key_file(&files.key, user);
                self.readable(&files.certificate, user);
            }
            // The name of the host may be in a certificate that could not be read.
            let is_whole = certificates.len() == known.files.len();
            let objections = objections(&certificates, is_whole.then_some(known.host.as_str()), now);
            let about = |text: String| format!("listeners.{}.tls: {text}", listener.name);
            self.errors.extend(objections.into_iter().map(about));
        }
    }

    /// Checks that no other user can use a private key, and that the user of the server can read it.
    fn key_file(&mut self, path: &Path, user: Option<&User>) {
        self.warnings.extend(keyfile::exposure(path));
        self.readable(path, user);
    }

    /// Checks that the user of the server can read a file again on reload.
    fn readable(&mut self, path: &Path, user: Option<&User>) {
        self.warnings.extend(user.and_then(|user| keyfile::unreadable_for(path, user)));
    }
}
