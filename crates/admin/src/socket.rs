//! The control socket, through which verbs reach the server that has the data directory open.
//!
//! A client may ask for everything, so only the owner of the data directory can connect (mode 0600).

use crate::console::Console;
use crate::frames::{self, Remote};
use crate::request::{Envelope, Request, VERSION};
use anyhow::{Context, Result, ensure};
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 1 << 20;
/// How long the server waits for a silent client. The time of the server's own work does not count.
const IDLE: Duration = Duration::from_secs(60);

/// Pause after a failed accept, which fails again and again while no file descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// The longest path that fits into the address of a socket (`sun_path` of Linux, less its final NUL).
const MAX_ADDRESS: usize = 107;

/// The path of the socket.
fn path(data: &Path) -> PathBuf {
    data.join("ctl")
}

/// Calls `with` with a path of the socket that fits into an address. A longer path is reached through the open folder.
fn reached<T>(data: &Path, with: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let path = path(data);
    if path.as_os_str().len() <= MAX_ADDRESS {
        return with(&path);
    }
    let folder = File::open(data)?;
    with(&self::path(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd()))))
}

/// Binds the socket. Replaces one that a killed server left behind: the caller has the data directory locked, so no other
/// server listens there.
///
/// # Errors
/// The socket cannot be made in the data directory.
pub fn bind(data: &Path) -> Result<UnixListener> {
    let path = path(data);
    if path.exists() {
        std::fs::remove_file(&path).with_context(|| format!("remove the old {}", path.display()))?;
    }
    let listener = reached(data, |path| UnixListener::bind(path));
    let listener = listener.with_context(|| format!("bind {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("restrict {}", path.display()))?;
    Ok(listener)
}

/// Removes the socket when the server ends.
pub fn unbind(data: &Path) {
    let _ = std::fs::remove_file(path(data));
}

/// Does a server run on this data directory?
pub fn is_served(data: &Path) -> bool {
    reached(data, |path| UnixStream::connect(path)).is_ok()
}

/// Sends a request to the running server and relays its answer; `None` if no server runs.
pub(crate) fn ask(data: &Path, request: &Request, console: &mut dyn Console) -> Result<Option<()>> {
    let path = path(data);
    let mut stream = match reached(data, |path| UnixStream::connect(path)) {
        Ok(stream) => stream,
        Err(e)
            if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) =>
        {
            return Ok(None);
        }
        Err(e) => {
            return Err(e).with_context(|| format!("connect to the running server at {}", path.display()));
        }
    };
    put(&mut stream, request, console)?;
    if matches!(request, Request::Stop) {
        // The server keeps the connection open until its process ends; then the data directory is free.
        stream.set_read_timeout(Some(IDLE))?;
        let _ = stream.read(&mut [0]);
    }
    Ok(Some(()))
}

/// Sends a request, and executes the frames of the answer at the console.
pub(crate) fn put(stream: &mut UnixStream, request: &Request, console: &mut dyn Console) -> Result<()> {
    let line = serde_json::json!({ "version": VERSION, "request": request });
    stream.write_all(format!("{line}\n").as_bytes()).context("write to the control socket")?;
    frames::relay(stream, console)
}

/// Answers the clients of the socket with `handle` for as long as the future is polled. `handle` runs on threads where it may
/// block. Needs a runtime of tokio.
///
/// # Errors
/// The socket cannot be given to the runtime.
pub fn answer<H>(socket: UnixListener, handle: H) -> Result<impl Future<Output = Infallible>>
where
    H: Fn(Request, &mut dyn Console) -> Result<()> + Send + Sync + 'static,
{
    socket.set_nonblocking(true)?;
    let (socket, handle) = (tokio::net::UnixListener::from_std(socket)?, Arc::new(handle));
    Ok(async move {
        loop {
            match socket.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => {
                    let handle = Arc::clone(&handle);
                    tokio::task::spawn_blocking(move || answer_one(stream, &*handle));
                }
                Err(error) => {
                    tracing::warn!(%error, "control socket: accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    })
}

/// Answers one client.
fn answer_one(stream: UnixStream, handle: &impl Fn(Request, &mut dyn Console) -> Result<()>) {
    let mut stops = false;
    let handle = |request: Request, console: &mut dyn Console| {
        stops = matches!(request, Request::Stop);
        handle(request, console)
    };
    let limited = stream.set_nonblocking(false).and_then(|()| limit(&stream));
    let served = limited.map_err(Into::into).and_then(|()| serve(&stream, handle));
    if stops {
        // The verb waits for the end of this process, so only that closes the connection.
        let _ = stream.into_raw_fd();
    }
    if let Err(error) = served {
        tracing::warn!("control socket: {error:#}");
    }
}

/// Bounds the time that a silent client can take.
fn limit(stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))
}

/// Serves one client with `handle`. Needs no further file descriptor, so that a client that was accepted gets its answer even
/// when none is free.
pub(crate) fn serve(
    stream: &UnixStream,
    handle: impl FnOnce(Request, &mut dyn Console) -> Result<()>,
) -> Result<()> {
    // The request is read byte by byte, because the frames follow it.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = Vec::new();
    reader.by_ref().take(MAX_REQUEST).read_until(b'\n', &mut line).context("read the request")?;
    let mut remote = Remote::new(stream);
    let result = parse(&line).and_then(|request| handle(request, &mut remote));
    remote.finish(result)
}

fn parse(line: &[u8]) -> Result<Request> {
    // The version first: a request of another version may have another form.
    let value: serde_json::Value = serde_json::from_slice(line).context("the request is not JSON")?;
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    ensure!(
        version == Some(u64::from(VERSION)),
        "the running server speaks version {VERSION} of the control protocol: use its own moxd"
    );
    let envelope: Envelope =
        serde_json::from_value(value).context("the request is not known to this server")?;
    Ok(envelope.request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{Local, NoSource};

    fn answer(line: &[u8]) -> Result<Request, String> {
        parse(line).map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn requests_of_another_version_are_refused() {
        let asked = |version: u32, request: &str| {
            answer(format!("{{\"version\":{version},\"request\":\"{request}\"}}\n").as_bytes())
        };
        assert!(asked(VERSION, "reload").is_ok());
        assert!(asked(VERSION - 1, "reload").unwrap_err().contains(&format!("version {VERSION}")));
        assert!(asked(VERSION, "fly").unwrap_err().contains("not known"));
        assert!(answer(b"hello\n").unwrap_err().contains("not JSON"));
    }

    #[test]
    fn a_request_travels_and_its_failure_too() {
        let dir = tempfile::tempdir().unwrap();
        travels(dir.path());
    }

    #[test]
    fn requests_travel_wherever_the_data_is() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join(["a folder with a long name"; 8].join("/"));
        std::fs::create_dir_all(&data).unwrap();
        travels(&data);
    }

    fn travels(data: &Path) {
        let mut console = Local::new(data, NoSource);
        assert!(ask(data, &Request::Reload, &mut console).unwrap().is_none(), "no server listens");
        let listener = bind(data).unwrap();
        let mode = std::fs::metadata(data.join("ctl")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(&stream, |request, _| {
                assert!(matches!(request, Request::Stop));
                anyhow::bail!("not now")
            })
        });
        let error = ask(data, &Request::Stop, &mut console).unwrap_err();
        assert_eq!(error.to_string(), "not now");
        server.join().unwrap().unwrap();
    }
}
