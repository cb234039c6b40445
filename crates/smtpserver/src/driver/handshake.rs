//! TLS handshakes, and facts about them.

use std::io;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls::server::{Acceptor, ParsedCertificate};
use rustls::{AlertDescription, CipherSuite, ProtocolVersion, ServerConnection};
use tokio::sync::Semaphore;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;
use super::wire::{Metered, Transport};
use crate::client::TlsFacts;

/// RFC 9266 §2: the label of the exporter.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// Most bytes that a client may send in a handshake. A hello has two to four thousand, and certificates have a limit of
/// their own. rustls would keep 64 KiB for each connection, before we know anything about the client.
const MAX_CLIENT_BYTES: usize = 20 << 10;

/// Does a handshake within `timeout`. Our signature is the costly part: no more handshakes than `signers` has permits sign
/// at a time, first come, first served, so that a storm of handshakes leaves cores to connected clients. A handshake that
/// waits for its client needs no permit.
pub(super) async fn accept<T: Transport>(
    stream: T,
    tls: &Tls,
    signers: &Semaphore,
    timeout: Duration,
) -> io::Result<TlsStream<Metered<T>>> {
    let stream = Metered::new(stream, MAX_CLIENT_BYTES);
    let handshake = async {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let accept = {
            let _place = signers.acquire().await;
            hello.into_stream(tls.config())
        };
        let mut stream = accept.await?;
        stream.get_mut().0.lift();
        Ok(stream)
    };
    tokio::time::timeout(timeout, handshake).await?
}

/// The facts about a finished handshake.
pub(super) fn facts(connection: &ServerConnection) -> TlsFacts {
    let version = connection.protocol_version();
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let key = certificate.and_then(|certificate| ParsedCertificate::try_from(certificate).ok());
    // RFC 9266 §4.2: only TLS 1.3 always binds the exporter to the whole handshake.
    let exporter = (version == Some(ProtocolVersion::TLSv1_3))
        .then(|| connection.export_keying_material([0; 32], EXPORTER, Some(b"")).ok())
        .flatten();
    TlsFacts {
        version: if version == Some(ProtocolVersion::TLSv1_3) { "TLS1.3" } else { "TLS1.2" },
        cipher: connection.negotiated_cipher_suite().map_or("unknown", |suite| name(suite.suite())),
        sni: connection.server_name().map(Box::from),
        client_key: key
            .and_then(|key| digest(&SHA256, key.subject_public_key_info().as_ref()).as_ref().try_into().ok()),
        exporter,
    }
}

/// The name of a cipher suite in IANA's registry; rustls has other names for those of TLS 1.3.
fn name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// Why a handshake failed: a token from a closed list, for metrics.
pub(super) fn reason(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return "eof";
    }
    if error.kind() == io::ErrorKind::TimedOut {
        return "timeout";
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(_)) => "nottls",
        Some(rustls::Error::PeerIncompatible(_)) => "unsupportedversions",
        Some(rustls::Error::AlertReceived(alert)) => match alert {
            AlertDescription::CloseNotify => "alert-0-close-notify",
            AlertDescription::HandshakeFailure => "alert-40-handshake-failure",
            AlertDescription::BadCertificate => "alert-42-bad-certificate",
            AlertDescription::CertificateExpired => "alert-45-expired-certificate",
            AlertDescription::CertificateUnknown => "alert-46-unknown-certificate",
            AlertDescription::UnknownCA => "alert-48-unknown-ca",
            AlertDescription::ProtocolVersion => "alert-70-protocol-version",
            _ => "alert-other",
        },
        _ => "other",
    }
}
