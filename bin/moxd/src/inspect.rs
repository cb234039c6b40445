//! What `moxd config test` finds in the files and names that a configuration mentions: everything that would keep the
//! server from starting, and what is probably not meant.

use crate::{keys, privileges, tls, wiring};
use config::{Config, Listener, Server};
use nix::unistd::{User, geteuid, getgrouplist};
use std::ffi::CString;
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What was found, a line each.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The server would not start, or clients would refuse it.
    pub(crate) errors: Vec<String>,
    /// It works, and is probably not meant.
    pub(crate) warnings: Vec<String>,
}

/// Looks at everything that the configuration names.
pub(crate) fn inspect(config: &Config, now: SystemTime) -> Findings {
    let mut findings = Findings::default();
    findings.warnings.extend(config.questions().iter().map(ToString::to_string));
    let user = findings.user(&config.server);
    findings.data(&config.server, user.as_ref());
    findings.certificates(&config.server, now, user.as_ref());
    for (domain, rules) in &config.domains.domains {
        for (name, selector) in &rules.dkim.selectors {
            findings.outcome(wiring::signer(domain, name, rules, &mut keys::KeyRing::default()).map(drop));
            findings.key_file(&selector.key, user.as_ref());
        }
    }
    // Services and listeners share files.
    for lines in [&mut findings.errors, &mut findings.warnings] {
        let mut seen = std::collections::HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
    }
    findings
}

impl Findings {
    /// The server may be able to read what the user who runs the test cannot.
    fn outcome(&mut self, result: anyhow::Result<()>) {
        match result {
            Ok(()) => {}
            Err(error) if keys::is_denied(&error) && !geteuid().is_root() => {
                self.warnings.push(format!("not checked: {error:#}"));
            }
            Err(error) => self.errors.push(format!("{error:#}")),
        }
    }

    fn user(&mut self, server: &Server) -> Option<User> {
        let Some(name) = &server.user else {
            // On loopback alone it is for development.
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
            // It is made at the first start.
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
            let host = listener.hostname.as_ref().unwrap_or(&server.hostname);
            let mut certificates = Vec::new();
            for files in &listener.tls {
                match tls::read(files) {
                    Ok((certificate, _)) => certificates.push((files.certificate.as_path(), certificate)),
                    Err(error) => {
                        self.outcome(Err(error.context(format!("listeners.{}.tls", listener.name))))
                    }
                }
                self.key_file(&files.key, user);
                self.readable(&files.certificate, user);
            }
            // A name may be in one that could not be read.
            let whole = certificates.len() == listener.tls.len();
            let objections = tls::objections(&certificates, whole.then_some(host.as_str()), now);
            let about = |text: String| format!("listeners.{}.tls: {text}", listener.name);
            self.errors.extend(objections.into_iter().map(about));
        }
    }

    /// A private key: for nobody else, and readable for the user of the server.
    fn key_file(&mut self, path: &Path, user: Option<&User>) {
        let Ok(meta) = std::fs::metadata(path) else { return };
        let mode = meta.permissions().mode();
        let shown = path.display();
        if mode & 0o007 != 0 {
            let text =
                format!("everyone on this host can use the private key {shown} (mode {:04o})", mode & 0o7777);
            self.warnings.push(format!("{text}; chmod 0640 {shown}"));
        } else if mode & 0o020 != 0 {
            let text = format!("a group can replace the private key {shown} (mode {:04o})", mode & 0o7777);
            self.warnings.push(format!("{text}; chmod 0640 {shown}"));
        }
        self.readable(path, user);
    }

    /// Without this a reload keeps what was read at the start.
    fn readable(&mut self, path: &Path, user: Option<&User>) {
        let (Some(user), Ok(meta)) = (user, std::fs::metadata(path)) else { return };
        if let Some(closed) = closed_to(path, user) {
            let is_file = std::path::absolute(path).is_ok_and(|path| path == closed);
            let whose =
                if is_file { keys::owner_and_mode(&meta) } else { format!("in {}", closed.display()) };
            let (name, path) = (&user.name, path.display());
            self.warnings.push(format!(
                "{name} cannot read {path} ({whose}): a reload keeps the version read at the start; \
                 let {name} read it, with chown or a group, to take renewals without a restart"
            ));
        }
    }
}

/// The file, or a folder above it, that this user may not read or enter, by owner, group and mode.
fn closed_to(path: &Path, user: &User) -> Option<PathBuf> {
    let groups = CString::new(user.name.clone()).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    let groups = groups.unwrap_or_default();
    // 4: may read, 1: may enter.
    let may = |meta: &Metadata, right: u32| {
        let mode = meta.permissions().mode();
        let shift = if meta.uid() == user.uid.as_raw() {
            6
        } else if groups.iter().any(|group| group.as_raw() == meta.gid()) {
            3
        } else {
            0
        };
        user.uid.is_root() || mode >> shift & right != 0
    };
    let path = std::path::absolute(path).ok()?;
    let folders = path.ancestors().skip(1).collect::<Vec<_>>();
    let closed =
        folders.iter().rev().find(|folder| std::fs::metadata(folder).is_ok_and(|meta| !may(&meta, 1)));
    if let Some(folder) = closed {
        return Some((*folder).to_owned());
    }
    std::fs::metadata(&path).is_ok_and(|meta| !may(&meta, 4)).then_some(path)
}
