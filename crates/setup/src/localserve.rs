//! Developer mode: a folder with everything that a server needs, made at its first start.

use crate::files::{make_folder, write};
use anyhow::{Context, Result};
use cli::{Localserve, Wrong};
use dkim::{ED25519_SEED, SigningKey};
use host::privileges;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The account, and the local part of its address.
pub const ACCOUNT: &str = "mox";
/// The host, and the domain of the address.
pub const DOMAIN: &str = "localhost";
/// The password. It is no secret: developer mode listens on loopback only.
pub const PASSWORD: &str = "moxmoxmox";

/// The ports of developer mode, before the offset.
const SMTP: u16 = 1025;
const SUBMISSION: u16 = 1587;
const SUBMISSIONS: u16 = 1465;
const METRICS: u16 = 1081;

/// How long the certificate is valid.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(4 * 365 * 24 * 60 * 60);

/// The folder of a developer's server.
#[derive(Debug)]
pub struct Folder<'a> {
    dir: PathBuf,
    arguments: &'a Localserve,
}

impl<'a> Folder<'a> {
    /// Checks the arguments and finds the folder. Makes nothing yet.
    ///
    /// # Errors
    /// The address is none of loopback, a port would exceed 65535, or no folder is named and the user has no home.
    pub fn of(arguments: &'a Localserve) -> Result<Self> {
        let Localserve { ip, port_offset, .. } = arguments;
        if !ip.is_loopback() {
            return Err(Wrong(format!("--ip {ip}: developer mode is for loopback addresses alone")).into());
        }
        if SUBMISSION.checked_add(*port_offset).is_none() {
            return Err(Wrong(format!("--port-offset {port_offset}: the ports would exceed 65535")).into());
        }
        let dir = match &arguments.dir {
            Some(dir) => dir.clone(),
            None => default_dir()?,
        };
        Ok(Self { dir, arguments })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The data directory in it.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes what is not there yet, and returns the configuration file, which follows the arguments at every start. `random`
    /// fills with random bytes. No server may be running on the data directory.
    ///
    /// # Errors
    /// A file or folder cannot be made, or root would work in a folder that others can change.
    pub fn make(&self, now: SystemTime, random: fn(&mut [u8])) -> Result<PathBuf> {
        let config = self.dir.join("config");
        privileges::ensure_roots_alone(&self.dir)?;
        make_folder(&config)?;
        privileges::make_data_dir(&self.data(), None)?;
        if !config.join("localhost.key").exists() || !config.join("localhost.crt").exists() {
            certificate(&config, self.arguments.ip, now)?;
        }
        if !config.join("dkim-ed25519.key").exists() {
            let mut seed = Zeroizing::new([0; ED25519_SEED]);
            random(&mut *seed);
            let key = SigningKey::ed25519_pem(&seed);
            write(&config.join("dkim-ed25519.key"), key.as_bytes(), 0o600)?;
        }
        // The addresses come from the arguments, so this file is written at every start.
        write(&config.join("moxd.toml"), moxd_toml(self.arguments).as_bytes(), 0o644)?;
        if !config.join("domains.toml").exists() {
            write(&config.join("domains.toml"), DOMAINS_TOML.as_bytes(), 0o644)?;
        }
        Ok(config.join("moxd.toml"))
    }
}

/// `moxd-localserve` in the user's data directory.
#[expect(clippy::disallowed_methods, reason = "the user's data directory is named in the environment")]
fn default_dir() -> Result<PathBuf> {
    let folder =
        |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/')).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
    let data = data.context("neither XDG_DATA_HOME nor HOME is set: name a folder with --dir")?;
    Ok(data.join("moxd-localserve"))
}

fn certificate(config: &Path, ip: IpAddr, now: SystemTime) -> Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("make a key")?;
    let mut params = CertificateParams::new(vec![DOMAIN.to_owned()]).context("make a certificate")?;
    params.subject_alt_names.push(SanType::IpAddress(ip));
    params.distinguished_name.push(DnType::CommonName, DOMAIN);
    params.not_before = now.into();
    params.not_after = (now + CERTIFICATE_LIFE).into();
    let certificate = params.self_signed(&key).context("sign the certificate")?;
    write(&config.join("localhost.crt"), certificate.pem().as_bytes(), 0o644)?;
    write(&config.join("localhost.key"), key.serialize_pem().as_bytes(), 0o600)
}

