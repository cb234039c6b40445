//! The extensions that the reply to EHLO announces.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use sasl::{Mechanism, TlsNeed};
use smtp_parser::{Verb, utc_text};

use super::{Session, commands};
use crate::client::Client;
use crate::replies::keywords;
use crate::rules::Rules;

/// The rules and the state of the connection on which the offered extensions depend.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) rules: &'a Rules,
    pub(super) client: &'a Client,
}

/// One extension.
struct Extension {
    keyword: &'static str,
    /// The command that it adds: it is announced where that command is offered.
    verb: Option<Verb>,
    /// What follows the keyword; `None` where the extension is not announced now.
    values: fn(Terms<'_>, SystemTime) -> Option<String>,
}

const fn extension(
    keyword: &'static str,
    verb: Option<Verb>,
    values: fn(Terms<'_>, SystemTime) -> Option<String>,
) -> Extension {
    Extension { keyword, verb, values }
}

/// All extensions, in the order of their announcement.
const EXTENSIONS: &[Extension] = &[
    extension(keywords::PIPELINING, None, plain),
    extension(keywords::SIZE, None, |terms, _| Some(format!(" {}", terms.rules.limits.message))),
    extension(keywords::STARTTLS, Some(Verb::StartTls), plain),
    extension(keywords::AUTH, Some(Verb::Auth), |terms, _| terms.announced_mechanisms()),
    // RFC 8689 §4.1: only over TLS.
    extension(keywords::REQUIRETLS, None, |terms, _| {
        (terms.rules.require_tls && terms.client.tls.is_some()).then(String::new)
    }),
    extension(keywords::ENHANCEDSTATUSCODES, None, plain),
    extension(keywords::EIGHTBITMIME, None, plain),
    extension(keywords::CHUNKING, Some(Verb::Bdat), plain),
    extension(keywords::BINARYMIME, Some(Verb::Bdat), plain),
    extension(keywords::LIMITS, None, |terms, _| {
        Some(format!(" {}={}", keywords::RCPTMAX, terms.rules.limits.recipients))
    }),
    // RFC 4865 §4: the longest time a message may be held back, and the moment at which that ends.
    extension(keywords::FUTURERELEASE, None, |terms, now| {
        let longest = terms.future_release()?;
        Some(format!(" {} {}", longest.as_secs(), utc_text(now.checked_add(longest)?)))
    }),
    extension(keywords::SMTPUTF8, None, plain),
];

#[allow(clippy::unnecessary_wraps, reason = "one of the functions of the table")]
fn plain(_: Terms<'_>, _: SystemTime) -> Option<String> {
    Some(String::new())
}

impl<T> Session<T> {
    pub(super) fn terms(&self) -> Terms<'_> {
        Terms { rules: &self.rules, client: &self.client }
    }

    /// The lines of the reply to EHLO.
    pub(super) fn announcement(&self, now: SystemTime) -> String {
        let terms = self.terms();
        let mut lines = self.rules.hostname.to_string();
        for Extension { keyword, verb, values } in EXTENSIONS {
            let offered = verb.is_none_or(|verb| commands::is_offered(verb, terms));
            if let Some(values) = offered.then(|| values(terms, now)).flatten() {
                let _ = write!(lines, "\n{keyword}{values}");
            }
        }
        lines
    }
}

impl Terms<'_> {
    /// The longest time a message may be held back, where clients may ask for that.
    pub(super) fn future_release(self) -> Option<Duration> {
        self.rules.future_release.filter(|_| self.rules.kind.is_submission())
    }

    /// The mechanisms, each after a space. `None` where there is none, as before TLS where AUTH needs TLS: some clients
    /// report an empty list as an error of the server.
    fn announced_mechanisms(self) -> Option<String> {
        let announced = self.rules.mechanisms.iter().filter(|mechanism| self.announces(**mechanism));
        let names: String = announced.map(|mechanism| format!(" {}", mechanism.name())).collect();
        (!names.is_empty()).then_some(names)
    }

    fn announces(self, mechanism: Mechanism) -> bool {
        if self.auth_waits_for_tls() {
            return false;
        }
        match &self.client.tls {
            // RFC 4422 appendix A: only a client certificate identifies the client outside of the exchange.
            Some(tls) if mechanism == Mechanism::External => tls.client_key.is_some(),
            Some(tls) => !mechanism.is_plus() || tls.exporter.is_some(),
            // RFC 5802 §6: PLUS is announced without TLS too, so that a client notices if an attacker has removed TLS.
            None => mechanism.needs_tls() != TlsNeed::Inherent || mechanism.is_plus(),
        }
    }

    /// Must the client do STARTTLS before AUTH?
    pub(super) fn auth_waits_for_tls(self) -> bool {
        self.rules.auth_needs_tls && self.client.tls.is_none()
    }
}
