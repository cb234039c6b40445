//! The name server of the trial: it answers every query at once or never, and counts them.
//!
//! - below `silent.test`: no answer;
//! - TXT of `NAME.spf.test`: an SPF record that leads to ten MX names below `NAME.third.test`;
//! - MX below `third.test`: ten hosts; A: an address;
//! - everything else: NXDOMAIN.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Queries a second that strangers may cause, on average over an attack.
pub(super) const MOST_QUERIES: u64 = 500;

/// MX terms of each SPF record, which may not cause more lookups (RFC 7208 §4.6.4), and hosts of each MX.
const TEN: usize = 10;
/// Record types (RFC 1035 §3.2.2).
const A: u16 = 1;
const MX: u16 = 15;
const TXT: u16 = 16;
/// Flags and response codes of answers (RFC 1035 §4.1.1).
const NO_ERROR: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 0x8183;

/// A name server on a free port of loopback. Dropping it stops its thread.
pub(super) struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    queries: AtomicU64,
    stop: AtomicBool,
}

impl NameServer {
    pub(super) fn start() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("a port for DNS")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = Some(std::thread::spawn(move || serve(&socket, &of_thread)));
        Ok(Self { address, shared, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of queries so far.
    pub(super) fn queries(&self) -> u64 {
        self.shared.queries.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 2048];
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        shared.queries.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = buffer.get(..length).and_then(answer) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// Composes the answer to a query; `None` for names that get no answer.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let (name, rest) = name(question.get(12..)?)?;
    let kind = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
    if name.ends_with("silent.test") {
        return None;
    }
    let records = records(&name, kind);
    let mut out = id.to_vec();
    let code = if records.is_some() { NO_ERROR } else { NO_SUCH_NAME };
    let records = records.unwrap_or_default();
    for field in [code, 1, records.len() as u16, 0, 0] {
        out.extend(field.to_be_bytes());
    }
    let asked = question.len() - rest.len() + 4;
    out.extend(question.get(12..asked)?);
    for record in records {
        // RFC 1035 §4.1.4: a pointer to the name of the question, at offset 12; then class IN and a TTL of five minutes.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 1, 44]);
        out.extend((record.len() as u16).to_be_bytes());
        out.extend(record);
    }
    Some(out)
}

/// Returns the data of the records; `None` if the name does not exist.
fn records(name: &str, kind: u16) -> Option<Vec<Vec<u8>>> {
    if let Some(sender) = name.strip_suffix(".spf.test") {
        let terms: String = (0..TEN).map(|n| format!(" mx:m{n}.{sender}.third.test")).collect();
        let text = format!("v=spf1{terms} -all");
        let data = [&[text.len() as u8], text.as_bytes()].concat();
        return Some(if kind == TXT { vec![data] } else { Vec::new() });
    }
    if !name.ends_with(".third.test") {
        return None;
    }
    Some(match kind {
        A => vec![vec![192, 0, 2, 1]],
        MX => (0..TEN).map(|n| [&[0, 10], labels(&format!("h{n}.{name}")).as_slice()].concat()).collect(),
        _ => Vec::new(),
    })
}

/// Reads a name, in lower case, and returns the bytes behind it.
fn name(mut bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut labels = Vec::new();
    loop {
        let (length, rest) = bytes.split_first()?;
        let (label, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        if label.is_empty() {
            return Some((labels.join("."), bytes));
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
}

/// Encodes a name as labels.
fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}
