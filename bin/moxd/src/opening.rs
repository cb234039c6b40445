//! Opens what a server needs, in order: sockets, certificates, keys, the data directory; then the store and DNS.

use crate::logging::Logging;
use crate::wiring::Mode;
use crate::{version, wiring};
use anyhow::{Context, Result};
use certificates::Certificates;
use config::{Config, Server};
use dkim::SigningKey;
use dns_hickory::HickoryResolver;
use host::keyfile::{self, KeyRing};
use host::monitoring::{self, About};
use host::privileges;
use host::sockets::Sockets;
use host::terminal::Bar;
use intake::Judges;
use nix::unistd::geteuid;
use parking_lot::Mutex;
use smtpserver::{GateRules, RequestKey, Rules, Stop};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use store::Store;

/// Upper bounds of the histograms of seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];
/// Upper bounds of the histogram of batches that share a sync.
const BATCHES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const METRICS: About<'_> = About {
    version: version::NUMBER,
    commit: version::COMMIT,
    buckets: &[
        ("_seconds", SECONDS),
        (intake::IPREV_METRIC, SECONDS),
        (store::GROUP_BATCHES_METRIC, BATCHES),
    ],
};

/// The parts whose panics are counted; each is shown as 0 from the start.
const PARTS: &[&str] =
    &["ctl", "dkimverify", "dmarcverify", "import", "iprev", "serve", "smtpserver", "spfverify"];

/// A listener of the configuration with its open socket.
pub(crate) struct Opened {
    pub(crate) rules: Arc<Rules>,
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<smtpserver::Tls>,
}

/// Sockets, files and keys that moxd opens as root, before it becomes the configured user.
pub(crate) struct Prepared {
    pub(crate) opened: Vec<Opened>,
    pub(crate) certificates: Certificates,
    pub(crate) keys: KeyRing<SigningKey>,
    pub(crate) settings: intake::IntakeSettings,
}

/// Opens what may need root: ports below 1024, keys, the data directory. Then becomes the configured user.
pub(crate) fn prepare(path: &Path, config: &Config, mode: Mode) -> Result<Prepared> {
    let Config { server, domains } = config;
    let user = server.user.clone().unwrap_or_else(|| privileges::name_of(geteuid().as_raw()));
    tracing::info!(
        version = version::WHOLE,
        config = %path.display(),
        data_dir = %server.data_dir.display(),
        user,
        "starting"
    );
    let mut sockets = Sockets::inherited();
    let (opened, certificates) = open(server, mode, &mut sockets)?;
    serve_metrics(server, &mut sockets)?;
    for address in sockets.left_over() {
        tracing::warn!(%address, "a socket was handed over that no listener asks for");
    }
    certificates.watch(wiring::now());
    privileges::make_data_dir(&server.data_dir, server.user.as_deref())?;
    let mut keys = KeyRing::default();
    let settings = wiring::settings(server, domains, mode, &mut keys)?;
    match &server.user {
        Some(user) => privileges::become_user(user)?,
        None if geteuid().is_root() && mode == Mode::Serve => {
            tracing::warn!(
                "moxd runs as root: set `user` in moxd.toml, and it gives root up once its ports are open"
            );
        }
        None => {}
    }
    let tls = certificates.files();
    let tls = tls.iter().flat_map(|files| [files.certificate.as_path(), files.key.as_path()]);
    keyfile::warn_of_unreadable(tls.chain(keys.files()));
    Ok(Prepared { opened, certificates, keys, settings })
}

/// Serves the metrics, if the configuration says where.
fn serve_metrics(server: &Server, sockets: &mut Sockets) -> Result<()> {
    let Some(address) = server.metrics else { return Ok(()) };
    monitoring::start(address, &server.data_dir, &METRICS, sockets)?;
    certificates::describe_metrics();
    for part in PARTS {
        metrics::counter!(smtpserver::PANICS, "pkg" => *part).absolute(0);
    }
    Ok(())
}

/// Opens all sockets and reads all certificates.
fn open(server: &Server, mode: Mode, sockets: &mut Sockets) -> Result<(Vec<Opened>, Certificates)> {
    let mut certificates = Certificates::default();
    let mut opened = Vec::new();
    for listener in &server.listeners {
        for rules in wiring::rules(server, listener, mode) {
            let tls = certificates.open(&wiring::certificates(server, listener), rules.kind)?;
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

pub(crate) fn open_store(data: &Path) -> Result<Store> {
    privileges::keep_files_private();
    // Logged, because a disk that is not mounted or a mistyped path also looks like a new store.
    let is_new = !data.join("journal").exists();
    let mut bar = Bar::default();
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

/// Gives the account of developer mode its well-known password.
pub(crate) fn give_password(store: &Store) -> Result<()> {
    let now = wiring::now();
    let account = store.open_account(setup::localserve::ACCOUNT, store::INITIAL_MAILBOXES, now).wait()?;
    if store.credentials(account)?.is_none() {
        let password =
            sasl::Password::new(setup::localserve::PASSWORD).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut transaction = store.transaction(now);
        transaction.set_credentials(account, Some(intake::credentials(&password, wiring::random)));
        store.commit(transaction).wait()?;
    }
    Ok(())
}

/// The judges of incoming mail, and their resolver: it asks the configured servers, else those of the system. In developer mode
/// without configured servers there are no judges.
pub(crate) fn judges(
    server: &Server,
    mode: Mode,
    gate: &GateRules,
    open_files: usize,
) -> Result<Option<Judges>> {
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

pub(crate) fn driver_settings(
    gate: GateRules,
    store: &Store,
    logging: &Logging,
    stop: Stop,
) -> Result<smtpserver::Settings> {
    let mut candidate = [0; RequestKey::BYTES];
    wiring::random(&mut candidate);
    let key = store.secret("request-id-key", &candidate).wait()?;
    let key: [u8; RequestKey::BYTES] = key.as_slice().try_into().context("the stored key for request ids")?;
    let since = wiring::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(smtpserver::Settings {
        request_key: RequestKey::new(&key),
        first_cid: since.as_millis() as u64,
        gate,
        reveal: logging.reveal.clone(),
        stop,
    })
}
