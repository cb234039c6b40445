//! The certificates that listeners use. The server reads them at its start, usually as root, and again on reload, as the user
//! that it has become.
//!
//! [`Certificates`] holds those in use and takes new versions of their files; [`read`] and [`objections`] check files before a
//! server uses them. The crate knows neither the configuration nor the clock.

use anyhow::{Result, anyhow, bail};
use host::keyfile::{self, KeyFile, Report, Version};
use metrics::{Unit, describe_gauge, gauge};
use parking_lot::Mutex;
use smtpserver::{Certificate, ErrorKind, Kind, Tls, TlsRules};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// When a certificate expires.
const NOT_AFTER: &str = "mox_tls_certificate_not_after_timestamp_seconds";

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM: the certificate itself, then those that lead to a root.
    pub certificate: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

/// A listener, as far as its certificates are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Its name in the configuration.
    pub name: String,
    /// The name that clients connect to.
    pub host: String,
    /// The certificate whose names fit what a client asks for is used, else the first.
    pub files: Vec<Files>,
}

/// Describes the metric of this crate.
pub fn describe_metrics() {
    describe_gauge!(NOT_AFTER, Unit::Seconds, "When a certificate expires, in seconds since 1970, by file.");
}

/// The certificates in use, and the listeners that use them.
#[derive(Debug, Default)]
pub struct Certificates {
    loaded: Mutex<Vec<Loaded>>,
    listeners: Vec<(Listener, Tls)>,
}

/// A certificate in use.
#[derive(Debug)]
struct Loaded {
    files: Files,
    certificate: Certificate,
    key: Version,
}

impl Certificates {
    /// The TLS of a service of a listener; none where the listener has no certificates.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, or the service needs TLS and has no certificate.
    pub fn open(&mut self, listener: &Listener, kind: Kind) -> Result<Option<Tls>> {
        if listener.files.is_empty() {
            if kind.is_implicit_tls() {
                bail!("listener {:?} has submissions and no tls", listener.name);
            }
            return Ok(None);
        }
        let certificates = listener.files.iter().map(|files| self.load(files)).collect::<Result<_>>()?;
        let tls = Tls::new(certificates, TlsRules::new(kind)).map_err(|error| anyhow!("{error}"))?;
        self.listeners.push((listener.clone(), tls.clone()));
        Ok(Some(tls))
    }

    fn load(&mut self, files: &Files) -> Result<Certificate> {
        let loaded = self.loaded.get_mut();
        if let Some(known) = loaded.iter().find(|known| known.files == *files) {
            return Ok(known.certificate.clone());
        }
        let (certificate, key) = read_with_version(files)?;
        loaded.push(Loaded { files: files.clone(), certificate: certificate.clone(), key });
        Ok(certificate)
    }

    /// Reads all files again. Reports what cannot be used; the old version of it stays in use.
    pub fn reload(&self, report: &mut Report) {
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
        let current =
            |files: &Files| loaded.iter().find(|one| one.files == *files).map(|one| one.certificate.clone());
        for (listener, tls) in &self.listeners {
            if let Err(error) = tls.replace(listener.files.iter().filter_map(current).collect()) {
                report.problems.push(error.to_string());
            }
        }
    }

    /// The files that a reload will read again.
    pub fn files(&self) -> Vec<Files> {
        let loaded = self.loaded.lock();
        loaded.iter().map(|one| one.files.clone()).collect()
    }

    /// Logs why clients will reject certificates, and sets the metric of when they expire.
    pub fn watch(&self, now: SystemTime) {
        let loaded = self.loaded.lock();
        for one in loaded.iter() {
            if let Some(facts) = Facts::of(&one.certificate) {
                let file = one.files.certificate.display().to_string();
                gauge!(NOT_AFTER, "file" => file).set(facts.not_after as f64);
            }
        }
        let mut logged = HashSet::new();
        for (listener, _) in self.listeners.iter().filter(|(listener, _)| logged.insert(&listener.name)) {
            let find = |files: &Files| loaded.iter().find(|one| one.files == *files);
            let certificates: Vec<_> = listener
                .files
                .iter()
                .filter_map(find)
                .map(|one| (one.files.certificate.as_path(), one.certificate.clone()))
                .collect();
            for objection in objections(&certificates, Some(&listener.host), now) {
                tracing::warn!(listener = listener.name, "certificate: {objection}");
            }
        }
    }
}

/// Reads the next version of a certificate. None if this user may not read it; then the loaded one stays.
fn read_again(before: &Loaded, report: &mut Report) -> Result<Option<Loaded>> {
    let files = &before.files;
    let chain = match read_chain(&files.certificate) {
        Err(error) if keyfile::is_denied(&error) => {
            report.kept(&files.certificate, false);
            return Ok(None);
        }
        chain => chain?,
    };
    let (certificate, key) = match keyfile::read(&files.key, Some(&before.key))? {
        KeyFile::Read(pem, version) => (pair(files, &chain, &pem)?, version),
        KeyFile::Kept { changed } => {
            report.kept(&files.key, changed);
            match before.certificate.renewed(&chain) {
                Ok(renewed) => (renewed, before.key.clone()),
                Err(error) if error.kind() != ErrorKind::BadKey => return Err(unusable(files, &error)),
                // If the key is known to have changed, the report has said so already.
                Err(_) if changed => return Ok(None),
                Err(_) => bail!("{} is for another key than the one loaded", files.certificate.display()),
            }
        }
    };
    Ok(Some(Loaded { files: files.clone(), certificate, key }))
}

/// Reads a certificate and its key.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub fn read(files: &Files) -> Result<Certificate> {
    read_with_version(files).map(|(certificate, _)| certificate)
}

fn read_with_version(files: &Files) -> Result<(Certificate, Version)> {
    let chain = read_chain(&files.certificate)?;
    match keyfile::read(&files.key, None)? {
        KeyFile::Read(pem, version) => Ok((pair(files, &chain, &pem)?, version)),
        KeyFile::Kept { .. } => bail!("{} was not loaded", files.key.display()),
    }
}

fn read_chain(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| keyfile::unread(path, &error))
}

/// Makes a certificate from its two files.
fn pair(files: &Files, chain: &[u8], key: &[u8]) -> Result<Certificate> {
    Certificate::from_pem(chain, key).map_err(|error| unusable(files, &error))
}

/// Says which of the two files is wrong.
fn unusable(files: &Files, error: &smtpserver::Error) -> anyhow::Error {
    let (certificate, private) = (files.certificate.display(), files.key.display());
    match error.kind() {
        ErrorKind::NoCertificate => {
            anyhow!("{certificate} has no certificate in it: have certificate and key changed places?")
        }
        ErrorKind::BadKey => anyhow!("{private} is not the key of {certificate}: {error}"),
        _ => anyhow!("{certificate} with {private}: {error}"),
    }
}

/// The validity and names of a certificate.
struct Facts {
    /// Seconds since 1970.
    not_before: i64,
    /// Seconds since 1970.
    not_after: i64,
    /// The host names.
    names: Vec<String>,
}

impl Facts {
    /// None if the certificate cannot be parsed.
    fn of(certificate: &Certificate) -> Option<Self> {
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

/// Why clients will reject usable certificates: their dates, or that none is for `host`.
pub fn objections(certificates: &[(&Path, Certificate)], host: Option<&str>, now: SystemTime) -> Vec<String> {
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
