//! What is asked of a judge, and within which bounds.

use crate::macros::Sender;
use crate::{Cache, Identity};
use dns::{Domain, Host};
use std::net::IpAddr;

/// Who sends, under which names.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) mail_from: Option<(&'a str, &'a Domain)>,
    pub(crate) helo: Option<&'a Host>,
    pub(crate) receiver: Option<&'a Domain>,
    pub(crate) cache: Option<&'a Cache>,
}

impl<'a> Query<'a> {
    /// A client's address. An IPv4-mapped IPv6 address counts as IPv4 (RFC 7208 §5).
    pub fn new(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), mail_from: None, helo: None, receiver: None, cache: None }
    }

    /// The mailbox of MAIL FROM; not called for the null reverse-path or an address literal. The local part is
    /// unquoted text; an empty one becomes `postmaster` (RFC 7208 §4.3).
    #[must_use]
    pub fn mail_from(mut self, localpart: &'a str, domain: &'a Domain) -> Self {
        self.mail_from = Some((localpart, domain));
        self
    }

    /// The argument of the latest HELO or EHLO.
    #[must_use]
    pub fn helo(mut self, helo: &'a Host) -> Self {
        self.helo = Some(helo);
        self
    }

    /// The host that does the check, for the `r` macro and the Received-SPF field; `unknown` without.
    #[must_use]
    pub fn receiver(mut self, receiver: &'a Domain) -> Self {
        self.receiver = Some(receiver);
        self
    }

    /// Where records that were read before are found. It changes no result.
    #[must_use]
    pub fn cache(mut self, cache: &'a Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The mailbox that an identity stands for; none without a domain.
    pub(crate) fn sender(&self, identity: Identity) -> Option<Sender<'a>> {
        let (localpart, domain) = match identity {
            Identity::MailFrom => self.mail_from?,
            Identity::Helo => ("", self.helo?.domain()?),
        };
        // RFC 7208 §4.3: a sender without a local-part is postmaster.
        Some(Sender { localpart: if localpart.is_empty() { "postmaster" } else { localpart }, domain })
    }
}

/// Bounds of one evaluation. The default is what RFC 7208 §4.6.4 says; fewer or more is a caller's own choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Terms that ask DNS: `include`, `a`, `mx`, `ptr`, `exists`, `redirect`, and each `p` macro.
    pub lookups: usize,
    /// Terms whose questions may be answered with nothing.
    pub void_lookups: usize,
    /// Hosts of all `mx` and names of all `ptr` and `p` macros together whose addresses may be asked for. The RFC limits
    /// those of one term alone, so that ten terms of ten hosts would let one message ask a hundred questions.
    pub hosts: usize,
}

// RFC 7208 §4.6.4: at most 10 terms that cause DNS queries.
const MAX_LOOKUPS: usize = 10;
// RFC 7208 §4.6.4: void lookups are limited to two.
const MAX_VOID_LOOKUPS: usize = 2;
// RFC 7208 §11.1: a check must not become an attack on others. Three times what one term may have.
const MAX_HOSTS: usize = 30;

impl Default for Limits {
    fn default() -> Self {
        Self { lookups: MAX_LOOKUPS, void_lookups: MAX_VOID_LOOKUPS, hosts: MAX_HOSTS }
    }
}
