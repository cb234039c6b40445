//! MAIL and RCPT.

use std::borrow::Cow;
use std::mem;
use std::time::SystemTime;

use smtp_parser::{FutureRelease, Mail, Path, Rcpt};

use super::states::{State, Transaction};
use super::{Ask, AskRecipient, AskSender, Attempted, Next, Session, Step, too_large};
use crate::envelope::Sender;
use crate::replies::{self, ReplyTemplate, keywords};
use crate::rules::Kind;

/// The reply to a bad parameter, and what the text has in its place.
type Objection = (ReplyTemplate, Cow<'static, str>);

impl<T> Session<T> {
    pub(super) fn mail(&mut self, mail: Mail<'_>, now: SystemTime, out: &mut Vec<u8>) -> Next<'_, T> {
        if let Some((template, detail)) = self.objection(&mail, now) {
            return self.fail_directly(Attempted::Sender(mail.path), template, &[&detail], out);
        }
        let sender = Box::new(Sender::new(mail.path, &mail.params));
        Step::Ask(Ask::Sender(AskSender { session: self, sender }))
    }

    fn objection(&self, mail: &Mail<'_>, now: SystemTime) -> Option<Objection> {
        let params = &mail.params;
        // RFC 3461 §4: its parameters are for servers that announce DSN, which we do not.
        if params.ret.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, keywords::RET.into()));
        }
        if params.envid.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, keywords::ENVID.into()));
        }
        if let Some(size) = params.size.filter(|size| *size > self.rules.limits.message) {
            return Some((too_large(size), "".into()));
        }
        if params.require_tls && self.client.tls.is_none() {
            return Some((replies::REQUIRETLS_WITHOUT_TLS, "".into()));
        }
        if params.require_tls && !self.rules.require_tls {
            return Some((replies::UNKNOWN_PARAMETER, keywords::REQUIRETLS.into()));
        }
        params.hold.and_then(|hold| self.objection_to_hold(hold, now))
    }

    fn objection_to_hold(&self, hold: FutureRelease, now: SystemTime) -> Option<Objection> {
        let Some(longest) = self.terms().future_release() else {
            let name =
                if matches!(hold, FutureRelease::For(_)) { keywords::HOLDFOR } else { keywords::HOLDUNTIL };
            return Some((replies::UNKNOWN_PARAMETER, name.into()));
        };
        let time = match hold {
            FutureRelease::For(time) => Some(time),
            FutureRelease::Until(moment) => moment.duration_since(now).ok(),
        };
        // RFC 4865 §4.1: neither past nor further away than announced.
        time.is_none_or(|time| time > longest).then_some((replies::HOLD_OUT_OF_RANGE, "".into()))
    }

    pub(super) fn begin_transaction(
        &mut self,
        sender: Box<Sender>,
        data: T,
        out: &mut Vec<u8>,
    ) -> Next<'_, T> {
        self.state = State::Mail(Box::new(Transaction::new(sender, data)));
        self.succeed(replies::SENDER_OK, &[], out)
    }

    pub(super) fn rcpt(&mut self, rcpt: Rcpt<'_>, out: &mut Vec<u8>) -> Next<'_, T> {
        let State::Mail(transaction) = &self.state else {
            return self.fail(replies::NO_MAIL, &[], out);
        };
        if let Some((template, detail)) = self.objection_to_recipient(&rcpt, transaction) {
            return self.fail_directly(Attempted::Recipient(rcpt.path), template, &[&detail], out);
        }
        let State::Mail(transaction) = mem::replace(&mut self.state, State::Idle) else {
            return self.fail(replies::NO_MAIL, &[], out);
        };
        Step::Ask(Ask::Recipient(AskRecipient { session: self, transaction, path: rcpt.path }))
    }

    /// Returns the refusal of a recipient for reasons other than its address.
    fn objection_to_recipient(&self, rcpt: &Rcpt<'_>, transaction: &Transaction<T>) -> Option<Objection> {
        if rcpt.params.notify.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, keywords::NOTIFY.into()));
        }
        if rcpt.params.orcpt.is_some() {
            return Some((replies::UNKNOWN_PARAMETER, keywords::ORCPT.into()));
        }
        // RFC 6531 §3.4: the parameter of MAIL speaks for the whole transaction, and for domains as for local parts.
        if !transaction.sender.smtputf8 && rcpt.utf8 {
            return Some((replies::RECIPIENT_NOT_ASCII, "".into()));
        }
        // RFC 5321 §4.5.3.1.10: "too many recipients" is temporary, so that the sender comes back with the rest.
        let most = self.rules.limits.recipients;
        if transaction.recipients >= most {
            return Some((replies::TOO_MANY_RECIPIENTS, most.to_string().into()));
        }
        // RFC 5321 §4.5.5: a notification goes to the one sender of its message.
        let null = transaction.sender.path == Path::Null;
        let is_second = null && self.rules.kind == Kind::Smtp && transaction.recipients > 0;
        is_second.then_some((replies::ONE_RECIPIENT_FOR_NULL, "".into()))
    }

    pub(super) fn recipient_added(&mut self, out: &mut Vec<u8>) -> Next<'_, T> {
        self.succeed(replies::RECIPIENT_OK, &[], out)
    }
}
