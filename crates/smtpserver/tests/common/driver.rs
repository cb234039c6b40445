//! The driver over a stream in memory, and the client's end of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use moxd_smtpserver::{
    Certificate, GateRules, RequestKey, Reveal, Rules, Server, Settings, Stop, Tls, TlsRules,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::backend::TestBackend;
use super::talk::Peer;

/// Longer than any reply takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn settings(stop: Stop) -> Settings {
    Settings {
        request_key: RequestKey::new(&[1; RequestKey::BYTES]),
        first_cid: 1,
        gate: GateRules::open(),
        reveal: Reveal::default(),
        stop,
    }
}

/// A self-signed certificate for these names, and its DER.
pub fn certificate(names: &[&str]) -> (Certificate, CertificateDer<'static>) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate =
        Certificate::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
            .unwrap();
    (certificate, made.cert.der().clone())
}

/// TLS for `localhost`.
pub fn tls(rules: &Rules) -> Tls {
    Tls::new(vec![certificate(&["localhost"]).0], TlsRules::new(rules.kind)).unwrap()
}

/// The configuration of a client that accepts any certificate.
pub fn any_server() -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let dangerous = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer));
    Arc::new(dangerous.with_no_client_auth())
}

#[derive(Debug)]
pub struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The client's stream, before and after its handshake.
pub enum Stream<S> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
    Gone,
}

pub struct Client<S> {
    pub stream: Stream<S>,
    input: Vec<u8>,
    stop: Stop,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(stream: S, stop: Stop) -> Self {
        Self { stream: Stream::Plain(stream), input: Vec::new(), stop }
    }

    /// Reads more; 0 at the end of the stream.
    async fn more(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let read = async {
            match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut bytes).await,
                Stream::Tls(stream) => stream.read(&mut bytes).await,
                Stream::Gone => Ok(0),
            }
        };
        let read = tokio::time::timeout(PATIENCE, read).await.expect("the server does not reply");
        // A reset counts as a close.
        let read = read.unwrap_or(0);
        self.input.extend_from_slice(&bytes[..read]);
        read
    }

    /// Does a TLS handshake over the stream.
    pub async fn handshake(&mut self, config: Arc<ClientConfig>, name: &str) -> std::io::Result<()> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else { return Ok(()) };
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.stream = Stream::Tls(Box::new(TlsConnector::from(config).connect(name, stream).await?));
        Ok(())
    }

    /// Sends a line, and reads the last line of its reply.
    pub async fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The last line of a reply.
    pub async fn reply(&mut self) -> String {
        loop {
            let line = self.line().await.expect("closed");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer for Client<S> {
    async fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already; the test looks at its last replies.
        let _ = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => match stream.write_all(bytes).await {
                Ok(()) => stream.flush().await,
                error => error,
            },
            Stream::Gone => panic!("nothing to send over"),
        };
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().strip_suffix("\r\n").unwrap().to_owned());
            }
            if self.more().await == 0 {
                assert!(self.input.is_empty(), "half a line: {:?}", self.input);
                return None;
            }
        }
    }

    async fn start_tls(&mut self) {
        self.handshake(any_server(), "localhost").await.unwrap();
    }

    async fn stop(&mut self) {
        self.stop.stop();
    }
}

/// A server with one connection in memory.
pub fn converse(rules: Arc<Rules>, backend: Arc<TestBackend>) -> Client<DuplexStream> {
    let stop = Stop::new();
    let server = Server::new(backend, settings(stop.clone()));
    let (client, stream) = tokio::io::duplex(1 << 16);
    let ends: [SocketAddr; 2] = ["192.0.2.1:40000".parse().unwrap(), "127.0.0.1:25".parse().unwrap()];
    let tls = tls(&rules);
    tokio::spawn(async move { server.converse(stream, ends, rules, Some(tls)).await });
    Client::new(client, stop)
}
