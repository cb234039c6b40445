//! What the reply to EHLO announces.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use sasl::{Mechanism, TlsNeed};
use smtp_parser::Verb;

use super::Session;
use super::commands;

/// One extension.
struct Extension {
    keyword: &'static str,
    /// The command that it stands for: it is announced where the table of commands offers that command.
    verb: Option<Verb>,
    /// What follows the keyword; `None`: it is not announced just now.
    values: fn(&Session, SystemTime) -> Option<String>,
}

const fn extension(
    keyword: &'static str,
    verb: Option<Verb>,
    values: fn(&Session, SystemTime) -> Option<String>,
) -> Extension {
    Extension { keyword, verb, values }
}

/// All extensions, in the order of their announcement.
const EXTENSIONS: &[Extension] = &[
    // RFC 2920 §3.1: commands may be sent in groups.
    extension("PIPELINING", None, plain),
    // RFC 1870 §4: the limit of a message.
    extension("SIZE", None, |session, _| Some(format!(" {}", session.rules.limits.message))),
    // RFC 3207 §4: TLS is on offer.
    extension("STARTTLS", Some(Verb::StartTls), plain),
    // RFC 4954 §3: the mechanisms.
    extension("AUTH", Some(Verb::Auth), |session, _| session.announced_mechanisms()),
    // RFC 8689 §4.1: only over TLS.
    extension("REQUIRETLS", None, |session, _| {
        (session.rules.require_tls && session.client.tls.is_some()).then(String::new)
    }),
    // RFC 2034 §3: replies have enhanced codes.
    extension("ENHANCEDSTATUSCODES", None, plain),
    // RFC 6152 §2: 8-bit text is taken.
    extension("8BITMIME", None, plain),
    // RFC 3030 §2: BDAT.
    extension("CHUNKING", Some(Verb::Bdat), plain),
    // RFC 3030 §3: and any octets by it.
    extension("BINARYMIME", Some(Verb::Bdat), plain),
    // RFC 9422 §4: limits of the session.
    extension("LIMITS", None, |session, _| Some(format!(" RCPTMAX={}", session.rules.limits.recipients))),
    // RFC 4865 §4: the longest time a message may be held back, and when that is.
    extension("FUTURERELEASE", None, |session, now| {
        let longest = session.future_release()?;
        Some(format!(" {} {}", longest.as_secs(), utc(now.checked_add(longest)?)))
    }),
    // RFC 6531 §3.1: UTF-8 in addresses and headers.
    extension("SMTPUTF8", None, plain),
];

#[allow(clippy::unnecessary_wraps, reason = "one of the functions of the table")]
fn plain(_: &Session, _: SystemTime) -> Option<String> {
    Some(String::new())
}

impl Session {
    /// The lines of the reply to EHLO.
    pub(super) fn announcement(&self, now: SystemTime) -> String {
        let mut lines = self.rules.hostname.to_string();
        for Extension { keyword, verb, values } in EXTENSIONS {
            let offered = verb.is_none_or(|verb| commands::is_offered(verb, self));
            if let Some(values) = offered.then(|| values(self, now)).flatten() {
                let _ = write!(lines, "\n{keyword}{values}");
            }
        }
        lines
    }

    /// The longest time a message may be held back, where it may.
    pub(super) fn future_release(&self) -> Option<Duration> {
        self.rules.future_release.filter(|_| self.rules.kind.is_submission())
    }

    /// Each mechanism after a space. Without one, as before TLS where it is needed, the keyword is not announced: clients
    /// report a list of no mechanisms as an error of the server.
    fn announced_mechanisms(&self) -> Option<String> {
        let announced = self.rules.mechanisms.iter().filter(|mechanism| self.announces(**mechanism));
        let names: String = announced.map(|mechanism| format!(" {}", mechanism.name())).collect();
        (!names.is_empty()).then_some(names)
    }

    fn announces(&self, mechanism: Mechanism) -> bool {
        if self.auth_waits_for_tls() {
            return false;
        }
        match &self.client.tls {
            // RFC 4422 appendix A: there is nothing external to go by but a certificate.
            Some(tls) if mechanism == Mechanism::External => tls.client_key.is_some(),
            Some(tls) => !mechanism.is_plus() || tls.exporter.is_some(),
            // PLUS is announced without TLS too: a client that sees it take TLS away then knows of it.
            None => mechanism.needs_tls() != TlsNeed::Inherent || mechanism.is_plus(),
        }
    }

    /// Must the client do STARTTLS before AUTH?
    pub(super) fn auth_waits_for_tls(&self) -> bool {
        self.rules.auth_needs_tls && self.client.tls.is_none()
    }
}

/// RFC 3339 §5.6: a moment in UTC, to the second. One before 1970 or after 9999 is given as the nearest within.
fn utc(time: SystemTime) -> String {
    const LAST: u64 = 253_402_300_799;
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
    let (mut days, second) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970_u64;
    let is_leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let length = |year| 365 + u64::from(is_leap(year));
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let mut month = 1;
    for of_month in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < of_month {
            break;
        }
        days -= of_month;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_times_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::from(u32::MAX) << 16, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
