//! A running server: in developer mode, or from a configuration of the test's own.

use super::client::Smtp;
use super::run::{Ended, MOXD, moxd, moxd_reading};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;
use xtask::trial;

/// The ports of developer mode, before the offset.
pub const SMTP: u16 = 1025;
pub const SUBMISSION: u16 = 1587;
pub const SUBMISSIONS: u16 = 1465;
pub const METRICS: u16 = 1081;

/// The longest that a request to a server may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A moxd that runs, with its log.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// What it has written to its log so far.
    pub said: String,
}

impl Process {
    /// Starts the process, and does not wait until it is ready.
    pub fn start(command: &mut Command) -> Self {
        Self::start_printing(command, Stdio::null())
    }

    /// Starts it with this standard output.
    pub fn start_printing(command: &mut Command, stdout: impl Into<Stdio>) -> Self {
        let command = command.stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // The pipe is read to its end, so that the server never waits for the test.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines, said: String::new() }
    }

    /// Waits for a line with these words, not looking at lines that were seen before.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) -> String {
        self.next_with(words).unwrap_or_else(|| panic!("no {words:?} in:\n{}", self.said))
    }

    fn next_with(&mut self, words: &str) -> Option<String> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).ok()?;
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(words) {
                return Some(line);
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        trial::signal(self.child.id(), name).unwrap();
    }

    /// Waits for its end; returns the exit status.
    pub fn end(&mut self) -> Option<i32> {
        self.said.extend(self.lines.iter().map(|line| line + "\n"));
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server in developer mode, in a folder of its own.
pub struct Server {
    folder: TempDir,
    offset: u16,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Server {
    /// Runs and is ready.
    pub fn develop() -> Self {
        Self::develop_with(&[])
    }

    /// Runs with further arguments and is ready.
    pub fn develop_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, offset: 0, arguments, process: None };
        server.start();
        server
    }

    /// Starts it, and waits until it is ready.
    pub fn start(&mut self) {
        // Another test may have taken a port since it was found free.
        for _ in 0..5 {
            self.offset = trial::free_offset().unwrap();
            let mut command = Command::new(MOXD);
            let offset = self.offset.to_string();
            command.args(["localserve", "--port-offset", &offset, "--dir"]);
            command.arg(self.dir()).args(&self.arguments).stdin(Stdio::null());
            let mut process = Process::start(&mut command);
            if process.next_with("ready").is_some() {
                self.process = Some(process);
                return;
            }
            assert!(process.said.contains("in use"), "not ready:\n{}", process.said);
        }
        panic!("no free ports");
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Stops the server with SIGTERM, asserts that it ends well, and returns its log.
    #[track_caller]
    pub fn stop(&mut self) -> String {
        self.process().signal("TERM");
        assert_eq!(self.process().end(), Some(0), "{}", self.process().said);
        self.process.take().unwrap().said.clone()
    }

    /// The folder that `--dir` names.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("moxd")
    }

    /// A path in a temporary folder, which is removed when this is dropped.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.dir().join("data")
    }

    pub fn config(&self, name: &str) -> PathBuf {
        self.dir().join("config").join(name)
    }

    /// Where a port of developer mode listens.
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port + self.offset))
    }

    /// A session over SMTP or submission that was greeted and has said EHLO.
    pub fn session(&self, port: u16) -> Smtp {
        let mut client = match port {
            SUBMISSIONS => Smtp::connect_tls(self.address(port), &self.certificate()),
            _ => Smtp::connect(self.address(port)),
        };
        client.hello();
        client
    }

    /// The same, as the user `mox@localhost`.
    pub fn login(&self, port: u16) -> Smtp {
        let mut client = self.session(port);
        let reply = client.auth("PLAIN", "mox@localhost", "moxmoxmox");
        assert_eq!(reply, "235 2.7.0 nice\r\n");
        client
    }

    /// The certificate that it made for itself.
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.config("localhost.crt")).unwrap()
    }

    /// Runs another verb on its configuration.
    pub fn verb(&self, arguments: &[&str]) -> Ended {
        moxd(self.with_config(arguments))
    }

    /// The same with something on standard input.
    pub fn verb_reading(&self, arguments: &[&str], input: &[u8]) -> Ended {
        moxd_reading(self.with_config(arguments), input)
    }

    fn with_config(&self, arguments: &[&str]) -> Vec<String> {
        let path = text(&self.config("moxd.toml"));
        let arguments = arguments.iter().map(ToString::to_string);
        ["--config".to_owned(), path].into_iter().chain(arguments).collect()
    }

    /// The rows of `message list --json`.
    #[track_caller]
    pub fn messages(&self) -> Vec<Value> {
        let Value::Array(rows) = self.verb(&["message", "list", "mox", "--json"]).json() else {
            panic!("no array")
        };
        rows
    }

    /// A message as stored.
    #[track_caller]
    pub fn show(&self, id: u64) -> Vec<u8> {
        self.verb(&["message", "show", "mox", &id.to_string()]).done()
    }

    /// The page of `/metrics`.
    pub fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.address(METRICS)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        page
    }

    /// The newest message, as stored.
    #[track_caller]
    pub fn newest(&self) -> String {
        let id = self.messages().last().unwrap()["id"].as_u64().unwrap();
        String::from_utf8(self.show(id)).unwrap()
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
