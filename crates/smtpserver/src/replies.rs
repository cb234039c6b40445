//! Every reply text, each with its codes and the section of an RFC that asks for it. No other file has any.
//!
//! [`crate::Refusal::with`] or the session fills in what stands in place of a `{}`: a number, a name, a word of the
//! client's, or the description of an error by the parser that found it.

use smtp_parser::{Code, EnhancedCode};

/// A reply whose details are not filled in yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTemplate {
    /// Three digits (RFC 5321 §4.2).
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
    /// Its codes and text.
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

    /// RFC 5321 §4.3.1: the greeting: host name, then software.
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
    /// RFC 5321 §4.5.3.2: the client sent nothing for too long.
    TIMED_OUT: UNAVAILABLE Some((4, 2)), "timeout, closing connection";
    /// RFC 5321 §7.8: too many commands without a message.
    TOO_MANY_COMMANDS: UNAVAILABLE Some((7, 0)), "too many commands without a message";
    /// RFC 5321 §7.8: too many refused commands or recipients.
    TOO_MANY_ERRORS: UNAVAILABLE Some((7, 0)), "too many errors";

    // ---- any command ----

    /// RFC 5321 §4.5.3.1.4: no end of line within the limit.
    LINE_TOO_LONG: BAD_COMMAND Some((5, 0)), "line too long, smtp max is 512, we reached {}";
    /// RFC 5321 §4.2.4: the very first line is no command: the client does not speak SMTP.
    NOT_SMTP: BAD_COMMAND Some((5, 2)), "please try again speaking smtp";
    /// RFC 5321 §4.2.4: the command does not exist.
    UNKNOWN_COMMAND: BAD_COMMAND Some((5, 1)), "unknown command";
    /// RFC 5321 §4.2.2: the arguments break the grammar.
    BAD_SYNTAX: BAD_ARGUMENTS Some((5, 2)), "bad syntax: {}";
    /// RFC 5321 §4.2.2: the same to a user who has logged in, with the rest of the line.
    BAD_SYNTAX_REMAINING: BAD_ARGUMENTS Some((5, 2)), "bad syntax: {} (remaining \"{}\")";
    /// RFC 5321 §4.1.4: EHLO or HELO comes first.
    NO_HELLO: BAD_SEQUENCE Some((5, 1)), "no ehlo/helo yet";
    /// RFC 6409 §4.3: submission needs a login.
    AUTH_REQUIRED: AUTH_REQUIRED Some((7, 0)), "authentication required";
    /// RFC 3207 §4: mail needs TLS here.
    STARTTLS_REQUIRED: AUTH_REQUIRED Some((7, 0)), "STARTTLS required for mail delivery";
    /// RFC 5321 §4.2.2: a temporary fault of ours.
    ERROR_PROCESSING: LOCAL_ERROR Some((3, 0)), "error processing";
    /// RFC 5321 §4.2.2: a refusal without a valid error code, which is a fault of ours.
    INTERNAL_ERROR: LOCAL_ERROR Some((3, 0)), "cannot say why not: internal error";
    /// RFC 5321 §4.2.2: our disk is full.
    SYSTEM_FULL: INSUFFICIENT_STORAGE Some((3, 1)), "no storage left, try again later";

    // ---- HELO, EHLO, STARTTLS ----

    /// RFC 5321 §4.1.1.1: the answer to HELO or EHLO. EHLO has a line for each extension.
    HELLO: OK None, "{}";
    /// RFC 5321 §2.3.5: the name in HELO does not exist.
    HELLO_UNRESOLVABLE: MAILBOX_UNAVAILABLE Some((5, 0)), "your ehlo domain does not resolve to an IP address";
    /// RFC 3207 §4: the handshake may begin.
    STARTTLS_GO: READY Some((0, 0)), "go!";
    /// RFC 3207 §4.2: the connection has TLS already.
    TLS_ACTIVE: BAD_SEQUENCE Some((5, 1)), "already speaking tls";
    /// RFC 3207 §4: the listener has no certificate.
    TLS_UNAVAILABLE: BAD_SEQUENCE Some((5, 1)), "starttls is not available here";
    /// RFC 3207 §4.2: TLS would have to forget the login, so it comes before.
    STARTTLS_AFTER_AUTH: BAD_SEQUENCE Some((5, 1)), "cannot starttls after authentication";
    /// RFC 2920 §3.1, RFC 3207 §6: plaintext follows STARTTLS, which an attacker may have added.
    STARTTLS_PIPELINED: BAD_SEQUENCE Some((5, 1)), "data after starttls";

    // ---- AUTH ----

    /// RFC 4954 §4: AUTH exists on submission listeners only.
    AUTH_NOT_HERE: BAD_SEQUENCE Some((5, 1)), "authentication only allowed on submission ports";
    /// RFC 4954 §4: the client has logged in already.
    ALREADY_AUTHENTICATED: BAD_SEQUENCE Some((5, 1)), "already authenticated";
    /// RFC 4954 §4: a transaction is under way.
    AUTH_DURING_MAIL: BAD_SEQUENCE Some((5, 1)), "authentication not allowed during mail transaction";
    /// RFC 4954 §4: the challenge, in base64.
    CHALLENGE: CHALLENGE None, "{}";
    /// RFC 4954 §4: the client has cancelled the exchange.
    AUTH_ABORTED: BAD_ARGUMENTS Some((5, 0)), "authentication aborted";
    /// RFC 4954 §4: the response is not base64.
    AUTH_BASE64: BAD_ARGUMENTS Some((5, 2)), "invalid base64";
    /// RFC 4954 §4: a line over 12,288 bytes.
    AUTH_LINE_TOO_LONG: BAD_COMMAND Some((5, 6)), "authentication exchange line is too long";
    /// RFC 4954 §4: the mechanism does not exist here.
    MECHANISM_UNKNOWN: PARAMETER_NOT_IMPLEMENTED Some((5, 4)), "mechanism {} not supported";
    /// RFC 4954 §6: the password would cross the network in plaintext.
    AUTH_NEEDS_TLS: ENCRYPTION_REQUIRED Some((7, 11)), "authentication requires tls";
    /// RFC 4954 §4: the exchange breaks the grammar of its mechanism.
    AUTH_MALFORMED: BAD_ARGUMENTS Some((5, 2)), "bad authentication exchange: {}";
    /// RFC 4954 §4: an initial response with a mechanism in which the server begins.
    AUTH_INITIAL_RESPONSE: BAD_ARGUMENTS Some((5, 2)), "no initial response allowed with this mechanism";
    /// RFC 4954 §6: unknown user or wrong password, without saying which.
    BAD_CREDENTIALS: BAD_CREDENTIALS Some((7, 8)), "bad user/pass";
    /// RFC 4954 §6: one user cannot act as another.
    AUTHZID_REFUSED: BAD_CREDENTIALS Some((7, 8)), "cannot assume other role";
    /// RFC 5802 §6: an attacker may be in between.
    BINDING_MISMATCH: BAD_CREDENTIALS Some((7, 7)), "channel bindings do not match, potential mitm";
    /// RFC 5248 §2.4: the account is disabled; with the operator's text.
    ACCOUNT_DISABLED: ACCOUNT_DISABLED Some((7, 13)), "{}";
    /// RFC 4954 §6: the login cannot be checked now.
    AUTH_UNAVAILABLE: TEMPORARY_AUTH_FAILURE Some((7, 0)), "temporary authentication failure";
    /// RFC 4954 §6: the client has logged in.
    AUTHENTICATED: AUTHENTICATED Some((7, 0)), "nice";

    // ---- MAIL ----

    /// RFC 5321 §4.2.2: too many messages of one network within a minute.
    MESSAGE_RATE: LOCAL_ERROR Some((7, 0)), "message rate from your ip or network too high, slow down please";
    /// RFC 5321 §7.8: too many refused messages on this connection.
    TOO_MANY_FAILURES: MAILBOX_UNAVAILABLE Some((1, 0)), "too many failures";
    /// RFC 5321 §4.1.4: one transaction at a time.
    ALREADY_MAIL: BAD_SEQUENCE Some((5, 1)), "already have MAIL";
    /// RFC 5321 §4.1.1.11: the same parameter twice.
    DUPLICATE_PARAMETER: BAD_ARGUMENTS Some((5, 4)), "duplicate param \"{}\"";
    /// RFC 5321 §4.1.1.11: an unknown parameter.
    UNKNOWN_PARAMETER: PARAMETER_NOT_RECOGNISED Some((3, 3)), "unrecognized parameter \"{}\"";
    /// RFC 6152 §2: an unknown value of BODY.
    UNKNOWN_BODY: PARAMETER_NOT_RECOGNISED Some((5, 4)), "unrecognized parameter \"BODY\"";
    /// RFC 4954 §5: the value of AUTH= is not xtext.
    BAD_XTEXT: BAD_ARGUMENTS Some((5, 4)), "bad xtext in parameter";
    /// RFC 6531 §3.4: a UTF-8 sender without SMTPUTF8.
    SENDER_NOT_ASCII: MAILBOX_UNAVAILABLE Some((6, 7)), "non-ascii address not permitted without smtputf8";
    /// RFC 1870 §6.1: more than the operator's own limit.
    MESSAGE_OVER_LIMIT: TOO_LARGE Some((2, 3)), "message too large";
    /// RFC 1870 §6.1: more than the default limit.
    MESSAGE_TOO_LARGE: TOO_LARGE Some((3, 4)), "message too large";
    /// RFC 8689 §4.2: REQUIRETLS over a connection without TLS.
    REQUIRETLS_WITHOUT_TLS: TLS_REQUIRED_BUT_ABSENT Some((7, 10)), "requiretls only allowed over tls";
    /// RFC 4865 §4.1: the time is in the past, or too far away.
    HOLD_OUT_OF_RANGE: FAILED Some((5, 4)), "future release time out of range";
    /// RFC 1035 §2.3.4: a domain or label that is too long, in MAIL.
    SENDER_DOMAIN_TOO_LONG: BAD_ARGUMENTS Some((1, 3)), "domain or label too long";
    /// RFC 5321 §3.6.2: the sender is an address literal.
    SENDER_DOMAIN_REQUIRED: MAILBOX_UNAVAILABLE Some((7, 0)), "domain name required";
    /// RFC 7372 §3: the sender's domain accepts no mail, so it could not get a bounce.
    SENDER_TAKES_NO_MAIL: MAILBOX_UNAVAILABLE Some((7, 27)), "mailfrom domain not configured for mail";
    /// RFC 5321 §4.2.2: DNS does not tell now whether the sender's domain accepts mail.
    SENDER_UNVERIFIED: LOCAL_ERROR Some((4, 0)), "cannot verify mx records for mailfrom domain";
    /// RFC 6409 §6.1: the sender is no address of the account.
    SENDER_NOT_YOURS: MAILBOX_UNAVAILABLE Some((7, 1)), "must match authenticated user";
    /// RFC 5321 §4.1.1.2: the sender is accepted.
    SENDER_OK: OK Some((1, 0)), "looking good";

    // ---- RCPT ----

    /// RFC 5321 §4.1.4: MAIL comes first.
    NO_MAIL: BAD_SEQUENCE Some((5, 1)), "missing MAIL FROM";
    /// RFC 3030 §2: recipients come before the first chunk.
    RECIPIENT_DURING_BDAT: BAD_SEQUENCE Some((5, 1)), "no recipients after BDAT";
    /// RFC 6531 §3.4: a UTF-8 recipient without SMTPUTF8.
    RECIPIENT_NOT_ASCII: BAD_MAILBOX Some((6, 7)), "non-ascii address not permitted without smtputf8";
    /// RFC 6531 §3.4: bytes that are not UTF-8.
    RECIPIENT_BAD_UTF8: BAD_MAILBOX Some((6, 7)), "invalid utf-8 in address";
    /// RFC 1035 §2.3.4: a domain or label that is too long, in RCPT.
    RECIPIENT_DOMAIN_TOO_LONG: BAD_MAILBOX Some((1, 3)), "domain or label too long";
    /// RFC 5321 §4.5.3.1.10: the limit that LIMITS announces.
    TOO_MANY_RECIPIENTS: INSUFFICIENT_STORAGE Some((5, 3)), "max of {} recipients reached";
    /// RFC 5321 §4.5.3.1.10: all connections together have reached the limit of recipients, which bounds memory.
    TOO_MANY_RECIPIENTS_IN_ALL: INSUFFICIENT_STORAGE Some((5, 3)),
        "too many recipients on this server at the moment, send to the others later";
    /// RFC 5321 §4.5.3.1.10: a recipient that does not exist must be alone, because only the whole message can be refused
    /// for it.
    RECIPIENT_ALONE: INSUFFICIENT_STORAGE Some((5, 3)),
        "max of {} recipients reached for this message, send the others in a message of their own";
    /// RFC 5321 §4.5.5: bounces have one recipient.
    ONE_RECIPIENT_FOR_NULL: INSUFFICIENT_STORAGE Some((5, 3)), "only one recipient allowed with null reverse address";
    /// RFC 5321 §6.2: bounces must not go to forged senders.
    ONE_RECIPIENT_WITHOUT_SPF: INSUFFICIENT_STORAGE Some((5, 3)), "only one recipient allowed without spf pass";
    /// RFC 5321 §3.6.1: the recipient is an address literal.
    RECIPIENT_LITERAL: MAILBOX_UNAVAILABLE Some((1, 1)), "not accepting email for ip";
    /// RFC 5321 §3.6.2: the domain is not ours, and we do not relay.
    RECIPIENT_FOREIGN: MAILBOX_UNAVAILABLE Some((1, 1)), "not accepting email for domain";
    /// RFC 6409 §3.1: a submission to another domain, which needs a queue.
    RECIPIENT_ELSEWHERE: MAILBOX_UNAVAILABLE Some((1, 1)), "this server does not send to other hosts yet";
    /// RFC 5321 §3.6.2: no such mailbox here.
    NO_SUCH_USER: MAILBOX_UNAVAILABLE Some((1, 1)), "no such user";
    /// RFC 5321 §3.6.2: none of the recipients exists.
    NO_SUCH_USERS: MAILBOX_UNAVAILABLE Some((1, 1)), "no such user(s)";
    /// RFC 5321 §4.2.2: the operator has disabled the domain temporarily.
    DOMAIN_DISABLED: MAILBOX_BUSY Some((2, 1)), "recipient domain temporarily disabled";
    /// RFC 5321 §4.1.1.3: the recipient is accepted.
    RECIPIENT_OK: OK Some((1, 0)), "now on the list";

    // ---- DATA, BDAT ----

    /// RFC 5321 §4.1.4: RCPT comes first.
    NO_RECIPIENTS: BAD_SEQUENCE Some((5, 1)), "missing RCPT TO";
    /// RFC 3030 §2: DATA and BDAT do not mix.
    DATA_DURING_BDAT: BAD_SEQUENCE Some((5, 1)), "cannot mix DATA and BDAT";
    /// RFC 3030 §3: a binary body needs BDAT.
    DATA_FOR_BINARY: BAD_SEQUENCE Some((5, 1)), "BODY=BINARYMIME requires BDAT";
    /// RFC 5321 §4.1.1.4: the message may follow.
    SEND_MESSAGE: START_INPUT None, "see you at the bare dot";
    /// RFC 3030 §2: the chunk is accepted.
    CHUNK_OK: OK Some((0, 0)), "{} octets received";
    /// RFC 5321 §2.3.8: bare CR, or a bare LF around a lone dot.
    BARE_NEWLINE: BAD_COMMAND Some((5, 2)), "invalid bare \\r or \\n, may be smtp smuggling";
    /// RFC 6152 §3: 8-bit text without BODY=8BITMIME (strict dialect only).
    NOT_7BIT: BAD_COMMAND Some((6, 0)), "message with non-us-ascii requires 8bitmime extension";
    /// RFC 5321 §4.5.3.1.6: a line over 1000 bytes with its end (strict dialect only).
    TEXT_LINE_TOO_LONG: BAD_COMMAND Some((6, 0)), "message has a line over 1000 octets";
    /// RFC 2045 §7: malformed MIME (developer mode only).
    MALFORMED_MESSAGE: FAILED Some((6, 0)), "malformed message: {}";
    /// RFC 5322 §3.6.2: no header, or not exactly one author.
    BAD_AUTHOR: MAILBOX_UNAVAILABLE Some((6, 0)), "cannot parse header or From address: {}";
    /// RFC 5321 §4.4: only the final server adds Return-Path.
    HAS_RETURN_PATH: MAILBOX_UNAVAILABLE Some((6, 0)), "message must not have Return-Path header";
    /// RFC 6531 §3.4: UTF-8 in the header without SMTPUTF8 (strict dialect only).
    NEEDS_SMTPUTF8: MAILBOX_UNAVAILABLE Some((6, 0)), "message requires the smtputf8 parameter";
    /// RFC 6409 §6: the account has sent too many messages within a day.
    TOO_MANY_MESSAGES: LOCAL_ERROR Some((7, 1)),
        "max number of messages ({}) over past 24h reached, try increasing max_messages_per_day of the account";
    /// RFC 6409 §6: the account has written to too many new recipients within a day.
    TOO_MANY_NEW_RECIPIENTS: LOCAL_ERROR Some((7, 1)),
        "max number of new/first-time recipients ({}) over past 24h reached, try increasing max_first_time_recipients_per_day of the account";
    /// RFC 5321 §4.2.2: the message could not be stored.
    NOT_DELIVERED: LOCAL_ERROR Some((3, 0)), "error delivering message";
    /// RFC 5321 §4.2.2: too much work at a time for our memory.
    BUSY: LOCAL_ERROR Some((4, 5)), "busy, try again later";
    /// RFC 5321 §6.3: the message has passed too many servers.
    LOOP: MAILBOX_UNAVAILABLE Some((4, 6)), "loop detected, more than {} Received headers";
    /// RFC 9989 §4: the policy of the author's domain.
    DMARC_REJECT: MAILBOX_UNAVAILABLE Some((7, 26)), "rejecting per dmarc policy";
    /// RFC 7372 §3: the recipient wants authenticated messages.
    UNAUTHENTICATED_MESSAGE: MAILBOX_UNAVAILABLE Some((7, 26)), "{}";
    /// RFC 7372 §3: the same, but authentication could not be checked now.
    UNAUTHENTICATED_FOR_NOW: LOCAL_ERROR Some((7, 26)), "{}";
    /// RFC 3463 §3.8: the sender may try again with a token in the subject.
    SUBJECT_PASS: MAILBOX_UNAVAILABLE Some((7, 1)), "{}";
    /// RFC 3463 §3.8: the author may not write to the list.
    NOT_ALLOWED: MAILBOX_UNAVAILABLE Some((7, 2)), "not allowed to send to destination";
    /// RFC 3463 §3.3: the account is full.
    QUOTA: INSUFFICIENT_STORAGE Some((2, 2)), "account storage full";
    /// RFC 3463 §3.3: the account gets too much mail from one network.
    DELIVERY_RATE: INSUFFICIENT_STORAGE Some((2, 2)), "more than {} from your ip/network";
    /// RFC 5321 §4.2.2: all recipients failed permanently. The lines before this one say why.
    MULTIPLE_ERRORS: FAILED Some((3, 0)), "multiple errors";
    /// RFC 5321 §4.2.2: all recipients failed, some of them temporarily.
    MULTIPLE_ERRORS_FOR_NOW: LOCAL_ERROR Some((3, 0)), "multiple errors";
    /// Developer mode: the code that the local part asks for.
    SPECIAL_LOCALPART: LOCAL_ERROR Some((0, 0)), "failure with code {} due to special localpart";
    /// RFC 5321 §4.1.1.4: the message is accepted.
    MESSAGE_OK: OK Some((2, 0)), "it is done";

    // ---- the others ----

    /// RFC 5321 §4.1.1.5: the transaction is over.
    RESET_OK: OK Some((0, 0)), "all clear";
    /// RFC 5321 §7.3: we do not reveal who exists.
    VRFY: CANNOT_VERIFY Some((7, 0)), "no verify but will try delivery";
    /// RFC 5321 §7.3: we do not reveal who is on a list.
    EXPN: CANNOT_VERIFY Some((7, 0)), "no expand but will try delivery";
    /// RFC 5321 §4.1.1.8: the commands, and where they are described.
    HELP: HELP Some((0, 0)), "{}\nsee rfc 5321 (smtp)";
    /// RFC 5321 §4.1.1.9: nothing to do.
    NOOP_OK: OK Some((0, 0)), "alrighty";
    /// RFC 5321 §4.1.1.10: the connection will be closed.
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