fn moxd_toml(arguments: &Localserve) -> String {
    let Localserve { ip, port_offset: offset, pedantic, dns, .. } = arguments;
    let servers: Vec<String> = dns.servers.iter().map(|server| format!("\"{server}\"")).collect();
    let metrics = SocketAddr::new(*ip, METRICS + offset);
    format!(
        r#"# Written by `moxd localserve` at every start. Settings for development, not for a real server.
hostname = "{DOMAIN}"
data_dir = "../data"
metrics = "{metrics}"
dns_servers = [{servers}]
pedantic = {pedantic}
cram_md5 = true

[postmaster]
account = "{ACCOUNT}"
mailbox = "Inbox"

[limits]
enabled = false

[listeners.local]
ips = ["{ip}"]
tls = [{{ certificate = "localhost.crt", key = "localhost.key" }}]
smtp = {{ port = {smtp} }}
submission = {{ port = {submission}, require_starttls = false }}
submissions = {{ port = {submissions} }}
"#,
        servers = servers.join(", "),
        smtp = SMTP + offset,
        submission = SUBMISSION + offset,
        submissions = SUBMISSIONS + offset,
    )
}

const DOMAINS_TOML: &str = r#"# Made by `moxd localserve`; change it as you like.

[domains.localhost]
catchall_separators = ["+"]

[domains.localhost.dkim]
sign = ["local"]

[domains.localhost.dkim.selectors.local]
key = "dkim-ed25519.key"

[accounts.mox]
max_messages_per_day = 1000000
max_first_time_recipients_per_day = 1000000

[accounts.mox.destinations."mox@localhost"]
"#;

/// The text for the developer once the server has started.
#[derive(Debug)]
pub struct Welcome<'a> {
    /// The program as it was called, since after `cargo run` it is on no path.
    pub program: &'a Path,
    /// The configuration file.
    pub config: &'a Path,
    /// The addresses of SMTP, submission and submissions.
    pub addresses: [Option<SocketAddr>; 3],
    /// Where the metrics are served.
    pub metrics: Option<SocketAddr>,
}

impl Display for Welcome<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [smtp, submission, submissions] =
            self.addresses.map(|address| address.map(|address| address.to_string()).unwrap_or_default());
        let metrics = self.metrics.map(|address| format!("http://{address}/metrics")).unwrap_or_default();
        let (moxd, config) = (self.program.display(), self.config.display());
        write!(
            f,
            "moxd runs for development, on loopback alone.\n\
             \n\
             SMTP         {smtp}   takes mail for any recipient\n\
             submission   {submission}   user mox@localhost, password moxmoxmox\n\
             submissions  {submissions}   the same, TLS from the start\n\
             metrics      {metrics}\n\
             \n\
             Send a message:   swaks --server {smtp} --from you@example.org --to mox@localhost\n\
             List messages:    {moxd} --config {config} message list mox\n\
             Read the first:   {moxd} --config {config} message show mox 1\n\
             Stop:             Ctrl-C\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cli::Dns;
    use std::fs;

    fn make(arguments: &Localserve, seconds: u64) -> Result<PathBuf> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Folder::of(arguments)?.make(now, |bytes| bytes.fill(7))
    }

    fn arguments(dir: &Path) -> Localserve {
        let dns = Dns { servers: vec!["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()] };
        let ip = "127.0.0.1".parse().unwrap();
        Localserve { dir: Some(dir.to_owned()), ip, port_offset: 7, pedantic: true, dns }
    }

    #[test]
    fn makes_a_configuration_that_is_valid_and_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = make(&arguments(dir.path()), 2_000_000_000).unwrap();
        let domains = path.with_file_name("domains.toml");
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let config = config::parse(
            (&read(&path), &path.to_string_lossy()),
            (&read(&domains), &domains.to_string_lossy()),
        );
        let config =
            config.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        assert_eq!(config.server.listeners[0].smtp.as_ref().unwrap().port, 1032);
        assert_eq!(config.server.dns_servers.len(), 2);
        assert_eq!(config.server.data_dir, dir.path().join("data"));

        let key = read(&path.with_file_name("localhost.key"));
        fs::write(&domains, "# mine\n").unwrap();
        make(&arguments(dir.path()), 0).unwrap();
        assert_eq!(read(&path.with_file_name("localhost.key")), key);
        assert_eq!(read(&domains), "# mine\n");
    }

    #[test]
    fn refuses_addresses_that_others_can_reach() {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = arguments(dir.path());
        arguments.ip = "192.0.2.1".parse().unwrap();
        assert!(make(&arguments, 0).is_err());
        assert!(!dir.path().join("config").exists());
    }
}
