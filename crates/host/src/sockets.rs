//! Listening sockets, and how many files the process may have open.

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, TcpListener};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Open files that every process may have: the usual soft limit, assumed where the system does not tell.
const FEWEST_FILES: u64 = 1024;

/// Opens listening sockets, or takes those that the service manager has opened already.
#[derive(Debug)]
pub struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// Takes the sockets that the service manager has opened, if any.
    pub fn inherited() -> Self {
        let mut given = listenfd::ListenFd::from_env();
        let sockets = (0..given.len()).filter_map(|at| given.take_tcp_listener(at).ok().flatten());
        Self(sockets.collect())
    }

    /// The socket for an address: inherited, or opened now. Does not block.
    ///
    /// # Errors
    /// No program can listen there; the error says what to do.
    pub fn listen(&mut self, address: SocketAddr) -> Result<TcpListener> {
        let given = self.0.iter().position(|socket| socket.local_addr().is_ok_and(|local| local == address));
        let listener = match given {
            Some(at) => self.0.swap_remove(at),
            None => bind(address).map_err(|error| cannot_listen(address, &error))?,
        };
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Inherited sockets that were not asked for.
    pub fn left_over(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

/// Why no socket can listen there, and what to do.
fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
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
        // `0.0.0.0` and `::` can then have the same port.
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Raises the limit on open files as far as possible, since every connection is one. Returns the limit.
pub fn raise_open_files() -> usize {
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
