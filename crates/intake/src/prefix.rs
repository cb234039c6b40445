//! The header fields that moxd puts before a message, in their order.

use dns::{Host, Name};
use message::{Date, Protocol, Received};
use smtp_parser::Path;
use smtpserver::Client;
use std::net::IpAddr;
use std::time::SystemTime;

/// What every Received field of a message says, whoever the recipient is.
#[derive(Debug)]
pub(crate) struct Trace<'a> {
    pub(crate) hostname: &'a dns::Domain,
    pub(crate) client: &'a Client,
    pub(crate) utf8: bool,
    pub(crate) require_tls: bool,
    /// The name that the client's address resolves to.
    pub(crate) reverse: Option<Name>,
    pub(crate) now: SystemTime,
}

impl Trace<'_> {
    /// RFC 5321 §4.4: the Received field for a recipient.
    pub(crate) fn received(&self, recipient: &Path) -> String {
        let client = self.client;
        let submission = client.kind.is_submission();
        let from = match &client.hello {
            // The names and addresses inside a user's network are nobody's business.
            _ if submission => Host::Domain(self.hostname.clone()),
            Some(hello) => hello.name.clone(),
            None => Host::Ip(client.ip()),
        };
        let mut protocol = Protocol::smtp();
        protocol.extended = client.hello.as_ref().is_some_and(|hello| hello.extended);
        protocol.utf8 = self.utf8;
        protocol.tls = client.tls.is_some();
        protocol.authenticated = client.login.is_some();

        let id = client.peer.id.to_string();
        let mut field = Received::new(from, self.hostname.clone(), protocol, id, Date::from(self.now));
        if !submission {
            field.reverse.clone_from(&self.reverse);
            field.remote = Some(client.ip());
            field.local = Some(local_ip(client));
        }
        field.tls = client.tls.as_ref().map(|tls| format!("{} {}", tls.version, tls.cipher));
        field.require_tls = self.require_tls;
        field.recipient = Some(recipient.clone());
        field.field()
    }
}

fn local_ip(client: &Client) -> IpAddr {
    client.peer.local.ip().to_canonical()
}

/// RFC 5321 §4.4: the Return-Path field that final delivery adds.
pub(crate) fn return_path(path: &Path) -> String {
    format!("Return-Path: {path}\r\n")
}

/// To which recipient this copy was delivered.
pub(crate) fn delivered_to(address: &str) -> String {
    format!("Delivered-To: {address}\r\n")
}
