//! The header fields that moxd puts before a message, in their order.

use dns::{Host, Name};
use message::{Date, Protocol, Received};
use smtp_parser::Path;
use smtpserver::Client;
use std::net::IpAddr;
use std::time::SystemTime;

/// Bytes of the header fields before one copy of a message. Every recipient's copy has them, so the part that a stranger can
/// influence is bounded.
pub const MAX_PREFIX: usize = 32 * 1024;
/// Bytes of the DKIM results in the prefix of a message from another server. The other parts need less than the rest.
pub const MAX_RESULTS: usize = 16 * 1024;
/// Bytes that are added to a submission: its signatures name every field of its header.
pub(crate) const MAX_ADDED: usize = 24 * 1024;
/// Bytes of the DKIM results in all copies of a message together.
const MAX_RESULTS_OF_ALL: usize = 2 * 1024 * 1024;

/// Bytes that DKIM results may take in each copy of a message to this many recipients.
pub(crate) fn results_room(recipients: usize) -> usize {
    (MAX_RESULTS_OF_ALL / recipients.max(1)).min(MAX_RESULTS)
}

/// The parts of the Received field that are the same for all recipients.
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
            // The names and addresses inside a user's network stay private.
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

/// The Delivered-To field, which names the recipient of this copy.
pub(crate) fn delivered_to(address: &str) -> String {
    format!("Delivered-To: {address}\r\n")
}
