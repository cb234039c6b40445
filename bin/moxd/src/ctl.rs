//! The control socket: how a verb reaches the server that has the data directory open.
//!
//! Whoever can open the socket may do everything, so only the owner of the data directory can (mode 0600).

use crate::console::Console;
use crate::frames::{self, Remote};
use crate::request::{Envelope, Request, VERSION};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest request.
const MAX_REQUEST: u64 = 1 << 20;
/// How long the server waits for a client that says nothing. Long work of the server's own does not count.
const IDLE: Duration = Duration::from_secs(60);

/// The longest path that the address of a socket has room for (`sun_path` of Linux, with its final NUL).
const MAX_ADDRESS: usize = 107;

/// The socket's place.
fn path(data: &Path) -> PathBuf {
    data.join("ctl")
}

/// Calls `with` with a path of the socket that its address has room for: one through the open folder where need be.
fn reached<T>(data: &Path, with: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let path = path(data);
    if path.as_os_str().len() <= MAX_ADDRESS {
        return with(&path);
    }
    let folder = File::open(data)?;
    with(&self::path(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd()))))
}

/// Binds the socket. One that is left over from a server that was killed is replaced: the caller has the data directory
/// locked, so nobody listens there.
pub(crate) fn bind(data: &Path) -> Result<UnixListener> {
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

/// Removes the socket at the end.
pub(crate) fn unbind(data: &Path) {
    let _ = std::fs::remove_file(path(data));
}

/// Whether a server has this data directory.
pub(crate) fn is_served(data: &Path) -> bool {
    reached(data, |path| UnixStream::connect(path)).is_ok()
}

/// Asks the running server. None if there is none.
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
        // The server has agreed; it leaves the connection open until it is gone, and then the data is free.
        stream.set_read_timeout(Some(IDLE))?;
        let _ = stream.read(&mut [0]);
    }
    Ok(Some(()))
}

/// Puts a request to whoever is at the other end, and does at the console what the answer says.
pub(crate) fn put(stream: &mut UnixStream, request: &Request, console: &mut dyn Console) -> Result<()> {
    let line = serde_json::json!({ "version": VERSION, "request": request });
    stream.write_all(format!("{line}\n").as_bytes()).context("write to the control socket")?;
    frames::relay(stream, console)
}

/// Does not wait for ever for a client that says nothing.
pub(crate) fn limit(stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))
}

/// Serves one client with `handle`, which runs where it may block. It opens nothing more than the client has taken, so
/// whoever was let in is answered even when there are no more files to be had.
pub(crate) fn serve(
    stream: &UnixStream,
    handle: impl FnOnce(Request, &mut dyn Console) -> Result<()>,
) -> Result<()> {
    // The request is read octet by octet past its buffer: what follows it belongs to the frames.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = Vec::new();
    reader.by_ref().take(MAX_REQUEST).read_until(b'\n', &mut line).context("read the request")?;
    let mut remote = Remote::new(stream);
    let result = parse(&line).and_then(|request| handle(request, &mut remote));
    remote.finish(result)
}

fn parse(line: &[u8]) -> Result<Request> {
    // The version first: the request of another version may not be readable.
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
        assert!(ask(data, &Request::Reload, &mut console).unwrap().is_none(), "nobody listens");
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
