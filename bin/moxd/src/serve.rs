//! The running server: everything is opened in order, then one loop over all that can wake it.

use crate::cli::{Cli, LogFormat};
use crate::console::Console;
use crate::logging::Logging;
use crate::request::Request;
use crate::system::{self, Sockets};
use crate::{atrest, blocked, ctl, localserve, monitoring, privileges, text, tls, wiring};
use anyhow::{Context, Result};
use config::{Config, Server};
use dns_hickory::HickoryResolver;
use intake::{Intake, Judges, Mode};
use serde_json::json;
use smtpserver::{GateRules, Logins, RequestKey, Rules, Stop};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long nobody is accepted at the control socket after that has failed, which it does where files run out.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How often the log tells of lines that it has lost.
const LOG_CHECK: Duration = Duration::from_mins(1);
/// How long verbs that are being served may take after everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everything that can wake the server.
enum Event {
    /// SIGTERM or SIGINT, or `moxd ctl stop`.
    Stop,
    /// SIGHUP.
    Reload,
    /// It is time to look whether the log has lost lines.
    LogCheck,
    /// A listener has ended, which it does not by itself.
    ListenerEnded(Result<()>),
}

/// What requests of the control socket need.
struct Control {
    store: Store,
    intake: Arc<Intake>,
    logins: Logins,
    certificates: tls::Listeners,
    server: Server,
    logging: Logging,
    path: PathBuf,
    mode: Mode,
    started: SystemTime,
    listening: Vec<(String, SocketAddr)>,
    stop: mpsc::Sender<()>,
}

/// Runs the server until it is told to stop.
pub(crate) fn serve(cli: &Cli, path: &Path, config: Config, mode: Mode) -> Result<()> {
    let level = cli.log_level.as_deref().unwrap_or(&config.server.log.level);
    let json = cli.log_format == LogFormat::Json || config.server.log.format == config::LogFormat::Json;
    let (logging, writer) = Logging::start(level, if json { LogFormat::Json } else { LogFormat::Text })?;
    let open_files = system::raise_open_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let result = runtime.block_on(run(path, config, mode, logging, open_files));
    // A client of the control socket that says nothing does not keep the server from its end.
    runtime.shutdown_timeout(LAST_WORDS);
    drop(writer);
    result
}

/// A listener of the configuration with its open socket.
struct Opened {
    rules: Arc<Rules>,
    socket: TcpListener,
    tls: Option<smtpserver::Tls>,
}

