//! Certificates of the listeners, read at the start and again on reload.

use crate::keys::{self, KeyFile, Report, Version};
use crate::monitoring;
use anyhow::{Result, ensure};
use config::{Listener, Server, TlsFiles};
use parking_lot::Mutex;
use smtpserver::{Certificate, ErrorKind, Kind, Tls, TlsRules};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The TLS of all listeners, with the files it comes from.
#[derive(Default)]
pub(crate) struct Listeners {
    loaded: Mutex<Vec<Loaded>>,
    listeners: Vec<(Vec<TlsFiles>, Tls)>,
}

/// A certificate in use.
struct Loaded {
    files: TlsFiles,
    certificate: Certificate,
    key: Version,
}

impl Listeners {
    /// The TLS of a listener; none where it has no certificates.
    pub(crate) fn open(&mut self, listener: &Listener, kind: Kind) -> Result<Option<Tls>> {
        if listener.tls.is_empty() {
            ensure!(!kind.is_implicit_tls(), "listener {:?} has submissions and no tls", listener.name);
            return Ok(None);
        }
        let certificates = listener.tls.iter().map(|files| self.load(files)).collect::<Result<_>>()?;
        let tls = Tls::new(certificates, TlsRules::new(kind)).map_err(|error| anyhow::anyhow!("{error}"))?;
        self.listeners.push((listener.tls.clone(), tls.clone()));
        Ok(Some(tls))
    }

    /// Services share what is read once.
    fn load(&mut self, files: &TlsFiles) -> Result<Certificate> {
        let loaded = self.loaded.get_mut();
        if let Some(known) = loaded.iter().find(|known| known.files == *files) {
            return Ok(known.certificate.clone());
        }
        let (certificate, key) = read(files)?;
        loaded.push(Loaded { files: files.clone(), certificate: certificate.clone(), key });
        Ok(certificate)
    }

    /// Reads all files again. What cannot be used is reported, and stays as it is.
    pub(crate) fn reload(&self, report: &mut Report) {
        let mut loaded = self.loaded.lock();
        for one in loaded.iter_mut() {
            match read_again(one, report) {
                Ok(Some(new)) => *one = new,
                Ok(None) => {}
                Err(error) => {
                    report.problems.push(format!("{error:#}; the certificate loaded before stays in use"))
                }
            }
        }
        let current = |files: &TlsFiles| {
            loaded.iter().find(|one| one.files == *files).map(|one| one.certificate.clone())
        };
        for (files, tls) in &self.listeners {
            if let Err(error) = tls.replace(files.iter().filter_map(current).collect()) {
                report.problems.push(error.to_string());
            }
        }
    }

    /// All files.
    pub(crate) fn files(&self) -> Vec<TlsFiles> {
        let loaded = self.loaded.lock();
        loaded.iter().map(|one| one.files.clone()).collect()
    }

    /// Logs what clients will not like about the certificates, and shows until when they are valid.
    pub(crate) fn watch(&self, server: &Server, now: SystemTime) {
        let loaded = self.loaded.lock();
        for one in loaded.iter() {
            if let Some(facts) = Facts::of(&one.certificate) {
                monitoring::certificate(&one.files.certificate, facts.not_after);
            }
        }
        for listener in &server.listeners {
            let host = listener.hostname.as_ref().unwrap_or(&server.hostname);
            let find = |files: &TlsFiles| loaded.iter().find(|one| one.files == *files);
            let certificates: Vec<_> = listener
                .tls
                .iter()
                .filter_map(find)
                .map(|one| (one.files.certificate.as_path(), one.certificate.clone()))
                .collect();
            for objection in objections(&certificates, Some(host.as_str()), now) {
                tracing::warn!(listener = listener.name, "certificate: {objection}");
            }
        }
    }
}

