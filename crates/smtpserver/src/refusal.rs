//! Refusals: the error replies that a backend or the session chooses.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::time::Duration;

use smtp_parser::{Code, EnhancedCode};

use crate::replies::{self, ReplyTemplate};

/// Most bytes of text that does not come from [`crate::replies`].
const MAX_TEXT: usize = 2000;
/// Most lines of such a text.
const MAX_LINES: usize = 20;

/// An error reply, with what else happens to the client.
///
/// It is made from a template in [`crate::replies`]; text from elsewhere is cleaned by [`clean`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Code,
    status: EnhancedCode,
    text: Cow<'static, str>,
    slow: bool,
    close: bool,
    probe: bool,
    delay: Duration,
}

impl Refusal {
    /// Makes a refusal of `template`, whose code is 4xx or 5xx; of any other template, [`replies::INTERNAL_ERROR`].
    pub fn new(template: ReplyTemplate) -> Self {
        match template.enhanced() {
            Some(status) if !template.code.is_success() => {
                Self::of(template.code, status, template.text.into())
            }
            _ => Self::internal(),
        }
    }

    /// The same with `detail` in place of `{}`, cleaned.
    pub fn with(template: ReplyTemplate, detail: impl Display) -> Self {
        Self::filled(template, &[&detail.to_string()])
    }

    /// The same with `details` in place of each `{}`.
    pub(crate) fn filled(template: ReplyTemplate, details: &[&str]) -> Self {
        let mut refusal = Self::new(template);
        if !details.is_empty() {
            refusal.text = clean(&fill(template.text, details)).into();
        }
        refusal
    }

    /// Makes a refusal of text that an operator has configured, cleaned. A code below 400 makes [`replies::INTERNAL_ERROR`].
    pub fn configured(code: Code, subject: u16, detail: u16, text: &str) -> Self {
        match EnhancedCode::for_code(code, subject, detail) {
            Some(status) if !code.is_success() => Self::of(code, status, clean(text).into()),
            _ => Self::internal(),
        }
    }

    /// Combines the refusals of all recipients into one reply to the message.
    ///
    /// Refusals with the same codes become lines of a reply with those codes. Otherwise each line has its codes, and the
    /// reply is temporary if any of them is, so that the sender tries again.
    pub fn all(refusals: &[Refusal]) -> Self {
        let Some(first) = refusals.first() else { return Self::internal() };
        let mut lines: Vec<String> = Vec::new();
        let same = refusals.iter().all(|r| (r.code, r.status) == (first.code, first.status));
        for refusal in refusals {
            let line = if same {
                refusal.text.clone().into_owned()
            } else {
                format!("{refusal}").replace('\n', " ")
            };
            if !lines.contains(&line) && lines.len() + 1 < MAX_LINES {
                lines.push(line);
            }
        }
        let mut whole = if same {
            first.clone()
        } else {
            let temporary = refusals.iter().any(|r| r.code.is_temporary());
            let template =
                if temporary { replies::MULTIPLE_ERRORS_FOR_NOW } else { replies::MULTIPLE_ERRORS };
            lines.push(template.text.to_owned());
            Self::new(template)
        };
        whole.text = lines.join("\n").into();
        whole.slow = refusals.iter().any(|r| r.slow);
        whole.close = refusals.iter().any(|r| r.close);
        whole.probe = refusals.iter().any(|r| r.probe);
        whole.delay = refusals.iter().map(|r| r.delay).max().unwrap_or_default();
        whole
    }

    /// Serves the client slowly from now on ([`crate::Delays::bad_client`]).
    #[must_use]
    pub fn slowly(mut self) -> Self {
        self.slow = true;
        self
    }

    /// Closes the connection after the reply.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Marks a reply that reveals that an address does not exist. The driver counts such replies by network, and delays each
    /// more than the one before, so that finding out who exists takes long.
    #[must_use]
    pub fn about_unknown_recipient(mut self) -> Self {
        self.probe = true;
        self
    }

    /// Delays the reply; less if the server stops.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The reply code: 4xx or 5xx.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The enhanced code; its class is that of the code.
    pub fn status(&self) -> EnhancedCode {
        self.status
    }

    /// The text: printable ASCII, lines separated by LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Is the trouble on our side: a fault, or a full disk (RFC 3463 §3.4: status of the mail system)?
    pub(crate) fn is_our_fault(&self) -> bool {
        self.code.is_temporary() && self.status.subject() == 3
    }

