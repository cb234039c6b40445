//! The service manager that may have started the server (systemd, or another that speaks sd_notify(3)).

use sd_notify::NotifyState;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram;

/// A state of the server that the service manager wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It serves.
    Ready,
    /// It reads its configuration again, for units of the type `notify-reload`.
    Reloading,
    /// It takes no new connections and ends soon.
    Stopping,
}

/// Tells the service manager, if there is one.
pub fn notify(state: State) {
    let states = match state {
        State::Ready => vec![NotifyState::Ready],
        State::Reloading => {
            let now = NotifyState::monotonic_usec_now().ok();
            [Some(NotifyState::Reloading), now].into_iter().flatten().collect()
        }
        State::Stopping => vec![NotifyState::Stopping],
    };
    let sent = match abstract_socket() {
        Some(name) => {
            let text: String = states.iter().map(|state| format!("{state}\n")).collect();
            send_to_abstract(&name, text.as_bytes())
        }
        None => sd_notify::notify(&states),
    };
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// The name of the service manager's socket where it is no file: such a name begins with `@`, and `sd_notify` takes it for a
/// path.
#[expect(clippy::disallowed_methods, reason = "the service manager names its socket in the environment")]
fn abstract_socket() -> Option<String> {
    Some(std::env::var("NOTIFY_SOCKET").ok()?.strip_prefix('@')?.to_owned())
}

fn send_to_abstract(name: &str, text: &[u8]) -> std::io::Result<()> {
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(text, &address).map(drop)
}
