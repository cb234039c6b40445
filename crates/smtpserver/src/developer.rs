//! Developer mode: local parts that ask for a failure, so that clients can be tried out on a server that takes all mail.

use std::time::Duration;

use smtp_parser::{Code, EnhancedCode, Localpart};

use crate::refusal::{Refusal, fill};
use crate::replies;

/// How long `timeout` takes: longer than any client waits.
const TIMEOUT: Duration = Duration::from_hours(1);

/// When a local part wants its failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// At MAIL: the local part begins with `mailfrom`.
    Mail,
    /// At RCPT: it begins with `rcptto`.
    Recipient,
    /// When the message is complete.
    Message,
    /// On its way out of the queue: it begins with `queue`.
    Queue,
}

impl Stage {
    /// When a recipient of this local part fails.
    fn of_recipient(localpart: &str) -> Self {
        if begins(localpart, "rcptto") {
            Self::Recipient
        } else if begins(localpart, "queue") {
            Self::Queue
        } else {
            Self::Message
        }
    }
}

/// The failure that `localpart` asks for: that of the sender at [`Stage::Mail`], that of a recipient at any other.
///
/// By its end: `temperror`, `permerror`, `timeout` (an hour, then temporary), or a code from 400 to 599. It holds at
/// the stage that its beginning names, otherwise when the message is complete.
pub fn failure(localpart: &Localpart, stage: Stage) -> Option<Refusal> {
    let text = localpart.as_str();
    let due = match stage {
        Stage::Mail => begins(text, "mailfrom"),
        _ => Stage::of_recipient(text) == stage,
    };
    let (code, subject, delay) = due.then(|| asked(text, stage))??;
    let status = EnhancedCode::for_code(code, subject, 0)?;
    let text = fill(replies::SPECIAL_LOCALPART.text, &code.to_string());
    Some(Refusal::of(code, status, text.into()).after(delay))
}

/// Code, subject of the enhanced code, and delay.
fn asked(text: &str, stage: Stage) -> Option<(Code, u16, Duration)> {
    if text.ends_with("temperror") {
        return Some((Code::LOCAL_ERROR, 0, Duration::ZERO));
    }
    if text.ends_with("permerror") {
        return Some((Code::MAILBOX_UNAVAILABLE, 0, Duration::ZERO));
    }
    if text.ends_with("timeout") {
        return Some((Code::LOCAL_ERROR, if stage == Stage::Message { 0 } else { 3 }, TIMEOUT));
    }
    let digits = text.get(text.len().checked_sub(3)?..)?;
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    // 600 and more are no codes of SMTP: mail to such a local part is delivered.
    let code = Code::new(number).filter(|code| code.is_temporary() || code.is_permanent())?;
    Some((code, 0, Duration::ZERO))
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(localpart: &str, stage: Stage, expected: Option<&str>) {
        let refusal = failure(&Localpart::new(localpart).unwrap(), stage);
        assert_eq!(refusal.map(|refusal| refusal.to_string()).as_deref(), expected, "{localpart} {stage:?}");
    }

    #[test]
    fn asks_for_failures_by_its_end() {
        let temporary = Some("451 4.0.0 failure with code 451 due to special localpart");
        let permanent = Some("550 5.0.0 failure with code 550 due to special localpart");
        for (localpart, expected) in [
            ("temperror", temporary),
            ("x-temperror", temporary),
            ("permerror", permanent),
            ("timeout", temporary),
            ("user550", permanent),
            ("user400", Some("400 4.0.0 failure with code 400 due to special localpart")),
            ("user599", Some("599 5.0.0 failure with code 599 due to special localpart")),
            ("user600", None),
            ("user399", None),
            ("user250", None),
            ("55", None),
            ("user", None),
            ("λ55", None),
            ("user+50", None),
        ] {
            check(localpart, Stage::Message, expected);
        }
    }

    #[test]
    fn asks_for_failures_at_the_stage_of_its_beginning() {
        let permanent = Some("550 5.0.0 failure with code 550 due to special localpart");
        for (localpart, stage, expected) in [
            ("mailfrom550", Stage::Mail, permanent),
            ("mailfrom550", Stage::Message, permanent),
            ("mailfrom550", Stage::Recipient, None),
            ("rcptto550", Stage::Recipient, permanent),
            ("rcptto550", Stage::Message, None),
            ("rcptto550", Stage::Mail, None),
            ("queuepermerror", Stage::Message, None),
            ("queuepermerror", Stage::Queue, permanent),
            ("user550", Stage::Mail, None),
            ("user550", Stage::Recipient, None),
            ("user550", Stage::Queue, None),
        ] {
            check(localpart, stage, expected);
        }
    }

    #[test]
    fn a_timeout_takes_an_hour() {
        let refusal = failure(&Localpart::new("rcptto-timeout").unwrap(), Stage::Recipient).unwrap();
        assert_eq!((refusal.status().to_string().as_str(), refusal.delay()), ("4.3.0", TIMEOUT));
    }
}
