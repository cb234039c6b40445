//! An SMTP client that waits: plain, over TLS, and from one to the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sasl::{Binding, Channel, Credentials, Mechanism, Nonce};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Timeout for a reply: longer than any takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// The TCP or TLS connection to the server.
    Gone,
}

/// A connection.
pub struct Smtp {
    link: Connection,
    input: Vec<u8>,
    /// The reply to the last EHLO.
    pub extensions: String,
}

/// Creates a client that trusts this certificate only.
fn believing(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Smtp {
    /// Connects without reading the greeting.
    pub fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { link: Connection::Plain(stream), input: Vec::new(), extensions: String::new() }
    }

    /// Connects and is greeted.
    pub fn connect(to: SocketAddr) -> Self {
        let mut client = Self::open(to);
        client.greeted();
        client
    }

    /// Connects with TLS from the start and is greeted.
    pub fn connect_tls(to: SocketAddr, certificate: &CertificateDer<'static>) -> Self {
        let mut client = Self::open(to);
        client.handshake(certificate).unwrap();
        client.greeted();
        client
    }

    #[track_caller]
    fn greeted(&mut self) {
        let greeting = self.reply();
        assert!(greeting.starts_with("220 localhost ESMTP"), "{greeting}");
    }

    /// Goes over to TLS; fails where the server has another certificate.
    pub fn handshake(&mut self, certificate: &CertificateDer<'static>) -> std::io::Result<()> {
        assert!(self.input.is_empty(), "said before the handshake");
        let Connection::Plain(mut stream) = std::mem::replace(&mut self.link, Connection::Gone) else {
            panic!("TLS twice")
        };
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(believing(certificate), name).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        self.link = Connection::Tls(Box::new(StreamOwned::new(connection, stream)));
        Ok(())
    }

    /// Sends STARTTLS, does the handshake, and sends EHLO again.
    #[track_caller]
    pub fn starttls(&mut self, certificate: &CertificateDer<'static>) {
        assert!(self.extensions.contains("STARTTLS"), "{}", self.extensions);
        assert!(self.ask("STARTTLS").starts_with("220 "));
        self.handshake(certificate).unwrap();
        self.hello();
    }

    /// EHLO.
    #[track_caller]
    pub fn hello(&mut self) {
        self.extensions = self.ask("EHLO client.example");
        assert!(self.extensions.starts_with("250"), "{}", self.extensions);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        // The server may have closed already; the test reads what it sent before.
        let _ = match &mut self.link {
            Connection::Plain(stream) => stream.write_all(bytes),
            Connection::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Connection::Gone => panic!("nothing to write to"),
        };
    }

    /// Returns the next line without its CRLF; `None` if the connection is closed.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().strip_suffix("\r\n").unwrap().to_owned());
            }
            let mut bytes = [0; 4096];
            let read = match &mut self.link {
                Connection::Plain(stream) => stream.read(&mut bytes),
                Connection::Tls(stream) => stream.read(&mut bytes),
                Connection::Gone => Ok(0),
            };
            let read = match read {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing was said"),
                // A server that closes without close_notify has closed as well.
                Err(_) => 0,
            };
            if read == 0 {
                assert!(self.input.is_empty(), "half a line: {:?}", self.input);
                return None;
            }
            self.input.extend_from_slice(&bytes[..read]);
        }
    }

    /// A whole reply, with its line ends.
    #[track_caller]
    pub fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let line = self.line().unwrap_or_else(|| panic!("closed after {reply:?}"));
            reply.push_str(&line);
            reply.push_str("\r\n");
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    /// Sends a line, and reads the reply to it.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    /// Sends a line; the reply has this code.
    #[track_caller]
    pub fn expect(&mut self, line: &str, code: &str) -> String {
        let reply = self.ask(line);
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    /// Goes through an AUTH exchange, and returns the last reply. Where the mechanism proves the server too, checks that proof.
    #[track_caller]
    pub fn auth(&mut self, mechanism: &str, user: &str, password: &str) -> String {
        let name = mechanism;
        let mechanism: Mechanism = mechanism.parse().unwrap();
        assert!(self.extensions.contains(&format!(" {name}")), "{name} is not on offer: {}", self.extensions);
        let credentials = Credentials::new(user, password).unwrap();
        let nonce = Nonce::from_random([9; sasl::NONCE_BYTES]);
        let mut client = sasl::Client::new(mechanism, &credentials, &self.channel(mechanism), nonce);
        let mut line = format!("AUTH {name}");
        if let Some(initial) = client.begin().unwrap() {
            line = format!("{line} {}", BASE64.encode(initial));
        }
        loop {
            let reply = self.ask(&line);
            let Some(challenge) = reply.strip_prefix("334 ") else {
                if reply.starts_with("235 ") {
                    client.finish().unwrap();
                }
                return reply;
            };
            let challenge = BASE64.decode(challenge.trim_end()).unwrap();
            line = client.step(&challenge).map_or_else(|_| "*".to_owned(), |answer| BASE64.encode(answer));
        }
    }

    fn channel(&self, mechanism: Mechanism) -> Channel {
        let Connection::Tls(stream) = &self.link else { return Channel::plaintext() };
        if !mechanism.is_plus() {
            // Acts as a client that does not support channel binding.
            return Channel::tls();
        }
        let bytes =
            stream.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap();
        Channel::bound(Binding::TlsExporter, bytes.to_vec())
    }

    /// Begins a message: MAIL, RCPT and DATA in one go, all accepted.
    #[track_caller]
    pub fn begin(&mut self, from: &str, to: &[&str]) {
        let recipients: String = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n")).collect();
        self.write(format!("MAIL FROM:<{from}>\r\n{recipients}DATA\r\n").as_bytes());
        for _ in 0..=to.len() {
            let reply = self.reply();
            assert!(reply.starts_with("250 "), "{reply}");
        }
        let reply = self.reply();
        assert!(reply.starts_with("354 "), "{reply}");
    }

    /// Sends a message, dots stuffed; returns the reply to it.
    #[track_caller]
    pub fn send(&mut self, from: &str, to: &[&str], message: &[u8]) -> String {
        self.begin(from, to);
        self.finish(message)
    }

    /// Sends the content of a message that was begun.
    #[track_caller]
    pub fn finish(&mut self, message: &[u8]) -> String {
        assert!(message.ends_with(b"\r\n"), "DATA ends its last line");
        let mut data = Vec::with_capacity(message.len() + 16);
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                data.push(b'.');
            }
            data.extend_from_slice(line);
        }
        data.extend_from_slice(b".\r\n");
        self.write(&data);
        self.reply()
    }

    /// Sends a message that the server must accept.
    #[track_caller]
    pub fn deliver(&mut self, from: &str, to: &[&str], message: &[u8]) {
        let reply = self.send(from, to, message);
        assert!(reply.starts_with("250 2.2.0 it is done ("), "{reply}");
    }
}
