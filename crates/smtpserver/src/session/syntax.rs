//! What is said to a line that breaks the grammar.

use smtp_parser::{SyntaxError, SyntaxErrorKind as Kind, Verb};

use super::{CloseReason, LoginFailureReason, Session, Step};
use crate::replies::{self, Wording};

/// The answer to an error. Most have a code of their own only in MAIL or RCPT.
fn wording(error: &SyntaxError) -> Wording {
    match (error.kind(), error.verb()) {
        (Kind::DuplicateParameter, _) => replies::DUPLICATE_PARAMETER,
        (Kind::UnknownParameter, _) => replies::UNKNOWN_PARAMETER,
        (Kind::UnknownBody, _) => replies::UNKNOWN_BODY,
        (Kind::SizeTooLarge, _) => replies::MESSAGE_TOO_LARGE,
        (Kind::BadXtext, _) => replies::BAD_XTEXT,
        (Kind::NonAscii, Some(Verb::Mail)) => replies::SENDER_NOT_ASCII,
        (Kind::NonAscii, Some(Verb::Rcpt)) => replies::RECIPIENT_NOT_ASCII,
        (Kind::BadUtf8, Some(Verb::Rcpt)) => replies::RECIPIENT_BAD_UTF8,
        (Kind::DomainTooLong, Some(Verb::Mail)) => replies::SENDER_DOMAIN_TOO_LONG,
        (Kind::DomainTooLong, Some(Verb::Rcpt)) => replies::RECIPIENT_DOMAIN_TOO_LONG,
        _ => replies::BAD_SYNTAX,
    }
}

impl Session {
    pub(super) fn syntax_error(
        &mut self,
        error: &SyntaxError,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let wording = wording(error);
        let detail = match wording {
            replies::DUPLICATE_PARAMETER | replies::UNKNOWN_PARAMETER => error.subject(line).to_string(),
            // Users get to see where it went wrong; to strangers the line is theirs to know.
            _ if self.client.login.is_some() => format!("{error} (remaining \"{}\")", error.rest(line)),
            _ => error.to_string(),
        };
        match error.verb() {
            Some(Verb::Auth) => self.login_has_failed(None, None, LoginFailureReason::Protocol),
            // RFC 3030 §2: octets follow, and nobody knows how many.
            Some(Verb::Bdat) => {
                self.say(wording, &detail, out);
                return self.over(CloseReason::Refused);
            }
            _ => {}
        }
        self.fail(wording, &detail, out)
    }
}
