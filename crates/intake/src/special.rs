//! Local parts that fail on request, in developer mode: how a client's handling of failures is tried out.

use smtp_parser::{Code, Localpart};
use smtpserver::{Refusal, replies};
use std::time::Duration;

/// How long a `timeout` keeps the client waiting.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What a local part asks for by how it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `…temperror`, or an explicit code.
    Fail(Code),
    /// `…timeout`: no answer for an hour, then a temporary failure.
    Timeout,
}

/// What this local part asks for, if anything.
pub(crate) fn wish(localpart: &Localpart) -> Option<Wish> {
    let text = localpart.as_str();
    if text.ends_with("temperror") {
        return Some(Wish::Fail(Code::LOCAL_ERROR));
    }
    if text.ends_with("permerror") {
        return Some(Wish::Fail(Code::MAILBOX_UNAVAILABLE));
    }
    if text.ends_with("timeout") {
        return Some(Wish::Timeout);
    }
    let start = text.len().checked_sub(3)?;
    let digits = text.get(start..).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().and_then(Code::new).filter(|code| matches!(code.class(), 4 | 5)).map(Wish::Fail)
}

/// The wish as the answer to the client. `timeout` is the subject and detail of the answer after an hour.
pub(crate) fn refusal(wish: Wish, timeout: (u16, u16)) -> Refusal {
    let (code, (subject, detail), delay) = match wish {
        Wish::Fail(code) => (code, (0, 0), Duration::ZERO),
        Wish::Timeout => (Code::LOCAL_ERROR, timeout, TIMEOUT),
    };
    let text = Refusal::with(replies::SPECIAL_LOCALPART, code);
    Refusal::configured(code, subject, detail, text.text()).after(delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(code: u16) -> Option<Wish> {
        Code::new(code).map(Wish::Fail)
    }

    #[track_caller]
    fn check(localpart: &str, want: Option<Wish>) {
        assert_eq!(wish(&Localpart::new(localpart).unwrap()), want, "{localpart}");
    }

    #[test]
    fn wishes_are_at_the_end_of_the_local_part() {
        check("mox", None);
        check("user550", fail(550));
        check("421", fail(421));
        check("temperror", fail(451));
        check("rcptto-permerror", fail(550));
        check("x-timeout", Some(Wish::Timeout));
        check("599", fail(599));
        check("permerror-not", None);
    }

    #[test]
    fn codes_that_smtp_does_not_have_are_no_wishes() {
        check("600", None);
        check("399", None);
        check("99", None);
        check("x4a1", None);
        check("ü50", None);
    }

    #[test]
    fn answers_have_the_wanted_code() {
        let text = |refusal: Refusal| refusal.to_string();
        assert_eq!(
            text(refusal(fail(552).unwrap(), (3, 0))),
            "552 5.0.0 failure with code 552 due to special localpart"
        );
        assert_eq!(
            text(refusal(Wish::Timeout, (3, 0))),
            "451 4.3.0 failure with code 451 due to special localpart"
        );
    }
}
