//! What is known of a client. It grows while the session goes on, and a [`crate::Backend`] sees it with every question.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dns::{Domain, Host};
use smtp_parser::Mailbox;

use crate::rules::{Kind, Rules};

/// What is known of a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The connection: addresses and numbers.
    pub peer: Peer,
    /// The listener's name.
    pub listener: Arc<str>,
    /// The host name that the listener goes by.
    pub hostname: Domain,
    /// What the listener is for.
    pub kind: Kind,
    /// What the client called itself, once it did.
    pub hello: Option<Hello>,
    /// The TLS of the connection, if there is any.
    pub tls: Option<Box<TlsFacts>>,
    /// Who the client is, once it has logged in.
    pub login: Option<Box<Login>>,
}

impl Client {
    /// A client that has said nothing yet.
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

/// The two ends of a connection, and the numbers that name it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Number of the connection, increasing over all listeners.
    pub cid: u64,
    /// The same for outsiders: it stands in error replies and in Received fields.
    pub id: RequestId,
    /// The client.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
}

/// 22 characters that name a connection to outsiders and tell them nothing. [`crate::RequestKey`] makes them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; Self::LEN]);

impl RequestId {
    /// Characters: 16 octets in base64url without padding.
    pub const LEN: usize = 22;

    /// From characters of base64url (letters, digits, `-` and `_`).
    pub fn new(text: [u8; Self::LEN]) -> Option<Self> {
        text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(text))
    }

    /// An id for tests and for where ids are of no use.
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

/// What a client called itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name or address. On submission listeners, where what clients say here is of no use, their IP address (but for
    /// the strict dialect).
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
    /// The server name that the client asked for.
    pub sni: Option<Box<str>>,
    /// SHA-256 of the public key (SubjectPublicKeyInfo) of the client's certificate, which it has proved to own.
    pub client_key: Option<[u8; 32]>,
    /// RFC 9266 §2: keying material exported for channel binding; TLS 1.3 alone has it.
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

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account's name.
    pub account: Arc<str>,
    /// The address that it was logged in with.
    pub address: Mailbox,
}
