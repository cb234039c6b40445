//! An intake over a store in memory, with two users at `a.example`, for tests that play messages without a socket.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use dns::zone::Zone;
use moxd_intake::{
    AccountRules, Destination, Directory, Incoming, Intake, Judges, Link, LocalDomain, Mode, Settings,
    Signer, World,
};
use smtp_parser::{Mailbox, Path};
use smtpserver::{Backend, Client, Hello, Kind, Login, Peer, Received, Refusal, RequestId, Rules, Sender};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use store::Store;

pub(crate) const HEADER: &str =
    "From: Ann <ann@a.example>\r\nTo: bob@a.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n";
pub(crate) const KEY: &str = include_str!("../../../dkim/testdata/keys/ed25519.pem");

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) fn random(octets: &mut [u8]) {
    octets.fill(7);
}

pub(crate) fn directory(rules: AccountRules) -> Directory {
    let mut directory = Directory::new();
    let to = |account: &str| Destination::new(account, "Inbox");
    directory.add_domain("a.example".parse().unwrap(), LocalDomain::default());
    for name in ["ann", "bob"] {
        directory.add_account(name, rules.clone());
        directory.add_address(name, "a.example".parse().unwrap(), to(name));
    }
    directory
}

pub(crate) struct TestWorld {
    pub(crate) intake: Intake,
    pub(crate) store: Store,
}

pub(crate) fn world(zone: Option<&str>, rules: AccountRules) -> TestWorld {
    let store = Store::memory();
    let signing = dkim::SignOptions::new("a.example".parse().unwrap(), "s".parse().unwrap());
    let signer = Signer { signing, key: Arc::new(dkim::SigningKey::from_pem(KEY).unwrap()) };
    let settings = Settings {
        hostname: "mx.a.example".parse().unwrap(),
        directory: directory(rules),
        signers: HashMap::from([("a.example".parse().unwrap(), Arc::from([signer]))]),
        mode: Mode::Serve,
        pedantic: false,
    };
    let zone = zone.map(|text| Arc::new(Zone::parse(text).unwrap()));
    let judges = zone.map(|zone| Judges::new(|_| zone.clone()));
    let intake = Intake::new(store.clone(), judges, settings, World { now, random }).unwrap();
    TestWorld { intake, store }
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

impl TestWorld {
    /// A message as it is before DATA.
    pub(crate) async fn begin(
        &self,
        link: &mut Link,
        client: &Client,
        from: &str,
        to: &[&str],
    ) -> Result<Incoming, Refusal> {
        let sender = Sender {
            path: path(from),
            size: None,
            body: None,
            smtputf8: !(from.is_ascii() && to.iter().all(|to| to.is_ascii())),
            require_tls: false,
            hold: None,
        };
        let mut message = self.intake.sender(link, client, &sender).await?;
        for recipient in to {
            self.intake.recipient(link, client, &mut message, &path(recipient)).await?;
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
        let mut link = self.intake.connect(client);
        let mut message = self.begin(&mut link, client, from, to).await?;
        // Odd pieces: where the header ends must not matter.
        for piece in text.as_bytes().chunks(7) {
            self.intake.content(&mut message, piece).await?;
        }
        let received = Received { size: text.len() as u64, ..Received::default() };
        self.intake.message(&mut link, client, message, &received).await
    }

    pub(crate) fn set_directory(&self, directory: Directory) {
        let settings = self.intake.settings();
        self.intake.set_settings(Settings { directory, ..Settings::clone(&settings) });
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
