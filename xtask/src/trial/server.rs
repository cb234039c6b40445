//! The server under test.

use super::rng::Rng;
use super::signal;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The one address of the server that [`Server::serving`] makes.
pub const ADDRESS: &str = "mox@victim.test";
/// The password of [`ADDRESS`].
pub const PASSWORD: &str = "moxmoxmox";
/// Longest time from the start of a server until it logs `ready`.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A moxd in a folder of its own, in developer mode or with the configuration and limits of a real server. Dropping it kills
/// the process.
#[derive(Debug)]
pub struct Server {
    moxd: PathBuf,
    dir: PathBuf,
    offset: u16,
    mode: Mode,
    descriptors: Option<u64>,
    child: Option<Child>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

/// The verb that runs a [`Server`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// `moxd localserve`, which has no limits by address.
    Develop,
    /// `moxd serve`.
    Serve,
}

/// The ports of developer mode that a trial uses.
const PORTS: [u16; 4] = [1025, 1081, 1465, 1587];

/// Returns an offset for the ports of developer mode at which all of them are free. It never returns ports twice in one process.
/// The ports lie below those that systems give to clients, so that no outgoing connection takes one before the server does.
///
/// # Errors
/// There are no free ports.
pub fn free_offset() -> Result<u16> {
    static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut used = USED.lock();
    let mut rng = Rng::new(u64::from(std::process::id()) << 32 | used.len() as u64);
    for _ in 0..100 {
        let offset = rng.between(1, 30_000) as u16;
        let ports = PORTS.map(|port| port + offset);
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        if ports.iter().all(|port| !used.contains(port) && free(port)) {
            used.extend(ports);
            return Ok(offset);
        }
    }
    bail!("no free ports on loopback")
}

impl Server {
    /// Prepares a server in developer mode, which creates `dir` when it starts.
    ///
    /// # Errors
    /// There are no free ports.
    pub fn new(moxd: &Path, dir: &Path) -> Result<Self> {
        Self::on_free_ports(moxd, dir, Mode::Develop)
    }

    fn on_free_ports(moxd: &Path, dir: &Path, mode: Mode) -> Result<Self> {
        let (moxd, dir, offset) = (moxd.to_owned(), dir.to_owned(), free_offset()?);
        Ok(Self { moxd, dir, offset, mode, descriptors: None, child: None, stderr: None })
    }

    /// Prepares a real server with default limits, for [`ADDRESS`] with [`PASSWORD`], that asks the name server `dns`. It accepts
    /// logins without TLS, because the client of the trials has none.
    ///
    /// # Errors
    /// There are no free ports, or the configuration cannot be written.
    pub fn serving(moxd: &Path, dir: &Path, dns: SocketAddr) -> Result<Self> {
        let server = Self::on_free_ports(moxd, dir, Mode::Serve)?;
        let config = dir.join("config");
        std::fs::create_dir_all(&config)?;
        let [smtp, _, submissions, submission] = PORTS.map(|port| port + server.offset);
        let tls = workspace::root().join("testdata/tls");
        let (certificate, key) = (tls.join("mail.pem"), tls.join("mail.key"));
        let settings = format!(
            "hostname = \"mail.example.test\"\ndns_servers = [\"{dns}\"]\npostmaster = {{ account = \"mox\" }}\n\n\
             [listeners.public]\nips = [\"127.0.0.1\"]\n\
             tls = [{{ certificate = {certificate:?}, key = {key:?} }}]\n\
             smtp = {{ port = {smtp} }}\nsubmissions = {{ port = {submissions} }}\n\
             submission = {{ port = {submission}, require_starttls = false }}\n"
        );
        std::fs::write(config.join("moxd.toml"), settings)?;
        let domains =
            format!("[domains.\"victim.test\"]\n\n[accounts.mox.destinations]\n\"{ADDRESS}\" = {{}}\n");
        std::fs::write(config.join("domains.toml"), domains)?;
        let set = server.verb_reading(&["setaccountpassword", "mox"], PASSWORD.as_bytes())?;
        ensure!(set.status.success(), "setaccountpassword: {}", String::from_utf8_lossy(&set.stderr));
        Ok(server)
    }

    /// Limits the open files of the server from its next start on. `None` leaves it the limit of this process.
    pub fn limit_descriptors(&mut self, descriptors: Option<u64>) {
        self.descriptors = descriptors;
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// The server ends, or is not ready in time. The error quotes its standard error.
    pub fn start(&mut self) -> Result<()> {
        let mut command = self.command();
        command.args(["--log-level", "info"]);
        match self.mode {
            Mode::Develop => command
                .args(["localserve", "--port-offset", &self.offset.to_string(), "--dir"])
                .arg(&self.dir),
            Mode::Serve => command.arg("--config").arg(self.config()).arg("serve"),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {}", self.moxd.display()))?;
        let stderr = child.stderr.take().context("standard error is a pipe")?;
        let (ready, is_ready) = mpsc::channel();
        self.child = Some(child);
        self.stderr = Some(std::thread::spawn(move || {
            let mut kept = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("ready") {
                    let _ = ready.send(());
                }
                // Keep the beginning, which says what went wrong, and not a line for each of millions of connections.
                if kept.len() < 100_000 {
                    kept.push_str(&line);
                    kept.push('\n');
                }
            }
            kept
        }));
        if is_ready.recv_timeout(READY_WITHIN).is_err() {
            let stderr = self.kill();
            bail!("the server did not become ready; its log:\n{stderr}");
        }
        Ok(())
    }

    /// The command of the server, with its limit on open files.
    fn command(&self) -> Command {
        let Some(descriptors) = self.descriptors else { return Command::new(&self.moxd) };
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(&self.moxd);
        shell
    }

    fn config(&self) -> PathBuf {
        self.dir.join("config/moxd.toml")
    }

    /// Kills the server with SIGKILL, and returns its standard error.
    pub fn kill(&mut self) -> String {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    /// Stops the server with SIGTERM, waits until it ends, and returns its standard error.
    ///
    /// # Errors
    /// The server does not end with status 0.
    pub fn stop(&mut self) -> Result<String> {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM")?;
            let status = child.wait()?;
            ensure!(status.success(), "the server ended with {status}");
        }
        Ok(self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default())
    }

    /// Returns the process id while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Returns the address that stands for this port of developer mode.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port + self.offset))
    }

    /// Returns the data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Runs another verb of moxd with the configuration of this server.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn verb(&self, arguments: &[&str]) -> Result<Output> {
        self.verb_reading(arguments, &[])
    }

    /// As [`verb`](Self::verb), with a short text on standard input.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn verb_reading(&self, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut command = Command::new(&self.moxd);
        command.arg("--config").arg(self.config()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // A verb that does not read may have ended already.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        Ok(child.wait_with_output()?)
    }

    /// Returns the resident memory of the server in bytes: now, and the highest so far.
    ///
    /// # Errors
    /// The server does not run, or `/proc` is missing.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let pid = self.pid().context("the server does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
        };
        Ok((field("VmRSS:").context("VmRSS")?, field("VmHWM:").context("VmHWM")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
