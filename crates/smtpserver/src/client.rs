//! Facts about a client. They grow during the session; a [`crate::Backend`] gets them with every question.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns::{Domain, Host};
use smtp_parser::Mailbox;

use crate::rules::{Kind, Rules};

/// Facts about a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The connection: addresses and numbers.
    pub peer: Peer,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The host name of the listener.
    pub hostname: Domain,
    /// What the listener is for.
    pub kind: Kind,
    /// The name that the client gave in HELO or EHLO.
    pub hello: Option<Hello>,
    /// The TLS of the connection, if it has TLS.
    pub tls: Option<Box<TlsFacts>>,
    /// The account that the client has logged in to.
    pub login: Option<Box<Login>>,
}

impl Client {
    /// A client that has sent nothing yet.
    pub fn new(rules: &Rules, peer: Peer) -> Self {
        Self {
            peer,
            listener: Arc::clone(&rules.listener),
            hostname: rules.hostname.clone(),
            kind: rules.kind,
            hello: None,
            tls: None,
            login: None,
        }
    }

    /// The client's address.
    pub fn ip(&self) -> IpAddr {
        self.peer.remote.ip().to_canonical()
    }
}

/// The two ends of a connection, and its numbers.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The number of the connection, increasing over all listeners.
    pub cid: u64,
    /// The same number for outsiders, in error replies and Received fields.
    pub id: RequestId,
    /// The client.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

/// 22 characters that identify a connection to outsiders and reveal nothing. [`crate::RequestKey`] makes them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; Self::LEN]);

impl RequestId {
    /// Characters: 16 bytes in base64url without padding.
    pub const LEN: usize = 22;

    /// From characters of base64url (letters, digits, `-` and `_`).
    pub fn new(text: [u8; Self::LEN]) -> Option<Self> {
        text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(text))
    }

    /// An id for tests, and for callers without ids.
    pub fn zero() -> Self {
        Self([b'0'; Self::LEN])
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name that a client gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name or address. On submission listeners in the lenient dialect, the client's IP address, because names of mail
    /// programs are of no use.
    pub name: Host,
    /// By EHLO rather than HELO?
    pub extended: bool,
}

/// The TLS of a connection.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// The cipher suite, as the registry names it: `TLS_AES_128_GCM_SHA256`.
    pub cipher: &'static str,
    /// The server name that the client wanted (SNI).
    pub sni: Option<Box<str>>,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) of the client's certificate, whose key the client has proved to own.
    pub client_key: Option<[u8; 32]>,
    /// Keying material exported for channel binding (RFC 9266 §2); TLS 1.3 only.
    pub exporter: Option<[u8; 32]>,
}

impl fmt::Debug for TlsFacts {
    /// Without the exported keying material.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFacts")
            .field("version", &self.version)
            .field("cipher", &self.cipher)
            .field("sni", &self.sni)
            .field("client_key", &self.client_key.is_some())
            .finish_non_exhaustive()
    }
}

/// The account of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account's name.
    pub account: Arc<str>,
    /// The address that the client logged in with.
    pub address: Mailbox,
}
