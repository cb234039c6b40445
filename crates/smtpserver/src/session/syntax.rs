//! The reply to a line that breaks the grammar.

use smtp_parser::{SyntaxError, SyntaxErrorKind as Kind, Verb};

use super::{CloseReason, Next, Session};
use crate::backend::LoginFailureReason;
use crate::replies::{self, ReplyTemplate};

/// The reply to an error. Most have a code of their own only in MAIL or RCPT.
fn template(error: &SyntaxError) -> ReplyTemplate {
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

impl<T> Session<T> {
    pub(super) fn syntax_error(
        &mut self,
        error: &SyntaxError,
        line: &[u8],
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        let mut template = template(error);
        let mut details = [error.to_string(), String::new()];
        match template {
            replies::DUPLICATE_PARAMETER | replies::UNKNOWN_PARAMETER => {
                details = [error.subject(line).to_string(), String::new()];
            }
            // Users see where their line went wrong; strangers get no such help.
            replies::BAD_SYNTAX if self.client.login.is_some() => {
                template = replies::BAD_SYNTAX_REMAINING;
                details = [error.to_string(), error.rest(line).to_string()];
            }
            _ => {}
        }
        let details = details.each_ref().map(String::as_str);
        match error.verb() {
            Some(Verb::Auth) => self.count_failed_login(None, None, LoginFailureReason::Protocol),
            // RFC 3030 §2: a chunk follows, whose size we do not know.
            Some(Verb::Bdat) => {
                self.reply(template, &details, out);
                return self.end(CloseReason::Refused);
            }
            _ => {}
        }
        self.fail(template, &details, out)
    }
}
