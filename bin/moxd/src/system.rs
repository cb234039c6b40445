//! What the operating system is asked for: sockets, limits, another user, and telling the service manager.

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, User, chown, geteuid, initgroups, setresgid, setresuid};
use socket2::{Domain, Protocol, Socket, Type};
use std::ffi::CString;
use std::fs::DirBuilder;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

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
            "; ports below 1024 are root's: start as root, with `user` in moxd.toml to go on as"
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

/// The user of this name or number.
pub(crate) fn user(name: &str) -> Result<User> {
    let user = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number))?,
        Err(_) => User::from_name(name)?,
    };
    user.with_context(|| format!("there is no user {name:?}"))
}

/// Becomes another user for good, who then owns the data directory.
pub(crate) fn become_user(name: &str, data: &Path) -> Result<()> {
    let user = user(name)?;
    if geteuid() == user.uid {
        return Ok(());
    }
    ensure!(geteuid().is_root(), "only root can become user {name:?}: start as root or as that user");
    if std::fs::metadata(data)?.uid() != user.uid.as_raw() {
        chown(data, Some(user.uid), Some(user.gid))
            .with_context(|| format!("give {} to {name}", data.display()))?;
    }
    initgroups(&CString::new(user.name.clone())?, user.gid)?;
    setresgid(user.gid, user.gid, user.gid)?;
    setresuid(user.uid, user.uid, user.uid)?;
    Ok(())
}

/// Becomes, where root runs this, the user whose the data directory is: the configured one, else its owner.
pub(crate) fn become_keeper(user: Option<&str>, data: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = std::fs::metadata(data)?.uid();
    match user {
        Some(user) => become_user(user, data),
        // One whom only another host knows, or another container, is nobody whom we could become.
        None if User::from_uid(Uid::from_raw(owner))?.is_none() => Ok(()),
        None => become_user(&owner.to_string(), data),
    }
}

/// Files made from now on are nobody else's to read: they are mail, and secrets derived from passwords.
pub(crate) fn keep_files_private() {
    umask(Mode::from_bits_truncate(0o077));
}

/// Makes a folder that nobody else can look into. Those above it are made as usual.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    let make = || {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        match DirBuilder::new().mode(0o700).create(path) {
            Err(_) if path.is_dir() => Ok(()),
            made => made,
        }
    };
    make().with_context(|| format!("make {}", path.display()))
}

/// Tells the service manager, if there is one.
pub(crate) fn notify(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
