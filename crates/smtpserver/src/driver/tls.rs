//! Certificates and the TLS configuration of listeners.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::ring as provider;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, InconsistentKeys, ServerConfig, SignatureScheme};

use crate::error::{Error, ErrorKind};
use crate::rules::Kind;

/// A certificate with its chain and key.
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// From PEM: the chain, its own certificate first, and the private key.
    ///
    /// # Errors
    /// [`ErrorKind::BadPem`], [`ErrorKind::NoCertificate`], or [`ErrorKind::BadKey`] where the two do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain = read_chain(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| Error::of(ErrorKind::BadPem, error))?;
        let key = CertifiedKey::from_der(chain, key, &provider::default_provider())
            .map_err(|error| Error::of(ErrorKind::BadKey, error))?;
        Ok(Self(Arc::new(key)))
    }

    /// The same key with another chain, for a certificate that was renewed and kept its key.
    ///
    /// # Errors
    /// [`ErrorKind::BadPem`], [`ErrorKind::NoCertificate`], or [`ErrorKind::BadKey`] where the key is another.
    pub fn renewed(&self, chain: &[u8]) -> Result<Self, Error> {
        let renewed = CertifiedKey::new(read_chain(chain)?, Arc::clone(&self.0.key));
        match renewed.keys_match() {
            // Keys that do not reveal their public part are accepted, as with a new key.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(renewed)))
            }
            Err(error) => Err(Error::of(ErrorKind::BadKey, error)),
        }
    }

    /// The certificate itself, in DER.
    pub fn der(&self) -> &[u8] {
        self.0.cert.first().map(AsRef::as_ref).unwrap_or_default()
    }

    /// Does the certificate cover this host name, also by a wildcard?
    pub fn is_for(&self, host: &str) -> bool {
        ServerName::try_from(host).is_ok_and(|name| self.has_name(&name))
    }

    fn has_name(&self, name: &ServerName<'_>) -> bool {
        let certificate = self.0.cert.first().map(ParsedCertificate::try_from);
        certificate.and_then(Result::ok).is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::of(ErrorKind::BadPem, error))?;
    if chain.is_empty() { Err(Error::new(ErrorKind::NoCertificate)) } else { Ok(chain) }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

/// TLS 1.2 and 1.3 for a listener. Clones share their certificates.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
}

/// Properties of TLS that may differ between listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsRules {
    /// May clients resume a session with a ticket? Off for mail from other servers, some of which fail on that.
    pub tickets: bool,
    /// Does the server request a client certificate, with which clients may log in?
    pub client_certificates: bool,
}

impl TlsRules {
    /// The usual rules of a kind of listener.
    pub fn new(kind: Kind) -> Self {
        Self { tickets: kind.is_submission(), client_certificates: kind.is_submission() }
    }
}

impl Tls {
    /// TLS with these certificates. The first is the default, for clients that give no name, or a name that no certificate
    /// covers.
    ///
    /// # Errors
    /// [`ErrorKind::NoCertificate`], [`ErrorKind::Tls`].
    pub fn new(certificates: Vec<Certificate>, rules: TlsRules) -> Result<Self, Error> {
        let provider = Arc::new(provider::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let certificates = Arc::new(Certificates::new(certificates)?);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Error::of(ErrorKind::Tls, error))?;
        let builder = if rules.client_certificates {
            builder.with_client_cert_verifier(Arc::new(AnyClient(algorithms)))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        if rules.tickets {
            // The ticketer changes its keys every few hours, and keeps them in memory only.
            config.ticketer = provider::Ticketer::new().map_err(|error| Error::of(ErrorKind::Tls, error))?;
            config.send_tls13_tickets = 1;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), certificates })
    }

    /// Replaces the certificates. Connections after their handshake go on.
    ///
    /// # Errors
    /// [`ErrorKind::NoCertificate`]; then the old ones stay.
    pub fn replace(&self, certificates: Vec<Certificate>) -> Result<(), Error> {
        let new = Certificates::new(certificates)?;
        self.certificates.0.store(new.0.load_full());
        Ok(())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// The certificates of a listener, the default first.
#[derive(Debug)]
struct Certificates(ArcSwap<Vec<Certificate>>);

impl Certificates {
    fn new(certificates: Vec<Certificate>) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(Error::new(ErrorKind::NoCertificate));
        }
        Ok(Self(ArcSwap::from_pointee(certificates)))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = self.0.load();
        let wanted = match (hello.server_name().map(ServerName::try_from), certificates.as_slice()) {
            // With one certificate there is nothing to choose.
            (Some(Ok(name)), [_, _, ..]) => {
                certificates.iter().find(|certificate| certificate.has_name(&name))
            }
            _ => None,
        };
        wanted.or_else(|| certificates.first()).map(|certificate| Arc::clone(&certificate.0))
    }
}

/// Most bytes of a client's certificate chain. rustls keeps it as long as the connection lives, and would accept 64 KiB.
const MAX_CLIENT_CERTIFICATES: usize = 8 << 10;

/// Accepts any client certificate, or none. The handshake proves that the client owns its key; the backend knows which
/// account the key belongs to.
#[derive(Debug)]
struct AnyClient(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let others: usize = intermediates.iter().map(|certificate| certificate.len()).sum();
        if end_entity.len().saturating_add(others) > MAX_CLIENT_CERTIFICATES {
            return Err(rustls::CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_renewed_certificate_with_the_key_it_has() {
        let key = rcgen::KeyPair::generate().unwrap();
        let make = |host: &str, key: &rcgen::KeyPair| {
            let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
            params.self_signed(key).unwrap().pem()
        };
        let old = make("old.example", &key);
        let old = Certificate::from_pem(old.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let new = old.renewed(make("new.example", &key).as_bytes()).unwrap();
        let names = |certificate: &Certificate| ["old.example", "new.example"].map(|n| certificate.is_for(n));
        assert_eq!((names(&old), names(&new)), ([true, false], [false, true]));
        assert_ne!(old.der(), new.der());
        let other = make("new.example", &rcgen::KeyPair::generate().unwrap());
        assert_eq!(old.renewed(other.as_bytes()).unwrap_err().kind(), ErrorKind::BadKey);
        assert_eq!(old.renewed(b"").unwrap_err().kind(), ErrorKind::NoCertificate);
    }

    #[test]
    fn refuses_what_is_no_certificate() {
        let make = || rcgen::generate_simple_self_signed(vec!["mx.example".to_owned()]).unwrap();
        let (made, other) = (make(), make());
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let check = |chain: &str, key: &str, expected: Option<ErrorKind>| {
            let kind =
                Certificate::from_pem(chain.as_bytes(), key.as_bytes()).err().map(|error| error.kind());
            assert_eq!(kind, expected);
        };
        check(&chain, &key, None);
        check("", &key, Some(ErrorKind::NoCertificate));
        check(&key, &key, Some(ErrorKind::NoCertificate));
        check("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &key, Some(ErrorKind::BadPem));
        check(&chain, &chain, Some(ErrorKind::BadPem));
        check(&chain, &other.signing_key.serialize_pem(), Some(ErrorKind::BadKey));
        let none = Tls::new(vec![], TlsRules::new(Kind::Smtp)).unwrap_err();
        assert_eq!(none.to_string(), "no certificate");
    }
}
