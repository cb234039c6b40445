//! Simulated failures: which failure a local part asks for in developer mode.

use smtp_parser::{Code, Localpart};
use smtpserver::{Refusal, replies};
use std::time::Duration;

/// How long a simulated timeout keeps the client waiting.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// A failure that a local part asks for with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// `…temperror`, or an explicit code.
    Reply(Code),
    /// `…timeout`: no answer for an hour, then a temporary failure.
    Timeout,
}

/// The failure that this local part asks for.
pub(crate) fn failure(localpart: &Localpart) -> Option<Failure> {
    let text = localpart.as_str();
    if text.ends_with("temperror") {
        return Some(Failure::Reply(Code::LOCAL_ERROR));
    }
    if text.ends_with("permerror") {
        return Some(Failure::Reply(Code::MAILBOX_UNAVAILABLE));
    }
    if text.ends_with("timeout") {
        return Some(Failure::Timeout);
    }
    let start = text.len().checked_sub(3)?;
    let digits = text.get(start..).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().and_then(Code::new).filter(|code| matches!(code.class(), 4 | 5)).map(Failure::Reply)
}

/// The failure as a reply. `timeout` is the subject and detail of the status code of a timeout's reply (RFC 3463 §2).
pub(crate) fn refusal(failure: Failure, timeout: (u16, u16)) -> Refusal {
    let (code, (subject, detail), delay) = match failure {
        Failure::Reply(code) => (code, (0, 0), Duration::ZERO),
        Failure::Timeout => (Code::LOCAL_ERROR, timeout, TIMEOUT),
    };
    let text = Refusal::with(replies::SPECIAL_LOCALPART, code);
    Refusal::configured(code, subject, detail, text.text()).after(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(code: u16) -> Option<Failure> {
        Code::new(code).map(Failure::Reply)
    }

    #[track_caller]
    fn check(localpart: &str, want: Option<Failure>) {
        assert_eq!(failure(&Localpart::new(localpart).unwrap()), want, "{localpart}");
    }

    #[test]
    fn failures_are_asked_for_at_the_end_of_the_local_part() {
        check("mox", None);
        check("user550", fail(550));
        check("421", fail(421));
        check("temperror", fail(451));
        check("rcptto-permerror", fail(550));
        check("x-timeout", Some(Failure::Timeout));
        check("599", fail(599));
        check("permerror-not", None);
    }

    #[test]
    fn codes_that_smtp_does_not_have_ask_for_no_failure() {
        check("600", None);
        check("399", None);
        check("99", None);
        check("x4a1", None);
        check("ü50", None);
    }

    #[test]
    fn replies_have_the_wanted_code() {
        let text = |refusal: Refusal| refusal.to_string();
        assert_eq!(
            text(refusal(fail(552).unwrap(), (3, 0))),
            "552 5.0.0 failure with code 552 due to special localpart"
        );
        assert_eq!(
            text(refusal(Failure::Timeout, (3, 0))),
            "451 4.3.0 failure with code 451 due to special localpart"
        );
    }
}
