//! The running server: everything is opened in order, then one loop over all that can wake it.

use crate::cli::{Cli, LogFormat, Reported};
use crate::control::Control;
use crate::keys::{self, KeyRing};
use crate::logging::Logging;
use crate::system::{self, Sockets};
use crate::wiring::Mode;
use crate::{ctl, localserve, monitoring, privileges, tls, version, wiring};
use anyhow::{Context, Result};
use config::{Config, Server};
use dns_hickory::HickoryResolver;
use intake::{DeveloperMode, Intake, Judges};
use parking_lot::Mutex;
use sd_notify::NotifyState;
use serde_json::json;
use smtpserver::{Backend, GateRules, RequestKey, Rules, Stop};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

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

/// Signals that ask for something; from here on they do not end the process by themselves.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Comes when the server is asked to stop. A reload that is asked for before everything is open has nothing to do.
    async fn stop(&mut self) {
        while !matches!(self.next().await, Event::Stop) {}
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload,
        }
    }
}

/// Runs the server of the configuration that `prepare` finds until it is told to stop. Where the log is JSON, what kept
/// it from starting is JSON too.
pub(crate) fn serve(
    cli: &Cli,
    mode: Mode,
    prepare: impl FnOnce() -> Result<(PathBuf, Config)>,
) -> Result<()> {
    let mut format = cli.log_format.unwrap_or(LogFormat::Text);
    let result = prepare().and_then(|(path, config)| {
        if cli.log_format.is_none() && config.server.log.format == config::LogFormat::Json {
            format = LogFormat::Json;
        }
        let level = cli.log_level.as_deref().unwrap_or(&config.server.log.level);
        let (logging, writer) = Logging::start(level, format)?;
        let open_files = system::raise_open_files();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("start the runtime")?;
        let result = runtime.block_on(run(&path, config, mode, logging, open_files));
        // A client of the control socket that says nothing does not keep the server from its end.
        runtime.shutdown_timeout(LAST_WORDS);
        drop(writer);
        result
    });
    match result {
        Err(error) if format == LogFormat::Json => {
            for line in format!("{error:#}").lines() {
                let time = wiring::now();
                let time = jiff::Timestamp::try_from(time).unwrap_or_default().to_string();
                let line = json!({ "timestamp": time, "level": "ERROR", "fields": { "message": line }, "target": "moxd" });
                // Nothing can be done if standard error is gone too.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Err(Reported.into())
        }
        result => result,
    }
}

/// A listener of the configuration with its open socket.
struct Opened {
    rules: Arc<Rules>,
    socket: TcpListener,
    tls: Option<smtpserver::Tls>,
}

/// What is opened before the server serves, and before it is another user.
struct Prepared {
    opened: Vec<Opened>,
    certificates: tls::Listeners,
    keys: KeyRing,
    settings: intake::IntakeSettings,
}

/// Opens what may need root: ports below 1024, keys, the data directory. Then becomes the configured user.
fn prepare(path: &Path, config: &Config, mode: Mode) -> Result<Prepared> {
    let Config { server, domains } = config;
    let user = server.user.clone().unwrap_or_else(|| privileges::name_of(nix::unistd::geteuid().as_raw()));
    tracing::info!(
        version = version::WHOLE,
        config = %path.display(),
        data_dir = %server.data_dir.display(),
        user,
        "starting"
    );
    let mut sockets = Sockets::inherited();
    let (opened, certificates) = open(server, mode, &mut sockets)?;
    monitoring::start(server.metrics, &server.data_dir, &mut sockets)?;
    for address in sockets.left_over() {
        tracing::warn!(%address, "a socket was handed over that no listener asks for");
    }
    certificates.watch(server, wiring::now());
    privileges::make_data_dir(&server.data_dir, server.user.as_deref())?;
    let mut keys = KeyRing::default();
    let settings = wiring::settings(server, domains, mode, &mut keys)?;
    match &server.user {
        Some(user) => privileges::become_user(user)?,
        None if nix::unistd::geteuid().is_root() && mode == Mode::Serve => {
            tracing::warn!(
                "moxd runs as root: set `user` in moxd.toml, and it gives root up once its ports are open"
            );
        }
        None => {}
    }
    let tls = certificates.files();
    let tls = tls.iter().flat_map(|files| [files.certificate.as_path(), files.key.as_path()]);
    keys::warn_of_unreadable(tls.chain(keys.files()));
    Ok(Prepared { opened, certificates, keys, settings })
}

async fn run(path: &Path, config: Config, mode: Mode, logging: Logging, open_files: usize) -> Result<()> {
    let mut signals = Signals::listen()?;
    let Prepared { opened, certificates, keys, settings } = prepare(path, &config, mode)?;
    let server = config.server;
    let data = server.data_dir.clone();
    // It may take a while, and blocks.
    let opening = tokio::task::spawn_blocking(move || open_store(&data));
    let store = tokio::select! {
        opened = opening => opened??,
        () = signals.stop() => {
            system::notify(&[NotifyState::Stopping]);
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    if mode == Mode::Develop {
        give_password(&store)?;
    }
    let gate = wiring::gate(&server, open_files);
    let judges = judges(&server, mode, &gate, open_files)?;
    let intake = Arc::new(Intake::new(store.clone(), judges, settings, wiring::ENVIRONMENT)?);
    let stop = Stop::new();
    let logins = gate.logins.clone();
    let settings = driver_settings(gate, &store, &logging, stop.clone())?;
    let socket = ctl::bind(&server.data_dir)?;
    let (mut listeners, listening) = match mode {
        Mode::Serve => listen(&smtpserver::Server::new(intake.clone(), settings), opened)?,
        Mode::Develop => {
            let failing = Arc::new(DeveloperMode::new(intake.clone(), server.pedantic));
            listen(&smtpserver::Server::new(failing, settings), opened)?
        }
    };
    let (stopper, mut stop_wanted) = mpsc::channel(1);
    let control = Arc::new(Control {
        store: store.clone(),
        intake,
        logins,
        certificates,
        keys: Mutex::new(keys),
        server,
        logging,
        path: path.to_owned(),
        mode,
        started: wiring::now(),
        listening,
        stop: stopper,
    });
    if mode == Mode::Develop {
        welcome(&control);
    }
    socket.set_nonblocking(true)?;
    let controlled = control.clone().accept(tokio::net::UnixListener::from_std(socket)?);
    let mut controlled = std::pin::pin!(controlled);
    system::notify(&[NotifyState::Ready]);
    tracing::info!("ready");

    let mut log_check = tokio::time::interval(LOG_CHECK);
    loop {
        let event = tokio::select! {
            event = signals.next() => event,
            _ = stop_wanted.recv() => Event::Stop,
            _ = log_check.tick() => Event::LogCheck,
            never = &mut controlled => match never {},
            Some(ended) = listeners.join_next() => Event::ListenerEnded(ended.map_err(Into::into).and_then(|r| Ok(r?))),
        };
        match event {
            Event::Stop => break,
            // What is wrong stands in the log.
            Event::Reload => drop(control.reload()),
            Event::LogCheck => control.logging.tell_losses(),
            Event::ListenerEnded(result) => {
                result.context("a listener ended")?;
                anyhow::bail!("a listener ended");
            }
        }
    }
    system::notify(&[NotifyState::Stopping]);
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

/// Tasks that serve a socket each.
type Listeners = JoinSet<std::io::Result<()>>;

/// Serves all sockets. Returns the tasks, and service and address of each.
fn listen<B: Backend>(
    smtp: &smtpserver::Server<B>,
    opened: Vec<Opened>,
) -> Result<(Listeners, Vec<(String, SocketAddr)>)> {
    let (mut listeners, mut listening) = (JoinSet::new(), Vec::new());
    for Opened { rules, socket, tls } in opened {
        listening.push((rules.kind.service().to_owned(), socket.local_addr()?));
        let (smtp, socket) = (smtp.clone(), tokio::net::TcpListener::from_std(socket)?);
        listeners.spawn(async move { smtp.serve(socket, rules, tls).await });
    }
    Ok((listeners, listening))
}

/// Opens all sockets and reads all certificates.
fn open(server: &Server, mode: Mode, sockets: &mut Sockets) -> Result<(Vec<Opened>, tls::Listeners)> {
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
    Ok((opened, certificates))
}

fn open_store(data: &Path) -> Result<Store> {
    privileges::keep_files_private();
    // A disk that is not mounted, or a mistake in its name, would look like this too.
    let is_new = !data.join("journal").exists();
    let mut bar = crate::console::Bar::new();
    let progress = move |progress: store::Progress| bar.show(progress.done, progress.total);
    let progress = Mutex::new(progress);
    let options = store::Options {
        progress: Some(Box::new(move |now| {
            let mut show = progress.lock();
            show(now);
        })),
        ..store::Options::default()
    };
    let store =
        Store::open(data, options).with_context(|| format!("open the data directory {}", data.display()))?;
    if is_new {
        tracing::info!("new store made at {}", data.display());
    }
    Ok(store)
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
fn judges(server: &Server, mode: Mode, gate: &GateRules, open_files: usize) -> Result<Option<Judges>> {
    let hickory = match (server.dns_servers.as_slice(), mode) {
        ([], Mode::Develop) => return Ok(None),
        ([], Mode::Serve) => HickoryResolver::from_system(wiring::resolver(open_files)),
        (servers, _) => HickoryResolver::with_servers(servers, wiring::resolver(open_files)),
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
    let judges = Judges::new(|judge| Arc::new(hickory.counted_for(judge)), wiring::instant);
    Ok(Some(match gate.message_rate {
        Some(messages) => judges.limited(messages, gate.addresses.clone()),
        None => judges,
    }))
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
    let config = control.path.display();
    // As it was called: `cargo run` puts it on no path.
    let moxd = std::env::args_os().next().unwrap_or_else(|| "moxd".into());
    let moxd = moxd.display();
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
         List messages:    {moxd} --config {config} message list mox\n\
         Read the first:   {moxd} --config {config} message show mox 1\n\
         Stop:             Ctrl-C\n",
        smtp = address(0),
        submission = address(1),
        submissions = address(2),
        metrics = control.server.metrics.map(|a| format!("http://{a}/metrics")).unwrap_or_default(),
    );
    // Nobody may be reading; the server runs all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
