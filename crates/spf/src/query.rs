//! The input of an evaluation, and its limits.

use crate::macros::Sender;
use crate::{Cache, Identity};
use dns::{Domain, Host};
use std::net::IpAddr;

/// A client, and the names under which it sends.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) mail_from: Option<(&'a str, &'a Domain)>,
    pub(crate) helo: Option<&'a Host>,
    pub(crate) receiver: Option<&'a Domain>,
    pub(crate) cache: Option<&'a Cache>,
}

impl<'a> Query<'a> {
    /// Begins a query about a client's address. An IPv4-mapped IPv6 address counts as IPv4 (RFC 7208 §5).
    pub fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), mail_from: None, helo: None, receiver: None, cache: None }
    }

    /// Sets the mailbox of MAIL FROM. Not for the null reverse-path or an address literal. The local part is unquoted
    /// text; an empty one becomes `postmaster` (RFC 7208 §4.3).
    #[must_use]
    pub fn mail_from(mut self, localpart: &'a str, domain: &'a Domain) -> Self {
        self.mail_from = Some((localpart, domain));
        self
    }

    /// Sets the argument of the latest HELO or EHLO.
    #[must_use]
    pub fn helo(mut self, helo: &'a Host) -> Self {
        self.helo = Some(helo);
        self
    }

    /// Sets the host that does the check, for the `r` macro and the Received-SPF field; `unknown` by default.
    #[must_use]
    pub fn receiver(mut self, receiver: &'a Domain) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Sets a cache of parsed records. It changes no result.
    #[must_use]
    pub fn cache(mut self, cache: &'a Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Returns the mailbox that an identity stands for; `None` if it has no domain.
    pub(crate) fn sender(&self, identity: Identity) -> Option<Sender<'a>> {
        let (localpart, domain) = match identity {
            Identity::MailFrom => self.mail_from?,
            Identity::Helo => ("", self.helo?.domain()?),
        };
        // RFC 7208 §4.3: a sender without a local-part is postmaster.
        Some(Sender { localpart: if localpart.is_empty() { "postmaster" } else { localpart }, domain })
    }
}

/// Limits of one evaluation. The default is what RFC 7208 §4.6.4 says, with a limit on hosts besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Terms that query DNS: `include`, `a`, `mx`, `ptr`, `exists`, `redirect`, and each `p` macro.
    pub lookups: usize,
    /// Terms whose queries may find nothing.
    pub void_lookups: usize,
    /// Hosts of all `mx` and names of all `ptr` and `p` macros together whose addresses may be queried. The RFC limits
    /// those of each term alone, so that ten terms of ten hosts would let one message cause a hundred queries.
    pub hosts: usize,
}

// RFC 7208 §4.6.4: at most 10 terms that cause DNS queries.
const MAX_LOOKUPS: usize = 10;
// RFC 7208 §4.6.4: void lookups are limited to two.
const MAX_VOID_LOOKUPS: usize = 2;
// RFC 7208 §11.1: a check must not become an attack on a third party. Three times what one term may have.
const MAX_HOSTS: usize = 30;

impl Default for Limits {
    fn default() -> Self {
        Self { lookups: MAX_LOOKUPS, void_lookups: MAX_VOID_LOOKUPS, hosts: MAX_HOSTS }
    }
}
