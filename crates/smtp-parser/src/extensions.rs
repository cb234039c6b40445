//! Parses the extensions in the reply to EHLO.

use crate::Reply;
use crate::limits::{MAX_LIMIT_DIGITS, MAX_MECHANISMS};
use crate::param::{digits, size};
use bstr::{BStr, ByteSlice};

/// The service extensions of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// SIZE (RFC 1870): `Some(None)` is announced without a limit.
    pub size: Option<Option<u64>>,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH (RFC 4954): mechanism names in upper case; empty when not announced, or announced without any.
    pub auth: Vec<String>,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    pub enhanced_status_codes: bool,
    /// 8BITMIME (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030).
    pub binary_mime: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// LIMITS (RFC 9422).
    pub limits: PeerLimits,
    /// FUTURERELEASE (RFC 4865): the longest time to hold a message, in seconds.
    pub future_release: Option<u64>,
}

/// The limits that a server announces (RFC 9422 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerLimits {
    /// MAILMAX: transactions in one session.
    pub mail: Option<u32>,
    /// RCPTMAX: recipients in one transaction.
    pub rcpt: Option<u32>,
    /// RCPTDOMAINMAX: different recipient domains in one transaction.
    pub rcpt_domain: Option<u32>,
}

impl Extensions {
    /// Reads the reply to EHLO. Its first line is the greeting; unknown keywords are ignored.
    pub fn of(reply: &Reply<'_>) -> Self {
        let mut found = Self::default();
        for line in reply.lines().skip(1) {
            found.keyword(line);
        }
        found
    }

    fn keyword(&mut self, line: &BStr) {
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_slice() {
            b"PIPELINING" => self.pipelining = true,
            // RFC 1870 §4: a value of 0 means no fixed limit.
            b"SIZE" => self.size = Some(words.next().and_then(|value| size(value).ok()).filter(|&n| n > 0)),
            b"STARTTLS" => self.starttls = true,
            b"AUTH" => self.mechanisms(words),
            b"ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            b"8BITMIME" => self.eight_bit_mime = true,
            b"SMTPUTF8" => self.smtputf8 = true,
            b"CHUNKING" => self.chunking = true,
            b"BINARYMIME" => self.binary_mime = true,
            b"DSN" => self.dsn = true,
            b"REQUIRETLS" => self.require_tls = true,
            // RFC 9422 §4: an erroneous keyword is ignored.
            b"LIMITS" => self.limits = limits(words).unwrap_or_default(),
            b"FUTURERELEASE" => self.future_release = words.next().and_then(|value| size(value).ok()),
            // Servers before RFC 2554 wrote `AUTH=`, and some still announce both.
            other => {
                if let Some(first) = other.strip_prefix(b"AUTH=") {
                    self.mechanisms(std::iter::once(first).chain(words));
                }
            }
        }
    }

    fn mechanisms<'w>(&mut self, words: impl Iterator<Item = &'w [u8]>) {
        for word in words {
            let Ok(name) = std::str::from_utf8(word) else { continue };
            let name = name.to_ascii_uppercase();
            if self.auth.len() < MAX_MECHANISMS && !self.auth.contains(&name) {
                self.auth.push(name);
            }
        }
    }
}

/// RFC 9422 §4: name=value pairs; each of ours at most once, with 1 to 6 digits, the first not 0.
fn limits<'w>(words: impl Iterator<Item = &'w [u8]>) -> Option<PeerLimits> {
    let mut found = PeerLimits::default();
    for word in words {
        let (name, value) = word.split_once_str("=")?;
        let slot = match name.to_ascii_uppercase().as_slice() {
            b"MAILMAX" => &mut found.mail,
            b"RCPTMAX" => &mut found.rcpt,
            b"RCPTDOMAINMAX" => &mut found.rcpt_domain,
            _ => continue,
        };
        let text = digits(value).filter(|text| text.len() <= MAX_LIMIT_DIGITS && !text.starts_with('0'))?;
        if slot.replace(text.parse().ok()?).is_some() {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    fn of(text: &str) -> Extensions {
        Extensions::of(&Reply::new(Code::OK, None, text))
    }

    #[test]
    fn reads_every_keyword() {
        let found = of(
            "mail.example.org\nPIPELINING\nSIZE 1000\nStartTLS\nAUTH PLAIN scram-sha-256\nENHANCEDSTATUSCODES\n\
             8BITMIME\nSMTPUTF8\nCHUNKING\nBINARYMIME\nDSN\nREQUIRETLS\nLIMITS RCPTMAX=100\nFUTURERELEASE 3600 2026-12-31T00:00:00Z",
        );
        assert_eq!(
            found,
            Extensions {
                pipelining: true,
                size: Some(Some(1000)),
                starttls: true,
                auth: vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()],
                enhanced_status_codes: true,
                eight_bit_mime: true,
                smtputf8: true,
                chunking: true,
                binary_mime: true,
                dsn: true,
                require_tls: true,
                limits: PeerLimits { rcpt: Some(100), ..PeerLimits::default() },
                future_release: Some(3600),
            }
        );
    }

    #[test]
    fn the_greeting_is_no_keyword() {
        assert_eq!(of("STARTTLS"), Extensions::default());
        assert_eq!(of("mail.example.org\nX-UNKNOWN 1\n\n "), Extensions::default());
    }

    #[test]
    fn a_size_may_have_no_limit() {
        assert_eq!(of("h\nSIZE").size, Some(None));
        assert_eq!(of("h\nSIZE 0").size, Some(None));
        assert_eq!(of("h\nSIZE much").size, Some(None));
        assert_eq!(of("h").size, None);
    }

    #[test]
    fn mechanisms_are_told_once_in_both_spellings() {
        assert_eq!(of("h\nAUTH LOGIN PLAIN\nAUTH=LOGIN  CRAM-MD5").auth, ["LOGIN", "PLAIN", "CRAM-MD5"]);
        assert_eq!(of("h\nAUTH").auth, [""; 0]);
    }

    #[test]
    fn mechanisms_are_bounded() {
        let many: String = (0..1000).map(|n| format!(" M{n}")).collect();
        assert_eq!(of(&format!("h\nAUTH{many}")).auth.len(), MAX_MECHANISMS);
    }

    #[track_caller]
    fn limits_are(text: &str, mail: Option<u32>, rcpt: Option<u32>, rcpt_domain: Option<u32>) {
        assert_eq!(of(&format!("h\nLIMITS {text}")).limits, PeerLimits { mail, rcpt, rcpt_domain }, "{text}");
    }

    #[test]
    fn limits_with_an_error_are_ignored_as_a_whole() {
        limits_are("MAILMAX=10 rcptmax=999999 RCPTDOMAINMAX=1 OTHER=x", Some(10), Some(999_999), Some(1));
        limits_are("RCPTMAX=10 MAILMAX=x", None, None, None);
        limits_are("RCPTMAX=10 RCPTMAX=10", None, None, None);
        limits_are("RCPTMAX=1000000", None, None, None);
        limits_are("RCPTMAX=0", None, None, None);
        limits_are("RCPTMAX=010", None, None, None);
        limits_are("RCPTMAX=", None, None, None);
        limits_are("RCPTMAX", None, None, None);
    }
}
