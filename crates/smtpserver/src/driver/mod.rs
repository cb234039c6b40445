//! Sockets, TLS and time for sessions.

mod answers;
mod buffers;
mod clock;
mod connection;
mod farewell;
mod gate;
mod handshake;
mod logins;
mod metrics;
mod pipe;
mod recipients;
mod refusals;
mod request;
mod steady;
mod stop;
mod tls;
mod trace;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument as _, error, info_span, warn};

use crate::backend::Backend;
use crate::client::Peer;
use crate::rules::Rules;

use buffers::Buffers;
use connection::Connection;
use gate::Gate;
use metrics::Metrics;
use recipients::Recipients;
use refusals::Refusals;

pub use gate::GateRules;
pub use logins::Logins;
pub use metrics::{COMMAND_BUCKETS, PANICS};
pub use request::RequestKey;
pub use stop::Stop;
pub use tls::{Certificate, Tls, TlsRules};
pub use trace::Reveal;
pub use wire::Transport;

/// The pause in accepting connections after an error, which is usually a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The time between two log lines about that.
const WARN_PAUSE: Duration = Duration::from_mins(1);

/// Allowed connections for each place for a rejected client that gets a reply. No other limit counts rejected clients.
const CONNECTIONS_PER_FAREWELL: usize = 8;
/// Most such places, however many connections are allowed.
const MAX_FAREWELLS: usize = 256;

/// Most connections at a time that keep a long incomplete line: one of AUTH, of up to 12 KiB.
const MAX_LONG_CARRIES: usize = 1024;

/// Settings that all listeners of a server share.
#[derive(Debug)]
pub struct Settings {
    /// Makes request ids.
    pub request_key: RequestKey,
    /// The number of the first connection. The Unix time in milliseconds keeps numbers increasing over restarts.
    pub first_cid: u64,
    /// Limits on connections and failed logins.
    pub gate: GateRules,
    /// Which secrets the trace log shows.
    pub reveal: Reveal,
    /// Asks the server to stop.
    pub stop: Stop,
}

/// A server: serves any number of listeners with one backend. Clones share it.
pub struct Server<B>(Arc<Shared<B>>);

/// State that all connections share.
struct Shared<B> {
    backend: Arc<B>,
    gate: Arc<Gate>,
    /// Places for rejected clients that get a reply. Beyond them a rejected connection is closed at once.
    farewells: Semaphore,
    refusals: Refusals,
    buffers: Buffers,
    recipients: Arc<Recipients>,
    /// Places for incomplete lines that are longer than commands.
    long_carries: Arc<Semaphore>,
    metrics: Metrics,
    request_key: RequestKey,
    reveal: Reveal,
    stop: Stop,
    next_cid: AtomicU64,
    /// Places for handshakes that sign.
    signers: Semaphore,
}

/// One listener.
struct Listener {
    rules: Arc<Rules>,
    tls: Option<Tls>,
    /// Open connections.
    open: ::metrics::Gauge,
}

