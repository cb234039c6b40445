//! The Received field: what we know of the client that sent us the message (RFC 5321 §4.4).

use crate::auth_results::spelled;
use crate::compose::path;
use crate::fold::{comment, folded, plain};
use crate::{Date, Headers};
use dns::{Domain, Host, Name};
use smtp_parser::Path;
use std::fmt;
use std::net::IpAddr;

/// The parts of a Received field. `Display` writes it on one line, for people; [`Received::field`] writes it folded, for a
/// message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The name that the client gave with HELO or EHLO; for a submission our own host name, to hide the client's.
    pub from: Host,
    /// The name that the client's address resolves to. Not written if the client gave the same name.
    pub reverse: Option<Name>,
    /// The client's address; none for a submission.
    pub remote: Option<IpAddr>,
    /// Our host name.
    pub by: Domain,
    /// Our address that the client connected to.
    pub local: Option<IpAddr>,
    /// How the message was transferred.
    pub protocol: Protocol,
    /// The TLS version and cipher suite in the form to write, such as `TLS1.3 TLS_AES_128_GCM_SHA256`.
    pub tls: Option<String>,
    /// The client asked for REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// Our identifier of the transaction.
    pub id: String,
    /// The recipient, if the field is to name one.
    pub recipient: Option<Path>,
    /// When we received the message.
    pub date: Date,
}

/// How a message was transferred, for the `with` clause (RFC 3848, RFC 6531 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Protocol {
    /// The session began with EHLO.
    pub extended: bool,
    /// The transaction used SMTPUTF8.
    pub utf8: bool,
    /// The connection used TLS.
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
        // RFC 3848 §1: the S and A forms exist only for sessions with EHLO, which TLS and AUTH need.
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
    /// Creates a field with its required parts.
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
        // No with clause is registered for RFC 8689, so a comment says it.
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

    /// RFC 5321 §4.4: the TCP-info clause, with the name from DNS and the address.
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

/// Counts the hops of a message by its Received fields (RFC 5321 §6.3).
pub fn hops(headers: &Headers<'_>) -> usize {
    headers.all("Received").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(from: &str, protocol: Protocol) -> Received {
        let date = Date::new(1_793_718_245, 0);
        Received::new(from.parse().unwrap(), "mx.example.org".parse().unwrap(), protocol, "q1w2e3", date)
    }

    #[track_caller]
    fn check(received: &Received, expected: &str) {
        assert_eq!(received.field(), expected);
        assert_eq!(received.to_string(), expected.replace("\r\n\t", " ").trim_end());
    }

    #[test]
    fn writes_what_delivery_saw() {
        let protocol = Protocol { extended: true, tls: true, ..Protocol::default() };
        let mut found = received("client.example.com", protocol);
        found.reverse = Some("real.example.com".parse().unwrap());
        found.remote = Some("192.0.2.7".parse().unwrap());
        found.local = Some("2001:db8::25".parse().unwrap());
        found.tls = Some("TLS1.3 TLS_AES_128_GCM_SHA256".to_owned());
        found.recipient = Some(Path::Mailbox("a@example.org".parse().unwrap()));
        check(
            &found,
            "Received: from client.example.com (real.example.com [192.0.2.7]) by\r\n\
             \tmx.example.org ([IPv6:2001:db8::25]) via tcp with ESMTPS id q1w2e3\r\n\
             \t(TLS1.3 TLS_AES_128_GCM_SHA256) for <a@example.org>;\r\n\
             \tTue, 3 Nov 2026 15:04:05 +0000\r\n",
        );
        found.reverse = Some("client.example.com".parse().unwrap());
        found.require_tls = true;
        check(
            &found,
            "Received: from client.example.com ([192.0.2.7]) by mx.example.org\r\n\
             \t([IPv6:2001:db8::25]) via tcp with ESMTPS (requiretls) id q1w2e3\r\n\
             \t(TLS1.3 TLS_AES_128_GCM_SHA256) for <a@example.org>;\r\n\
             \tTue, 3 Nov 2026 15:04:05 +0000\r\n",
        );
    }

    #[test]
    fn writes_little_at_submission_and_unicode_with_smtputf8() {
        check(
            &received("[192.0.2.7]", Protocol::smtp()),
            "Received: from [192.0.2.7] by mx.example.org via tcp with SMTP id q1w2e3;\r\n\
             \tTue, 3 Nov 2026 15:04:05 +0000\r\n",
        );
        let protocol = Protocol { utf8: true, ..Protocol::default() };
        let mut found = received("bücher.example", protocol);
        found.by = found.from.domain().unwrap().clone();
        found.recipient = Some(Path::Mailbox("ü@bücher.example".parse().unwrap()));
        check(
            &found,
            "Received: from bücher.example (xn--bcher-kva.example) by bücher.example\r\n\
             \t(xn--bcher-kva.example) via tcp with UTF8SMTP id q1w2e3 for\r\n\
             \t<ü@bücher.example>; Tue, 3 Nov 2026 15:04:05 +0000\r\n",
        );
    }

    #[test]
    fn names_every_protocol() {
        let name =
            |extended, utf8, tls, authenticated| Protocol { extended, utf8, tls, authenticated }.to_string();
        assert_eq!(name(false, false, false, false), "SMTP");
        assert_eq!(name(true, false, false, false), "ESMTP");
        assert_eq!(name(true, false, true, false), "ESMTPS");
        assert_eq!(name(true, false, false, true), "ESMTPA");
        assert_eq!(name(true, false, true, true), "ESMTPSA");
        assert_eq!(name(true, true, false, false), "UTF8SMTP");
        assert_eq!(name(true, true, true, true), "UTF8SMTPSA");
        assert_eq!(name(false, false, true, true), "ESMTPSA");
    }

    #[test]
    fn nothing_leaves_the_field() {
        let mut found = received("a.example", Protocol::smtp());
        found.id = "x\r\nEvil: 1".to_owned();
        found.tls = Some(")\r\n(".to_owned());
        assert_eq!(found.field().lines().filter(|line| !line.starts_with('\t')).count(), 1);
    }
}
