//! Developer mode: a folder with everything a server needs, made at the first start.

use crate::cli::{Localserve, Wrong};
use crate::{ctl, privileges};
use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The account, and the local part of its address.
pub(crate) const ACCOUNT: &str = "mox";
/// The host, and the domain of the address.
pub(crate) const DOMAIN: &str = "localhost";
/// The password, which everybody knows: developer mode listens on loopback alone.
pub(crate) const PASSWORD: &str = "moxmoxmox";

/// The ports of developer mode, before the offset.
pub(crate) const SMTP: u16 = 1025;
pub(crate) const SUBMISSION: u16 = 1587;
pub(crate) const SUBMISSIONS: u16 = 1465;
const METRICS: u16 = 1081;

/// How long the certificate is valid.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(4 * 365 * 24 * 60 * 60);

/// Makes what is not there yet, and returns the configuration file.
pub(crate) fn prepare(arguments: &Localserve, now: SystemTime) -> Result<PathBuf> {
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
    let config = dir.join("config");
    let data = dir.join("data");
    // Its configuration is not to change under a server that runs.
    ensure!(
        !ctl::is_served(&data),
        "a server runs in {} already: stop it, or name another --dir",
        dir.display()
    );
    privileges::ensure_roots_alone(&dir)?;
    make_folder(&config)?;
    privileges::make_data_dir(&data, None)?;
    if !config.join("localhost.key").exists() || !config.join("localhost.crt").exists() {
        certificate(&config, arguments.ip, now)?;
    }
    if !config.join("dkim-ed25519.key").exists() {
        let key = crate::protocols::dkim::ed25519()?;
        write(&config.join("dkim-ed25519.key"), key.as_bytes(), 0o600)?;
    }
    // The addresses are those of this start, so this file follows the arguments.
    write(&config.join("moxd.toml"), moxd_toml(arguments).as_bytes(), 0o644)?;
    if !config.join("domains.toml").exists() {
        write(&config.join("domains.toml"), DOMAINS_TOML.as_bytes(), 0o644)?;
    }
    Ok(config.join("moxd.toml"))
}

/// `moxd-localserve` in the user's data directory.
#[expect(clippy::disallowed_methods, reason = "the binary reads the environment")]
fn default_dir() -> Result<PathBuf> {
    let folder =
        |name: &str| std::env::var(name).ok().filter(|value| value.starts_with('/')).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
    let data = data.context("neither XDG_DATA_HOME nor HOME is set: name a folder with --dir")?;
    Ok(data.join("moxd-localserve"))
}

fn make_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o750)
        .create(path)
        .with_context(|| format!("make the folder {}", path.display()))
}

/// Writes a file whole: a new one is renamed into place.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let at = || format!("write {}", path.display());
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&new).with_context(at)?;
    file.write_all(bytes).with_context(at)?;
    file.sync_all().with_context(at)?;
    fs::rename(&new, path).with_context(at)
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
    let metrics = std::net::SocketAddr::new(*ip, METRICS + offset);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Dns;

    fn arguments(dir: &Path) -> Localserve {
        let dns = Dns { servers: vec!["127.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()] };
        let ip = "127.0.0.1".parse().unwrap();
        Localserve { dir: Some(dir.to_owned()), ip, port_offset: 7, pedantic: true, dns }
    }

    #[test]
    fn makes_a_configuration_that_is_valid_and_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path =
            prepare(&arguments(dir.path()), SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000))
                .unwrap();
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
        prepare(&arguments(dir.path()), SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(read(&path.with_file_name("localhost.key")), key);
        assert_eq!(read(&domains), "# mine\n");
    }

    #[test]
    fn refuses_addresses_that_others_can_reach() {
        let dir = tempfile::tempdir().unwrap();
        let mut arguments = arguments(dir.path());
        arguments.ip = "192.0.2.1".parse().unwrap();
        assert!(prepare(&arguments, SystemTime::UNIX_EPOCH).is_err());
        assert!(!dir.path().join("config").exists());
    }
}
