//! Answers operators: requests through the control socket, and reloads by signal.

use crate::logging::Logging;
use crate::{configuration, version, wiring};
use admin::running::{self, Status};
use admin::{Console, Request, at_rest};
use anyhow::{Context, Result, anyhow, ensure};
use certificates::Certificates;
use config::Server;
use dkim::SigningKey;
use host::keyfile::{KeyRing, Report};
use host::service::{self, State};
use host::text::printable;
use intake::Intake;
use parking_lot::Mutex;
use smtpserver::{Backend as _, Logins};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use store::Store;
use tokio::sync::mpsc;

/// Everything that the answers need.
pub(crate) struct Control {
    pub(crate) store: Store,
    pub(crate) intake: Arc<Intake>,
    pub(crate) logins: Logins,
    pub(crate) certificates: Certificates,
    /// Locked during a reload, so that only one runs at a time.
    pub(crate) keys: Mutex<KeyRing<SigningKey>>,
    pub(crate) server: Server,
    pub(crate) logging: Logging,
    pub(crate) path: PathBuf,
    pub(crate) mode: wiring::Mode,
    pub(crate) started: SystemTime,
    pub(crate) listening: Vec<(String, SocketAddr)>,
    pub(crate) stop: mpsc::Sender<()>,
}

impl Control {
    /// Answers a request of the control socket.
    pub(crate) fn handle(&self, request: Request, console: &mut dyn Console) -> Result<()> {
        match request {
            Request::Reload => {
                let notes = self.reload()?;
                notes.iter().try_for_each(|note| console.write(format!("{note}\n").as_bytes()))
            }
            Request::Stop => self.stop.try_send(()).context("the server is stopping already"),
            Request::Status { json } => self.status(json, console),
            Request::BlockedList { json } => {
                running::print_blocked(&self.logins.blocked(wiring::now()), json, console)
            }
            Request::BlockedLift { name, json } => self.lift(name.as_deref(), json, console),
            Request::LogLevel { filter: Some(filter) } => self.logging.set(&filter),
            Request::LogLevel { filter: None } => {
                console.write(format!("{}\n", self.logging.level()).as_bytes())
            }
            request => at_rest::run(&self.store, request, wiring::OPERATOR_ENVIRONMENT, console),
        }
    }

    /// Reads domains.toml, the DKIM keys and the certificates again, and tells the log and the service manager. Returns remarks
    /// for the operator.
    ///
    /// # Errors
    /// If domains.toml or a DKIM key is wrong, everything stays as it was. If something else cannot be used, its old version stays
    /// and the rest is in use.
    pub(crate) fn reload(&self) -> Result<Vec<String>> {
        service::notify(State::Reloading);
        let result = self.take_changes();
        service::notify(State::Ready);
        match result {
            Ok(Report { notes, problems }) => {
                notes.iter().for_each(|note| tracing::warn!("reload: {note}"));
                problems.iter().for_each(|problem| tracing::error!("reload: {problem}"));
                tracing::info!("reloaded");
                if problems.is_empty() { Ok(notes) } else { Err(anyhow!("{}", problems.join("\n"))) }
            }
            Err(error) => {
                format!("{error:#}").lines().for_each(|line| tracing::error!("not reloaded: {line}"));
                Err(error)
            }
        }
    }

    fn take_changes(&self) -> Result<Report> {
        let mut keys = self.keys.lock();
        let mut again = keys.again();
        let domains = configuration::reload(&self.path, &self.server)?;
        let settings = wiring::settings(&self.server, &domains, self.mode, &mut again)?;
        self.intake.set_settings(settings);
        let mut report = std::mem::take(&mut again.report);
        *keys = again;
        // New domains and accounts are in use even if a certificate is not.
        self.certificates.reload(&mut report);
        self.certificates.watch(wiring::now());
        report.notes.extend(self.waiting_for_restart());
        Ok(report)
    }

    /// Returns a note for the operator if moxd.toml has changed: the server reads it only at its start.
    fn waiting_for_restart(&self) -> Vec<String> {
        match configuration::load_server(&self.path) {
            Ok(server) => match self.server.differences(&server).as_slice() {
                [] => Vec::new(),
                names => {
                    vec![format!("changed in moxd.toml, and in use after a restart: {}", names.join(", "))]
                }
            },
            Err(error) => {
                let mistakes = format!("{error:#}");
                let mistakes = mistakes.lines();
                mistakes
                    .map(|line| format!("moxd.toml has a mistake, and the next start would fail: {line}"))
                    .collect()
            }
        }
    }

    fn status(&self, json: bool, console: &mut dyn Console) -> Result<()> {
        let status = Status {
            version: version::NUMBER,
            commit: version::COMMIT,
            whole_version: version::WHOLE,
            up: wiring::now().duration_since(self.started).unwrap_or_default(),
            listeners: self.listening.iter().map(|(kind, address)| format!("{kind} {address}")).collect(),
        };
        status.print(json, console)
    }

    /// Forgets the failed logins of an address, a network or an account, or all of them, and prints who was held back.
    fn lift(&self, name: Option<&str>, json: bool, console: &mut dyn Console) -> Result<()> {
        let who = name.map(|name| running::blockee(name, |name| self.intake.login_key(name)));
        let lifted = self.logins.lift(who.as_ref(), wiring::now());
        if let Some(name) = name {
            ensure!(
                !lifted.is_empty(),
                "{} is not held back; `moxd ctl blocked list` shows who is",
                printable(name)
            );
        }
        running::print_blocked(&lifted, json, console)
    }
}
