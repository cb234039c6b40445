//! What moxd asks the operating system for: sockets, limits, and telling the service manager.

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Open files that every process may have: the usual soft limit, assumed where the system does not tell.
const FEWEST_FILES: u64 = 1024;

/// Opens listening sockets, or takes those that the service manager has opened already.
pub(crate) struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// Takes what the service manager gives.
    pub(crate) fn inherited() -> Self {
        let mut given = listenfd::ListenFd::from_env();
        let sockets = (0..given.len()).filter_map(|at| given.take_tcp_listener(at).ok().flatten());
        Self(sockets.collect())
    }

    /// The socket for an address.
    pub(crate) fn listen(&mut self, address: SocketAddr) -> Result<TcpListener> {
        let given = self.0.iter().position(|socket| socket.local_addr().is_ok_and(|local| local == address));
        let listener = match given {
            Some(at) => self.0.swap_remove(at),
            None => bind(address).map_err(|error| unheard(address, &error))?,
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Inherited sockets that nothing in the configuration asks for.
    pub(crate) fn left_over(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

/// Why nobody can listen there, and what to do.
fn unheard(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    let mend = match error.kind() {
        AddrInUse => {
            "; stop the program that listens there, or choose another port (localserve: --port-offset)"
        }
        AddrNotAvailable => "; this host has no such address: choose one that it has",
        PermissionDenied => {
            "; ports below 1024 need root (with `user` in moxd.toml to go on as), or in a systemd unit \
             AmbientCapabilities=CAP_NET_BIND_SERVICE, or a .socket unit that opens the port"
        }
        _ => "",
    };
    anyhow::anyhow!("listen on {address}: {error}{mend}")
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // So that `0.0.0.0` and `::` can have the same port.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Raises the limit on open files as far as it goes, and returns how many may be open now: a connection is a file.
pub(crate) fn raise_open_files() -> usize {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((FEWEST_FILES, FEWEST_FILES));
    let open = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            soft
        }
    };
    usize::try_from(open).unwrap_or(usize::MAX)
}

/// Tells the service manager, if there is one (sd_notify(3)).
pub(crate) fn notify(states: &[NotifyState<'_>]) {
    let sent = match abstract_socket() {
        Some(name) => {
            let text: String = states.iter().map(|state| format!("{state}\n")).collect();
            send_to_abstract(&name, text.as_bytes())
        }
        None => sd_notify::notify(states),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// That a reload has begun, for units of the type notify-reload.
pub(crate) fn reloading() -> Vec<NotifyState<'static>> {
    let now = NotifyState::monotonic_usec_now().ok();
    [Some(NotifyState::Reloading), now].into_iter().flatten().collect()
}

/// The name of the service manager's socket where it is no file: those names begin with `@`, and the library takes them
/// for paths.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
fn abstract_socket() -> Option<String> {
    Some(std::env::var("NOTIFY_SOCKET").ok()?.strip_prefix('@')?.to_owned())
}

fn send_to_abstract(name: &str, text: &[u8]) -> std::io::Result<()> {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}
