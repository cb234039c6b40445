//! The running server as the control socket and signals see it: status, reload, log level, and the verbs about mail.

use crate::console::Console;
use crate::keys::{KeyRing, Report};
use crate::logging::Logging;
use crate::request::Request;
use crate::{atrest, blocked, ctl, system, text, tls, version, wiring};
use anyhow::{Context, Result};
use config::Server;
use intake::Intake;
use parking_lot::Mutex;
use serde_json::json;
use smtpserver::Logins;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Store;
use tokio::sync::mpsc;

/// Pause after a failed accept on the control socket: it fails while there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What requests need.
pub(crate) struct Control {
    pub(crate) store: Store,
    pub(crate) intake: Arc<Intake>,
    pub(crate) logins: Logins,
    pub(crate) certificates: tls::Listeners,
    /// Locked while a reload runs, so that there is one at a time.
    pub(crate) keys: Mutex<KeyRing>,
    pub(crate) server: Server,
    pub(crate) logging: Logging,
    pub(crate) path: PathBuf,
    pub(crate) mode: wiring::Mode,
    pub(crate) started: SystemTime,
    pub(crate) listening: Vec<(String, SocketAddr)>,
    pub(crate) stop: mpsc::Sender<()>,
}

impl Control {
    /// Takes clients of the control socket for as long as this is polled.
    pub(crate) async fn accept(self: Arc<Self>, socket: tokio::net::UnixListener) -> Infallible {
        loop {
            match socket.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => self.clone().answer(stream),
                Err(error) => {
                    tracing::warn!(%error, "control socket: accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves one client of the control socket, where it may block.
    fn answer(self: Arc<Self>, stream: UnixStream) {
        tokio::task::spawn_blocking(move || {
            let mut stops = false;
            let handle = |request, console: &mut dyn Console| {
                stops = matches!(request, Request::Stop);
                self.handle(request, console)
            };
            let served = stream
                .set_nonblocking(false)
                .and_then(|()| ctl::limit(&stream))
                .map_err(Into::into)
                .and_then(|()| ctl::serve(&stream, handle));
            if stops {
                // Closed by nothing but the end of the process, which is what the verb waits for.
                let _ = stream.into_raw_fd();
            }
            if let Err(error) = served {
                tracing::warn!("control socket: {error:#}");
            }
        });
    }

    fn handle(&self, request: Request, console: &mut dyn Console) -> Result<()> {
        match request {
            Request::Reload => {
                let notes = self.reload()?;
                notes.iter().try_for_each(|note| console.write(format!("{note}\n").as_bytes()))
            }
            Request::Stop => self.stop.try_send(()).context("the server is stopping already"),
            Request::Status { json } => self.status(json, console),
            Request::BlockedList { json } => blocked::list(&self.logins, wiring::now(), json, console),
            Request::BlockedLift { name, json } => {
                let name = name.as_deref();
                blocked::lift(&self.logins, &self.intake, name, wiring::now(), json, console)
            }
            Request::LogLevel { filter: Some(filter) } => self.logging.set(&filter),
            Request::LogLevel { filter: None } => {
                console.write(format!("{}\n", self.logging.filter()).as_bytes())
            }
            request => atrest::run(&self.store, request, wiring::now(), console),
        }
    }

    /// Reads domains.toml, the DKIM keys and the certificates again, and tells the log and the service manager. Returns
    /// what there is to know of a reload that lost nothing.
    ///
    /// # Errors
    /// domains.toml or a DKIM key is wrong: everything stays as it was. Or something new could not be taken: the rest is
    /// in use.
    pub(crate) fn reload(&self) -> Result<Vec<String>> {
        system::notify(&system::reloading());
        let result = self.take_changes();
        system::notify(&[sd_notify::NotifyState::Ready]);
        match result {
            Ok(Report { notes, problems }) => {
                notes.iter().for_each(|note| tracing::warn!("reload: {note}"));
                problems.iter().for_each(|problem| tracing::error!("reload: {problem}"));
                tracing::info!("reloaded");
                if problems.is_empty() { Ok(notes) } else { Err(anyhow::anyhow!("{}", problems.join("\n"))) }
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
        let domains = wiring::reload(&self.path, &self.server)?;
        let settings = wiring::settings(&self.server, &domains, self.mode, &mut again)?;
        self.intake.set_settings(settings);
        let mut report = std::mem::take(&mut again.report);
        *keys = again;
        // Domains and accounts do not wait for certificates.
        self.certificates.reload(&mut report);
        self.certificates.watch(&self.server, wiring::now());
        report.notes.extend(self.waiting_for_restart());
        Ok(report)
    }

    /// What has changed in moxd.toml, which is read at the start alone.
    fn waiting_for_restart(&self) -> Vec<String> {
        match wiring::load_server(&self.path) {
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
        let up = wiring::now().duration_since(self.started).unwrap_or_default().as_secs();
        let listeners: Vec<_> =
            self.listening.iter().map(|(kind, address)| format!("{kind} {address}")).collect();
        let text = if json {
            let status = json!({
                "version": version::NUMBER,
                "commit": version::COMMIT,
                "uptime_seconds": up,
                "listeners": listeners,
            });
            format!("{}\n", text::json(&status))
        } else {
            format!("moxd {}, up {}\n{}\n", version::WHOLE, span(up), listeners.join("\n"))
        };
        console.write(text.as_bytes())
    }
}

/// A span of time in its two largest units: `2m34s`, `3d4h`.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, ..) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (154, "2m34s"), (3600, "1h0m"), (86_399, "23h59m"), (273_600, "3d4h")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