impl<B> Clone for Server<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Backend> Server<B> {
    /// A server without listeners. Metrics go to the recorder that is installed by now.
    pub fn new(backend: Arc<B>, settings: Settings) -> Self {
        let Settings { request_key, first_cid, gate, reveal, stop } = settings;
        // Where addresses have no limits, as in developer mode, the limit over all of them still applies.
        let by_network = gate.open_connections.is_some().then(|| gate.addresses.clone());
        let farewells = (gate.connections / CONNECTIONS_PER_FAREWELL).clamp(1, MAX_FAREWELLS);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            backend,
            gate: Arc::new(Gate::new(&gate)),
            farewells: Semaphore::new(farewells),
            refusals: Refusals::default(),
            buffers: Buffers::default(),
            recipients: Arc::new(Recipients::new(by_network)),
            long_carries: Arc::new(Semaphore::new(MAX_LONG_CARRIES)),
            metrics: Metrics::new(),
            request_key,
            reveal,
            stop,
            next_cid: AtomicU64::new(first_cid),
            // Half of the cores remain for connected clients.
            signers: Semaphore::new((cores / 2).max(1)),
        }))
    }

    /// Serves a listener until a stop is requested and the listener's connections have ended, by themselves or at
    /// the timeout. `tls` is required where `rules` offer STARTTLS or begin with TLS.
    ///
    /// # Errors
    /// The socket cannot be configured.
    pub async fn serve(&self, listener: TcpListener, rules: Arc<Rules>, tls: Option<Tls>) -> io::Result<()> {
        // Accepted sockets inherit this. Replies are written whole, so that waiting for more would only delay them.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        let address = listener.local_addr()?;
        let grace = rules.timeouts.stop;
        let served = self.listener(rules, tls);
        let mut connections = JoinSet::new();
        let mut warned = None;
        let mut minute = tokio::time::interval(refusals::PAUSE);
        let stopped = self.0.stop.stopped();
        let mut stopped = std::pin::pin!(stopped);
        loop {
            tokio::select! {
                // A task that has ended keeps its memory until it is joined, so those come before new connections: clients
                // that connect faster than we accept would pile them up otherwise.
                biased;
                () = &mut stopped => break,
                _ = minute.tick() => self.0.refusals.report(refusals::PAUSE),
                Some(ended) = connections.join_next() => self.ended(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, remote)) => {
                        let local = local_address(&stream, address);
                        connections.spawn(self.clone().connection(stream, remote, local, Arc::clone(&served)));
                    }
                    Err(error) => self.accept_failed(&error, &mut warned).await,
                },
            }
        }
        self.0.refusals.report(Duration::ZERO);
        drop(listener);
        let wind_up = async {
            while let Some(ended) = connections.join_next().await {
                self.ended(ended);
            }
        };
        if tokio::time::timeout(grace, wind_up).await.is_err() {
            connections.shutdown().await;
        }
        Ok(())
    }

    /// Holds one conversation over `stream`, which has no TLS yet.
    pub async fn converse<T: Transport>(
        &self,
        stream: T,
        [remote, local]: [SocketAddr; 2],
        rules: Arc<Rules>,
        tls: Option<Tls>,
    ) {
        self.clone().connection(stream, remote, local, self.listener(rules, tls)).await;
    }

    fn listener(&self, rules: Arc<Rules>, tls: Option<Tls>) -> Arc<Listener> {
        let open = Metrics::open(&rules.listener);
        Arc::new(Listener { rules, tls, open })
    }

    async fn connection<T: Transport>(
        self,
        stream: T,
        remote: SocketAddr,
        local: SocketAddr,
        listener: Arc<Listener>,
    ) {
        let cid = self.0.next_cid.fetch_add(1, Ordering::Relaxed);
        let peer = Peer { cid, id: self.0.request_key.id(cid), remote, local };
        let span = info_span!(
            "smtp",
            cid = format_args!("{cid:x}"), request = %peer.id, username = tracing::field::Empty,
        );
        Connection::new(self.0, listener, stream, peer).run().instrument(span).await;
    }

    /// Pauses after an error, usually a lack of descriptors. Open connections go on. Logs it once a minute.
    async fn accept_failed(&self, error: &io::Error, warned: &mut Option<Instant>) {
        // The client has gone away again, which does not concern others.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        if warned.is_none_or(|since| since.elapsed() > WARN_PAUSE) {
            *warned = Some(Instant::now());
            warn!(%error, "accepting a connection failed");
        }
        self.0.stop.sleep(ACCEPT_PAUSE).await;
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.0.metrics.panics.increment(1);
            error!("unexpected fault in a connection, which is closed");
        }
    }
}

/// Our end of a connection; a system call only where the listener has no address of its own.
fn local_address(stream: &TcpStream, listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() { stream.local_addr().unwrap_or(listener) } else { listener }
}

/// The time, which sessions and limits take as an argument.
#[allow(clippy::disallowed_methods, reason = "the driver is where time comes from")]
fn now() -> SystemTime {
    SystemTime::now()
}
