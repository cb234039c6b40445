//! A server from a configuration of the test's own, with its name server.

use super::client::Smtp;
use super::names::Names;
use super::run::{Ended, MOXD, moxd, moxd_reading};
use super::server::{Process, SMTP, SUBMISSION, SUBMISSIONS, text};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use xtask::trial::free_offset;

/// A configuration in a folder of its own, and the name server that it names.
pub struct Site {
    pub folder: TempDir,
    pub ports: [u16; 3],
    pub names: Names,
}

impl Site {
    /// `further` settings stand at the top of moxd.toml.
    pub fn new(further: &str) -> Self {
        let offset = free_offset().unwrap();
        let ports = [SMTP, SUBMISSION, SUBMISSIONS].map(|port| port + offset);
        let names = Names::serve(
            "client.example. A 127.0.0.1\n1.0.0.127.in-addr.arpa. PTR client.example.\n\
             lists.example. TXT \"v=spf1 ip4:127.0.0.1 -all\"",
        );
        let site = Self { folder: tempfile::tempdir().unwrap(), ports, names };
        fs::create_dir(site.path("config")).unwrap();
        site.make_certificate();
        site.write("moxd.toml", &site.moxd_toml(further));
        site.write("domains.toml", DOMAINS);
        site
    }

    pub fn moxd_toml(&self, further: &str) -> String {
        let [smtp, submission, submissions] = self.ports;
        let names = self.names.address();
        format!(
            r#"hostname = "localhost"
dns_servers = ["{names}"]
postmaster = {{ account = "alice", mailbox = "Inbox" }}
{further}

[listeners.public]
ips = ["127.0.0.1"]
tls = [{{ certificate = "mail.crt", key = "mail.key" }}]
smtp = {{ port = {smtp} }}
submission = {{ port = {submission} }}
submissions = {{ port = {submissions} }}
"#
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path("config").join(name), content).unwrap();
    }

    /// A new certificate for `localhost`.
    pub fn make_certificate(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.write("mail.crt", &made.cert.pem());
        self.write("mail.key", &made.signing_key.serialize_pem());
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path("config/mail.key"), private).unwrap();
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path("config/mail.crt")).unwrap()
    }

    pub fn arguments(&self, verb: &[&str]) -> Vec<String> {
        let config = text(&self.path("config/moxd.toml"));
        ["--config", &config].into_iter().chain(verb.iter().copied()).map(str::to_owned).collect()
    }

    pub fn verb(&self, verb: &[&str]) -> Ended {
        moxd(self.arguments(verb))
    }

    pub fn set_password(&self, account: &str, password: &str) -> Ended {
        moxd_reading(self.arguments(&["setaccountpassword", account]), format!("{password}\n").as_bytes())
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(MOXD);
        command.args(self.arguments(&["serve"])).stdin(Stdio::null());
        command
    }

    pub fn start(&self) -> Process {
        let mut process = Process::start(&mut self.command());
        process.wait_for("ready");
        process
    }

    pub fn address(&self, at: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[at]))
    }

    /// A greeted session over SMTP that has said EHLO.
    pub fn smtp(&self) -> Smtp {
        let mut client = Smtp::connect(self.address(0));
        client.hello();
        client
    }

    /// The same over submission, with TLS.
    pub fn submission(&self) -> Smtp {
        let mut client = Smtp::connect(self.address(1));
        client.hello();
        client.starttls(&self.certificate());
        client
    }

    /// Mailbox and subject of each message of an account, by `message list --json`.
    pub fn subjects(&self, account: &str) -> Vec<(String, String)> {
        let Value::Array(rows) = self.verb(&["message", "list", account, "--json"]).json() else {
            panic!("no array")
        };
        let word = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        rows.iter().map(|row| (word(row, "mailbox"), word(row, "subject"))).collect()
    }
}

pub const DOMAINS: &str = r#"
[domains.localhost]
catchall_separators = ["+"]

[domains."b\u00fccher.example"]

[accounts.alice.destinations]
"alice@localhost" = {}
"sales@localhost" = { mailbox = "Work/Sales" }

[accounts.bob.destinations]
"@bücher.example" = { mailbox = "Rest" }
"#;
