//! The life of a server: it opens everything in order, serves until a request to stop, and lets connections end.

use crate::control::Control;
use crate::logging::Logging;
use crate::opening::{self, Opened, Prepared};
use crate::wiring::{self, Mode};
use admin::{Console, socket};
use anyhow::{Context, Result};
use cli::{Cli, LogFormat};
use config::Config;
use host::logging::{Form, Reported};
use host::service::{self, State};
use host::sockets;
use intake::{DeveloperMode, Intake};
use parking_lot::Mutex;
use serde_json::json;
use setup::localserve::Welcome;
use smtpserver::{Backend, Stop};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How often the log reports lines that it has lost.
const LOG_CHECK: Duration = Duration::from_mins(1);
/// How long verbs that are being answered may take after everything else has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A signal or request to which the running server reacts.
enum Event {
    /// SIGTERM or SIGINT, or `moxd ctl stop`.
    Stop,
    /// SIGHUP.
    Reload,
    /// It is time to check whether the log has lost lines.
    LogCheck,
    /// A listener has ended, which happens only by a fault.
    ListenerEnded(Result<()>),
}

/// Signals that the server reacts to. From here on they do not end the process by themselves.
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

    /// Waits for a signal to stop. Ignores those to reload: the server has not started yet, and will read everything then.
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