async fn run(path: &Path, config: Config, mode: Mode, logging: Logging, open_files: usize) -> Result<()> {
    // A request to reload that comes this early is one; by default it would be the end.
    let mut hangup = signal(SignalKind::hangup())?;
    let Config { server, domains } = config;
    // Ports below 1024 and keys need root; nothing after this does.
    let (opened, certificates) = open(&server, mode)?;
    monitoring::start(server.metrics).await?;
    privileges::make_data_dir(&server.data_dir, server.user.as_deref())?;
    let settings = wiring::settings(&server, &domains, mode)?;
    if let Some(user) = &server.user {
        privileges::become_user(user)?;
    }

    let store = open_store(&server.data_dir)?;
    if mode == Mode::Develop {
        give_password(&store)?;
    }
    let judges = judges(&server, mode).await?;
    let intake = Arc::new(Intake::new(store.clone(), judges, settings, wiring::WORLD)?);
    let stop = Stop::new();
    let gate = wiring::gate(&server, open_files);
    let logins = gate.logins.clone();
    let settings = driver_settings(gate, &store, &logging, stop.clone())?;
    let smtp = smtpserver::Server::new(intake.clone(), settings);
    let socket = ctl::bind(&server.data_dir)?;

    let (mut listeners, mut listening) = (JoinSet::new(), Vec::new());
    for Opened { rules, socket, tls } in opened {
        listening.push((rules.kind.service().to_owned(), socket.local_addr()?));
        let (smtp, socket) = (smtp.clone(), tokio::net::TcpListener::from_std(socket)?);
        listeners.spawn(async move { smtp.serve(socket, rules, tls).await });
    }
    let (stopper, mut stop_wanted) = mpsc::channel(1);
    let control = Arc::new(Control {
        store: store.clone(),
        intake,
        logins,
        certificates,
        server,
        logging,
        path: path.to_owned(),
        mode,
        started: wiring::now(),
        listening,
        stop: stopper,
    });
    welcome(&control);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    socket.set_nonblocking(true)?;
    let controlled = control.clone().accept(tokio::net::UnixListener::from_std(socket)?);
    let mut controlled = std::pin::pin!(controlled);
    system::notify(sd_notify::NotifyState::Ready);
    tracing::info!("ready");

    let mut log_check = tokio::time::interval(LOG_CHECK);
    loop {
        let event = tokio::select! {
            _ = terminate.recv() => Event::Stop,
            _ = interrupt.recv() => Event::Stop,
            _ = stop_wanted.recv() => Event::Stop,
            _ = hangup.recv() => Event::Reload,
            _ = log_check.tick() => Event::LogCheck,
            never = &mut controlled => match never {},
            Some(ended) = listeners.join_next() => Event::ListenerEnded(ended.map_err(Into::into).and_then(|r| Ok(r?))),
        };
        match event {
            Event::Stop => break,
            Event::Reload => control.reload_or_say_why_not(),
            Event::LogCheck => control.logging.tell_losses(),
            Event::ListenerEnded(result) => {
                result.context("a listener ended")?;
                anyhow::bail!("a listener ended");
            }
        }
    }
    system::notify(sd_notify::NotifyState::Stopping);
    tracing::info!("stopping");
    stop.stop();
    let end = async {
        while let Some(ended) = listeners.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    // Who asks something meanwhile is not left waiting.
    tokio::select! {
        ended = end => ended?,
        never = &mut controlled => match never {},
    }
    ctl::unbind(&control.server.data_dir);
    tokio::task::spawn_blocking(move || store.close()).await?;
    control.logging.tell_losses();
    tracing::info!("stopped");
    Ok(())
}

/// Opens all sockets and reads all certificates.
fn open(server: &Server, mode: Mode) -> Result<(Vec<Opened>, tls::Listeners)> {
    let mut sockets = Sockets::inherited();
    let mut certificates = tls::Listeners::default();
    let mut opened = Vec::new();
    for listener in &server.listeners {
        for rules in wiring::rules(server, listener, mode) {
            let tls = certificates.open(listener, rules.kind)?;
            let rules = Arc::new(wiring::with_tls(rules, tls.is_some()));
            for ip in &listener.ips {
                let address = SocketAddr::new(*ip, wiring::port(listener, rules.kind));
                let socket = sockets.listen(address)?;
                tracing::info!(listener = listener.name, %address, service = rules.kind.service(), "listening");
                opened.push(Opened { rules: rules.clone(), socket, tls: tls.clone() });
            }
        }
    }
    for address in sockets.left_over() {
        tracing::warn!(%address, "a socket was handed over that no listener asks for");
    }
    Ok((opened, certificates))
}

fn open_store(data: &Path) -> Result<Store> {
    privileges::keep_files_private();
    let mut bar = crate::console::Bar::new();
    let progress = move |progress: store::Progress| bar.show(progress.done, progress.total);
    let progress = std::sync::Mutex::new(progress);
    let options = store::Options {
        progress: Some(Box::new(move |now| {
            let mut show = progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            show(now);
        })),
        ..store::Options::default()
    };
    Store::open(data, options).with_context(|| format!("open the data directory {}", data.display()))
}

/// Developer mode: the account has its well-known password from the start.
fn give_password(store: &Store) -> Result<()> {
    let now = wiring::now();
    let account = store.open_account(localserve::ACCOUNT, store::INITIAL_MAILBOXES, now).wait()?;
    if store.credentials(account)?.is_none() {
        let password =
            sasl::Password::new(localserve::PASSWORD).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut transaction = store.transaction(now);
        transaction.set_credentials(account, Some(intake::credentials(&password, wiring::random)));
        store.commit(transaction).wait()?;
    }
    Ok(())
}

/// The judges of incoming mail, and who is asked about names: the configured servers, else the system's; in developer mode nobody but those given.
async fn judges(server: &Server, mode: Mode) -> Result<Option<Judges>> {
    let hickory = match (server.dns_servers.as_slice(), mode) {
        ([], Mode::Develop) => return Ok(None),
        ([], Mode::Serve) => HickoryResolver::from_system(),
        (servers, _) => HickoryResolver::with_servers(servers, dns_hickory::Options::default()),
    };
    let hickory = hickory.context("set up DNS")?;
    dns_hickory::describe_metrics();
    let probe = hickory.clone();
    tokio::spawn(async move {
        let finding = probe.probe().await;
        if finding.is_warning() {
            tracing::warn!("DNS: {finding}");
        } else {
            tracing::info!("DNS: {finding}");
        }
    });
    Ok(Some(Judges::new(|judge| Arc::new(hickory.counted_for(judge)))))
}

fn driver_settings(
    gate: GateRules,
    store: &Store,
    logging: &Logging,
    stop: Stop,
) -> Result<smtpserver::Settings> {
    let mut candidate = [0; RequestKey::OCTETS];
    wiring::random(&mut candidate);
    let key = store.secret("request-id-key", &candidate).wait()?;
    let key: [u8; RequestKey::OCTETS] =
        key.as_slice().try_into().context("the stored key for request ids")?;
    let since = wiring::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(smtpserver::Settings {
        request_key: RequestKey::new(&key),
        first_cid: since.as_millis() as u64,
        gate,
        reveal: logging.reveal(),
        stop,
    })
}

/// Tells a developer what to do next.
fn welcome(control: &Control) {
    if control.mode != Mode::Develop {
        return;
    }
    let config = control.path.display();
    let address =
        |at: usize| control.listening.get(at).map(|(_, address)| address.to_string()).unwrap_or_default();
    let text = format!(
        "moxd runs for development, on loopback alone.\n\
         \n\
         SMTP         {smtp}   takes mail for any recipient\n\
         submission   {submission}   user mox@localhost, password moxmoxmox\n\
         submissions  {submissions}   the same, TLS from the start\n\
         metrics      {metrics}\n\
         \n\
         Send a message:   swaks --server {smtp} --from you@example.org --to mox@localhost\n\
         List messages:    moxd --config {config} message list mox\n\
         Read the first:   moxd --config {config} message show mox 1\n\
         Stop:             Ctrl-C\n",
        smtp = address(0),
        submission = address(1),
        submissions = address(2),
        metrics = control.server.metrics.map(|a| format!("http://{a}/metrics")).unwrap_or_default(),
    );
    use std::io::Write;
    // Nobody may be reading; the server runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

impl Control {
    /// Takes clients of the control socket for as long as this is polled.
    async fn accept(self: Arc<Self>, socket: tokio::net::UnixListener) -> Infallible {
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
            Request::Reload => self.reload(),
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

    /// On SIGHUP there is nobody to tell but the log.
    fn reload_or_say_why_not(&self) {
        if let Err(error) = self.reload() {
            for line in format!("{error:#}").lines() {
                tracing::error!("not reloaded: {line}");
            }
        }
    }

    /// Reads domains.toml and the certificates again. If anything is wrong, all stays as it was.
    fn reload(&self) -> Result<()> {
        let domains = wiring::reload(&self.path, &self.server)?;
        let settings = wiring::settings(&self.server, &domains, self.mode)?;
        self.certificates.reload()?;
        self.intake.set_settings(settings);
        tracing::info!("reloaded");
        Ok(())
    }

    fn status(&self, json: bool, console: &mut dyn Console) -> Result<()> {
        let up = wiring::now().duration_since(self.started).unwrap_or_default().as_secs();
        let listeners: Vec<_> =
            self.listening.iter().map(|(kind, address)| format!("{kind} {address}")).collect();
        let text = if json {
            let status = json!({
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_seconds": up,
                "listeners": listeners,
            });
            format!("{}\n", text::json(&status))
        } else {
            format!("moxd {} runs for {up} s\n{}\n", env!("CARGO_PKG_VERSION"), listeners.join("\n"))
        };
        console.write(text.as_bytes())
    }
}