/// The next version of a certificate; none where this user may not read it, so that it stays.
fn read_again(before: &Loaded, report: &mut Report) -> Result<Option<Loaded>> {
    let files = &before.files;
    let chain = match read_chain(&files.certificate) {
        Err(error) if keys::is_denied(&error) => {
            report.kept(&files.certificate, false);
            return Ok(None);
        }
        chain => chain?,
    };
    let (certificate, key) = match keys::read(&files.key, Some(&before.key))? {
        KeyFile::Read(pem, version) => (pair(files, &chain, &pem)?, version),
        KeyFile::Kept { changed } => {
            report.kept(&files.key, changed);
            let Ok(renewed) = before.certificate.renewed(&chain) else {
                // The report says of the key alone what there is to say, if it is known to be another.
                if !changed {
                    let text =
                        format!("{} is for another key than the one loaded", files.certificate.display());
                    report.problems.push(text);
                }
                return Ok(None);
            };
            (renewed, before.key.clone())
        }
    };
    Ok(Some(Loaded { files: files.clone(), certificate, key }))
}

/// Reads a certificate and its key.
pub(crate) fn read(files: &TlsFiles) -> Result<(Certificate, Version)> {
    let chain = read_chain(&files.certificate)?;
    match keys::read(&files.key, None)? {
        KeyFile::Read(pem, version) => Ok((pair(files, &chain, &pem)?, version)),
        KeyFile::Kept { .. } => anyhow::bail!("{} was not loaded", files.key.display()),
    }
}

fn read_chain(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| keys::unread(path, &error))
}

/// Says which of the two files is not what it should be.
fn pair(files: &TlsFiles, chain: &[u8], key: &[u8]) -> Result<Certificate> {
    let (certificate, private) = (files.certificate.display(), files.key.display());
    Certificate::from_pem(chain, key).map_err(|error| match error.kind() {
        ErrorKind::NoCertificate => {
            anyhow::anyhow!(
                "{certificate} has no certificate in it: have certificate and key changed places?"
            )
        }
        ErrorKind::BadKey => anyhow::anyhow!("{private} is not the key of {certificate}: {error}"),
        _ => anyhow::anyhow!("{certificate} with {private}: {error}"),
    })
}

/// What a certificate says of itself.
pub(crate) struct Facts {
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// The host names.
    pub(crate) names: Vec<String>,
}

impl Facts {
    /// None where the certificate cannot be read that far.
    pub(crate) fn of(certificate: &Certificate) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate.der()).ok()?;
        let validity = parsed.validity();
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let dns = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        };
        Some(Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            names: names.iter().filter_map(dns).collect(),
        })
    }
}

/// What clients will not like about certificates that can be used: their dates, and that none is for `host`.
pub(crate) fn objections(
    certificates: &[(&Path, Certificate)],
    host: Option<&str>,
    now: SystemTime,
) -> Vec<String> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let mut objections = Vec::new();
    for (path, certificate) in certificates {
        let path = path.display();
        let Some(facts) = Facts::of(certificate) else {
            objections.push(format!("{path} is no certificate that clients can read"));
            continue;
        };
        let day = |time: i64| {
            jiff::Timestamp::from_second(time).unwrap_or_default().strftime("%Y-%m-%d").to_string()
        };
        if facts.not_after < now {
            objections.push(format!("{path} has expired on {}; renew it", day(facts.not_after)));
        } else if facts.not_before > now {
            objections
                .push(format!("{path} is valid from {} only; is the clock right?", day(facts.not_before)));
        }
    }
    if let (Some(host), Some((path, first))) = (host, certificates.first())
        && !certificates.iter().any(|(_, certificate)| certificate.is_for(host))
    {
        let names = Facts::of(first).map(|facts| facts.names.join(", ")).filter(|names| !names.is_empty());
        let names = names.unwrap_or_else(|| "no host at all".to_owned());
        objections.push(format!(
            "{} is for {names}, not for {host}: get a certificate for that name, or set hostname to one that it has",
            path.display()
        ));
    }
    objections
}