/// Runs a server until a request to stop. `prepare` finds its configuration. If the log is JSON, the error that kept the server
/// from starting is JSON too.
pub(crate) fn serve(
    cli: &Cli,
    mode: Mode,
    prepare: impl FnOnce() -> Result<(PathBuf, Config)>,
) -> Result<()> {
    let form_of = |format| if format == LogFormat::Json { Form::Json } else { Form::Text };
    let mut form = cli.log_format.map_or(Form::Text, form_of);
    let result = prepare().and_then(|(path, config)| {
        if cli.log_format.is_none() && config.server.log.format == config::LogFormat::Json {
            form = Form::Json;
        }
        let level = cli.log_level.as_deref().unwrap_or(&config.server.log.level);
        let (logging, writer) = Logging::start(level, form)?;
        let setup = Setup { path, config, mode, logging, open_files: sockets::raise_open_files() };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.context("start the runtime")?;
        let result = runtime.block_on(run(setup));
        // A silent client of the control socket must not keep the process from ending.
        runtime.shutdown_timeout(LAST_WORDS);
        drop(writer);
        result
    });
    match result {
        Err(error) if form == Form::Json => {
            for line in format!("{error:#}").lines() {
                let time = wiring::now();
                let time = jiff::Timestamp::try_from(time).unwrap_or_default().to_string();
                let line = json!({ "timestamp": time, "level": "ERROR", "fields": { "message": line }, "target": "moxd" });
                // If standard error is closed too, there is no place left to report to.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Err(Reported.into())
        }
        result => result,
    }
}

/// The configuration and mode with which a server starts.
struct Setup {
    /// The file that the configuration was read from.
    path: PathBuf,
    config: Config,
    mode: Mode,
    logging: Logging,
    /// How many files the process may have open.
    open_files: usize,
}

/// Tasks that serve a socket each.
type Listeners = JoinSet<std::io::Result<()>>;

/// A server that serves.
struct Running {
    control: Arc<Control>,
    /// The control socket.
    socket: UnixListener,
    listeners: Listeners,
    /// Ends the listeners.
    stop: Stop,
    /// Receives a message when `moxd ctl stop` asks for the end.
    stop_wanted: mpsc::Receiver<()>,
}

async fn run(setup: Setup) -> Result<()> {
    let mut signals = Signals::listen()?;
    let prepared = opening::prepare(&setup.path, &setup.config, setup.mode)?;
    let data = setup.config.server.data_dir.clone();
    // Opening the store blocks, and may take a while.
    let opening = tokio::task::spawn_blocking(move || opening::open_store(&data));
    let store = tokio::select! {
        opened = opening => opened??,
        () = signals.stop() => {
            service::notify(State::Stopping);
            tracing::info!("stopped before it served");
            return Ok(());
        }
    };
    let Running { control, socket, mut listeners, stop, mut stop_wanted } = start(setup, prepared, store)?;
    let controlled = control.clone();
    let controlled = socket::answer(socket, move |request, console: &mut dyn Console| {
        controlled.handle(request, console)
    })?;
    service::notify(State::Ready);
    tracing::info!("ready");
    let served = async {
        serve_until_stopped(&control, &mut signals, &mut stop_wanted, &mut listeners).await?;
        service::notify(State::Stopping);
        tracing::info!("stopping");
        stop.stop();
        while let Some(ended) = listeners.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    // Verbs get an answer until the last connection has ended.
    tokio::select! {
        served = served => served?,
        never = controlled => match never {},
    }
    socket::unbind(&control.server.data_dir);
    let store = control.store.clone();
    tokio::task::spawn_blocking(move || store.close()).await?;
    control.logging.log.tell_losses();
    tracing::info!("stopped");
    Ok(())
}

/// Starts the listeners, and everything behind them.
fn start(setup: Setup, prepared: Prepared, store: Store) -> Result<Running> {
    let Setup { path, config: Config { server, .. }, mode, logging, open_files } = setup;
    let Prepared { opened, certificates, keys, settings } = prepared;
    if mode == Mode::Develop {
        opening::give_password(&store)?;
    }
    let gate = wiring::gate(&server, open_files);
    let judges = opening::judges(&server, mode, &gate, open_files)?;
    let intake = Arc::new(Intake::new(store.clone(), judges, settings, wiring::ENVIRONMENT)?);
    let (stop, logins) = (Stop::new(), gate.logins.clone());
    let settings = opening::driver_settings(gate, &store, &logging, stop.clone())?;
    let socket = socket::bind(&server.data_dir)?;
    let (listeners, listening) = match mode {
        Mode::Serve => listen(&smtpserver::Server::new(intake.clone(), settings), opened)?,
        Mode::Develop => {
            let failing = Arc::new(DeveloperMode::new(intake.clone(), server.pedantic));
            listen(&smtpserver::Server::new(failing, settings), opened)?
        }
    };
    let (stopper, stop_wanted) = mpsc::channel(1);
    let control = Arc::new(Control {
        store,
        intake,
        logins,
        certificates,
        keys: Mutex::new(keys),
        server,
        logging,
        path,
        mode,
        started: wiring::now(),
        listening,
        stop: stopper,
    });
    if mode == Mode::Develop {
        welcome(&control);
    }
    Ok(Running { control, socket, listeners, stop, stop_wanted })
}

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

/// Reacts to events until one asks for the end.
async fn serve_until_stopped(
    control: &Control,
    signals: &mut Signals,
    stop_wanted: &mut mpsc::Receiver<()>,
    listeners: &mut Listeners,
) -> Result<()> {
    let mut log_check = tokio::time::interval(LOG_CHECK);
    loop {
        let event = tokio::select! {
            event = signals.next() => event,
            _ = stop_wanted.recv() => Event::Stop,
            _ = log_check.tick() => Event::LogCheck,
            Some(ended) = listeners.join_next() => Event::ListenerEnded(ended.map_err(Into::into).and_then(|r| Ok(r?))),
        };
        match event {
            Event::Stop => return Ok(()),
            // A failed reload stands in the log.
            Event::Reload => drop(control.reload()),
            Event::LogCheck => control.logging.log.tell_losses(),
            Event::ListenerEnded(result) => {
                result.context("a listener ended")?;
                anyhow::bail!("a listener ended");
            }
        }
    }
}

/// Tells the developer what to do next.
fn welcome(control: &Control) {
    let program = std::env::args_os().next().unwrap_or_else(|| "moxd".into());
    let text = Welcome {
        program: program.as_ref(),
        config: &control.path,
        addresses: [0, 1, 2].map(|at| control.listening.get(at).map(|(_, address)| *address)),
        metrics: control.server.metrics,
    };
    // The server runs whether anyone reads this or not.
    let _ = std::io::stdout().write_all(text.to_string().as_bytes());
}
