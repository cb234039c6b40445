//! The Received field: what we saw of whoever handed us the message (RFC 5321 §4.4).

use crate::auth_results::spelled;
use crate::compose::path;
use crate::fold::{comment, folded, plain};
use crate::{Date, Headers};
use dns::{Domain, Host, Name};
use smtp_parser::Path;
use std::fmt;
use std::net::IpAddr;

/// A Received field. `Display` writes it on one line, for people; [`Received::field`] writes it folded, for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The name the client gave with HELO or EHLO; at submission our own host, to hide the client's.
    pub from: Host,
    /// The name its address resolves to, if any. Not written if it is what the client said.
    pub reverse: Option<Name>,
    /// Its address; none at submission.
    pub remote: Option<IpAddr>,
    /// Our host name.
    pub by: Domain,
    /// The address it connected to.
    pub local: Option<IpAddr>,
    /// How the message was transferred.
    pub protocol: Protocol,
    /// The TLS version and cipher suite as to be written, such as `TLS1.3 TLS_AES_128_GCM_SHA256`.
    pub tls: Option<String>,
    /// REQUIRETLS was asked for (RFC 8689).
    pub require_tls: bool,
    /// Our identifier of the request.
    pub id: String,
    /// The recipient, if it is to be told.
    pub recipient: Option<Path>,
    /// When.
    pub date: Date,
}

/// How a message was transferred, as the `with` clause tells it (RFC 3848, RFC 6531 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Protocol {
    /// The session began with EHLO.
    pub extended: bool,
    /// The transaction used SMTPUTF8.
    pub utf8: bool,
    /// Over TLS.
    pub tls: bool,
    /// The client was authenticated.
    pub authenticated: bool,
}

impl Protocol {
    /// SMTP without any extension.
    pub fn smtp() -> Self {
        Self::default()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 3848 §1: the S and A forms exist only for what begins with EHLO, which TLS and AUTH need.
        f.write_str(match (self.utf8, self.extended || self.tls || self.authenticated) {
            (true, _) => "UTF8SMTP",
            (false, true) => "ESMTP",
            (false, false) => "SMTP",
        })?;
        f.write_str(if self.tls { "S" } else { "" })?;
        f.write_str(if self.authenticated { "A" } else { "" })
    }
}

impl Received {
    /// A field with what it has to tell at least.
    pub fn new(from: Host, by: Domain, protocol: Protocol, id: impl Into<String>, date: Date) -> Self {
        Self {
            from,
            reverse: None,
            remote: None,
            by,
            local: None,
            protocol,
            tls: None,
            require_tls: false,
            id: id.into(),
            recipient: None,
            date,
        }
    }

    /// The field for a message: folded at 78 characters, with CRLF at its end.
    pub fn field(&self) -> String {
        folded("Received", &self.words())
    }

    fn words(&self) -> Vec<String> {
        let utf8 = self.protocol.utf8;
        let mut words = vec!["from".to_owned()];
        let (from, ascii) = match &self.from {
            Host::Domain(domain) => spelled(domain, utf8),
            Host::Ip(_) => (self.from.to_string(), None),
        };
        words.push(from);
        words.extend(self.seen());
        words.extend(ascii.as_deref().map(comment));
        let (by, ascii) = spelled(&self.by, utf8);
        words.extend(["by".to_owned(), by]);
        words.extend(self.local.map(|ip| format!("({})", Host::Ip(ip))));
        words.extend(ascii.as_deref().map(comment));
        words.extend(["via", "tcp", "with"].map(str::to_owned));
        words.push(self.protocol.to_string());
        // No with clause is registered for RFC 8689; a comment tells it to people.
        words.extend(self.require_tls.then(|| "(requiretls)".to_owned()));
        words.extend(["id".to_owned(), self.id.chars().map(plain).collect()]);
        words.extend(self.tls.as_deref().map(comment));
        if let Some(recipient) = &self.recipient {
            words.extend(["for".to_owned(), path(recipient, utf8)]);
        }
        if let Some(last) = words.last_mut() {
            last.push(';');
        }
        words.push(self.date.to_string());
        words
    }

    /// RFC 5321 §4.4: the TCP-info clause, with what DNS and the connection said.
    fn seen(&self) -> Option<String> {
        let said = self.from.domain().map(Domain::name);
        let reverse = self.reverse.as_ref().filter(|name| Some(*name) != said).map(Name::to_string);
        let remote = self.remote.map(|ip| Host::Ip(ip).to_string());
        let seen: Vec<String> = reverse.into_iter().chain(remote).collect();
        (!seen.is_empty()).then(|| comment(&seen.join(" ")))
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received: {}", self.words().join(" "))
    }
}

/// How many hops a message has behind it (RFC 5321 §6.3): its Received fields.
pub fn hops(headers: &Headers<'_>) -> usize {
    headers.all("Received").count()
}
