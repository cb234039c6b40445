//! A server without sockets: an intake over a store, for tests that play messages.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use dns::zone::Zone;
use moxd_intake::{
    AccountRules, Destination, Directory, Environment, Intake, IntakeSettings, Judges, LocalDomain, Signer,
};
use smtp_parser::{Mailbox, Path};
use smtpserver::{Backend, Client, Hello, Kind, Login, Peer, Received, Refusal, RequestId, Rules, Sender};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use store::Store;

pub(crate) const HEADER: &str =
    "From: Ann <ann@a.example>\r\nTo: bob@a.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n";
pub(crate) const KEY: &str = include_str!("../../../dkim/testdata/keys/ed25519.pem");

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The runtime's clock, which tests may pause.
pub(crate) fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn random(bytes: &mut [u8]) {
    bytes.fill(7);
}

/// Random bytes of tests: different ones at every call.
pub(crate) fn different(bytes: &mut [u8]) {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed).to_le_bytes();
    bytes.iter_mut().zip(call.iter().cycle()).for_each(|(byte, call)| *byte = *call);
}

pub(crate) const ENVIRONMENT: Environment = Environment { now, instant, random };

/// Accounts with an address each at `a.example`.
pub(crate) fn directory(names: &[&str], rules: &AccountRules) -> Directory {
    let mut directory = Directory::new();
    directory.add_domain("a.example".parse().unwrap(), LocalDomain::default());
    for name in names {
        directory.add_account(name, rules.clone());
        directory.add_address(name, "a.example".parse().unwrap(), Destination::new(name, "Inbox"));
    }
    directory
}

/// Settings of `mx.a.example`, which signs nothing.
pub(crate) fn settings(directory: Directory) -> IntakeSettings {
    let hostname = "mx.a.example".parse().unwrap();
    IntakeSettings { hostname, directory, signers: HashMap::new(), pedantic: false }
}

/// A server, or a developer's wrapper around one.
pub(crate) struct TestServer<B = Intake> {
    pub(crate) backend: Arc<B>,
    pub(crate) store: Store,
}

/// A server in memory with the users ann and bob, who sign. It asks a DNS of these records, if any.
pub(crate) fn server(zone: Option<&str>, rules: AccountRules) -> TestServer {
    let zone = zone.map(|text| Arc::new(Zone::parse(text).unwrap()));
    server_with(zone.map(|zone| Judges::new(|_| zone.clone(), instant)), &rules)
}

/// As [`server`], with these judges.
pub(crate) fn server_with(judges: Option<Judges>, rules: &AccountRules) -> TestServer {
    let store = Store::memory();
    let signing = dkim::SignOptions::new("a.example".parse().unwrap(), "s".parse().unwrap());
    let signer = Signer { signing, key: Arc::new(dkim::SigningKey::from_pem(KEY).unwrap()) };
    let mut settings = settings(directory(&["ann", "bob"], rules));
    settings.signers.insert("a.example".parse().unwrap(), Arc::from([signer]));
    let backend = Arc::new(Intake::new(store.clone(), judges, settings, ENVIRONMENT).unwrap());
    TestServer { backend, store }
}

pub(crate) fn client(kind: Kind, login: Option<&str>) -> Client {
    let rules = Rules::new(kind, "mx.a.example".parse().unwrap());
    let peer = Peer {
        cid: 1,
        id: RequestId::new(*b"0123456789abcdefghijkl").unwrap(),
        remote: "192.0.2.1:25000".parse().unwrap(),
        local: "198.51.100.1:25".parse().unwrap(),
    };
    let mut client = Client::new(&rules, peer);
    client.hello = Some(Hello { name: "client.example".parse().unwrap(), extended: true });
    client.login = login.map(|account| {
        let address: Mailbox = format!("{account}@a.example").parse().unwrap();
        Box::new(Login { account: account.into(), address })
    });
    client
}

pub(crate) fn path(text: &str) -> Path {
    if text.is_empty() { Path::Null } else { Path::Mailbox(text.parse().unwrap()) }
}

impl<B: Backend> TestServer<B> {
    /// Opens a transaction: the message before DATA.
    pub(crate) async fn begin(
        &self,
        connection: &mut B::Connection,
        client: &Client,
        from: &str,
        to: &[&str],
    ) -> Result<B::Transaction, Refusal> {
        let sender = Sender {
            path: path(from),
            size: None,
            body: None,
            smtputf8: !(from.is_ascii() && to.iter().all(|to| to.is_ascii())),
            require_tls: false,
            hold: None,
        };
        let mut message = self.backend.sender(connection, client, &sender).await?;
        for recipient in to {
            self.backend.recipient(connection, client, &mut message, &path(recipient)).await?;
        }
        Ok(message)
    }

    pub(crate) async fn send(
        &self,
        client: &Client,
        from: &str,
        to: &[&str],
        text: &str,
    ) -> Result<(), Refusal> {
        let mut connection = self.backend.connect(client);
        let mut message = self.begin(&mut connection, client, from, to).await?;
        // Pieces of odd sizes: the header may end anywhere in one.
        for piece in text.as_bytes().chunks(7) {
            self.backend.content(&mut message, piece).await?;
        }
        let received = Received { size: text.len() as u64, ..Received::default() };
        self.backend.message(&mut connection, client, message, &received).await
    }

    /// The records in the Inbox of an account.
    pub(crate) fn records(&self, account: &str) -> Vec<store::Message> {
        let Some(account) = self.store.account(account).unwrap() else { return Vec::new() };
        let inbox = self.store.mailbox(account, "Inbox").unwrap().unwrap();
        let rows = self.store.messages(account, inbox.id, None, 100).unwrap();
        let record = |row| match row {
            store::Row::Message(message) => message,
            _ => panic!("nothing was removed"),
        };
        rows.into_iter().map(record).collect()
    }

    /// The messages in the Inbox of an account, whole.
    pub(crate) fn inbox(&self, account: &str) -> Vec<String> {
        let text = |message: &store::Message| {
            let mut text = String::new();
            self.store.content(message).unwrap().read_to_string(&mut text).unwrap();
            text
        };
        self.records(account).iter().map(text).collect()
    }
}

impl TestServer {
    pub(crate) fn set_directory(&self, directory: Directory) {
        self.change_settings(|settings| settings.directory = directory);
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut IntakeSettings)) {
        let mut settings = IntakeSettings::clone(&self.backend.settings());
        change(&mut settings);
        self.backend.set_settings(settings);
    }
}
