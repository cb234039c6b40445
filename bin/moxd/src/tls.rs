//! Certificates of the listeners, read at the start and again on reload.

use anyhow::{Context, Result, ensure};
use config::{Listener, TlsFiles};
use smtpserver::{Certificate, Kind, Tls, TlsRules};
use zeroize::Zeroizing;

/// The TLS of all listeners, with the files it comes from.
#[derive(Default)]
pub(crate) struct Listeners(Vec<(Vec<TlsFiles>, Tls)>);

impl Listeners {
    /// The TLS of a listener; none where it has no certificates.
    pub(crate) fn open(&mut self, listener: &Listener, kind: Kind) -> Result<Option<Tls>> {
        if listener.tls.is_empty() {
            ensure!(!kind.is_implicit_tls(), "listener {:?} has submissions and no tls", listener.name);
            return Ok(None);
        }
        let tls = Tls::new(read(&listener.tls)?, TlsRules::new(kind))
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        self.0.push((listener.tls.clone(), tls.clone()));
        Ok(Some(tls))
    }

    /// Reads all files again; takes all or none.
    pub(crate) fn reload(&self) -> Result<()> {
        let all: Vec<_> = self.0.iter().map(|(files, _)| read(files)).collect::<Result<_>>()?;
        for ((_, tls), certificates) in self.0.iter().zip(all) {
            tls.replace(certificates).map_err(|error| anyhow::anyhow!("{error}"))?;
        }
        Ok(())
    }
}

/// Can these files be used?
pub(crate) fn check(files: &[TlsFiles]) -> Result<()> {
    read(files).map(drop)
}

fn read(files: &[TlsFiles]) -> Result<Vec<Certificate>> {
    let one = |files: &TlsFiles| {
        let about =
            || format!("certificate {} with key {}", files.certificate.display(), files.key.display());
        let chain = std::fs::read(&files.certificate).with_context(about)?;
        let key = Zeroizing::new(std::fs::read(&files.key).with_context(about)?);
        Certificate::from_pem(&chain, &key).map_err(|error| anyhow::anyhow!("{error}")).with_context(about)
    };
    files.iter().map(one).collect()
}