    /// Is the client served slowly from now on?
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.close
    }

    pub(crate) fn is_about_unknown_recipient(&self) -> bool {
        self.probe
    }

    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    fn of(code: Code, status: EnhancedCode, text: Cow<'static, str>) -> Self {
        Self { code, status, text, slow: false, close: false, probe: false, delay: Duration::ZERO }
    }

    fn internal() -> Self {
        let ReplyTemplate { code, text, .. } = replies::INTERNAL_ERROR;
        Self::of(code, EnhancedCode::temporary(3, 0), text.into())
    }
}

impl Display for Refusal {
    /// Writes `550 5.1.1 no such user`, for logs and reports.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.status, self.text)
    }
}

/// `text` with the next of `details` in place of each `{}`.
pub(crate) fn fill(text: &str, details: &[&str]) -> String {
    let mut pieces = text.split("{}");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    let mut details = details.iter();
    for piece in pieces {
        filled.push_str(details.next().copied().unwrap_or_default());
        filled.push_str(piece);
    }
    filled
}

/// Makes `text` fit for a reply: printable ASCII (RFC 5321 §4.2: textstring), few lines, none of them empty; replaces all
/// other characters by `?`.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(MAX_TEXT));
    for line in text.split('\n').map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES) {
        if !clean.is_empty() {
            clean.push('\n');
        }
        let room = MAX_TEXT.saturating_sub(clean.len());
        clean.extend(line.chars().take(room).map(|c| if matches!(c, ' '..='~') { c } else { '?' }));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refusal: &Refusal, expected: &str) {
        assert_eq!(refusal.to_string(), expected);
    }

    #[test]
    fn says_what_it_was_made_of() {
        check(&Refusal::new(replies::NO_SUCH_USER), "550 5.1.1 no such user");
        check(
            &Refusal::with(replies::DELIVERY_RATE, "500 messages in past 1m0s"),
            "452 4.2.2 more than 500 messages in past 1m0s from your ip/network",
        );
        check(&Refusal::configured(Code::UNAVAILABLE, 3, 0, "not today"), "421 4.3.0 not today");
    }

    #[test]
    fn fills_in_details_one_after_the_other() {
        assert_eq!(fill("{} and {}", &["{}", "b"]), "{} and b");
        assert_eq!(fill("{} and {}", &["a"]), "a and ");
        assert_eq!(fill("none", &["a"]), "none");
    }

    #[test]
    fn success_is_no_refusal() {
        check(&Refusal::new(replies::MESSAGE_OK), "451 4.3.0 cannot say why not: internal error");
        check(&Refusal::configured(Code::OK, 0, 0, "fine"), "451 4.3.0 cannot say why not: internal error");
        check(&Refusal::all(&[]), "451 4.3.0 cannot say why not: internal error");
    }

    #[test]
    fn cleans_what_comes_from_elsewhere() {
        for (text, clean_text) in [
            ("plain", "plain"),
            ("250 ok\r\n550 no\x00\x1b[31m", "250 ok\n550 no??[31m"),
            ("\n\n  a\n\n b  \n", "a\nb"),
            ("λ", "?"),
            ("100 %s {} %", "100 %s {} %"),
        ] {
            assert_eq!(clean(text), clean_text, "{text:?}");
        }
        let long = clean(&"x\n".repeat(1000));
        assert_eq!(long.lines().count(), MAX_LINES);
        assert_eq!(clean(&"x".repeat(10_000)).len(), MAX_TEXT);
    }

    #[test]
    fn tells_refusals_of_one_code_together() {
        let quota = Refusal::new(replies::QUOTA);
        let rate = Refusal::with(replies::DELIVERY_RATE, "5 messages").slowly();
        let whole = Refusal::all(&[quota.clone(), rate, quota]);
        check(&whole, "452 4.2.2 account storage full\nmore than 5 messages from your ip/network");
        assert!(whole.is_slow());
    }

    #[test]
    fn tells_refusals_of_different_codes_with_their_codes() {
        let (user, loops) = (Refusal::new(replies::NO_SUCH_USER), Refusal::with(replies::LOOP, 100));
        let quota = Refusal::new(replies::QUOTA).after(Duration::from_secs(5));
        check(
            &Refusal::all(&[user.clone(), loops]),
            "554 5.3.0 550 5.1.1 no such user\n550 5.4.6 loop detected, more than 100 Received headers\nmultiple errors",
        );
        let mixed = Refusal::all(&[user, quota]);
        check(&mixed, "451 4.3.0 550 5.1.1 no such user\n452 4.2.2 account storage full\nmultiple errors");
        assert_eq!(mixed.delay(), Duration::from_secs(5));
    }
}
