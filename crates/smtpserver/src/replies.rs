//! Every reply text, each with its codes and the section of an RFC that asks for it. No other file has any.
//!
//! [`crate::Refusal::with`] or the session fills in what stands in place of a `{}`: a number, a name, a word of the
//! client's, or the description of an error by the parser that found it.

use smtp_parser::{Code, EnhancedCode};

/// A reply whose details are not filled in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTemplate {
    /// The reply code.
    pub code: Code,
    /// Subject and detail of the enhanced code; `None` where RFC 2034 §4 has none.
    pub status: Option<(u16, u16)>,
    /// The text, with `{}` in place of each detail.
    pub text: &'static str,
}

impl ReplyTemplate {
    /// The enhanced code, whose class is that of the code (RFC 2034 §4).
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        let (subject, detail) = self.status?;
        EnhancedCode::for_code(self.code, subject, detail)
    }
}

/// A template with its documentation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Listed {
    /// The name of its constant.
    pub name: &'static str,
    /// The template.
    pub template: ReplyTemplate,
    /// When the server replies so, and the section that asks for it.
    pub when: &'static str,
}

/// Makes one constant for each line, and a list of them all.
macro_rules! templates {
    ($($(#[doc = $when:literal])+ $name:ident: $code:ident $status:expr, $text:literal;)*) => {
        $(
            $(#[doc = $when])+
            pub const $name: ReplyTemplate = ReplyTemplate { code: Code::$code, status: $status, text: $text };
        )*

        /// All templates.
        pub const ALL: &[Listed] =
            &[$(Listed { name: stringify!($name), template: $name, when: concat!($($when),+) }),*];
    };
}

templates! {
    // ---- the connection ----

    /// RFC 5321 §4.3.1: the greeting: our name, then software.
    GREETING: READY None, "{} ESMTP {}";
    /// RFC 5321 §3.8: the server stops.
    SHUTTING_DOWN: UNAVAILABLE Some((3, 2)), "shutting down";
    /// RFC 5321 §3.8: too many connections of one network within a minute.
    CONNECTION_RATE: UNAVAILABLE Some((7, 0)), "connection rate from your ip or network too high, slow down please";
    /// RFC 5321 §3.8: too many connections of one network at a time.
    OPEN_CONNECTIONS: UNAVAILABLE Some((7, 0)), "too many open connections from your ip or network";
    /// RFC 5321 §3.8: the server is full.
    SERVER_FULL: UNAVAILABLE Some((3, 2)), "too many connections, try again later";
    /// RFC 4954 §4: too many failed logins from one network, or on one connection.
    TOO_MANY_AUTH_FAILURES: UNAVAILABLE Some((7, 0)), "too many auth failures";
    /// RFC 5321 §4.5.3.2: nothing came for too long.
    TIMED_OUT: UNAVAILABLE Some((4, 2)), "timeout, closing connection";
    /// RFC 5321 §7.8: a client that only costs.
    TOO_MANY_COMMANDS: UNAVAILABLE Some((7, 0)), "too many commands without a message";
    /// RFC 5321 §7.8: a client that only makes mistakes.
    TOO_MANY_ERRORS: UNAVAILABLE Some((7, 0)), "too many errors";

    // ---- any command ----

    /// RFC 5321 §4.5.3.1.4: no end of line within the limit.
    LINE_TOO_LONG: BAD_COMMAND Some((5, 0)), "line too long, smtp max is 512, we reached {}";
    /// RFC 5321 §4.2.4: the very first command is none of ours: not a mail client.
    NOT_SMTP: BAD_COMMAND Some((5, 2)), "please try again speaking smtp";
    /// RFC 5321 §4.2.4: no command of ours.
    UNKNOWN_COMMAND: BAD_COMMAND Some((5, 1)), "unknown command";
    /// RFC 5321 §4.2.2: the arguments break the grammar.
    BAD_SYNTAX: BAD_ARGUMENTS Some((5, 2)), "bad syntax: {}";
    /// RFC 5321 §4.2.2: the same to a user who has logged in, with the rest of the line.
    BAD_SYNTAX_REMAINING: BAD_ARGUMENTS Some((5, 2)), "bad syntax: {} (remaining \"{}\")";
    /// RFC 5321 §4.1.4: hello comes first.
    NO_HELLO: BAD_SEQUENCE Some((5, 1)), "no ehlo/helo yet";
    /// RFC 6409 §4.3: submission needs a login.
    AUTH_REQUIRED: AUTH_REQUIRED Some((7, 0)), "authentication required";
    /// RFC 3207 §4: mail needs TLS here.
    STARTTLS_REQUIRED: AUTH_REQUIRED Some((7, 0)), "STARTTLS required for mail delivery";
    /// RFC 5321 §4.2.2: our own fault, for now.
    ERROR_PROCESSING: LOCAL_ERROR Some((3, 0)), "error processing";
    /// RFC 5321 §4.2.2: our own fault, for now.
    INTERNAL_ERROR: LOCAL_ERROR Some((3, 0)), "cannot say why not: internal error";
    /// RFC 5321 §4.2.2: no room on our disk.
    SYSTEM_FULL: INSUFFICIENT_STORAGE Some((3, 1)), "no storage left, try again later";

    // ---- HELO, EHLO, STARTTLS ----

    /// RFC 5321 §4.1.1.1: hello. The lines of EHLO after the first have the same code.
    HELLO: OK None, "{}";
    /// RFC 5321 §2.3.5: the name in HELO does not exist.
    HELLO_UNRESOLVABLE: MAILBOX_UNAVAILABLE Some((5, 0)), "your ehlo domain does not resolve to an IP address";
    /// RFC 3207 §4: go on with TLS.
    STARTTLS_GO: READY Some((0, 0)), "go!";
    /// RFC 3207 §4.2: TLS is there already.
    TLS_ACTIVE: BAD_SEQUENCE Some((5, 1)), "already speaking tls";
    /// RFC 3207 §4: no certificate here, so no STARTTLS.
    TLS_UNAVAILABLE: BAD_SEQUENCE Some((5, 1)), "starttls is not available here";
    /// RFC 3207 §4.2: what was learnt before TLS must be forgotten, a login too; so it comes after.
    STARTTLS_AFTER_AUTH: BAD_SEQUENCE Some((5, 1)), "cannot starttls after authentication";
    /// RFC 2920 §3.1, RFC 3207 §6: something was sent in plaintext after STARTTLS, which may be somebody else's.
    STARTTLS_PIPELINED: BAD_SEQUENCE Some((5, 1)), "data after starttls";

    // ---- AUTH ----

    /// RFC 4954 §4: only where mail is submitted.
    AUTH_NOT_HERE: BAD_SEQUENCE Some((5, 1)), "authentication only allowed on submission ports";
    /// RFC 4954 §4: once is enough.
    ALREADY_AUTHENTICATED: BAD_SEQUENCE Some((5, 1)), "already authenticated";
    /// RFC 4954 §4: not during a mail transaction.
    AUTH_DURING_MAIL: BAD_SEQUENCE Some((5, 1)), "authentication not allowed during mail transaction";
    /// RFC 4954 §4: the challenge, in base64.
    CHALLENGE: CHALLENGE None, "{}";
    /// RFC 4954 §4: the client has stopped the exchange.
    AUTH_ABORTED: BAD_ARGUMENTS Some((5, 0)), "authentication aborted";
    /// RFC 4954 §4: not base64.
    AUTH_BASE64: BAD_ARGUMENTS Some((5, 2)), "invalid base64";
    /// RFC 4954 §4: a line over 12,288 bytes.
    AUTH_LINE_TOO_LONG: BAD_COMMAND Some((5, 6)), "authentication exchange line is too long";
    /// RFC 4954 §4: no such mechanism here.
    MECHANISM_UNKNOWN: PARAMETER_NOT_IMPLEMENTED Some((5, 4)), "mechanism {} not supported";
    /// RFC 4954 §6: the password would be read on its way.
    AUTH_NEEDS_TLS: ENCRYPTION_REQUIRED Some((7, 11)), "authentication requires tls";
    /// RFC 4954 §4: the exchange breaks the grammar of its mechanism.
    AUTH_MALFORMED: BAD_ARGUMENTS Some((5, 2)), "bad authentication exchange: {}";
    /// RFC 4954 §4: an initial response where the server begins.
    AUTH_INITIAL_RESPONSE: BAD_ARGUMENTS Some((5, 2)), "no initial response allowed with this mechanism";
    /// RFC 4954 §6: unknown user or wrong password: which is not told.
    BAD_CREDENTIALS: BAD_CREDENTIALS Some((7, 8)), "bad user/pass";
    /// RFC 4954 §6: one user cannot act as another.
    AUTHZID_REFUSED: BAD_CREDENTIALS Some((7, 8)), "cannot assume other role";
    /// RFC 5802 §6: somebody may sit in between.
    BINDING_MISMATCH: BAD_CREDENTIALS Some((7, 7)), "channel bindings do not match, potential mitm";
    /// RFC 5248 §2.4: the account may not log in; the text is the operator's.
    ACCOUNT_DISABLED: ACCOUNT_DISABLED Some((7, 13)), "{}";
    /// RFC 4954 §6: logins cannot be checked just now.
    AUTH_UNAVAILABLE: TEMPORARY_AUTH_FAILURE Some((7, 0)), "temporary authentication failure";
    /// RFC 4954 §6: the login stands.
    AUTHENTICATED: AUTHENTICATED Some((7, 0)), "nice";

    // ---- MAIL ----

    /// RFC 5321 §4.2.2: too many messages of one network within a minute.
    MESSAGE_RATE: LOCAL_ERROR Some((7, 0)), "message rate from your ip or network too high, slow down please";
    /// RFC 5321 §7.8: only refused messages on this connection.
    TOO_MANY_FAILURES: MAILBOX_UNAVAILABLE Some((1, 0)), "too many failures";
    /// RFC 5321 §4.1.4: one transaction at a time.
    ALREADY_MAIL: BAD_SEQUENCE Some((5, 1)), "already have MAIL";
    /// RFC 5321 §4.1.1.11: the same parameter twice.
    DUPLICATE_PARAMETER: BAD_ARGUMENTS Some((5, 4)), "duplicate param \"{}\"";
    /// RFC 5321 §4.1.1.11: a parameter that we do not have.
    UNKNOWN_PARAMETER: PARAMETER_NOT_RECOGNISED Some((3, 3)), "unrecognized parameter \"{}\"";
    /// RFC 6152 §2: a body that we do not have.
    UNKNOWN_BODY: PARAMETER_NOT_RECOGNISED Some((5, 4)), "unrecognized parameter \"BODY\"";
    /// RFC 4954 §5: the value of AUTH= is no xtext.
    BAD_XTEXT: BAD_ARGUMENTS Some((5, 4)), "bad xtext in parameter";
    /// RFC 6531 §3.4: a UTF-8 sender without SMTPUTF8.
    SENDER_NOT_ASCII: MAILBOX_UNAVAILABLE Some((6, 7)), "non-ascii address not permitted without smtputf8";
    /// RFC 1870 §6.1: more than the operator's own limit.
    MESSAGE_OVER_LIMIT: TOO_LARGE Some((2, 3)), "message too large";
    /// RFC 1870 §6.1: more than the system takes.
    MESSAGE_TOO_LARGE: TOO_LARGE Some((3, 4)), "message too large";
    /// RFC 8689 §4.2: REQUIRETLS over a connection without TLS.
    REQUIRETLS_WITHOUT_TLS: TLS_REQUIRED_BUT_ABSENT Some((7, 10)), "requiretls only allowed over tls";
    /// RFC 4865 §4.1: the time is past, or too far.
    HOLD_OUT_OF_RANGE: FAILED Some((5, 4)), "future release time out of range";
    /// RFC 1035 §2.3.4: a domain or label that is too long, in MAIL.
    SENDER_DOMAIN_TOO_LONG: BAD_ARGUMENTS Some((1, 3)), "domain or label too long";
    /// RFC 5321 §3.6.2: mail comes from a domain.
    SENDER_DOMAIN_REQUIRED: MAILBOX_UNAVAILABLE Some((7, 0)), "domain name required";
    /// RFC 7372 §3: nothing could be sent back to the sender's domain.
    SENDER_TAKES_NO_MAIL: MAILBOX_UNAVAILABLE Some((7, 27)), "mailfrom domain not configured for mail";
    /// RFC 5321 §4.2.2: whether the sender's domain takes mail cannot be told just now.
    SENDER_UNVERIFIED: LOCAL_ERROR Some((4, 0)), "cannot verify mx records for mailfrom domain";
    /// RFC 6409 §6.1: the sender is not the user.
    SENDER_NOT_YOURS: MAILBOX_UNAVAILABLE Some((7, 1)), "must match authenticated user";
    /// RFC 5321 §4.1.1.2: go on.
    SENDER_OK: OK Some((1, 0)), "looking good";

    // ---- RCPT ----

    /// RFC 5321 §4.1.4: MAIL comes first.
    NO_MAIL: BAD_SEQUENCE Some((5, 1)), "missing MAIL FROM";
    /// RFC 3030 §2: recipients come before the first chunk.
    RECIPIENT_DURING_BDAT: BAD_SEQUENCE Some((5, 1)), "no recipients after BDAT";
    /// RFC 6531 §3.4: a UTF-8 recipient without SMTPUTF8.
    RECIPIENT_NOT_ASCII: BAD_MAILBOX Some((6, 7)), "non-ascii address not permitted without smtputf8";
    /// RFC 6531 §3.4: bytes that are no UTF-8.
    RECIPIENT_BAD_UTF8: BAD_MAILBOX Some((6, 7)), "invalid utf-8 in address";
    /// RFC 1035 §2.3.4: a domain or label that is too long, in RCPT.
    RECIPIENT_DOMAIN_TOO_LONG: BAD_MAILBOX Some((1, 3)), "domain or label too long";
    /// RFC 5321 §4.5.3.1.10: the limit that LIMITS announces.
    TOO_MANY_RECIPIENTS: INSUFFICIENT_STORAGE Some((5, 3)), "max of {} recipients reached";
    /// RFC 5321 §4.5.3.1.10: all connections together have as many recipients as there is memory for.
    TOO_MANY_RECIPIENTS_IN_ALL: INSUFFICIENT_STORAGE Some((5, 3)),
        "too many recipients on this server at the moment, send to the others later";
    /// RFC 5321 §4.5.3.1.10: only the whole message can be refused for a recipient that nobody has, so it comes alone.
    RECIPIENT_ALONE: INSUFFICIENT_STORAGE Some((5, 3)),
        "max of {} recipients reached for this message, send the others in a message of their own";
    /// RFC 5321 §4.5.5: bounces have one recipient.
    ONE_RECIPIENT_FOR_NULL: INSUFFICIENT_STORAGE Some((5, 3)), "only one recipient allowed with null reverse address";
    /// RFC 5321 §6.2: bounces of failed recipients must not go to strangers.
    ONE_RECIPIENT_WITHOUT_SPF: INSUFFICIENT_STORAGE Some((5, 3)), "only one recipient allowed without spf pass";
    /// RFC 5321 §3.6.1: mail is for domains.
    RECIPIENT_LITERAL: MAILBOX_UNAVAILABLE Some((1, 1)), "not accepting email for ip";
    /// RFC 5321 §3.6.2: no relay.
    RECIPIENT_FOREIGN: MAILBOX_UNAVAILABLE Some((1, 1)), "not accepting email for domain";
    /// RFC 6409 §3.1: a submission to a domain of others, which needs a queue.
    RECIPIENT_ELSEWHERE: MAILBOX_UNAVAILABLE Some((1, 1)), "this server does not send to other hosts yet";
    /// RFC 5321 §3.6.2: no such mailbox here.
    NO_SUCH_USER: MAILBOX_UNAVAILABLE Some((1, 1)), "no such user";
    /// RFC 5321 §3.6.2: none of the recipients exists.
    NO_SUCH_USERS: MAILBOX_UNAVAILABLE Some((1, 1)), "no such user(s)";
    /// RFC 5321 §4.2.2: the operator has switched the domain off for a time.
    DOMAIN_DISABLED: MAILBOX_BUSY Some((2, 1)), "recipient domain temporarily disabled";
    /// RFC 5321 §4.1.1.3: go on.
    RECIPIENT_OK: OK Some((1, 0)), "now on the list";

    // ---- DATA, BDAT ----

    /// RFC 5321 §4.1.4: RCPT comes first.
    NO_RECIPIENTS: BAD_SEQUENCE Some((5, 1)), "missing RCPT TO";
    /// RFC 3030 §2: DATA and BDAT do not mix.
    DATA_DURING_BDAT: BAD_SEQUENCE Some((5, 1)), "cannot mix DATA and BDAT";
    /// RFC 3030 §3: a binary body cannot go by DATA.
    DATA_FOR_BINARY: BAD_SEQUENCE Some((5, 1)), "BODY=BINARYMIME requires BDAT";
    /// RFC 5321 §4.1.1.4: go on.
    SEND_MESSAGE: START_INPUT None, "see you at the bare dot";
    /// RFC 3030 §2: a chunk was taken.
    CHUNK_OK: OK Some((0, 0)), "{} octets received";
    /// RFC 5321 §2.3.8: bare CR, or a bare LF around a lone dot.
    BARE_NEWLINE: BAD_COMMAND Some((5, 2)), "invalid bare \\r or \\n, may be smtp smuggling";
    /// RFC 6152 §3: 8-bit text without BODY=8BITMIME, for pedants.
    NOT_7BIT: BAD_COMMAND Some((6, 0)), "message with non-us-ascii requires 8bitmime extension";
    /// RFC 5321 §4.5.3.1.6: a line over 1000 bytes with its end, for pedants.
    TEXT_LINE_TOO_LONG: BAD_COMMAND Some((6, 0)), "message has a line over 1000 octets";
    /// RFC 2045 §7: broken MIME, for developers.
    MALFORMED_MESSAGE: FAILED Some((6, 0)), "malformed message: {}";
    /// RFC 5322 §3.6.2: no header, or not one author.
    BAD_AUTHOR: MAILBOX_UNAVAILABLE Some((6, 0)), "cannot parse header or From address: {}";
    /// RFC 5321 §4.4: Return-Path is the receiver's to add.
    HAS_RETURN_PATH: MAILBOX_UNAVAILABLE Some((6, 0)), "message must not have Return-Path header";
    /// RFC 6531 §3.4: UTF-8 in the header without SMTPUTF8, for pedants.
    NEEDS_SMTPUTF8: MAILBOX_UNAVAILABLE Some((6, 0)), "message requires the smtputf8 parameter";
    /// RFC 6409 §6: the account's messages of a day.
    TOO_MANY_MESSAGES: LOCAL_ERROR Some((7, 1)),
        "max number of messages ({}) over past 24h reached, try increasing max_messages_per_day of the account";
    /// RFC 6409 §6: the account's new recipients of a day.
    TOO_MANY_NEW_RECIPIENTS: LOCAL_ERROR Some((7, 1)),
        "max number of new/first-time recipients ({}) over past 24h reached, try increasing max_first_time_recipients_per_day of the account";
    /// RFC 5321 §4.2.2: the message could not be queued or kept.
    NOT_DELIVERED: LOCAL_ERROR Some((3, 0)), "error delivering message";
    /// RFC 5321 §4.2.2: more at a time than there is memory for.
    BUSY: LOCAL_ERROR Some((4, 5)), "busy, try again later";
    /// RFC 5321 §6.3: it has been round too often.
    LOOP: MAILBOX_UNAVAILABLE Some((4, 6)), "loop detected, more than {} Received headers";
    /// RFC 9989 §4: the author's domain asks for it.
    DMARC_REJECT: MAILBOX_UNAVAILABLE Some((7, 26)), "rejecting per dmarc policy";
    /// RFC 7372 §3: the recipient wants authenticated messages.
    UNAUTHENTICATED_MESSAGE: MAILBOX_UNAVAILABLE Some((7, 26)), "{}";
    /// RFC 7372 §3: the same, but it could not be told just now.
    UNAUTHENTICATED_FOR_NOW: LOCAL_ERROR Some((7, 26)), "{}";
    /// RFC 3463 §3.8: may be sent again with a token in the subject.
    SUBJECT_PASS: MAILBOX_UNAVAILABLE Some((7, 1)), "{}";
    /// RFC 3463 §3.8: the list does not know the author.
    NOT_ALLOWED: MAILBOX_UNAVAILABLE Some((7, 2)), "not allowed to send to destination";
    /// RFC 3463 §3.3: the account is full.
    QUOTA: INSUFFICIENT_STORAGE Some((2, 2)), "account storage full";
    /// RFC 3463 §3.3: too much mail from one network for one account.
    DELIVERY_RATE: INSUFFICIENT_STORAGE Some((2, 2)), "more than {} from your ip/network";
    /// RFC 5321 §4.2.2: several recipients failed, all for good. Lines before this one say why.
    MULTIPLE_ERRORS: FAILED Some((3, 0)), "multiple errors";
    /// RFC 5321 §4.2.2: several recipients failed, some of them for now.
    MULTIPLE_ERRORS_FOR_NOW: LOCAL_ERROR Some((3, 0)), "multiple errors";
    /// Developer mode: what the local part asked for.
    SPECIAL_LOCALPART: LOCAL_ERROR Some((0, 0)), "failure with code {} due to special localpart";
    /// RFC 5321 §4.1.1.4: the message is ours now.
    MESSAGE_OK: OK Some((2, 0)), "it is done";

    // ---- the others ----

    /// RFC 5321 §4.1.1.5: the transaction is forgotten.
    RESET_OK: OK Some((0, 0)), "all clear";
    /// RFC 5321 §7.3: who exists is not told.
    VRFY: CANNOT_VERIFY Some((7, 0)), "no verify but will try delivery";
    /// RFC 5321 §7.3: who is on a list is not told.
    EXPN: CANNOT_VERIFY Some((7, 0)), "no expand but will try delivery";
    /// RFC 5321 §4.1.1.8: which commands there are, then where to read about them.
    HELP: HELP Some((0, 0)), "{}\nsee rfc 5321 (smtp)";
    /// RFC 5321 §4.1.1.9: nothing.
    NOOP_OK: OK Some((0, 0)), "alrighty";
    /// RFC 5321 §4.1.1.10: good bye.
    BYE: CLOSING Some((0, 0)), "okay thanks bye";
}

/// Words that the session puts into replies in place of `{}`: the extensions that EHLO announces, and the names of
/// parameters that it refuses.
pub mod keywords {
    /// Commands may be sent in groups (RFC 2920 §3.1).
    pub const PIPELINING: &str = "PIPELINING";
    /// The limit of a message, in bytes (RFC 1870 §4).
    pub const SIZE: &str = "SIZE";
    /// The server offers TLS (RFC 3207 §4).
    pub const STARTTLS: &str = "STARTTLS";
    /// The mechanisms (RFC 4954 §3).
    pub const AUTH: &str = "AUTH";
    /// A message can demand TLS on its whole way (RFC 8689 §2).
    pub const REQUIRETLS: &str = "REQUIRETLS";
    /// Replies have enhanced codes (RFC 2034 §3).
    pub const ENHANCEDSTATUSCODES: &str = "ENHANCEDSTATUSCODES";
    /// Text may have 8-bit characters (RFC 6152 §2).
    pub const EIGHTBITMIME: &str = "8BITMIME";
    /// Messages may come in chunks (RFC 3030 §2).
    pub const CHUNKING: &str = "CHUNKING";
    /// Chunks may hold any bytes (RFC 3030 §3).
    pub const BINARYMIME: &str = "BINARYMIME";
    /// Limits of a session (RFC 9422 §4).
    pub const LIMITS: &str = "LIMITS";
    /// The most recipients of a message (RFC 9422 §4).
    pub const RCPTMAX: &str = "RCPTMAX";
    /// A message may be held back (RFC 4865 §4).
    pub const FUTURERELEASE: &str = "FUTURERELEASE";
    /// UTF-8 in addresses and header fields (RFC 6531 §3.1).
    pub const SMTPUTF8: &str = "SMTPUTF8";
    /// How long to hold a message back (RFC 4865 §5).
    pub const HOLDFOR: &str = "HOLDFOR";
    /// Until when to hold a message back (RFC 4865 §5).
    pub const HOLDUNTIL: &str = "HOLDUNTIL";
    /// What a notification returns (RFC 3461 §4.3).
    pub const RET: &str = "RET";
    /// A name for the transaction (RFC 3461 §4.4).
    pub const ENVID: &str = "ENVID";
    /// When to notify (RFC 3461 §4.1).
    pub const NOTIFY: &str = "NOTIFY";
    /// The original recipient (RFC 3461 §4.2).
    pub const ORCPT: &str = "ORCPT";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_error_has_an_enhanced_code_and_every_text_can_be_sent() {
        for Listed { name, template, when } in ALL {
            assert!(when.starts_with(" RFC ") || when.starts_with(" Developer mode"), "{name}: {when}");
            let error = template.code.get() >= 400;
            assert!(!error || template.enhanced().is_some(), "{name}");
            assert!(template.text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\n')), "{name}");
            assert!(template.text.matches("{}").count() <= 2, "{name}");
        }
    }

    #[test]
    fn every_name_and_every_template_is_there_once() {
        let names: BTreeSet<_> = ALL.iter().map(|listed| listed.name).collect();
        assert_eq!(names.len(), ALL.len());
        let texts = ALL.iter().map(|listed| listed.template).filter(|template| template.text != "{}");
        let said: BTreeSet<_> = texts.clone().map(|w| (w.code.get(), w.status, w.text)).collect();
        assert_eq!(said.len(), texts.count());
    }
}
